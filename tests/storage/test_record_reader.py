"""Stored JSON, however it is laid out and cut into pieces: the same values, in bounded memory."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sweeper
from sweeper.domain.errors import Invalid
from sweeper.domain.model import Change, Finding
from sweeper.storage import json_scanner
from sweeper.storage import record_reader as reading
from sweeper.storage.journal import lines
from sweeper.storage.json_scanner import TooLarge
from sweeper.storage.record_reader import Budget, NotAnObject, OtherVersion, Selection, read
from sweeper.storage.report_store import _ALL, FOR_COMPARISON
from tests import factories
from tests.cases import case


@dataclass(frozen=True, slots=True)
class Item:
    name: str
    sizes: tuple[int, ...] = ()
    regions: Mapping[str, tuple[int, int]] | None = None


@dataclass(frozen=True, slots=True)
class Inner:
    about: str
    items: Sequence[Item] = ()


@dataclass(frozen=True, slots=True)
class Record:
    title: str
    items: tuple[Item, ...]
    share: float = 0.5
    inner: Inner | None = None


class Pieces:
    """Content that is read in pieces of so many bytes at most."""

    def __init__(self, content: bytes, size: int) -> None:
        self._content = content
        self._size = size
        self.read_size = 0

    def read(self, size: int) -> bytes:
        piece = self._content[self.read_size :][: min(size, self._size)]
        self.read_size += len(piece)
        return piece


def read_record(
    content: bytes, *, piece: int = 10_000, limit: int = 10**6, memory: int = 10**6
) -> Record:
    return read(Record, Pieces(content, piece), limit=limit, selection=Selection(memory))


def problem(content: bytes, **limits: int) -> str:
    with pytest.raises((Invalid, TooLarge, OtherVersion)) as caught:
        read_record(content, **limits)
    return str(caught.value)


texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(['"]}', "\\", '\\"[{'])
items = st.builds(
    Item,
    texts,
    st.lists(st.integers(0, 10**9), max_size=3).map(tuple),
    st.none() | st.dictionaries(texts, st.tuples(*[st.integers(0, 9)] * 2), max_size=2),
)
some_items = st.lists(items, max_size=3).map(tuple)
values = st.builds(
    Record, texts, some_items, st.floats(0, 1), st.none() | st.builds(Inner, texts, some_items)
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
)


@given(values, st.dictionaries(texts, anything, max_size=2), st.data())
def test_a_record_is_read_whatever_its_layout_and_its_pieces(
    value: Record, others: dict[str, Any], data: st.DataObject
) -> None:
    members = {**others, **asdict(value), "schema_version": "1"}
    order = data.draw(st.permutations(list(members)))
    content = json.dumps(
        {key: members[key] for key in order},
        indent=data.draw(st.none() | st.integers(0, 2)),
        ensure_ascii=data.draw(st.booleans()),
    )
    piece = data.draw(st.integers(1, 40))
    assert read_record(content.encode(), piece=piece) == value


SAMPLE = json.dumps(
    {
        "schema_version": "1",
        "title": 'a "title"',
        "other": [{"deep": [[]]}, None],
        "items": [asdict(Item("one", (1, 2), {"r": (1, 2)})), asdict(Item("two"))],
        "inner": {"about": "", "items": [asdict(Item("three"))]},
    }
).encode()


@given(st.integers(0, len(SAMPLE) - 1), st.binary(max_size=3), st.integers(0, 9), st.integers(1, 9))
def test_damage_is_refused_or_none(start: int, new: bytes, length: int, piece: int) -> None:
    content = SAMPLE[:start] + new + SAMPLE[start + length :]
    with suppress(Invalid, TooLarge, OtherVersion):
        assert isinstance(read_record(content, piece=piece), Record)


def test_what_breaks_off_is_refused() -> None:
    for size in range(len(SAMPLE)):
        with case(size):
            assert problem(SAMPLE[:size]).startswith("Invalid JSON: ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (SAMPLE.replace(b'"two"', b"2"), "items.1.name: Input should be a valid string"),
        (SAMPLE.replace(b"[1, 2], ", b'[1, "2"], ', 1), "items.0.sizes.1: Input should be a valid"),
        (SAMPLE.replace(b'"three"', b"null"), "inner.items.0.name: Input should be a valid"),
        (SAMPLE.replace(b'"title"', b'"name"'), "title: Field required"),
        (SAMPLE.replace(b'"about"', b'"name"'), "inner.about: Field required"),
        (SAMPLE.replace(b'"other"', b'"title"'), "title: the key is a duplicate"),
        (SAMPLE.replace(b'"schema_version": "1"', b'"x": "1"'), "schema_version: Field required"),
        (SAMPLE.replace(b'"1"', b"1"), "schema_version: Input should be a valid string"),
        (SAMPLE.replace(b'"1"', b'"9"').replace(b'"two"', b"2"), "schema_version '9'; this ver"),
        (SAMPLE + b"{}", "Invalid JSON: something follows the object"),
        (SAMPLE.replace(b"}, {", b"} {"), "Invalid JSON: a comma is missing"),
        (SAMPLE.replace(b'": [{"d', b'" [{"d'), "Invalid JSON: : is missing"),
        (SAMPLE.replace(b"[[]]", b"[" * 200 + b"]" * 200), "more than 100 levels deep"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(content: bytes, said: str) -> None:
    assert said in problem(content)


def test_what_else_it_is_can_be_told_from_its_keys() -> None:
    with pytest.raises(Invalid) as caught:
        read_record(SAMPLE.replace(b'"items"', b'"things"'))
    assert caught.value.keys == frozenset({"schema_version", "title", "inner"})
    with pytest.raises(NotAnObject):
        read_record(b"[]")


def test_no_more_is_read_than_the_limit() -> None:
    assert read_record(SAMPLE, limit=len(SAMPLE)).title
    assert problem(SAMPLE, limit=len(SAMPLE) - 1) == f"more than {len(SAMPLE) - 1:,} bytes"


def test_no_more_is_kept_than_the_limit() -> None:
    assert problem(SAMPLE, memory=1_000) == "more than 1,000 bytes of memory"


@pytest.mark.parametrize("piece", [7, 10_000])
def test_one_value_has_a_limit(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    for module in (json_scanner, reading):
        monkeypatch.setattr(module, "MAX_ITEM", 150)
    many = b",".join([b"[1]"] * 60)
    for place, said in (
        (b'"two"', "items.1: longer than 150 bytes"),
        (b'"three"', "inner.items.0: longer than 150 bytes"),
        (b'"a \\"title\\""', "title: longer than 150 bytes"),
    ):
        assert problem(SAMPLE.replace(place, b"[%s]" % many), piece=piece) == said
        long = SAMPLE.replace(place, b'"%s"' % (b"x" * 600))
        assert "longer than 150 bytes" in problem(long, piece=piece)
    assert read_record(SAMPLE.replace(b"null]", b"[%s]]" % many), piece=piece).title  # passed over


def test_brackets_keys_and_items_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_scanner, "_MAX_TOKENS", 100)
    read_record(SAMPLE)
    for more in (b"[],", b"{},"):
        many = SAMPLE.replace(b"null]", more * 90 + b"null]")
        assert problem(many) == "more than 100 brackets, keys and items"
    keys = b",".join(b'"%d": 1' % each for each in range(90))
    assert problem(b"{%s}" % keys + SAMPLE) == "Invalid JSON: something follows the object"
    monkeypatch.setattr(json_scanner, "_MAX_TOKENS", 50)
    assert problem(b"{%s}" % keys) == "more than 50 brackets, keys and items"


@pytest.mark.slow
def test_a_hundred_thousand_findings_are_kept() -> None:
    """With the longest names that AWS allows, by each reader."""
    name, region, arn = "r" * 256, "ap-southeast-1", f"arn:{'a' * 330}"
    finding = replace(
        factories.finding(name, change=factories.change()),
        account_name="a" * 50,
        region=region,
        arn=arn,
    )
    assert isinstance(finding, Finding)
    assert isinstance(finding.change, Change)
    for memory in (FOR_COMPARISON.memory, _ALL.memory, lines.MAX_MEMORY):
        budget = Budget(memory)
        for _ in range(100_000 // 100):
            budget.take((finding,) * 100)


def test_no_pattern_repeats_a_group_possessively() -> None:
    """`(...)*+` matches wrongly before Python 3.11.5 (CPython gh-106052); `(?>(...)*)` does not."""
    sources = Path(sweeper.__file__).parent.rglob("*.py")
    lines = [line for each in sources for line in each.read_text().splitlines()]
    repeated = [line for line in lines if re.search(r"\)(?:[*+?]|\{[0-9,]*\})\+", line)]
    assert [line for line in repeated if not line.startswith("#")] == []
