"""The message for each protocol of a topic: text for people, JSON for programs; pure.

https://docs.aws.amazon.com/sns/latest/dg/sns-send-custom-platform-specific-payloads-mobile-devices.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sweeper.domain.json_encoding import encoded
from sweeper.domain.model import Finding
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.notification import LIMIT, listed, message, size

# The subscribers that are programs; all others, e-mail among them, get the text.
PROGRAMS = ("firehose", "https", "lambda", "sqs")
_LARGEST_EVENT = 24_000  # by `size`: SNS counts one copy for each protocol


def structured(report: Report, so_far: Sequence[Delivery], limit: int = LIMIT) -> str:
    """What Publish takes with ``MessageStructure: json``; at most `limit` bytes of UTF-8."""
    one = event(report, so_far, min(_LARGEST_EVENT, limit // 2 // len(PROGRAMS)))
    return by_protocol(one, lambda left: message(report, so_far, left), limit)


def by_protocol(one: str, text: Callable[[int], str], limit: int) -> str:
    """`one` for programs, and for all others the `text` that fits into what is left of `limit`."""
    frame = _encoded({"default": "", **dict.fromkeys(PROGRAMS, one)})
    said = text(limit - len(frame.encode()))
    return _encoded({"default": said, **dict.fromkeys(PROGRAMS, one)})


def event(report: Report, so_far: Sequence[Delivery], largest: int) -> str:
    """The report for a program, as JSON of at most `largest` by `size`.

    Its members are those of report.json. `findings` are the most urgent ones, for which there is
    room; `findings_left_out` counts the others. `since_last` counts what it lists there.
    """
    findings = listed(report)
    since = report.since_last
    head: dict[str, Any] = {
        "schema_version": report.schema_version,
        "run": report.run,
        "totals": report.totals,
        "coverage": report.coverage,
        "since_last": since
        and {
            "run_id": since.run_id,
            "new": since.new,
            "still_open": since.still_open,
            "reopened": since.reopened,
            "resolved": len(since.resolved),
            "not_visible": len(since.not_visible),
        },
        "deliveries": so_far,
    }
    return fitted(head, findings, largest)


def fitted(head: Mapping[str, Any], findings: Sequence[Finding], largest: int) -> str:
    """Return an object of these members and the first `findings`, at most `largest` by `size`."""
    head = {**head, "findings_left_out": len(findings)}
    left = largest - size(_object(head, ()))
    chosen: list[str] = []
    for finding in findings:
        item = encoded(finding)
        left -= size(item) + 2  # and what separates it
        if left < 0:
            break
        chosen.append(item)
    return _object({**head, "findings_left_out": len(findings) - len(chosen)}, chosen)


def attributes(report: Report) -> dict[str, dict[str, str]]:
    """What a subscription's filter policy may ask for, without reading the message."""
    incomplete = "false" if report.coverage.complete else "true"
    non_compliant = str(report.totals.repositories.non_compliant)
    return {
        "non_compliant": {"DataType": "Number", "StringValue": non_compliant},
        "coverage_incomplete": {"DataType": "String", "StringValue": incomplete},
        "run_id": {"DataType": "String", "StringValue": report.run.id},
    }


def _object(members: Mapping[str, Any], findings: Iterable[str]) -> str:
    pairs = [f'"{key}": {encoded(value)}' for key, value in members.items()]
    return "{" + ", ".join((*pairs, f'"findings": [{", ".join(findings)}]')) + "}"


def _encoded(texts: Mapping[str, str]) -> str:
    return json.dumps(texts, ensure_ascii=False)
