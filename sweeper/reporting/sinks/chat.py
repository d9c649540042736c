"""One short message to the topic of a chat channel, as AWS's chat integration shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.chat import chat_message
from sweeper.reporting.sinks.base import SinkContext
from sweeper.reporting.topic import MessageSink, Topic


class ChatSink(MessageSink):
    """Publishes a custom notification of Amazon Q Developer in chat applications."""

    name = "chat"
    content = "summary"
    key = "report.chat_topic_arn"

    @classmethod
    def make(cls, context: SinkContext) -> Self | None:
        """Return the sink, where report.chat_topic_arn is set."""
        config = context.config.report
        arn = config.chat_topic_arn
        return cls(Topic(arn, context.central), config.notify) if arn else None

    def publish(self, report: Report, so_far: Sequence[Delivery]) -> None:
        """Publish the message; raises OperationFailed."""
        self.topic.publish(chat_message(report, so_far), once=f"{report.run.id}-chat")
