"""The tables and the map as data: columns of numbers that refer to texts, each stored once.

So 50,000 findings take a few megabytes, and the page's script handles columns, not findings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, Literal

from sweeper.domain.escaping import shorten
from sweeper.domain.model import ChangeStatus, Compliance, Finding, Since
from sweeper.domain.report import remaining_rule
from sweeper.domain.report_model import (
    AccountSummary,
    EarlierFinding,
    FailedItem,
    RecordedTarget,
    RecordingGap,
    Report,
    Run,
    RunKind,
    SkippedItem,
)
from sweeper.reporting.console import console_template, console_url
from sweeper.reporting.formats.html.breakdown import (
    MapRow,
    count_by_account,
    finding_state,
    target_map,
)
from sweeper.reporting.impact_wording import moved_tags
from sweeper.reporting.report_wording import account_names, recorded_words, recording_words
from sweeper.reporting.wording import (
    exemption_words,
    explanation,
    outcome_words,
    resource_name,
    setting_words,
)

MAX_TEXT = 700  # characters of one text; report.json has longer ones
_MAX_MAP_ACCOUNTS = 100  # accounts; for more there are only the counts
_MIN_LISTED_ACCOUNTS = 26  # accounts; for fewer the map is enough

# text: an index into the texts. mark: the same, a word that cells.js colors. account: the same,
# "id name". repository: a text that may link to the console. days, number: a number. bad: a number
# that is bad unless 0, None for all regions. state: a number of the map, see `_MapState`.
_Kind = Literal["text", "mark", "account", "repository", "state", "number", "bad", "days"]


@dataclass(frozen=True, slots=True)
class _Column:
    """A column's title, how it is shown, its values, and whether the reader may filter by them.

    `linked` says which repositories have a page in the console.
    """

    title: str
    kind: _Kind
    values: Sequence[str | int | None]
    choose: bool = False
    linked: Sequence[bool] = ()


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of the page, by the id of the element that it fills.

    `state` is that of all rows, for a table without a column of marks.
    """

    id: str
    columns: tuple[_Column, ...]
    state: str = ""

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.columns[0].values)


@dataclass(slots=True)
class _Texts:
    """Every text once, in the order of first use."""

    index: dict[str, int] = field(default_factory=dict)

    def __call__(self, text: str) -> int:
        """Return the number of the text, which is stored plain and shortened."""
        return self.index.setdefault(shorten(text, MAX_TEXT), len(self.index))


def tables(report: Report) -> tuple[_Table, ...]:
    """Return the page's tables, those without rows too."""
    names = account_names(report)
    # Where an undo succeeded, a mutable repository is no finding: the map has no state for that.
    regions, rows = target_map(report) if report.run.kind != "undo" else ([], [])
    return (
        _account_table(report, rows if len(rows) >= _MIN_LISTED_ACCOUNTS else [], names),
        _map_table(regions, rows if len(rows) <= _MAX_MAP_ACCOUNTS else [], names),
        _findings(report),
        _earlier(report),
        _not_checked(report, names),
        _config_inventory(report, names),
        _exemptions(report),
        _skipped_table(report.skipped, names),
    )


def payload(report: Report, shown: Iterable[_Table]) -> dict[str, Any]:
    """Return the data of the page's script: texts, tables, owners, trend and console."""
    texts = _Texts()
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


def _account_table(report: Report, rows: Sequence[MapRow], names: dict[str, str]) -> _Table:
    """Return the counts of each account, the worst first."""
    found = count_by_account(report)
    ids = [row.account_id for row in rows]
    counts = [found[account_id] for account_id in ids]
    return _Table(
        "accounts",
        (
            _Column("State", "mark", [row.worst for row in rows]),
            _Column("Account", "account", [_account(account_id, names) for account_id in ids]),
            *_account_columns(report, ids),
            _Column("Repositories", "number", [each.repositories for each in counts]),
            _Column("Mutable", "bad", [each.mutable for each in counts]),
            _Column("Fixed", "number", [each.fixed for each in counts]),
            _Column("Exempt", "number", [each.exempt for each in counts]),
            _Column("Failed regions", "bad", [each.failed for each in counts]),
        ),
    )


def _map_table(regions: Sequence[str], rows: Sequence[MapRow], names: dict[str, str]) -> _Table:
    """Return the map: a row for each account, the worst first, a column for each region."""
    return _Table(
        "map",
        (
            _Column("Account", "account", [_account(row.account_id, names) for row in rows]),
            _Column("State", "mark", [row.worst for row in rows]),
            _Column("Open", "bad", [row.remaining for row in rows]),
            *(
                _Column(region, "state", [row.states[position] for row in rows])
                for position, region in enumerate(regions)
            ),
        ),
    )


def _findings(report: Report) -> _Table:
    findings = sorted(
        (item for item in report.findings if item.compliance is not Compliance.EXEMPT),
        key=partial(_urgency, kind=report.run.kind),
    )
    columns = [
        _Column("State", "mark", [finding_state(item, report.run.kind) for item in findings]),
        *_finding_columns(findings, report.run),
        _Column("Setting", "text", list(map(_setting, findings)), choose=True),
        _Column("What was done", "text", [_outcome_words(item, report) for item in findings]),
    ]
    if any(item.impact for item in findings):
        columns.append(_Column("Tags that look moved", "text", list(map(_moved_words, findings))))
    if any(item.since_last for item in findings):
        columns.insert(1, _Column("Since last", "mark", list(map(_since, findings)), choose=True))
    after_account = 1 + next(i for i, column in enumerate(columns) if column.kind == "account")
    ids = [item.account_id for item in findings]
    columns[after_account:after_account] = _account_columns(report, ids)
    return _Table("findings", tuple(columns))


def _account_columns(report: Report, account_ids: Sequence[str | None]) -> Iterator[_Column]:
    """Yield the columns with OU and tags of the accounts, where there are any."""
    for title, known in (
        ("OU", {account.id: account.ou_names or "" for account in report.accounts}),
        ("Account tags", {account.id: ", ".join(_tags(account)) for account in report.accounts}),
    ):
        values = [known.get(account_id or "", "") for account_id in account_ids]
        if any(values):
            yield _Column(title, "text", values)


def _finding_columns(findings: Sequence[Finding | EarlierFinding], run: Run) -> tuple[_Column, ...]:
    linked = [console_url(item, run.partition) is not None for item in findings]
    return (
        _Column("Account", "account", [f"{f.account_id} {f.account_name}" for f in findings]),
        _Column("Region", "text", [item.region for item in findings], choose=True),
        _Column("Repository", "repository", list(map(resource_name, findings)), linked=linked),
    )


def _urgency(finding: Finding, kind: RunKind) -> int:
    if finding.change and finding.change.status is ChangeStatus.FAILED:
        return 0
    return 1 if remaining_rule(kind)(finding) else 2


def _since(finding: Finding) -> str:
    if finding.since_last is None:
        return ""
    words = finding.since_last.value.replace("_", " ")
    if finding.since_last is Since.REOPENED:
        return f"{words} ({finding.reopened}x)" if finding.reopened > 1 else words
    return f"{words} (reopened {finding.reopened}x)" if finding.reopened else words


def _setting(finding: Finding) -> str:
    return setting_words(finding.mutability, finding.exclusion_filters)


def _outcome_words(finding: Finding, report: Report) -> str:
    done = outcome_words(finding, report.run)
    if finding.exemption:
        return f"{done}; its exemption {exemption_words(finding.exemption)}"
    return done


def _moved_words(finding: Finding) -> str:
    impact = finding.impact
    if impact is None:
        return ""
    filters = f"; suggested: {', '.join(impact.exclusions)}" if impact.exclusions else ""
    return moved_tags(impact) + filters


def _tags(account: AccountSummary) -> list[str]:
    return [f"{key}: {value}" for key, value in sorted(account.tags.items())]


def _earlier(report: Report) -> _Table:
    since = report.since_last
    resolved, not_visible = (since.resolved, since.not_visible) if since else ((), ())
    earlier = [*not_visible, *resolved]
    what = ["no longer visible"] * len(not_visible) + ["resolved"] * len(resolved)
    return _Table(
        "earlier",
        (
            _Column("What became of it", "mark", what),
            *_finding_columns(earlier, report.run),
            _Column("Setting then", "text", [item.mutability for item in earlier]),
        ),
    )


def _not_checked(report: Report, names: dict[str, str]) -> _Table:
    failures = sorted(report.failures, key=lambda failure: failure.reason)
    return _Table(
        "not-checked",
        (
            _Column("Reason", "text", [item.reason for item in failures], choose=True),
            _Column("Account", "account", [_account(item.account_id, names) for item in failures]),
            *_account_columns(report, [item.account_id for item in failures]),
            _Column("Region", "text", [item.region or "all" for item in failures], choose=True),
            _Column("Message", "text", list(map(_general_message, failures))),
        ),
        "not checked",
    )


def _general_message(failure: FailedItem) -> str:
    """Return the message with ``*`` for its account and region, so that similar ones match."""
    text = explanation(failure)
    for own in filter(None, (failure.account_id, failure.region)):
        text = text.replace(own, "*")
    return text


def _config_inventory(report: Report, names: dict[str, str]) -> _Table:
    inventory = report.config_inventory
    rows: list[RecordedTarget] = []
    gaps: list[RecordingGap] = []
    states: list[str] = []
    if inventory:
        rows = [*inventory.not_planned, *inventory.not_checked]
        gaps = [*inventory.not_recorded]
        states = ["not known"] * len(inventory.not_planned)
        states += ["not checked"] * len(inventory.not_checked) + ["not recorded"] * len(gaps)
    ids = [*(item.account_id for item in rows), *(gap.account_id for gap in gaps)]
    none = [None] * len(gaps)
    return _Table(
        "config-inventory",
        (
            _Column("State", "mark", states),
            _Column("Account", "account", [_account(account_id, names) for account_id in ids]),
            *_account_columns(report, ids),
            _Column(
                "Region", "text", [*(item.region or "all" for item in rows), *[""] * len(gaps)]
            ),
            _Column("Repositories", "number", [*(item.repositories for item in rows), *none]),
            _Column("Mutable", "number", [*(item.mutable for item in rows), *none]),
            _Column(
                "AWS Config",
                "text",
                [*map(recorded_words, rows), *map(recording_words, gaps)],
            ),
        ),
    )


def _exemptions(report: Report) -> _Table:
    today = date.fromisoformat(report.run.finished_at[:10])
    rows = [
        (item, item.exemption, _days_left(item, today))
        for item in report.findings
        if item.exemption or item.compliance is Compliance.EXEMPT
    ]
    never = date.max.toordinal()
    rows.sort(key=lambda row: never if row[2] is None else row[2])
    return _Table(
        "exemptions",
        (
            _Column("Time left", "days", [days for _, _, days in rows]),
            _Column(
                "Expires",
                "text",
                [str(e.expires) if e and e.expires else "never" for _, e, _ in rows],
                choose=True,
            ),
            *_finding_columns([item for item, _, _ in rows], report.run),
            _Column("Setting", "text", [_setting(item) for item, _, _ in rows]),
            _Column("Why", "text", [e.reason if e else "" for _, e, _ in rows]),
            _Column("Rule", "text", [e.rule if e else "" for _, e, _ in rows], choose=True),
        ),
        "exempt",
    )


def _days_left(finding: Finding, today: date) -> int | None:
    """Return 0 on the last day, a negative number afterwards; None if it does not expire."""
    exemption = finding.exemption
    if exemption is None or exemption.expires is None:
        return None
    return (exemption.expires - today).days


def _skipped_table(skipped: Sequence[SkippedItem], names: dict[str, str]) -> _Table:
    return _Table(
        "skipped",
        (
            _Column("Reason", "text", [item.reason for item in skipped], choose=True),
            _Column("Account", "account", [_account(item.account_id, names) for item in skipped]),
            _Column("Region", "text", [item.region or "all" for item in skipped], choose=True),
        ),
        "skipped",
    )


def _account(account_id: str | None, names: dict[str, str]) -> str:
    if account_id is None:
        return "the whole run"
    return f"{account_id} {names.get(account_id, '')}".rstrip()
