"""What happens behind the sweep's back, each alone: it has its reason, and nothing else is lost.

One call at a time, so that what happens after so many calls happens at a known place.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.end_to_end.harness import Ended, Here, failures, open_repositories, small_world, writes
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Event, EventAction, Registry, Repository

WORLD = small_world(accounts=4, regions=3)
VICTIM = WORLD.accounts[1]
SCOPE, ELSEWHERE = "ou-fake-00000001", "ou-fake-00000006"
INSIDE = dataclasses.replace(VICTIM, parent=SCOPE)
# Account by account, each beginning at another region: that of the second account.
REGIONS = ("us-east-2", "us-west-1", "us-east-1")
EXAMINED_ONE: dict[str, Any] = {
    "operation": "DescribeRepositories",
    "caller": VICTIM.id,
    "after": 1,
}
EXAMINED_ALL: dict[str, Any] = {**EXAMINED_ONE, "after": len(REGIONS)}
# Without pull-through cache rules a target is one call, and a change is two.
PLAIN = {"limits": {"max_workers": 1}, "policy": {"exempt_pull_through_cache": False}}


def swept(
    aws: FakeAws, here: Here, *events: Event, config: Mapping[str, Any] | None = None
) -> Ended:
    """Sweep WORLD, or what is loaded in its place, while the events happen."""
    aws.events(events)
    ended = here.run(aws, config={**PLAIN, **(config or {})})
    assert "internal_error" not in ended.stderr
    others = {each.id for each in WORLD.accounts} - {VICTIM.id}
    summaries = {item["id"]: set(item["regions"]) for item in ended.report["accounts"]}
    assert all(summaries[account] == set(REGIONS) for account in others)
    assert not others & {key[0] for key in open_repositories(aws)}
    return ended


def changes_of_the_victim(ended: Ended) -> set[tuple[str, str, str | None]]:
    """Region, status and reason of the changes in the account to which something happened."""
    return {
        (item["region"], item["change"]["status"], item["change"]["reason"])
        for item in ended.report["findings"]
        if item["account_id"] == VICTIM.id
    }


# Before the first write the accounts are listed again, which tells of those that were closed.
LOST = {"delete_role": ("failed", "access_lost"), "close_account": ("superseded", "account_closed")}


@pytest.mark.parametrize("action", ["delete_role", "close_account"])
def test_access_that_is_lost_while_looking(aws: FakeAws, here: Here, action: EventAction) -> None:
    aws.load(WORLD)
    ended = swept(aws, here, Event(action, account=VICTIM.id, **EXAMINED_ONE))
    first, *rest = REGIONS
    assert failures(ended.report) == {(VICTIM.id, region, "access_lost") for region in rest}
    assert changes_of_the_victim(ended) == {(first, *LOST[action])}
    assert ended.status == 4


@pytest.mark.parametrize("action", ["delete_role", "close_account"])
def test_access_that_is_lost_before_writing(aws: FakeAws, here: Here, action: EventAction) -> None:
    aws.load(WORLD)
    ended = swept(aws, here, Event(action, account=VICTIM.id, **EXAMINED_ALL))
    assert failures(ended.report) == set()
    assert changes_of_the_victim(ended) == {(region, *LOST[action]) for region in REGIONS}
    assert not any(each["account"] == VICTIM.id for each in writes(aws))
    assert ended.status == 3


@pytest.mark.parametrize("when", [EXAMINED_ONE, EXAMINED_ALL], ids=["looking", "writing"])
def test_sessions_that_end_early_are_renewed_once(
    aws: FakeAws, here: Here, when: dict[str, Any]
) -> None:
    aws.load(WORLD)
    ended = swept(aws, here, Event("expire_sessions", account=VICTIM.id, **when))
    assert ended.report["failures"] == []
    assert {status for _, status, _ in changes_of_the_victim(ended)} == {"applied"}
    assert open_repositories(aws) == {}
    assert aws.statistics().assume_roles[VICTIM.id] == 2
    assert ended.status == 0


def test_a_region_that_is_disabled_while_looking(aws: FakeAws, here: Here) -> None:
    aws.load(WORLD)
    gone = REGIONS[1]
    ended = swept(
        aws, here, Event("disable_region", account=VICTIM.id, region=gone, **EXAMINED_ONE)
    )
    assert failures(ended.report) == {(VICTIM.id, gone, "region_not_enabled")}
    assert changes_of_the_victim(ended) == {
        (region, "applied", None) for region in REGIONS if region != gone
    }
    assert aws.statistics().assume_roles[VICTIM.id] <= 2
    assert ended.status == 4


def test_a_region_that_is_disabled_before_writing(aws: FakeAws, here: Here) -> None:
    aws.load(WORLD)
    gone = REGIONS[1]
    ended = swept(
        aws, here, Event("disable_region", account=VICTIM.id, region=gone, **EXAMINED_ALL)
    )
    assert ended.report["failures"] == []
    assert changes_of_the_victim(ended) == {
        (region, *(("failed", "region_not_enabled") if region == gone else ("applied", None)))
        for region in REGIONS
    }
    assert ended.status == 3


@pytest.mark.parametrize("seconds", [1200, -1200], ids=["behind", "ahead"])
def test_a_clock_that_is_wrong(aws: FakeAws, here: Here, seconds: float) -> None:
    aws.load(WORLD)
    aws.events([Event("shift_clock", seconds=seconds, **EXAMINED_ONE)])
    report = {"s3": {"bucket": WORLD.buckets[0].name}}
    ended = here.run(aws, "--format", "json", config={**PLAIN, "report": report})
    assert {reason for _, _, reason in failures(ended.report)} == {"clock_skew"}
    failed = sum(item["targets"] or 1 for item in ended.report["failures"])
    assert failed == len(WORLD.accounts) * len(REGIONS) - len(REGIONS) - 1
    assert all("15 min" in item["message"] for item in ended.report["failures"])
    deliveries = {item["sink"]: item["reason"] for item in json.loads(ended.stdout)["deliveries"]}
    assert deliveries == {"directory": None, "s3": "clock_skew"}
    assert ended.status == 5


def test_a_clock_that_is_wrong_from_the_start(aws: FakeAws, here: Here) -> None:
    aws.load(WORLD)
    aws.events([Event("shift_clock", seconds=1200)])
    ended = here.run(aws)
    assert failures(ended.report) == {(None, None, "clock_skew")}


def _with_one_open_repository() -> dict[str, Any]:
    registry = Registry(account=VICTIM.id, repositories=(Repository("open"),))
    return dataclasses.replace(WORLD, registries=(registry,)).to_json()


@pytest.mark.parametrize("reread", [0, pytest.param(1)], ids=["before the re-read", "after it"])
def test_a_repository_that_is_deleted_between_plan_and_write(
    aws: FakeAws, here: Here, reread: int
) -> None:
    aws.load(_with_one_open_repository())
    when = {**EXAMINED_ALL, "after": len(REGIONS) + reread}
    place = REGIONS[0]
    ended = swept(
        aws,
        here,
        Event("delete_repository", account=VICTIM.id, region=place, repository="open", **when),
    )
    assert changes_of_the_victim(ended) == {
        (region, "applied", None) for region in REGIONS if region != place
    } | {(place, "superseded", "repository_deleted")}
    assert ended.report["totals"]["remaining"] == 0
    assert ended.status == 0


def _inside_the_scope() -> dict[str, Any]:
    members = tuple(
        INSIDE if each.id == VICTIM.id else dataclasses.replace(each, parent=SCOPE)
        for each in WORLD.accounts
    )
    return dataclasses.replace(WORLD, accounts=members).to_json()


@pytest.mark.parametrize("give_paths", [True, False], ids=["paths", "walked"])
@pytest.mark.parametrize("when", [EXAMINED_ONE, EXAMINED_ALL], ids=["looking", "looked"])
def test_an_account_that_leaves_the_write_scope(
    aws: FakeAws, here: Here, when: dict[str, Any], give_paths: bool
) -> None:
    aws.load({**_inside_the_scope(), "give_paths": give_paths})
    event = Event("move_account", account=VICTIM.id, parent=ELSEWHERE, **when)
    ended = swept(aws, here, event, config={"remediation": {"include_ous": [SCOPE]}})
    assert not any(each["account"] == VICTIM.id for each in writes(aws))
    assert changes_of_the_victim(ended) == {
        (region, "superseded", "account_moved") for region in REGIONS
    }
    assert ended.report["failures"] == []
    assert ended.status == 3


def test_an_account_that_moves_within_the_write_scope_is_closed(aws: FakeAws, here: Here) -> None:
    aws.load(WORLD)
    event = Event("move_account", account=VICTIM.id, parent=ELSEWHERE, **EXAMINED_ALL)
    ended = swept(aws, here, event, config={"remediation": {"include_ous": [WORLD.root_id]}})
    assert {status for _, status, _ in changes_of_the_victim(ended)} == {"applied"}
    assert ended.status == 0


@pytest.mark.parametrize("when", [EXAMINED_ONE, EXAMINED_ALL], ids=["looking", "looked"])
def test_an_account_that_leaves_the_organization(
    aws: FakeAws, here: Here, when: dict[str, Any]
) -> None:
    aws.load(WORLD)
    ended = swept(aws, here, Event("remove_account", account=VICTIM.id, **when))
    assert not any(each["account"] == VICTIM.id for each in writes(aws))
    assert changes_of_the_victim(ended) == {
        (region, "superseded", "account_left") for region in REGIONS
    }
    assert ended.report["failures"] == []
    assert ended.status == 3
