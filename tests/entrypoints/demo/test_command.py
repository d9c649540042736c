"""The demo as a person runs it, twice in one directory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases import case


@pytest.mark.slow
def test_a_second_demo_begins_anew_and_each_shows_undo_and_apply(tmp_path: Path) -> None:
    for name in ("sweeper-demo", "sweeper-demo-2"):
        with case(name):
            ended = subprocess.run(
                [sys.executable, "-m", "sweeper", "demo"],
                capture_output=True,
                text=True,
                cwd=tmp_path,
                check=True,
            )
            first = json.loads((tmp_path / name / "report.json").read_text(encoding="utf-8"))
            changed = first["totals"]["changes"]["applied"]
            assert first["since_last"]["reopened"] == 0
            assert f" {changed} reverted, " in ended.stderr
            assert f" {changed} reviewed changes made" in ended.stderr
            # What it prints works after it has ended: there is no organization then.
            assert "To undo it: " not in ended.stderr
    assert {each.name for each in tmp_path.iterdir()} == {"sweeper-demo", "sweeper-demo-2"}
