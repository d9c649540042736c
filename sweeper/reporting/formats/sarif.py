"""report.sarif: the findings as SARIF 2.1.0, for views of code scanning.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html, and of what GitHub asks besides:
https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any
from urllib.parse import quote

from sweeper.domain.escaping import plain, shorten
from sweeper.domain.model import Finding, Resource
from sweeper.domain.pieces import in_pieces
from sweeper.domain.report_model import EarlierFinding, FailedItem, Report
from sweeper.reporting.formats.base import Format
from sweeper.reporting.records import Record, State, items, not_checked, recorder, rule
from sweeper.reporting.wording import (
    account_names,
    advice,
    coverage_sentence,
    exemption_text,
    explanation,
    number,
    where,
)

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
MOST_RESULTS = 25_000  # of a run: GitHub refuses the file with more
_MOST_GAPS = 1000  # that are notifications of their own
_LONGEST = 1024  # characters of a name or a message
_SEVERITY = "5.0"  # medium, as everywhere
_ORDER = (State.OPEN, State.UNDETERMINED, State.EXEMPT)
_LEVEL = {State.OPEN: "warning", State.UNDETERMINED: "warning", State.EXEMPT: "note"}
# SARIF makes a link of "[text](address)", and a place for an argument of "{0}".
_OBEYED = re.compile(r"\](?=\()|\{(?=\d+\})")

_Item = tuple[State, Finding | EarlierFinding]


def render(report: Report) -> Iterator[bytes]:
    """One run. What was resolved is no result: code scanning closes what is not there."""
    return in_pieces(_lines(report))


def _lines(report: Report) -> Iterator[bytes]:
    found = sorted(
        (each for each in chain(items(report), not_checked(report)) if each[0] in _LEVEL),
        key=lambda each: _ORDER.index(each[0]),
    )
    shown = found[:MOST_RESULTS]
    # A check examines one kind of resource.
    checks = dict(sorted((item.check, item.resource) for _, item in shown))
    head = {"$schema": _SCHEMA, "version": "2.1.0"}
    yield _json(head)[:-1] + b',"runs":[{\n"tool":' + _json(_tool(report, checks)) + b",\n"
    yield b'"automationDetails":' + _json({"id": _category(report)}) + b",\n"
    yield b'"invocations":[' + _json(_invocation(report))[:-1]
    yield b',"toolExecutionNotifications":[\n'
    yield from _listed(_notifications(report, len(found) - len(shown)))
    yield b']}],\n"results":[\n'
    yield from _listed(_results(shown, report, list(checks)))
    yield b"]}]}\n"


def _listed(values: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """The members of an array, one a line and one in memory at a time."""
    before = b""
    for value in values:
        yield before + _json(value)
        before = b",\n"
    if before:
        yield b"\n"


def _tool(report: Report, checks: Mapping[str, Resource]) -> dict[str, Any]:
    rules = [rule(check, resource) for check, resource in checks.items()]
    return {
        "driver": {
            "name": "sweeper",
            "version": report.run.version,
            "rules": [
                {
                    "id": each.check,
                    "shortDescription": {"text": each.title},
                    "fullDescription": {"text": each.title},
                    "help": {"text": each.advice},
                    "helpUri": each.guide,
                    "defaultConfiguration": {"level": "warning"},
                    "properties": {"tags": ["security"], "security-severity": _SEVERITY},
                }
                for each in rules
            ],
        }
    }


def _category(report: Report) -> str:
    """What precedes the last slash stays the same from sweep to sweep."""
    run = report.run
    return plain(f"sweeper/{run.organization_id or run.account_id or 'unknown'}/{run.id}")


def _invocation(report: Report) -> dict[str, Any]:
    return {
        "executionSuccessful": report.coverage.complete,
        "startTimeUtc": plain(report.run.started_at),
        "endTimeUtc": plain(report.run.finished_at),
    }


def _notifications(report: Report, left_out: int) -> Iterator[dict[str, Any]]:
    """What the results do not show: gaps, findings without room, no earlier report to compare."""
    if not report.coverage.complete:
        yield _notification("coverage_incomplete", "error", coverage_sentence(report))
    names = account_names(report)
    for failure in report.failures[:_MOST_GAPS]:
        text = f"{where(failure, names)}: {explanation(failure)}"
        if to_do := advice(failure.stage, failure.reason, report.run):
            text += f". What to do: {to_do}"
        yield _notification(failure.reason, "error", text, failure)
    if (more := len(report.failures) - _MOST_GAPS) > 0:
        yield _notification(
            "gaps_left_out", "error", f"{number(more, 'more gap')}: see report.json."
        )
    if left_out:
        text = f"{number(left_out, 'finding')} for which there is no room: see report.json."
        yield _notification("findings_left_out", "error", text)
    since = report.since_last
    if not report.coverage.complete and (since is None or since.unavailable):
        yield _notification(
            "not_compared",
            "warning",
            "There is no earlier report to compare with: what was found before in accounts and "
            "regions that could not be checked this time is not among the results.",
        )


def _notification(
    name: str, level: str, text: str, place: FailedItem | None = None
) -> dict[str, Any]:
    notification: dict[str, Any] = {
        "descriptor": {"id": name},
        "level": level,
        "message": {"text": _message(text)},
    }
    if place and place.account_id:
        parts = filter(None, (place.account_id, place.region))
        notification["locations"] = [
            {"logicalLocations": [{"fullyQualifiedName": plain("/".join(parts))}]}
        ]
    return notification


def _results(shown: Iterable[_Item], report: Report, checks: list[str]) -> Iterator[dict[str, Any]]:
    record = recorder(report)
    for state, item in shown:
        exemption = item.exemption if isinstance(item, Finding) else None
        result = _result(record(state, item), checks.index(item.check))
        if state is State.EXEMPT:
            why = exemption_text(exemption) if exemption else "exempt"
            suppression = {"kind": "external", "justification": why}
            result["suppressions"] = [suppression]
        yield result


def _result(record: Record, rule_index: int) -> dict[str, Any]:
    digest = hashlib.sha256(record.id.encode()).hexdigest()[:16]
    properties: dict[str, Any] = {
        "account": record.account_id,
        "accountName": shorten(record.account_name, _LONGEST),
        "region": record.region,
        "imageTagMutability": shorten(record.setting, _LONGEST),
    }
    if record.since:
        properties["sinceLast"] = record.since
    if record.due:
        properties["changeDue"] = str(record.due)
    if record.tags:
        properties["accountTags"] = {
            shorten(key, _LONGEST): shorten(value, _LONGEST) for key, value in record.tags.items()
        }
    return {
        "ruleId": record.check,
        "ruleIndex": rule_index,
        "level": "note" if record.is_minor else _LEVEL[record.state],
        "message": {"text": _message(f"{record.title}. {record.description}")},
        "locations": [
            {
                # Code scanning shows only what is in a file: there is one line in one for each.
                "physicalLocation": {
                    "artifactLocation": {"uri": _path(record)},
                    "region": {"startLine": 1},
                },
                "logicalLocations": [
                    {
                        "name": shorten(record.named, _LONGEST),
                        "fullyQualifiedName": shorten(record.resource_id, _LONGEST),
                        "kind": "resource",
                    }
                ],
            }
        ],
        # GitHub knows an alert by the first, the file's path and the rule.
        "partialFingerprints": {
            "primaryLocationLineHash": f"{digest}:1",
            "findingId/v1": record.id,
        },
        "properties": properties,
    }


def _path(record: Record) -> str:
    """A path that names the resource, as that of a file below the repository's root."""
    name = shorten(record.repository, _LONGEST)
    kind = "" if record.resource == "repository" else f"{record.resource.replace('_', '-')}/"
    return quote(f"ecr/{record.account_id}/{record.region}/{kind}{name}")


def _message(text: str) -> str:
    return _OBEYED.sub(r"\g<0> ", shorten(text, 2 * _LONGEST))


_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))


def _json(value: Any) -> bytes:
    return _ENCODER.encode(value).encode()


FORMAT = Format("sarif", "sarif", "application/sarif+json", render)
