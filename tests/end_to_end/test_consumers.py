"""Findings where they are consumed: Security Hub, OCSF, JUnit, SNS subscribers, owner tags."""

from __future__ import annotations

import csv
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.end_to_end.harness import Here, calls, found, small_world
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault, World

HUB = "us-east-2"
AUDIT = {"auto_remediate": "DISABLED"}


def _world(**changes: Any) -> World:
    return small_world(accounts=3, regions=2, security_hub_regions=(HUB,), **changes)


def _deliveries(stdout: str) -> dict[str, Any]:
    return {each["sink"]: each for each in json.loads(stdout)["deliveries"]}


def _hub(aws: FakeAws) -> dict[tuple[str, ...], tuple[str, str]]:
    """Account, region, repository of each resource -> how its finding stands."""
    stands: dict[tuple[str, ...], tuple[str, str]] = {}
    for each in aws.findings():
        _, _, _, region, account, name = each["Resources"][0]["Id"].split(":")
        repository = name.removeprefix("repository/")
        stands[account, region, repository] = (each["Compliance"]["Status"], each["RecordState"])
    return stands


def test_security_hub_follows_the_sweeps(aws: FakeAws, here: Here) -> None:
    world = _world()
    aws.load(world)
    config: dict[str, Any] = {"remediation": AUDIT, "report": {"security_hub": {"region": HUB}}}
    first = here.run(aws, "--format", "json", config=config)
    delivery = _deliveries(first.stdout)["security_hub"]
    assert (delivery["status"], delivery["location"]) == ("delivered", f"Security Hub in {HUB}")
    assert _hub(aws) == dict.fromkeys(found(first.report), ("FAILED", "ACTIVE"))
    assert {each["AwsAccountId"] for each in aws.findings()} == {world.caller.account}

    # A finding is updated by one of a later second.
    while f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}" <= first.report["run"]["finished_at"]:
        time.sleep(0.01)
    second = here.run(aws, "--format", "json", config={**config, "remediation": {}})
    assert second.report["totals"]["remaining"] == 0
    assert _hub(aws) == dict.fromkeys(found(first.report), ("PASSED", "ARCHIVED"))


@pytest.mark.parametrize("regions", [2, 1], ids=["not enabled", "nor the region"])
def test_a_hub_that_is_not_there_is_told_and_costs_no_other_delivery(
    aws: FakeAws, here: Here, regions: int
) -> None:
    world = small_world(accounts=2, regions=regions)
    aws.load(world)
    report = {"security_hub": {"region": HUB}, "sns_topic_arn": world.topics[0]}
    ended = here.run(aws, "--format", "json", config={"report": report})
    delivery = _deliveries(ended.stdout)["security_hub"]
    assert (delivery["status"], delivery["reason"]) == ("failed", "destination_missing")
    assert f"Security Hub is not enabled in {HUB}" in delivery["message"]
    assert ended.status == 5
    (message,) = aws.messages()
    assert f"The findings could NOT be delivered to Security Hub in {HUB}" in message["message"]
    assert "The full report: " in message["message"]


def test_a_dry_run_imports_nothing_unless_it_is_told_to_deliver(aws: FakeAws, here: Here) -> None:
    aws.load(_world())
    config = {"report": {"security_hub": {"region": HUB}}}
    here.run(aws, "--dry-run", config=config)
    assert aws.findings() == []
    ended = here.run(aws, "--dry-run", "--deliver", config=config)
    assert set(_hub(aws).values()) == {("FAILED", "ACTIVE")}
    assert len(aws.findings()) == ended.report["totals"]["remaining"] > 0


def test_a_region_that_there_is_not_is_refused_before_anything_is_called(
    aws: FakeAws, here: Here
) -> None:
    aws.load(_world())
    ended = here.run(aws, config={"report": {"security_hub": {"region": "eu-central-9"}}})
    assert ended.status == 2
    assert "report.security_hub.region: 'eu-central-9' is not a region" in ended.stderr
    assert calls(aws) == {}


def test_subscribers_get_what_they_can_read(aws: FakeAws, here: Here) -> None:
    world = _world()
    aws.load(world)
    report = {"sns_topic_arn": world.topics[0], "formats": ["json", "csv", "junit", "ocsf"]}
    ended = here.run(aws, config={"remediation": AUDIT, "report": report})
    (message,) = aws.messages()
    scope, first, *_ = message["message"].splitlines()
    assert scope.startswith("Scope: ")
    assert first.startswith("Image tags could be overwritten in ")
    assert message["attributes"] == {
        "non_compliant": {
            "DataType": "Number",
            "StringValue": str(len(found(ended.report))),
        },
        "coverage_incomplete": {"DataType": "String", "StringValue": "false"},
        "run_id": {"DataType": "String", "StringValue": ended.report["run"]["id"]},
    }
    told = json.loads(message["by_protocol"]["sqs"])
    assert told["totals"] == ended.report["totals"]
    assert found(told) <= found(ended.report)
    assert len(told["findings"]) + told["findings_left_out"] == len(ended.report["findings"])

    folder = ended.directory / "out"
    root = ET.fromstring((folder / "report.junit.xml").read_bytes())
    failing = {
        case.get("name") for case in root.iter("testcase") if case.find("failure") is not None
    }
    assert failing == {repository for _, _, repository in found(ended.report)}
    events = [
        json.loads(line) for line in (folder / "report.ocsf.jsonl").read_text("utf-8").splitlines()
    ]
    assert {
        (event["cloud"]["account"]["uid"], event["cloud"]["region"], event["resources"][0]["name"])
        for event in events
    } == found(ended.report)


OWNERS = {"report": {"account_tags": ["team"]}, "remediation": AUDIT}


def test_owners_stand_beside_the_findings_and_only_they_are_asked_for(
    aws: FakeAws, here: Here
) -> None:
    world = _world()
    quiet = world.accounts[2].id
    closed = {"account": quiet, "repositories": [{"name": "closed", "mutability": "IMMUTABLE"}]}
    aws.load({**world.to_json(), "registries": [closed]})
    ended = here.run(aws, config=OWNERS)
    expected = {account.id: dict(account.tags) for account in world.accounts}
    expected[quiet] = {}
    assert {item["id"]: item["tags"] for item in ended.report["accounts"]} == expected
    assert ended.report["account_tags_unavailable"] is None
    assert calls(aws)["organizations:ListTagsForResource"] == 2
    with (ended.directory / "out" / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["account_id"], row["tag:team"]) for row in rows} == {
        (account.id, account.tags["team"]) for account in world.accounts[:2]
    }


def test_the_owner_of_what_was_resolved_is_asked_for(aws: FakeAws, here: Here) -> None:
    world = _world()
    aws.load(world)
    here.run(aws, config=OWNERS)
    fixed = world.accounts[2].id
    closed = {"account": fixed, "repositories": [{"name": "closed", "mutability": "IMMUTABLE"}]}
    aws.load({**world.to_json(), "registries": [closed]})
    ended = here.run(aws, config=OWNERS)
    assert {item["account_id"] for item in ended.report["since_last"]["resolved"]} == {fixed}
    tags = {item["id"]: item["tags"] for item in ended.report["accounts"]}
    assert tags == {account.id: dict(account.tags) for account in world.accounts}


def test_ous_have_their_names_and_accounts_that_fail_have_theirs(
    aws: FakeAws, here: Here, tmp_path: Path
) -> None:
    world = small_world(accounts=6, regions=1)
    aws.load(world)
    lost = world.accounts[1]
    aws.faults([Fault("access_denied", service="sts", account=lost.id)])
    config = {"report": {"formats": ["json", "csv", "text"]}, "remediation": AUDIT}
    ended = here.run(aws, config=config)
    names = {unit.id: unit.name for unit in world.units}
    for account in ended.report["accounts"]:
        path = account["ou_path"].split("/")[1:]
        expected = "/".join(names[ou] for ou in path) if path else None
        assert account["ou_names"] == expected, account
    assert any(account["ou_names"] for account in ended.report["accounts"])
    (of_lost,) = [each for each in ended.report["accounts"] if each["id"] == lost.id]
    assert (of_lost["name"], of_lost["regions"]) == (lost.name, {})
    assert f"{lost.id} ({lost.name})" in (tmp_path / "out" / "report.txt").read_text("utf-8")
    with (tmp_path / "out" / "report.csv").open(encoding="utf-8", newline="") as file:
        (row,) = [each for each in csv.DictReader(file) if each["record"] == "failure"]
    assert (row["account_name"], row["ou"]) == (
        lost.name,
        of_lost["ou_names"] or of_lost["ou_path"],
    )


def test_ou_names_that_cannot_be_read_are_logged_and_cost_nothing(aws: FakeAws, here: Here) -> None:
    aws.load(small_world(accounts=6, regions=1))
    aws.faults([Fault("access_denied", operation="DescribeOrganizationalUnit")])
    ended = here.run(aws, config={"remediation": AUDIT})
    assert ended.status == 3
    (event,) = [each for each in ended.logs if each["event"] == "ou_names.unavailable"]
    assert event["reason"].startswith("denied")
    for account in ended.report["accounts"]:
        assert (account["ou_names"] or "") in account["ou_path"]


def test_without_the_option_no_tags_are_read(aws: FakeAws, here: Here) -> None:
    aws.load(_world())
    here.run(aws, config={"remediation": AUDIT})
    assert "organizations:ListTagsForResource" not in calls(aws)


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_tags_that_cannot_be_read_cost_nothing_but_themselves(
    aws: FakeAws, here: Here, tmp_path: Path, options: tuple[str, ...]
) -> None:
    aws.load(_world())
    aws.faults([Fault("access_denied", operation="ListTagsForResource")])
    config = {**OWNERS, "report": {"account_tags": ["team"], "formats": ["json", "text"]}}
    ended = here.run(aws, *options, config=config)
    assert ended.status == 3
    assert ended.report["coverage"]["complete"] is True
    assert ended.report["failures"] == []
    why = ended.report["account_tags_unavailable"]
    assert why.startswith("of 3 of 3 accounts: denied, AccessDeniedException: User: ")
    text = (tmp_path / "out" / "report.txt").read_text(encoding="utf-8")
    assert "The account tags could not be read of 3 of 3 accounts" in text
