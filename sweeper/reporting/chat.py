"""The message for a chat channel: a custom notification of Amazon Q Developer, pure.

https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html. The text is in the markup
of the channel's chat program, which differs: code spans and bare addresses are the same in all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice

from sweeper.domain.escaping import shorten
from sweeper.domain.masking import MASK, mask
from sweeper.domain.model import Finding
from sweeper.domain.report import remaining_rule
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.console import console_url
from sweeper.reporting.notification import listed, subject
from sweeper.reporting.wording import (
    advice,
    checked_sentence,
    coverage_sentence,
    known_as,
    named,
    number,
    outcome,
    since_last,
)

_NAMED = 10  # findings; the others are counted
_NEXT_STEPS = 3
_LONGEST = 100  # characters of a name
_RELATED = 20
_MASK = "(masked)"
# What a chat program obeys, each as a sign that looks like it.
_OBEYED = str.maketrans(
    {
        "&": "\uff06",
        "<": "\u2039",
        ">": "\u203a",
        "`": "'",
        "@": "\uff20",
        "*": "\u2217",
        "|": "\u00a6",
    }
)


def chat_message(report: Report, so_far: Sequence[Delivery]) -> str:
    """Return the notification as JSON; the runs of an organization are one thread."""
    run = report.run
    content = {
        "textType": "client-markdown",
        "title": subject(report),
        "description": "\n".join(_description(report)),
        "nextSteps": list(islice(_next_steps(report, so_far), _NEXT_STEPS)),
        "keywords": ["ECR", "image tag immutability", run.kind],
    }
    related = [item.arn for item in _remaining(report)[:_RELATED] if item.arn]
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
    return [item for item in listed(report) if remains(item)]


def _description(report: Report) -> Iterator[str]:
    yield f"{_text(coverage_sentence(report), 600)} {checked_sentence(report)}"
    if words := since_last(report):
        yield f"Since the last sweep: {_text(words, 600)}."
    findings = _remaining(report)
    for item in findings[:_NAMED]:
        state = ", ".join(filter(None, (outcome(item, report.run), known_as(item))))
        account = " ".join(filter(None, (item.account_id, item.account_name)))
        line = (
            f"• {_code(named(item))} in {_code(account)} {_code(item.region)}: {_text(state, 200)}"
        )
        address = console_url(item, report.run.partition)
        yield f"{line} {address}" if address else line
    if len(findings) > _NAMED:
        yield f"… and {number(len(findings) - _NAMED, 'more finding')}"


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


def _text(text: str, limit: int = _LONGEST) -> str:
    # No secret is found any more once its signs are replaced.
    return mask(shorten(text, limit)).replace(MASK, _MASK).translate(_OBEYED)


def _code(text: str, limit: int = _LONGEST) -> str:
    return f"`{_text(text, limit)}`"
