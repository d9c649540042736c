"""One message to an SNS topic: text for people, JSON for programs, attributes for filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from sweeper.domain.report_model import Delivery, Report
from sweeper.engine.probe import DestinationProbe
from sweeper.reporting.notification import UNCHANGED, needed, subject
from sweeper.reporting.notification_json import attributes, structured
from sweeper.reporting.sinks.base import KEY_ACTIONS, Sink, SinkContext
from sweeper.reporting.topic import Topic

if TYPE_CHECKING:
    from sweeper.config.schema import Notify

KEY = "report.sns_topic_arn"


class SnsSink(Sink):
    """Publishes what people need to know, when there is something."""

    name = "sns"
    is_message = True
    takes_events = True
    actions = frozenset({"sns:Publish", *KEY_ACTIONS})

    def __init__(self, topic: Topic, notify: Notify) -> None:
        """Calls nothing."""
        self.location = topic.arn
        self._topic = topic
        self._notify = notify

    @classmethod
    def make(cls, context: SinkContext) -> Self | None:
        """Return the sink, where report.sns_topic_arn is set."""
        config = context.config.report
        arn = config.sns_topic_arn
        return cls(Topic(arn, context.central), config.notify) if arn else None

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """Publish one message, or find that none is needed; raises OperationFailed."""
        undelivered = any(delivery.status == "failed" for delivery in so_far)
        if not undelivered and not needed(report, self._notify):
            why = UNCHANGED if self._notify == "on_change" else None
            return Delivery(self.name, self.location, "not_needed", message=why)
        self._topic.publish(
            structured(report, so_far),
            once=report.run.id,
            subject=subject(report),
            attributes=attributes(report),
            by_protocol=True,
        )
        return Delivery(self.name, self.location, "delivered")

    def probe(self) -> list[DestinationProbe]:
        """Ask whether the topic exists."""
        return self._topic.probe(KEY)
