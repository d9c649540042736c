"""The bounded form of `python -m tests.reliability.soak`, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_nothing_grows_from_sweep_to_sweep(record_property: Callable[[str, object], None]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.reliability.soak", "--sweeps", "12", "--accounts", "4"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = ended.stdout.splitlines()
    record_property("summary", f"soak: {lines[-2]}; {lines[-1]}" if lines[1:] else ended.stderr)
    assert (ended.returncode, ended.stderr) == (0, "")
