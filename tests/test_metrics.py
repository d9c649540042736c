"""The line from which CloudWatch makes metrics."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest

from sweeper.metrics import emit
from sweeper.model import ChangeStatus, Coverage, Report
from tests.factories import change, earlier, failed, finding, report, since_last, target

COUNTS = (
    "SweepsFinished",
    "TargetsPlanned",
    "TargetsExamined",
    "TargetsFailed",
    "RepositoriesNonCompliant",
    "FindingsRemaining",
    "ChangesApplied",
    "ChangesFailed",
    "CoverageIncomplete",
)
_STATUSES = (ChangeStatus.APPLIED, ChangeStatus.FAILED, ChangeStatus.WITHHELD)


def emitted(given: Report) -> Any:
    stream = io.StringIO()
    emit(given, 12.34567, stream)
    (line,) = stream.getvalue().splitlines()
    return json.loads(line)


@pytest.mark.parametrize("variable", [None, "POWERTOOLS_SERVICE_NAME", "AWS_LAMBDA_FUNCTION_NAME"])
def test_every_metric_is_declared_without_dimensions(
    monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    if variable:
        monkeypatch.setenv(variable, "something")
    (declared,) = emitted(report())["_aws"]["CloudWatchMetrics"]
    assert declared == {
        "Namespace": "Sweeper",
        "Dimensions": [[]],
        "Metrics": [{"Name": name, "Unit": "Count"} for name in COUNTS]
        + [{"Name": "Duration", "Unit": "Seconds"}],
    }


def test_the_values_are_the_reports() -> None:
    closed, refused, left = (change(status) for status in _STATUSES)
    given = report(
        [
            finding("a", change=closed),
            finding("b", change=closed),
            finding("c", change=refused),
            finding("d", change=left),
        ],
        failures=[(target(region="eu-west-1"), failed())],
        compliant=3,
    )
    line = emitted(given)
    assert [line[name] for name in COUNTS] == [[1], [2], [1], [1], [4], [2], [2], [1], [1]]
    assert line["Duration"] == [12.346]
    assert isinstance(line["_aws"]["Timestamp"], int)
    assert {key: line[key] for key in ("event", "level", "run_id", "dry_run")} == {
        "event": "sweep.metrics",
        "level": "info",
        "run_id": given.run.id,
        "dry_run": False,
    }


@pytest.mark.parametrize("complete", [True, False])
def test_incomplete_coverage_is_one(complete: bool) -> None:
    given = replace(report(), coverage=Coverage(1.0, 1.0, complete))
    assert emitted(given)["CoverageIncomplete"] == [int(not complete)]


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
