"""One message to an SNS topic: text for people, JSON for programs, attributes for filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.notification import findings_by_urgency, message, subject
from sweeper.reporting.sinks.base import SinkContext
from sweeper.reporting.sinks.topic import MessageSink, Topic, structured_message


class SnsSink(MessageSink):
    """A sink that publishes the notification, if people need one."""

    name = "sns"
    takes_events = True
    key = "report.sns_topic_arn"

    @classmethod
    def make(cls, context: SinkContext) -> Self | None:
        """Return the sink, where report.sns_topic_arn is set."""
        config = context.config.report
        arn = config.sns_topic_arn
        return cls(Topic(arn, context.central), config.notify) if arn else None

    def publish(self, report: Report, so_far: Sequence[Delivery]) -> None:
        """Publish the message; raises OperationFailed."""
        self.topic.publish(
            _message(report, so_far),
            once=report.run.id,
            subject=subject(report),
            attributes=_attributes(report),
            by_protocol=True,
        )


def _members(report: Report, so_far: Sequence[Delivery]) -> dict[str, Any]:
    """Return the members of the JSON for programs, but for its findings: those of report.json.

    `since_last` counts what it lists there.
    """
    since = report.since_last
    return {
        "schema_version": report.schema_version,
        "run": report.run,
        "totals": report.totals,
        "coverage": report.coverage,
        "since_last": since
        and {
            "run_id": since.run_id,
            "new": since.new,
            "still_open": since.still_open,
            "reopened": since.reopened,
            "resolved": len(since.resolved),
            "not_visible": len(since.not_visible),
        },
        "deliveries": so_far,
    }


def _message(report: Report, so_far: Sequence[Delivery]) -> str:
    return structured_message(
        _members(report, so_far),
        findings_by_urgency(report),
        lambda limit: message(report, so_far, limit),
    )


def _attributes(report: Report) -> dict[str, str | int]:
    return {
        "non_compliant": report.totals.repositories.non_compliant,
        "coverage_incomplete": "false" if report.coverage.complete else "true",
        "run_id": report.run.id,
    }
