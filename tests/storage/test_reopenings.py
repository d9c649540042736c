"""reopened.json: written only as it was read, and never begun anew where it cannot be used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest

from sweeper.domain.errors import OperationFailed
from sweeper.domain.events import Hint
from sweeper.domain.reasons import Reason
from sweeper.storage.reopenings import (
    _NAME,
    forget_reopenings,
    read_contested,
    record_reopenings,
)
from tests.cases import case

NOW = datetime(2026, 11, 29, 13, tzinfo=UTC)
HINT = Hint("111122223333", "eu-central-1", "app", "e-1", reopens=True, by="a", where="b")


class Stored:
    """Objects in memory; `meanwhile` is called before each write, as another process may write."""

    def __init__(self, meanwhile: Callable[[Stored], None] = lambda _: None) -> None:
        self.content: dict[str, bytes] = {}
        self.writes = 0
        self.bucket = self
        self._seen: bytes | None = None
        self._meanwhile = meanwhile
        self.failure: OperationFailed | None = None

    def at(self, name: str) -> str:
        return f"s3://bucket/{name}"

    def read(self, name: str, use: Callable[[Any], Any]) -> Any:
        if self.failure:
            raise self.failure
        self._seen = self.content.get(name)
        return None if self._seen is None else use(BytesIO(self._seen))

    def replace(self, name: str, pieces: Iterable[bytes]) -> None:
        self._meanwhile(self)
        if self.content.get(name) != self._seen:
            raise OperationFailed(Reason.CONCURRENT_MODIFICATION, "another one")
        self.content[name] = b"".join(pieces)
        self.writes += 1

    @property
    def ids(self) -> list[str]:
        stored = json.loads(self.content[_NAME])
        return [each["event_id"] for each in stored["reopenings"]]


def record(stored: Any, *event_ids: str, limit: int = 3) -> list[str]:
    """Record reopenings of one repository, one after another; why the last is contested."""
    contested: Any = {}
    for event_id in event_ids:
        hint = Hint(*HINT.key, event_id, reopens=True, by="a", where="b")
        contested, _ = record_reopenings(stored, [hint], NOW, limit)
    return list(contested.values())


def test_each_is_remembered_until_the_limit() -> None:
    stored = Stored()
    assert record(stored, "a", "b", "b", "c") == []
    assert stored.ids == ["a", "b", "c"]
    assert stored.writes == 3
    (why,) = record(stored, "d")
    assert why.startswith("made mutable again 4 times")
    assert stored.writes == 3


def test_only_what_this_delivery_added_is_said_to_be() -> None:
    stored: Any = Stored()
    again = Hint(*HINT.key, "e-2", reopens=True, by="a", where="b")
    assert record_reopenings(stored, [HINT], NOW, 3) == ({}, {"e-1"})
    assert record_reopenings(stored, [HINT, again], NOW, 3) == ({}, {"e-2"})
    assert record_reopenings(stored, [HINT, again], NOW, 3) == ({}, set())
    forget_reopenings(stored, {"e-2"})
    assert stored.ids == ["e-1"]


def test_what_another_process_wrote_is_not_lost() -> None:
    def write(stored: Stored) -> None:
        if not others:
            others.append("x")
            record(other, "x")
            stored.content[_NAME] = other.content[_NAME]

    others: list[str] = []
    other = Stored()
    stored = Stored(write)
    assert record(stored, "a") == []
    assert stored.ids == ["x", "a"]


@contextmanager
def failing(reason: Reason) -> Iterator[None]:
    with pytest.raises(OperationFailed) as raised:
        yield
    assert raised.value.reason is reason


def test_where_it_cannot_be_counted_that_is_said() -> None:
    with failing(Reason.CONCURRENT_MODIFICATION):
        record(Fought(), "a")
    denied = Stored()
    denied.failure = OperationFailed(Reason.DENIED, "no")
    with failing(Reason.DENIED):
        record(denied, "a")
    for content in (b"", b"[]", b"{", b'{"schema_version": "9"}', b'{"reopenings": []}'):
        with case(content):
            damaged = Stored()
            damaged.content[_NAME] = content
            with failing(Reason.JOURNAL_UNAVAILABLE):
                record(damaged, "a")
            assert damaged.content[_NAME] == content  # a fight must not begin anew


class Fought(Stored):
    """Another process writes before each write of this one."""

    def replace(self, name: str, pieces: Iterable[bytes]) -> None:
        raise OperationFailed(Reason.CONCURRENT_MODIFICATION, "another one")


def test_a_sweep_reads_it_below_the_folder() -> None:
    stored: Any = Stored()
    record(stored, "a", "b", "c")
    stored.content = {f"events/{_NAME}": stored.content[_NAME]}
    assert set(read_contested(stored, NOW, 3)) == {HINT.key}
    assert read_contested(stored, NOW, 4) == {}
    assert read_contested(Stored(), NOW, 0) == {}  # type: ignore[arg-type]
