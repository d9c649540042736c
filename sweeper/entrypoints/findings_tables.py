"""The findings as a terminal shows them: how many each account has, then some of each account."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Literal, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeper.domain import escaping
from sweeper.domain.masking import mask
from sweeper.domain.model import ChangeStatus, Compliance, Finding, Since
from sweeper.domain.report import remaining_rule
from sweeper.domain.report_model import Report, RunKind
from sweeper.reporting.report_wording import reported_findings
from sweeper.reporting.wording import exclusion_reason, number, resource_name

_MAX_ROWS = 25  # of a table; the report has them all
_MAX_ROWS_OF_ACCOUNT = 3  # so that many accounts have a row
_MAX_REASON = 300  # characters of why a setting is a finding

_GAP = 3  # cells between two columns
_EDGES = 2  # cells beside the first and the last column
_NARROWEST = 10  # cells of a column that folds, however narrow the terminal is
_LONGEST_UNFOLDED = 40  # cells of a repository's name that is worth leaving out other columns


class _Field(NamedTuple):
    """A field of a column: its header, its maximum width, and after which characters it folds."""

    header: str
    max_cells: int
    fold_after: str = ""


_Name = Literal["account", "name", "region", "repository", "mutability", "outcome"]
_FIELDS: dict[_Name, _Field] = {
    "account": _Field("Account", 12),
    "name": _Field("Name", 16),
    "region": _Field("Region", 16, "-"),
    "repository": _Field("Repository", _LONGEST_UNFOLDED, "/"),
    "mutability": _Field("Tag mutability", 24, " _"),
    "outcome": _Field("Outcome", 18, " _"),
}
# From wide to narrow: the least useful field is left out or stacked first. Each tuple is a column.
_LAYOUTS: tuple[tuple[tuple[_Name, ...], ...], ...] = (
    (("account",), ("name",), ("region",), ("repository",), ("mutability",), ("outcome",)),
    (("account",), ("region",), ("repository",), ("mutability",), ("outcome",)),
    (("account", "region"), ("repository",), ("mutability",), ("outcome",)),
    (("account", "region"), ("repository", "mutability"), ("outcome",)),
)
_Row = dict[_Name, Text]


def masked_plain(text: str) -> str:
    """Return the text without secrets, before the terminal's width breaks it into pieces."""
    return escaping.plain(mask(text))


def show_findings(report: Report, console: Console, *, is_stored: bool) -> None:
    """Print the findings: by account where many have some, then what remains, is fixed, is exempt.

    `is_stored` says whether a report with all of them is stored.
    """
    if not report.findings:
        return
    _show_accounts(report, console)
    rows = list(_rows(report))
    table = _table(rows, console.width)
    if any(finding.compliance is Compliance.EXEMPT for finding in report.findings):
        table.title = "Findings, the exempt ones last"
    console.print(table)
    left = len(report.findings) - len(rows)
    if left > 0:
        where = "all of them in the report" if is_stored else "--output DIR keeps a report of all"
        console.print(f"… and {number(left, 'more finding')}, {where}\n")


class _Tally(NamedTuple):
    """The findings of an account, by outcome."""

    account_id: str
    name: str
    remaining: int
    fixed: int
    failed: int


def _show_accounts(report: Report, console: Console) -> None:
    """Print each account's findings by outcome, worst first, where many accounts have some."""
    tallies = sorted(
        _tallies(reported_findings(report), report.run.kind),
        key=lambda each: (-each.remaining, -each.failed, each.account_id),
    )
    if len(tallies) <= _MAX_ROWS:
        return
    title = "Findings by account, worst first"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Account", no_wrap=True, min_width=12)
    table.add_column("Name", no_wrap=True, overflow="ellipsis", max_width=40)
    reverted = report.run.kind == "undo"
    for header in ("Not reverted", "Reverted") if reverted else ("Remaining", "Fixed"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("Failed", justify="right", no_wrap=True)
    for account_id, name, *counts in tallies[:_MAX_ROWS]:
        table.add_row(
            masked_plain(account_id), Text(masked_plain(name)), *(f"{count:,}" for count in counts)
        )
    console.print(table)
    console.print(f"… and {number(len(tallies) - _MAX_ROWS, 'more account')}\n")


def _tallies(findings: Iterable[Finding], kind: RunKind) -> Iterator[_Tally]:
    """Count the findings of each account that are not exempt."""
    remains = remaining_rule(kind)
    of_account: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.compliance is not Compliance.EXEMPT:
            of_account.setdefault(finding.account_id, []).append(finding)
    for account_id, group in of_account.items():
        ended = Counter(each.change.status for each in group if each.change)
        yield _Tally(
            account_id,
            group[0].account_name,
            remaining=sum(map(remains, group)),
            fixed=ended[ChangeStatus.APPLIED],
            failed=ended[ChangeStatus.FAILED],
        )


def _rows(report: Report) -> Iterator[_Row]:
    """Yield rows: remaining findings, then fixed ones, then exempt ones; some of each account."""
    shown: Counter[tuple[int, str]] = Counter()
    urgency = partial(_urgency, kind=report.run.kind)
    rows = 0
    for finding in sorted(reported_findings(report), key=urgency):
        group = (urgency(finding), finding.account_id)
        shown[group] += 1
        if shown[group] <= _MAX_ROWS_OF_ACCOUNT and rows < _MAX_ROWS:
            rows += 1
            yield _row(finding)


def _urgency(finding: Finding, kind: RunKind) -> int:
    if finding.compliance is Compliance.EXEMPT:
        return 2
    return 0 if remaining_rule(kind)(finding) else 1


def _row(finding: Finding) -> _Row:
    filters = " ".join(finding.exclusion_filters)
    reason = escaping.shorten(exclusion_reason(finding), _MAX_REASON)
    setting = (finding.mutability, filters, reason)
    return {
        "account": Text(masked_plain(finding.account_id)),
        "name": Text(masked_plain(finding.account_name)),
        "region": Text(masked_plain(finding.region)),
        "repository": Text(masked_plain(resource_name(finding))),
        "mutability": Text("\n".join(masked_plain(text) for text in setting if text)),
        "outcome": _outcome(finding),
    }


def _outcome(finding: Finding) -> Text:
    """Return the outcome of the finding's change, or the verdict where there is no change."""
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
    status = f"from {change.due} on" if change.due else change.status
    text = f"{reopened}{status}{reason}{expired}"
    styles = {ChangeStatus.APPLIED: "green", ChangeStatus.FAILED: "bold red"}
    return Text(text, style=styles.get(change.status, "yellow"))


def _table(rows: Sequence[_Row], width: int) -> Table:
    """Return the table of the findings, in the layout that `width` cells have room for."""
    columns, widths = _layout(rows, width)
    table = Table(title="Findings", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        header = "\n".join(_FIELDS[name].header for name in column)
        table.add_column(header, width=widths[column], no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(
            *(
                Text("\n").join(_fold_cell(row[name], widths[column], name) for name in column)
                for column in columns
            )
        )
    return table


_Column = tuple[_Name, ...]


def _layout(rows: Sequence[_Row], width: int) -> tuple[tuple[_Column, ...], dict[_Column, int]]:
    """Return the columns, and the cells of each: the first layout in which no repository folds."""
    natural = {name: _natural(rows, name) for name in _FIELDS}
    wanted = min(natural["repository"], _FIELDS["repository"].max_cells)
    for columns in _LAYOUTS:  # pragma: no branch (there is always a last one)
        widths = {
            column: max(min(natural[name], _FIELDS[name].max_cells) for name in column)
            for column in columns
        }
        repository = next(column for column in columns if "repository" in column)
        others = sum(widths.values()) - widths[repository]
        left = width - _EDGES - _GAP * (len(columns) - 1) - others
        if left >= wanted:
            break
    needed = max(natural[name] for name in repository)
    widths[repository] = max(min(left, needed), _NARROWEST)
    # What is left over keeps reasons in one piece; what is missing folds outcomes more.
    room = left - widths[repository]
    for name in ("outcome", "mutability"):
        if (before := widths.get((name,))) is not None:
            widths[name,] = min(natural[name], max(before + room, _NARROWEST))
            room -= widths[name,] - before
    return columns, widths


def _natural(rows: Sequence[_Row], name: _Name) -> int:
    """Return the cells of the longest line of a field, its header included."""
    lines = (line for row in rows for line in row[name].plain.split("\n"))
    return max(map(cell_len, (_FIELDS[name].header, *lines)))


def _fold_cell(text: Text, width: int, name: _Name) -> Text:
    """Return the text in lines of at most `width` cells; an account's name is cut instead."""
    if name == "name":
        return text
    lines = (_fold(line, width, _FIELDS[name].fold_after) for line in text.plain.split("\n"))
    return Text("\n".join(line for folded in lines for line in folded), style=text.style)


def _fold(text: str, width: int, after: str) -> list[str]:
    """Return the text in lines of at most `width` cells.

    It folds after one of the characters of `after` where it can, else anywhere; it loses nothing
    but spaces at the end of a line.
    """
    lines = [""]
    for piece in re.split(f"(?<=[{re.escape(after)}])", text) if after else [text]:
        if cell_len(lines[-1] + piece.rstrip()) <= width:
            lines[-1] += piece
        else:
            lines += chop_cells(piece.rstrip(), width)
            lines[-1] += piece[len(piece.rstrip()) :]
    return [line.rstrip() for line in lines if line]
