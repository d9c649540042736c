"""What the state machine's definition says; tests/state_machine executes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.stacksets import templates

MACHINE = templates.resource("central-stepfunctions", "StateMachine")
STATES = MACHINE["Definition"]["States"]
AFTER_START = ("Scan", "Plan", "Apply")


def _retried(state: Any) -> Iterator[Any]:
    """The retriers of a state and, of a map, of either kind of worker."""
    if state["Type"] == "Map":
        condition, task, function = state["ItemProcessor"]["States"]["Worker"]["Fn::If"]
        assert condition == "UsesTasks"
        yield from (task["Retry"], function["Retry"])
    else:
        yield state["Retry"]


def test_whatever_fails_after_start_ends_with_finish_and_a_failed_execution() -> None:
    for name in AFTER_START:
        (catcher,) = STATES[name]["Catch"]
        assert catcher == {
            "ErrorEquals": ["States.ALL"],
            "ResultPath": "$.failure",
            "Next": "Finish",
        }, name
    failed, _ = STATES["Outcome"]["Choices"]
    assert failed == {"Variable": "$.failure", "IsPresent": True, "Next": "StageFailed"}
    assert STATES["StageFailed"]["Type"] == STATES[STATES["Outcome"]["Default"]]["Type"] == "Fail"


def test_a_failed_worker_fails_no_map() -> None:
    for name in ("Scan", "Apply"):
        state = STATES[name]
        assert state["ToleratedFailurePercentage"] == 100
        assert state["ItemProcessor"]["ProcessorConfig"] == {
            "Mode": "DISTRIBUTED",
            "ExecutionType": "STANDARD",  # an express one ends after 5 minutes
        }
        assert state["ItemReader"]["ReaderConfig"] == {"InputType": "JSON"}
        assert "ItemBatcher" not in state


def test_every_stage_is_retried_with_jitter() -> None:
    for name in ("Start", *AFTER_START, "Finish"):
        for throttled, failed in _retried(STATES[name]):
            assert {throttled["JitterStrategy"], failed["JitterStrategy"]} == {"FULL"}
            assert throttled["MaxDelaySeconds"] == failed["MaxDelaySeconds"] == 60
            assert throttled["MaxAttempts"] > failed["MaxAttempts"] >= 1
            # A worker may have to wait until others end.
            assert throttled["MaxAttempts"] == (120 if STATES[name]["Type"] == "Map" else 10)
            assert failed["ErrorEquals"] == ["States.ALL"]


def test_the_history_has_no_data() -> None:
    logging = MACHINE["LoggingConfiguration"]
    assert (logging["Level"], logging["IncludeExecutionData"]) == ("ALL", False)
    (group,) = logging["Destinations"]
    assert group["CloudWatchLogsLogGroup"] == {
        "LogGroupArn": {"Fn::GetAtt": ["HistoryLogGroup", "Arn"]},
    }
    assert MACHINE["TracingConfiguration"] == {"Enabled": {"Fn::If": ["IsTraced", True, False]}}
    assert templates.load("central-stepfunctions")["Parameters"]["Tracing"]["Default"] == "DISABLED"


def test_a_stage_outlives_its_function_and_no_more() -> None:
    seconds = templates.load("central-stepfunctions")["Globals"]["Function"]["Timeout"]
    for name in ("Start", "Plan", "Finish"):
        assert seconds < STATES[name]["TimeoutSeconds"] <= seconds + 60
