"""`make stackset-deploy` against moto's StackSets; what moto cannot do is put in front of it.

In a package of its own: moto has one organization in a process, and tests.stacksets keeps one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws
from moto.cloudformation import models, responses
from moto.cloudformation.exceptions import ValidationError
from moto.core.responses import ActionResult
from moto.iam.models import iam_backends

from stacksets.deploy import STAGED, main
from tests.stacksets import templates
from tests.stacksets.deployment import REGION, SETUP

ROOT = Path(__file__).parents[2]
NAME = "sweeper-member-role"
CENTRAL = "arn:aws:iam::111111111111:role/ecr-immutability-sweeper-central"
NEEDED = f"CentralRoleArn={CENTRAL} OrganizationId=o-a1b2c3d4e5"


@dataclass
class Rollouts:
    """Runs the program in a small organization, and shows what became of it."""

    unit: str
    other_unit: str
    accounts: list[str]
    waits: list[float] = field(default_factory=list)

    def deploy(
        self, parameters: str = NEEDED, ous: str | None = None, call_as: str = "SELF"
    ) -> int:
        arguments = ["--stack-set", NAME, "--call-as", call_as, "--parameters", parameters]
        return main([*arguments, "--ous", self.unit if ous is None else ous], self.waits.append)

    @property
    def stack_sets(self) -> list[Any]:
        listed: list[Any] = boto3.client("cloudformation").list_stack_sets()["Summaries"]
        return listed

    @property
    def parameters(self) -> dict[str, str]:
        found = boto3.client("cloudformation").describe_stack_set(StackSetName=NAME)["StackSet"]
        return {item["ParameterKey"]: item["ParameterValue"] for item in found["Parameters"]}

    @property
    def accounts_with_role(self) -> list[str]:
        return [
            account
            for account in self.accounts
            if any(role.name == "ecr-immutability-sweeper" for role in _roles(account))
        ]


def _roles(account: str) -> Sequence[Any]:
    return tuple(iam_backends[account]["aws"].roles.values())


@pytest.fixture
def rollouts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rollouts]:
    for name, value in SETUP.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield _organization(monkeypatch)


def _organization(monkeypatch: pytest.MonkeyPatch) -> Rollouts:
    client = boto3.client("organizations")
    client.create_organization(FeatureSet="ALL")
    root = client.list_roots()["Roots"][0]["Id"]
    units = [
        client.create_organizational_unit(ParentId=root, Name=name)["OrganizationalUnit"]["Id"]
        for name in ("workloads", "others")
    ]
    accounts = []
    for number in range(3):
        created = client.create_account(AccountName=f"a{number}", Email=f"a{number}@example.com")[
            "CreateAccountStatus"
        ]
        accounts.append(created["AccountId"])
        client.move_account(
            AccountId=accounts[-1], SourceParentId=root, DestinationParentId=units[number // 2]
        )
    _units_are_described(monkeypatch)
    unit, other_unit = units
    return Rollouts(unit, other_unit, accounts)


def _units_are_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """The units of CreateStackInstances are described and listed; moto forgets them."""
    original: Callable[..., Any] = models.StackSet.create_stack_instances

    def create_stack_instances(self: Any, **given: Any) -> Any:
        units = (given["deployment_targets"] or {}).get("OrganizationalUnitIds", [])
        self.organizational_unit_ids = [*getattr(self, "organizational_unit_ids", ()), *units]
        return original(self, **given)

    monkeypatch.setattr(models.StackSet, "create_stack_instances", create_stack_instances)
    listed: Callable[..., Any] = models.CloudFormationBackend.list_stack_instances

    def list_stack_instances(self: Any, name: str) -> list[Any]:
        organizations = boto3.client("organizations")
        return [
            {
                **each,
                "OrganizationalUnitId": organizations.list_parents(ChildId=each["Account"])[
                    "Parents"
                ][0]["Id"],
            }
            for each in listed(self, name)
        ]

    monkeypatch.setattr(models.CloudFormationBackend, "list_stack_instances", list_stack_instances)


def _operations_end(
    monkeypatch: pytest.MonkeyPatch, status: str, results: Mapping[str, str], after: int = 2
) -> None:
    """Every operation is RUNNING `after` times it is described, then `status` with `results`."""
    original: Callable[..., Any] = models.StackSet.get_operation
    described: dict[str, int] = {}

    def get_operation(self: Any, operation_id: str) -> Any:
        described[operation_id] = described.get(operation_id, 0) + 1
        running = described[operation_id] <= after
        return {**original(self, operation_id), "Status": "RUNNING" if running else status}

    def list_results(_: Any) -> ActionResult:
        summaries = [
            {"Account": account, "Region": REGION, "Status": each, "StatusReason": f"why {each}"}
            for account, each in results.items()
        ]
        return ActionResult({"Summaries": summaries})

    monkeypatch.setattr(models.StackSet, "get_operation", get_operation)
    monkeypatch.setattr(
        responses.CloudFormationResponse, "list_stack_set_operation_results", list_results
    )


def _sent(monkeypatch: pytest.MonkeyPatch, operation: str) -> list[Mapping[str, Any]]:
    """What is sent to the operation, in order."""
    sent: list[Mapping[str, Any]] = []
    original: Callable[..., Any] = getattr(responses.CloudFormationResponse, operation)

    def record(self: Any) -> Any:
        sent.append(self._get_params())
        return original(self)

    monkeypatch.setattr(responses.CloudFormationResponse, operation, record)
    return sent


# --- what it deploys ------------------------------------------------------------------------------


def test_the_role_is_in_every_account_of_the_unit(
    rollouts: Rollouts, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rollouts.deploy(f"{NEEDED} ExternalId=a=b AllowRemediation=true") == 0
    assert capsys.readouterr().err == ""
    assert rollouts.accounts_with_role == rollouts.accounts[:2]
    assert rollouts.parameters == {
        "CentralRoleArn": CENTRAL,
        "OrganizationId": "o-a1b2c3d4e5",
        "ExternalId": "a=b",
        "AllowRemediation": "true",
    }


def test_an_upgrade_keeps_what_it_is_not_given(
    rollouts: Rollouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollouts.deploy(f"{NEEDED} ExternalId=first-id AllowRemediation=true")
    updates = _sent(monkeypatch, "update_stack_set")
    instances = _sent(monkeypatch, "create_stack_instances")
    assert rollouts.deploy("ExternalId=second-id") == 0
    assert rollouts.parameters["ExternalId"] == "second-id"
    assert rollouts.parameters["AllowRemediation"] == "true"
    assert rollouts.parameters["CentralRoleArn"] == CENTRAL
    (update,) = updates
    sent = update["OperationPreferences"]
    assert {key: str(value) for key, value in STAGED.items()} == {
        key: str(sent[key]) for key in STAGED
    }
    # Accounts of a unit may have parameters of their own: they are not created again.
    assert instances == []
    assert rollouts.deploy("", ous=f"{rollouts.unit} {rollouts.other_unit}") == 0
    (create,) = instances
    assert create["DeploymentTargets"]["OrganizationalUnitIds"] == [rollouts.other_unit]
    assert rollouts.accounts_with_role == rollouts.accounts


def test_parameters_are_those_of_all_units(
    rollouts: Rollouts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rollouts.deploy()
    updates = _sent(monkeypatch, "update_stack_set")
    asked = f"{NEEDED} AllowRemediation=true"
    assert rollouts.deploy(asked, ous=rollouts.other_unit) == 2
    both = " ".join(sorted((rollouts.unit, rollouts.other_unit)))
    refused = capsys.readouterr().err
    assert "AllowRemediation would change in all accounts" in refused
    assert f"OUS='{both}'" in refused
    assert updates == []
    # What has the value already does not change anywhere.
    assert rollouts.deploy(NEEDED, ous=rollouts.other_unit) == 0
    assert rollouts.deploy(asked, ous=both) == 0
    assert rollouts.parameters["AllowRemediation"] == "true"


def test_a_rollout_is_staged(rollouts: Rollouts, monkeypatch: pytest.MonkeyPatch) -> None:
    created = _sent(monkeypatch, "create_stack_instances")
    rollouts.deploy()
    sent = created[0]["OperationPreferences"]
    assert int(sent["MaxConcurrentPercentage"]) == 25
    assert int(sent["FailureTolerancePercentage"]) == 10
    assert sent["ConcurrencyMode"] == "SOFT_FAILURE_TOLERANCE"


# --- what became of it ----------------------------------------------------------------------------


def test_it_waits_for_the_instances(rollouts: Rollouts, monkeypatch: pytest.MonkeyPatch) -> None:
    _operations_end(
        monkeypatch, "SUCCEEDED", dict.fromkeys(rollouts.accounts, "SUCCEEDED"), after=3
    )
    assert rollouts.deploy() == 0
    assert len(rollouts.waits) == 3


@pytest.mark.parametrize(
    ("exists", "status", "others", "exit_status"),
    [
        (False, "FAILED", "FAILED", 1),
        (True, "FAILED", "FAILED", 1),
        (True, "STOPPED", "CANCELLED", 1),
        (True, "SUCCEEDED", "FAILED", 1),  # within the tolerance
        (True, "SUCCEEDED", "CANCELLED", 0),  # a suspended account
    ],
)
def test_an_operation_that_did_not_succeed_is_no_success(  # noqa: PLR0917 (a table)
    rollouts: Rollouts,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    exists: bool,
    status: str,
    others: str,
    exit_status: int,
) -> None:
    if exists:
        rollouts.deploy()
    first, second, _ = rollouts.accounts
    _operations_end(monkeypatch, status, {first: "SUCCEEDED", second: others})
    capsys.readouterr()
    assert rollouts.deploy() == exit_status
    said = capsys.readouterr()
    assert f"{second}: {others}: why {others}" in said.err
    assert f"{status}, 1 of 2 accounts" in said.out


def test_a_failed_update_is_not_followed_by_new_instances(
    rollouts: Rollouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollouts.deploy()
    _operations_end(monkeypatch, "FAILED", {rollouts.accounts[0]: "FAILED"})
    created = _sent(monkeypatch, "create_stack_instances")
    assert rollouts.deploy(ous=rollouts.other_unit) == 1
    assert created == []


@pytest.mark.filterwarnings("ignore:Exception.*does not match an error shape:UserWarning")
@pytest.mark.parametrize("code", ["AccessDenied", "Throttling"])
def test_a_stack_set_that_cannot_be_described_is_not_taken_for_none(
    rollouts: Rollouts,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: str,
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    def refuse(_: Any, name: str) -> Any:
        error = ValidationError(message=f"not now: {name}")
        error.code = code
        raise error

    monkeypatch.setattr(models.CloudFormationBackend, "describe_stack_set", refuse)
    assert rollouts.deploy() == 1
    assert code in capsys.readouterr().err
    assert rollouts.stack_sets == []


def test_one_that_was_deleted_is_created_again(rollouts: Rollouts) -> None:
    rollouts.deploy()
    client = boto3.client("cloudformation")
    client.delete_stack_instances(
        StackSetName=NAME, Accounts=rollouts.accounts, Regions=[REGION], RetainStacks=False
    )
    client.delete_stack_set(StackSetName=NAME)
    assert rollouts.deploy() == 0
    assert rollouts.accounts_with_role == rollouts.accounts[:2]


def test_a_second_region_is_refused(
    rollouts: Rollouts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rollouts.deploy()
    elsewhere = [{"Region": "us-east-1", "Account": rollouts.accounts[0]}]
    monkeypatch.setattr(models.CloudFormationBackend, "list_stack_instances", lambda *_: elsewhere)
    assert rollouts.deploy() == 2
    assert "us-east-1" in capsys.readouterr().err


# --- what it refuses before anything is created ---------------------------------------------------


REFUSED: tuple[tuple[str, str | None, str], ...] = (
    (NEEDED, "", "OUS is missing"),
    (NEEDED, "workloads", "'workloads' is not allowed; allowed: r-ab12"),
    ("", None, "CentralRoleArn and OrganizationId must be given"),
    (f"{NEEDED} AllowRemediation", None, "'AllowRemediation' is not Key=Value"),
    (f"{NEEDED} AllowRemediate=true", None, "AllowRemediate is unknown; allowed: CentralRoleArn"),
    (f"{NEEDED} AllowRemediation=yes", None, "AllowRemediation=yes is not allowed; allowed: true"),
    (f"{NEEDED} ExternalId=a", None, "must be empty, or 2 to 1224 letters"),
    ("CentralRoleArn=central", None, "must be the ARN of an IAM role"),
    (f"{NEEDED} RoleName=a RoleName=b", None, "RoleName is given twice"),
)


def test_bad_arguments_are_refused_with_what_is_allowed(
    rollouts: Rollouts, capsys: pytest.CaptureFixture[str]
) -> None:
    for parameters, ous, named in REFUSED:
        status = rollouts.deploy(parameters, ous)
        said = capsys.readouterr().err
        assert (status, named in said) == (2, True), f"{parameters} {ous}: {said}"
        assert rollouts.stack_sets == [], parameters


EVENTS = ("--template", "member-events", "--stack-set", "sweeper-member-events")
BUS = "CentralEventBusArn=arn:aws:events:eu-central-1:111111111111:event-bus/sweeper"


@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")  # moto makes no queue policy
def test_the_rules_are_in_every_region_that_is_named(rollouts: Rollouts) -> None:
    def deploy(regions: str, ous: str = rollouts.unit) -> int:
        given = ("--regions", regions, "--ous", ous, "--parameters", BUS)
        return main([*EVENTS, *given], rollouts.waits.append)

    def deployed() -> set[tuple[str, str]]:
        listed = boto3.client("cloudformation").list_stack_instances(
            StackSetName="sweeper-member-events"
        )
        return {(each["Account"], each["Region"]) for each in listed["Summaries"]}

    members = rollouts.accounts[:2]
    assert deploy("eu-central-1 eu-west-1") == 0
    assert deployed() == {(each, region) for each in members for region in TWO_REGIONS}
    assert deploy("eu-central-1 eu-west-1 us-east-1") == 0  # later, another one
    assert deployed() == {(each, region) for each in members for region in THREE_REGIONS}
    # Another unit, in one of the regions first.
    both = f"{rollouts.unit} {rollouts.other_unit}"
    assert deploy("eu-central-1", rollouts.other_unit) == 0
    assert (rollouts.accounts[2], "eu-west-1") not in deployed()
    assert deploy("eu-central-1 eu-west-1 us-east-1", both) == 0
    assert deployed() == {(each, region) for each in rollouts.accounts for region in THREE_REGIONS}


def test_a_stack_set_of_the_other_template_is_refused(
    rollouts: Rollouts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rollouts.deploy()
    updates = _sent(monkeypatch, "update_stack_set")
    given = ("--regions", "eu-central-1", "--ous", rollouts.unit, "--parameters", BUS)
    arguments = ("--template", "member-events", "--stack-set", NAME, *given)
    assert main(arguments, rollouts.waits.append) == 2
    assert "STACK_SET" in capsys.readouterr().err
    assert updates == []
    assert rollouts.accounts_with_role == rollouts.accounts[:2]


TWO_REGIONS = ("eu-central-1", "eu-west-1")
THREE_REGIONS = (*TWO_REGIONS, "us-east-1")


def test_regions_are_for_the_rules_alone(
    rollouts: Rollouts, capsys: pytest.CaptureFixture[str]
) -> None:
    role = ("--stack-set", NAME, "--ous", rollouts.unit, "--parameters", NEEDED)
    rules = (*EVENTS, "--ous", rollouts.unit, "--parameters", BUS)
    for arguments, named in (
        ((*role, "--regions", "eu-west-1"), "REGIONS is not allowed for member-role"),
        (rules, "REGIONS is missing"),
        ((*rules, "--regions", "everywhere"), "'everywhere' is not allowed"),
    ):
        assert main(arguments, rollouts.waits.append) == 2
        assert named in capsys.readouterr().err
    assert rollouts.stack_sets == []


def test_without_a_region_nothing_is_created(
    rollouts: Rollouts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.delenv("AWS_REGION", raising=False)
    assert rollouts.deploy() == 2
    assert "AWS_REGION" in capsys.readouterr().err


def test_the_documented_commands_name_parameters_that_there_are() -> None:
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    declared = templates.load("member-role")["Parameters"]
    named = [
        pair.partition("=")[0].strip("'")
        for given in re.findall(r'PARAMETERS="(\S+=[^"]*)"', text)
        for pair in given.split()
    ]
    assert {"CentralRoleArn", "OrganizationId"} <= set(named)
    central = yaml.safe_dump(templates.load("central-lambda")["Parameters"])
    assert all(name in declared or name in central for name in named), named
