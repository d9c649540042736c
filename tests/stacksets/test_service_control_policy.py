"""What deny-tag-mutability-changes.json denies, to whom."""

from __future__ import annotations

import json
import re

import pytest

from tests.stacksets import templates
from tests.stacksets.iam import Request, denies, parse

TEXT = (templates.FOLDER / "deny-tag-mutability-changes.json").read_text(encoding="utf-8")
MAX_SIZE = 5120  # characters, Organizations' limit for a service control policy
MEMBER = "ecr-immutability-sweeper"
CENTRAL = "ecr-immutability-sweeper-central"
DEPLOYER = "ecr-immutability-sweeper-deployer"
SERVICE_MANAGED = "stacksets-exec-0a1b2c3d4e5f"
SELF_MANAGED = "AWSCloudFormationStackSetExecutionRole"
REPOSITORY = "arn:{}:ecr:eu-west-1:111122223333:repository/payments"


def _denied(principal: str, action: str, resource: str, partition: str = "aws") -> bool:
    context = {"aws:principalarn": f"arn:{partition}:iam::111122223333:{principal}"}
    return denies(parse(TEXT), Request(action, resource.format(partition), context))


def test_it_is_small_enough() -> None:
    assert len(TEXT) <= MAX_SIZE
    assert len(json.dumps(json.loads(TEXT))) <= MAX_SIZE


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
@pytest.mark.parametrize(
    ("principal", "denied"),
    [
        (f"role/{MEMBER}", False),
        ("role/admin", True),
        ("user/admin", True),
        ("root", True),
        (f"role/other/{MEMBER}", True),
        (f"role/{MEMBER}-2", True),
        (f"role/{SERVICE_MANAGED}", True),
    ],
)
def test_only_the_member_role_changes_tag_mutability(
    principal: str, denied: bool, partition: str
) -> None:
    assert _denied(principal, "ecr:PutImageTagMutability", REPOSITORY, partition) is denied


@pytest.mark.parametrize("principal", ["role/admin", f"role/{MEMBER}", "root", "user/admin"])
@pytest.mark.parametrize("role", [MEMBER, CENTRAL, DEPLOYER, SERVICE_MANAGED, SELF_MANAGED])
@pytest.mark.parametrize(
    "action",
    [
        "iam:AttachRolePolicy",
        "iam:CreateRole",
        "iam:DeleteRole",
        "iam:DeleteRolePermissionsBoundary",
        "iam:DeleteRolePolicy",
        "iam:DetachRolePolicy",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
        "iam:UpdateAssumeRolePolicy",
        "iam:UpdateRole",
    ],
)
def test_nobody_changes_the_role_or_those_who_may(principal: str, role: str, action: str) -> None:
    assert _denied(principal, action, f"arn:{{}}:iam::111122223333:role/{role}")


@pytest.mark.parametrize("principal", [f"role/{SERVICE_MANAGED}", f"role/{SELF_MANAGED}"])
def test_stacksets_may_change_the_role(principal: str) -> None:
    for action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRole"):
        assert not _denied(principal, action, f"arn:{{}}:iam::111122223333:role/{MEMBER}")


def test_only_the_deployer_changes_the_central_role_and_only_stacksets_the_deployer() -> None:
    for action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy"):
        arn = "arn:{}:iam::111122223333:role/"
        assert not _denied(f"role/{DEPLOYER}", action, arn + CENTRAL), action
        assert _denied(f"role/{SERVICE_MANAGED}", action, arn + CENTRAL), action
        assert _denied(f"role/{DEPLOYER}", action, arn + DEPLOYER), action
        assert _denied(f"role/{DEPLOYER}", action, arn + MEMBER), action


def test_the_roles_are_named_as_the_templates_name_them() -> None:
    named = set(re.findall(r"role/([\w-]+)", TEXT))
    for name, parameter in (
        ("member-role", "RoleName"),
        ("central-fargate", "CentralRoleName"),
        ("central-lambda", "CentralRoleName"),
    ):
        assert templates.load(name)["Parameters"][parameter]["Default"] in named


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:GetRole", f"arn:{{}}:iam::111122223333:role/{MEMBER}"),
        ("iam:PutRolePolicy", "arn:{}:iam::111122223333:role/application"),
        ("ecr:DescribeRepositories", REPOSITORY),
        # What it cannot prevent; docs/deploy.md says so.
        ("ecr:CreateRepository", REPOSITORY),
        ("ecr:BatchDeleteImage", REPOSITORY),
        ("ecr:PutImage", REPOSITORY),
    ],
)
def test_nothing_else_is_denied(action: str, resource: str) -> None:
    assert not _denied("role/admin", action, resource)
