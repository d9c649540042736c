"""`sweeper runs`: interrupted runs are listed, and discarded after a question."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.end_to_end.barriers import hold, wait_until_held
from tests.end_to_end.harness import Ended, Here, end, run, small_world, start
from tests.fake_aws.process import FakeAws


def journals(directory: Path) -> list[str]:
    return sorted(path.stem for path in (directory / "state" / "sweeper").glob("*.journal"))


@pytest.fixture
def interrupted(aws: FakeAws, tmp_path: Path) -> str:
    """The id of a run that was killed while it changed something."""
    aws.load(small_world(accounts=2, regions=1))
    hold(aws, "PutImageTagMutability", skip=1)
    process = start(aws, tmp_path, config={"limits": {"max_workers": 1}})
    wait_until_held(aws, process)
    process.kill()
    end(process, tmp_path)
    aws.faults([])
    (name,) = journals(tmp_path)
    return name


class Person:
    """Somebody at the keyboard, with one answer."""

    closed = False

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return f"{self._answer}\n"


def discard(
    aws: FakeAws, here: Here, name: str, answer: str, monkeypatch: pytest.MonkeyPatch
) -> Ended:
    monkeypatch.setattr(sys, "stdin", Person(answer))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    return here.command(aws, "runs", "discard", name)


def test_an_interrupted_run_is_listed_with_what_resumes_it(
    aws: FakeAws, here: Here, tmp_path: Path, interrupted: str
) -> None:
    listed = here.command(aws, "runs")
    head, line = listed.stdout.splitlines()
    assert listed.status == 0
    assert head.split() == ["RUN", "KIND", "STARTED", "RESUME", "WITH"]
    assert line.startswith(f"{interrupted}  sweep ")
    assert line.endswith(f"sweeper run --resume {interrupted}")
    (tmp_path / "state" / "sweeper" / "torn.journal").write_bytes(b"damaged\n")
    assert "torn " in here.command(aws, "runs").stdout
    assert here.command(aws, "runs", "discard", "torn", "--yes").status == 0
    ended = run(aws, tmp_path, "--resume", interrupted)
    assert ended.status == 0
    nothing = here.command(aws, "runs")
    assert (nothing.status, nothing.stdout) == (0, "")
    assert "no interrupted run" in nothing.stderr


def test_a_run_that_is_going_on_is_none_of_them(
    aws: FakeAws, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.load(small_world(accounts=2, regions=1))
    hold(aws, "DescribeRepositories")
    process = start(aws, tmp_path)
    try:
        wait_until_held(aws, process)
        (name,) = journals(tmp_path)
        assert here.command(aws, "runs").stdout == ""
        assert here.command(aws, "runs", "discard", name, "--yes").status == 2
        assert journals(tmp_path) == [name]
    finally:
        process.kill()
        end(process, tmp_path)
        aws.faults([])
    ended = discard(aws, here, name, "n", monkeypatch)
    assert "It changed nothing. Discard it?" in ended.stderr
    (tmp_path / "state" / "sweeper" / f"{name}.journal").write_bytes(b"damaged\n")
    ended = discard(aws, here, name, "y", monkeypatch)
    assert "cannot be resumed any more. Discard it?" in ended.stderr
    assert journals(tmp_path) == []


def test_a_run_is_discarded_after_a_question_or_with_yes(
    aws: FakeAws, here: Here, tmp_path: Path, interrupted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = here.command(aws, "runs", "discard", interrupted)
    assert refused.status == 2
    assert "--yes" in refused.stderr
    unknown = here.command(aws, "runs", "discard", "20260101T000000Z-000000", "--yes")
    assert unknown.status == 2
    assert "no interrupted run" in unknown.stderr

    declined = discard(aws, here, interrupted, "n", monkeypatch)
    assert declined.status == 0
    assert "cannot be resumed any more. Its journal records 1 change, and 1 " in declined.stderr
    assert journals(tmp_path) == [interrupted]
    assert discard(aws, here, interrupted, "y", monkeypatch).status == 0
    assert journals(tmp_path) == []
    resumed = here.run(aws, "--resume", interrupted)
    assert resumed.status == 2


def test_with_yes_nobody_is_asked(
    aws: FakeAws, here: Here, tmp_path: Path, interrupted: str
) -> None:
    ended = here.command(aws, "runs", "discard", interrupted, "--yes")
    assert (ended.status, ended.stdout) == (0, "")
    assert f"{interrupted} was discarded" in ended.stderr
    assert journals(tmp_path) == []


def test_a_person_is_told_in_one_sentence(
    aws: FakeAws, here: Here, interrupted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown = here.run(aws, "--dry-run").stderr
    assert interrupted not in shown.partition("Summary")[0]
    assert "warning: One interrupted run: see `sweeper runs`." in shown
