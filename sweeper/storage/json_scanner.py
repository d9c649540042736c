"""Walk JSON text in pieces, without holding it: brackets and strings are all that it knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from sweeper.domain.errors import Invalid
from sweeper.engine.ports import Source

MAX_ITEM = 262_144  # bytes of one item of a list, or of one value that is no list
_MAX_TOKENS = 5_000_000  # brackets, keys and items: some ten for a finding
_MAX_DEPTH = 100  # of brackets within an item
_CHUNK = 65_536
_SPACE = re.compile(rb"[ \t\n\r]*+")
# Repeated groups are atomic, `(?>(...)*)`, and not possessive: `(...)*+` matches wrongly before
# Python 3.11.5 (CPython gh-106052).
_QUOTED = rb'"[^"\\]*+(?>(?:\\.[^"\\]*+)*)"'
_STRING = re.compile(_QUOTED, re.DOTALL)
_TEXT = rb'[^"\[\]{}]*+(?>(?:' + _QUOTED + rb'[^"\[\]{}]*+)*)'  # a bracket is only in a string
_SHALLOW = _TEXT + rb"(?>(?:[\[{]" + _TEXT + rb"[\]}]" + _TEXT + rb")*)"
# A list or object of three levels at most, as all findings are.
_WHOLE = rb"[\[{]" + _TEXT + rb"(?>(?:[\[{]" + _SHALLOW + rb"[\]}]" + _TEXT + rb")*)[\]}]"
# Of one that is deeper, or longer than what is here, all up to the next bracket that stays open.
_PART = _SHALLOW
_SCALAR = re.compile(rb'[^ \t\n\r",:\[\]{}]*+')


class TooLarge(ValueError):
    """Content beyond a limit; says which."""


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


@cache
def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    """Compile one of the large patterns when it is first needed: that takes 20 ms each."""
    return re.compile(pattern, re.DOTALL)


class Scanner:
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
                if depth > _MAX_DEPTH:
                    raise Invalid(f"Invalid JSON: more than {_MAX_DEPTH} levels deep")
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
        if self._tokens > _MAX_TOKENS:
            raise TooLarge(f"more than {_MAX_TOKENS:,} brackets, keys and items")

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
