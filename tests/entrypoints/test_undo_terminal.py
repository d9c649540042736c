"""An undo at a terminal: what is shown before anything is opened, and who says yes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from sweeper.entrypoints.runner import REMEDIATION_STILL_ENABLED
from sweeper.entrypoints.terminal import LISTED_CHANGES
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


def last_undo(directory: Path) -> Any:
    """The report of the undo that ended last."""
    paths = directory.glob("*/report.json")
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    undos = [report["run"] | report for report in reports if report["run"]["kind"] == "undo"]
    return max(undos, key=lambda report: report["started_at"])


def test_a_person_is_shown_what_is_opened_and_asked_once(aws: FakeAws, tmp_path: Path) -> None:
    before = aws.repositories()
    swept = run(aws, tmp_path, config={})
    closed = aws.repositories()
    earlier = swept.report
    due = earlier["totals"]["changes"]["applied"]
    for answer, status, outcome, after in (
        ("n", 3, "withheld", closed),
        ("y", 0, "applied", before),
    ):
        with case(answer):
            aws.reset_statistics()
            shown, asked, told, ended = at_terminal(aws, tmp_path, answer)
            assert ended == status
            assert sum(map(int, re.findall(r"(\d+) repositor", asked))) == due
            for each in (" 2 accounts ", earlier["run"]["id"], "report out/report.json"):
                assert each in asked
            assert shown.count(" -> ") == min(due, LISTED_CHANGES)
            for each in earlier["findings"][:LISTED_CHANGES]:
                place = f"{each['region']}  {each['repository']}: "
                assert f"{place}IMMUTABLE -> {each['mutability']}" in shown
            assert REMEDIATION_STILL_ENABLED in shown
            assert (REMEDIATION_STILL_ENABLED in told) is (answer == "y")
            assert aws.repositories() == after
            report = last_undo(tmp_path / "out")
            assert report["totals"]["changes"][outcome] == due
            assert f"out/{report['run']['id']}" in told
            latest = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
            assert latest == earlier
