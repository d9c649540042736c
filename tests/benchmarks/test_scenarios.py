"""Every scenario of the benchmarks on a small organization, where figures of time mean nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from benchmarks import extremes, scenarios
from benchmarks.__main__ import SCENARIOS
from benchmarks.distributed import distributed
from benchmarks.html_report import html_report
from benchmarks.tables import Section
from tests import chromium

pytestmark = pytest.mark.slow

SMALL: dict[str, Callable[[], list[Section]]] = {
    "organization": partial(scenarios.organization, accounts=2, rounds=1),
    "first_sweep": partial(scenarios.first_sweep, accounts=2, rounds=1),
    "real_names": partial(scenarios.real_names, accounts=2, rounds=1),
    "large": partial(scenarios.large, some=1, most=2, rounds=1),
    "processes": partial(scenarios.processes, accounts=2, rounds=1),
    "distributed": partial(distributed, accounts=4, workers=2),
    "memory": partial(scenarios.memory, accounts=2),
    "findings": partial(extremes.findings, 50),
    "denied": partial(extremes.denied, 3),
    "throttling": partial(scenarios.throttling, accounts=3, throttled=1),
}
OF_TIME = ("CPU", "duration", "time", "s to interactive")


def hold(sections: list[Section]) -> None:
    """Each contender found the truth, each goal was measured, and those not of time are met."""
    assert sections
    for section in sections:
        assert "WRONG" not in str(section.rows)
        for goal in section.goals:
            assert goal.value is not None, goal
            assert goal.met or any(word in goal.text for word in OF_TIME), goal


@pytest.mark.parametrize("name", SMALL)
def test_a_scenario(name: str) -> None:
    hold(SMALL[name]())


@pytest.mark.skipif(chromium.missing(), reason=chromium.REASON)
def test_the_html_report() -> None:
    hold(html_report(((100, 500),)))


def test_start_up_is_checked_by_the_command(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    command = (*(sys.executable, "-m", "benchmarks"), "--scenario", "imports", "--check")
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [*command, "--output", str(result)], cwd=root, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (section,) = json.loads(result.read_text(encoding="utf-8"))["sections"]
    assert [goal["met"] for goal in section["goals"]] == [True, True]


def test_no_scenario_is_left_out() -> None:
    # `small` is run by test_command; the other tools are not installed here: their commands and
    # answers are tested in test_peers.
    assert {*SMALL, "imports", "html"} == SCENARIOS.keys() - {"peers", "small"}
