from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.measure import ContenderFailed
from benchmarks.tables import Goal, Section

MET, MISSED = Goal("met", 1, 3), Goal("missed", 4, 3)


def run(monkeypatch: pytest.MonkeyPatch, *options: str, goal: Goal = MISSED) -> int:
    section = Section("imports", "Start-up", ("start", "CPU s"), (("python", "0.1"),), (goal,))
    for name in command.SCENARIOS:
        monkeypatch.setitem(command.SCENARIOS, name, lambda: [section])
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--output", "here/result.json", *options])
    return command.main()


@pytest.mark.parametrize(
    ("options", "goal", "status"),
    [((), MISSED, 0), (("--check",), MISSED, 1), (("--check",), MET, 0)],
)
def test_a_missed_goal_counts_only_when_checked(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], goal: Goal, status: int
) -> None:
    assert run(monkeypatch, *options, goal=goal) == status


def test_the_result_is_printed_and_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "--scenario", "imports", "--peers")
    printed = capsys.readouterr().out
    assert printed.count("MISS  missed: 4.000 (<= 3)") == 2
    assert "2 goals missed" in printed
    written = json.loads(Path("here/result.json").read_text())
    assert [each["goals"][0]["met"] for each in written["sections"]] == [False, False]
    assert written["machine"]["packages"]["botocore"]


@pytest.mark.parametrize(
    ("options", "names"), [((), command.QUICK), (("--full",), command.FULL)], ids=["quick", "full"]
)
def test_what_is_measured(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], names: tuple[str, ...]
) -> None:
    run(monkeypatch, *options)
    assert len(json.loads(Path("here/result.json").read_text())["sections"]) == len(names)


def test_a_contender_that_fails_ends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing() -> list[Section]:
        raise ContenderFailed("floor: exit status 1")

    monkeypatch.setitem(command.SCENARIOS, "imports", failing)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--scenario", "imports", "--output", "r.json"])
    assert command.main() == 1
    assert "floor: exit status 1" in capsys.readouterr().err


@pytest.mark.slow
def test_the_goals_that_a_busy_machine_can_check_are_met(tmp_path: Path) -> None:
    options = ("--check", "--scenario", "small", "--output", str(tmp_path / "result.json"))
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", *options],
        cwd=Path(command.__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("PASS  ") == 2
