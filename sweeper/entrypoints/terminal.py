"""A run at a terminal, on stderr: progress, one question, the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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

from sweeper.domain.model import Change, Examined, Failed, Finding, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.recorded_changes import RecordedChanges
from sweeper.domain.report import may_have_changed
from sweeper.domain.report_model import FailedItem, Report
from sweeper.entrypoints.findings_tables import masked_plain, show_findings
from sweeper.reporting.impact_wording import impact_clause, impact_sentence
from sweeper.reporting.report_wording import (
    account_names,
    change_counts,
    due_changes_sentence,
    group_by_reason,
    remaining_words,
    repository_counts,
    run_words,
    scope_words,
    since_last_words,
    source_words,
    wave_rows,
)
from sweeper.reporting.wording import (
    account_words,
    advice,
    explanation,
    number,
    percent,
    resource_kind,
    resource_name,
    setting_words,
)

_LISTED_CHANGES = 25  # that the question lists one by one
_MAX_ACCOUNTS = 10  # in which it counts the others
_MAX_TARGETS = 3  # accounts that are named for each reason
_MAX_MESSAGE = 300  # characters of AWS's own words, for each reason

_LABELS = {
    Stage.OPEN_ACCOUNT: "accounts opened",
    Stage.EXAMINE: "targets examined",
    Stage.ASSESS: "targets assessed",
    Stage.CHANGE: "targets changed",
}


class ProgressObserver:
    """A bar for each stage, with how many are done of how many, and the time it took."""

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
        """Take over the terminal."""
        self._progress.start()

    def stop(self) -> None:
        """Release the terminal, for a question or for good; `begin` takes it again."""
        self._progress.stop()

    def begin(self, stage: Stage, total: int) -> None:
        """Show a new bar."""
        self._progress.start()
        self._task = self._progress.add_task(_LABELS[stage], total=total)

    def done(self, stage: Stage, outcomes: Sequence[tuple[Any, Any]]) -> None:  # noqa: ARG002
        """Advance the bar by the items that were done, not those that a stop kept from it."""
        if self._task is not None:
            done = sum(not _was_stopped(outcome) for _, outcome in outcomes)
            self._progress.advance(self._task, done)


def _was_stopped(outcome: object) -> bool:
    """Tell whether a deadline or a signal stopped the item, or a part of it."""
    reasons: list[Reason | None] = []
    if isinstance(outcome, Failed):
        reasons = [outcome.reason]
    elif isinstance(outcome, Examined):
        reasons = [each.change.reason for each in outcome.findings if each.change]
        reasons += [each.impact.unavailable for each in outcome.findings if each.impact]
    return any(reason is not None and reason.is_stop for reason in reasons)


def question(findings: Sequence[Finding], recorded: RecordedChanges | None) -> tuple[str, str]:
    """Return what is about to be changed, as lines to show and as a sentence to ask."""
    lines = [_plan_line(each, each.change) for each in findings[:_LISTED_CHANGES] if each.change]
    if more := findings[_LISTED_CHANGES:]:
        lines.append(f"  … and {len(more):,} more; --dry-run --format text lists all")
        lines += _by_account(more)
    accounts = number(len({finding.account_id for finding in findings}), "account")
    kinds = Counter(
        (resource_kind(each), each.change.to_mutability) for each in findings if each.change
    )
    to = " and ".join(
        f"{number(count, what)} to {mutability}"
        for (what, mutability), count in sorted(kinds.items(), reverse=True)
    )
    impact = impact_sentence(findings)
    why = masked_plain(f" ({source_words(recorded.kind, recorded.source)})") if recorded else ""
    return (
        "\n".join(lines),
        f"About to set {to}, in {accounts}{why}. {impact}{' ' * bool(impact)}Go on?",
    )


def _plan_line(finding: Finding, change: Change) -> str:
    """Return a line of the plan, with the exclusion filters that the change would drop."""
    dropped = [
        text for text in finding.exclusion_filters if text not in change.to_exclusion_filters
    ]
    exclusions = "exclusion" if len(dropped) == 1 else "exclusions"
    return masked_plain(
        f"  {_account(finding)} {finding.region}  {resource_name(finding)}: "
        f"{setting_words(finding.mutability, finding.exclusion_filters)} -> "
        f"{setting_words(change.to_mutability, change.to_exclusion_filters)}"
        + (f"; drops the {exclusions} {', '.join(dropped)}" if dropped else "")
    )


def _by_account(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield how many changes each account has, most first."""
    counts = Counter(map(_account, findings))
    for account, count in counts.most_common(_MAX_ACCOUNTS):
        yield f"    {account}: {count:,}"
    if (more := len(counts) - _MAX_ACCOUNTS) > 0:
        yield f"    and {number(more, 'more account')}"


def _account(finding: Finding) -> str:
    """Return an account's id and name."""
    return masked_plain(account_words(finding.account_id, finding.account_name))


def show_summary(
    report: Report,
    console: Console,
    *,
    resumable: bool = False,
    file: str | None = None,
    show_commands: bool = True,
) -> None:
    """Print the summary: the findings, what could not be checked, the numbers, where the report is.

    `file` is its report.json, where one is stored. With `show_commands` it has the command for the
    next step.
    """
    if source := masked_plain(run_words(report.run)):
        console.print(Text(f"{source}\n"), soft_wrap=True)
    if words := scope_words(report):
        console.print(Text(f"Scope: {words}\n"), soft_wrap=True)
    if _is_declined(report):
        console.print("Declined; nothing was changed.\n", style="bold")
    show_findings(report, console, is_stored=file is not None)
    _show_failures(report, console)
    _show_totals(report, console)
    shown = None if file is None else masked_plain(quote(file))
    if impact := impact_clause(
        report.findings, f"sweeper report {shown}" if shown else "--format text"
    ):
        console.print(Text(f"Impact: {masked_plain(impact)}"), soft_wrap=True)
    for delivery in report.deliveries:
        style = "bold red" if delivery.status == "failed" else ""
        detail = f": {masked_plain(delivery.message)}" if delivery.message else ""
        status = delivery.status.replace("_", " ")
        text = f"{delivery.sink}: {status} {masked_plain(delivery.location)}"
        console.print(Text(text + detail, style=style), soft_wrap=True)
    is_revertible = may_have_changed(report) and report.run.kind != "undo"
    if shown and is_revertible and show_commands:
        console.print(Text(f"To undo it: sweeper undo {shown}"), soft_wrap=True)
    if resumable:
        console.print(
            f"\nThe {report.run.kind} was interrupted. To resume it, add to the same command: "
            f"--resume {report.run.id}",
            soft_wrap=True,
        )


def _is_declined(report: Report) -> bool:
    """Tell whether the answer was no, and no earlier process had changed anything."""
    reasons = {finding.change.reason for finding in report.findings if finding.change}
    return Reason.NOT_CONFIRMED in reasons and not may_have_changed(report)


def _show_failures(report: Report, console: Console) -> None:
    if not report.failures:
        return
    console.print(Text("Could not be checked", style="italic"))
    known_names = account_names(report)
    for reason, items in group_by_reason(report.failures):
        head = Text(f"\n  {reason} ({len(items):,}): ", style="bold red")
        console.print(
            head.append(_targets(items, known_names), style="not bold default"), soft_wrap=True
        )
        example = explanation(items[0], _MAX_MESSAGE)
        console.print(Text(f"    {masked_plain(example)}"), soft_wrap=True)
        if text := advice(Stage.EXAMINE, reason, report.run):
            console.print(Text(f"    What to do: {text}."), soft_wrap=True)
    console.print()


def _targets(failures: Sequence[FailedItem], known_names: Mapping[str, str]) -> str:
    """Name the first accounts, each with its regions shortened to one and a number."""
    regions: dict[str | None, list[str]] = {}
    for failure in failures:
        regions.setdefault(failure.account_id, [])
        if failure.region:
            regions[failure.account_id].append(failure.region)
    parts = []
    for account_id, names in list(regions.items())[:_MAX_TARGETS]:
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        where = f" {masked_plain(names[0])}{more}" if names else ""
        known = known_names.get(account_id or "")
        parts.append(masked_plain(account_words(account_id or "the whole run", known, 40)) + where)
    if left := len(regions) - len(parts):
        parts.append(f"and {number(left, 'more account')}")
    return ", ".join(parts)


def _show_totals(report: Report, console: Console) -> None:
    totals, coverage = report.totals, report.coverage
    accounts, targets = totals.accounts, totals.targets
    table = Table(title="Summary", title_justify="left", box=SIMPLE_HEAD, show_header=False)
    complete = "complete" if coverage.complete else "NOT COMPLETE"
    rows = (
        (
            "Coverage",
            f"{complete}: {percent(coverage.accounts)} of accounts, "
            f"{percent(coverage.targets)} of account-regions",
        ),
        (
            "Accounts",
            f"{accounts.opened:,} opened, {accounts.failed:,} failed, {accounts.skipped:,} skipped",
        ),
        (
            "Account-regions",
            f"{targets.examined:,} examined, {targets.failed:,} failed, "
            f"{targets.skipped:,} skipped",
        ),
        ("Repositories", "" if report.run.kind == "undo" else repository_counts(report)),
        ("Changes", change_counts(report) + (" (dry run)" if report.run.dry_run else "")),
        ("Announced", due_changes_sentence(report) or ""),
        *(
            (f"Wave of {day}", f"{state}: {of}, {to_do}")
            for day, state, of, to_do in wave_rows(report)
        ),
        ("Remaining", remaining_words(report)),
        ("Since last", since_last_words(report) or ""),
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
        table.add_row(name, Text(masked_plain(text), style="bold red" if bad else ""))
    console.print(table)
