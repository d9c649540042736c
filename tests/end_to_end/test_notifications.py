"""Findings where teams work: events, a chat channel, and a message for each owner."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.end_to_end.harness import Here, found, small_world
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault, World

HOME = "us-east-1"
AUDIT = {"auto_remediate": "DISABLED"}


def world(**changes: Any) -> World:
    """Three accounts of two teams, a bus and three topics."""
    made = small_world(accounts=3, regions=2, **changes)
    central = made.caller.account
    data = made.to_json()
    data["event_buses"] = [f"arn:aws:events:{HOME}:{central}:event-bus/findings"]
    data["topics"] = [*made.topics, f"arn:aws:sns:{HOME}:{central}:chat"]
    return World.from_json(data)


def configured(item: World, **more: Any) -> dict[str, Any]:
    return {
        "remediation": AUDIT,
        "report": {
            "directory": "out",
            "sns_topic_arn": item.topics[0],
            "chat_topic_arn": item.topics[1],
            "event_bus": item.event_buses[0],
            "account_tags": ["team"],
            "owner_tag": "team",
            **more,
        },
    }


def deliveries(report: Any) -> dict[str, tuple[str, str | None]]:
    return {each["sink"]: (each["status"], each["reason"]) for each in report["deliveries"]}


def changes(aws: FakeAws) -> Counter[str]:
    return Counter(entry["Detail"].get("change", "run") for entry in aws.put_events())


def run(aws: FakeAws, here: Here, config: dict[str, Any]) -> Any:
    ended = here.command(aws, "run", "--yes", "--format", "json", config=config)
    return ended, json.loads(ended.stdout)


@pytest.mark.slow
def test_two_sweeps_and_what_changed_between_them(aws: FakeAws, here: Here) -> None:
    item = world()
    aws.load(item)
    ended, first = run(aws, here, configured(item))
    assert ended.status == 3
    everything = dict.fromkeys(
        ("directory", "event_bus", "owners", "chat", "sns"), ("delivered", None)
    )
    assert deliveries(first) == everything
    mutable = found(first)
    assert changes(aws) == {"new": len(mutable), "run": 1}
    [whole] = [entry for entry in aws.put_events() if "change" not in entry["Detail"]]
    assert whole["Detail"]["totals"]["remaining"] == len(mutable)
    assert whole["Detail"]["report"] == "out"
    by_topic: dict[str, list[Any]] = {}
    for message in aws.messages():
        by_topic.setdefault(message["topic_arn"].rpartition(":")[2], []).append(message)
    [chat] = by_topic["chat"]
    assert json.loads(chat["message"])["source"] == "custom"
    teams = {each["attributes"]["owner"]["StringValue"] for each in by_topic["sweeper"][:-1]}
    assert teams == {account.tags["team"] for account in item.accounts}
    assert "owner" not in by_topic["sweeper"][-1]["attributes"]

    ended, _ = run(aws, here, {**configured(item), "remediation": {}})
    assert ended.status == 0
    assert changes(aws) == {"new": len(mutable), "run": 2}  # still open before they were fixed
    ended, third = run(aws, here, configured(item))
    assert changes(aws) == {"new": len(mutable), "resolved": len(mutable), "run": 3}
    assert deliveries(third)["owners"] == deliveries(third)["chat"] == ("not_needed", None)


@pytest.mark.slow
def test_entries_that_are_refused_cost_no_other_and_are_said(aws: FakeAws, here: Here) -> None:
    item = world(throttled_entries=3)
    aws.load(item)
    config = configured(item)
    ended, report = run(aws, here, config)
    assert deliveries(report)["event_bus"] == ("failed", "throttled")
    assert ended.status == 5
    [message] = [each for each in aws.messages() if "owner" not in each["attributes"]][-1:]
    assert "The events could NOT be delivered" in message["message"]
    # The others were put, each once.
    details = [json.dumps(entry["Detail"], sort_keys=True) for entry in aws.put_events()]
    assert len(details) == len(set(details)) == len(found(report)) + 1 - 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "failed"),
    [
        (Fault("access_denied", service="events"), {"event_bus": "denied"}),
        (
            Fault("access_denied", service="sns"),
            {"owners": "denied", "chat": "denied", "sns": "denied"},
        ),
    ],
)
def test_a_destination_that_is_denied_costs_no_other(
    aws: FakeAws, here: Here, fault: Fault, failed: dict[str, str]
) -> None:
    item = world()
    aws.load(item)
    aws.faults([fault])
    ended, report = run(aws, here, configured(item))
    assert ended.status == 5
    for sink, (status, reason) in deliveries(report).items():
        assert (status, reason) == (
            ("failed", failed[sink]) if sink in failed else ("delivered", None)
        )


@pytest.mark.slow
def test_preflight_asks_each_of_them(aws: FakeAws, here: Here) -> None:
    item = world()
    aws.load(item)
    config = configured(item)
    ended = here.command(aws, "preflight", "--format", "json", config=config)
    asked = {each["key"]: each["answer"] for each in json.loads(ended.stdout)["destinations"]}
    for key in ("report.sns_topic_arn", "report.chat_topic_arn", "report.event_bus"):
        assert asked[key] == "works"
    gone = {"chat_topic_arn": item.topics[0] + "-x", "event_bus": item.event_buses[0] + "-x"}
    ended = here.command(aws, "preflight", "--format", "json", config=configured(item, **gone))
    problems = {each["key"]: each["reason"] for each in json.loads(ended.stdout)["problems"]}
    assert problems == {
        "report.chat_topic_arn": "destination_missing",
        "report.event_bus": "destination_missing",
    }
    assert ended.status == 5
