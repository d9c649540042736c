"""The tables and the map as data: columns of numbers, which mean texts that are kept once.

So 50,000 findings are a few megabytes, and the page's script knows columns, not findings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from sweeper.domain.escaping import shorten
from sweeper.domain.inventory_model import RecordedPlace, RecordingGap
from sweeper.domain.model import ChangeStatus, Compliance, Finding, Since
from sweeper.domain.report import is_remaining
from sweeper.domain.report_model import (
    AccountSummary,
    EarlierFinding,
    FailedItem,
    Report,
    Run,
    SkippedItem,
)
from sweeper.reporting.console import console_template, console_url
from sweeper.reporting.formats.html.places import AccountRow, count_by_account, place_map
from sweeper.reporting.impact_wording import moved_tags
from sweeper.reporting.inventory_wording import recorded_words, recording_words
from sweeper.reporting.wording import (
    account_names,
    exemption_text,
    explanation,
    named,
    outcome,
    setting,
)

LONGEST = 700  # characters of one text; what is longer is in report.json
_LARGEST_MAP = 100  # accounts; of more than that there are only the counts
_SMALLEST_LIST = 26  # accounts; of fewer the map says it all

# text: an index into the texts. mark: the same, a word that cells.js colours. account: the same,
# "id name". repository: a text that may lead to the console. days, number: itself. bad: a number
# that is bad unless 0, None for all of them. state: the map's code, see places.
Kind = Literal["text", "mark", "account", "repository", "state", "number", "bad", "days"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's title, how it is shown, its values, and whether one may choose among them.

    Of repositories, `linked` says which ones the console shows.
    """

    title: str
    kind: Kind
    values: Sequence[str | int | None]
    choose: bool = False
    linked: Sequence[bool] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the page, by the id of the element that it fills.

    `state` is that of all its rows, for a table that has no column of marks.
    """

    id: str
    columns: tuple[Column, ...]
    state: str = ""

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.columns[0].values)


@dataclass(slots=True)
class Texts:
    """Every text once, in the order of its first use."""

    index: dict[str, int] = field(default_factory=dict)

    def __call__(self, text: str) -> int:
        """The text's number; it is kept plain, and not longer than a cell bears."""
        return self.index.setdefault(shorten(text, LONGEST), len(self.index))


def tables(report: Report) -> tuple[Table, ...]:
    """The page's tables; those without rows too."""
    names = account_names(report)
    regions, rows = place_map(report)
    return (
        account_table(report, rows if len(rows) >= _SMALLEST_LIST else [], names),
        place_table(regions, rows if len(rows) <= _LARGEST_MAP else [], names),
        _findings(report),
        _earlier(report),
        _not_checked(report, names),
        _config_inventory(report, names),
        _exemptions(report),
        _skipped(report.skipped, names),
    )


def payload(report: Report, shown: Iterable[Table]) -> dict[str, Any]:
    """What the page's script reads: texts, tables, the accounts' owners, trend, the console."""
    texts = Texts()
    encoded = [
        {
            "id": table.id,
            "state": texts(table.state),
            "columns": [
                {
                    "title": texts(column.title),
                    "kind": column.kind,
                    "choose": column.choose,
                    **({"linked": list(map(int, column.linked))} if column.linked else {}),
                    "values": [
                        texts(value) if isinstance(value, str) else value for value in column.values
                    ],
                }
                for column in table.columns
            ],
        }
        for table in shown
        if table.rows
    ]
    trend = [
        [point.finished_at, point.non_compliant, point.remaining, point.complete]
        for point in report.trend
    ]
    owners = {
        account.id: [texts(account.ou_names or ""), [texts(tag) for tag in _tags(account)]]
        for account in report.accounts
        if account.ou_names or account.tags
    }
    return {
        "texts": list(texts.index),
        "tables": encoded,
        "owners": owners,
        "trend": trend,
        "console": console_template(report.run.partition),
    }


def account_table(report: Report, rows: Sequence[AccountRow], names: dict[str, str]) -> Table:
    """The counts of each account, the worst first."""
    found = count_by_account(report)
    ids = [row.account_id for row in rows]
    counts = [found[account_id] for account_id in ids]
    return Table(
        "accounts",
        (
            Column("State", "mark", [row.worst for row in rows]),
            Column("Account", "account", [_account(account_id, names) for account_id in ids]),
            *_account_columns(report, ids),
            Column("Repositories", "number", [each.repositories for each in counts]),
            Column("Mutable", "bad", [each.mutable for each in counts]),
            Column("Fixed", "number", [each.fixed for each in counts]),
            Column("Exempt", "number", [each.exempt for each in counts]),
            Column("Failed regions", "bad", [each.failed for each in counts]),
        ),
    )


def place_table(regions: Sequence[str], rows: Sequence[AccountRow], names: dict[str, str]) -> Table:
    """The map: a row for each account, the worst first, a column for each region."""
    return Table(
        "map",
        (
            Column("Account", "account", [_account(row.account_id, names) for row in rows]),
            Column("State", "mark", [row.worst for row in rows]),
            Column("Open", "bad", [row.open for row in rows]),
            *(
                Column(region, "state", [row.states[position] for row in rows])
                for position, region in enumerate(regions)
            ),
        ),
    )


def _findings(report: Report) -> Table:
    findings = sorted(
        (item for item in report.findings if item.compliance is not Compliance.EXEMPT),
        key=_urgency,
    )
    columns = [
        Column("State", "mark", [_state(item) for item in findings]),
        *_places(findings, report.run),
        Column("Setting", "text", list(map(_setting, findings)), choose=True),
        Column("What was done", "text", [_done(item, report) for item in findings]),
    ]
    if any(item.impact for item in findings):
        columns.append(Column("Tags that look moved", "text", list(map(_moved, findings))))
    if any(item.since_last for item in findings):
        columns.insert(1, Column("Since last", "mark", list(map(_since, findings)), choose=True))
    after_account = 1 + next(i for i, column in enumerate(columns) if column.kind == "account")
    ids = [item.account_id for item in findings]
    columns[after_account:after_account] = _account_columns(report, ids)
    return Table("findings", tuple(columns))


def _account_columns(report: Report, account_ids: Sequence[str | None]) -> Iterator[Column]:
    """Yield the columns that say whose accounts these are, as far as that is known."""
    for title, known in (
        ("OU", {account.id: account.ou_names or "" for account in report.accounts}),
        ("Account tags", {account.id: ", ".join(_tags(account)) for account in report.accounts}),
    ):
        values = [known.get(account_id or "", "") for account_id in account_ids]
        if any(values):
            yield Column(title, "text", values)


def _places(findings: Sequence[Finding | EarlierFinding], run: Run) -> tuple[Column, ...]:
    linked = [console_url(item, run.partition) is not None for item in findings]
    return (
        Column("Account", "account", [f"{f.account_id} {f.account_name}" for f in findings]),
        Column("Region", "text", [item.region for item in findings], choose=True),
        Column("Repository", "repository", list(map(named, findings)), linked=linked),
    )


def _urgency(finding: Finding) -> int:
    if finding.change and finding.change.status is ChangeStatus.FAILED:
        return 0
    return 1 if is_remaining(finding) else 2


def _state(finding: Finding) -> str:
    if finding.compliance is Compliance.UNDETERMINED:
        return "undetermined"
    if is_remaining(finding):
        return "open"
    applied = finding.change and finding.change.status is ChangeStatus.APPLIED
    return "fixed" if applied else "gone"


def _since(finding: Finding) -> str:
    if finding.since_last is None:
        return ""
    said = finding.since_last.value.replace("_", " ")
    if finding.since_last is Since.REOPENED:
        return f"{said} ({finding.reopened}x)" if finding.reopened > 1 else said
    return f"{said} (reopened {finding.reopened}x)" if finding.reopened else said


def _setting(finding: Finding) -> str:
    return setting(finding.mutability, finding.exclusion_filters)


def _done(finding: Finding, report: Report) -> str:
    done = outcome(finding, report.run)
    if finding.exemption:
        return f"{done}; its exemption {exemption_text(finding.exemption)}"
    return done


def _moved(finding: Finding) -> str:
    impact = finding.impact
    if impact is None:
        return ""
    filters = f"; suggested: {', '.join(impact.exclusions)}" if impact.exclusions else ""
    return moved_tags(impact) + filters


def _tags(account: AccountSummary) -> list[str]:
    return [f"{key}: {value}" for key, value in sorted(account.tags.items())]


def _earlier(report: Report) -> Table:
    since = report.since_last
    resolved, not_visible = (since.resolved, since.not_visible) if since else ((), ())
    earlier = [*not_visible, *resolved]
    what = ["no longer visible"] * len(not_visible) + ["resolved"] * len(resolved)
    return Table(
        "earlier",
        (
            Column("What became of it", "mark", what),
            *_places(earlier, report.run),
            Column("Setting then", "text", [item.mutability for item in earlier]),
        ),
    )


def _not_checked(report: Report, names: dict[str, str]) -> Table:
    failures = sorted(report.failures, key=lambda failure: failure.reason)
    return Table(
        "not-checked",
        (
            Column("Reason", "text", [item.reason for item in failures], choose=True),
            Column("Account", "account", [_account(item.account_id, names) for item in failures]),
            *_account_columns(report, [item.account_id for item in failures]),
            Column("Region", "text", [item.region or "all" for item in failures], choose=True),
            Column("Message", "text", list(map(_alike, failures))),
        ),
        "not checked",
    )


def _alike(failure: FailedItem) -> str:
    """The message with ``*`` for its own account and region, so that alike ones are equal."""
    text = explanation(failure)
    for own in filter(None, (failure.account_id, failure.region)):
        text = text.replace(own, "*")
    return text


def _config_inventory(report: Report, names: dict[str, str]) -> Table:
    """What AWS Config recorded where this sweep did not look, and whom it does not record."""
    inventory = report.config_inventory
    rows: list[RecordedPlace] = []
    gaps: list[RecordingGap] = []
    states: list[str] = []
    if inventory:
        rows = [*inventory.not_planned, *inventory.not_checked]
        gaps = [*inventory.not_recorded]
        states = ["not known"] * len(inventory.not_planned)
        states += ["not checked"] * len(inventory.not_checked) + ["not recorded"] * len(gaps)
    ids = [*(item.account_id for item in rows), *(gap.account_id for gap in gaps)]
    none = [None] * len(gaps)
    return Table(
        "config-inventory",
        (
            Column("State", "mark", states),
            Column("Account", "account", [_account(account_id, names) for account_id in ids]),
            *_account_columns(report, ids),
            Column("Region", "text", [*(item.region or "all" for item in rows), *[""] * len(gaps)]),
            Column("Repositories", "number", [*(item.repositories for item in rows), *none]),
            Column("Mutable", "number", [*(item.mutable for item in rows), *none]),
            Column(
                "AWS Config",
                "text",
                [*map(recorded_words, rows), *map(recording_words, gaps)],
            ),
        ),
    )


def _exemptions(report: Report) -> Table:
    today = date.fromisoformat(report.run.finished_at[:10])
    rows = [
        (item, item.exemption, _days_left(item, today))
        for item in report.findings
        if item.exemption or item.compliance is Compliance.EXEMPT
    ]
    never = date.max.toordinal()
    rows.sort(key=lambda row: never if row[2] is None else row[2])
    return Table(
        "exemptions",
        (
            Column("Time left", "days", [days for _, _, days in rows]),
            Column(
                "Expires",
                "text",
                [str(e.expires) if e and e.expires else "never" for _, e, _ in rows],
                choose=True,
            ),
            *_places([item for item, _, _ in rows], report.run),
            Column("Setting", "text", [_setting(item) for item, _, _ in rows]),
            Column("Why", "text", [e.reason if e else "" for _, e, _ in rows]),
            Column("Rule", "text", [e.rule if e else "" for _, e, _ in rows], choose=True),
        ),
        "exempt",
    )


def _days_left(finding: Finding, today: date) -> int | None:
    """0 on the last day; negative when it is over; None where it does not end."""
    exemption = finding.exemption
    if exemption is None or exemption.expires is None:
        return None
    return (exemption.expires - today).days


def _skipped(skipped: Sequence[SkippedItem], names: dict[str, str]) -> Table:
    return Table(
        "skipped",
        (
            Column("Reason", "text", [item.reason for item in skipped], choose=True),
            Column("Account", "account", [_account(item.account_id, names) for item in skipped]),
            Column("Region", "text", [item.region or "all" for item in skipped], choose=True),
        ),
        "skipped",
    )


def _account(account_id: str | None, names: dict[str, str]) -> str:
    if account_id is None:
        return "the whole run"
    return f"{account_id} {names.get(account_id, '')}".rstrip()
