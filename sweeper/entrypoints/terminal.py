"""What a person at a terminal sees on stderr: progress, one question, the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from shlex import quote
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from sweeper.domain import escaping
from sweeper.domain.masking import mask
from sweeper.domain.model import ChangeStatus, Compliance, Finding, Since, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.recorded_changes import RecordedChanges
from sweeper.domain.report import may_have_changed, remaining_rule
from sweeper.domain.report_model import FailedItem, Report, RunKind
from sweeper.reporting.impact_wording import brief, counted
from sweeper.reporting.wording import (
    advice,
    explanation,
    kind,
    named,
    number,
    percent,
    remaining,
    run_words,
    scope,
    setting,
    since_last,
    source_words,
    told_findings,
)

MAX_ROWS = 25  # of a table; the report has them all
MAX_ROWS_OF_ACCOUNT = 3  # so that many accounts are seen
MAX_PLACES = 3  # accounts that are named for each reason
MAX_MESSAGE = 300  # characters of AWS's own words, for each reason

_PLURALS = {"repository": "repositories"}
_LABELS = {
    Stage.OPEN_ACCOUNT: "accounts opened",
    Stage.EXAMINE: "targets examined",
    Stage.ASSESS: "targets assessed",
    Stage.CHANGE: "targets changed",
}


def plain(text: str) -> str:
    """Return the text without secrets, before the terminal's width breaks it into pieces."""
    return escaping.plain(mask(text))


class ProgressObserver:
    """A bar a stage, with how many are done of how many, and the time it took."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<17}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task: TaskID | None = None

    def start(self) -> None:
        """Take the terminal."""
        self._progress.start()

    def stop(self) -> None:
        """Leave the terminal, to a question or for good; `begin` goes on."""
        self._progress.stop()

    def begin(self, stage: Stage, total: int) -> None:
        """A new bar."""
        self._progress.start()
        self._task = self._progress.add_task(_LABELS[stage], total=total)

    def done(self, stage: Stage, outcomes: Sequence[tuple[Any, Any]]) -> None:  # noqa: ARG002
        """The bar advances."""
        if self._task is not None:
            self._progress.advance(self._task, len(outcomes))


def question(findings: Sequence[Finding], recorded: RecordedChanges | None) -> tuple[str, str]:
    """Return what is about to be changed, as lines to show and as a sentence to ask."""
    lines = [
        plain(f"  {each.account_id} {each.region}  {named(each)}: ")
        + plain(setting(each.mutability, each.exclusion_filters))
        + " -> "
        + plain(setting(each.change.to_mutability, each.change.to_exclusion_filters))
        for each in findings[:MAX_ROWS]
        if each.change
    ]
    if more := len(findings) - len(lines):
        lines.append(f"  … and {more:,} more; --dry-run --format text lists all")
    accounts = number(len({finding.account_id for finding in findings}), "account")
    kinds = Counter((kind(each), each.change.to_mutability) for each in findings if each.change)
    to = " and ".join(
        f"{number(count, what, _PLURALS.get(what))} to {mutability}"
        for (what, mutability), count in sorted(kinds.items(), reverse=True)
    )
    impact = counted(findings)
    why = plain(f" ({source_words(recorded.kind, recorded.source)})") if recorded else ""
    return (
        "\n".join(lines),
        f"About to set {to}, in {accounts}{why}. {impact}{' ' * bool(impact)}Go on?",
    )


def show(
    report: Report, console: Console, *, resumable: bool = False, file: str | None = None
) -> None:
    """The summary: what is open, what could not be seen, the numbers, where the report lies.

    `file` is its report.json, where one is kept.
    """
    if source := plain(run_words(report.run)):
        console.print(Text(f"{source}\n"), soft_wrap=True)
    if words := scope(report):
        console.print(Text(f"Scope: {words}\n"), soft_wrap=True)
    if _is_declined(report):
        console.print("Declined; nothing was changed.\n", style="bold")
    _show_findings(report, console, is_kept=file is not None)
    _show_failures(report, console)
    _show_totals(report, console)
    shown = None if file is None else plain(quote(file))
    if impact := brief(report.findings, f"sweeper report {shown}" if shown else "--format text"):
        console.print(Text(f"Impact: {plain(impact)}"), soft_wrap=True)
    for delivery in report.deliveries:
        style = "bold red" if delivery.status == "failed" else ""
        detail = f": {plain(delivery.message)}" if delivery.message else ""
        text = f"{delivery.sink}: {delivery.status.replace('_', ' ')} {plain(delivery.location)}"
        console.print(Text(text + detail, style=style), soft_wrap=True)
    if shown and may_have_changed(report) and report.run.kind != "undo":
        console.print(Text(f"To undo it: sweeper undo {shown}"), soft_wrap=True)
    if resumable:
        console.print(
            f"\nThe {report.run.kind} was interrupted. To resume it, add to the same command: "
            f"--resume {report.run.id}",
            soft_wrap=True,
        )


def _is_declined(report: Report) -> bool:
    """Whether the answer to the question was no, and no earlier process had changed anything."""
    reasons = {finding.change.reason for finding in report.findings if finding.change}
    return Reason.NOT_CONFIRMED in reasons and not may_have_changed(report)


def _show_findings(report: Report, console: Console, *, is_kept: bool) -> None:
    """What is open first, then what was closed, then what is exempt; some of each account."""
    if not report.findings:
        return
    table = Table(title="Findings", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Account", no_wrap=True)
    table.add_column("Name", overflow="ellipsis", no_wrap=True, max_width=16)
    table.add_column("Region", no_wrap=True)
    table.add_column("Repository", overflow="fold")
    table.add_column("Tag mutability", no_wrap=True)
    table.add_column("Outcome", max_width=18)
    shown: Counter[tuple[int, str]] = Counter()
    urgency = partial(_urgency, kind=report.run.kind)
    for finding in sorted(told_findings(report), key=urgency):
        group = (urgency(finding), finding.account_id)
        shown[group] += 1
        if shown[group] > MAX_ROWS_OF_ACCOUNT or table.row_count >= MAX_ROWS:
            continue
        filters = " ".join(finding.exclusion_filters)
        table.add_row(
            plain(finding.account_id),
            Text(plain(finding.account_name)),
            plain(finding.region),
            Text(plain(named(finding))),
            Text("\n".join(plain(text) for text in (finding.mutability, filters) if text)),
            _outcome(finding),
        )
    console.print(table)
    left = len(report.findings) - table.row_count
    if left > 0:
        where = "all of them in the report" if is_kept else "--output DIR keeps a report of all"
        console.print(f"… and {_count(left, 'more finding')}, {where}\n")


def _urgency(finding: Finding, kind: RunKind) -> int:
    if finding.compliance is Compliance.EXEMPT:
        return 2
    return 0 if remaining_rule(kind)(finding) else 1


def _outcome(finding: Finding) -> Text:
    """What became of the finding, and where nothing did, what it is."""
    change, exemption = finding.change, finding.exemption
    if finding.compliance is Compliance.EXEMPT and exemption:
        return Text(f"exempt ({exemption.source.replace('_', ' ')})", style="dim")
    verdict = str(finding.compliance).replace("_", "-")
    if finding.since_last is Since.REOPENED:
        verdict = "reopened"
    if exemption and exemption.expired:
        verdict += " (exemption expired)"
    if change is None:
        return Text(verdict, style="yellow")
    reason = f" ({change.reason})" if change.reason else ""
    reopened = "reopened: " if finding.since_last is Since.REOPENED else ""
    expired = " (exemption expired)" if exemption and exemption.expired else ""
    text = f"{reopened}{change.status}{reason}{expired}"
    styles = {ChangeStatus.APPLIED: "green", ChangeStatus.FAILED: "bold red"}
    return Text(text, style=styles.get(change.status, "yellow"))


def _show_failures(report: Report, console: Console) -> None:
    if not report.failures:
        return
    console.print(Text(f"Could not be seen ({len(report.failures):,})", style="italic"))
    failures = sorted(report.failures, key=lambda failure: failure.reason)
    for reason, group in groupby(failures, key=lambda failure: failure.reason):
        items = list(group)
        head = Text(f"\n  {reason} ({len(items):,}): ", style="bold red")
        console.print(head.append(_places(items), style="not bold default"), soft_wrap=True)
        example = explanation(items[0], MAX_MESSAGE)
        console.print(Text(f"    {plain(example)}"), soft_wrap=True)
        if text := advice(Stage.EXAMINE, reason, report.run):
            console.print(Text(f"    What to do: {text}."), soft_wrap=True)
    console.print()


def _places(failures: Sequence[FailedItem]) -> str:
    """Where, briefly: an account that cannot be read in 17 regions is one place."""
    regions: dict[str | None, list[str]] = {}
    for failure in failures:
        regions.setdefault(failure.account_id, [])
        if failure.region:
            regions[failure.account_id].append(failure.region)
    told = []
    for account_id, names in list(regions.items())[:MAX_PLACES]:
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        where = f" {plain(names[0])}{more}" if names else ""
        told.append((plain(account_id) if account_id else "the whole run") + where)
    if left := len(regions) - len(told):
        told.append(f"and {_count(left, 'more account')}")
    return ", ".join(told)


def _examined(report: Report) -> str:
    totals = report.totals.repositories
    return (
        f"{totals.examined} examined: {totals.compliant} compliant, "
        f"{totals.non_compliant} non-compliant, {totals.exempt} exempt, "
        f"{totals.undetermined} undetermined"
    )


def _show_totals(report: Report, console: Console) -> None:
    totals, coverage = report.totals, report.coverage
    accounts, targets, changes = totals.accounts, totals.targets, totals.changes
    table = Table(title="Summary", title_justify="left", box=SIMPLE_HEAD, show_header=False)
    complete = "complete" if coverage.complete else "NOT COMPLETE"
    rows = (
        (
            "Coverage",
            f"{complete}: {percent(coverage.accounts)} of accounts, "
            f"{percent(coverage.targets)} of targets",
        ),
        (
            "Accounts",
            f"{accounts.opened} opened, {accounts.failed} failed, {accounts.skipped} skipped",
        ),
        (
            "Targets",
            f"{targets.examined} examined, {targets.failed} failed, {targets.skipped} skipped",
        ),
        ("Repositories", "" if report.run.kind == "undo" else _examined(report)),
        (
            "Changes",
            f"{changes.planned} planned: {changes.applied} applied, {changes.failed} failed, "
            f"{changes.withheld} withheld, {changes.superseded} superseded"
            + (" (dry run)" if report.run.dry_run else ""),
        ),
        ("Remaining", remaining(report)),
        ("Since last", since_last(report) or ""),
    )
    reopened = report.since_last.reopened if report.since_last else 0
    for name, text in rows:
        bad = (
            (name == "Coverage" and not coverage.complete)
            or (name == "Remaining" and totals.remaining)
            or (name == "Since last" and reopened)
        )
        if not text:
            continue
        table.add_row(name, Text(plain(text), style="bold red" if bad else ""))
    console.print(table)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
