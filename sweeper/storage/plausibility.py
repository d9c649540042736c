"""What no sweep writes, though its type allows it: it would be shown, compared and carried on."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any

MAX_TEXT = 100_000  # characters; nothing that AWS names is nearly as long
_MAX_COUNT = 10**9
_TIMES = (".started_at", ".finished_at", ".closed_at", ".last_seen", ".captured_at", ".updated_at")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def is_time(text: str) -> bool:
    """Whether it is a time as a report has it; such compare as text."""
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def find_implausible(place: str, value: Any) -> tuple[str, str] | None:
    """Return the place of what no sweep wrote, and what is wrong with it; None if there is none.

    `place` is the dotted path of the value.
    """
    kind: Any = type(value)
    inner = value if kind in (tuple, list) else value.values() if kind is dict else ()
    for name in field_names(kind):
        if found := find_implausible(f"{place}.{name}", getattr(value, name)):
            return found
    for each in inner:
        if found := find_implausible(place, each):
            return found
    problem = None
    if kind is str:
        if len(value) > MAX_TEXT:
            problem = f"longer than {MAX_TEXT:,} characters"
        elif place.endswith(_TIMES) and not is_time(value):
            problem = "not a time"
    elif kind is float and not 0 <= value <= 1:  # NaN is not, either
        problem = "not a share from 0 to 1"
    elif kind is int and not 0 <= value <= _MAX_COUNT:
        problem = "not a count"
    return (place, problem) if problem else None


@cache
def field_names(kind: Any) -> tuple[str, ...]:
    """Return the names of a dataclass's fields; none for any other type."""
    return tuple(each.name for each in fields(kind)) if is_dataclass(kind) else ()
