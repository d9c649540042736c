"""What earlier sweeps left, read at the edge: the previous report and the history.

Whatever lies there may have been written by anybody: it is read to a limit, checked against
types, and where it cannot be used, that is said in words. Nothing here ends a sweep.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Annotated, Protocol, TypeVar, runtime_checkable

from pydantic import AfterValidator, Field

from sweeper.domain.comparison import (
    History,
    Previous,
    PreviousFinding,
    PreviousRun,
    PreviousSince,
    RemediationRecord,
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
from sweeper.domain.report_model import EarlierFinding, Report, Run, TrendPoint
from sweeper.engine.pool import attempt
from sweeper.engine.ports import Source
from sweeper.storage.record_reader import OtherVersion, TooLarge, read

HISTORY = "history.json"
MAX_REPORT = 100_000_000  # bytes: 100,000 findings and as many failures
MAX_HISTORY = 30_000_000  # bytes: as many closures as are kept, with the longest names
MAX_MEMORY = 200_000_000  # bytes, of what is kept of one record: 200,000 findings
ATTEMPTS = 5  # to replace what others replace too
_MAX_TEXT = 10_000  # characters; nothing that AWS names is nearly as long
_MAX_COUNT = 10**9
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
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
        previous: Previous | InvalidRecord
        history = History()
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

    Raises nothing that reading or writing could cause: it is the report that is delivered.
    """
    if report.run.kind == "undo":
        return None
    for _ in range(ATTEMPTS):
        begun_anew = None
        try:
            before = read_history(records, report.run)
        except InvalidRecord as error:
            if not error.damaged:
                return f"{HISTORY} was left as it is: {error.message}"
            before, begun_anew = History(), f"{HISTORY} was begun anew: {error.message}"
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


def is_time(text: str) -> bool:
    """Whether it is a time as a report has it; such compare as text."""
    return _TIME.fullmatch(text) is not None


def started_at(records: Records, name: str) -> str | None:
    """When the sweep of a report started; None where the report is not there or does not say."""
    try:
        kept = _read(records, _Started, name, MAX_REPORT)
    except InvalidRecord:
        return None
    return kept.run.started_at if kept else None


def lost_changes(records: Records, name: str, report: Report) -> str | None:
    """Return why the report stored as `name` must not be replaced by `report`; None if it may be.

    A change that was applied, or that may have been, must be in the new report, too: an undo reads
    it from there. A stored report that cannot be read may have such changes.
    """
    try:
        stored = _read(records, _Report, name, MAX_REPORT)
    except InvalidRecord as error:
        return error.message
    if stored is None:
        return None
    lost = count_lost_changes(stored.findings, report)
    return f"{name} has changes that this report lacks: {lost:,}" if lost else None


def read_previous(records: Records, name: str, run: Run) -> Previous:
    """The last report; raises Unusable, also where there is none."""
    kept = _read(records, _Report, name, MAX_REPORT)
    if kept is None:
        raise InvalidRecord(f"there is no earlier {name} here", damaged=False)
    since = kept.since_last
    previous = Previous(
        kept.run,
        kept.findings,
        PreviousSince(
            since.run_id, since.finished_at, since.unavailable, since.resolved, since.not_visible
        )
        if since
        else PreviousSince(),
    )
    _refuse_another_organization(previous.run, name, run)
    if previous.run.started_at > run.started_at:
        later = f"{name} is of sweep {previous.run.id}, which started later than this one"
        raise InvalidRecord(later, damaged=False)
    return previous


def read_history(records: Records, run: Run) -> History:
    """The history, an empty one where there is none; raises Unusable."""
    kept = _read(records, _History, HISTORY, MAX_HISTORY)
    if kept is None:
        return History()
    history = History(
        organization_id=kept.organization_id,
        account_id=kept.account_id,
        points=kept.points,
        closures=kept.closures,
    )
    _refuse_another_organization(history, HISTORY, run)
    return history


# --- what is taken for a record -------------------------------------------------------------------


def _plausible(item: T) -> T:
    """Refuse what no sweep wrote: it would be shown, compared and carried on."""
    for field in fields(item):  # type: ignore[arg-type]
        value = getattr(item, field.name)
        if isinstance(value, str) and len(value) > _MAX_TEXT:
            raise ValueError(f"{field.name} is too long")
        if isinstance(value, int) and not 0 <= value <= _MAX_COUNT:
            raise ValueError(f"{field.name} is no count")
        if isinstance(value, float) and not 0 <= value <= 1:  # NaN is not, either
            raise ValueError(f"{field.name} is no share")
        if field.name in _TIMES and value is not None and not is_time(value):
            raise ValueError(f"{field.name} is no time")
    return item


_TIMES = {"started_at", "finished_at", "closed_at", "last_seen"}
_Checked = AfterValidator(_plausible)


@dataclass(frozen=True, slots=True)
class _SinceLast:
    run_id: Annotated[str | None, Field(max_length=100)] = None
    finished_at: Annotated[str | None, Field(pattern=f"^{_TIME.pattern}$")] = None
    unavailable: Annotated[str | None, Field(max_length=100_000)] = None
    resolved: tuple[Annotated[EarlierFinding, _Checked], ...] = ()
    not_visible: tuple[Annotated[EarlierFinding, _Checked], ...] = ()


@dataclass(frozen=True, slots=True)
class _Report:
    run: Annotated[PreviousRun, _Checked]
    findings: tuple[Annotated[PreviousFinding, _Checked], ...]
    since_last: _SinceLast | None = None


@dataclass(frozen=True, slots=True)
class _Started:
    run: Annotated[PreviousRun, _Checked]


@dataclass(frozen=True, slots=True)
class _History:
    organization_id: str | None
    account_id: str | None
    points: tuple[Annotated[TrendPoint, _Checked], ...]
    closures: tuple[Annotated[RemediationRecord, _Checked], ...]


def _read(records: Records, kind: type[T], name: str, limit: int) -> T | None:
    """The record as the dataclass `kind`; None where there is none. Raises Unusable."""
    try:
        return records.read(name, lambda source: read(kind, source, limit=limit, memory=MAX_MEMORY))
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


def _refuse_another_organization(of: PreviousRun | History, name: str, run: Run) -> None:
    if not same_organization(of, run):
        whose = of.organization_id or of.account_id
        raise InvalidRecord(f"{name} is of another organization: {whose}", damaged=True)


def _cause(error: OperationFailed) -> str:
    return f"{error.error_code}: {error.message}" if error.error_code else error.message
