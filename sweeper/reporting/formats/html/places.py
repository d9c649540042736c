"""Results by account: the map, in which a number is the result of one region, and the counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from sweeper.domain.model import ChangeStatus, Compliance
from sweeper.domain.report import is_remaining
from sweeper.domain.report_model import AccountSummary, Report


class State(IntEnum):
    """What a number of the map means, the better the lower; cells.js shows them.

    Above NOT_CHECKED are findings that remain, 7 for three of them; below NONE are places in which
    the sweep left none of those that it found, -3 for three of them.
    """

    NONE = 0  # the account does not have the region, or nobody asked
    SKIPPED = 1
    EMPTY = 2
    COMPLIANT = 3
    NOT_CHECKED = 4


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account's states, one for each region of the map, and the worst of them in a word."""

    account_id: str
    worst: str
    open: int
    states: tuple[int, ...]


@dataclass(slots=True)
class AccountCounts:
    """What was found and done in an account; `failed` is None where it could not be entered."""

    repositories: int = 0
    mutable: int = 0
    fixed: int = 0
    exempt: int = 0
    failed: int | None = 0


def count_by_account(report: Report) -> dict[str, AccountCounts]:
    """Account id -> its counts; creation templates count as findings, not as repositories."""
    counts: dict[str, AccountCounts] = defaultdict(AccountCounts)
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


def place_map(report: Report) -> tuple[list[str], list[AccountRow]]:
    """The regions that occur, and a row for each account that does, the worst first."""
    states: dict[str, dict[str, int]] = defaultdict(dict)
    whole: dict[str, State] = {}
    left = _left(report)
    for account in report.accounts:
        states[account.id] = dict(_examined(account, left))
    for items, state in ((report.skipped, State.SKIPPED), (report.failures, State.NOT_CHECKED)):
        for item in items:
            if item.account_id is None:
                continue
            if item.region is None:
                whole[item.account_id] = state
            else:
                states[item.account_id][item.region] = state
    regions = sorted({region for places in states.values() for region in places})
    rows = [
        _row(account_id, states.get(account_id, {}), whole.get(account_id, State.NONE), regions)
        for account_id in sorted(states.keys() | whole.keys())
    ]
    rows.sort(key=_urgency)
    return regions or ["all"], rows


def _urgency(row: AccountRow) -> tuple[int, bool, int, int]:
    """Open ones, then gaps, then what was closed, then the others."""
    closed = min(*row.states, State.NONE)
    return -row.open, State.NOT_CHECKED not in row.states, closed, -max(row.states)


def _left(report: Report) -> Counter[tuple[str, str, bool]]:
    """Findings by account, region, and whether they remain; exempt ones are none."""
    return Counter(
        (finding.account_id, finding.region, is_remaining(finding))
        for finding in report.findings
        if finding.compliance is not Compliance.EXEMPT
    )


def _examined(
    account: AccountSummary, left: Counter[tuple[str, str, bool]]
) -> Iterator[tuple[str, int]]:
    for region, counts in account.regions.items():
        if count := left[account.id, region, True]:
            yield region, State.NOT_CHECKED + count
        elif closed := left[account.id, region, False]:
            yield region, -closed
        else:
            yield region, State.COMPLIANT if any(counts) else State.EMPTY


def _row(
    account_id: str, places: dict[str, int], otherwise: State, regions: list[str]
) -> AccountRow:
    """Where the account as a whole was not checked, or skipped, every region was."""
    states = tuple(places.get(region, otherwise) for region in regions or ["all"])
    return AccountRow(
        account_id,
        worst=_word(max(states), closed=min(states) < State.NONE),
        open=sum(state - State.NOT_CHECKED for state in states if state > State.NOT_CHECKED),
        states=tuple(map(int, states)),
    )


def _word(worst: int, *, closed: bool) -> str:
    if worst > State.NOT_CHECKED:
        return "open"
    if closed and worst < State.NOT_CHECKED:
        return "fixed"
    return State(worst).name.lower().replace("_", " ")
