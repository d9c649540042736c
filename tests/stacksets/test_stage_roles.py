"""The stages of a sweep, each in the role that central-stepfunctions.yaml makes for it.

IAM is enforced: what a stage does is allowed to its role, and what is allowed to the role is done.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.iam.models import Role
from moto.organizations.models import FakeAccount

from sweeper.lambda_handler import handler
from tests.cases import case
from tests.end_to_end.test_lambda import Context
from tests.stacksets.authority import identity_policies
from tests.stacksets.deployment import (
    EVERY_CHECK,
    MANAGEMENT,
    MEMBER_ROLE,
    REGION,
    Deployment,
)
from tests.stacksets.iam import Request, actions, allows, denies, trusts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("stacks", ["central-stepfunctions"], indirect=True),
]

ROLES = {
    "start": "StartRole",
    "scan": "ScanRole",
    "plan": "PlanRole",
    "apply": "CentralRole",
    "finish": "FinishRole",
}
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}  # Lambda's own, which moto does not run
WRITES = {
    "ecr:PutImageTagMutability",
    "ecr:UpdateRepositoryCreationTemplate",
    "ecr:CreateRepositoryCreationTemplate",
    "ecr:DeleteRepositoryCreationTemplate",
    "ecr:CreateRepository",
    "ecr:PutLifecyclePolicy",
    "ecr:SetRepositoryPolicy",
}


CONFIG: dict[str, Any] = {
    **EVERY_CHECK,
    "distributed": {"accounts_per_shard": 2},
    "report": {"account_tags": ["swept"]},
}


class Stages:
    """Runs the stages of one sweep, each in its role; `used` has what each asked for."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.used: set[tuple[str, str]] = set()
        self.run_id = ""

    def role(self, stage: str) -> Role:
        """The role of the stage."""
        found = boto3.client("cloudformation").describe_stack_resource(
            StackName="sweeper", LogicalResourceId=ROLES[stage]
        )
        name = found["StackResourceDetail"]["PhysicalResourceId"]
        return self._deployment.role(MANAGEMENT, name)

    def run(self, stage: str, **event: Any) -> Any:
        """Run the stage; return its answer."""
        given = {"stage": stage, **({} if stage == "start" else {"run": self.run_id}), **event}
        with self._deployment.entered(self.role(stage).arn) as authority:
            answer = handler(given, Context())
        self.used |= authority.used
        self.run_id = answer["run"]
        return answer

    def sweep(self, *, in_doubt: bool = False, **event: Any) -> Any:
        """Run all stages; return what finish answers.

        `in_doubt` is whether the first worker that applies was killed before it recorded results.
        """
        for shard in range(self.run("start", **event)["shards"]):
            self.run("scan", shard=shard)
        self.run("plan")
        for each in json.loads(self._read("shards/apply.json")):
            self.run("apply", shard=each["shard"])
        if in_doubt:
            lines = self._read("apply/0.jsonl").splitlines(keepends=True)
            left = [line for line in lines if json.loads(line)["kind"] not in ("result", "end")]
            assert len(left) < len(lines) - 1
            boto3.client("s3").put_object(**self._at("apply/0.jsonl"), Body=b"".join(left))
        return self.run("finish")

    def _at(self, name: str) -> Any:
        day = f"{self.run_id[:4]}-{self.run_id[4:6]}-{self.run_id[6:8]}"
        bucket = self._deployment.stack["ReportBucketName"]
        return {"Bucket": bucket, "Key": f"{day}/{self.run_id}/work/{name}"}

    def _read(self, name: str) -> bytes:
        return boto3.client("s3").get_object(**self._at(name))["Body"].read()


def _configure(config: dict[str, Any]) -> None:
    Path("config.yaml").write_text(json.dumps(config), encoding="utf-8")


@pytest.fixture
def stages(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stages]:
    """Stages whose configuration needs all of Organizations, and everything that is checked."""
    monkeypatch.chdir(tmp_path)
    config = {
        **CONFIG,
        "organization": {
            "include_ous": [deployment.root, deployment.empty_unit],
            "include_tags": {"swept": ["yes"]},
        },
    }
    _configure(config)
    deployment.empty_bucket()
    yield Stages(deployment)
    deployment.empty_bucket()


def test_each_role_grants_what_its_stage_does_and_nothing_more(
    stages: Stages, deployment: Deployment
) -> None:
    assert stages.sweep()["exit_status"] == 0
    for account in deployment.accounts:
        settings = deployment.mutability(account) | deployment.template_mutability(account)
        assert settings == {"IMMUTABLE"}
    deployment.reopen()
    describe = FakeAccount.describe

    def with_paths(account: FakeAccount) -> dict[str, Any]:
        path = f"{account.organization_id}/{deployment.root}/{account.id}/"
        return {**describe(account), "Paths": [path]}

    # With paths, without tags that choose accounts, and with a worker whose changes are in doubt.
    units = [deployment.root, deployment.empty_unit]
    _configure({**CONFIG, "organization": {"include_ous": units}})
    with mock.patch.object(FakeAccount, "describe", with_paths):
        assert stages.sweep(in_doubt=True)["exit_status"] == 0
    for stage in ROLES:
        with case(stage):
            role = stages.role(stage)
            used = {action for name, action in stages.used if name == role.name}
            assert used == set(actions(identity_policies(role))) - LOGS


def test_a_dry_run_writes_nothing_and_is_delivered(stages: Stages, deployment: Deployment) -> None:
    assert stages.sweep(dry_run=True, deliver=True)["exit_status"] == 3
    assert not WRITES & {action for _, action in stages.used}
    assert deployment.mutability(MANAGEMENT) == {"MUTABLE"}
    assert "sns:Publish" in {action for _, action in stages.used}


def test_each_stage_alone_writes_what_it_leaves(stages: Stages, deployment: Deployment) -> None:
    bucket = f"arn:aws:s3:::{deployment.stack['ReportBucketName']}"
    run = f"{bucket}/sweeps/2026-11-24/20261124T021708Z-e9a4f1"
    may: dict[str, set[str]] = {
        f"{bucket}/latest.json": {"finish"},
        f"{bucket}/sweeps/history.json": {"finish"},
        f"{run}/report.json": {"finish"},
        f"{run}/work/header.json": {"start"},
        f"{run}/work/shards/scan.json": {"start"},
        f"{run}/work/scan/0.jsonl": {"scan"},
        f"{run}/work/plan.jsonl": {"plan"},
        f"{run}/work/plan/0.jsonl": {"plan"},
        f"{run}/work/shards/apply.json": {"plan"},
        f"{run}/work/apply/0.jsonl": {"apply"},
        f"{run}/work/finish.json": {"finish"},
        f"{bucket}/sweeps/lease.json": set(ROLES),
        f"{bucket}/lease.json": set(ROLES),
    }
    for resource, expected in may.items():
        with case(resource):
            request = Request("s3:PutObject", resource)
            found = {
                stage
                for stage in ROLES
                if allows(policies := identity_policies(stages.role(stage)), request)
                and not denies(policies, request)
            }
            assert found == expected
    topic = Request("sns:Publish", deployment.stack["TopicArn"])
    assert {stage for stage in ROLES if allows(identity_policies(stages.role(stage)), topic)} == {
        "finish"
    }


def test_only_finish_reaches_teams_and_what_is_recorded(deployment: Deployment) -> None:
    bus = f"arn:aws:events:{REGION}:{MANAGEMENT}:event-bus/findings"
    chat = f"arn:aws:sns:{REGION}:{MANAGEMENT}:chat"
    given = {"ConfigAggregatorName": "organization", "EventBusArn": bus, "ChatTopicArn": chat}
    deployment.central_stack("teams", {**given, "CentralRoleName": "teams"})
    cloudformation = boto3.client("cloudformation")
    roles = {
        stage: deployment.role(
            MANAGEMENT,
            cloudformation.describe_stack_resource(StackName="teams", LogicalResourceId=name)[
                "StackResourceDetail"
            ]["PhysicalResourceId"],
        )
        for stage, name in ROLES.items()
    }
    recorded = f"arn:aws:config:{REGION}:{MANAGEMENT}:config-aggregator/config-aggregator-a1"
    for request in (
        Request("config:SelectAggregateResourceConfig", recorded),
        Request("config:DescribeConfigurationAggregatorSourcesStatus", recorded),
        Request("events:PutEvents", bus, {"events:source": "sweeper"}),
        Request("sns:Publish", chat),
    ):
        with case(request):
            found = {
                stage for stage, role in roles.items() if allows(identity_policies(role), request)
            }
            assert found == {"finish"}


def test_only_apply_has_sessions_that_may_write(stages: Stages, deployment: Deployment) -> None:
    account = deployment.accounts[1]
    member = deployment.role(account)
    repository = f"arn:aws:ecr:{REGION}:{account}:repository/payments"

    def trusted(stage: str, session: str, **changes: str) -> bool:
        principal = stages.role(stage).arn
        context = {
            "aws:principalarn": principal,
            "aws:principalorgid": deployment.member_parameters["OrganizationId"],
            "sts:externalid": deployment.member_parameters["ExternalId"],
            "sts:rolesessionname": session,
            **changes,
        }
        request = Request("sts:AssumeRole", member.arn, context)
        return trusts(member.assume_role_policy_document, principal, request)

    def may_write(session: str) -> bool:
        key = {"aws:userid": f"AROAEXAMPLE:{session}"}
        return allows(
            identity_policies(member), Request("ecr:PutImageTagMutability", repository, key)
        )

    assert {stage for stage in ROLES if trusted(stage, "sweeper-a-run")} == {"apply"}
    assert {stage for stage in ROLES if trusted(stage, "sweeper-read-a-run")} == {
        "scan",
        "apply",
        "finish",
    }
    for changes in ({"sts:externalid": "another"}, {"aws:principalorgid": "o-anotherorg1"}):
        assert not trusted("scan", "sweeper-read-a-run", **changes)
    assert may_write("sweeper-a-run")
    assert not may_write("sweeper-read-a-run")


def test_a_scan_that_is_taken_over_changes_nothing(stages: Stages, deployment: Deployment) -> None:
    """Whatever a process in the role of scan asks of AWS, no setting changes."""
    account = deployment.accounts[1]
    arn = f"arn:aws:iam::{account}:role/{MEMBER_ROLE}"
    external_id = deployment.member_parameters["ExternalId"]
    with deployment.entered(stages.role("scan").arn):
        client = boto3.Session().client("sts", region_name=REGION)
        with pytest.raises(ClientError, match="AccessDenied"):
            client.assume_role(RoleArn=arn, RoleSessionName="sweeper-1", ExternalId=external_id)
        keys = client.assume_role(
            RoleArn=arn, RoleSessionName="sweeper-read-1", ExternalId=external_id
        )["Credentials"]
        ecr = boto3.client(
            "ecr",
            region_name=REGION,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )
        assert ecr.describe_repositories(repositoryNames=["payments"])["repositories"]
        with pytest.raises(ClientError, match="AccessDenied"):
            ecr.put_image_tag_mutability(repositoryName="payments", imageTagMutability="IMMUTABLE")
    assert deployment.mutability(account) == {"MUTABLE"}
