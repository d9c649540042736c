"""An undo's report for a person: plain text, every character of others' escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from sweeper.domain.escaping import plain, shorten
from sweeper.domain.inversion import cause
from sweeper.domain.model import ChangeStatus, Finding, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import FailedItem
from sweeper.domain.undo_report import OriginalRun, UndoChange, UndoReport
from sweeper.reporting.formats.text import document, wrapped
from sweeper.reporting.wording import advice, explanation, kind, named, number, setting

MOST_ASKED = 25  # changes that are shown before a question
MOST_SHOWN = 100  # changes that are shown on a terminal; undo.json has them all


def render(report: UndoReport, most: int | None = None) -> Iterator[bytes]:
    """The report as UTF-8 text, with so many of its changes at most."""
    sections = (
        _declined(report),
        _heading(report),
        _whole(report),
        _changes(report, most),
        _failures(report),
        _deliveries(report),
        _next_step(report),
    )
    return document(sections)


def question(findings: Sequence[Finding], undoes: OriginalRun) -> tuple[list[str], str]:
    """What is about to be put back, as lines to show and as a sentence to ask."""
    lines = [
        plain(f"  {each.account_id} {each.region}  {named(each)}: ")
        + setting(each.mutability, each.exclusion_filters)
        + " -> "
        + setting(each.change.to_mutability, each.change.to_exclusion_filters)
        for each in findings[:MOST_ASKED]
        if each.change
    ]
    if more := len(findings) - len(lines):
        lines.append(f"  … and {more:,} more; --dry-run --format text lists all")
    accounts = number(len({each.account_id for each in findings}), "account")
    kinds = Counter(map(kind, findings))
    what = " and ".join(
        number(count, name, {"repository": "repositories"}.get(name))
        for name, count in sorted(kinds.items(), reverse=True)
    )
    asked = (
        f"About to put {what} of {accounts} back to what "
        f"{'it was' if len(findings) == 1 else 'they were'} before run {undoes.run_id} of "
        f"{undoes.started_at} (report: {undoes.report}). Go on?"
    )
    return lines, plain(asked)


def _heading(report: UndoReport) -> list[str]:
    run, undoes, totals = report.run, report.undoes, report.totals
    dry_run = " (dry run)" if run.dry_run else ""
    of = ", ".join(
        filter(
            None,
            (
                f"{run.started_at} to {run.finished_at}",
                f"organization {run.organization_id}" if run.organization_id else "",
                f"from account {run.account_id}" if run.account_id else "",
            ),
        )
    )
    to_do = f"{totals.planned:,} would be put back, " if run.dry_run else ""
    return [
        plain(f"Undo {run.id}{dry_run} of sweep {undoes.run_id} ({undoes.started_at})"),
        plain(of),
        plain(f"Report  {undoes.report}"),
        f"Changes {totals.changes:,}: {to_do}{totals.restored:,} put back, "
        f"{totals.already_restored:,} were back already, {totals.left_alone:,} left alone, "
        f"{totals.failed:,} failed, {totals.withheld:,} withheld",
    ]


def _declined(report: UndoReport) -> list[str]:
    restored = report.totals.restored
    declined = any(change.reason is Reason.NOT_CONFIRMED for change in report.changes)
    return ["Declined; nothing was changed."] if declined and not restored else []


def _next_step(report: UndoReport) -> list[str]:
    if not (report.run.dry_run and report.totals.planned):
        return []
    return ["Nothing was changed: run it without --dry-run to put these back."]


def _ended_by(report: UndoReport) -> FailedItem | None:
    """The failure that ended the undo before it looked at anything, if one did."""
    return next((failure for failure in report.failures if failure.account_id is None), None)


def _whole(report: UndoReport) -> list[str]:
    """What ended the undo before it looked, once instead of at each change."""
    failure = _ended_by(report)
    if failure is None:
        return []
    same = number(len(report.changes) - len(_told(report)), "change")
    said = f"NOTHING WAS LOOKED AT, of {same}: {failure.reason}, {explanation(failure)}"
    to_do = _to_do(Stage.EXAMINE, failure.reason)
    return [*wrapped(said, ""), *(wrapped(f"What to do: {to_do}.", "  ") if to_do else ())]


def _told(report: UndoReport) -> list[UndoChange]:
    """The changes but for those of which only what ended the undo could be said."""
    failure = _ended_by(report)
    if failure is None:
        return [*report.changes]
    alike = ChangeStatus.FAILED, failure.reason, cause(failure)
    return [each for each in report.changes if (each.status, each.reason, each.error) != alike]


def _changes(report: UndoReport, most: int | None) -> list[str]:
    lines: list[str] = []
    told = _told(report)
    for account_id, group in groupby(told[:most], key=lambda change: change.account_id):
        changes = list(group)
        lines += ["", f"  {account_id} {shorten(changes[0].account_name, 60)}".rstrip()]
        for change in changes:
            lines.append(plain(f"    {change.region}  {named(change)}"))
            lines += wrapped(_outcome(change), "      ")
    if most is not None and len(told) > most:
        lines += ["", f"  … and {len(told) - most:,} more in undo.json"]
    if not lines:
        return []
    return [f"CHANGES ({len(told):,})", *lines, *_advice(report)]


def _outcome(change: UndoChange) -> str:
    back = setting(change.to_mutability, change.to_exclusion_filters)
    of = f"{setting(change.from_mutability, change.from_exclusion_filters)} to {back}"
    error = f": {shorten(change.error, 600)}" if change.error else ""
    match change.status:
        case ChangeStatus.APPLIED:
            return f"put back from {of}"
        case ChangeStatus.PLANNED:
            return f"would be put back from {of}"
        case ChangeStatus.FAILED:
            return f"could NOT be put back from {of} ({change.reason}{error})"
        case ChangeStatus.WITHHELD:
            return f"not put back from {of} ({change.reason}{error})"
        case ChangeStatus.SUPERSEDED:  # pragma: no branch (the last of them)
            reason = change.reason
            return f"left as it is: {reason.meaning if reason else 'it changed'}"


def _advice(report: UndoReport) -> Iterator[str]:
    """What to do about what was not put back, once for each reason; accounts and targets aside."""
    not_made = (ChangeStatus.FAILED, ChangeStatus.WITHHELD, ChangeStatus.SUPERSEDED)
    elsewhere = {failure.reason for failure in report.failures}
    reasons: set[Reason] = {
        change.reason
        for change in report.changes
        if change.status in not_made and change.reason and change.reason not in elsewhere
    }
    for reason in sorted(reasons):
        if text := _to_do(Stage.CHANGE, reason):
            yield ""
            yield from wrapped(f"{reason}: {text}.", "  ")


def _to_do(stage: Stage, reason: Reason) -> str | None:
    """What to do, where it is no key of the configuration that says nothing about an undo."""
    text = advice(stage, reason) or ""
    is_of_sweeps = any(key in text for key in ("coverage.", "regions.", "remediation"))
    return text if text and not is_of_sweeps else None


def _failures(report: UndoReport) -> list[str]:
    failures = [failure for failure in report.failures if failure.account_id is not None]
    lines = [f"COULD NOT BE SEEN ({len(failures):,})", ""] if failures else []
    for failure in failures:
        where = " ".join(filter(None, (failure.account_id, failure.region)))
        lines.append(f"  {plain(where)}: {failure.reason}, {explanation(failure)}")
        if text := _to_do(Stage.EXAMINE, failure.reason):
            lines += wrapped(f"What to do: {text}.", "    ")
    return lines


def _deliveries(report: UndoReport) -> list[str]:
    lines = ["DELIVERIES", ""] if report.deliveries else []
    for item in report.deliveries:
        told = filter(None, (item.reason, item.error_code, item.message))
        detail = f": FAILED ({plain(', '.join(told))})" if item.status == "failed" else ""
        lines.append(f"  {item.sink}: {plain(item.location)}{detail}")
    return lines
