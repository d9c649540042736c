"""The pictures in docs/images show what the demo shows now."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import chromium, screenshots

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.missing(), reason=chromium.REASON),
]


def without_what_varies(text: str) -> list[str]:
    """The lines; ids, times and durations are of the run."""
    text = re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{6}", "<run>", text)
    text = re.sub(r"(\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\dZ", "<time>", text)
    text = re.sub(r"\d+\.\d s\b", "<seconds>", text)
    return re.sub(r"\bo-[a-z0-9]{10}\b", "<organization>", text).splitlines()


def test_each_picture_shows_what_a_run_shows(tmp_path: Path) -> None:
    screenshots.main(tmp_path)
    made = {path.name: screenshots.description(path) for path in tmp_path.iterdir()}
    kept = {path.name: screenshots.description(path) for path in screenshots.IMAGES.iterdir()}
    assert made.keys() == kept.keys()
    for name, text in made.items():
        assert without_what_varies(kept[name]) == without_what_varies(text), (
            f"docs/images/{name} shows something else; make screenshots"
        )
