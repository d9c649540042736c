"""States of findings, and results by account, region and OU: the map, the counts and the bars."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

from sweeper.domain.escaping import shorten
from sweeper.domain.model import ChangeStatus, Compliance, Finding
from sweeper.domain.reasons import Reason
from sweeper.domain.report import is_remaining, is_unrestored
from sweeper.domain.report_model import AccountSummary, Report, RunKind
from sweeper.reporting.wording import number


class _MapState(IntEnum):
    """The states of a target on the map, the better the lower; cells.js shows them.

    A higher number than NOT_CHECKED counts remaining findings: 7 for three of them. A negative one
    counts findings that were all fixed: -3 for three of them.
    """

    NONE = 0  # the account does not have the region, or its regions are not known
    SKIPPED = 1
    EMPTY = 2
    COMPLIANT = 3
    NOT_CHECKED = 4


@dataclass(frozen=True, slots=True)
class MapRow:
    """An account's states, one for each region of the map, and the worst of them in a word."""

    account_id: str
    worst: str
    remaining: int
    states: tuple[int, ...]


@dataclass(slots=True)
class _AccountCounts:
    """The counts of an account; `failed` regions are None where the account could not be opened."""

    repositories: int = 0
    mutable: int = 0
    fixed: int = 0
    exempt: int = 0
    failed: int | None = 0


def count_by_account(report: Report) -> dict[str, _AccountCounts]:
    """Return the counts by account id; creation templates are findings, but no repositories."""
    counts: dict[str, _AccountCounts] = defaultdict(_AccountCounts)
    for account in report.accounts:
        of = counts[account.id]
        of.repositories = sum(map(sum, account.regions.values()))
        of.exempt = sum(exempt for _, _, exempt in account.regions.values())
    for finding in report.findings:
        of = counts[finding.account_id]
        change = finding.change
        of.fixed += change is not None and change.status is ChangeStatus.APPLIED
        if finding.compliance is Compliance.NON_COMPLIANT:
            of.mutable += is_remaining(finding)
        elif finding.compliance is Compliance.UNDETERMINED:
            of.repositories += finding.resource == "repository"
    for item in report.failures:
        if item.account_id is None:
            continue
        of = counts[item.account_id]
        if item.region is None:
            of.failed = item.targets
        elif of.failed is not None:
            of.failed += 1
    return counts


def finding_state(finding: Finding, kind: RunKind) -> str:
    """Return the state of a finding that is not exempt, in a word that cells.js colors."""
    if kind == "undo":
        return _undo_state(finding)
    if finding.compliance is Compliance.UNDETERMINED:
        return "undetermined"
    if is_remaining(finding):
        return "open"
    applied = finding.change and finding.change.status is ChangeStatus.APPLIED
    return "fixed" if applied else "gone"


def _undo_state(finding: Finding) -> str:
    change = finding.change
    if change is None or is_unrestored(finding):
        return "not reverted"
    if change.status is ChangeStatus.PLANNED:
        return "planned"
    return "gone" if change.reason is Reason.REPOSITORY_DELETED else "reverted"


def target_map(report: Report) -> tuple[list[str], list[MapRow]]:
    """Return the regions of the report, and a row for each of its accounts, the worst first."""
    states: dict[str, dict[str, int]] = defaultdict(dict)
    account_states: dict[str, _MapState] = {}
    findings = _count_findings(report)
    for account in report.accounts:
        states[account.id] = dict(_examined_states(account, findings))
    for items, state in (
        (report.skipped, _MapState.SKIPPED),
        (report.failures, _MapState.NOT_CHECKED),
    ):
        for item in items:
            if item.account_id is None:
                continue
            if item.region is None:
                account_states[item.account_id] = state
            else:
                states[item.account_id][item.region] = state
    regions = sorted({region for of_account in states.values() for region in of_account})
    rows = [
        _map_row(
            account_id,
            states.get(account_id, {}),
            account_states.get(account_id, _MapState.NONE),
            regions,
        )
        for account_id in sorted(states.keys() | account_states.keys())
    ]
    rows.sort(key=_row_urgency)
    return regions or ["all"], rows


def _row_urgency(row: MapRow) -> tuple[int, bool, int, int]:
    """Sort by remaining findings, then by failures, then by fixed findings."""
    fixed = min(*row.states, _MapState.NONE)
    return -row.remaining, _MapState.NOT_CHECKED not in row.states, fixed, -max(row.states)


def _count_findings(report: Report) -> Counter[tuple[str, str, bool]]:
    """Count the findings by account, region and whether they remain, without exempt ones."""
    return Counter(
        (finding.account_id, finding.region, is_remaining(finding))
        for finding in report.findings
        if finding.compliance is not Compliance.EXEMPT
    )


def _examined_states(
    account: AccountSummary, findings: Counter[tuple[str, str, bool]]
) -> Iterator[tuple[str, int]]:
    for region, counts in account.regions.items():
        if remaining := findings[account.id, region, True]:
            yield region, _MapState.NOT_CHECKED + remaining
        elif fixed := findings[account.id, region, False]:
            yield region, -fixed
        else:
            yield region, _MapState.COMPLIANT if any(counts) else _MapState.EMPTY


def _map_row(
    account_id: str, region_states: dict[str, int], otherwise: _MapState, regions: list[str]
) -> MapRow:
    """Return the row; `otherwise` is the state of regions that have none of their own."""
    states = tuple(region_states.get(region, otherwise) for region in regions or ["all"])
    return MapRow(
        account_id,
        worst=_worst_word(max(states), is_fixed=min(states) < _MapState.NONE),
        remaining=sum(
            state - _MapState.NOT_CHECKED for state in states if state > _MapState.NOT_CHECKED
        ),
        states=tuple(map(int, states)),
    )


def _worst_word(worst: int, *, is_fixed: bool) -> str:
    if worst > _MapState.NOT_CHECKED:
        return "open"
    if is_fixed and worst < _MapState.NOT_CHECKED:
        return "fixed"
    return _MapState(worst).name.lower().replace("_", " ")


_UNKNOWN = "not known"
_MAX_NAMES = 2  # accounts of each OU; the others are counted


@dataclass(frozen=True, slots=True)
class Bar:
    """Repositories of a region or an organizational unit, as they are when the sweep ends."""

    name: str
    detail: str = ""
    compliant: int = 0
    exempt: int = 0
    undetermined: int = 0
    remaining: int = 0

    @property
    def total(self) -> int:
        """The number of repositories."""
        return self.compliant + self.exempt + self.undetermined + self.remaining

    @property
    def parts(self) -> tuple[tuple[str, int, int], ...]:
        """The segments of the bar: state, its count, and the count of all segments before it."""
        counts = (
            ("open", self.remaining),
            ("undetermined", self.undetermined),
            ("exempt", self.exempt),
            ("compliant", self.compliant),
        )
        before, parts = 0, []
        for state, count in counts:
            if count:
                parts.append((state, count, before))
            before += count
        return tuple(parts)


def by_ou(report: Report) -> tuple[Bar, ...]:
    """Return a bar for each OU, the worst first; none where the accounts' OUs are not known."""
    paths = {account.id: account.ou_names or account.ou_path for account in report.accounts}
    names: dict[str, list[str]] = defaultdict(list)
    for account in report.accounts:
        if account.regions:
            names[paths[account.id] or _UNKNOWN].append(shorten(account.name, 40))
    bars = _bars(report, lambda account_id, _: paths[account_id])
    return tuple(replace(bar, detail=_some_names(names[bar.name])) for bar in bars)


def _some_names(names: list[str]) -> str:
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (
        f" and {number(more, 'more', 'more')}" if more > 0 else ""
    )


def by_region(report: Report) -> tuple[Bar, ...]:
    """Return a bar for each region, the worst first."""
    return _bars(report, lambda _, region: region)


def _bars(report: Report, group: Callable[[str, str], str | None]) -> tuple[Bar, ...]:
    counts: dict[str | None, Counter[str]] = defaultdict(Counter)
    examined = {account.id: account.regions for account in report.accounts}
    for account in report.accounts:
        for region, (compliant, non_compliant, exempt) in account.regions.items():
            here = counts[group(account.id, region)]
            here.update(compliant=compliant + non_compliant, exempt=exempt)
    for finding in report.findings:
        is_examined = finding.region in examined.get(finding.account_id, ())
        if finding.resource != "repository" or not is_examined:
            continue
        here = counts[group(finding.account_id, finding.region)]
        if finding.compliance is Compliance.UNDETERMINED:
            here["undetermined"] += 1
        elif is_remaining(finding):
            here["remaining"] += 1
            here["compliant"] -= 1
    if counts.keys() <= {None}:
        return ()
    bars = [
        Bar(
            name or _UNKNOWN,
            compliant=found["compliant"],
            exempt=found["exempt"],
            undetermined=found["undetermined"],
            remaining=found["remaining"],
        )
        for name, found in counts.items()
    ]
    bars.sort(key=lambda bar: (-bar.remaining, -bar.undetermined, -bar.total, bar.name))
    return tuple(bar for bar in bars if bar.total)
