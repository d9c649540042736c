"""One line of metrics for each run that counts, from which CloudWatch makes metrics of logs.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from typing import TextIO

from sweeper.domain.model import ChangeStatus
from sweeper.domain.report import cut_short, nothing_listed
from sweeper.domain.report_model import Report

_NAMESPACE = "Sweeper"


def emit(report: Report, seconds: float, stream: TextIO, *, deployment: str | None) -> None:
    """Write the metrics of a run of the configured scope as one line, an event of the log.

    `deployment` is the metrics' dimension, so that two deployments in an account share none; there
    is no dimension without it. A narrowed run and a dry run have no metrics: do not call it then.
    A run that did not finish may raise an alarm, and never resets one.
    """
    from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

    # No service: POWERTOOLS_SERVICE_NAME would become a dimension, which alarms do not name.
    line = EphemeralMetrics(namespace=_NAMESPACE, service="")
    if deployment:
        line.add_dimension("Deployment", deployment)
    totals = report.totals
    finished = _is_finished(report)
    for name, value in (
        ("CoverageIncomplete", int(not report.coverage.complete)),
        ("ChangesFailed", totals.changes.failed),
        ("PlanWithheld", int(_is_plan_withheld(report))),
    ):
        if value or finished:
            line.add_metric(name, MetricUnit.Count, value)
    if finished:
        line.add_metric("SweepsFinished", MetricUnit.Count, 1)
    for name, value in (
        ("TargetsPlanned", totals.targets.planned),
        ("TargetsExamined", totals.targets.examined),
        ("TargetsFailed", totals.targets.failed),
        ("RepositoriesNonCompliant", totals.repositories.non_compliant),
        ("FindingsRemaining", totals.remaining),
        ("ChangesApplied", totals.changes.applied),
        ("ChangesWithheld", totals.changes.withheld),
    ):
        line.add_metric(name, MetricUnit.Count, value)
    since = report.since_last
    if since and not since.unavailable:  # else there is no value, which is not 0
        line.add_metric("FindingsNew", MetricUnit.Count, since.new)
        line.add_metric("FindingsReopened", MetricUnit.Count, since.reopened)
        line.add_metric("FindingsNotVisible", MetricUnit.Count, len(since.not_visible))
    line.add_metric("Duration", MetricUnit.Seconds, round(seconds, 3))
    for key, text in (
        ("event", "sweep.metrics"),
        ("level", "info"),
        ("run_id", report.run.id),
    ):
        line.add_metadata(key, text)
    stream.write(json.dumps(line.serialize_metric_set()) + "\n")
    stream.flush()


def _is_finished(report: Report) -> bool:
    """Tell whether the sweep listed the accounts, came to its end and delivered its report."""
    delivered = all(delivery.status != "failed" for delivery in report.deliveries)
    return delivered and not cut_short(report) and not nothing_listed(report)


def _is_plan_withheld(report: Report) -> bool:
    changes = (finding.change for finding in report.findings if finding.change)
    return any(
        change.status is ChangeStatus.WITHHELD and change.reason and change.reason.withholds_plan
        for change in changes
    )
