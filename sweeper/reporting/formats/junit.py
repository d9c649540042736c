"""report.junit.xml: the sweep as a run of tests, for pipelines that show and gate on those.

A repository that is still mutable is a failing test; what could not be checked is an error;
exempt ones, and what was left out on purpose, are skipped. The shape is that of Jenkins' schema.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from sweeper.domain.escaping import plain, shorten
from sweeper.domain.report_model import AccountSummary, FailedItem, Report, SkippedItem
from sweeper.reporting.formats import Format
from sweeper.reporting.records import Record, State, records
from sweeper.reporting.wording import account_tags, advice, explanation, number, scope, seen, unseen

_LONGEST = 2000  # characters of a message


def render(report: Report) -> bytes:
    """One suite for the sweep as a whole, then one for each account, in the order of their ids."""
    out = io.BytesIO()
    out.write(b'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="sweeper">\n')
    _write(out, _suite_of_the_sweep(report))
    findings: dict[str, list[Record]] = defaultdict(list)
    for record in records(report):
        findings[record.account_id].append(record)
    failures: dict[str, list[FailedItem]] = defaultdict(list)
    for failure in report.failures:
        if failure.account_id is not None:
            failures[failure.account_id].append(failure)
    skipped: dict[str, list[SkippedItem]] = defaultdict(list)
    for item in report.skipped:
        skipped[item.account_id].append(item)
    accounts = {account.id: account for account in report.accounts}
    tags = account_tags(report)
    for account_id in sorted({*accounts, *findings, *failures, *skipped}):
        account = accounts.get(account_id)
        suite = _suite(f"{account_id} {account.name}" if account else account_id, report)
        for record in findings[account_id]:
            _add_finding(suite, record, tags.get(account_id))
        if account:
            _add_compliant(suite, account)
        for failure in failures[account_id]:
            _add_failure(suite, failure)
        _add_skipped(suite, skipped[account_id])
        _write(out, suite)
    out.write(b"</testsuites>\n")
    return out.getvalue()


def _suite_of_the_sweep(report: Report) -> ET.Element:
    """So that there is a test in every file: whether everything was checked."""
    run = report.run
    suite = _suite("sweep", report)
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("scope", scope(report) or ""),
        ("run_id", run.id),
        ("version", run.version),
        ("organization_id", run.organization_id or ""),
        ("auto_remediate", run.auto_remediate),
        ("dry_run", str(run.dry_run).lower()),
    ):
        ET.SubElement(properties, "property", name=name, value=plain(value))
    case = _case(suite, "sweep", "coverage")
    if report.coverage.complete:
        _output(case, f"{unseen(report)} {seen(report)}")
    else:
        why = [
            f"{failure.reason}: {explanation(failure)}"
            for failure in report.failures
            if failure.account_id is None
        ]
        _outcome(case, "error", "coverage_incomplete", " ".join((unseen(report), *why)))
    return suite


def _add_finding(suite: ET.Element, record: Record, tags: str | None) -> None:
    case = _case(suite, f"{record.account_id}.{record.region}", record.named)
    match record.state:
        case State.CLOSED:
            _output(case, record.description)
        case State.EXEMPT:
            _outcome(case, "skipped", "exempt", record.description)
        case State.UNDETERMINED:
            _outcome(case, "error", "undetermined", record.description, record.advice)
        case State.OPEN:  # pragma: no branch (the last of them)
            told = (record.advice, f"Account tags: {tags}" if tags else "")
            _outcome(case, "failure", "non_compliant", record.description, *told)


def _add_compliant(suite: ET.Element, account: AccountSummary) -> None:
    """The report counts what is compliant: one passing test for each region that has some."""
    for region, (compliant, _, _) in account.regions.items():
        if compliant:
            case = _case(suite, f"{account.id}.{region}", "all other repositories")
            _output(case, number(compliant, "compliant repository", "compliant repositories"))


def _add_failure(suite: ET.Element, failure: FailedItem) -> None:
    case = _case(suite, _place(failure.account_id or "", failure.region), failure.stage)
    told = advice(failure.stage, failure.reason)
    what_to_do = f"What to do: {told}." if told else ""
    _outcome(case, "error", failure.reason, explanation(failure), what_to_do)


def _add_skipped(suite: ET.Element, items: Iterable[SkippedItem]) -> None:
    for item in items:
        case = _case(suite, _place(item.account_id, item.region), "examine")
        _outcome(case, "skipped", item.reason, f"left out on purpose: {item.reason}")


def _place(account_id: str, region: str | None) -> str:
    return f"{account_id}.{region}" if region else account_id


def _suite(name: str, report: Report) -> ET.Element:
    timestamp = report.run.started_at.removesuffix("Z")
    return ET.Element("testsuite", name=shorten(name, 256), timestamp=plain(timestamp))


def _case(suite: ET.Element, class_name: str, name: str) -> ET.Element:
    return ET.SubElement(
        suite, "testcase", classname=shorten(class_name, 256), name=shorten(name, 512)
    )


def _outcome(case: ET.Element, kind: str, type_: str, message: str, *more: str) -> None:
    element = ET.SubElement(case, kind, type=type_, message=shorten(message, _LONGEST))
    element.text = "\n".join(shorten(text, _LONGEST) for text in (message, *more) if text)


def _output(case: ET.Element, text: str) -> None:
    ET.SubElement(case, "system-out").text = shorten(text, _LONGEST)


def _write(out: io.BytesIO, suite: ET.Element) -> None:
    """The suite, with the counts that its tests give; one in memory at a time."""
    for attribute, path in (
        ("tests", "testcase"),
        ("failures", "testcase/failure"),
        ("errors", "testcase/error"),
        ("skipped", "testcase/skipped"),
    ):
        suite.set(attribute, str(len(suite.findall(path))))
    ET.indent(suite)
    out.write(ET.tostring(suite, encoding="unicode").encode() + b"\n")


FORMAT = Format("junit", "junit.xml", "application/xml", render)
