"""report.junit.xml: the sweep as a run of tests, for pipelines that show and gate on those.

A repository that is still mutable is a failing test; what could not be checked is an error;
exempt ones, and what was left out on purpose, are skipped. The shape is that of Jenkins' schema.
"""

from __future__ import annotations

import html
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain

from sweeper.domain.escaping import plain, shorten
from sweeper.domain.model import Finding
from sweeper.domain.pieces import in_pieces
from sweeper.domain.report_model import (
    AccountSummary,
    EarlierFinding,
    FailedItem,
    Report,
    SkippedItem,
)
from sweeper.reporting.formats.base import Format
from sweeper.reporting.records import Record, State, items, recorder
from sweeper.reporting.wording import (
    account_details,
    advice,
    checked_sentence,
    coverage_sentence,
    explanation,
    number,
    scope,
)

_LONGEST = 2000  # characters of a message
# What a finding's test has in it; a suite counts its tests by that.
_RESULTS = {
    State.OPEN: "failure",
    State.UNDETERMINED: "error",
    State.EXEMPT: "skipped",
    State.FIXED: "system-out",
}


def render(report: Report) -> Iterator[bytes]:
    """One suite for the sweep as a whole, then one for each account, in the order of their ids."""
    return in_pieces(text.encode() for text in _texts(report))


def _texts(report: Report) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="sweeper">\n'
    yield from _suite_of_the_sweep(report)
    record = recorder(report)
    found: dict[str, list[tuple[State, Finding | EarlierFinding]]] = defaultdict(list)
    for state, item in items(report):
        found[plain(item.account_id)].append((state, item))
    failures: dict[str, list[FailedItem]] = defaultdict(list)
    for failure in report.failures:
        if failure.account_id is not None:
            failures[failure.account_id].append(failure)
    skipped: dict[str, list[SkippedItem]] = defaultdict(list)
    for left_out in report.skipped:
        skipped[left_out.account_id].append(left_out)
    accounts = {account.id: account for account in report.accounts}
    details = account_details(report)
    for account_id in sorted({*accounts, *found, *failures, *skipped}):
        account = accounts.get(account_id)
        compliant = list(_compliant(account)) if account else []
        # The counts of a suite stand before its tests, which are made one at a time.
        results = Counter(_RESULTS[state] for state, _ in found[account_id])
        results["system-out"] += len(compliant)
        results["error"] += len(failures[account_id])
        results["skipped"] += len(skipped[account_id])
        tests = chain(
            (_of_finding(record(*each), details.get(account_id)) for each in found[account_id]),
            compliant,
            map(_of_failure, failures[account_id]),
            map(_of_skipped, skipped[account_id]),
        )
        name = f"{account_id} {account.name}" if account else account_id
        yield from _suite(name, report, results, tests)
    yield "</testsuites>\n"


def _suite_of_the_sweep(report: Report) -> Iterator[str]:
    """So that there is a test in every file: whether everything was checked."""
    run = report.run
    properties = "".join(
        f"    {_element('property', name=name, value=plain(value))}\n"
        for name, value in (
            ("scope", scope(report) or ""),
            ("run_id", run.id),
            ("version", run.version),
            ("organization_id", run.organization_id or ""),
            ("auto_remediate", run.auto_remediate),
            ("dry_run", str(run.dry_run).lower()),
        )
    )
    if report.coverage.complete:
        result, told = (
            "system-out",
            _output(f"{coverage_sentence(report)} {checked_sentence(report)}"),
        )
    else:
        why = [
            f"{failure.reason}: {explanation(failure)}"
            for failure in report.failures
            if failure.account_id is None
        ]
        message = " ".join((coverage_sentence(report), *why))
        result, told = "error", _outcome("error", "coverage_incomplete", message)
    content = (f"  <properties>\n{properties}  </properties>\n", _test("sweep", "coverage", told))
    return _suite("sweep", report, Counter((result,)), content)


def _of_finding(record: Record, details: str | None) -> str:
    result = _RESULTS[record.state]
    match record.state:
        case State.FIXED:
            told = _output(record.description)
        case State.EXEMPT:
            told = _outcome(result, "exempt", record.description)
        case State.UNDETERMINED:
            told = _outcome(result, "undetermined", record.description, record.advice)
        case State.OPEN:  # pragma: no branch (the last of them)
            more = (record.advice, f"Account: {details}" if details else "")
            told = _outcome(result, "non_compliant", record.description, *more)
    return _test(f"{record.account_id}.{record.region}", record.named, told)


def _compliant(account: AccountSummary) -> Iterator[str]:
    """The report counts what is compliant: one passing test for each region that has some."""
    for region, (compliant, _, _) in account.regions.items():
        if compliant:
            told = _output(number(compliant, "compliant repository", "compliant repositories"))
            yield _test(f"{account.id}.{region}", "all other repositories", told)


def _of_failure(failure: FailedItem) -> str:
    to_do = advice(failure.stage, failure.reason)
    what_to_do = f"What to do: {to_do}." if to_do else ""
    told = _outcome("error", failure.reason, explanation(failure), what_to_do)
    return _test(_place(failure.account_id or "", failure.region), failure.stage, told)


def _of_skipped(item: SkippedItem) -> str:
    told = _outcome("skipped", item.reason, f"left out on purpose: {item.reason}")
    return _test(_place(item.account_id, item.region), "examine", told)


def _place(account_id: str, region: str | None) -> str:
    return f"{account_id}.{region}" if region else account_id


def _suite(
    name: str, report: Report, results: Counter[str], content: Iterable[str]
) -> Iterator[str]:
    """The suite, with the counts of its tests by their results; one test in memory at a time."""
    start = _element(
        "testsuite",
        name=shorten(name, 256),
        timestamp=plain(report.run.started_at.removesuffix("Z")),
        tests=str(results.total()),
        failures=str(results["failure"]),
        errors=str(results["error"]),
        skipped=str(results["skipped"]),
    )
    if not results.total():
        yield f"{start}\n"
        return
    yield f"{start.removesuffix(' />')}>\n"
    yield from content
    yield "</testsuite>\n"


def _test(class_name: str, name: str, told: str) -> str:
    case = _element("testcase", classname=shorten(class_name, 256), name=shorten(name, 512))
    return f"  {case.removesuffix(' />')}>\n    {told}\n  </testcase>\n"


def _outcome(result: str, type_: str, message: str, *more: str) -> str:
    text = "\n".join(shorten(each, _LONGEST) for each in (message, *more) if each)
    return _element(result, text, type=type_, message=shorten(message, _LONGEST))


def _output(text: str) -> str:
    return _element("system-out", shorten(text, _LONGEST))


def _element(tag: str, text: str = "", **attributes: str) -> str:
    """An element of what is plain: what XML cannot hold is an escape, and what it obeys is here."""
    quoted = {name: _escaped(value).replace('"', "&quot;") for name, value in attributes.items()}
    said = "".join(f' {name}="{value}"' for name, value in quoted.items())
    return f"<{tag}{said}>{_escaped(text)}</{tag}>" if text else f"<{tag}{said} />"


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


FORMAT = Format("junit", "junit.xml", "application/xml", render)
