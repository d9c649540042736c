"""An SNS topic to which messages are published: what the sinks that do it share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from sweeper.aws.client.errors import translate_errors
from sweeper.domain.masking import mask
from sweeper.domain.report_model import Delivery, Report
from sweeper.engine.probe import DestinationProbe, Hints, run_probe
from sweeper.reporting.notification import UNCHANGED, needed
from sweeper.reporting.sinks.base import KEY_ACTIONS, Sink

if TYPE_CHECKING:
    from sweeper.config.schema import Notify


class Topic:
    """A topic, by its ARN; `central` makes a client of a service in a region."""

    def __init__(self, arn: str, central: Callable[[str, str | None], Any]) -> None:
        """Calls nothing."""
        self.arn = arn
        self._central = central

    def publish(
        self,
        message: str,
        *,
        once: str,
        subject: str | None = None,
        attributes: Mapping[str, Mapping[str, str]] | None = None,
        by_protocol: bool = False,
    ) -> None:
        """Publish a message, masked; raises OperationFailed.

        `once` is what a FIFO topic knows the message by. `by_protocol`: the message is JSON with a
        text for each protocol.
        """
        more: dict[str, Any] = {}
        if self.arn.endswith(".fifo"):
            more = {"MessageGroupId": "sweeper", "MessageDeduplicationId": once}
        if subject:
            more["Subject"] = mask(subject)
        if by_protocol:
            more["MessageStructure"] = "json"
        masked = {
            name: {**each, "StringValue": mask(each["StringValue"])}
            for name, each in (attributes or {}).items()
        }
        with translate_errors():
            self._client().publish(
                TopicArn=self.arn, Message=mask(message), MessageAttributes=masked, **more
            )

    def probe(self, key: str) -> list[DestinationProbe]:
        """Ask whether the topic exists; `key` is the configuration's that names it."""

        @translate_errors()
        def read() -> None:
            self._client().get_topic_attributes(TopicArn=self.arn)

        answer = run_probe(
            read, if_denied="the topic may not be looked at, which publishing does not need"
        )
        return [DestinationProbe(key, self.arn, "exists", answer, hints(key))]

    def _client(self) -> Any:
        return self._central("sns", self.arn.split(":")[3])


class MessageSink(Sink):
    """A sink that publishes one message of a report, when there is something that people need.

    `key` is the configuration's that names the topic.
    """

    is_message = True
    actions = frozenset({"sns:Publish", *KEY_ACTIONS})
    key: ClassVar[str]

    def __init__(self, topic: Topic, notify: Notify) -> None:
        """Calls nothing."""
        self.location = topic.arn
        self.topic = topic
        self._notify = notify

    def publish(self, report: Report, so_far: Sequence[Delivery]) -> None:
        """Publish the message; raises OperationFailed."""
        raise NotImplementedError

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """Publish one message, or find that none is needed; raises OperationFailed."""
        undelivered = any(delivery.status == "failed" for delivery in so_far)
        if not undelivered and not needed(report, self._notify):
            why = UNCHANGED if self._notify == "on_change" else None
            return Delivery(self.name, self.location, "not_needed", message=why)
        self.publish(report, so_far)
        return Delivery(self.name, self.location, "delivered")

    def probe(self) -> list[DestinationProbe]:
        """Ask whether the topic exists."""
        return self.topic.probe(self.key)


def hints(key: str) -> Hints:
    """What to do about a topic that `key` names."""
    return Hints(
        missing=f"create the topic (the central stack does: docs/deploy.md), or correct {key}",
        unknown="nothing need be done: the first message tells. To have the topic looked for, "
        "allow the caller sns:GetTopicAttributes",
    )
