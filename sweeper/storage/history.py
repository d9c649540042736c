"""What earlier sweeps left, read at the edge: the previous report and the history.

Whatever lies there may have been written by anybody: it is read to a limit, checked against
types, and where it cannot be used, that is said in words. Nothing here ends a sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar, runtime_checkable

from sweeper.domain.comparison import (
    NO_HISTORY,
    History,
    OfOrganization,
    add_trend,
    compare_reports,
    comparison_unavailable,
    count_lost_changes,
    same_organization,
    update_history,
)
from sweeper.domain.errors import Invalid, OperationFailed
from sweeper.domain.json_encoding import document
from sweeper.domain.model import Failed, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report import replaces_last
from sweeper.domain.report_model import Report, Run
from sweeper.engine.pool import attempt
from sweeper.engine.ports import Source
from sweeper.storage.json_scanner import TooLarge
from sweeper.storage.record_reader import OtherVersion, Selection, read
from sweeper.storage.report_reader import ABOUT, COMPARED, parse_report

HISTORY = "history.json"
MAX_HISTORY = 30_000_000  # bytes: as many closures as are kept, with the longest names
MAX_HISTORY_MEMORY = 200_000_000  # bytes
ATTEMPTS = 5  # to replace what others replace too
_NEEDED = (
    "; needed: s3:GetObject, s3:ListBucket to be told that there is none yet, and kms:Decrypt "
    "where a key of yours encrypts it"
)

T = TypeVar("T")


class Records(Protocol):
    """Where earlier sweeps left their report and their history; methods raise OperationFailed."""

    def read(self, name: str, use: Callable[[Source], T]) -> T | None:
        """What `use` makes of the record; None where there is none."""

    def replace(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write the record where it still is as it was read, or else where there is none.

        Where it is not, the reason is `Reason.CONCURRENT_MODIFICATION`.
        """


@runtime_checkable
class HistoryStore(Protocol):
    """A sink that keeps what the next sweep is compared with."""

    @property
    def records(self) -> Records:
        """Where it keeps it."""

    @property
    def latest(self) -> str:
        """The name of the last report among its records."""


def last_store(sinks: Iterable[object]) -> HistoryStore | None:
    """Return the sink that keeps what is compared: of several the last, S3 before a directory."""
    stores = [sink for sink in sinks if isinstance(sink, HistoryStore)]
    return stores[-1] if stores else None


class InvalidRecord(OperationFailed):
    """A record that cannot be used, in words; one that is `damaged` may be begun anew."""

    def __init__(self, message: str, *, damaged: bool) -> None:
        super().__init__(Reason.UNEXPECTED_RESPONSE, message)
        self.damaged = damaged


class Unreadable(InvalidRecord):
    """A record of which nothing is known."""


def attach_comparison(
    report: Report, keeper: HistoryStore | None, checks: Collection[str], *, narrowed: bool
) -> Report:
    """The report with what changed since the last one, and with the trend.

    `checks` are those that ran; a sweep is `narrowed` when it was told for this one time which
    accounts or regions to look at. Raises nothing: why there is no comparison is in the report.
    """
    if keeper is None:
        return report

    def recall(kept: HistoryStore) -> Report:
        previous: Report | InvalidRecord
        history = NO_HISTORY
        try:
            previous = read_previous(kept.records, kept.latest, report.run)
        except InvalidRecord as error:
            previous = error
        # Where one could not be read, the report does not wait for the other.
        if not isinstance(previous, Unreadable):
            with suppress(InvalidRecord):  # which is said where it is written
                history = read_history(kept.records, report.run)
        known = add_trend(report, history, narrowed=narrowed)
        if isinstance(previous, InvalidRecord):
            return comparison_unavailable(known, previous.message)
        return compare_reports(known, previous, history, checks)

    result = attempt(Stage.DELIVER, recall, keeper)  # a defect here must not cost the report
    return comparison_unavailable(report, result.message) if isinstance(result, Failed) else result


def store_history(records: Records, report: Report) -> str | None:
    """Write the history with this run; in words what could not be kept, None where all was.

    An undo is no part of it: a repository that it reverts is still one that a sweep made immutable.
    Nor is a sweep that examined nothing, nor what events name.

    Raises nothing that reading or writing could cause: it is the report that is delivered.
    """
    if report.run.kind in ("undo", "events") or (
        report.run.kind == "sweep" and not replaces_last(report)
    ):
        return None
    for _ in range(ATTEMPTS):
        begun_anew = None
        try:
            before = read_history(records, report.run)
        except InvalidRecord as error:
            if not error.damaged:
                return f"{HISTORY} was left as it is: {error.message}"
            before, begun_anew = NO_HISTORY, f"{HISTORY} was begun anew: {error.message}"
        after = update_history(before, report)
        if after == before:
            return None
        try:
            records.replace(HISTORY, document(after))
        except OperationFailed as error:
            if error.reason is Reason.CONCURRENT_MODIFICATION:
                continue
            return f"{HISTORY} could not be written: {_cause(error)}"
        return begun_anew
    return f"{HISTORY} was left as it is: other sweeps kept writing it"


def started_at(records: Records, name: str) -> str | None:
    """When the sweep of a report started; None where the report is not there or does not say."""
    try:
        report = read_record(records, name, partial(parse_report, selection=ABOUT))
    except InvalidRecord:
        return None
    return report.run.started_at if report else None


def lost_changes(records: Records, name: str, report: Report) -> str | None:
    """Return why the report stored as `name` must not be replaced by `report`; None if it may be.

    A change that was applied, or that may have been, must be in the new report, too: an undo reads
    it from there. A stored report that cannot be read may have such changes.
    """
    try:
        stored = read_record(records, name, partial(parse_report, selection=COMPARED))
    except InvalidRecord as error:
        return error.message
    if stored is None:
        return None
    lost = count_lost_changes(stored, report)
    return f"{name} has changes that this report lacks: {lost:,}" if lost else None


def read_previous(records: Records, name: str, run: Run) -> Report:
    """The last report, as far as it is compared; raises InvalidRecord, also where there is none."""
    previous = read_record(records, name, partial(parse_report, selection=COMPARED))
    if previous is None:
        raise InvalidRecord(f"there is no earlier {name} here", damaged=False)
    refuse_another_organization(previous.run, name, run)
    if previous.run.started_at > run.started_at:
        later = f"{name} is of sweep {previous.run.id}, which started later than this one"
        raise InvalidRecord(later, damaged=False)
    return previous


def read_history(records: Records, run: Run) -> History:
    """The history, an empty one where there is none; raises InvalidRecord."""
    use = partial(read, History, limit=MAX_HISTORY, selection=Selection(MAX_HISTORY_MEMORY))
    history = read_record(records, HISTORY, use)
    if history is None:
        return NO_HISTORY
    refuse_another_organization(history, HISTORY, run)
    return history


def read_record(records: Records, name: str, use: Callable[[Source], T]) -> T | None:
    """What `use` makes of the record; None where there is none. Raises InvalidRecord."""
    try:
        return records.read(name, use)
    except OtherVersion as error:
        raise InvalidRecord(f"{name} has {error}", damaged=False) from None
    except TooLarge as error:
        raise InvalidRecord(f"{name} is too large: {error}", damaged=True) from None
    except Invalid as error:
        raise InvalidRecord(f"{name} is damaged: {error}", damaged=True) from None
    except OperationFailed as error:
        needed = _NEEDED if error.reason.is_denial else ""
        why = f"{name} could not be read: {_cause(error)}{needed}"
        raise Unreadable(why, damaged=False) from None


def refuse_another_organization(of: OfOrganization, name: str, run: Run) -> None:
    """Raise InvalidRecord for a record of another organization than the run's."""
    if not same_organization(of, run):
        whose = of.organization_id or of.account_id
        raise InvalidRecord(f"{name} is of another organization: {whose}", damaged=True)


def _cause(error: OperationFailed) -> str:
    return f"{error.error_code}: {error.message}" if error.error_code else error.message
