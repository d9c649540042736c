"""One message to an SNS topic: text for people, JSON for programs, attributes for filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.notification import subject
from sweeper.reporting.notification_json import attributes, structured
from sweeper.reporting.sinks.base import SinkContext
from sweeper.reporting.topic import MessageSink, Topic


class SnsSink(MessageSink):
    """Publishes what people need to know, when there is something."""

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
            structured(report, so_far),
            once=report.run.id,
            subject=subject(report),
            attributes=attributes(report),
            by_protocol=True,
        )
