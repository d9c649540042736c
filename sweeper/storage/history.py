"""Read the records of earlier sweeps, the last report and the history, and update the history.

Anybody may have written a record. It is read to a limit and checked against types; where it cannot
be used, the report says why. Nothing here ends a sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

from sweeper.domain.comparison import (
    NO_HISTORY,
    History,
    RemediationRecord,
    add_trend,
    compare_reports,
    comparison_unavailable,
    count_lost_changes,
    key_of,
    same_organization,
    update_history,
)
from sweeper.domain.errors import Invalid, OperationFailed
from sweeper.domain.json_encoding import document
from sweeper.domain.model import Failed, Finding, Key, Stage
from sweeper.domain.planning import Announced
from sweeper.domain.reasons import Reason
from sweeper.domain.report import replaces_last
from sweeper.domain.report_model import EarlierFinding, Report, Run
from sweeper.engine.attempts import attempt
from sweeper.engine.ports import Source
from sweeper.storage.json_scanner import TooLarge
from sweeper.storage.record_reader import OtherVersion, Selection, read
from sweeper.storage.report_store import (
    FOR_COMPARISON,
    RUN_ONLY,
    parse_report,
    without_impact,
)

ATTEMPTS = 5  # to replace a record that other sweeps replace too
_HISTORY = "history.json"
_MAX_HISTORY = 30_000_000  # bytes: all changes that it may have, with the longest names
_WHOLE_HISTORY = Selection(memory=200_000_000)
_NEEDED = (
    "; needed: s3:GetObject, s3:ListBucket to be told that there is none yet, and kms:Decrypt "
    "where a key of yours encrypts it"
)

_T = TypeVar("_T")


class _Records(Protocol):
    """A store of records by name; methods raise OperationFailed."""

    def read(self, name: str, use: Callable[[Source], _T]) -> _T | None:
        """Return what `use` makes of the record; None where there is none."""

    def replace(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write the record if it is still as it was read, or if there was none.

        Otherwise the reason is `Reason.CONCURRENT_MODIFICATION`.
        """


@runtime_checkable
class HistoryStore(Protocol):
    """A sink that stores what the next sweep is compared with."""

    @property
    def records(self) -> _Records:
        """The last report and the history."""

    @property
    def latest(self) -> str:
        """The name of the last report among its records."""


def last_store(sinks: Iterable[object]) -> HistoryStore | None:
    """Return the last sink that stores records, so S3 rather than a directory."""
    stores = [sink for sink in sinks if isinstance(sink, HistoryStore)]
    return stores[-1] if stores else None


class _InvalidRecord(OperationFailed):
    """A record that cannot be used, and why; one that is `damaged` may be replaced."""

    def __init__(self, message: str, *, damaged: bool) -> None:
        super().__init__(Reason.UNEXPECTED_RESPONSE, message)
        self.damaged = damaged


class _Unreadable(_InvalidRecord):
    """A record that could not be read at all."""


def attach_comparison(
    report: Report, store: HistoryStore | None, checks: Collection[str], *, narrowed: bool
) -> Report:
    """Return the report with what changed since the last one, and with the trend.

    `checks` are those that ran; a sweep is `narrowed` where options of this run limit its accounts
    or regions. Raises nothing: the report says why there is no comparison.
    """
    if store is None:
        return report

    def compare(store: HistoryStore) -> Report:
        previous: Report | _InvalidRecord
        history = NO_HISTORY
        try:
            previous = _read_previous(store.records, store.latest, report.run)
        except _InvalidRecord as error:
            previous = error
        # Where the report could not be read, this does not wait for the history, too.
        if not isinstance(previous, _Unreadable):
            with suppress(_InvalidRecord):  # `store_history` reports that
                history = _read_history(store.records, report.run)
        known = add_trend(report, history, narrowed=narrowed)
        if isinstance(previous, _InvalidRecord):
            return comparison_unavailable(known, previous.message)
        return compare_reports(known, previous, history, checks)

    result = attempt(Stage.DELIVER, compare, store)  # a defect here must not cost the report
    return comparison_unavailable(report, result.message) if isinstance(result, Failed) else result


def store_history(records: _Records, report: Report) -> str | None:
    """Add this run to the history; return why it could not be added, or None.

    An undo is not added: a repository that it reverts is still one that a sweep made immutable.
    Neither is a sweep that examined nothing, nor a run about events.

    Raises nothing that reading or writing could cause: a delivery does not fail because of it.
    """
    if report.run.kind in ("undo", "events") or (
        report.run.kind == "sweep" and not replaces_last(report)
    ):
        return None
    for _ in range(ATTEMPTS):
        begun_anew = None
        try:
            before = _read_history(records, report.run)
        except _InvalidRecord as error:
            if not error.damaged:
                return f"{_HISTORY} was left as it is: {error.message}"
            before, begun_anew = NO_HISTORY, f"{_HISTORY} was begun anew: {error.message}"
        after = update_history(before, report)
        if after == before:
            return None
        try:
            records.replace(_HISTORY, document(after))
        except OperationFailed as error:
            if error.reason is Reason.CONCURRENT_MODIFICATION:
                continue
            return f"{_HISTORY} could not be written: {_cause(error)}"
        return begun_anew
    return f"{_HISTORY} was left as it is: other sweeps kept writing it"


def started_at(records: _Records, name: str) -> str | None:
    """Return when the sweep of a stored report started; None where that cannot be read."""
    try:
        report = _read_record(records, name, partial(parse_report, selection=RUN_ONLY))
    except _InvalidRecord:
        return None
    return report.run.started_at if report else None


def lost_changes(records: _Records, name: str, report: Report) -> str | None:
    """Return why the report stored as `name` must not be replaced by `report`; None if it may be.

    A change that was applied, or that may have been, must be in the new report, too: an undo reads
    it from there. A stored report that cannot be read may have such changes.
    """
    try:
        stored = _read_record(records, name, partial(parse_report, selection=FOR_COMPARISON))
    except _InvalidRecord as error:
        return error.message
    if stored is None:
        return None
    lost = count_lost_changes(stored, report)
    return f"{name} has changes that this report lacks: {lost:,}" if lost else None


def _read_previous(records: _Records, name: str, run: Run) -> Report:
    """Read what is compared of the last report; raise _InvalidRecord, also where there is none."""
    previous = _read_report(records, name, run, FOR_COMPARISON)
    if previous is None:
        raise _InvalidRecord(f"there is no earlier {name} here", damaged=False)
    if previous.run.started_at > run.started_at:
        later = f"{name} is of sweep {previous.run.id}, which started later than this one"
        raise _InvalidRecord(later, damaged=False)
    return previous


def _read_report(records: _Records, name: str, run: Run, selection: Selection) -> Report | None:
    """Read a report of the run's organization, None where there is none; raise _InvalidRecord."""
    report = _read_record(records, name, partial(parse_report, selection=selection))
    if report is not None:
        _require_same_organization(report.run, name, run)
    return report


def _read_history(records: _Records, run: Run, selection: Selection = _WHOLE_HISTORY) -> History:
    """Read the history, an empty one where there is none; raise _InvalidRecord."""
    use = partial(read, History, limit=_MAX_HISTORY, selection=selection)
    history = _read_record(records, _HISTORY, use)
    if history is None:
        return NO_HISTORY
    _require_same_organization(history, _HISTORY, run)
    return history


def _read_record(records: _Records, name: str, use: Callable[[Source], _T]) -> _T | None:
    """Return what `use` makes of the record; None where there is none. Raises _InvalidRecord."""
    try:
        return records.read(name, use)
    except OtherVersion as error:
        raise _InvalidRecord(f"{name} has {error}", damaged=False) from None
    except TooLarge as error:
        raise _InvalidRecord(f"{name} is too large: {error}", damaged=True) from None
    except Invalid as error:
        raise _InvalidRecord(f"{name} is damaged: {error}", damaged=True) from None
    except OperationFailed as error:
        needed = _NEEDED if error.reason.is_denial else ""
        why = f"{name} could not be read: {_cause(error)}{needed}"
        raise _Unreadable(why, damaged=False) from None


def _require_same_organization(record: Run | History, name: str, run: Run) -> None:
    """Raise _InvalidRecord for a record of another organization than the run's."""
    if not same_organization(record, run):
        owner = record.organization_id or record.account_id
        raise _InvalidRecord(f"{name} is of another organization: {owner}", damaged=True)


def _cause(error: OperationFailed) -> str:
    return f"{error.error_code}: {error.message}" if error.error_code else error.message


# --- announced changes ---------------------------------------------------------------------------


def read_announced(store: HistoryStore | None, run: Run, keys: Collection[Key]) -> Announced:
    """Return when the changes of the findings `keys` were announced. Raises nothing.

    This runs before anything is written, so it keeps only what is about these findings. Where a
    record cannot be used, the result says why.
    """
    if store is None:
        return Announced(unavailable=_begins_now("earlier reports are not stored"))

    def read_all(store: HistoryStore) -> Announced:
        days: dict[Key, date] = {}
        problems: list[str] = []
        # The report is later than the history, so its days replace those of the history.
        for announced in (_announced_in_history, _announced_in_report):
            try:
                found = announced(store, run, partial(_if_announced, keys))
            except _InvalidRecord as error:
                problems.append(error.message)
            else:
                days |= {key_of(item): item.announced for item in found if item.announced}
        return Announced(days, _begins_now("; ".join(problems)) if problems else None)

    result = attempt(Stage.ENUMERATE, read_all, store)
    if isinstance(result, Failed):
        return Announced(unavailable=_begins_now(result.message))
    return result


def _begins_now(why: str) -> str:
    return f"the notice begins with this run: {why}"


_Item = Finding | EarlierFinding | RemediationRecord


def _if_announced(keys: Collection[Key], item: Any) -> Any:
    """Drop each finding that is none of `keys`, or was not announced."""
    if not isinstance(item, _Item):
        return item
    return without_impact(item) if item.announced and key_of(item) in keys else None


def _announced_in_history(
    store: HistoryStore, run: Run, trim: Callable[[Any], Any]
) -> Iterable[_Item]:
    selection = replace(_WHOLE_HISTORY, omitted=frozenset({"points"}), trim=trim)
    return _read_history(store.records, run, selection).closures


def _announced_in_report(
    store: HistoryStore, run: Run, trim: Callable[[Any], Any]
) -> Iterable[_Item]:
    report = _read_report(store.records, store.latest, run, replace(FOR_COMPARISON, trim=trim))
    if report is None:
        return ()
    return (*(report.since_last.not_visible if report.since_last else ()), *report.findings)
