"""Read stored JSON in bounded memory, whoever wrote it: the one reader of records.

A parser that builds the whole value needs up to a hundred bytes of memory for each byte that it
reads. So an object is read member by member, and its lists item by item. Only the text of one item
is in memory at a time, and what is kept of all of them is counted. See
docs/decisions/0044-one-record-reader.md.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from sweeper.domain.errors import Invalid
from sweeper.domain.escaping import shorten
from sweeper.domain.report_model import SCHEMA_VERSION
from sweeper.engine.ports import Source

_VERSION = "schema_version"  # which every record has
# What version 1 lacks has a default; its codes of reasons are read as those that replaced them.
_KNOWN_VERSIONS = ("1", SCHEMA_VERSION)
MAX_ITEM = 262_144  # bytes of one item of a list, or of one value that is no list
MAX_TOKENS = 5_000_000  # brackets, keys and items: some ten for a finding
MAX_DEPTH = 100  # of brackets within an item
_CHUNK = 65_536
_ENTRY = 100  # bytes: of an item's place in a list or a dictionary
_SPACE = re.compile(rb"[ \t\n\r]*+")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_TEXT = rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")'  # with no bracket that is in no string
_SHALLOW = rb"(?:" + _TEXT + rb"|[\[{]" + _TEXT + rb"*+[\]}])*+"
# A list or object of three levels at most, as all findings are.
_WHOLE = rb"[\[{](?:" + _TEXT + rb"|[\[{]" + _SHALLOW + rb"[\]}])*+[\]}]"
# Of one that is deeper, or longer than what is here, all up to the next bracket that stays open.
_PART = _SHALLOW
_SCALAR = re.compile(rb'[^ \t\n\r",:\[\]{}]*+')
# An escape of both halves of a character; of one, which JSON allows and text does not; any other.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(u[dD][89a-fA-F][\da-fA-F]{2})|.)",
    re.DOTALL,
)

T = TypeVar("T")


@cache
def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    """Compile one of the large patterns when it is first needed: that takes 20 ms each."""
    return re.compile(pattern, re.DOTALL)


class NotAnObject(Invalid):
    """Content that begins as no JSON object does."""


class OtherVersion(ValueError):
    """A record of a version of the schema that this one does not know."""

    def __init__(self, version: str) -> None:
        known = f"schema_version {shorten(version, 20)!r}; this version knows {SCHEMA_VERSION!r}"
        super().__init__(known)


class TooLarge(ValueError):
    """Content beyond a limit; says which."""


class Budget:
    """Count the memory of what is kept of a record; `memory` is what it may take, in bytes."""

    def __init__(self, memory: int) -> None:
        self._memory = self._left = memory

    def take(self, value: object) -> None:
        """Count an item. Raises TooLarge."""
        self._left -= _size(value) + _ENTRY
        if self._left < 0:
            raise TooLarge(f"more than {self._memory:,} bytes of memory")


def parse(kind: Any, content: bytes) -> Any:
    """Return the value of the type `kind` in a short JSON text. Raises Invalid."""
    if b"\\ud" in content or b"\\uD" in content:
        content = _ESCAPE.sub(_whole, content)
    try:
        return _adapter(kind).validate_json(content, strict=True)
    except ValidationError as error:
        # The first thing that is wrong, without the value, which may be long or hostile.
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))[:200]
        raise Invalid(first["msg"][:200], place) from None


def read(kind: type[T], source: Source, *, limit: int, memory: int) -> T:
    """Return the record in `source`: the dataclass `kind` with the members of a JSON object.

    Other members are passed over. At most `limit` bytes
    are read, and what is kept takes at most `memory` bytes. Raises Invalid, OtherVersion and
    TooLarge.
    """
    scanner = _Scanner(source, limit)
    reader = _Reader(scanner, Budget(memory))
    if scanner.peek() != b"{":
        raise NotAnObject("Input should be an object")
    values = reader.members(kind, "")
    scanner.end()
    if reader.version not in (None, *_KNOWN_VERSIONS):
        raise OtherVersion(str(reader.version))
    if reader.version is None:
        reader.fail(_VERSION, "Field required")
    if reader.problem is None:
        return kind(**values)
    problem, place = reader.problem
    raise Invalid(problem, place, frozenset(reader.keys))


def lines(source: Source, *, limit: int) -> Iterator[bytes]:
    """Yield the lines in `source`, each with its end; the last one perhaps without.

    Raises Invalid for a line that is longer than MAX_ITEM, and TooLarge for more than `limit`
    bytes.
    """
    rest = b""
    size = 0
    while piece := source.read(_CHUNK):
        size += len(piece)
        if size > limit:
            raise TooLarge(f"more than {limit:,} bytes")
        *whole, rest = (rest + piece).split(b"\n")
        yield from (_short(line) + b"\n" for line in whole)
        _short(rest)
    yield rest


def _short(line: bytes) -> bytes:
    if len(line) > MAX_ITEM:
        raise Invalid(f"longer than {MAX_ITEM:,} bytes")
    return line


class _Reader:
    """What is read of one object. After the first problem the rest is only looked through."""

    def __init__(self, scanner: _Scanner, budget: Budget) -> None:
        self._scanner = scanner
        self._budget = budget
        self.keys: set[str] = set()  # of the object itself
        self.version: str | None = None
        self.problem: tuple[str, str] | None = None

    def members(self, kind: type, path: str) -> dict[str, Any]:
        shapes = _shapes(kind)
        values: dict[str, Any] = {}
        for key in self._scanner.members():
            shape = shapes.get(key)
            if not path and (shape or key == _VERSION):
                self.keys.add(key)
            if not path and key == _VERSION:
                self.version = self._parsed(str, key)
                if shape:
                    values[key] = SCHEMA_VERSION
            elif shape is None:
                self._scanner.skip()
            elif key in values:
                raise Invalid("the key is a duplicate", f"{path}{key}")
            else:
                values[key] = self._value(shape, f"{path}{key}")
        for name, shape in shapes.items():
            if name not in values and shape.required:
                self.fail(f"{path}{name}", "Field required")
        return values

    def fail(self, place: str, problem: str) -> None:
        """Take the problem, unless there was one before."""
        self.problem = self.problem or (problem, place)

    def _value(self, shape: _Shape, path: str) -> Any:
        first = self._scanner.peek()
        if shape.items is not None and first == b"[":
            return self._items(shape.items, path)
        if shape.inner is not None and first == b"{":
            values = self.members(shape.inner, f"{path}.")
            return shape.inner(**values) if self.problem is None else None
        value = self._parsed(shape.whole, path)
        self._budget.take(value)
        return value

    def _items(self, kind: Any, path: str) -> tuple[Any, ...]:
        kept: list[Any] = []
        for number, _ in enumerate(self._scanner.items()):
            value = self._parsed(kind, f"{path}.{number}")
            if self.problem is None:
                self._budget.take(value)
                kept.append(value)
        return tuple(kept) if self.problem is None else ()

    def _parsed(self, kind: Any, path: str) -> Any:
        """The next value; None where it is not read any more, because of a problem."""
        if self.problem is not None and path != _VERSION:
            self._scanner.skip()
            return None
        content = self._scanner.value()
        if content is None:
            self.fail(path, f"longer than {MAX_ITEM:,} bytes")
            return None
        try:
            return parse(kind, content)
        except Invalid as error:
            self.fail(f"{path}.{error.place}" if error.place else path, error.problem)
            return None


class _Shape:
    """How a member is read: item by item, member by member, or whole."""

    def __init__(self, field: Field[Any], hint: Any) -> None:
        self.required = field.default is MISSING and field.default_factory is MISSING
        self.whole = hint
        self.items = _item(hint)
        self.inner = next((each for each in _alternatives(hint) if _has_lists(each)), None)


@cache
def _shapes(kind: Any) -> Mapping[str, _Shape]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: _Shape(field, hints[field.name]) for field in fields(kind)}


def _item(hint: Any) -> Any:
    """The type of a list's items; None for what is no list."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) not in (tuple, Sequence):
        return None
    return get_args(hint)[0]


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _has_lists(kind: Any) -> bool:
    return _is_record(kind) and any(each.items for each in _shapes(kind).values())


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and is_dataclass(kind)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Made where a record is read, and not in every run: it takes longer than an import."""
    return TypeAdapter(kind)


def _whole(escape: re.Match[bytes]) -> bytes:
    """A half of a character is replaced: names that AWS allows have none."""
    return b"\\ufffd" if escape[1] else escape[0]


def _size(value: object) -> int:
    """Bytes that the value takes; what all values share is counted with each."""
    kind: Any = type(value)
    if value is None or kind is bool or isinstance(value, Enum):
        return 0
    size = sys.getsizeof(value)
    if kind is str:
        return size
    if isinstance(value, tuple | list):
        return size + sum(map(_size, value))
    if isinstance(value, Mapping):
        return size + sum(map(_size, value)) + sum(map(_size, value.values()))
    if names := _names(kind):
        return size + sum(_size(getattr(value, name)) for name in names)
    return size


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind)) if is_dataclass(kind) else ()


class _Scanner:
    """Walk JSON text without holding it: brackets and strings are all that it knows."""

    def __init__(self, source: Source, limit: int) -> None:
        self._source = source
        self._limit = limit
        self._read = self._tokens = 0
        self._buffer = b""
        self._at = 0

    def peek(self) -> bytes:
        """Return the next byte that is no space."""
        while True:
            match = _SPACE.match(self._buffer, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at : self._at + 1]
            self._more()

    def members(self) -> Iterator[str]:
        """Yield the keys of the object that begins here; its values are read in between."""
        self._take(b"{")
        more = self._begins(b"}")
        while more:
            self._count()
            key = self._token(_STRING)
            self._take(b":")
            yield key[1:-1].decode(errors="replace")
            more = self._goes_on(b"}")

    def items(self) -> Iterator[None]:
        """Yield before each item of the list that begins here; it is read in between."""
        self._take(b"[")
        more = self._begins(b"]")
        while more:
            self._count()
            yield
            more = self._goes_on(b"]")

    def value(self) -> bytes | None:
        """Return the text of the value that begins here; None where it is too long."""
        content = bytearray()
        for part in self._parts():
            if len(content) <= MAX_ITEM:
                content += part
        return bytes(content) if len(content) <= MAX_ITEM else None

    def skip(self) -> None:
        """Pass over the value that begins here."""
        for _ in self._parts():
            pass

    def end(self) -> None:
        """Read to the end, where nothing may follow but space."""
        try:
            self.peek()
        except Invalid:
            return
        raise Invalid("Invalid JSON: something follows the object")

    def _parts(self) -> Iterator[bytes]:
        """Yield the text of the value that begins here, piece by piece."""
        first = self.peek()
        if first == b'"':
            yield self._token(_STRING)
            return
        if first not in b"[{":
            yield self._token(_SCALAR)
            return
        if whole := _compiled(_WHOLE).match(self._buffer, self._at):
            self._at = whole.end()
            yield self._counted(whole[0])
            return
        self._at += 1
        yield self._counted(first)
        depth = 1
        while depth:
            match = _compiled(_PART).match(self._buffer, self._at)
            end = match.end() if match else self._at
            if (bracket := self._buffer[end : end + 1]) and bracket in b"[]{}":
                end += 1
                depth += 1 if bracket in b"[{" else -1
                if depth > MAX_DEPTH:
                    raise Invalid(f"Invalid JSON: more than {MAX_DEPTH} levels deep")
            part, self._at = self._buffer[self._at : end], end
            yield self._counted(part)
            if not bracket or bracket == b'"':  # within a string, perhaps
                self._more()

    def _counted(self, part: bytes) -> bytes:
        self._count(part.count(b"{") + part.count(b"["))
        return part

    def _token(self, pattern: re.Pattern[bytes]) -> bytes:
        self.peek()
        while True:
            match = pattern.match(self._buffer, self._at)
            if match and (match.end() < len(self._buffer) or pattern is _STRING):
                if match.end() == self._at:
                    raise Invalid("Invalid JSON: a value is missing")
                self._at = match.end()
                return match[0]
            if pattern is _STRING and self._buffer[self._at : self._at + 1] != b'"':
                raise Invalid("Invalid JSON: a key is missing")
            self._more()

    def _take(self, byte: bytes) -> None:
        if self.peek() != byte:
            raise Invalid(f"Invalid JSON: {byte.decode()} is missing")
        self._at += 1

    def _begins(self, end: bytes) -> bool:
        """Whether the list or object that was just opened has something in it."""
        if self.peek() != end:
            return True
        self._at += 1
        return False

    def _goes_on(self, end: bytes) -> bool:
        """Whether another item follows."""
        byte = self.peek()
        if byte not in (b",", end):
            raise Invalid("Invalid JSON: a comma is missing")
        self._at += 1
        return byte == b","

    def _count(self, tokens: int = 1) -> None:
        self._tokens += tokens
        if self._tokens > MAX_TOKENS:
            raise TooLarge(f"more than {MAX_TOKENS:,} brackets, keys and items")

    def _more(self) -> None:
        """Read on. Raises Invalid at the end, and where a string has no end in sight."""
        rest = self._buffer[self._at :]
        if len(rest) > MAX_ITEM:
            raise Invalid(f"a text is longer than {MAX_ITEM:,} bytes")
        piece = self._source.read(_CHUNK)
        if not piece:
            raise Invalid("Invalid JSON: EOF while parsing")
        self._read += len(piece)
        if self._read > self._limit:
            raise TooLarge(f"more than {self._limit:,} bytes")
        self._buffer, self._at = rest + piece, 0
