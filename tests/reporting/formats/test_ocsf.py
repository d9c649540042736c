import json
from dataclasses import replace
from typing import Any

from py_ocsf_models import OCSF_VERSION
from py_ocsf_models.events.findings.compliance_finding import ComplianceFinding
from py_ocsf_models.objects.cloud import Cloud

from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import ChangeStatus, Compliance, Failed, Finding, Since, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ended_early
from sweeper.domain.report_model import Report
from sweeper.reporting.formats.ocsf import _VERSION
from tests.cases import case
from tests.factories import (
    HOSTILE,
    change,
    earlier,
    exemption,
    finding,
    hostile_report,
    report,
    run,
    since_last,
)
from tests.golden.reports import whole
from tests.rendering import rendered

FINISHED = 1_795_482_250_000  # 2026-11-24T01:04:10Z


def events(item: Report) -> list[dict[str, Any]]:
    """The events, each once the library finds all of it, and nothing else, in the class."""
    lines = rendered("ocsf", item).decode().split("\n")
    assert lines.pop() == ""
    found = [json.loads(line) for line in lines]
    for event in found:
        # The library's class has no cloud profile; its members are those of the object.
        parts = {name: each for name, each in event.items() if name != "cloud"}
        assert dumped(ComplianceFinding.model_validate(parts)) == parts
        assert dumped(Cloud.model_validate(event["cloud"])) == event["cloud"]
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    return found


def dumped(value: Any) -> Any:
    """What the library kept: what it does not know is not there."""
    return value.model_dump(mode="json", exclude_unset=True)


def test_every_event_is_of_the_class_and_says_where_and_when() -> None:
    item = whole()
    found = events(item)
    assert len(found) == len(item.findings) + len(
        item.since_last.resolved if item.since_last else ()
    )
    for event, of in zip(found, item.findings, strict=False):
        with case(of):
            assert event["time"] == FINISHED
            assert event["cloud"]["account"]["uid"] == of.account_id
            assert event["cloud"]["region"] == event["resources"][0]["region"] == of.region
            assert event["resources"][0]["name"] == of.repository
            assert event["metadata"]["event_code"] == event["compliance"]["control"] == of.check


def test_how_a_finding_stands() -> None:
    cases: list[tuple[Finding, tuple[str, int, str, str]]] = [
        (finding(), ("Create", 3, "New", "Medium")),
        (finding(since_last=Since.STILL_OPEN), ("Update", 3, "New", "Medium")),
        (finding(since_last=Since.REOPENED, reopened=2), ("Update", 3, "New", "Medium")),
        (finding(change=change(ChangeStatus.PLANNED)), ("Create", 3, "New", "Medium")),
        (finding(change=change()), ("Close", 1, "Resolved", "Informational")),
        (
            finding(change=change(ChangeStatus.SUPERSEDED, reason=Reason.REPOSITORY_DELETED)),
            ("Close", 1, "Resolved", "Informational"),
        ),
        (
            finding(compliance=Compliance.UNDETERMINED, mutability="NEW_WORD"),
            ("Create", 2, "New", "Medium"),
        ),
        (
            finding(compliance=Compliance.EXEMPT, exemption=exemption()),
            ("Create", 3, "Suppressed", "Informational"),
        ),
    ]
    for item, expected in cases:
        with case(item, expected):
            [event] = events(report([item]))
            assert (
                event["activity_name"],
                event["compliance"]["status_id"],
                event["status"],
                event["severity"],
            ) == expected


def test_what_is_gone_is_closed_under_its_id_and_what_is_not_visible_is_left() -> None:
    [before] = events(report([finding("gone")]))
    since = since_last(resolved=[earlier("gone")], not_visible=[earlier("not-seen")])
    [done] = events(replace(report(), since_last=since))
    assert done["activity_name"] == "Close"
    assert done["finding_info"]["uid"] == before["finding_info"]["uid"]
    assert done["resources"][0]["uid"] == before["resources"][0]["uid"]


def test_without_an_organization() -> None:
    [event] = events(report([finding()], organization_id=None))
    assert "org" not in event["cloud"]


def test_an_account_that_was_not_asked_for_its_place() -> None:
    since = since_last(resolved=[earlier("gone", account_id="777788889999")])
    [event] = events(replace(report(), since_last=since))
    assert event["cloud"]["org"] == {"uid": "o-exampleorg"}


def test_a_sweep_without_findings_is_an_empty_file() -> None:
    assert rendered("ocsf", report()) == b""
    early = ended_early(run(), Failed(Stage.ENUMERATE, Reason.TIMED_OUT, "slow"))
    assert rendered("ocsf", early) == b""


def test_the_version_is_that_of_the_library() -> None:
    assert _VERSION == OCSF_VERSION


def test_hostile_text_stays_in_its_event() -> None:
    item = hostile_report()
    found = events(item)
    assert len(found) == 2 * len(HOSTILE)
    text = rendered("ocsf", item).decode()
    assert not any(is_hidden(character) for character in text.replace("\n", ""))
    assert max(map(len, text.splitlines())) < 20_000
    assert len({each["finding_info"]["uid"] for each in found}) == len(found)
