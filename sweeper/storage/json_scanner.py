"""Scan JSON text piece by piece, in little memory; it knows brackets and strings only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from sweeper.domain.errors import Invalid
from sweeper.engine.ports import Source

MAX_ITEM = 262_144  # bytes of an item of a list, or of a value that is not a list
_MAX_TOKENS = 5_000_000  # brackets, keys and items: about ten for a finding
_MAX_DEPTH = 100  # of brackets within an item
_CHUNK = 65_536
_SPACE = re.compile(rb"[ \t\n\r]*+")
# Repeated groups are atomic, `(?>(...)*)`, and not possessive: `(...)*+` matches wrongly before
# Python 3.11.5 (CPython gh-106052).
_QUOTED = rb'"[^"\\]*+(?>(?:\\.[^"\\]*+)*)"'
_STRING = re.compile(_QUOTED, re.DOTALL)
_TEXT = rb'[^"\[\]{}]*+(?>(?:' + _QUOTED + rb'[^"\[\]{}]*+)*)'  # a bracket is only in a string
_SHALLOW = _TEXT + rb"(?>(?:[\[{]" + _TEXT + rb"[\]}]" + _TEXT + rb")*)"
# A complete list or object of three levels at most, as all findings are.
_COMPLETE = rb"[\[{]" + _TEXT + rb"(?>(?:[\[{]" + _SHALLOW + rb"[\]}]" + _TEXT + rb")*)[\]}]"
_SCALAR = re.compile(rb'[^ \t\n\r",:\[\]{}]*+')


class TooLarge(ValueError):
    """Content beyond a limit; says which."""


def lines(source: Source, *, limit: int) -> Iterator[bytes]:
    """Yield the lines in `source` with their ends; the last one may have none.

    Raises Invalid for a line longer than MAX_ITEM, and TooLarge for more than `limit` bytes.
    """
    rest = b""
    size = 0
    while piece := source.read(_CHUNK):
        size += len(piece)
        if size > limit:
            raise TooLarge(f"more than {limit:,} bytes")
        *complete, rest = (rest + piece).split(b"\n")
        yield from (_require_short(line) + b"\n" for line in complete)
        _require_short(rest)
    yield rest


def _require_short(line: bytes) -> bytes:
    if len(line) > MAX_ITEM:
        raise Invalid(f"longer than {MAX_ITEM:,} bytes")
    return line


@cache
def _compile(pattern: bytes) -> re.Pattern[bytes]:
    """Compile one of the large patterns when it is first needed, which takes 20 ms."""
    return re.compile(pattern, re.DOTALL)


class Scanner:
    """Scan JSON text: a caller takes members and items in the order in which they are read."""

    def __init__(self, source: Source, limit: int) -> None:
        self._source = source
        self._limit = limit
        self._read = self._tokens = 0
        self._buffer = b""
        self._at = 0

    def peek(self) -> bytes:
        """Return the next byte that is not white space."""
        while True:
            match = _SPACE.match(self._buffer, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at : self._at + 1]
            self._read_on()

    def members(self) -> Iterator[str]:
        """Yield the keys of the object that begins here; the caller reads each value in between."""
        self._expect(b"{")
        more = self._has_items(b"}")
        while more:
            self._count()
            key = self._token(_STRING)
            self._expect(b":")
            yield key[1:-1].decode(errors="replace")
            more = self._has_next(b"}")

    def items(self) -> Iterator[None]:
        """Yield before each item of the list that begins here; the caller reads it in between."""
        self._expect(b"[")
        more = self._has_items(b"]")
        while more:
            self._count()
            yield
            more = self._has_next(b"]")

    def value(self) -> bytes | None:
        """Return the text of the value that begins here; None where it is too long."""
        content = bytearray()
        for part in self._parts():
            if len(content) <= MAX_ITEM:
                content += part
        return bytes(content) if len(content) <= MAX_ITEM else None

    def skip(self) -> None:
        """Skip the value that begins here."""
        for _ in self._parts():
            pass

    def end(self) -> None:
        """Read to the end. Raises Invalid if anything but white space follows."""
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
        if complete := _compile(_COMPLETE).match(self._buffer, self._at):
            self._at = complete.end()
            yield self._count_nesting(complete[0])
            return
        self._at += 1
        yield self._count_nesting(first)
        depth = 1
        while depth:
            # Up to the next unbalanced bracket: it is deeper, or not all of it is here.
            match = _compile(_SHALLOW).match(self._buffer, self._at)
            end = match.end() if match else self._at
            if (bracket := self._buffer[end : end + 1]) and bracket in b"[]{}":
                end += 1
                depth += 1 if bracket in b"[{" else -1
                if depth > _MAX_DEPTH:
                    raise Invalid(f"Invalid JSON: more than {_MAX_DEPTH} levels deep")
            part, self._at = self._buffer[self._at : end], end
            yield self._count_nesting(part)
            if not bracket or bracket == b'"':  # within a string, perhaps
                self._read_on()

    def _count_nesting(self, part: bytes) -> bytes:
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
            self._read_on()

    def _expect(self, byte: bytes) -> None:
        if self.peek() != byte:
            raise Invalid(f"Invalid JSON: {byte.decode()} is missing")
        self._at += 1

    def _has_items(self, end: bytes) -> bool:
        """Tell whether the list or object that was just opened has items."""
        if self.peek() != end:
            return True
        self._at += 1
        return False

    def _has_next(self, end: bytes) -> bool:
        """Tell whether another item follows."""
        byte = self.peek()
        if byte not in (b",", end):
            raise Invalid("Invalid JSON: a comma is missing")
        self._at += 1
        return byte == b","

    def _count(self, tokens: int = 1) -> None:
        self._tokens += tokens
        if self._tokens > _MAX_TOKENS:
            raise TooLarge(f"more than {_MAX_TOKENS:,} brackets, keys and items")

    def _read_on(self) -> None:
        """Read the next piece. Raises Invalid at the end, and for a string that is too long."""
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
