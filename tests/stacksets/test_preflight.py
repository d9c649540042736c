"""`sweeper preflight` in the roles that the templates make, with IAM enforced."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from sweeper.aws.config_aggregator import _ACTIONS
from tests.stacksets import templates
from tests.stacksets.deployment import (
    CHECKS,
    MANAGEMENT,
    MEMBER_ROLE,
    REGIONS,
    Deployment,
    without,
)

pytestmark = pytest.mark.slow

WRITE = "ecr:PutImageTagMutability"


def _nothing_changed(deployment: Deployment) -> bool:
    """Every repository is as open as before, and the bucket as it was."""
    bucket = deployment.stack["ReportBucketName"]
    keys = boto3.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    names = [item["Key"] for item in keys if "preflight" in item["Key"]]
    return names == [] and all(
        deployment.mutability(account) == {"MUTABLE"} for account in deployment.accounts
    )


@pytest.mark.parametrize("stacks", templates.ONE_PROCESS, indirect=True)
def test_the_central_role_needs_nothing_more_for_it(deployment: Deployment) -> None:
    said, authority = deployment.preflight()
    assert said["exit_status"] == 0
    assert said["caller"]["standing"] == "management_account"
    assert said["accounts"]["with_role"] == len(deployment.accounts)
    assert said["actions"][WRITE]["works"] == len(deployment.accounts) * len(REGIONS)
    answers = {(each["key"], each["action"]): each["answer"] for each in said["destinations"]}
    assert answers == {
        ("report.s3.bucket", "s3:ListBucket"): "works",
        ("report.s3.bucket", "s3:GetObject"): "works",
        ("report.s3.bucket", "s3:PutObject"): "works",
        **{("inventory.config_aggregator", action): "works" for action in _ACTIONS},
        ("report.event_bus", "exists"): "not_known",
        ("report.chat_topic_arn", "exists"): "not_known",
        ("report.sns_topic_arn", "exists"): "not_known",
        ("report.security_hub.region", "enabled"): "not_known",
    }
    assert {each["answer"] for each in said["problems"]} == {"not_known"}
    assert (MEMBER_ROLE, WRITE) in authority.used
    assert _nothing_changed(deployment)


def _only(said: Any) -> Any:
    (problem,) = (each for each in said["problems"] if each["answer"] != "not_known")
    return problem


def test_a_role_that_was_deployed_to_look_only(deployment: Deployment) -> None:
    with deployment.management_stack(AllowRemediation=None):
        said, _ = deployment.preflight()
    problem = _only(said)
    assert (said["exit_status"], problem["kind"]) == (4, "write")
    assert problem["reason"] == "write_not_granted"
    assert problem["accounts"] == [MANAGEMENT]
    assert problem["regions"] == sorted(REGIONS)
    assert "AllowRemediation=true" in problem["remedy"]
    assert _nothing_changed(deployment)


def test_a_role_that_was_deployed_to_close_repositories_only(deployment: Deployment) -> None:
    checks = ",".join(CHECKS)
    variables = {"SWEEPER_CHECKS": checks, "SWEEPER_REMEDIATION__CHECKS": checks}
    said, _ = deployment.preflight(**variables)
    assert said["exit_status"] == 0
    (unknown,) = (each for each in said["problems"] if each["kind"] == "write")
    assert unknown["answer"] == "not_known"
    assert unknown["actions"] == [
        "ecr:CreateRepository",
        "ecr:PutLifecyclePolicy",
        "ecr:SetRepositoryPolicy",
    ]
    with deployment.management_stack(AllowTemplateRemediation=None):
        said, _ = deployment.preflight(**variables)
    problem = _only(said)
    assert (said["exit_status"], problem["reason"]) == (4, "write_not_granted")
    assert problem["accounts"] == [MANAGEMENT]
    assert problem["actions"] == ["ecr:UpdateRepositoryCreationTemplate"]
    assert 'PARAMETERS="AllowTemplateRemediation=true"' in problem["remedy"]
    assert _nothing_changed(deployment)


def test_an_account_that_trusts_another_role(deployment: Deployment) -> None:
    other = f"arn:aws:iam::{MANAGEMENT}:role/another"
    with deployment.management_stack(CentralRoleArn=other):
        said, _ = deployment.preflight()
    problem = _only(said)
    assert (said["exit_status"], problem["reason"]) == (4, "assume_role_denied")
    assert problem["accounts"] == said["accounts"]["without_role"] == [MANAGEMENT]
    assert "StackSets skip the management account" in problem["remedy"]


@pytest.mark.parametrize(
    ("sid", "action", "denied"),
    [
        ("Reports", "s3:PutObject", ["s3:PutObject"]),
        # What a conditional write compares with must be readable, too.
        ("Reports", "s3:GetObject", ["s3:GetObject", "s3:PutObject"]),
        # To whom the bucket may not be listed, nothing is said to be missing.
        ("ReportList", "s3:ListBucket", ["s3:ListBucket", "s3:GetObject"]),
        ("ReportKey", "kms:GenerateDataKey", ["kms:GenerateDataKey"]),
    ],
)
def test_a_central_role_that_lacks_an_action_on_the_bucket(
    deployment: Deployment, sid: str, action: str, denied: list[str]
) -> None:
    deployment.empty_bucket()
    with without(deployment.central_role, sid, action):
        said, _ = deployment.preflight()
    problems = [each for each in said["problems"] if each["answer"] == "denied"]
    assert said["exit_status"] == 5
    assert {each["key"] for each in problems} == {"report.s3.bucket"}
    assert [each for problem in problems for each in problem["actions"]] == denied
    assert _nothing_changed(deployment)


def test_a_policy_of_the_organization_that_names_another_role(deployment: Deployment) -> None:
    text = (templates.FOLDER / "deny-tag-mutability-changes.json").read_text(encoding="utf-8")
    said, _ = deployment.preflight([text])
    assert said["exit_status"] == 0
    said, _ = deployment.preflight([text.replace(f"role/{MEMBER_ROLE}", "role/another")])
    problem = _only(said)
    assert (said["exit_status"], problem["kind"]) == (4, "write")
    assert problem["reason"] == "denied_by_scp"
    assert problem["accounts"] == sorted(set(deployment.accounts) - {MANAGEMENT})
    assert "stacksets/deny-tag-mutability-changes.json" in problem["remedy"]
