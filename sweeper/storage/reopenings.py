"""Record in S3 which repositories were made mutable again lately, to leave contested ones alone."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import partial
from typing import TypeVar

from sweeper.aws.s3 import Objects
from sweeper.domain.errors import Invalid, OperationFailed
from sweeper.domain.events import (
    Hint,
    Reopening,
    Reopenings,
    RepositoryKey,
    count_reopenings,
    list_contested,
    without_events,
)
from sweeper.domain.json_encoding import document
from sweeper.domain.reasons import Reason
from sweeper.storage.json_scanner import TooLarge
from sweeper.storage.record_reader import OtherVersion, Selection, read

FOLDER = "events"  # of all objects of runs about events, below report.s3.prefix
_NAME = "reopened.json"
_ATTEMPTS = 5  # to replace the object that another batch replaces too
_MAX_SIZE = 4_000_000  # bytes: all reopenings that it may have, with the longest names
_MAX_MEMORY = 10_000_000  # bytes
_Result = TypeVar("_Result")


def record_reopenings(
    objects: Objects, due: Sequence[Hint], now: datetime, limit: int
) -> tuple[Mapping[RepositoryKey, str], AbstractSet[str]]:
    """Record the reopenings; return why each repository above the limit is left alone.

    Also return the ids of the events that were added: another delivery may have added the others.
    Raises OperationFailed if they cannot be counted: then nothing may be made immutable again.
    """

    def count(
        before: Sequence[Reopening],
    ) -> tuple[tuple[Reopening, ...], tuple[Mapping[RepositoryKey, str], AbstractSet[str]]]:
        after, contested = count_reopenings(before, due, now, limit)
        known = {each.event_id for each in before}
        return after, (contested, {each.event_id for each in after} - known)

    return _edit(objects, count)


def forget_reopenings(objects: Objects, events: Container[str]) -> None:
    """Remove the reopenings of events that led to no change. Raises OperationFailed."""
    _edit(objects, lambda before: (without_events(before, events), None))


def _edit(
    objects: Objects, edit: Callable[[Sequence[Reopening]], tuple[tuple[Reopening, ...], _Result]]
) -> _Result:
    """Replace the reopenings by the first result of `edit`, and return the second."""
    for _ in range(_ATTEMPTS):
        before = _read(objects, _NAME)
        after, result = edit(before.reopenings)
        if after == before.reopenings:
            return result
        try:
            objects.replace(_NAME, document(Reopenings(reopenings=after)))
        except OperationFailed as error:
            if error.reason is not Reason.CONCURRENT_MODIFICATION:
                raise _not_counted(error) from None
            continue
        return result
    raise OperationFailed(
        Reason.CONCURRENT_MODIFICATION, f"{objects.bucket.at(_NAME)}: others kept writing it"
    )


def read_contested(objects: Objects, now: datetime, limit: int) -> Mapping[RepositoryKey, str]:
    """Return the repositories that a sweep must leave mutable, each with the reason.

    Raises OperationFailed if the reopenings cannot be read.
    """
    return list_contested(_read(objects, f"{FOLDER}/{_NAME}").reopenings, now, limit)


def _read(objects: Objects, name: str) -> Reopenings:
    use = partial(read, Reopenings, limit=_MAX_SIZE, selection=Selection(_MAX_MEMORY))
    try:
        return objects.read(name, use) or Reopenings()
    except OperationFailed as error:
        raise _not_counted(error) from None
    except (Invalid, OtherVersion, TooLarge) as error:
        raise OperationFailed(
            Reason.JOURNAL_UNAVAILABLE,
            f"{objects.bucket.at(name)} cannot be used: {error}; delete it to count anew",
        ) from None


def _not_counted(error: OperationFailed) -> OperationFailed:
    return OperationFailed(
        error.reason,
        f"reopenings could not be counted in {_NAME}: {error.message}",
        error.error_code,
    )
