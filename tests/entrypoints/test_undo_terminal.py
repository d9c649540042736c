"""An undo at a terminal: what is shown before anything is opened, and who says yes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from sweeper.entrypoints.undo_runner import CLOSES_AGAIN
from sweeper.reporting.undo_text import MOST_ASKED
from tests.cases import case
from tests.end_to_end.harness import UNDO, environment, run, small_world, writes
from tests.fake_aws.process import FakeAws

TIMEOUT_SECONDS = 120


@pytest.fixture(scope="module")
def aws() -> Iterator[FakeAws]:
    with FakeAws(small_world(accounts=2, regions=1)) as process:
        yield process


def at_terminal(aws: FakeAws, directory: Path, answer: str) -> tuple[str, str, str, int | None]:
    """What is shown before the question, the question, what is told after it, the exit status."""
    child = pexpect.spawn(
        UNDO[0],
        [*UNDO[1:], "out/report.json"],
        cwd=str(directory),
        env=environment(
            aws, TERM="xterm-256color", COLUMNS=None, XDG_STATE_HOME=str(directory / "state")
        ),
        dimensions=(60, 200),
        encoding="utf-8",
        timeout=TIMEOUT_SECONDS,
    )
    child.expect(r"\n[^\n]* \[y/N\]")
    shown, asked = str(child.before), str(child.after)
    assert writes(aws) == []
    child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    return shown, asked, str(child.before), child.exitstatus


def test_a_person_is_shown_what_is_opened_and_asked_once(aws: FakeAws, tmp_path: Path) -> None:
    before = aws.repositories()
    swept = run(aws, tmp_path, config={})
    closed = aws.repositories()
    due = swept.report["totals"]["changes"]["applied"]
    for answer, status, outcome, after in (
        ("n", 3, "withheld", closed),
        ("y", 0, "restored", before),
    ):
        with case(answer):
            aws.reset_statistics()
            shown, asked, told, ended = at_terminal(aws, tmp_path, answer)
            assert ended == status
            for each in (f" {due} ", " 2 accounts ", swept.report["run"]["id"], "out/report.json"):
                assert each in asked
            assert shown.count(" -> ") == min(due, MOST_ASKED)
            for each in swept.report["findings"][:MOST_ASKED]:
                place = f"{each['region']}  {each['repository']}: "
                assert f"{place}IMMUTABLE -> {each['mutability']}" in shown
            assert CLOSES_AGAIN in shown
            assert (CLOSES_AGAIN in told) is (answer == "y")
            assert aws.repositories() == after
            report = json.loads((tmp_path / "out" / "undo.json").read_text(encoding="utf-8"))
            assert report["totals"][outcome] == due
            assert report["run"]["id"] in told
