import json
from dataclasses import replace
from typing import Any

import pytest
from py_ocsf_models import OCSF_VERSION
from py_ocsf_models.events.findings.compliance_finding import ComplianceFinding
from py_ocsf_models.objects.cloud import Cloud

from sweeper.escaping import hidden
from sweeper.formats.ocsf import VERSION, render
from sweeper.model import ChangeStatus, Compliance, Failed, Finding, Reason, Report, Since, Stage
from sweeper.report import ended_early
from tests.factories import (
    ACCOUNT_ID,
    HOSTILE,
    REGION,
    change,
    earlier,
    exemption,
    finding,
    hostile_report,
    report,
    run,
    since_last,
    with_tags,
)

FINISHED = 1_795_482_250_000  # 2026-11-24T01:04:10Z


def events(item: Report) -> list[dict[str, Any]]:
    """The events, each once the library finds all of it, and nothing else, in the class."""
    lines = render(item).decode().split("\n")
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


def test_an_event_whole() -> None:
    [event] = events(with_tags(report([finding(since_last=Since.NEW)]), owner="payments"))
    title = f"ECR image tags can be overwritten: product-a/service-one ({ACCOUNT_ID}, {REGION})"
    assert event == {
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2003,
        "class_name": "Compliance Finding",
        "type_uid": 200301,
        "type_name": "Compliance Finding: Create",
        "time": FINISHED,
        "severity_id": 3,
        "severity": "Medium",
        "status_id": 1,
        "status": "New",
        "message": title,
        "metadata": {
            "version": "1.5.0",
            "profiles": ["cloud"],
            "product": {"name": "sweeper", "vendor_name": "sweeper", "version": "0.1.0"},
            "event_code": "ecr-tag-immutability",
            "correlation_uid": "20261124T010000Z-0a1b2c",
        },
        "cloud": {
            "provider": "AWS",
            "region": REGION,
            "account": {
                "uid": ACCOUNT_ID,
                "name": "product-a",
                "type": "AWS Account",
                "type_id": 10,
                "labels": ["owner:payments"],
            },
            "org": {"uid": "o-exampleorg", "ou_uid": "ou-root-prod"},
        },
        "compliance": {"control": "ecr-tag-immutability", "status_id": 3},
        "finding_info": {
            "uid": f"ecr-tag-immutability/{ACCOUNT_ID}/{REGION}/product-a/service-one",
            "title": title,
            "desc": "image tags can be overwritten. MUTABLE: left as it is: outside the scope of "
            "remediation",
            "first_seen_time": FINISHED,
            "last_seen_time": FINISHED,
        },
        "remediation": event["remediation"],
        "resources": [
            {
                "type": "AWS::ECR::Repository",
                "uid": f"arn:aws:ecr:{REGION}:{ACCOUNT_ID}:repository/product-a/service-one",
                "name": "product-a/service-one",
                "region": REGION,
                "cloud_partition": "aws",
                "data": {"image_tag_mutability": "MUTABLE"},
            }
        ],
    }


@pytest.mark.parametrize(
    ("item", "expected"),
    [
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
    ],
)
def test_how_a_finding_stands(item: Finding, expected: tuple[str, int, str, str]) -> None:
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
    [closed] = events(replace(report(), since_last=since))
    assert closed["activity_name"] == "Close"
    assert closed["finding_info"]["uid"] == before["finding_info"]["uid"]
    assert closed["resources"][0]["uid"] == before["resources"][0]["uid"]


def test_without_an_organization() -> None:
    [event] = events(report([finding()], organization_id=None))
    assert "org" not in event["cloud"]


def test_an_account_that_was_not_asked_for_its_place() -> None:
    since = since_last(resolved=[earlier("gone", account_id="777788889999")])
    [event] = events(replace(report(), since_last=since))
    assert event["cloud"]["org"] == {"uid": "o-exampleorg"}


def test_a_sweep_without_findings_is_an_empty_file() -> None:
    assert render(report()) == b""
    early = ended_early(run(), Failed(Stage.ENUMERATE, Reason.TIMED_OUT, "slow"))
    assert render(early) == b""


def test_the_version_is_that_of_the_library() -> None:
    assert VERSION == OCSF_VERSION


def test_hostile_text_stays_in_its_event() -> None:
    item = hostile_report()
    found = events(item)
    assert len(found) == 2 * len(HOSTILE)
    text = render(item).decode()
    assert not any(hidden(character) for character in text.replace("\n", ""))
    assert max(map(len, text.splitlines())) < 20_000
    assert len({each["finding_info"]["uid"] for each in found}) == len(found)


def test_the_same_facts_give_the_same_bytes() -> None:
    items = [finding(name) for name in ("c", "a", "b")]
    assert render(report(items)) == render(report(items[::-1]))
