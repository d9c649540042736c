"""Values as JSON: each item of a list on a line of its own, keys in the order of the model."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from typing import Any

from sweeper.domain.escaping import is_hidden
from sweeper.domain.report_model import SinceLast


def document(value: Any) -> bytes:
    """A dataclass in this form."""
    out = io.BytesIO()
    _write(out, value, "\n")
    out.write(b"\n")
    return out.getvalue()


def _write(out: io.BytesIO, value: Any, newline: str) -> None:
    separator = "{"
    for field in fields(value):
        item = getattr(value, field.name)
        out.write(f'{separator}{newline}  "{field.name}": '.encode())
        if isinstance(item, list | tuple):
            _write_items(out, item, f"{newline}  ")
        elif isinstance(item, SinceLast):
            _write(out, item, f"{newline}  ")
        else:
            out.write(encoded(item).encode())
        separator = ","
    out.write(f"{newline}}}".encode())


def _write_items(out: io.BytesIO, items: Any, newline: str) -> None:
    before = f"[{newline}  ".encode()
    between = f",{newline}  ".encode()
    for item in items:
        out.write(before + encoded(item).encode())
        before = between
    out.write(f"{newline}]".encode() if items else b"[]")


def encoded(value: Any) -> str:
    """A report's value as JSON on one line; what a terminal would obey or hide is an escape."""
    text = _ENCODER.encode(value)
    if not (text.isascii() and text.isprintable()):
        text = "".join(json.dumps(char)[1:-1] if is_hidden(char) else char for char in text)
    return text


def encode_line(value: object) -> bytes:
    """Return the value as a line of a file of JSON lines, in valid UTF-8."""
    line = encoded(value)
    if "\\ud" in line:  # perhaps half of a character, which is no text to whoever reads this
        whole = json.dumps(json.loads(line), ensure_ascii=False).encode(errors="replace")
        line = encoded(json.loads(whole))
    return line.encode() + b"\n"


def _default(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in a report")


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_default)
