"""Reads differences.md, where every known difference stands with who is right and why."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contract.answers import ABSENT

FILE = Path(__file__).with_name("differences.md")
PEERS = ("moto", "ministack")
SAME = "="
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Row:
    """What differs at one place of one step's answer, by endpoint; `SAME` is the fake's answer."""

    step: str
    path: str
    fake: str
    peers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Section:
    """Differences of one cause."""

    title: str
    right: str
    why: str
    rows: tuple[Row, ...]


def shown(value: Any) -> str:
    """Give a value as a cell of the table has it."""
    if value == ABSENT:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value)
    text = re.sub(r"[\s|]+", " ", text) or '""'
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def read(text: str) -> Iterator[Section]:
    """Give the sections of the document."""
    for part in text.split("\n## ")[1:]:
        title, _, rest = part.partition("\n")
        said = [line for line in rest.splitlines() if line and not line.startswith("|")]
        right, why = said[0].removeprefix("Right: ").rstrip("."), " ".join(said[1:])
        lines = [line for line in rest.splitlines() if line.startswith("|")][2:]
        rows = tuple(row for line in lines for row in _rows(line))
        yield Section(title, right, why, rows)


def _rows(line: str) -> Iterator[Row]:
    steps, path, fake, *peers = (cell.strip() for cell in line.strip("|").split("|"))
    for step in steps.split("; "):
        yield Row(step, path, fake, dict(zip(PEERS, peers, strict=True)))
