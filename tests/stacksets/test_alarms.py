"""The alarms, evaluated as CloudWatch evaluates them: what raises one, and what ends it."""

from __future__ import annotations

import io
import json
import operator
from collections.abc import Sequence
from typing import Any

import pytest

from sweeper.entrypoints.metrics import emit
from tests.cases import case
from tests.factories import report
from tests.stacksets import templates

TOPIC = {"Fn::If": ["MakesTopic", {"Ref": "Topic"}, {"Ref": "SNSTopicARN"}]}
HOURS = 3  # MaxSilenceHours
OPERATORS = {
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
}
Sent = Sequence[int | None]  # a value for each period; None: nothing was sent

# How CloudWatch sees it, period by period -> whether the alarm is raised at the end.
STANDING: list[tuple[Sent, bool]] = [
    ((0,), False),
    ((2,), True),
    ((2, None, None), True),  # it stands until a later sweep says otherwise
    ((2, None, 0), False),
    ((None,), False),
]
PASSING: list[tuple[Sent, bool]] = [((0,), False), ((1,), True), ((1, None), False)]
ALARMS: dict[str, list[tuple[Sent, bool]]] = {
    "NotStartedAlarm": PASSING,
    "FunctionFailedAlarm": [
        ((0,), False),
        ((1, None, None, None), True),  # the error of a function that ran for 15 minutes
        ((1, None, None, None, None), False),
    ],
    "ExecutionFailedAlarm": PASSING,
    "ExecutionAbortedAlarm": PASSING,
    "CoverageIncompleteAlarm": STANDING,
    "ChangesFailedAlarm": STANDING,
    "PlanWithheldAlarm": STANDING,
    "SilenceAlarm": [
        ((1, None, None), False),
        ((1, None, None, None), True),
        ((1, None, None, None, 1), False),
        ((None, None, None), True),
    ],
}


OWN: dict[str, set[str]] = {
    "central-fargate": set(),
    "central-lambda": {"FunctionFailedAlarm"},
    "central-stepfunctions": {"ExecutionFailedAlarm", "ExecutionAbortedAlarm"},
}
SHARED = ALARMS.keys() - set[str]().union(*OWN.values())


def alarms(template: str) -> dict[str, Any]:
    resources = templates.load(template)["Resources"]
    return {
        name: resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }


def raised(alarm: dict[str, Any], sent: Sent) -> bool:
    """Whether it is raised after the last period.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    """
    periods, needed = (
        HOURS if count == {"Ref": "MaxSilenceHours"} else count
        for count in (alarm["EvaluationPeriods"], alarm.get("DatapointsToAlarm", 1))
    )
    breaches = OPERATORS[alarm["ComparisonOperator"]]
    missing = {"breaching": True, "notBreaching": False, "ignore": None}[alarm["TreatMissingData"]]
    state = False
    for end in range(1, len(sent) + 1):
        window = sent[max(0, end - periods) : end]
        found = [missing if each is None else breaches(each, alarm["Threshold"]) for each in window]
        if any(each is not None for each in found):
            state = sum(each is True for each in found) >= needed
    return state


@pytest.mark.parametrize("template", templates.CENTRAL)
def test_each_alarm_is_raised_and_ends_as_it_is_meant_to(template: str) -> None:
    there = alarms(template)
    assert there.keys() == SHARED | OWN[template]
    for name, alarm in there.items():
        assert alarm["AlarmActions"] == [TOPIC], name
        for sent, expected in ALARMS[name]:
            with case(name, sent):
                assert raised(alarm, sent) is expected


def test_no_alarm_is_switched_on_after_it_was_raised() -> None:
    # One that is made early and switched on later would not send what it found before.
    for template in (*templates.CENTRAL, "central-events"):
        assert [name for name, each in alarms(template).items() if "ActionsEnabled" in each] == []
    for template, name, condition in (
        *((central, "SilenceAlarm", "IsScheduled") for central in templates.CENTRAL),
        ("central-events", "AgeAlarm", "IsEnabled"),
    ):
        assert templates.load(template)["Resources"][name]["Condition"] == condition


@pytest.mark.parametrize("template", ["central-lambda", "central-events"])
def test_an_error_is_in_the_window_of_the_alarm_when_the_function_ends(template: str) -> None:
    # Lambda dates it by the start of the invocation.
    alarm = alarms(template)["FunctionFailedAlarm"]
    window = alarm["Period"] * alarm["EvaluationPeriods"]
    assert window > templates.resource(template, "Function")["Timeout"]


@pytest.mark.parametrize("template", templates.CENTRAL)
def test_alarms_look_at_what_a_sweep_sends(template: str) -> None:
    stream = io.StringIO()
    emit(report(), 1.0, stream, deployment="a-stack")
    (sent,) = json.loads(stream.getvalue())["_aws"]["CloudWatchMetrics"]
    names = {metric["Name"] for metric in sent["Metrics"]}
    (dimensions,) = sent["Dimensions"]
    looking = [
        each for each in alarms(template).values() if not each["Namespace"].startswith("AWS")
    ]
    assert looking
    for alarm in looking:
        assert alarm["Namespace"] == sent["Namespace"]
        assert alarm["MetricName"] in names
        stack = {"Ref": "AWS::StackName"}
        assert alarm["Dimensions"] == [{"Name": name, "Value": stack} for name in dimensions]


@pytest.mark.parametrize("template", templates.CENTRAL)
def test_silence_is_an_alarm_where_sweeps_are_scheduled(template: str) -> None:
    silence = alarms(template)["SilenceAlarm"]
    hours = templates.load(template)["Parameters"]["MaxSilenceHours"]
    # CloudWatch: an alarm spans at most 7 days.
    assert hours["MaxValue"] * silence["Period"] == 7 * 24 * 3600
