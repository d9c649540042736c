"""report.sarif: the findings as SARIF 2.1.0, for views of code scanning.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html, and the requirements of GitHub:
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
from sweeper.domain.masking import in_pieces
from sweeper.domain.model import Finding, Resource
from sweeper.domain.report_model import EarlierFinding, FailedItem, Report
from sweeper.reporting.formats.base import Format
from sweeper.reporting.records import (
    Record,
    State,
    check_rule,
    earlier_not_checked,
    list_items,
    record_maker,
)
from sweeper.reporting.report_wording import (
    account_names,
    coverage_sentence,
    not_checked_words,
)
from sweeper.reporting.wording import advice, exemption_words, explanation, failure_target, number

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_MAX_RESULTS = 25_000  # of a run: GitHub refuses the file with more
_MAX_FAILURES = 1000  # that are notifications of their own
_MAX_TEXT = 1024  # characters of a name or a message
_SEVERITY = "5.0"  # medium, as everywhere
_ORDER = (State.OPEN, State.UNDETERMINED, State.EXEMPT)
_LEVEL = {State.OPEN: "warning", State.UNDETERMINED: "warning", State.EXEMPT: "note"}
# SARIF makes a link of "[text](address)", and a placeholder of "{0}".
_MARKUP = re.compile(r"\](?=\()|\{(?=\d+\})")

_Item = tuple[State, Finding | EarlierFinding]


def _render(report: Report) -> Iterator[bytes]:
    """Yield one run; resolved findings are left out, because code scanning closes their alerts."""
    return in_pieces(_lines(report))


def _lines(report: Report) -> Iterator[bytes]:
    found = sorted(
        (
            each
            for each in chain(list_items(report), earlier_not_checked(report))
            if each[0] in _LEVEL
        ),
        key=lambda each: _ORDER.index(each[0]),
    )
    shown = found[:_MAX_RESULTS]
    # A check examines one kind of resource.
    checks = dict(sorted((item.check, item.resource) for _, item in shown))
    head = {"$schema": _SCHEMA, "version": "2.1.0"}
    yield _json(head)[:-1] + b',"runs":[{\n"tool":' + _json(_tool(report, checks)) + b",\n"
    yield b'"automationDetails":' + _json({"id": _automation_id(report)}) + b",\n"
    yield b'"invocations":[' + _json(_invocation(report))[:-1]
    yield b',"toolExecutionNotifications":[\n'
    yield from _array(_notifications(report, len(found) - len(shown)))
    yield b']}],\n"results":[\n'
    yield from _array(_results(shown, report, list(checks)))
    yield b"]}]}\n"


def _array(values: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Yield the members of an array, one a line and one in memory at a time."""
    before = b""
    for value in values:
        yield before + _json(value)
        before = b",\n"
    if before:
        yield b"\n"


def _tool(report: Report, checks: Mapping[str, Resource]) -> dict[str, Any]:
    rules = [check_rule(check, resource) for check, resource in checks.items()]
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


def _automation_id(report: Report) -> str:
    """Return an id whose part before the last slash is the same in each sweep."""
    run = report.run
    return plain(f"sweeper/{run.organization_id or run.account_id or 'unknown'}/{run.id}")


def _invocation(report: Report) -> dict[str, Any]:
    return {
        "executionSuccessful": report.coverage.complete
        and not not_checked_words(report.run.source),
        "startTimeUtc": plain(report.run.started_at),
        "endTimeUtc": plain(report.run.finished_at),
    }


def _notifications(report: Report, left_out: int) -> Iterator[dict[str, Any]]:
    """Yield failures, how many findings are left out, and that none were compared."""
    if not report.coverage.complete:
        yield _notification("coverage_incomplete", "error", coverage_sentence(report))
    if words := not_checked_words(report.run.source):
        yield _notification("not_checked_again", "error", f"{words}.")
    names = account_names(report)
    for failure in report.failures[:_MAX_FAILURES]:
        text = f"{failure_target(failure, names)}: {explanation(failure)}"
        if to_do := advice(failure.stage, failure.reason, report.run):
            text += f". What to do: {to_do}"
        yield _notification(failure.reason, "error", text, failure)
    if (more := len(report.failures) - _MAX_FAILURES) > 0:
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
    name: str, level: str, text: str, failure: FailedItem | None = None
) -> dict[str, Any]:
    notification: dict[str, Any] = {
        "descriptor": {"id": name},
        "level": level,
        "message": {"text": _message(text)},
    }
    if failure and failure.account_id:
        parts = filter(None, (failure.account_id, failure.region))
        notification["locations"] = [
            {"logicalLocations": [{"fullyQualifiedName": plain("/".join(parts))}]}
        ]
    return notification


def _results(shown: Iterable[_Item], report: Report, checks: list[str]) -> Iterator[dict[str, Any]]:
    record = record_maker(report)
    for state, item in shown:
        exemption = item.exemption if isinstance(item, Finding) else None
        result = _result(record(state, item), checks.index(item.check))
        if state is State.EXEMPT:
            why = exemption_words(exemption) if exemption else "exempt"
            suppression = {"kind": "external", "justification": why}
            result["suppressions"] = [suppression]
        yield result


def _result(record: Record, rule_index: int) -> dict[str, Any]:
    digest = hashlib.sha256(record.id.encode()).hexdigest()[:16]
    properties: dict[str, Any] = {
        "account": record.account_id,
        "accountName": shorten(record.account_name, _MAX_TEXT),
        "region": record.region,
        "imageTagMutability": shorten(record.setting, _MAX_TEXT),
    }
    if record.since:
        properties["sinceLast"] = record.since
    if record.due:
        properties["changeDue"] = str(record.due)
    if record.tags:
        properties["accountTags"] = {
            shorten(key, _MAX_TEXT): shorten(value, _MAX_TEXT) for key, value in record.tags.items()
        }
    return {
        "ruleId": record.check,
        "ruleIndex": rule_index,
        "level": "note" if record.is_minor else _LEVEL[record.state],
        "message": {"text": _message(f"{record.title}. {record.description}")},
        "locations": [
            {
                # Code scanning shows only results in files: each has a file of one line.
                "physicalLocation": {
                    "artifactLocation": {"uri": _path(record)},
                    "region": {"startLine": 1},
                },
                "logicalLocations": [
                    {
                        "name": shorten(record.resource_name, _MAX_TEXT),
                        "fullyQualifiedName": shorten(record.resource_id, _MAX_TEXT),
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
    """Return a path that names the resource like a file below the repository's root."""
    name = shorten(record.repository, _MAX_TEXT)
    kind = "" if record.resource == "repository" else f"{record.resource.replace('_', '-')}/"
    return quote(f"ecr/{record.account_id}/{record.region}/{kind}{name}")


def _message(text: str) -> str:
    return _MARKUP.sub(r"\g<0> ", shorten(text, 2 * _MAX_TEXT))


_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))


def _json(value: Any) -> bytes:
    return _ENCODER.encode(value).encode()


FORMAT = Format("sarif", "sarif", "application/sarif+json", _render)
