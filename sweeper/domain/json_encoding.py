"""Encode values as JSON: each item of a list on its own line, keys in the order of the model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from datetime import date
from itertools import chain
from typing import Any

from sweeper.domain.escaping import is_hidden
from sweeper.domain.masking import in_pieces
from sweeper.domain.model import Organization
from sweeper.domain.report_model import ConfigInventory, SinceLast


def document(value: Any) -> Iterator[bytes]:
    """Yield a dataclass as UTF-8 JSON, keys in the order of the model, a newline at the end."""
    return in_pieces(text.encode() for text in chain(_members(value, "\n"), ("\n",)))


def _members(value: Any, newline: str) -> Iterator[str]:
    separator = "{"
    for name in value.__dataclass_fields__:
        item = getattr(value, name)
        yield f'{separator}{newline}  "{name}": '
        if isinstance(item, list | tuple):
            yield from _items(item, f"{newline}  ")
        elif isinstance(item, ConfigInventory | Organization | SinceLast):
            yield from _members(item, f"{newline}  ")
        else:
            yield encode_value(item)
        separator = ","
    yield f"{newline}}}"


def _items(items: Iterable[Any], newline: str) -> Iterator[str]:
    before = f"[{newline}  "
    between = f",{newline}  "
    for item in items:
        yield before + encode_value(item)
        before = between
    yield f"{newline}]" if before is between else "[]"


def encode_value(value: Any) -> str:
    """Return a report's value as JSON on one line, hidden and control characters escaped."""
    text = _ENCODER.encode(value)
    if not (text.isascii() and text.isprintable()):
        text = "".join(json.dumps(char)[1:-1] if is_hidden(char) else char for char in text)
    return text


def encode_line(value: object) -> bytes:
    """Return the value as a line of a file of JSON lines, in valid UTF-8."""
    line = encode_value(value)
    if "\\ud" in line:  # perhaps a lone surrogate, which is no valid text
        whole = json.dumps(json.loads(line), ensure_ascii=False).encode(errors="replace")
        line = encode_value(json.loads(whole))
    return line.encode() + b"\n"


def _default(value: Any) -> Any:
    if is_dataclass(value):
        # Not `fields`, which inspects the class again for every item of a report.
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in a report")


# Frozen values have no circular references.
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, default=_default
)
