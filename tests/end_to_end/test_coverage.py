"""What could not be seen has its reason, can be accepted in advance, and harms nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.end_to_end.harness import (
    Here,
    failures,
    found,
    open_repositories,
    run,
    small_world,
    writes,
)
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Deny, Fault, Role

CLOSED_REGION = "us-west-1"


def test_regions_that_an_scp_denies_are_failures_until_they_are_accepted(
    aws: FakeAws, tmp_path: Path
) -> None:
    world = small_world(accounts=4, denies=[{"regions": [CLOSED_REGION], "actions": ["ecr:*"]}])
    assert world.denies == (Deny(regions=(CLOSED_REGION,), actions=("ecr:*",)),)
    aws.load(world)
    # A service control policy does not bind the management account.
    denied = {
        (account.id, CLOSED_REGION)
        for account in world.accounts
        if account.id != world.management_account
    }
    ended = run(aws, tmp_path / "failed")
    assert failures(ended.report) == {(*place, "denied_by_scp") for place in denied}
    assert {item["error_code"] for item in ended.report["failures"]} == {"AccessDeniedException"}
    assert ended.report["totals"]["targets"]["failed"] == len(denied)
    assert not ended.report["coverage"]["complete"]
    assert ended.status == 4
    # All else is closed all the same.
    assert {key[:2] for key in open_repositories(aws)} == denied

    accept = {"accept": [{"reason": "denied_by_scp", "region": "us-west-*"}]}
    accepted = run(aws, tmp_path / "accepted", config={"coverage": accept})
    assert accepted.report["failures"] == []
    assert {
        (item["account_id"], item["region"], item["reason"]) for item in accepted.report["skipped"]
    } == {(*place, "denied_by_scp") for place in denied}
    assert accepted.report["coverage"]["complete"]
    assert accepted.status == 0


def test_a_gap_that_is_accepted_elsewhere_is_still_a_failure(aws: FakeAws, here: Here) -> None:
    aws.load(small_world(accounts=2, denies=[{"regions": [CLOSED_REGION], "actions": ["ecr:*"]}]))
    accept = {"accept": [{"reason": "denied_by_scp", "region": "eu-*"}]}
    ended = here.run(aws, config={"coverage": accept})
    assert {item["reason"] for item in ended.report["failures"]} == {"denied_by_scp"}
    assert ended.status == 4


def test_a_role_without_the_permission_is_told_from_a_denial_above_it(
    aws: FakeAws, here: Here
) -> None:
    world = small_world(accounts=3, regions=2)
    poor = dataclasses.replace(world.accounts[1], role=Role(actions=("account:ListRegions",)))
    aws.load(dataclasses.replace(world, accounts=(world.accounts[0], poor, world.accounts[2])))
    ended = here.run(aws)
    (failure,) = ended.report["failures"]  # of all regions, which failed alike
    assert failures(ended.report) == {(poor.id, None, "denied_by_identity_policy")}
    assert failure["targets"] == 2
    assert "ecr:DescribeRepositories" in failure["message"]
    assert f"arn:aws:ecr:*:{poor.id}:" in failure["message"]
    assert ended.status == 4
    assert {key[0] for key in open_repositories(aws)} == {poor.id}


def test_a_region_that_is_not_enabled_is_no_target(aws: FakeAws, here: Here) -> None:
    world = small_world(accounts=2, regions=3)
    opted = dataclasses.replace(
        world.accounts[1],
        regions={"af-south-1": "ENABLED", "us-east-2": "ENABLING", "us-west-1": "DISABLED"},
    )
    aws.load(dataclasses.replace(world, accounts=(world.accounts[0], opted)))
    ended = here.run(aws, "--dry-run")
    regions = {item["id"]: sorted(item["regions"]) for item in ended.report["accounts"]}
    assert regions == {
        world.accounts[0].id: ["us-east-1", "us-east-2", "us-west-1"],
        opted.id: ["af-south-1", "us-east-1"],
    }
    assert ended.report["skipped"] == [
        {"account_id": opted.id, "region": "us-east-2", "reason": "region_enabling"}
    ]
    assert ended.report["failures"] == []


def test_a_throttle_that_passes_does_no_harm(aws: FakeAws, here: Here) -> None:
    aws.load(small_world(accounts=3, regions=2))
    aws.faults(
        [
            Fault("throttle", operation="DescribeRepositories", times=1),
            Fault("server_error", operation="ListAccounts", times=1),
            Fault("reset", operation="ListRegions", times=1),
            Fault("throttle", operation="AssumeRole", times=1),
        ]
    )
    ended = here.run(aws)
    assert ended.report["failures"] == []
    assert ended.status == 0
    assert open_repositories(aws) == {}
    assert aws.statistics().faults == {"reset": 1, "server_error": 1, "throttle": 2}


@pytest.mark.slow
def test_a_throttle_that_stays_fails_its_target_alone(aws: FakeAws, here: Here) -> None:
    world = small_world(accounts=3, regions=1)
    slow = world.accounts[1].id
    aws.load(world)
    aws.faults([Fault("throttle", operation="DescribeRepositories", account=slow)])
    ended = here.run(aws)
    assert failures(ended.report) == {(slow, "us-east-1", "throttled")}
    assert aws.statistics().faults == {"throttle": 5}
    assert {each["account"] for each in writes(aws)} == {
        account.id for account in world.accounts if account.id != slow
    }
    assert ended.status == 4


def test_a_target_whose_second_page_fails_is_failed_not_partial(aws: FakeAws, here: Here) -> None:
    world = small_world(
        accounts=2,
        regions=1,
        registries=[{"account": "*", "region": "*", "count": 1500}],
    )
    aws.load(world)
    aws.faults(
        [
            Fault(
                "garbage",
                operation="DescribeRepositories",
                account=world.accounts[1].id,
                only_page=2,
            )
        ]
    )
    ended = here.run(aws, "--dry-run")
    assert failures(ended.report) == {(world.accounts[1].id, "us-east-1", "unexpected_response")}
    assert {key[0] for key in found(ended.report)} == {world.accounts[0].id}
    assert ended.report["totals"]["repositories"]["examined"] == 1500
