"""What deny-tag-mutability-changes.json denies, to whom."""

from __future__ import annotations

import json
import re

from tests.cases import case
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


def test_only_the_member_role_changes_tag_mutability() -> None:
    cases: list[tuple[str, bool]] = [
        (f"role/{MEMBER}", False),
        ("role/admin", True),
        ("user/admin", True),
        ("root", True),
        (f"role/other/{MEMBER}", True),
        (f"role/{MEMBER}-2", True),
        (f"role/{SERVICE_MANAGED}", True),
    ]
    for principal, denied in cases:
        for partition in ["aws", "aws-cn", "aws-us-gov"]:
            with case(principal, denied, partition):
                assert (
                    _denied(principal, "ecr:PutImageTagMutability", REPOSITORY, partition) is denied
                )


def test_nobody_changes_the_role_or_those_who_may() -> None:
    for action in [
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
    ]:
        for role in [MEMBER, CENTRAL, DEPLOYER, SERVICE_MANAGED]:
            for principal in ["role/admin", f"role/{MEMBER}", "root", "user/admin"]:
                with case(action, role, principal):
                    assert _denied(principal, action, f"arn:{{}}:iam::111122223333:role/{role}")


def test_stacksets_may_change_the_role() -> None:
    for action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRole"):
        role = f"arn:{{}}:iam::111122223333:role/{MEMBER}"
        assert not _denied(f"role/{SERVICE_MANAGED}", action, role)
        # It is in every account of an organization with self-managed StackSets, and of those alone.
        assert _denied(f"role/{SELF_MANAGED}", action, role)


def test_only_the_deployer_changes_the_policies_of_the_stages() -> None:
    names = [
        templates.resource("central-stepfunctions", policy)["ManagedPolicyName"]["Fn::Sub"]
        for policy in ("StagePolicy", "WorkPolicy")
    ]
    for name in names:
        arn = f"arn:{{}}:iam::111122223333:policy/{name.replace('${CentralRoleName}', CENTRAL)}"
        for action in ("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion"):
            assert _denied("role/admin", action, arn)
            assert not _denied(f"role/{DEPLOYER}", action, arn)


def test_only_the_deployer_changes_the_central_role_and_only_stacksets_the_deployer() -> None:
    for action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy"):
        arn = "arn:{}:iam::111122223333:role/"
        for suffix in ("", "-events", "-scan", "-finish"):  # which the member role trusts, too
            assert not _denied(f"role/{DEPLOYER}", action, arn + CENTRAL + suffix), action
            assert _denied(f"role/{SERVICE_MANAGED}", action, arn + CENTRAL + suffix), action
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


def test_nothing_else_is_denied() -> None:
    cases: list[tuple[str, str]] = [
        ("iam:GetRole", f"arn:{{}}:iam::111122223333:role/{MEMBER}"),
        ("iam:PutRolePolicy", "arn:{}:iam::111122223333:role/application"),
        ("iam:CreatePolicyVersion", "arn:{}:iam::111122223333:policy/application"),
        # Who has self-managed StackSets makes this role in each new account.
        ("iam:CreateRole", f"arn:{{}}:iam::111122223333:role/{SELF_MANAGED}"),
        ("ecr:DescribeRepositories", REPOSITORY),
        # What it cannot prevent; docs/deploy.md says so.
        ("ecr:CreateRepository", REPOSITORY),
        ("ecr:BatchDeleteImage", REPOSITORY),
        ("ecr:PutImage", REPOSITORY),
    ]
    for action, resource in cases:
        with case(action, resource):
            assert not _denied("role/admin", action, resource)
