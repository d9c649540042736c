"""The line from which CloudWatch makes metrics, and what may reset an alarm."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest

from sweeper.domain.model import ChangeStatus, Failed, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ended_early
from sweeper.domain.report_model import Delivery, Report, Run
from sweeper.entrypoints.metrics import emit
from tests.factories import change, earlier, failed, finding, report, since_last, target

ALARMED = ("CoverageIncomplete", "ChangesFailed", "PlanWithheld", "SweepsFinished")
COUNTS = (
    *ALARMED,
    "TargetsPlanned",
    "TargetsExamined",
    "TargetsFailed",
    "RepositoriesNonCompliant",
    "FindingsRemaining",
    "ChangesApplied",
    "ChangesWithheld",
)
_STATUSES = (ChangeStatus.APPLIED, ChangeStatus.FAILED, ChangeStatus.WITHHELD)
UNDELIVERED = (Delivery("s3", "s3://reports", "failed", Reason.DENIED),)


def emitted(given: Report, deployment: str | None = "sweeper") -> Any:
    stream = io.StringIO()
    emit(given, 12.34567, stream, deployment=deployment)
    (line,) = stream.getvalue().splitlines()
    return json.loads(line)


def alarmed(given: Report) -> dict[str, int]:
    """The metrics of alarms that have a value, each with it."""
    line = emitted(given)
    return {name: line[name][0] for name in ALARMED if name in line}


@pytest.mark.parametrize("variable", [None, "POWERTOOLS_SERVICE_NAME", "AWS_LAMBDA_FUNCTION_NAME"])
@pytest.mark.parametrize(
    ("deployment", "dimensions"), [("sweeper-prod", ["Deployment"]), (None, [])]
)
def test_the_deployment_is_the_only_dimension(
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
    deployment: str | None,
    dimensions: list[str],
) -> None:
    if variable:
        monkeypatch.setenv(variable, "something")
    line = emitted(report(), deployment)
    (declared,) = line["_aws"]["CloudWatchMetrics"]
    assert declared == {
        "Namespace": "Sweeper",
        "Dimensions": [dimensions],
        "Metrics": [{"Name": name, "Unit": "Count"} for name in COUNTS]
        + [{"Name": "Duration", "Unit": "Seconds"}],
    }
    assert line.get("Deployment") == deployment


def test_the_values_are_the_reports() -> None:
    applied, refused, withheld = (change(status) for status in _STATUSES)
    given = report(
        [
            finding("a", change=applied),
            finding("b", change=applied),
            finding("c", change=refused),
            finding("d", change=withheld),
        ],
        failures=[(target(region="eu-west-1"), failed())],
        compliant=3,
    )
    line = emitted(given)
    assert [line[name] for name in COUNTS] == [
        *([1], [1], [0], [1]),  # of alarms
        *([2], [1], [1]),  # of targets
        *([4], [2], [2], [1]),
    ]
    assert line["Duration"] == [12.346]
    assert isinstance(line["_aws"]["Timestamp"], int)
    assert {key: line[key] for key in ("event", "level", "run_id")} == {
        "event": "sweep.metrics",
        "level": "info",
        "run_id": given.run.id,
    }


def test_a_finished_sweep_without_trouble_resets_every_alarm() -> None:
    assert alarmed(report()) == dict.fromkeys(ALARMED[:3], 0) | {"SweepsFinished": 1}


def _not_listed(run: Run) -> Report:
    return ended_early(run, Failed(Stage.ENUMERATE, Reason.THROTTLED, ""))


@pytest.mark.parametrize(
    ("given", "values"),
    [
        (_not_listed(report().run), {"CoverageIncomplete": 1}),
        (
            report(failures=[(target(), failed(Reason.DEADLINE))]),
            {"CoverageIncomplete": 1},
        ),
        (replace(report(), deliveries=UNDELIVERED), {}),
        (
            replace(
                report([finding("a", change=change(ChangeStatus.FAILED))]), deliveries=UNDELIVERED
            ),
            {"ChangesFailed": 1},
        ),
    ],
    ids=["accounts not listed", "deadline", "not delivered", "failed and not delivered"],
)
def test_a_run_that_did_not_finish_raises_alarms_and_resets_none(
    given: Report, values: dict[str, int]
) -> None:
    assert alarmed(given) == values


@pytest.mark.parametrize(
    ("reason", "withheld"),
    [
        (Reason.MAX_CHANGES, 1),
        (Reason.MIN_COVERAGE, 1),
        (Reason.UNKNOWN_ACCOUNT, 1),
        (Reason.JOURNAL_UNAVAILABLE, 1),
        (Reason.LEASE_UNAVAILABLE, 1),
        (Reason.MANUAL_REVIEW_REQUIRED, 0),
        (Reason.TOO_MANY_FILTERS, 0),
        (Reason.PULL_THROUGH_RULES_UNREADABLE, 0),
    ],
)
def test_a_plan_withheld_as_a_whole_is_an_alarm_and_a_single_change_is_not(
    reason: Reason, withheld: int
) -> None:
    held = replace(change(ChangeStatus.WITHHELD), reason=reason)
    line = emitted(report([finding("a", change=held)]))
    assert (line["PlanWithheld"], line["ChangesWithheld"]) == ([withheld], [1])


def test_what_changed_has_a_value_only_where_it_is_known() -> None:
    changed = since_last(new=3, reopened=1, not_visible=[earlier()] * 2)
    line = emitted(replace(report(), since_last=changed))
    names = ("FindingsNew", "FindingsReopened", "FindingsNotVisible")
    assert [line[name] for name in names] == [[3], [1], [2]]
    unknown = replace(report(), since_last=since_last(unavailable="why"))
    assert not set(names) & set(emitted(unknown))


def test_two_runs_in_one_process_are_two_lines_of_one_value() -> None:
    assert emitted(report())["SweepsFinished"] == [1]
    assert emitted(report())["SweepsFinished"] == [1]
