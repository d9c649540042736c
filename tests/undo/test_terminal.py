"""An undo at a terminal: what is shown before anything is opened, and who says yes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from sweeper.undo.conduct import CLOSES_AGAIN
from sweeper.undo.text import MOST_ASKED
from tests.end_to_end.harness import UNDO, environment, run, small_world, writes
from tests.fake_aws.process import FakeAws

TIMEOUT_SECONDS = 120


@pytest.fixture(scope="module")
def aws() -> Iterator[FakeAws]:
    with FakeAws(small_world(accounts=2, regions=1)) as process:
        yield process


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 3)])
def test_a_person_is_shown_what_is_opened_and_asked_once(
    aws: FakeAws, tmp_path: Path, answer: str, status: int
) -> None:
    aws.load(small_world(accounts=2, regions=1))
    before = aws.repositories()
    swept = run(aws, tmp_path, config={})
    closed = aws.repositories()
    aws.reset_statistics()
    child = pexpect.spawn(
        UNDO[0],
        [*UNDO[1:], "out/report.json"],
        cwd=str(tmp_path),
        env=environment(
            aws, TERM="xterm-256color", COLUMNS=None, XDG_STATE_HOME=str(tmp_path / "state")
        ),
        dimensions=(60, 200),
        encoding="utf-8",
        timeout=TIMEOUT_SECONDS,
    )
    asking = r"About to put \d+ repositories of 2 accounts back to what they were"
    child.expect(rf"{asking}.*Go on\? \[y/N\]")
    shown, asked = str(child.before), str(child.after)
    due = swept.report["totals"]["changes"]["applied"]
    assert asked.startswith(f"About to put {due} repositories")
    assert swept.report["run"]["id"] in asked
    assert "(report: out/report.json)" in asked
    assert shown.count(" -> ") == min(due, MOST_ASKED)
    for each in swept.report["findings"][:MOST_ASKED]:
        assert f"{each['region']}  {each['repository']}: IMMUTABLE -> {each['mutability']}" in shown
    assert f"warning: {CLOSES_AGAIN}" in shown
    assert "remediation.enabled" not in shown
    assert writes(aws) == []
    child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == status
    assert aws.repositories() == (before if answer == "y" else closed)
    report = json.loads((tmp_path / "out" / "undo.json").read_text(encoding="utf-8"))
    expected = "restored" if answer == "y" else "withheld"
    assert report["totals"][expected] == due
    told = str(child.before)
    assert f"Undo {report['run']['id']} of sweep" in told
    assert (f"Remember: {CLOSES_AGAIN}" in told) is (answer == "y")
    assert ("Nothing was changed: you did not say yes." in told) is (answer == "n")
