"""One short message to the topic of a chat channel, as AWS's chat integration shows it.

It is a custom notification of Amazon Q Developer:
https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html. The text is in the markup
of the channel's chat program, which differs: code spans and bare addresses are the same in all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Self

from sweeper.domain.escaping import shorten
from sweeper.domain.masking import MASK, mask
from sweeper.domain.model import Finding
from sweeper.domain.report import remaining_rule
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.console import console_url
from sweeper.reporting.notification import findings_by_urgency, subject
from sweeper.reporting.report_wording import checked_sentence, coverage_sentence, since_last_words
from sweeper.reporting.sinks.base import SinkContext
from sweeper.reporting.sinks.topic import MessageSink, Topic
from sweeper.reporting.wording import advice, number, outcome_words, resource_name, since_last_state

_MAX_FINDINGS = 10  # the others are counted
_MAX_STEPS = 3
_MAX_NAME = 100  # characters of a name
_MAX_RELATED = 20
_MASK = "(masked)"
# Signs that chat programs interpret, and signs that look like them.
_MARKUP = str.maketrans(
    {
        "&": "\uff06",
        "<": "\u2039",
        ">": "\u203a",
        "`": "'",
        "@": "\uff20",
        "*": "\u2217",
        "|": "\u00a6",
        "~": "\u223c",
        "[": "\uff3b",
        "]": "\uff3d",
    }
)
# Inside a word it formats nothing, and is part of names and reasons.
_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


class ChatSink(MessageSink):
    """A sink that publishes a custom notification of Amazon Q Developer in chat applications."""

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
        self.topic.publish(_message(report, so_far), once=f"{report.run.id}-chat")


def _message(report: Report, so_far: Sequence[Delivery]) -> str:
    """Return the notification as JSON; the runs of an organization are one thread."""
    run = report.run
    content = {
        "textType": "client-markdown",
        "title": subject(report),
        "description": "\n".join(_description(report)),
        "nextSteps": list(islice(_next_steps(report, so_far), _MAX_STEPS)),
        "keywords": ["ECR", "image tag immutability", run.kind],
    }
    related = [item.arn for item in _remaining(report)[:_MAX_RELATED] if item.arn]
    metadata = {
        "threadId": f"sweeper-{run.organization_id or run.account_id or 'unknown'}",
        "summary": subject(report),
        "eventType": f"sweeper {run.kind}",
        "relatedResources": [_text(arn) for arn in related],
        "additionalContext": {"run": run.id},
    }
    message = {
        "version": "1.0",
        "source": "custom",
        "id": run.id,
        "content": content,
        "metadata": metadata,
    }
    return json.dumps(message, ensure_ascii=False)


def _remaining(report: Report) -> list[Finding]:
    remains = remaining_rule(report.run.kind)
    return [item for item in findings_by_urgency(report) if remains(item)]


def _description(report: Report) -> Iterator[str]:
    yield f"{_text(coverage_sentence(report), 600)} {checked_sentence(report)}"
    if words := since_last_words(report):
        yield f"Since the last sweep: {_text(words, 600)}."
    findings = _remaining(report)
    for item in findings[:_MAX_FINDINGS]:
        state = ", ".join(filter(None, (outcome_words(item, report.run), since_last_state(item))))
        account = " ".join(filter(None, (item.account_id, item.account_name)))
        where = f"{_code(account)} {_code(item.region)}"
        line = f"• {_code(resource_name(item))} in {where}: {_text(state, 200)}"
        address = console_url(item, report.run.partition)
        yield f"{line} {address}" if address else line
    if len(findings) > _MAX_FINDINGS:
        yield f"… and {number(len(findings) - _MAX_FINDINGS, 'more finding')}"


def _next_steps(report: Report, so_far: Sequence[Delivery]) -> Iterator[str]:
    for delivery in so_far:
        if delivery.status == "failed":
            what = _text(delivery.content)
            yield f"Check {_code(delivery.location)}: the {what} could not be delivered there"
    for delivery in so_far:
        if delivery.status == "delivered" and delivery.content == "report":
            yield f"Read the full report: {_code(delivery.location, 1100)}"
            break
    reasons = dict.fromkeys((failure.stage, failure.reason) for failure in report.failures)
    for stage, reason in reasons:
        if text := advice(stage, reason, report.run):
            yield f"{reason}: {_text(text, 300)}"


def _text(text: str, limit: int = _MAX_NAME) -> str:
    # No secret is found any more once its signs are replaced.
    shown = mask(shorten(text, limit)).replace(MASK, _MASK).translate(_MARKUP)
    return _UNDERSCORE.sub("\uff3f", shown)


def _code(text: str, limit: int = _MAX_NAME) -> str:
    return f"`{_text(text, limit)}`"
