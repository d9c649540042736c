"""The real sweep in the roles that the templates make, with IAM enforced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import boto3
import pytest
from moto.sts.models import sts_backends

from sweeper.domain.errors import ExitStatus
from sweeper.domain.exit_status import exit_status
from sweeper.domain.model import ChangeStatus
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report
from sweeper.storage.lease import _Holder
from tests.stacksets import templates
from tests.stacksets.deployment import (
    CHECKS,
    EVERY_CHECK,
    EXTERNAL_ID,
    HUB,
    MANAGEMENT,
    MEMBER_ROLE,
    OPEN_REPOSITORIES,
    REGIONS,
    Deployment,
)
from tests.stacksets.iam import actions, parse

OPEN = len(OPEN_REPOSITORIES) * len(REGIONS)  # in each account


def _failures(report: Report) -> set[tuple[str | None, Reason]]:
    return {(failure.account_id, failure.reason) for failure in report.failures}


def _member_sessions(deployment: Deployment) -> Iterator[tuple[str, set[str]]]:
    """Account and actions of each session policy that a member role was assumed with."""
    for account in deployment.accounts:
        for session in sts_backends[account]["aws"].assumed_roles:
            if session.role_arn.endswith(f"/{MEMBER_ROLE}"):
                yield account, set(actions(parse(session.policy)))


@pytest.mark.parametrize(
    "stacks",
    [
        pytest.param(name, marks=pytest.mark.slow if name != "central-fargate" else ())
        for name in templates.ONE_PROCESS
    ],
    indirect=True,
)
def test_a_sweep_closes_everything_and_its_report_lies_in_the_stacks_bucket(
    deployment: Deployment,
) -> None:
    deployment.empty_bucket()
    report, authority = deployment.sweep()
    assert report.coverage.complete
    assert report.totals.changes.applied == OPEN * len(deployment.accounts)
    assert [delivery.status for delivery in report.deliveries] == ["delivered"] * 6
    for account in deployment.accounts:
        assert deployment.mutability(account) == {"IMMUTABLE"}
    bucket = deployment.stack["ReportBucketName"]
    keys = {item["Key"] for item in boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]}
    folder = f"{report.run.started_at[:10]}/{report.run.id}"
    assert {"latest.json", f"{folder}/report.json", f"{folder}/report.csv"} <= keys
    assert {"history.json", "lease.json", f"{folder}/plan.jsonl"} <= keys
    used = {action for role, action in authority.used if role == deployment.central_role.name}
    assert {action for action in used if action.startswith("s3:")} == {
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
    }


@pytest.mark.slow
@pytest.mark.parametrize("stacks", templates.ONE_PROCESS, indirect=True)
class TestBothTemplatesOfOneProcess:
    def test_a_dry_run_sees_everything_and_writes_nothing(self, deployment: Deployment) -> None:
        report, authority = deployment.sweep(dry_run=True)
        assert report.coverage.complete
        assert report.totals.changes.planned == OPEN * len(deployment.accounts)
        assert [delivery.status for delivery in report.deliveries] == ["delivered"] * 6
        assert (MEMBER_ROLE, "ecr:PutImageTagMutability") not in authority.used
        assert deployment.mutability(MANAGEMENT) == {"MUTABLE"}

    def test_the_next_sweep_finds_the_lease_given_back(self, deployment: Deployment) -> None:
        deployment.empty_bucket()
        for _ in range(2):
            deployment.reopen()
            report, _ = deployment.sweep()
            assert report.totals.changes.applied == OPEN * len(deployment.accounts)

    def test_a_sweep_that_meets_another_enters_no_account(self, deployment: Deployment) -> None:
        bucket = deployment.stack["ReportBucketName"]
        holder = _Holder("20261124T021708Z-e9a4f1", "a-host", "2026-11-24T02:17:08Z", "0" * 16)
        body = json.dumps(asdict(holder))
        boto3.client("s3").put_object(Bucket=bucket, Key="lease.json", Body=body)
        report, authority = deployment.sweep()
        deployment.empty_bucket()
        assert exit_status(report) is ExitStatus.LEASE_HELD
        assert "sts:AssumeRole" not in {action for _, action in authority.used}
        assert report.deliveries == ()
        assert deployment.mutability(MANAGEMENT) == {"MUTABLE"}


def _imported() -> list[Any]:
    """The findings in Security Hub of what is swept by default."""
    found: list[Any] = boto3.client("securityhub", region_name=HUB).get_findings()["Findings"]
    return [each for each in found if each["GeneratorId"] == "ecr-tag-immutability"]


@pytest.mark.slow
def test_the_findings_are_in_security_hub(deployment: Deployment) -> None:
    deployment.sweep(dry_run=True)
    found = _imported()
    assert len(found) == OPEN * len(deployment.accounts)
    assert {(each["AwsAccountId"], each["RecordState"]) for each in found} == {
        (MANAGEMENT, "ACTIVE")
    }
    owners = {each["Resources"][0]["Id"].split(":")[4] for each in found}
    assert owners == set(deployment.accounts)
    deployment.sweep()
    found = _imported()
    assert {each["Compliance"]["Status"] for each in found} == {"PASSED"}


@pytest.mark.slow
def test_session_policies_ask_for_no_more_than_the_role_grants(deployment: Deployment) -> None:
    for account in deployment.accounts:
        sts_backends[account]["aws"].assumed_roles.clear()
    deployment.sweep(dry_run=True, options=EVERY_CHECK)
    reading = dict(_member_sessions(deployment))
    remediation = {**EVERY_CHECK["remediation"], "assess_impact": True}
    deployment.sweep(options={**EVERY_CHECK, "remediation": remediation})
    writing = dict(_member_sessions(deployment))
    writes = set[str]().union(
        *(check.write_actions | check.create_actions for check in CHECKS.values())
    )
    assert set(reading) == set(writing) == set(deployment.accounts)
    for account in deployment.accounts:
        role = deployment.role(account)
        granted = {action for policy in role.policies.values() for action in actions(parse(policy))}
        assert writing[account] == granted
        assert reading[account] == granted - writes - {"ecr:DescribeImages"}


@pytest.mark.slow
@pytest.mark.parametrize("external_id", ["another-id", None])
def test_a_wrong_external_id_opens_no_account(
    deployment: Deployment, external_id: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {**deployment.environment, "SWEEPER_ORGANIZATION__EXTERNAL_ID": external_id}
    environment = {name: value for name, value in given.items() if value is not None}
    monkeypatch.setattr(deployment, "environment", environment)
    report, _ = deployment.sweep()
    assert _failures(report) == {
        (account, Reason.ASSUME_ROLE_DENIED) for account in deployment.accounts
    }
    assert EXTERNAL_ID not in str(report)


@pytest.mark.slow
def test_another_role_of_the_central_account_opens_no_account(deployment: Deployment) -> None:
    # It may do all that the central role may; the members do not trust it.
    client = boto3.client("iam")
    twin = client.create_role(
        RoleName="twin",
        AssumeRolePolicyDocument=json.dumps(deployment.central_role.assume_role_policy_document),
    )["Role"]
    role = deployment.role(MANAGEMENT, "twin")
    role.policies.update(deployment.central_role.policies)
    report, _ = deployment.sweep(role_arn=twin["Arn"])
    assert _failures(report) == {
        (account, Reason.ASSUME_ROLE_DENIED) for account in deployment.accounts
    }
    assert not [delivery for delivery in report.deliveries if delivery.status == "failed"]


@pytest.mark.slow
def test_without_allow_remediation_the_role_only_looks(deployment: Deployment) -> None:
    with deployment.management_stack(AllowRemediation=None):
        report, _ = deployment.sweep()
    assert report.coverage.complete
    refused = {
        finding.change.reason
        for finding in report.findings
        if finding.account_id == MANAGEMENT and finding.change
    }
    assert refused == {Reason.WRITE_NOT_GRANTED}
    assert deployment.mutability(MANAGEMENT) == {"MUTABLE"}
    others = [account for account in deployment.accounts if account != MANAGEMENT]
    assert report.totals.changes.applied == OPEN * len(others)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alone", "resource"),
    [
        ("AllowRemediation", "repository"),
        ("AllowTemplateRemediation", "repository_creation_template"),
        ("AllowRootTemplates", "registry"),
    ],
)
def test_repositories_and_templates_are_allowed_apart(
    deployment: Deployment, alone: str, resource: str
) -> None:
    parameters = ("AllowRemediation", "AllowTemplateRemediation", "AllowRootTemplates")
    allowed = {**dict.fromkeys(parameters), alone: "true"}
    with deployment.management_stack(**allowed):
        report, _ = deployment.sweep(options=EVERY_CHECK)
    assert report.coverage.complete
    closed = {
        finding.resource
        for finding in report.findings
        if finding.account_id == MANAGEMENT
        and finding.change
        and finding.change.status is ChangeStatus.APPLIED
    }
    assert closed == {resource}
    mutable, both = {"MUTABLE"}, {"MUTABLE", "IMMUTABLE"}
    expected = {
        "repository": ({"IMMUTABLE"}, mutable),
        "repository_creation_template": (mutable, {"IMMUTABLE"}),
        "registry": (mutable, both),
    }
    settings = deployment.mutability(MANAGEMENT), deployment.template_mutability(MANAGEMENT)
    assert settings == expected[resource]


@pytest.mark.slow
def test_the_permissions_boundary_bounds_the_role(deployment: Deployment) -> None:
    look = {"Effect": "Allow", "Action": ["account:*", "ecr:Describe*"], "Resource": "*"}
    boundary = boto3.client("iam").create_policy(
        PolicyName="boundary",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [look]}),
    )["Policy"]["Arn"]
    with deployment.management_stack(PermissionsBoundaryArn=boundary):
        report, _ = deployment.sweep()
    refused = {
        finding.change.reason
        for finding in report.findings
        if finding.account_id == MANAGEMENT and finding.change
    }
    assert refused == {Reason.DENIED_BY_PERMISSIONS_BOUNDARY, Reason.WRITE_NOT_PERMITTED}


@pytest.mark.slow
def test_a_role_of_another_name_is_out_of_the_central_roles_reach(deployment: Deployment) -> None:
    with deployment.management_stack(RoleName="another"):
        report, _ = deployment.sweep(options={"organization": {"role_name": "another"}})
    assert _failures(report) == {
        (account, Reason.ASSUME_ROLE_DENIED) for account in deployment.accounts
    }


@pytest.mark.slow
def test_a_path_belongs_to_the_role_that_is_named(deployment: Deployment) -> None:
    with deployment.management_stack(RolePath="/security/"):
        report, _ = deployment.sweep()
    assert _failures(report) == {(MANAGEMENT, Reason.ASSUME_ROLE_DENIED)}


@pytest.mark.slow
def test_the_service_control_policy_lets_the_sweep_through(deployment: Deployment) -> None:
    policy = json.loads(
        (templates.FOLDER / "deny-tag-mutability-changes.json").read_text(encoding="utf-8")
    )
    report, _ = deployment.sweep(service_control_policies=[policy])
    assert report.totals.remaining == 0
    # It is the policy that is evaluated: another name in it, and it refuses the sweep.
    text = json.dumps(policy).replace(f"role/{MEMBER_ROLE}", "role/another")
    deployment.reopen()
    report, _ = deployment.sweep(service_control_policies=[json.loads(text)])
    refused = {finding.change.reason for finding in report.findings if finding.change}
    assert Reason.DENIED_BY_SCP in refused
    assert deployment.mutability(MANAGEMENT) == {"IMMUTABLE"}  # which no such policy binds
