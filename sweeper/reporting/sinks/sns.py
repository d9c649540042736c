"""One message to an SNS topic: text for people, JSON for programs, attributes for filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from sweeper.aws.client.errors import translate_errors
from sweeper.domain.masking import mask
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.notification import subject
from sweeper.reporting.notification_json import attributes, structured
from sweeper.reporting.sinks.base import SinkContext


class SnsSink:
    """Publishes what people need to know, when there is something."""

    name = "sns"
    keeps = False

    def __init__(
        self,
        topic_arn: str,
        notify: Literal["when_needed", "always"],
        central: Callable[[str, str | None], Any],
    ) -> None:
        """Calls nothing."""
        self.location = topic_arn
        self._notify = notify
        self._central = central

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """Publish one message, or find that none is needed; raises OperationFailed."""
        undelivered = any(delivery.status == "failed" for delivery in so_far)
        if not undelivered and not needed(report, self._notify):
            return Delivery(self.name, self.location, "not_needed")
        region = self.location.split(":")[3]
        once = {}
        if self.location.endswith(".fifo"):
            once = {"MessageGroupId": "sweeper", "MessageDeduplicationId": report.run.id}
        with translate_errors():
            self._central("sns", region).publish(
                TopicArn=self.location,
                Subject=mask(subject(report)),
                Message=mask(structured(report, so_far)),
                MessageStructure="json",
                MessageAttributes=attributes(report),
                **once,
            )
        return Delivery(self.name, self.location, "delivered")


def needed(report: Report, notify: Literal["when_needed", "always"]) -> bool:
    """Whether people are to be told: of what remains, was changed, failed or was not seen."""
    changes = report.totals.changes
    return bool(
        notify == "always"
        or report.totals.remaining
        or changes.applied
        or changes.failed
        or not report.coverage.complete
    )


def make_sink(context: SinkContext) -> SnsSink | None:
    """The sink, where report.sns_topic_arn is set."""
    config = context.config.report
    if config.sns_topic_arn is None:
        return None
    return SnsSink(config.sns_topic_arn, config.notify, context.central)
