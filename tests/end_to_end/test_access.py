"""Ways into the accounts: external ids, partitions, named accounts, the caller's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import (
    Here,
    calls,
    failures,
    found,
    open_repositories,
    run,
    small_world,
    writes,
)
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault

SECRET = "an-external-id"


def test_the_external_id_opens_the_accounts(aws: FakeAws, here: Here) -> None:
    aws.load(small_world(accounts=3, regions=1, role={"external_id": SECRET}))
    ended = here.run(aws, config={"organization": {"external_id": SECRET}})
    assert ended.report["failures"] == []
    assert ended.status == 0
    assert {each["external_id"] for each in aws.statistics().assume_role} == {SECRET}


@pytest.mark.parametrize("given", ["another-id", None])
def test_a_wrong_external_id_opens_none(aws: FakeAws, here: Here, given: str | None) -> None:
    world = small_world(accounts=3, regions=1, role={"external_id": SECRET})
    aws.load(world)
    ended = here.run(aws, config={"organization": {"external_id": given}})
    assert failures(ended.report) == {
        (account.id, None, "assume_role_denied") for account in world.accounts
    }
    assert ended.report["coverage"] == {"accounts": 0.0, "targets": 0.0, "complete": False}
    assert ended.status == 4
    assert SECRET not in ended.stderr


def test_a_role_below_a_path_can_be_named(aws: FakeAws, here: Here) -> None:
    role = {"name": "auditor", "path": "/security/"}
    aws.load(small_world(accounts=2, regions=1, role=role))
    ended = here.run(aws, config={"organization": {"role_name": "security/auditor"}})
    assert ended.status == 0


@pytest.mark.parametrize(
    ("partition", "regions", "session_region"),
    [
        ("aws-us-gov", ["us-gov-east-1", "us-gov-west-1"], "us-gov-west-1"),
        ("aws-cn", ["cn-north-1", "cn-northwest-1"], "cn-northwest-1"),
    ],
)
def test_other_partitions_work_as_the_first(
    aws: FakeAws, here: Here, partition: str, regions: list[str], session_region: str
) -> None:
    aws.load(small_world(accounts=3, regions=2, partition=partition))
    ended = here.run(aws)
    assert ended.report["run"]["partition"] == partition
    assert all(sorted(item["regions"]) == regions for item in ended.report["accounts"])
    assert all(item["arn"].startswith(f"arn:{partition}:") for item in ended.report["findings"])
    assert ended.status == 0
    assert open_repositories(aws) == {}
    assert {each["region"] for each in aws.statistics().assume_role} == {session_region}


def test_a_caller_in_a_region_to_opt_into_assumes_roles_elsewhere(aws: FakeAws, here: Here) -> None:
    world = small_world(accounts=3, regions=2, sts_needs_target_region=True)
    home = {**world.accounts[0].regions, "af-south-1": "ENABLED"}
    data = world.to_json()
    data["accounts"][0]["regions"] = home
    aws.load(data)
    ended = here.run(aws, AWS_REGION="af-south-1", AWS_DEFAULT_REGION="af-south-1")
    assert ended.report["failures"] == []
    assert {each["region"] for each in aws.statistics().assume_role} == {"us-east-1"}

    forced = here.run(
        aws,
        config={"organization": {"sts_region": "af-south-1"}},
    )
    assert {item["reason"] for item in forced.report["failures"]} == {"sts_region_disabled"}


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({"AWS_REGION": "us-east-2", "AWS_DEFAULT_REGION": None}, "us-east-2"),
        ({"AWS_REGION": None, "AWS_DEFAULT_REGION": "us-east-2"}, "us-east-2"),
        ({"AWS_REGION": None, "AWS_DEFAULT_REGION": None}, "us-east-1"),
    ],
)
def test_the_callers_region_is_read_where_it_is(
    aws: FakeAws, here: Here, variables: dict[str, str | None], region: str
) -> None:
    world = small_world(accounts=2, regions=2)
    aws.load(world)
    ended = here.run(aws, config={}, **variables)
    assert ended.status == 0
    assert {each["region"] for each in aws.statistics().assume_role} == {region}


def test_named_accounts_are_swept_without_organizations(aws: FakeAws, here: Here) -> None:
    world = small_world(accounts=4, regions=1, caller_mode="not_allowed")
    aws.load(world)
    named = [account.id for account in world.accounts[1:3]]
    ended = here.run(
        aws,
        config={"organization": {"enumerate": False, "include_accounts": named}},
    )
    assert ended.status == 0
    assert {item["id"] for item in ended.report["accounts"]} == set(named)
    assert ended.report["run"]["organization_id"] is None
    assert not any(name.startswith("organizations:") for name in calls(aws))
    assert {key[0] for key in open_repositories(aws)} == {
        account.id for account in world.accounts if account.id not in named
    }


OWN_ACCOUNT: dict[str, Any] = {"organization": {"role_name": None}}


def test_the_callers_own_account_alone(aws: FakeAws, tmp_path: Path) -> None:
    world = small_world(accounts=3, regions=2)
    aws.load(world)
    own = world.caller.account
    planned = run(aws, tmp_path / "dry", "--dry-run", config=OWN_ACCOUNT)
    truth = {key for key in open_repositories(aws) if key[0] == own}
    assert found(planned.report) == truth
    assert planned.report["totals"]["changes"]["planned"] == len(truth) > 0
    assert writes(aws) == []
    assert planned.status == 3

    written = run(aws, tmp_path / "wet", config=OWN_ACCOUNT)
    assert {(each["account"], each["region"], each["repository"]) for each in writes(aws)} == truth
    assert own not in {key[0] for key in open_repositories(aws)}
    assert written.status == 0
    assert not {"sts:AssumeRole", "organizations:ListAccounts"} & calls(aws).keys()


def test_accounts_can_be_chosen_by_their_tags(aws: FakeAws, here: Here) -> None:
    world = small_world(accounts=9, regions=1)
    aws.load(world)
    config = {
        "organization": {
            "include_tags": {"team": ["search", "platform"]},
            "exclude_accounts": [world.accounts[0].id],
        }
    }
    ended = here.run(aws, "--dry-run", config=config)
    assert {item["id"] for item in ended.report["accounts"]} == {
        account.id for account in world.accounts if account.tags["team"] in {"search", "platform"}
    }
    assert {item["reason"] for item in ended.report["skipped"]} == {"account_excluded"}
    assert calls(aws)["organizations:ListTagsForResource"] == 8


EXEMPTED = {"repository": "*", "reason": "play", "expires": "never"}


def test_accounts_are_exempt_by_their_ou_and_their_tags(aws: FakeAws, here: Here) -> None:
    world = small_world(accounts=8, regions=1)
    aws.load(world)
    before = open_repositories(aws)
    unit = world.accounts[1].parent
    rules = [
        EXEMPTED | {"ous": [unit]},
        EXEMPTED | {"account_tags": {"team": [world.accounts[0].tags["team"]]}},
    ]
    ended = here.run(aws, config={"exemptions": rules})
    below = {unit, *(each.id for each in world.units if each.parent == unit)}
    exempt = {
        account.id
        for account in world.accounts
        if account.parent in below or account.tags["team"] == world.accounts[0].tags["team"]
    }
    kept = {key for key in before if key[0] in exempt}
    assert 0 < len(kept) < len(before)
    assert set(open_repositories(aws)) == kept
    assert ended.report["totals"]["repositories"]["exempt"] == len(kept)
    assert ended.status == 0


def test_where_tags_cannot_be_read_nothing_that_they_may_exempt_is_changed(
    aws: FakeAws, here: Here
) -> None:
    aws.load(small_world(accounts=4, regions=1))
    aws.faults([Fault("access_denied", operation="ListTagsForResource")])
    rule = EXEMPTED | {"account_tags": {"team": ["nobody"]}}
    ended = here.run(aws, config={"exemptions": [rule]})
    assert writes(aws) == []
    assert ended.status == 3
    assert ended.report["totals"]["repositories"]["exempt"] == 0
    changes = [each["change"] for each in ended.report["findings"]]
    assert {(each["status"], each["reason"]) for each in changes} == {
        ("withheld", "exemption_undecided")
    }


def test_only_what_an_option_names_is_swept(aws: FakeAws, here: Here) -> None:
    world = small_world(accounts=8, regions=3)
    aws.load(world)
    inside = [account for account in world.accounts if account.parent == "ou-fake-00000001"]
    ended = here.run(
        aws,
        "--dry-run",
        "--ou",
        "ou-fake-00000001",
        "--account",
        inside[0].id,
        "--region",
        "us-east-2",
    )
    (account,) = ended.report["accounts"]
    assert account["id"] == inside[0].id
    assert account["ou_path"] == "r-fake/ou-fake-00000001"
    assert list(account["regions"]) == ["us-east-2"]
