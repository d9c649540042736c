"""Which changes earlier reports announced, read before a plan is made.

A sweep reads the last report whole when its own is stored: reading must never cost a report. This
comes before anything is written. So it keeps of each record only what is about the findings at
hand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, Literal, TypeVar

from sweeper.domain.model import Failed, Key, Stage
from sweeper.domain.report_model import SCHEMA_VERSION, Run
from sweeper.domain.withholding import Announced
from sweeper.engine.pool import attempt
from sweeper.storage.history import (
    HISTORY,
    MAX_HISTORY,
    HistoryStore,
    InvalidRecord,
    read_record,
    refuse_another_organization,
)
from sweeper.storage.record_reader import Selection, read
from sweeper.storage.report_reader import MAX_SIZE

MAX_MEMORY = 100_000_000  # bytes, of what is kept of a record


@dataclass(frozen=True, slots=True)
class _Item:
    """A finding of a report, or what the history has of one."""

    check: str
    account_id: str
    region: str
    repository: str
    announced: date | None = None

    @property
    def key(self) -> Key:
        return self.check, self.account_id, self.region, self.repository


@dataclass(frozen=True, slots=True)
class _Run:
    organization_id: str | None = None
    account_id: str | None = None


@dataclass(frozen=True, slots=True)
class _SinceLast:
    not_visible: Sequence[_Item] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    schema_version: Literal["2"] = SCHEMA_VERSION
    run: _Run
    findings: Sequence[_Item]
    since_last: _SinceLast | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _History:
    schema_version: Literal["2"] = SCHEMA_VERSION
    organization_id: str | None
    account_id: str | None
    closures: Sequence[_Item]


_Record = TypeVar("_Record", _Report, _History)


def read_announced(store: HistoryStore | None, run: Run, keys: Collection[Key]) -> Announced:
    """Return when the changes of the findings `keys` were announced. Raises nothing.

    Where a record cannot be used, what it has is not known, and the result says why.
    """
    if store is None:
        return Announced(unavailable=_begins_now("earlier reports are not stored"))

    def recall(kept: HistoryStore) -> Announced:
        days: dict[Key, date] = {}
        unavailable: list[str] = []

        def take(name: str, kind: type[_Record], limit: int) -> _Record | None:
            selection = Selection(MAX_MEMORY, trim=partial(_if_announced, keys))
            use = partial(read, kind, limit=limit, selection=selection)
            try:
                record = read_record(kept.records, name, use)
                if record:
                    refuse_another_organization(_owner(record), name, run)
            except InvalidRecord as error:
                unavailable.append(error.message)
                return None
            return record

        # What a report says goes over what the history says: it is later.
        if history := take(HISTORY, _History, MAX_HISTORY):
            days.update(_days(history.closures))
        if report := take(kept.latest, _Report, MAX_SIZE):
            days.update(_days(report.since_last.not_visible if report.since_last else ()))
            days.update(_days(report.findings))
        return Announced(days, _begins_now("; ".join(unavailable)) if unavailable else None)

    result = attempt(Stage.ENUMERATE, recall, store)
    if isinstance(result, Failed):
        return Announced(unavailable=_begins_now(result.message))
    return result


def _begins_now(why: str) -> str:
    return f"the notice begins with this run: {why}"


def _if_announced(keys: Collection[Key], item: Any) -> Any:
    if not isinstance(item, _Item):
        return item
    return item if item.announced and item.key in keys else None


def _owner(record: _Report | _History) -> _Run | _History:
    return record.run if isinstance(record, _Report) else record


def _days(items: Iterable[_Item]) -> dict[Key, date]:
    return {item.key: item.announced for item in items if item.announced}
