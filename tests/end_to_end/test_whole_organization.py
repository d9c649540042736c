"""A whole organization: everything is seen, nothing twice, and what cannot be seen is named."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest

from tests.end_to_end.harness import Ended, Key, found, open_repositories, run
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Registry, Role, World

DENIED, SUSPENDED, LARGE = 7, 11, 23  # places in the list of accounts
OUS = 6  # of the fake's organization
EXTRA_PAGES = 2  # 2,500 repositories are three pages of 1,000


@dataclasses.dataclass(frozen=True)
class Sweep:
    ended: Ended
    report: Any
    statistics: dict[str, Any]
    world: World
    truth: set[Key]
    accounts: int
    regions: int

    def account(self, place: int) -> str:
        return self.world.accounts[place].id


def _world(accounts_in_all: int, regions: int) -> World:
    world = World.generate(accounts=accounts_in_all, regions=regions, repositories_per_target=5)
    accounts = list(world.accounts)
    accounts[DENIED] = dataclasses.replace(accounts[DENIED], role=Role(exists=False))
    accounts[SUSPENDED] = dataclasses.replace(accounts[SUSPENDED], state="SUSPENDED")
    registry = Registry(account=accounts[LARGE].id, region="eu-west-1", count=2500)
    return dataclasses.replace(world, accounts=tuple(accounts), registries=(registry,))


@pytest.fixture(
    scope="module",
    params=[(25, 5), pytest.param((100, 17), marks=pytest.mark.slow)],
    ids=lambda size: f"{size[0]} accounts",
)
def sweep(
    request: pytest.FixtureRequest, aws: FakeAws, tmp_path_factory: pytest.TempPathFactory
) -> Sweep:
    world = _world(*request.param)
    aws.load(world)
    directory = tmp_path_factory.mktemp("whole")
    ended = run(aws, directory, "--dry-run", "--format", "json")
    unseen = (world.accounts[DENIED].id, world.accounts[SUSPENDED].id)
    truth = {key for key in open_repositories(aws) if key[0] not in unseen}
    statistics = aws.statistics().data
    return Sweep(ended, json.loads(ended.stdout), statistics, world, truth, *request.param)


def test_exactly_the_open_repositories_are_found(sweep: Sweep) -> None:
    assert found(sweep.report) == sweep.truth
    assert len(sweep.report["findings"]) == len(sweep.truth)
    assert sweep.report["totals"]["remaining"] == len(sweep.truth)


def test_the_report_on_disk_is_the_one_printed(sweep: Sweep) -> None:
    printed = {**sweep.report, "deliveries": []}
    assert sweep.ended.report == printed
    assert [each["status"] for each in sweep.report["deliveries"]] == ["delivered"]


def test_every_repository_is_counted(sweep: Sweep) -> None:
    seen = (sweep.accounts - 2) * sweep.regions
    assert sweep.report["totals"]["targets"] == {
        "planned": seen,
        "examined": seen,
        "skipped": 0,
        "failed": 0,
    }
    assert sweep.report["totals"]["repositories"]["examined"] == (seen - 1) * 5 + 2500
    account = next(each for each in sweep.report["accounts"] if each["id"] == sweep.account(LARGE))
    assert sum(account["regions"]["eu-west-1"]) == 2500


def test_what_could_not_be_seen_is_named(sweep: Sweep) -> None:
    (failure,) = sweep.report["failures"]
    assert failure["account_id"] == sweep.account(DENIED)
    assert (failure["stage"], failure["reason"]) == ("open_account", "assume_role_denied")
    assert sweep.report["skipped"] == [
        {"account_id": sweep.account(SUSPENDED), "region": None, "reason": "account_suspended"}
    ]
    assert sweep.report["coverage"] == {
        "accounts": (sweep.accounts - 2) / (sweep.accounts - 1),
        "targets": 1.0,
        "complete": False,
    }
    assert sweep.ended.status == 4


def test_a_dry_run_plans_and_writes_nothing(sweep: Sweep) -> None:
    assert sweep.statistics["writes"] == []
    assert "ecr:PutImageTagMutability" not in sweep.statistics["calls"]
    assert sweep.report["run"]["dry_run"] is True
    statuses = {each["change"]["status"] for each in sweep.report["findings"]}
    # More than max_changes, which the dry run says as well.
    assert len(sweep.truth) > 500
    assert statuses == {"withheld"}


def test_each_active_account_is_entered_once(sweep: Sweep) -> None:
    expected = {account.id: 1 for account in sweep.world.accounts if account.state == "ACTIVE"}
    assert sweep.statistics["assume_roles"] == expected


def test_no_call_is_made_in_vain(sweep: Sweep) -> None:
    rules = len({key[:2] for key in sweep.truth})  # where something would be changed
    opened = sweep.accounts - 2
    assert sweep.statistics["calls"] == {
        "sts:GetCallerIdentity": 1,
        "organizations:ListAccounts": math.ceil(sweep.accounts / 20),
        "sts:AssumeRole": sweep.accounts - 1,
        "account:ListRegions": opened,
        "ecr:DescribeRepositories": opened * sweep.regions + EXTRA_PAGES,
        "ecr:DescribePullThroughCacheRules": rules,
        "organizations:DescribeOrganizationalUnit": OUS,  # their names, for people
    }
    most = (
        math.ceil(sweep.accounts / 20)
        + 2 * sweep.accounts
        + sweep.accounts * sweep.regions
        + EXTRA_PAGES
        + 1
        + rules
        + OUS
    )
    assert sweep.statistics["total_calls"] <= most


def test_every_call_is_signed_as_aws_wants_it(sweep: Sweep) -> None:
    mistakes = ("bad_signatures", "bad_scopes", "unknown_keys", "unsigned", "unknown_operations")
    assert {name: sweep.statistics[name] for name in mistakes} == dict.fromkeys(mistakes, 0)
    assert all(agent.startswith("sweeper/") for agent in sweep.statistics["user_agents"])


def test_only_the_denied_account_was_refused(sweep: Sweep) -> None:
    assert {each["account"] for each in sweep.statistics["refused"]} == {sweep.account(DENIED)}


def test_the_policy_of_every_session_allows_reads_only(sweep: Sweep) -> None:
    policies = {each["policy"] for each in sweep.statistics["assume_role"]}
    (policy,) = policies
    assert len(policy) <= 2048
    (statement,) = json.loads(policy)["Statement"]
    assert statement["Action"] == [
        "account:ListRegions",
        "ecr:DescribePullThroughCacheRules",
        "ecr:DescribeRepositories",
    ]


def test_the_log_is_json_and_tells_of_the_failure(sweep: Sweep) -> None:
    events = {entry["event"]: entry for entry in sweep.ended.logs}
    assert events["account.failed"]["account_id"] == sweep.account(DENIED)
    assert events["sweep.finished"]["exit_status"] == 4
    assert "Traceback" not in sweep.ended.stderr
