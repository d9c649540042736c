"""Writing: everything that was planned, once, where it is allowed, and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import (
    Ended,
    Here,
    Key,
    calls,
    changes,
    found,
    open_repositories,
    run,
    small_world,
    writes,
)
from tests.fake_aws.process import FakeAws, RepositoryState
from tests.fake_aws.world import Deny, Registry, Repository, Role

ALLOWED = ["latest"]
MANY = {"SWEEPER_REMEDIATION__MAX_CHANGES": "100000"}


@dataclasses.dataclass(frozen=True)
class Swept:
    first: Ended
    second: Ended
    before: dict[Key, RepositoryState]
    after: dict[Key, RepositoryState]
    untouched: bool
    written: list[dict[str, Any]]
    written_again: list[dict[str, Any]]


@pytest.fixture(scope="module")
def swept(aws: FakeAws, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    world = small_world()
    special = Registry(
        account=world.accounts[1].id,
        region="us-east-1",
        repositories=(
            Repository("kept", "IMMUTABLE_WITH_EXCLUSION", ("latest",)),
            Repository("narrowed", "IMMUTABLE_WITH_EXCLUSION", ("latest", "pr-*")),
            Repository("turned", "MUTABLE_WITH_EXCLUSION", ("latest",)),
        ),
    )
    large = Registry(account=world.accounts[2].id, region="eu-west-1", count=1100)
    aws.load(dataclasses.replace(world, registries=(special, large)))
    config = {"policy": {"allowed_exclusions": ALLOWED}}
    directory = tmp_path_factory.mktemp("written")
    everything = {(each.account, each.region, each.name): each for each in aws.repositories()}
    before = open_repositories(aws, ALLOWED)
    first = run(aws, directory / "first", config=config, **MANY)
    written = writes(aws)
    after = {(each.account, each.region, each.name): each for each in aws.repositories()}
    second = run(aws, directory / "second", config=config, **MANY)
    return Swept(
        first,
        second,
        before,
        after,
        all(after[key] == each for key, each in everything.items() if key not in before),
        written,
        writes(aws)[len(written) :],
    )


def _expected(before: RepositoryState) -> tuple[str, tuple[str, ...]]:
    kept = tuple(text for text in before.exclusion_filters if text in ALLOWED)
    if before.mutability == "IMMUTABLE_WITH_EXCLUSION" and kept:
        return "IMMUTABLE_WITH_EXCLUSION", kept
    return "IMMUTABLE", ()


def test_every_planned_write_is_made_once_and_is_right(swept: Swept) -> None:
    made = [
        (
            (each["account"], each["region"], each["repository"]),
            (each["mutability"], tuple(item["filter"] for item in each["filters"] or ())),
        )
        for each in swept.written
    ]
    assert len(made) == len(swept.before) > 500
    assert dict(made) == {key: _expected(each) for key, each in swept.before.items()}
    assert all(each["accepted"] for each in swept.written)


def test_the_filters_of_a_mutable_repository_are_dropped_and_allowed_ones_kept(
    swept: Swept,
) -> None:
    after = {key[2]: each for key, each in swept.after.items()}
    assert (after["turned"].mutability, after["turned"].exclusion_filters) == ("IMMUTABLE", ())
    assert after["narrowed"].mutability == "IMMUTABLE_WITH_EXCLUSION"
    assert after["narrowed"].exclusion_filters == ("latest",)
    assert after["kept"].exclusion_filters == ("latest",)


def test_afterwards_everything_is_compliant(swept: Swept) -> None:
    assert {key: _expected(each) for key, each in swept.before.items()} == {
        key: (swept.after[key].mutability, swept.after[key].exclusion_filters)
        for key in swept.before
    }
    assert swept.untouched


def test_the_report_says_what_was_written(swept: Swept) -> None:
    report = swept.first.report
    assert found(report) == set(swept.before)
    assert changes(report) == {("applied", None)}
    totals = report["totals"]
    assert totals["changes"] == {
        "planned": len(swept.before),
        "applied": len(swept.before),
        "failed": 0,
        "withheld": 0,
        "superseded": 0,
    }
    assert totals["remaining"] == 0
    assert swept.first.status == 0
    applied = [entry for entry in swept.first.logs if entry["event"] == "change.applied"]
    assert len(applied) == len(swept.before)


def test_a_second_run_plans_nothing(swept: Swept) -> None:
    assert swept.second.report["findings"] == []
    assert swept.second.report["totals"]["changes"]["planned"] == 0
    assert swept.written_again == []
    assert swept.second.status == 0


def test_nothing_outside_the_write_scope_is_written(aws: FakeAws, here: Here) -> None:
    world = small_world(regions=2)
    workloads = {"ou-fake-00000002", "ou-fake-00000003", "ou-fake-00000004", "ou-fake-00000005"}
    inside = {account.id for account in world.accounts if account.parent in workloads}
    assert 0 < len(inside) < len(world.accounts)
    aws.load(world)
    before = open_repositories(aws)
    config = {"remediation": {"include_ous": ["ou-fake-00000002"]}}
    ended = here.run(aws, config=config)
    assert {each["account"] for each in writes(aws)} == inside
    assert len(writes(aws)) == sum(key[0] in inside for key in before)
    outside = {key for key in before if key[0] not in inside}
    assert set(open_repositories(aws)) == outside
    unchanged = {
        (item["account_id"], item["region"], item["repository"])
        for item in ended.report["findings"]
        if item["change"] is None
    }
    assert unchanged == outside
    assert ended.status == 3
    # Nor could it have been: only those sessions may write.
    writable = {
        each["account"]
        for each in aws.statistics().assume_role
        if "ecr:PutImageTagMutability" in each["policy"]
    }
    assert writable == inside


def test_a_plan_above_the_cap_changes_nothing(aws: FakeAws, here: Here) -> None:
    aws.load(small_world(accounts=3, regions=2))
    ended = here.run(aws, config={"remediation": {"max_changes": 3}})
    assert writes(aws) == []
    assert changes(ended.report) == {("withheld", "max_changes")}
    assert ended.report["totals"]["changes"]["withheld"] == len(open_repositories(aws)) > 3
    assert ended.status == 3


def test_coverage_below_the_floor_changes_nothing(aws: FakeAws, tmp_path: Path) -> None:
    world = small_world(accounts=4, regions=1)
    closed = dataclasses.replace(world.accounts[1], role=Role(exists=False))
    aws.load(dataclasses.replace(world, accounts=(closed, *world.accounts[2:], world.accounts[0])))
    config = {"remediation": {"min_coverage": 0.8}}
    ended = run(aws, tmp_path / "below", config=config)
    assert writes(aws) == []
    assert changes(ended.report) == {("withheld", "min_coverage")}
    assert ended.status == 4

    reached = run(aws, tmp_path / "reached", config={"remediation": {"min_coverage": 0.75}})
    assert changes(reached.report) == {("applied", None)}
    assert reached.status == 4


def test_nothing_is_written_when_remediation_is_off(aws: FakeAws, here: Here) -> None:
    aws.load(small_world(accounts=2, regions=1))
    ended = here.run(aws, AUTO_REMEDIATE="DISABLED")
    assert writes(aws) == []
    assert all(finding["change"] is None for finding in ended.report["findings"])
    assert ended.status == 3


def test_nothing_is_written_for_a_check_that_may_not_write(aws: FakeAws, here: Here) -> None:
    aws.load(small_world(accounts=2, regions=1))
    ended = here.run(aws, config={"remediation": {"checks": []}})
    assert writes(aws) == []
    assert all(finding["change"] is None for finding in ended.report["findings"])
    assert not [each for each in aws.statistics().assume_role if "ecr:Put" in each["policy"]]
    assert ended.status == 3


def test_after_one_denied_write_an_account_is_left_alone(aws: FakeAws, here: Here) -> None:
    world = small_world(accounts=2, regions=1, repositories_per_target=20)
    denied = world.accounts[1]
    deny = Deny(
        accounts=(denied.id,), actions=("ecr:PutImageTagMutability",), kind="identity_policy"
    )
    aws.load(dataclasses.replace(world, denies=(deny,)))
    ended = here.run(aws)
    refused = [each for each in writes(aws) if each["account"] == denied.id]
    assert len(refused) == 1
    outcomes = [
        item["change"]["reason"]
        for item in ended.report["findings"]
        if item["account_id"] == denied.id
    ]
    assert sorted(set(outcomes)) == ["denied_by_identity_policy", "write_not_permitted"]
    assert outcomes.count("denied_by_identity_policy") == 1
    others = {key[0] for key in open_repositories(aws)}
    assert others == {denied.id}
    assert ended.status == 3


def test_a_cached_repository_is_exempt(aws: FakeAws, here: Here) -> None:
    world = small_world(accounts=1, regions=1)
    repositories = (Repository("docker-hub/nginx"), Repository("plain"))
    registry = {
        "repositories": [dataclasses.asdict(each) for each in repositories],
        "pull_through_rules": [{"prefix": "docker-hub"}],
    }
    aws.load({**world.to_json(), "registries": [registry]})
    ended = here.run(aws)
    assert [each["repository"] for each in writes(aws)] == ["plain"]
    assert {key[2] for key in found(ended.report, "exempt")} == {"docker-hub/nginx"}
    assert calls(aws)["ecr:DescribePullThroughCacheRules"] == 1
    assert ended.status == 0
