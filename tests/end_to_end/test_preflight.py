"""`sweeper preflight`: right on a healthy organization and on broken ones; it changes nothing."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.barriers import hold, release_slowly, wait_until_held
from tests.end_to_end.harness import (
    COMMAND,
    Ended,
    Here,
    calls,
    end,
    small_world,
    start_command,
    writes,
)
from tests.end_to_end.processes import Process
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault, World

ROOT = Path(__file__).parents[2]
PTC = "ecr:DescribePullThroughCacheRules"
READS = ("ecr:DescribeRepositories", PTC)
WRITE = "ecr:PutImageTagMutability"
LIST_REGIONS = "account:ListRegions"
SECRET = "an-external-id"
ACCOUNTS, REGIONS = 12, 2
TARGETS = ACCOUNTS * REGIONS
SCP_REGION = "us-east-2"
PAYMENTS = "ou-fake-00000005"
GONE = "arn:aws:sns:us-east-1:{}:gone"


def everything(world: World) -> dict[str, Any]:
    """A configuration with every destination that the world has."""
    return {
        "report": {
            "directory": "reports",
            "s3": {
                "bucket": world.buckets[0].name,
                "prefix": "sweeps",
                "kms_key_id": key(world),
            },
            "sns_topic_arn": world.topics[0],
            "security_hub": {"region": "us-east-1"},
        }
    }


def key(world: World) -> str:
    return f"arn:aws:kms:us-east-1:{world.caller.account}:key/reports"


def healthy(regions: int = REGIONS, **changes: Any) -> World:
    """ACCOUNTS in so many regions, and every destination."""
    world = small_world(accounts=ACCOUNTS, regions=regions, **changes)
    data = world.to_json()
    data["security_hub_regions"] = ["us-east-1"]
    data.setdefault("keys", [{"arn": key(world)}])
    return World.from_json(data)


def role(*without: str) -> dict[str, Any]:
    actions = {LIST_REGIONS, *READS, WRITE} - {*without}
    return {"actions": sorted(actions)}


@dataclass(frozen=True)
class Broken:
    """An organization with one thing wrong, and the one problem that is to be told of it.

    `accounts` are places in the world's list; None: all of them, () none.
    """

    reason: str | None
    status: int
    remedy: str
    kind: str
    world: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str | None] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    actions: tuple[str, ...] = ()
    accounts: tuple[int, ...] | None = ()
    regions: int | tuple[str, ...] = 0  # how many, or which
    answer: str = "denied"
    key: str | None = None


def _accounts(places: tuple[int, ...], **changes: Any) -> list[dict[str, Any]]:
    accounts: list[dict[str, Any]] = healthy().to_json()["accounts"]
    for place in places:
        accounts[place].update(changes)
    return accounts


def _in(unit: str) -> tuple[int, ...]:
    return tuple(
        place for place, account in enumerate(healthy().accounts) if account.parent == unit
    )


CALLER = healthy().caller.account
BROKEN = {
    "no credentials": Broken(
        "no_credentials",
        2,
        "aws sso login",
        "organization",
        variables={"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
        answer="failed",
    ),
    "expired credentials": Broken(
        "no_credentials",
        2,
        "aws sso login",
        "organization",
        faults=(
            Fault(
                "error",
                operation="GetCallerIdentity",
                code="ExpiredToken",
                status=403,
                message="The security token included in the request is expired",
            ),
        ),
        answer="failed",
    ),
    "not in an organization": Broken(
        "not_in_organization",
        2,
        "organization.role_name: null",
        "organization",
        world={"caller_mode": "not_in_organization"},
        answer="failed",
    ),
    "neither management account nor delegated administrator": Broken(
        "not_allowed_to_list",
        2,
        "aws organizations register-delegated-administrator",
        "organization",
        world={"caller_mode": "not_allowed"},
        answer="failed",
    ),
    "no role in three accounts": Broken(
        "assume_role_denied",
        4,
        "make stackset-deploy",
        "account",
        world={"accounts": _accounts((2, 5, 9), role={"exists": False})},
        actions=("sts:AssumeRole",),
        accounts=(2, 5, 9),
    ),
    "no role in the management account": Broken(
        "assume_role_denied",
        4,
        "StackSets skip the management account",
        "account",
        world={"accounts": _accounts((0,), role={"exists": False})},
        actions=("sts:AssumeRole",),
        accounts=(0,),
    ),
    "another external id everywhere": Broken(
        "assume_role_denied",
        4,
        "organization.external_id, which is set here",
        "account",
        world={"role": {"external_id": SECRET}},
        config={"organization": {"external_id": f"not-{SECRET}"}},
        actions=("sts:AssumeRole",),
        accounts=None,
    ),
    "a role that only reads, and remediation": Broken(
        "write_not_granted",
        4,
        "AllowRemediation=true",
        "write",
        world={"role": role(WRITE)},
        actions=(WRITE,),
        accounts=None,
        regions=REGIONS,
    ),
    "a policy that closes a region": Broken(
        "denied_by_scp",
        4,
        f"coverage.accept: [{{reason: denied_by_scp, region: [{SCP_REGION}]}}]",
        "region",
        world={"denies": [{"regions": [SCP_REGION], "actions": ["ecr:*"]}]},
        accounts=tuple(range(1, ACCOUNTS)),  # it does not bind the management account
        regions=(SCP_REGION,),
    ),
    "a policy that closes ECR to an OU": Broken(
        "denied_by_scp",
        4,
        "organization.exclude_accounts: [",
        "region",
        world={
            "denies": [
                {
                    "accounts": [healthy().accounts[place].id for place in _in(PAYMENTS)],
                    "actions": ["ecr:*"],
                }
            ]
        },
        accounts=_in(PAYMENTS),
        regions=REGIONS,
    ),
    "a role that may not read pull-through cache rules": Broken(
        "denied_by_identity_policy",
        4,
        f"the role's policy there lacks {PTC}",
        "read",
        world={"role": role(PTC)},
        actions=(PTC,),
        accounts=None,
        regions=REGIONS,
    ),
    "a role that may not list regions": Broken(
        "denied_by_identity_policy",
        4,
        "regions.include",
        "regions",
        world={"role": role(LIST_REGIONS)},
        actions=(LIST_REGIONS,),
        accounts=None,
    ),
    "a region-deny policy that closes account:ListRegions": Broken(
        "denied_by_scp",
        4,
        "except account:ListRegions, which is served from us-east-1",
        "regions",
        world={"denies": [{"actions": [LIST_REGIONS]}]},
        actions=(LIST_REGIONS,),
        accounts=tuple(range(1, ACCOUNTS)),
    ),
    "a boundary that lets nothing be closed": Broken(
        "denied_by_permissions_boundary",
        4,
        "PermissionsBoundaryArn",
        "write",
        world={"denies": [{"kind": "permissions_boundary", "actions": [WRITE], "implicit": True}]},
        actions=(WRITE,),
        accounts=None,
        regions=REGIONS,
    ),
    "a bucket of others": Broken(
        "denied",
        5,
        "allow the caller s3:ListBucket",
        "destination",
        world={
            "buckets": [{"name": "sweeper-reports", "region": "us-east-1", "account": "9" * 12}]
        },
        actions=("s3:ListBucket", "s3:GetObject", "s3:PutObject"),
        key="report.s3.bucket",
    ),
    "a bucket that is not there": Broken(
        "destination_missing",
        5,
        "correct report.s3.bucket",
        "destination",
        world={"buckets": []},
        actions=("s3:ListBucket",),
        answer="failed",
        key="report.s3.bucket",
    ),
    "a bucket that may only be read": Broken(
        "denied_by_identity_policy",
        5,
        "allow the caller s3:PutObject",
        "destination",
        world={
            "denies": [
                {
                    "kind": "identity_policy",
                    "accounts": [CALLER],
                    "actions": ["s3:PutObject"],
                    "implicit": True,
                }
            ]
        },
        actions=("s3:PutObject",),
        key="report.s3.bucket",
    ),
    "a key that is denied": Broken(
        "denied_by_identity_policy",
        5,
        "in its IAM policy and in the key's",
        "destination",
        world={
            "denies": [
                {"kind": "identity_policy", "accounts": [CALLER], "actions": ["kms:*"]},
            ]
        },
        actions=("kms:GenerateDataKey",),
        key="report.s3.kms_key_id",
    ),
    "a key that is disabled": Broken(
        "request_refused",
        5,
        "enable the key",
        "destination",
        world={"keys": [{"arn": key(healthy()), "enabled": False}]},
        actions=("kms:GenerateDataKey",),
        answer="failed",
        key="report.s3.kms_key_id",
    ),
    "a key that is not there": Broken(
        "destination_missing",
        5,
        "correct report.s3.kms_key_id",
        "destination",
        world={"keys": [{"arn": key(healthy()) + "-of-others"}]},
        actions=("kms:GenerateDataKey",),
        answer="failed",
        key="report.s3.kms_key_id",
    ),
    "a directory with a name that no file may have": Broken(
        "write_failed",
        5,
        "check the path",
        "destination",
        config={"report": {"directory": "x" * 256}},
        actions=("write",),
        answer="failed",
        key="report.directory",
    ),
    "a topic that is not there": Broken(
        "destination_missing",
        5,
        "correct report.sns_topic_arn",
        "destination",
        config={"report": {"sns_topic_arn": GONE.format(CALLER)}},
        actions=("exists",),
        answer="failed",
        key="report.sns_topic_arn",
    ),
    "Security Hub that is not enabled": Broken(
        "destination_missing",
        5,
        "enable Security Hub",
        "destination",
        config={"report": {"security_hub": {"region": "us-east-2"}}},
        actions=("enabled",),
        answer="failed",
        key="report.security_hub.region",
    ),
    "an account that is throttled": Broken(
        "throttled",
        4,
        "limits.max_workers",
        "region",
        faults=(
            Fault("throttle", service="ecr", account=healthy().accounts[4].id, region="us-east-1"),
        ),
        accounts=(4,),
        regions=("us-east-1",),
        answer="failed",
    ),
    "a machine that can keep no record": Broken(
        "journal_unavailable",
        4,
        "make state.directory writable, or set report.s3",
        "write",
        config={"report": {"s3": None}},
        variables={"XDG_STATE_HOME": "/dev/null"},
        answer="failed",
    ),
    "a region that no account has enabled": Broken(
        "region_excluded",
        4,
        "correct regions.include",
        "organization",
        config={"regions": {"include": ["ap-east-1"]}},
        answer="failed",
    ),
    "a policy that denies writes, beside an accepted gap": Broken(
        "denied_by_scp",
        4,
        "except the member role from the policy that denies",
        "write",
        world={"denies": [{"actions": [WRITE]}]},
        config={"coverage": {"accept": [{"reason": "denied_by_scp"}]}},
        actions=(WRITE,),
        accounts=tuple(range(1, ACCOUNTS)),
        regions=REGIONS,
    ),
    "an exemption by tags that may not be read": Broken(
        "exemption_undecided",
        4,
        "organizations:ListTagsForResource",
        "write",
        world={
            "denies": [
                {
                    "kind": "identity_policy",
                    "accounts": [CALLER],
                    "actions": ["organizations:ListTagsForResource"],
                    "implicit": True,
                }
            ]
        },
        config={
            "exemptions": [
                {
                    "repository": "sandbox/*",
                    "account_tags": {"env": ["dev"]},
                    "reason": "theirs",
                    "expires": "never",
                }
            ]
        },
        accounts=None,
        answer="failed",
    ),
    "an excluded account that is not there": Broken(
        "unknown_account",
        4,
        "correct the account ids: --account, or those under organization and remediation",
        "write",
        config={"remediation": {"exclude_accounts": ["999999999999"]}},
        accounts=None,
        answer="failed",
    ),
}


@pytest.fixture(autouse=True)
def _retries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeper.aws.client.retries.random.uniform", lambda *_: 0.0)


def preflight(
    aws: FakeAws, here: Here, *options: str, config: Mapping[str, Any], **extra: str | None
) -> tuple[Any, Ended]:
    """The document, and how the command ended; nothing was changed, whatever was asked."""
    ended = here.command(aws, "preflight", "--format", "json", *options, config=config, **extra)
    assert "Traceback" not in ended.stderr
    assert_nothing_changed(aws, ended)
    return json.loads(ended.stdout), ended


def assert_nothing_changed(aws: FakeAws, ended: Ended) -> None:
    assert [each for each in writes(aws) if each["accepted"]] == []
    assert aws.objects() == []
    assert aws.messages() == []
    assert aws.findings() == []
    assert not (ended.directory / "reports").exists()


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    merged = {
        name: {**first.get(name, {}), **value} if isinstance(value, Mapping) else value
        for name, value in second.items()
    }
    return {**first, **merged}


@pytest.mark.parametrize("standing", ["management", "delegated"])
def test_a_healthy_organization(aws: FakeAws, here: Here, standing: str) -> None:
    world = healthy(caller_mode=standing)
    aws.load(world)
    said, ended = preflight(aws, here, config=everything(world))
    assert ended.status == said["exit_status"] == 0
    assert said["problems"] == []
    assert said["caller"] == {
        "arn": world.caller.principal_arn,
        "account_id": world.caller.account,
        "standing": {"management": "management_account", "delegated": "delegated_administrator"}[
            standing
        ],
        "organization_id": world.organization_id,
        "management_account_id": world.management_account,
        "may_list_accounts": True,
    }
    assert said["accounts"] == {
        "listed": 12,
        "active": 12,
        "with_role": 12,
        "without_role": [],
        "role_not_known": [],
    }
    assert said["account_regions"] == TARGETS
    assert said["actions"] == {
        action: {"works": TARGETS, "denied": 0, "failed": 0, "not_known": 0}
        for action in (*READS, WRITE)
    }
    assert {(each["key"], each["action"]): each["answer"] for each in said["destinations"]} == {
        ("report.directory", "write"): "works",
        ("report.s3.bucket", "s3:ListBucket"): "works",
        ("report.s3.bucket", "s3:GetObject"): "works",
        ("report.s3.bucket", "s3:PutObject"): "works",
        ("report.s3.kms_key_id", "kms:GenerateDataKey"): "works",
        ("report.sns_topic_arn", "exists"): "works",
        ("report.security_hub.region", "enabled"): "works",
    }


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_organization(aws: FakeAws, here: Here, name: str) -> None:
    broken = BROKEN[name]
    data = {**healthy(**_modes(broken.world)).to_json(), **broken.world}
    world = World.from_json(data)
    aws.load(world)
    aws.faults(broken.faults)
    config = _merged(everything(healthy()), broken.config)
    if broken.world.get("caller_mode"):
        config = dict(broken.config)  # whose bucket it is, is not what is asked
    said, ended = preflight(aws, here, config=config, **broken.variables)
    (problem,) = said["problems"]
    places = range(len(world.accounts)) if broken.accounts is None else broken.accounts
    accounts = sorted(world.accounts[place].id for place in places)
    if name == "an excluded account that is not there":
        accounts = ["999999999999"]
    assert ended.status == said["exit_status"] == problem["exit_status"] == broken.status
    assert problem["kind"] == broken.kind
    assert problem["answer"] == broken.answer
    assert problem["reason"] == broken.reason
    assert sorted(problem["actions"]) == sorted(broken.actions)
    assert problem["accounts"] == accounts
    assert broken.remedy in problem["remedy"]
    assert problem["key"] == broken.key
    if isinstance(broken.regions, int):
        assert len(problem["regions"]) == broken.regions
        assert problem["whole_accounts"]
    else:
        assert tuple(problem["regions"]) == broken.regions
        assert not problem["whole_accounts"]
    assert len(problem["account_regions"]) == len(accounts) * len(problem["regions"])
    assert SECRET not in ended.stdout + ended.stderr


def _modes(world: Mapping[str, Any]) -> dict[str, Any]:
    """What the generator must know, to make the caller's account accordingly."""
    return {name: value for name, value in world.items() if name == "caller_mode"}


def test_several_problems_are_told_at_once(aws: FakeAws, here: Here) -> None:
    world = World.from_json(
        {
            **healthy(
                denies=[{"regions": [SCP_REGION], "actions": ["ecr:*"]}],
                role=role(WRITE),
                buckets=[],
            ).to_json(),
            "accounts": _accounts((3,), role={"exists": False}),
        }
    )
    aws.load(world)
    said, ended = preflight(aws, here, config=everything(healthy()))
    assert ended.status == 5  # the highest
    assert [(each["kind"], each["reason"], len(each["accounts"])) for each in said["problems"]] == [
        ("account", "assume_role_denied", 1),
        ("region", "denied_by_scp", 10),
        ("write", "write_not_granted", 11),
        ("destination", "destination_missing", 0),
    ]
    # The region that is closed altogether makes the missing permission no smaller.
    assert said["problems"][2]["whole_accounts"]
    assert said["accounts"]["with_role"] == 11
    assert said["accounts"]["without_role"] == [world.accounts[3].id]


@pytest.mark.parametrize(
    ("denied", "key", "action"),
    [
        ("SNS:GetTopicAttributes", "report.sns_topic_arn", "exists"),
        ("securityhub:DescribeHub", "report.security_hub.region", "enabled"),
    ],
)
def test_what_may_not_be_asked_is_not_known(
    aws: FakeAws, here: Here, denied: str, key: str, action: str
) -> None:
    deny = {"kind": "identity_policy", "accounts": [CALLER], "actions": [denied], "implicit": True}
    world = healthy(denies=[deny])
    aws.load(world)
    said, ended = preflight(aws, here, config=everything(world))
    (problem,) = said["problems"]
    assert (problem["answer"], problem["key"]) == ("not_known", key)
    assert problem["actions"] == [action]
    assert denied.lower() in problem["remedy"].lower()
    assert ended.status == 0


def test_a_key_for_use_through_s3_is_not_known(aws: FakeAws, here: Here) -> None:
    data = healthy().to_json()
    aws.load({**data, "keys": [{"arn": key(healthy()), "via_service": True}]})
    said, ended = preflight(aws, here, config=everything(healthy()))
    (problem,) = said["problems"]
    assert (problem["answer"], problem["key"]) == ("not_known", "report.s3.kms_key_id")
    assert "by way of S3 only" in problem["message"]
    assert ended.status == 0


def test_who_may_not_ask_for_administrators_is_told_what_is_known(aws: FakeAws, here: Here) -> None:
    denied = {"actions": ["organizations:ListDelegatedAdministrators"], "kind": "identity_policy"}
    aws.load(healthy(caller_mode="delegated", denies=[denied]))
    said, ended = preflight(aws, here, config={})
    assert said["caller"]["standing"] == "delegated_administrator_or_admitted_by_policy"
    assert said["caller"]["management_account_id"] == aws.world.management_account
    assert ended.status == 0


def test_an_account_of_no_organization_is_told_so(aws: FakeAws, here: Here) -> None:
    aws.load(healthy(caller_mode="not_in_organization"))
    said, _ = preflight(aws, here, config={})
    assert said["caller"]["standing"] == "in_no_organization"
    assert "organizations:DescribeOrganization" not in calls(aws)


def test_a_member_account_is_told_who_manages_it(aws: FakeAws, here: Here) -> None:
    aws.load(healthy(caller_mode="not_allowed"))
    said, _ = preflight(aws, here, config={})
    assert said["caller"]["standing"] == "member_account"
    assert said["caller"]["management_account_id"] == aws.world.management_account
    assert said["caller"]["may_list_accounts"] is False


def test_whether_the_accounts_may_be_listed_is_not_known_where_that_failed(
    aws: FakeAws, here: Here
) -> None:
    aws.load(healthy())
    aws.faults([Fault("server_error", operation="ListAccounts")])
    said, ended = preflight(aws, here, config={})
    assert ended.status == 4
    assert said["caller"]["may_list_accounts"] is None


@pytest.mark.parametrize(
    ("options", "remediation"),
    [
        (("--no-write-probe",), {}),
        ((), {"auto_remediate": "DISABLED"}),
        ((), {"checks": []}),
        (("--no-write-probe",), {"checks": []}),
    ],
)
def test_no_write_is_tried_where_none_is_wanted(
    aws: FakeAws, here: Here, options: tuple[str, ...], remediation: dict[str, Any]
) -> None:
    aws.load(healthy(role=role(WRITE)))
    said, ended = preflight(aws, here, *options, config={"remediation": remediation})
    assert ended.status == 0
    assert WRITE not in said["actions"]
    assert writes(aws) == []
    assert all(WRITE not in each["policy"] for each in aws.statistics().assume_role)


@pytest.mark.parametrize(
    ("options", "config", "why"),
    [
        (("--no-write-probe",), {}, "not tried: --no-write-probe"),
        ((), {"remediation": {"auto_remediate": "DISABLED"}}, "none: remediation.auto_remediate"),
        ((), {"remediation": {"checks": []}}, "none: remediation.checks lets no check"),
        ((), {"checks": ["ecr-creation-template-immutability"]}, "none: remediation.checks"),
    ],
)
def test_what_would_change_nothing_says_why_and_needs_no_record(
    aws: FakeAws, here: Here, options: tuple[str, ...], config: dict[str, Any], why: str
) -> None:
    aws.load(healthy())
    unwritable = {"XDG_STATE_HOME": "/dev/null"}
    ended = here.command(aws, "preflight", *options, config=config, **unwritable)
    (line,) = (each for each in ended.stdout.splitlines() if each.startswith("Writes "))
    assert line.removeprefix("Writes").lstrip().startswith(why)
    would_change = why.startswith("not tried")
    assert ended.status == (4 if would_change else 0)
    assert ("journal_unavailable" in ended.stdout) is would_change
    assert_nothing_changed(aws, ended)


def test_writes_are_tried_in_their_scope_alone_and_of_nobodys_repository(
    aws: FakeAws, here: Here
) -> None:
    world = healthy()
    aws.load(world)
    scope = {"remediation": {"include_ous": [PAYMENTS]}}
    said, ended = preflight(aws, here, config=scope)
    assert ended.status == 0
    inside = {world.accounts[place].id for place in _in(PAYMENTS)}
    assert said["actions"][WRITE]["works"] == REGIONS * len(inside) > 0
    tried = writes(aws)
    assert {each["account"] for each in tried} == inside
    names = [each["repository"] for each in tried]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"sweeper-preflight/[0-9a-f]{32}", name) for name in names)
    given = {
        each["account"]: WRITE in json.loads(each["policy"])["Statement"][0]["Action"]
        for each in aws.statistics().assume_role
    }
    assert given == {account.id: account.id in inside for account in world.accounts}


def test_known_gaps_are_no_problem(aws: FakeAws, here: Here) -> None:
    denied = [
        {"regions": [SCP_REGION], "actions": ["ecr:*"]},
        {"accounts": [healthy().accounts[1].id], "actions": [LIST_REGIONS]},
    ]
    aws.load(healthy(denies=denied))
    accept = [
        {"reason": "denied_by_scp", "region": "us-east-2*"},
        {"reason": "regions_unreadable", "account": healthy().accounts[1].id},
    ]
    said, ended = preflight(aws, here, config={"coverage": {"accept": accept}})
    assert (ended.status, said["problems"], said["accepted"]) == (0, [], 11)


def test_only_what_an_option_names_is_asked(aws: FakeAws, here: Here) -> None:
    world = healthy()
    aws.load(world)
    account = world.accounts[_in(PAYMENTS)[0]].id
    said, ended = preflight(
        aws, here, "--ou", PAYMENTS, "--account", account, "--region", "us-east-2", config={}
    )
    assert ended.status == 0
    assert said["account_regions"] == 1
    assert calls(aws)["sts:AssumeRole"] == 1
    assert calls(aws)["account:ListRegions"] == 1  # as in a sweep: include only narrows
    assert said["skipped"]["region_excluded"] == 1


def test_what_was_not_reached_is_told(aws: FakeAws, here: Here) -> None:
    aws.load(healthy())
    said, ended = preflight(aws, here, config={"limits": {"deadline_seconds": 0.000001}})
    assert {each["reason"] for each in said["problems"]} == {"deadline"}
    assert ended.status == 4


def asking(aws: FakeAws, directory: Path) -> Process:
    """Preflight in a process of its own, in the middle of its questions to ECR."""
    aws.load(healthy())
    hold(aws, "DescribeRepositories")
    command = (*COMMAND[:-1], "preflight", "--format", "json")
    process = start_command(aws, directory, command, {"limits": {"max_workers": 1}})
    wait_until_held(aws, process)
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_with_what_was_learnt(
    aws: FakeAws, tmp_path: Path, number: signal.Signals
) -> None:
    process = asking(aws, tmp_path)
    process.send_signal(number)
    release_slowly(aws, "DescribeRepositories")
    ended = end(process, tmp_path)
    said = json.loads(ended.stdout)
    assert ended.status == said["exit_status"] == 4
    assert {each["reason"] for each in said["problems"]} == {"interrupted"}
    assert said["accounts"]["with_role"] == 12
    learnt = said["actions"][READS[0]]
    assert learnt["works"] > 0
    assert learnt["works"] + learnt["failed"] == said["account_regions"] == TARGETS
    assert "Traceback" not in ended.stderr
    assert_nothing_changed(aws, ended)


def test_a_second_signal_ends_it_at_once(aws: FakeAws, tmp_path: Path) -> None:
    process = asking(aws, tmp_path)
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
    ended = end(process, tmp_path)
    assert (ended.status, ended.stdout) == (-signal.SIGTERM, "")
    assert "Traceback" not in ended.stderr


def test_a_state_directory_that_cannot_be_written_is_refused_as_by_a_sweep(
    aws: FakeAws, here: Here
) -> None:
    aws.load(healthy())
    config = {**everything(healthy()), "state": {"directory": "/dev/null/state"}}
    ended = here.command(aws, "preflight", config=config)
    assert (ended.status, ended.stdout) == (2, "")
    assert "state.directory: /dev/null/state: Not a directory" in ended.stderr
    assert calls(aws) == {}


def test_aws_text_is_made_harmless(aws: FakeAws, here: Here) -> None:
    said = "no\x1b[2J\u202e, it is not authorized to perform: anything"
    aws.load(healthy())
    aws.faults([Fault("access_denied", operation="DescribeRepositories", message=said)])
    ended = here.command(aws, "preflight", config={})
    assert ended.status == 4
    assert r"no\x1b[2J\u202e, it is" in ended.stdout
    assert not {"\x1b", "\u202e"} & set(ended.stdout)


def test_the_text_names_what_is_wrong_where_and_what_mends_it(aws: FakeAws, here: Here) -> None:
    world = World.from_json(
        {**healthy().to_json(), "accounts": _accounts((2, 5, 7, 8, 9), role={"exists": False})}
    )
    aws.load(world)
    ended = here.command(aws, "preflight", config=everything(world))
    assert ended.status == 4
    assert_nothing_changed(aws, ended)
    lines = ended.stdout.splitlines()
    assert any(line.startswith("Member role") and "7 of 12 active" in line for line in lines)
    text = " ".join(ended.stdout.split())
    for part in ("assume_role_denied", "5 accounts: ", "and 1 more", "make stackset-status"):
        assert part in text
    assert lines[-1].endswith("Exit status 4.")
    assert all(line == line.rstrip() for line in lines)
    assert [json.loads(line)["event"] for line in ended.stderr.splitlines()] == [
        "stage.started",
        "stage.started",
    ]


@pytest.mark.parametrize(
    "organization",
    [
        {"role_name": None},
        {"enumerate": False, "include_accounts": [healthy().accounts[3].id]},
    ],
)
def test_without_organizations(aws: FakeAws, here: Here, organization: dict[str, Any]) -> None:
    aws.load(healthy())
    said, ended = preflight(aws, here, config={"organization": organization})
    assert (ended.status, said["caller"]["standing"]) == (0, "not_asked")
    assert said["caller"]["may_list_accounts"] is None
    assert said["account_regions"] == REGIONS
    assert not any(name.startswith("organizations:") for name in calls(aws))


@pytest.mark.parametrize(
    ("options", "config", "named"),
    [
        (("--region", "eu-centrall-1"), {}, "eu-centrall-1"),
        ((), {"report": {"formats": ["papyrus"]}}, "papyrus"),
        ((), {"organisation": {}}, "organisation"),
    ],
)
def test_a_wrong_configuration_is_refused_before_any_call(
    aws: FakeAws, here: Here, options: tuple[str, ...], config: dict[str, Any], named: str
) -> None:
    aws.load(healthy())
    ended = here.command(aws, "preflight", *options, config=config)
    assert (ended.status, ended.stdout) == (2, "")
    assert named in ended.stderr
    assert calls(aws) == {}


def shown() -> World:
    """The organization of the table in docs/preflight.md."""
    accounts = _accounts((2, 5, 9), role={"exists": False})
    for place in _in(PAYMENTS)[1:]:
        accounts[place]["role"] = role(WRITE)
    return World.from_json(
        {
            **healthy(
                regions=5,
                denies=[{"regions": ["eu-west-1"], "actions": ["ecr:*"]}],
                caller_mode="delegated",
            ).to_json(),
            "accounts": accounts,
            "keys": [{"arn": key(healthy(caller_mode="delegated")), "via_service": True}],
        }
    )


def test_the_table_in_the_document_is_the_programs(aws: FakeAws, here: Here) -> None:
    world = shown()
    aws.load(world)
    ended = here.command(aws, "preflight", config=everything(world))
    document = (ROOT / "docs" / "preflight.md").read_text(encoding="utf-8")
    (sample,) = re.findall(r"```text\n(Caller .*?)```", document, re.DOTALL)
    varies = re.compile(r"preflight-[0-9a-f]{6}|sweeper-preflight/[0-9a-f]{32}")
    assert varies.sub("…", ended.stdout) == varies.sub("…", sample)
    assert ended.status == 4
