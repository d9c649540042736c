"""Golden texts: one for each format, compared whole. `make goldens` writes them anew."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

TEXTS = Path(__file__).with_name("texts")


def assert_golden(name: str, content: str | bytes) -> None:
    """Compare with the golden text of that name."""
    made = content if isinstance(content, bytes) else content.encode()
    path = TEXTS / name
    if os.environ.get("WRITE_GOLDENS"):
        path.write_bytes(made)
    expected = path.read_bytes()
    assert made.decode() == expected.decode(), f"{path.name} differs; if it should: make goldens"


def sections(parts: Mapping[str, str]) -> str:
    """Several texts in one, each below its name."""
    return "".join(f"==== {name}\n{text.rstrip()}\n\n" for name, text in parts.items())
