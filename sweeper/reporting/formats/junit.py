"""report.junit.xml: the sweep as a run of tests, for pipelines that show and gate on those.

A repository that is still mutable is a failing test. What could not be checked is an error. Exempt
repositories, and accounts and regions that were skipped, are skipped tests. The shape is that of
Jenkins' schema.
"""

from __future__ import annotations

import html
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain

from sweeper.domain.escaping import plain, shorten
from sweeper.domain.masking import in_pieces
from sweeper.domain.model import Finding
from sweeper.domain.report_model import (
    AccountSummary,
    EarlierFinding,
    FailedItem,
    Report,
    SkippedItem,
)
from sweeper.reporting.formats.base import Format
from sweeper.reporting.records import Record, State, list_items, record_maker
from sweeper.reporting.report_wording import (
    account_details,
    checked_sentence,
    coverage_sentence,
    not_checked_words,
    scope_words,
)
from sweeper.reporting.wording import advice, explanation, number

_MAX_TEXT = 2000  # characters of a message
# The element of a finding's test, by which a suite counts its tests.
_RESULTS = {
    State.OPEN: "failure",
    State.UNDETERMINED: "error",
    State.EXEMPT: "skipped",
    State.FIXED: "system-out",
}


def _render(report: Report) -> Iterator[bytes]:
    """Yield a suite for the whole sweep, then one for each account, in the order of ids."""
    return in_pieces(text.encode() for text in _texts(report))


def _texts(report: Report) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="sweeper">\n'
    yield from _coverage_suite(report)
    record = record_maker(report)
    found: dict[str, list[tuple[State, Finding | EarlierFinding]]] = defaultdict(list)
    for state, item in list_items(report):
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
        compliant = list(_compliant_tests(account)) if account else []
        # A suite has its counts before its tests, which are made one at a time.
        results = Counter(_RESULTS[state] for state, _ in found[account_id])
        results["system-out"] += len(compliant)
        results["error"] += len(failures[account_id])
        results["skipped"] += len(skipped[account_id])
        tests = chain(
            (_finding_test(record(*each), details.get(account_id)) for each in found[account_id]),
            compliant,
            map(_failure_test, failures[account_id]),
            map(_skipped_test, skipped[account_id]),
        )
        name = f"{account_id} {account.name}" if account else account_id
        yield from _suite(name, report, results, tests)
    yield "</testsuites>\n"


def _coverage_suite(report: Report) -> Iterator[str]:
    """Yield a suite with one test, which fails if something was not checked."""
    run = report.run
    properties = "".join(
        f"    {_element('property', name=name, value=plain(value))}\n"
        for name, value in (
            ("scope", scope_words(report) or ""),
            ("run_id", run.id),
            ("version", run.version),
            ("organization_id", run.organization_id or ""),
            ("auto_remediate", run.auto_remediate),
            ("dry_run", str(run.dry_run).lower()),
        )
    )
    not_checked = not_checked_words(run.source)
    if report.coverage.complete and not not_checked:
        result = "system-out"
        element = _output(f"{coverage_sentence(report)} {checked_sentence(report)}")
    else:
        why = [
            f"{failure.reason}: {explanation(failure)}"
            for failure in report.failures
            if failure.account_id is None
        ]
        sentences = (coverage_sentence(report), f"{not_checked}." if not_checked else "", *why)
        message = " ".join(filter(None, sentences))
        result = "error"
        element = _outcome(result, "coverage_incomplete", message)
    content = (
        f"  <properties>\n{properties}  </properties>\n",
        _test("sweep", "coverage", element),
    )
    return _suite("sweep", report, Counter((result,)), content)


def _finding_test(record: Record, details: str | None) -> str:
    result = _RESULTS[record.state]
    match record.state:
        case State.FIXED:
            element = _output(record.description)
        case State.EXEMPT:
            element = _outcome(result, "exempt", record.description)
        case State.UNDETERMINED:
            element = _outcome(result, "undetermined", record.description, record.advice)
        case State.OPEN:  # pragma: no branch (the last of them)
            more = (record.advice, f"Account: {details}" if details else "")
            element = _outcome(result, "non_compliant", record.description, *more)
    return _test(f"{record.account_id}.{record.region}", record.resource_name, element)


def _compliant_tests(account: AccountSummary) -> Iterator[str]:
    """Yield a passing test for each region that has compliant repositories."""
    for region, (compliant, _, _) in account.regions.items():
        if compliant:
            element = _output(number(compliant, "compliant repository"))
            yield _test(f"{account.id}.{region}", "all other repositories", element)


def _failure_test(failure: FailedItem) -> str:
    to_do = advice(failure.stage, failure.reason)
    what_to_do = f"What to do: {to_do}." if to_do else ""
    element = _outcome("error", failure.reason, explanation(failure), what_to_do)
    return _test(_class_name(failure.account_id or "", failure.region), failure.stage, element)


def _skipped_test(item: SkippedItem) -> str:
    element = _outcome("skipped", item.reason, f"left out on purpose: {item.reason}")
    return _test(_class_name(item.account_id, item.region), "examine", element)


def _class_name(account_id: str, region: str | None) -> str:
    return f"{account_id}.{region}" if region else account_id


def _suite(
    name: str, report: Report, results: Counter[str], content: Iterable[str]
) -> Iterator[str]:
    """Yield the suite with the counts of its results, one test in memory at a time."""
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


def _test(class_name: str, name: str, element: str) -> str:
    case = _element("testcase", classname=shorten(class_name, 256), name=shorten(name, 512))
    return f"  {case.removesuffix(' />')}>\n    {element}\n  </testcase>\n"


def _outcome(result: str, type_: str, message: str, *more: str) -> str:
    text = "\n".join(shorten(each, _MAX_TEXT) for each in (message, *more) if each)
    return _element(result, text, type=type_, message=shorten(message, _MAX_TEXT))


def _output(text: str) -> str:
    return _element("system-out", shorten(text, _MAX_TEXT))


def _element(tag: str, text: str = "", **attributes: str) -> str:
    """Return an element; the text is plain and is escaped for XML."""
    quoted = {name: _escape(value).replace('"', "&quot;") for name, value in attributes.items()}
    pairs = "".join(f' {name}="{value}"' for name, value in quoted.items())
    return f"<{tag}{pairs}>{_escape(text)}</{tag}>" if text else f"<{tag}{pairs} />"


def _escape(text: str) -> str:
    return html.escape(text, quote=False)


FORMAT = Format("junit", "junit.xml", "application/xml", _render)
