"""What a program must not write: withheld where nobody granted it, or a cache may need it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from tests.end_to_end.harness import Here, changes, open_repositories, run, small_world, writes
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Deny, Repository, Role, World

READ_ONLY = Role(actions=("account:ListRegions", "ecr:Describe*"))
CLOSE = "ecr:PutImageTagMutability"


def of(report: Any, account: str) -> list[dict[str, Any]]:
    return [finding["change"] for finding in report["findings"] if finding["account_id"] == account]


def read_only_world() -> World:
    world = small_world(accounts=3, regions=2, repositories_per_target=10)
    poor = dataclasses.replace(world.accounts[1], role=READ_ONLY)
    return dataclasses.replace(world, accounts=(world.accounts[0], poor, world.accounts[2]))


def test_where_no_write_is_granted_the_accounts_changes_are_withheld(
    aws: FakeAws, tmp_path: Path
) -> None:
    world = read_only_world()
    poor = world.accounts[1].id
    aws.load(world)
    ended = run(aws, tmp_path, config={"limits": {"max_workers": 1}})
    told = of(ended.report, poor)
    assert {(each["status"], each["reason"]) for each in told} == {
        ("withheld", "write_not_granted")
    }
    assert len(told) > 1
    assert len([each for each in writes(aws) if each["account"] == poor]) == 1
    assert sum("no identity-based policy allows" in each["error"] for each in told) == 1
    totals = ended.report["totals"]["changes"]
    assert (totals["failed"], totals["withheld"]) == (0, len(told))
    assert {key[0] for key in open_repositories(aws)} == {poor}
    assert ended.status == 3
    events = [line["event"] for line in ended.logs]
    assert events.count("change.withheld") == len(told)
    assert "change.failed" not in events


def test_an_explicit_deny_of_the_roles_own_policy_fails(aws: FakeAws, tmp_path: Path) -> None:
    deny = Deny(actions=(CLOSE,), kind="identity_policy")
    aws.load(small_world(accounts=1, regions=1, repositories_per_target=10, denies=(deny,)))
    ended = run(aws, tmp_path)
    assert changes(ended.report) == {
        ("failed", "denied_by_identity_policy"),
        ("failed", "write_not_permitted"),
    }


def test_a_permission_that_an_account_has_in_some_regions_only_fails_in_the_others(
    aws: FakeAws, tmp_path: Path
) -> None:
    world = small_world(accounts=1, regions=2, repositories_per_target=10)
    closed = list(world.regions)[1]
    deny = Deny(actions=(CLOSE,), regions=(closed,), kind="identity_policy", implicit=True)
    aws.load(dataclasses.replace(world, denies=(deny,)))
    ended = run(aws, tmp_path, config={"limits": {"max_workers": 1}})
    by_region = {
        region: {
            (each["change"]["status"], each["change"]["reason"])
            for each in ended.report["findings"]
            if each["region"] == region
        }
        for region in list(world.regions)[:2]
    }
    assert by_region.pop(closed) == {
        ("failed", "denied_by_identity_policy"),
        ("failed", "write_not_permitted"),
    }
    assert list(by_region.values()) == [{("applied", None)}]


def test_preflight_says_so_too(aws: FakeAws, here: Here) -> None:
    world = read_only_world()
    aws.load(world)
    ended = here.command(aws, "preflight", "--format", "json", config={})
    (problem,) = (
        each
        for each in json.loads(ended.stdout)["problems"]
        if each["reason"] == "write_not_granted"
    )
    assert (problem["kind"], problem["answer"], problem["actions"]) == ("write", "denied", [CLOSE])
    assert problem["accounts"] == [world.accounts[1].id]
    assert problem["whole_accounts"]
    assert "AllowRemediation=true" in problem["remedy"]


def test_a_root_rule_leaves_what_it_may_fill_to_a_person(aws: FakeAws, tmp_path: Path) -> None:
    world = small_world(accounts=1, regions=1)
    names = ("docker-hub/nginx", "library/redis", "plain")
    registry = {
        "repositories": [dataclasses.asdict(Repository(name)) for name in names],
        "pull_through_rules": [{"prefix": "ROOT"}, {"prefix": "docker-hub"}],
    }
    aws.load({**world.to_json(), "registries": [registry]})
    ended = run(aws, tmp_path / "heeded")
    assert writes(aws) == []
    told = {
        item["repository"]: item["change"] and item["change"]["reason"]
        for item in ended.report["findings"]
    }
    assert told == {
        "docker-hub/nginx": None,  # exempt
        "library/redis": "manual_review_required",
        "plain": "manual_review_required",
    }
    assert ended.status == 3

    ended = run(aws, tmp_path / "ignored", config={"remediation": {"ignore_root_cache_rule": True}})
    assert sorted(each["repository"] for each in writes(aws)) == ["library/redis", "plain"]
    assert ended.status == 0
