import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import xmlschema

from sweeper.domain.model import ChangeStatus, Compliance, Failed, Finding, Skipped, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ended_early
from sweeper.domain.report_model import Report
from tests.cases import case
from tests.factories import (
    ACCOUNT_ID,
    HOSTILE,
    account,
    change,
    earlier,
    exemption,
    failed,
    finding,
    hostile_report,
    report,
    run,
    since_last,
    target,
)
from tests.rendering import rendered


@cache
def schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(Path(__file__).with_name("junit-10.xsd"))


def parsed(item: Report) -> ET.Element:
    """The file's root, once it is what Jenkins takes."""
    content = rendered("junit", item)
    schema().validate(content.decode())
    root = ET.fromstring(content)
    for suite in root:
        for attribute, path in (("failures", "failure"), ("errors", "error")):
            assert int(suite.get(attribute, "")) == len(suite.findall(f"testcase/{path}"))
        assert int(suite.get("tests", "")) == len(suite.findall("testcase"))
        assert int(suite.get("skipped", "")) == len(suite.findall("testcase/skipped"))
    return root


def outcomes(item: Report) -> dict[tuple[str, str], str]:
    """(class, name) of each test -> what became of it."""
    return {
        (case.get("classname", ""), case.get("name", "")): next(
            (each.tag for each in case if each.tag != "system-out"), "passed"
        )
        for case in parsed(item).iter("testcase")
    }


PLACE = f"{ACCOUNT_ID}.eu-central-1"
SWEEP = ("sweep", "coverage")


def test_a_sweep_that_found_nothing_has_passed_tests() -> None:
    assert outcomes(report()) == {SWEEP: "passed", (PLACE, "all other repositories"): "passed"}
    assert outcomes(report(compliant=0)) == {SWEEP: "passed"}


def test_a_repository_is_a_test() -> None:
    cases: list[tuple[Finding, str]] = [
        (finding("app"), "failure"),
        (finding("app", change=change(ChangeStatus.PLANNED)), "failure"),
        (finding("app", change=change(ChangeStatus.FAILED, reason=Reason.DENIED)), "failure"),
        (finding("app", change=change()), "passed"),
        (
            finding("app", change=change(ChangeStatus.SUPERSEDED, reason=Reason.NOW_COMPLIANT)),
            "passed",
        ),
        (finding("app", compliance=Compliance.EXEMPT, exemption=exemption()), "skipped"),
        (finding("app", compliance=Compliance.UNDETERMINED, mutability="NEW"), "error"),
    ]
    for item, outcome in cases:
        with case(item, outcome):
            assert outcomes(report([item]))[PLACE, "app"] == outcome


def test_what_is_gone_passes_and_what_is_not_visible_is_no_test() -> None:
    since = since_last(resolved=[earlier("gone")], not_visible=[earlier("not-seen")])
    got = outcomes(replace(report(), since_last=since))
    assert got[PLACE, "gone"] == "passed"
    assert (PLACE, "not-seen") not in got


def test_what_could_not_be_seen_is_an_error_and_what_was_left_out_skipped() -> None:
    item = report(
        [],
        [
            (target(region="eu-west-1"), failed()),
            (account("777788889999"), failed(Reason.ASSUME_ROLE_DENIED, stage=Stage.OPEN_ACCOUNT)),
            (account("777788880000"), failed(Reason.DENIED_BY_VPC_ENDPOINT_POLICY)),
        ],
        [
            (account("000011112222"), Skipped(Reason.ACCOUNT_SUSPENDED)),
            (target(region="us-east-1"), Skipped(Reason.REGION_EXCLUDED)),
        ],
    )
    assert outcomes(item) == {
        SWEEP: "error",
        ("000011112222", "examine"): "skipped",
        (PLACE, "all other repositories"): "passed",
        (f"{ACCOUNT_ID}.eu-west-1", "examine"): "error",
        (f"{ACCOUNT_ID}.us-east-1", "examine"): "skipped",
        ("777788880000", "examine"): "error",
        ("777788889999", "open_account"): "error",
    }
    [_, *errors] = parsed(item).iter("error")
    assert errors[0].get("type") == "denied_by_scp"
    suites = [suite.get("name", "") for suite in parsed(item)]
    assert suites == [
        "sweep",
        "000011112222 product-a",
        f"{ACCOUNT_ID} product-a",
        *sorted(suites[3:]),
    ]


def test_a_sweep_that_ended_early_is_an_error() -> None:
    early = ended_early(
        run(organization_id=None), Failed(Stage.ENUMERATE, Reason.TIMED_OUT, "slow")
    )
    assert outcomes(early) == {SWEEP: "error"}


def test_hostile_text_is_no_markup_and_hides_nothing() -> None:
    item = hostile_report()
    root = parsed(item)
    assert {each.tag for each in root.iter()} == {
        *("testsuites", "testsuite", "properties", "property", "testcase"),
        *("failure", "error", "system-out"),
    }
    names = {case.get("name") for case in root.iter("testcase")}
    assert "<script>alert(1)</script>" in names
    assert r"no character\uffff \ufffe \x00" in names
    assert len([*root.iter("failure")]) == len(HOSTILE)
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", rendered("junit", item).decode()
    )
    assert len(max((str(each.text) for each in root.iter("failure")), key=len)) < 10_000
