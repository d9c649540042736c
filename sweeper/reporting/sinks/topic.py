"""An SNS topic, its messages, and the base class of the sinks that publish one message.

A message can differ by protocol:
https://docs.aws.amazon.com/sns/latest/dg/sns-send-custom-platform-specific-payloads-mobile-devices.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from sweeper.aws.client.errors import translate_errors
from sweeper.domain.json_encoding import encode_value
from sweeper.domain.masking import mask
from sweeper.domain.model import Finding
from sweeper.domain.report_model import Delivery, Report
from sweeper.engine.probe import DestinationProbe, Hints, run_probe
from sweeper.reporting.notification import MAX_BYTES, UNCHANGED, is_needed, json_size
from sweeper.reporting.sinks.base import KEY_ACTIONS, Sink

if TYPE_CHECKING:
    from sweeper.config.schema import Notify

# The protocols that get JSON; all others, e-mail among them, get the text.
_PROGRAMS = ("firehose", "https", "lambda", "sqs")
_MAX_EVENT = 24_000  # by `json_size`: SNS counts one copy for each protocol


class Topic:
    """A topic, by its ARN; `central` makes a client of a service in a region."""

    def __init__(self, arn: str, central: Callable[[str, str | None], Any]) -> None:
        self.arn = arn
        self._central = central

    def publish(
        self,
        message: str,
        *,
        once: str,
        subject: str | None = None,
        attributes: Mapping[str, str | int] | None = None,
        by_protocol: bool = False,
    ) -> None:
        """Publish a message, masked; raises OperationFailed.

        `once` is the deduplication id of a FIFO topic. A subscription's filter policy may ask for
        the `attributes`. `by_protocol`: the message is JSON with a text for each protocol.
        """
        more: dict[str, Any] = {}
        if self.arn.endswith(".fifo"):
            more = {"MessageGroupId": "sweeper", "MessageDeduplicationId": once}
        if subject:
            more["Subject"] = mask(subject)
        if by_protocol:
            more["MessageStructure"] = "json"
        if attributes:
            more["MessageAttributes"] = encode_attributes(attributes)
        with translate_errors():
            self._client().publish(TopicArn=self.arn, Message=mask(message), **more)

    def probe(self, key: str) -> list[DestinationProbe]:
        """Probe whether the topic exists; `key` is the key of the configuration that names it."""

        @translate_errors()
        def read() -> None:
            self._client().get_topic_attributes(TopicArn=self.arn)

        answer = run_probe(
            read, if_denied="the caller may not read the topic; a delivery does not need it"
        )
        return [DestinationProbe(key, self.arn, "exists", answer, _hints(key))]

    def _client(self) -> Any:
        return self._central("sns", self.arn.split(":")[3])


def encode_attributes(values: Mapping[str, str | int]) -> dict[str, dict[str, str]]:
    """Return the values, masked, as SNS takes a message's attributes."""
    return {
        name: {
            "DataType": "Number" if isinstance(value, int) else "String",
            "StringValue": mask(str(value)),
        }
        for name, value in values.items()
    }


class MessageSink(Sink):
    """A sink that publishes one message about a report, if people need one.

    `key` is the key of the configuration that names the topic.
    """

    is_message = True
    actions = frozenset({"sns:Publish", *KEY_ACTIONS})
    key: ClassVar[str]

    def __init__(self, topic: Topic, notify: Notify) -> None:
        self.location = topic.arn
        self.topic = topic
        self._notify = notify

    def publish(self, report: Report, so_far: Sequence[Delivery]) -> None:
        """Publish the message; raises OperationFailed."""
        raise NotImplementedError

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """Publish one message, unless none is needed; raises OperationFailed."""
        undelivered = any(delivery.status == "failed" for delivery in so_far)
        if not undelivered and not is_needed(report, self._notify):
            why = UNCHANGED if self._notify == "on_change" else None
            return Delivery(self.name, self.location, "not_needed", message=why)
        self.publish(report, so_far)
        return Delivery(self.name, self.location, "delivered")

    def probe(self) -> list[DestinationProbe]:
        """Probe whether the topic exists."""
        return self.topic.probe(self.key)


def _hints(key: str) -> Hints:
    """Return what to do about a topic that `key` names."""
    return Hints(
        missing=f"create the topic (the central stack does: docs/deploy.md), or correct {key}",
        unknown="nothing to do: the first message shows it. To check the topic, "
        "allow the caller sns:GetTopicAttributes",
    )


def structured_message(
    members: Mapping[str, Any], findings: Sequence[Finding], text: Callable[[int], str]
) -> str:
    """Return a message for ``MessageStructure: json``, at most `MAX_BYTES` of UTF-8.

    Programs get JSON: the members, and the first of the findings. All others get the text, which
    `text` makes for the bytes that are left.
    """
    event = _event(members, findings, _MAX_EVENT)
    frame = _encode({"default": "", **dict.fromkeys(_PROGRAMS, event)})
    readable = text(MAX_BYTES - len(frame.encode()))
    return _encode({"default": readable, **dict.fromkeys(_PROGRAMS, event)})


def _event(members: Mapping[str, Any], findings: Sequence[Finding], limit: int) -> str:
    """Return an object of the members and the first findings, at most `limit` by `json_size`.

    `findings_left_out` counts the other findings.
    """
    members = {**members, "findings_left_out": len(findings)}
    left = limit - json_size(_object(members, ()))
    chosen: list[str] = []
    for finding in findings:
        item = encode_value(finding)
        left -= json_size(item) + 2  # and what separates it
        if left < 0:
            break
        chosen.append(item)
    return _object({**members, "findings_left_out": len(findings) - len(chosen)}, chosen)


def _object(members: Mapping[str, Any], findings: Iterable[str]) -> str:
    pairs = [f'"{key}": {encode_value(value)}' for key, value in members.items()]
    return "{" + ", ".join((*pairs, f'"findings": [{", ".join(findings)}]')) + "}"


def _encode(texts: Mapping[str, str]) -> str:
    return json.dumps(texts, ensure_ascii=False)
