"""Sweeps in one process leave nothing behind: bounded forms of `make soak`, and what it finds."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.reliability.soak import Footprint, count_objects, growth

ROOT = Path(__file__).parents[2]
WARM = Footprint(rss_mb=100.0, objects=60_000, threads=1, descriptors=7, connections=0)


@pytest.mark.parametrize(
    ("sweeps", "accounts", "regions"),
    [pytest.param(12, 4, 17, marks=pytest.mark.slow)],
)
def test_nothing_grows_from_sweep_to_sweep(
    sweeps: int, accounts: int, regions: int, record_property: Callable[[str, object], None]
) -> None:
    sizes = {"--sweeps": sweeps, "--accounts": accounts, "--regions": regions}
    options = [word for name, size in sizes.items() for word in (name, str(size))]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.reliability.soak", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = ended.stdout.splitlines()
    record_property("summary", f"soak: {'; '.join(lines[-2:])}{ended.stderr}")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(lines) == sweeps + 1


@pytest.mark.parametrize(
    "grown",
    [
        {"threads": 2},
        {"descriptors": 8},
        {"connections": 1},
        {"objects": 60_009},  # one for each sweep
        {"rss_mb": 110.1},
    ],
)
def test_growth_is_found(grown: dict[str, Any]) -> None:
    (found,) = growth(WARM, WARM, dataclasses.replace(WARM, **grown), 9)
    name = next(iter(grown))
    assert found.startswith("memory" if name == "rss_mb" else name)


def test_no_growth_is_found_where_there_is_none() -> None:
    last = dataclasses.replace(WARM, objects=60_008, rss_mb=110.0)
    assert growth(WARM, WARM, last, 9) == []


def test_an_object_counts_and_an_entry_of_a_foreign_cache_does_not() -> None:
    noise = 20  # what the collector, or another thread, adds and takes at any moment
    count_objects()
    before = count_objects()
    left: list[list[int]] = [[] for _ in range(1000)]
    assert abs(count_objects() - before - len(left)) < noise
    for number in range(1000):
        urlsplit(f"http://127.0.0.1/{number}")
    assert abs(count_objects() - before - len(left)) < noise
