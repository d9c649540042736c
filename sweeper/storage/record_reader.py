"""Read stored JSON in bounded memory, whoever wrote it: the one reader of records.

A parser of complete values needs up to a hundred bytes of memory for each byte of text. So an
object is read member by member, and its lists item by item: only the text of one item is in memory
at a time, and the memory of the values is counted. See docs/decisions/0044-one-record-reader.md.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache, partial
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator, core_schema

from sweeper.domain.errors import Invalid
from sweeper.domain.escaping import shorten
from sweeper.domain.report_model import SCHEMA_VERSION
from sweeper.engine.ports import Source
from sweeper.storage.json_scanner import MAX_ITEM, Scanner, TooLarge

_VERSION = "schema_version"  # which every record has
# Members that version 1 lacks have defaults; its old codes of reasons are read as the new ones.
_KNOWN_VERSIONS = ("1", SCHEMA_VERSION)
_ENTRY = 100  # bytes that a list or a dictionary takes for each item
_MAX_TEXT = 100_000  # characters; nothing that AWS names is nearly as long
_MAX_COUNT = 10**9
_TIMES = (".started_at", ".finished_at", ".closed_at", ".last_seen", ".captured_at", ".updated_at")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
# An escape of a surrogate pair, of a lone surrogate, which text does not allow, or any other.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(u[dD][89a-fA-F][\da-fA-F]{2})|.)",
    re.DOTALL,
)

_T = TypeVar("_T")


class NotAnObject(Invalid):
    """Content that is not a JSON object."""


class OtherVersion(ValueError):
    """A record of a schema version that this program does not know."""

    def __init__(self, version: str) -> None:
        known = f"schema_version {shorten(version, 20)!r}; this version knows {SCHEMA_VERSION!r}"
        super().__init__(known)


class Budget:
    """Limit the memory of the values of a record to `memory` bytes."""

    def __init__(self, memory: int) -> None:
        self._memory = self._left = memory

    def take(self, value: object) -> None:
        """Count a value. Raises TooLarge."""
        self._left -= _size(value) + _ENTRY
        if self._left < 0:
            raise TooLarge(f"more than {self._memory:,} bytes of memory")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which values of a record to return, in at most `memory` bytes; by default all.

    Members that are `omitted` are skipped: lists are empty, others have their default. Each value
    is replaced by what `trim` returns; an item of a list is dropped if that is None. With
    `stand_ins`, an unknown word of an enumeration is read as its stand-in, or None.
    """

    memory: int
    omitted: frozenset[str] = frozenset()
    trim: Callable[[Any], Any] = lambda item: item
    stand_ins: tuple[Enum, ...] | None = None


def parse(kind: Any, content: bytes) -> Any:
    """Return the value of the type `kind` in a short JSON text. Raises Invalid."""
    return _parse(_validator(kind), content)


def _parse(validator: Any, content: bytes) -> Any:
    if b"\\ud" in content or b"\\uD" in content:
        content = _ESCAPE.sub(_without_lone_surrogate, content)
    try:
        return validator.validate_json(content, strict=True)
    except ValidationError as error:
        # Report the first problem without the value, which may be long or hostile.
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        path = ".".join(map(str, first["loc"]))[:200]
        raise Invalid(first["msg"][:200], path) from None


def read(kind: type[_T], source: Source, *, limit: int, selection: Selection) -> _T:
    """Return the record in `source`: the dataclass `kind` with the members of a JSON object.

    Unknown members are skipped. At most `limit` bytes are read. Raises Invalid, also for values
    that no sweep writes, OtherVersion and TooLarge.
    """
    scanner = Scanner(source, limit)
    reader = _Reader(scanner, selection)
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
    problem, path = reader.problem
    raise Invalid(problem, path, frozenset(reader.keys))


class _Reader:
    """Reads one object. After the first problem, it only skips the rest."""

    def __init__(self, scanner: Scanner, selection: Selection) -> None:
        self._scanner = scanner
        self._selection = selection
        self._budget = Budget(selection.memory)
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
                self.version = self._next_value(str, key)
                if shape:
                    values[key] = SCHEMA_VERSION
            elif shape is None or (not path and key in self._selection.omitted):
                self._scanner.skip()
            elif key in values:
                raise Invalid("the key is a duplicate", f"{path}{key}")
            else:
                values[key] = self._value(shape, f"{path}{key}")
        for name, shape in shapes.items():
            if name in values or not shape.required:
                continue
            if not path and name in self._selection.omitted:
                values[name] = ()
            else:
                self.fail(f"{path}{name}", "Field required")
        return values

    def fail(self, path: str, problem: str) -> None:
        """Record the problem, unless there was one before."""
        self.problem = self.problem or (problem, path)

    def _value(self, shape: _Shape, path: str) -> Any:
        first = self._scanner.peek()
        if shape.items is not None and first == b"[":
            return self._items(shape.items, path)
        if shape.inner is not None and first == b"{":
            values = self.members(shape.inner, f"{path}.")
            return shape.inner(**values) if self.problem is None else None
        value = self._next_value(shape.hint, path)
        self._budget.take(value)
        return value

    def _items(self, kind: Any, path: str) -> tuple[Any, ...]:
        items: list[Any] = []
        for number, _ in enumerate(self._scanner.items()):
            value = self._next_value(kind, f"{path}.{number}")
            if self.problem is None and value is not None:
                self._budget.take(value)
                items.append(value)
        return tuple(items) if self.problem is None else ()

    def _next_value(self, kind: Any, path: str) -> Any:
        """Parse the next value; skip it, and return None, after a problem."""
        if self.problem is not None and path != _VERSION:
            self._scanner.skip()
            return None
        content = self._scanner.value()
        if content is None:
            self.fail(path, f"longer than {MAX_ITEM:,} bytes")
            return None
        try:
            parsed = _parse(_validator(kind, self._selection.stand_ins), content)
        except Invalid as error:
            self.fail(f"{path}.{error.path}" if error.path else path, error.problem)
            return None
        value = self._selection.trim(parsed)
        if implausible := _find_implausible(path, value):
            self.fail(*implausible)
        return value


class _Shape:
    """How a member is read: item by item, member by member, or all at once."""

    def __init__(self, field: Field[Any], hint: Any) -> None:
        self.required = field.default is MISSING and field.default_factory is MISSING
        self.hint = hint
        self.items = _item_type(hint)
        self.inner = next((each for each in _alternatives(hint) if _has_lists(each)), None)


@cache
def _shapes(kind: Any) -> Mapping[str, _Shape]:
    hints = get_type_hints(kind)
    return {field.name: _Shape(field, hints[field.name]) for field in fields(kind)}


def _item_type(hint: Any) -> Any:
    """Return the type of a list's items; None for any other type."""
    return get_args(hint)[0] if get_origin(hint) in (tuple, Sequence) else None


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _has_lists(kind: Any) -> bool:
    return bool(field_names(kind)) and any(each.items for each in _shapes(kind).values())


@cache
def _validator(kind: Any, stand_ins: tuple[Enum, ...] | None = None) -> Any:
    """Build the validator when it is first needed, because it takes longer than an import."""
    adapter = TypeAdapter(kind)
    if stand_ins is None:
        return adapter.validator
    return SchemaValidator(_tolerant(adapter.core_schema, {type(each): each for each in stand_ins}))


def _tolerant(schema: Any, stand_ins: Mapping[type, Enum]) -> Any:
    """Return the schema with a stand-in for each unknown word of an enumeration.

    The stand-in of a list of literal words is the first.
    """
    if isinstance(schema, list):
        return [_tolerant(each, stand_ins) for each in schema]
    if not isinstance(schema, dict):
        return schema
    match schema:
        case {"type": "enum", "cls": kind}:
            stand_in = stand_ins.get(kind)
        case {"type": "literal", "expected": [stand_in, *_]}:
            pass
        case _:
            return {key: _tolerant(value, stand_ins) for key, value in schema.items()}
    validate = partial(_validate_or_stand_in, stand_in)
    return core_schema.no_info_wrap_validator_function(validate, schema)


def _validate_or_stand_in(
    stand_in: object, value: object, validate: Callable[[object], object]
) -> object:
    try:
        return validate(value)
    except ValidationError:
        if isinstance(value, str):
            return stand_in
        raise


def _without_lone_surrogate(escape: re.Match[bytes]) -> bytes:
    """Replace half of a surrogate pair, which no name in AWS has."""
    return b"\\ufffd" if escape[1] else escape[0]


def _size(value: object) -> int:
    """Return the bytes that the value takes; a shared value is counted each time."""
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
    if names := field_names(kind):
        return size + sum(_size(getattr(value, name)) for name in names)
    return size


# --- plausible values ----------------------------------------------------------------------------


def is_time(text: str) -> bool:
    """Tell whether the text is a time as a report has it; such times compare as text."""
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _find_implausible(path: str, value: Any) -> tuple[str, str] | None:
    """Return the path of a value that no sweep writes though its type allows it, and the problem.

    Such a value would be shown, compared and carried on. `path` is the path of `value`.
    """
    kind: Any = type(value)
    inner = value if kind in (tuple, list) else value.values() if kind is dict else ()
    for name in field_names(kind):
        if found := _find_implausible(f"{path}.{name}", getattr(value, name)):
            return found
    for each in inner:
        if found := _find_implausible(path, each):
            return found
    problem = None
    if kind is str:
        if len(value) > _MAX_TEXT:
            problem = f"longer than {_MAX_TEXT:,} characters"
        elif path.endswith(_TIMES) and not is_time(value):
            problem = "not a time"
    elif kind is float and not 0 <= value <= 1:  # NaN is not, either
        problem = "not a share from 0 to 1"
    elif kind is int and not 0 <= value <= _MAX_COUNT:
        problem = "not a count"
    return (path, problem) if problem else None


@cache
def field_names(kind: Any) -> tuple[str, ...]:
    """Return the names of a dataclass's fields; none for any other type."""
    return tuple(each.name for each in fields(kind)) if is_dataclass(kind) else ()
