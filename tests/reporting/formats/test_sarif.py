"""What SARIF's schema and code scanning ask of the file."""

import gzip
import json
import random
import string
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Schema

from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import ChangeStatus, Compliance, Failed, Finding, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ended_early
from sweeper.domain.report_model import Report
from sweeper.reporting.formats.sarif import _MAX_RESULTS
from tests.cases import case
from tests.factories import (
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
    template,
    with_tags,
)
from tests.golden.reports import every
from tests.rendering import rendered

LARGEST = 10 * 2**20  # bytes that GitHub takes, compressed


def run_of(item: Report) -> dict[str, Any]:
    """The run, once the official schema, as models, finds all of the file and nothing else."""
    read = json.loads(rendered("sarif", item))
    model = Schema.model_validate(read)
    assert model.model_dump(mode="json", by_alias=True, exclude_unset=True) == read
    (only,) = read["runs"]
    return dict(only)


def results(item: Report) -> list[dict[str, Any]]:
    """The results, once each has what code scanning needs."""
    run_ = run_of(item)
    rules = [each["id"] for each in run_["tool"]["driver"]["rules"]]
    assert len(rules) == len(set(rules))
    for each in run_["results"]:
        assert rules[each["ruleIndex"]] == each["ruleId"]
        (location,) = each["locations"]
        physical = location["physicalLocation"]
        assert physical["region"]["startLine"] == 1
        assert physical["artifactLocation"]["uri"].startswith("ecr/")
        assert each["partialFingerprints"]["primaryLocationLineHash"]
    return list(run_["results"])


def fingerprints(item: Report) -> list[tuple[str, str, str]]:
    """What code scanning knows an alert by."""
    return [
        (
            each["ruleId"],
            each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            each["partialFingerprints"]["primaryLocationLineHash"],
        )
        for each in results(item)
    ]


def notices(item: Report) -> list[tuple[str, str]]:
    (invocation,) = run_of(item)["invocations"]
    assert invocation["executionSuccessful"] is item.coverage.complete
    return [
        (each["descriptor"]["id"], each["message"]["text"])
        for each in invocation["toolExecutionNotifications"]
    ]


def test_every_report_is_valid() -> None:
    for name, item in every().items():
        with case(name):
            results(item)


def test_how_a_finding_stands() -> None:
    cases: list[tuple[Finding, tuple[str, bool] | None]] = [
        (finding(), ("warning", False)),
        (finding(change=change(ChangeStatus.PLANNED)), ("warning", False)),
        (finding(change=change(ChangeStatus.FAILED, reason=Reason.DENIED)), ("warning", False)),
        (template(), ("warning", False)),
        (finding(compliance=Compliance.UNDETERMINED, mutability="NEW"), ("warning", False)),
        (finding(compliance=Compliance.EXEMPT, exemption=exemption()), ("note", True)),
        (finding(compliance=Compliance.EXEMPT), ("note", True)),
        # What is not there, code scanning closes.
        (finding(change=change()), None),
    ]
    for item, expected in cases:
        with case(item, expected):
            found = [
                (each["level"], "suppressions" in each)
                for each in results(with_tags(report([item]), owner="payments"))
            ]
            assert found == ([expected] if expected else [])


def test_a_result_names_the_resource() -> None:
    (each,) = results(report([finding("team/a")]))
    (location,) = each["locations"]
    assert (
        location["physicalLocation"]["artifactLocation"]["uri"]
        == "ecr/111122223333/eu-central-1/team/a"
    )
    (logical,) = location["logicalLocations"]
    assert logical["fullyQualifiedName"] == finding("team/a").arn
    (made,) = results(report([template("team/a")]))
    assert fingerprints(report([template("team/a")])) != fingerprints(report([finding("team/a")]))
    assert made["ruleId"] == "ecr-creation-template-immutability"


def test_an_alert_stays_the_same_from_sweep_to_sweep() -> None:
    before = report([finding("a"), finding("b")])
    undetermined = finding("b", compliance=Compliance.UNDETERMINED, mutability="NEW")
    after = report(
        [finding("a", mutability="IMMUTABLE_WITH_EXCLUSION"), undetermined, finding("c")],
        id="another",
        started_at="2027-01-01T00:00:00Z",
    )
    assert set(fingerprints(before)) < set(fingerprints(after))
    assert len(set(fingerprints(after))) == 3
    first, second = (run_of(each)["automationDetails"]["id"] for each in (before, after))
    assert first.rpartition("/")[0] == second.rpartition("/")[0] == "sweeper/o-exampleorg"
    assert first != second


def test_what_could_not_be_checked_stays_an_alert() -> None:
    before = report([finding("e"), finding("f")])
    gone = earlier("e")
    unseen = earlier("f")
    fixed = earlier("g", was_open=False)
    since = since_last(resolved=[gone], not_visible=[unseen, fixed])
    after = replace(report([], [(target(region="us-east-1"), failed())]), since_last=since)
    assert fingerprints(after) == fingerprints(before)[1:]
    assert "could not be checked this time" in results(after)[0]["message"]["text"]


def test_gaps_are_notifications() -> None:
    assert notices(report([finding()])) == []
    item = report([], [(target(region="ap-east-1"), failed()), (account("777788889999"), failed())])
    found = notices(item)
    assert [name for name, _ in found] == [
        *("coverage_incomplete", "denied_by_scp", "denied_by_scp", "not_compared")
    ]
    assert "ap-east-1" in found[1][1]
    assert "777788889999" in found[2][1]
    compared = replace(item, since_last=since_last())
    assert [name for name, _ in notices(compared)] == [name for name, _ in found[:-1]]
    early = ended_early(run(), Failed(Stage.ENUMERATE, Reason.TIMED_OUT, "slow"))
    assert "timed_out" in dict(notices(early))


def test_many_gaps_are_counted() -> None:
    places = [(account(f"{index:012}"), failed()) for index in range(1234)]
    found = notices(report([], places))
    assert sum(name == "denied_by_scp" for name, _ in found) == 1000
    assert dict(found)["gaps_left_out"].startswith("234 ")


@pytest.mark.slow
def test_the_limits_of_code_scanning_hold_and_what_has_no_room_is_counted() -> None:
    """With names as long as ECR takes, of which hardly anything can be compressed."""
    source = random.Random(1)
    letters = string.ascii_lowercase + string.digits
    many = [finding("".join(source.choices(letters, k=250))) for _ in range(_MAX_RESULTS)]
    kept = [finding("z", compliance=Compliance.EXEMPT, exemption=exemption())]
    item = report([*many, *kept])
    content = rendered("sarif", item)
    assert len(gzip.compress(content)) < LARGEST
    (only,) = json.loads(content)["runs"]
    assert len(only["results"]) == _MAX_RESULTS
    # What is open comes first.
    assert not any("suppressions" in each for each in only["results"])
    (notice,) = only["invocations"][0]["toolExecutionNotifications"]
    assert notice["descriptor"]["id"] == "findings_left_out"
    assert notice["message"]["text"].startswith("1 finding ")


def test_hostile_text_is_text() -> None:
    item = hostile_report()
    found = results(item)
    assert len(found) == 2 * len(HOSTILE)
    assert len(set(fingerprints(item))) == len(found)
    content = rendered("sarif", item).decode()
    assert not any(is_hidden(character) for character in content.replace("\n", ""))
    link = "[here](https://example.com) {0}"
    (named,) = results(report([finding("a", reason=link)]))
    assert "](" not in named["message"]["text"]
    assert "{0}" not in named["message"]["text"]
    (named,) = results(report([finding("a b#c?d")]))
    uri = named["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote(uri).endswith("/a b#c?d")
    assert not {" ", "#", "?"} & set(uri)
