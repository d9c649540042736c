"""report.json: the report as its values stand, each item of a list on a line of its own.

So two reports can be compared with diff, searched with grep, and written without a second copy
of a large organization in memory. Its schema is docs/report.schema.json.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from typing import Any

from sweeper.escaping import hidden
from sweeper.formats import Format
from sweeper.model import Report

_LISTS = frozenset({"accounts", "findings", "skipped", "failures", "deliveries", "trend"})


def render(report: Report) -> bytes:
    """The report as UTF-8 JSON, keys in the order of the model, a newline at the end."""
    out = io.BytesIO()
    separator = "{\n"
    for field in fields(report):
        value = getattr(report, field.name)
        out.write(f'{separator}  "{field.name}": '.encode())
        if field.name in _LISTS:
            _write_items(out, value)
        else:
            out.write(encoded(value).encode())
        separator = ",\n"
    out.write(b"\n}\n")
    return out.getvalue()


def _write_items(out: io.BytesIO, items: Any) -> None:
    before = b"[\n    "
    for item in items:
        out.write(before + encoded(item).encode())
        before = b",\n    "
    out.write(b"\n  ]" if items else b"[]")


def encoded(value: Any) -> str:
    """A report's value as JSON on one line; what a terminal would obey or hide is an escape."""
    text = _ENCODER.encode(value)
    if not (text.isascii() and text.isprintable()):
        text = "".join(json.dumps(char)[1:-1] if hidden(char) else char for char in text)
    return text


def _default(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in a report")


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_default)

FORMAT = Format("json", "json", "application/json", render)
