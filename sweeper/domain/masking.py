"""Mask the secrets that this process knows.

What leaves the process goes through `mask`: logs, stdout, files, S3, SNS, Security Hub. Messages of
errors go through `mask_message`, which also hides what an ordinary name could be. A document leaves
in pieces, so that a large one is never in memory as a whole.
"""

from __future__ import annotations

import html
import json
import os
import re
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from string import hexdigits
from types import MappingProxyType
from typing import AnyStr
from urllib.parse import quote, unquote

MASK = "***"
# A shorter secret, such as "test" for an emulator, may be part of a name: only messages mask it.
_MIN_LENGTH = 16
_SHORTEST = 4  # of a secret that is masked at all
# Up to so many secrets it is faster to look for each of them in a large document.
_FEW = 16
_LARGE = 10_000  # bytes

_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)


class _Secrets:
    """The known secrets: of a long one only the beginning and the length."""

    def __init__(self) -> None:
        self.lengths: dict[str, int] = {}  # by the first _MIN_LENGTH characters
        self.exact: set[str] = set()
        self.words: set[str] = set()
        self.characters: set[str] = set()
        self.pattern = re.compile(r"(?!)")
        self.pattern_of_bytes = re.compile(rb"(?!)")
        self.pattern_of_words = re.compile(r"(?!)")
        self.blanks = b" " * 256  # for bytes.translate: a space for what no secret has


_lock = threading.Lock()
_secrets = _Secrets()
_of_run: set[str] = set()  # the beginnings that are forgotten when the next run starts


def register(value: str, *, of_run: bool = False) -> None:
    """Mask `value` from now on: a key id, a secret key or a token.

    Args:
        value: The secret. Each part of it counts where it has white space or control characters.
        of_run: Whether the next run may forget it: a session in a member account ends with its run.

    """
    for part in re.split(r"[^!-~]+", value):
        for spelling in _spellings(part):
            if len(spelling) >= _MIN_LENGTH:
                _add_long(spelling, of_run=of_run)
            elif len(spelling) >= _SHORTEST:
                _add_word(spelling)


def _spellings(secret: str) -> set[str]:
    """Return the secret as each format writes it."""
    in_json, in_xml = json.dumps(secret)[1:-1], html.escape(secret, quote=False)
    in_page = in_json.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    in_csv, in_attribute = secret.replace('"', '""'), in_xml.replace('"', "&quot;")
    return {secret, in_json, in_page, in_csv, in_xml, in_attribute, html.escape(secret)}


def register_external_id(value: str) -> None:
    """Mask an external id from now on.

    One that a repository could be named like (short, or without digits) is masked in messages only,
    and one of two or three characters, which AWS allows, nowhere: see SECURITY.md.
    """
    is_distinct = len(value) >= _MIN_LENGTH and any(map(str.isdigit, value)) and not value.isdigit()
    if is_distinct:
        with _lock:
            _secrets.exact = _secrets.exact | {value}
    elif len(value) >= _SHORTEST:
        _add_word(value)


def register_environment() -> None:
    """Mask the credentials in the environment from now on."""
    for name in _VARIABLES:
        if value := os.environ.get(name):
            register(value)


@dataclass(frozen=True, slots=True)
class SharedSecrets:
    """What another process needs to mask the same secrets: of a long one, only its beginning."""

    lengths: Mapping[str, int]
    characters: frozenset[str]
    exact: frozenset[str]
    words: frozenset[str]


def share_secrets(but: Mapping[str, int] = MappingProxyType({})) -> SharedSecrets:
    """Return the secrets of this process, without the `lengths` that are in `but`."""
    with _lock:
        lengths = {
            each: length for each, length in _secrets.lengths.items() if but.get(each, 0) < length
        }
        return SharedSecrets(
            lengths,
            frozenset(_secrets.characters),
            frozenset(_secrets.exact),
            frozenset(_secrets.words),
        )


def adopt_secrets(secrets: SharedSecrets, *, of_run: bool) -> None:
    """Mask the secrets of another process of this run, too; `of_run` is as in `register`."""
    with _lock:
        if of_run:
            _of_run.update(secrets.lengths.keys() - _secrets.lengths.keys())
        _learn_characters(secrets.characters)
        for beginning, length in secrets.lengths.items():
            _secrets.lengths[beginning] = max(length, _secrets.lengths.get(beginning, 0))
        _secrets.exact = _secrets.exact | secrets.exact
    for word in secrets.words:
        _add_word(word)


def forget_run() -> None:
    """Forget the secrets of the run before: its sessions are not used again."""
    with _lock:
        for beginning in _of_run:
            _secrets.lengths.pop(beginning, None)
        _of_run.clear()


def mask(text: AnyStr) -> AnyStr:
    """Return the text, or the document in UTF-8, without the secrets."""
    known = _secrets
    for value in known.exact:
        if isinstance(text, bytes):
            text = text.replace(value.encode(), MASK.encode())
        else:
            text = text.replace(value, MASK)
    if len(text) < _MIN_LENGTH or not known.lengths:
        return text
    if isinstance(text, bytes):
        if not _has_secret(known, text):
            return text
        return known.pattern_of_bytes.sub(
            lambda match: _mask_run(known, match[0].decode("ascii")).encode(), text
        )
    return known.pattern.sub(lambda match: _mask_run(known, match[0]), text)


def mask_message(text: str) -> str:
    """Return a message without the secrets, and without words that are a short secret."""
    return _secrets.pattern_of_words.sub(MASK, mask(text))


def _add_long(value: str, *, of_run: bool) -> None:
    beginning = value[:_MIN_LENGTH]
    known = _secrets
    with _lock:
        if of_run and beginning not in known.lengths:
            _of_run.add(beginning)
        if not of_run:
            _of_run.discard(beginning)
        # In this order: a thread that finds the secret also finds its characters.
        _learn_characters(value)
        known.lengths[beginning] = max(len(value), known.lengths.get(beginning, 0))


def _learn_characters(characters: Collection[str]) -> None:
    known = _secrets
    if not known.characters.issuperset(characters):
        known.characters.update(characters, "%", hexdigits)
        run = f"[{re.escape(''.join(sorted(known.characters)))}]{{{_MIN_LENGTH},}}"
        known.pattern, known.pattern_of_bytes = re.compile(run), re.compile(run.encode())
        known.blanks = bytes(
            code if chr(code) in known.characters else ord(" ") for code in range(256)
        )


def _add_word(value: str) -> None:
    known = _secrets
    with _lock:
        if value and value not in known.words:
            known.words.add(value)
            words = "|".join(map(re.escape, sorted(known.words, key=len, reverse=True)))
            known.pattern_of_words = re.compile(f"(?<![0-9A-Za-z])(?:{words})(?![0-9A-Za-z])")


def _has_secret(known: _Secrets, document: bytes) -> bool:
    """Tell whether the document has a secret: masking it takes its size in memory once more."""
    if len(known.lengths) <= _FEW and len(document) > _LARGE:
        beginnings = list(known.lengths)
        return any(
            spelling.encode() in document
            for beginning in beginnings
            for spelling in {beginning, quote(beginning, safe="")}
        )
    # Finds what the pattern finds in a fifth of the time; most runs of characters repeat.
    runs = set(document.translate(known.blanks).split())
    texts = (run.decode("ascii") for run in runs if len(run) >= _MIN_LENGTH)
    return any(_mask_run(known, text) is not text for text in texts)


def _mask_run(known: _Secrets, run: str) -> str:
    """Return the run of characters without secrets; the same object if it has none."""
    if "%" in run and _find_secret(known, decoded := unquote(run), 0) is not None:
        run = decoded
    at, end, parts = _find_secret(known, run, 0), 0, []
    if at is None:
        return run
    while at is not None:
        parts += [run[end:at], MASK]
        end = at + known.lengths[run[at : at + _MIN_LENGTH]]  # one that was cut ends with the run
        at = _find_secret(known, run, end)
    return "".join((*parts, run[end:]))


def _find_secret(known: _Secrets, run: str, start: int) -> int | None:
    """Return the position of the next secret."""
    lengths = known.lengths
    starts = range(start, len(run) - _MIN_LENGTH + 1)
    return next((at for at in starts if run[at : at + _MIN_LENGTH] in lengths), None)


# --- documents in pieces --------------------------------------------------------------------------

_PIECE_SIZE = (
    65_536  # bytes; what a piece costs to mask and to write is little beside what is in it
)


def in_pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Join the parts into pieces of whole lines, of about `_PIECE_SIZE` where no line is longer.

    Each piece is masked by itself: no secret has a line break in it, so none lies in two pieces.
    """
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= _PIECE_SIZE and b"\n" in part:
            lines, end, rest = b"".join(waiting).rpartition(b"\n")
            yield lines + end
            waiting, size = [rest], len(rest)
    if size:
        yield b"".join(waiting)
