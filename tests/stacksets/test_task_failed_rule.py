"""Of which tasks that stopped EventBridge notifies the topic."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sweeper.domain.errors import ExitStatus
from tests.stacksets import templates

RULE = templates.resource("central-fargate", "TaskFailedRule")
DETAIL = RULE["EventPattern"]["detail"]
PATTERN = {**RULE["EventPattern"], "detail": {**DETAIL, "clusterArn": ["ours"]}}
EXITED = "EssentialContainerExited"


def matches(pattern: Any, event: Any) -> bool:
    """EventBridge's matching, as far as the rule uses it.

    What a pattern says about an array of objects must hold for one and the same object: see
    "Ruler and arrays" in https://github.com/aws/event-ruler.
    """
    if isinstance(event, list) and isinstance(pattern, dict):
        return any(matches(pattern, each) for each in event)
    return all(
        any(matches(each, event) for each in rule) if key == "$or" else _holds(rule, event, key)
        for key, rule in pattern.items()
    )


def _holds(rule: Any, event: Any, key: str) -> bool:
    if isinstance(rule, dict):
        return key in event and matches(rule, event[key])
    return key in event and any(
        event[key] not in each["anything-but"] if isinstance(each, dict) else event[key] == each
        for each in rule
    )


def sweeper(status: int | None) -> dict[str, Any]:
    return {"name": "sweeper"} if status is None else {"name": "sweeper", "exitCode": status}


GUARDDUTY = {"name": "aws-guardduty-agent-a1b2c3", "exitCode": 137}


@pytest.mark.parametrize(
    ("stop_code", "containers", "notified"),
    [
        (EXITED, [sweeper(0)], False),
        (EXITED, [sweeper(3)], False),
        (EXITED, [sweeper(4)], False),
        (EXITED, [sweeper(1)], True),
        (EXITED, [sweeper(2)], True),
        (EXITED, [sweeper(5)], True),
        (EXITED, [sweeper(6)], True),
        (EXITED, [sweeper(137)], True),
        (EXITED, [sweeper(0), GUARDDUTY], False),
        (EXITED, [GUARDDUTY, sweeper(3)], False),
        (EXITED, [GUARDDUTY, sweeper(5)], True),
        (EXITED, [sweeper(1), GUARDDUTY | {"exitCode": 0}], True),
        ("TaskFailedToStart", [sweeper(None)], True),
        ("UserInitiated", [sweeper(0)], True),
    ],
)
def test_who_is_notified_of_a_task_that_stopped(
    stop_code: str, containers: list[dict[str, Any]], notified: bool
) -> None:
    detail = {
        "clusterArn": "ours",
        "lastStatus": "STOPPED",
        "stopCode": stop_code,
        "containers": containers,
    }
    event = {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": detail}
    assert matches(PATTERN, event) is notified
    assert not matches(PATTERN, {**event, "detail": {**detail, "clusterArn": "another"}})
    assert not matches(PATTERN, {**event, "detail": {**detail, "lastStatus": "RUNNING"}})


def test_the_rule_is_of_this_cluster() -> None:
    assert DETAIL["clusterArn"] == [{"Fn::GetAtt": ["Cluster", "Arn"]}]


def test_the_container_is_the_one_of_the_task() -> None:
    (container,) = templates.resource("central-fargate", "TaskDefinition")["ContainerDefinitions"]
    by_exit = DETAIL["$or"][1]["containers"]
    assert by_exit["name"] == [container["Name"]]


def test_the_message_explains_each_exit_status_that_is_notified() -> None:
    (target,) = RULE["Targets"]
    assert target["Arn"] == {"Fn::If": ["MakesTopic", {"Ref": "Topic"}, {"Ref": "SNSTopicARN"}]}
    transformer = target["InputTransformer"]
    explained = re.findall(r"(\d) [a-z]", transformer["InputTemplate"])
    by_exit = DETAIL["$or"][1]["containers"]
    (status,) = by_exit["exitCode"]
    assert {int(each) for each in explained} == set(ExitStatus) - set(status["anything-but"])
    used = set(re.findall(r"<(\w+)>", transformer["InputTemplate"]))
    assert used == set(transformer["InputPathsMap"])
    # The first container is not always ours.
    assert transformer["InputPathsMap"]["exits"] == "$.detail.containers[*].exitCode"
