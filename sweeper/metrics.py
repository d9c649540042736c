"""One line of metrics a run, in the format from which CloudWatch makes metrics of logs.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from typing import TextIO

from sweeper.model import Report

NAMESPACE = "Sweeper"


def emit(report: Report, seconds: float, stream: TextIO) -> None:
    """Write the run's metrics as one line, without dimensions: a line a run, a value a metric.

    It is an event like those of the logs, `sweep.metrics`, on the stream that they are on.
    """
    from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

    # No service: POWERTOOLS_SERVICE_NAME would become a dimension, which alarms do not name.
    line = EphemeralMetrics(namespace=NAMESPACE, service="")
    totals = report.totals
    for name, value in (
        ("SweepsFinished", 1),
        ("TargetsPlanned", totals.targets.planned),
        ("TargetsExamined", totals.targets.examined),
        ("TargetsFailed", totals.targets.failed),
        ("RepositoriesNonCompliant", totals.repositories.non_compliant),
        ("FindingsRemaining", totals.remaining),
        ("ChangesApplied", totals.changes.applied),
        ("ChangesFailed", totals.changes.failed),
        ("CoverageIncomplete", int(not report.coverage.complete)),
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
        ("dry_run", report.run.dry_run),
    ):
        line.add_metadata(key, text)
    stream.write(json.dumps(line.serialize_metric_set()) + "\n")
    stream.flush()
