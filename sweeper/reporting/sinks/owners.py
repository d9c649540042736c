"""A message for each owner of accounts, to the SNS topic; subscriptions filter by owner."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Self

from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.owners import (
    MAX_OWNERS,
    owner_attributes,
    owner_message,
    owner_subject,
    owners,
)
from sweeper.reporting.sinks.base import KEY_ACTIONS, Sink, SinkContext
from sweeper.reporting.topic import Topic
from sweeper.reporting.wording import number

if TYPE_CHECKING:
    from sweeper.config.schema import Notify


class OwnersSink(Sink):
    """Publishes what is open in the accounts of each owner; who was notified is not again."""

    name = "owners"
    content = "messages to owners"
    is_message = True
    actions = frozenset({"sns:Publish", *KEY_ACTIONS})

    def __init__(self, topic: Topic, tag: str, notify: Notify) -> None:
        """Calls nothing."""
        self.location = topic.arn
        self._topic = topic
        self._tag = tag
        self._notify = notify
        self._notified: set[str] = set()

    @classmethod
    def make(cls, context: SinkContext) -> Self | None:
        """Return the sink, where report.owner_tag and report.sns_topic_arn are set."""
        config = context.config.report
        if not (config.owner_tag and config.sns_topic_arn):
            return None
        topic = Topic(config.sns_topic_arn, context.central)
        return cls(topic, config.owner_tag, config.notify)

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """Publish a message for each owner, at most MAX_OWNERS; raises OperationFailed."""
        found = owners(report, self._tag, self._notify)
        for owned in found[:MAX_OWNERS]:
            if owned.owner in self._notified:
                continue
            digest = sha256(owned.owner.encode()).hexdigest()[:16]
            self._topic.publish(
                owner_message(owned, self._tag, report, so_far),
                once=f"{report.run.id}-{digest}",
                subject=owner_subject(owned, report),
                attributes=owner_attributes(owned, report),
                by_protocol=True,
            )
            self._notified.add(owned.owner)
        if not found:
            return Delivery(self.name, self.location, "not_needed")
        left = len(found) - MAX_OWNERS
        cut = (
            f"{number(left, 'more owner')} with fewer findings were not notified: at most "
            f"{MAX_OWNERS} are"
        )
        return Delivery(self.name, self.location, "delivered", message=cut if left > 0 else None)
