"""Every policy names actions, resources and condition keys that IAM knows.

What is asked is AWS's service authorization reference, which policy_sentry carries with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import boto3
import pytest

from tests.cases import case
from tests.stacksets import templates
from tests.stacksets.authority import identity_policies
from tests.stacksets.deployment import MANAGEMENT, Deployment
from tests.stacksets.iam import listed, parse


def faults(statements: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What IAM would not understand, or would never match."""
    from policy_sentry.querying.actions import get_action_data  # half a second to import

    for statement in statements:
        for action in listed(statement["Action"]):
            service, name = action.split(":")
            known = get_action_data(service, name).get(service, [])
            if not known:
                yield f"{action} is no action"
                continue
            formats = [_pattern(item["resource_arn_format"]) for item in known]
            if statement["Resource"] == "*" and "*" not in formats:
                yield f"{action} could be limited to a resource"
            for resource in listed(statement["Resource"]):
                if resource != "*" and not any(overlap(each, resource) for each in formats):
                    yield f"{resource} is no resource of {action}"
            keys = {key for item in known for key in item["condition_keys"]}
            for tests in statement.get("Condition", {}).values():
                for key in tests:
                    if not key.startswith("aws:") and key not in keys:
                        yield f"{key} is no condition key of {action}"


def _pattern(arn_format: str) -> str:
    return re.sub(r"\$\{[^}]+\}", "*", arn_format)


@cache
def overlap(one: str, other: str) -> bool:
    """Whether some text matches both patterns."""
    if not one or not other:
        return set(one + other) <= {"*"}
    if one[0] == "*":
        return overlap(one[1:], other) or overlap(one, other[1:])
    if other[0] == "*":
        return overlap(other, one)
    return one[0] == other[0] and overlap(one[1:], other[1:])


def _statement(action: str, resource: str, **condition: Any) -> Mapping[str, Any]:
    return {"Action": action, "Resource": resource, "Condition": condition}


def test_a_fault_is_found() -> None:
    cases: list[tuple[Mapping[str, Any], str]] = [
        (_statement("ecr:ListImagesOfAll", "*"), "ecr:ListImagesOfAll is no action"),
        (
            _statement("ecr:PutImageTagMutability", "*"),
            "ecr:PutImageTagMutability could be limited to a resource",
        ),
        (
            _statement("sns:Publish", "arn:aws:sqs:eu-west-1:123456789012:name"),
            "arn:aws:sqs:eu-west-1:123456789012:name is no resource of sns:Publish",
        ),
        (
            _statement("ecr:GetAuthorizationToken", "*", StringLike={"kms:ViaService": "s3.*"}),
            "kms:ViaService is no condition key of ecr:GetAuthorizationToken",
        ),
    ]
    for statement, fault in cases:
        with case(statement, fault):
            assert list(faults([statement])) == [fault]


TASKS = {
    "WorkerType": "FARGATE",
    "Tracing": "ENABLED",
    "ImageUri": f"{MANAGEMENT}.dkr.ecr.eu-central-1.amazonaws.com/sweeper:1",
    "ImageRepositoryArn": f"arn:aws:ecr:eu-central-1:{MANAGEMENT}:repository/sweeper",
    "SubnetIds": "subnet-01234567",
    "SecurityGroupId": "sg-01234567",
}


@pytest.mark.slow
@pytest.mark.parametrize("stacks", templates.CENTRAL, indirect=True)
def test_the_roles_of_the_stacks_are_without_fault(deployment: Deployment) -> None:
    deployment.central_stack(
        "with-configuration",
        {
            "CentralRoleName": "with-configuration",
            "SecurityHubRegion": "eu-west-1",
            "ConfigAggregatorName": "organization",
            "EventBusArn": f"arn:aws:events:eu-west-1:{MANAGEMENT}:event-bus/findings",
            "ChatTopicArn": f"arn:aws:sns:eu-west-1:{MANAGEMENT}:chat",
            "ConfigLocation": "s3://settings/config.yaml",
            "ConfigKmsKeyArn": f"arn:aws:kms:eu-central-1:{MANAGEMENT}:key/1",
            "SNSTopicARN": f"arn:aws:sns:eu-west-1:{MANAGEMENT}:audit",
            "SNSTopicKmsKeyArn": f"arn:aws:kms:eu-west-1:{MANAGEMENT}:key/2",
        },
    )
    if deployment.central == "central-stepfunctions":
        deployment.central_stack("with-tasks", TASKS | {"CentralRoleName": "with-tasks"})
    names = {role["RoleName"] for role in boto3.client("iam").list_roles()["Roles"]}
    roles = [deployment.role(MANAGEMENT, name) for name in names]
    assert len(roles) >= 5  # two central stacks with at least two each, a member role
    found = {(role.name, fault) for role in roles for fault in faults(identity_policies(role))}
    assert found == set()


def test_the_service_control_policy_is_without_fault() -> None:
    text = (templates.FOLDER / "deny-tag-mutability-changes.json").read_text(encoding="utf-8")
    # A denial of everything that the action reaches is meant.
    expected = ["ecr:PutImageTagMutability could be limited to a resource"]
    assert list(faults(parse(json.loads(text)))) == expected
