"""One message to an SNS topic: text for people, JSON for programs, attributes for filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from sweeper.aws.client.errors import translate_errors
from sweeper.domain.comparison import is_changed
from sweeper.domain.masking import mask
from sweeper.domain.report import may_have_changed
from sweeper.domain.report_model import Delivery, Report
from sweeper.engine.probe import DestinationProbe, Hints, run_probe
from sweeper.reporting.notification import subject
from sweeper.reporting.notification_json import attributes, structured
from sweeper.reporting.sinks.base import KEY_ACTIONS, Sink, SinkContext

if TYPE_CHECKING:
    from sweeper.config.schema import Notify

_UNCHANGED = "nothing changed since the last sweep (report.notify: on_change)"
HINTS = Hints(
    missing="create the topic (the central stack does: docs/deploy.md), or correct "
    "report.sns_topic_arn",
    unknown="nothing need be done: the first message tells. To have the topic looked for, allow "
    "the caller sns:GetTopicAttributes",
)


class SnsSink(Sink):
    """Publishes what people need to know, when there is something."""

    name = "sns"
    is_message = True
    takes_events = True
    actions = frozenset({"sns:Publish", *KEY_ACTIONS})

    def __init__(
        self,
        topic_arn: str,
        notify: Notify,
        central: Callable[[str, str | None], Any],
    ) -> None:
        """Calls nothing."""
        self.location = topic_arn
        self._notify = notify
        self._central = central

    @classmethod
    def make(cls, context: SinkContext) -> Self | None:
        """Return the sink, where report.sns_topic_arn is set."""
        config = context.config.report
        topic = config.sns_topic_arn
        return cls(topic, config.notify, context.central) if topic else None

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """Publish one message, or find that none is needed; raises OperationFailed."""
        undelivered = any(delivery.status == "failed" for delivery in so_far)
        if not undelivered and not needed(report, self._notify):
            why = _UNCHANGED if self._notify == "on_change" else None
            return Delivery(self.name, self.location, "not_needed", message=why)
        once = {}
        if self.location.endswith(".fifo"):
            once = {"MessageGroupId": "sweeper", "MessageDeduplicationId": report.run.id}
        with translate_errors():
            self._client().publish(
                TopicArn=self.location,
                Subject=mask(subject(report)),
                Message=mask(structured(report, so_far)),
                MessageStructure="json",
                MessageAttributes=attributes(report),
                **once,
            )
        return Delivery(self.name, self.location, "delivered")

    def probe(self) -> list[DestinationProbe]:
        """Ask whether the topic exists."""

        @translate_errors()
        def read() -> None:
            self._client().get_topic_attributes(TopicArn=self.location)

        answer = run_probe(
            read, if_denied="the topic may not be looked at, which publishing does not need"
        )
        return [DestinationProbe("report.sns_topic_arn", self.location, "exists", answer, HINTS)]

    def _client(self) -> Any:
        return self._central("sns", self.location.split(":")[3])


def needed(report: Report, notify: Notify) -> bool:
    """Whether people are to be told: of what remains, was changed, failed or was not checked.

    With `on_change`, only of what the sweep before did not have. What could not be checked because
    of an event, the next sweep tells.
    """
    if report.run.kind == "events":
        return bool(report.totals.remaining or may_have_changed(report))
    if notify == "on_change":
        return is_changed(report)
    changes = report.totals.changes
    return bool(
        notify == "always"
        or report.totals.remaining
        or changes.applied
        or changes.failed
        or not report.coverage.complete
    )
