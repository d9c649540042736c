"""The command line as a person at a terminal meets it, and as a machine does."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from sweeper.entrypoints.terminal import _LISTED_CHANGES
from tests.end_to_end.barriers import hold, release_slowly
from tests.end_to_end.harness import (
    COMMAND,
    changes,
    environment,
    open_repositories,
    small_world,
    write_config,
    writes,
)
from tests.fake_aws.process import FakeAws

TIMEOUT_SECONDS = 120
QUESTION = r"About to set .* Go on\? \[y/N\]"
WORLD = small_world(accounts=3, regions=2)


@pytest.fixture(scope="module")
def process() -> Iterator[FakeAws]:
    with FakeAws(WORLD) as aws:
        yield aws


@pytest.fixture
def aws(process: FakeAws) -> FakeAws:
    process.load(WORLD)
    return process


class Terminal:
    """The command at a pseudo-terminal; `shell` may redirect what is not to be the terminal."""

    def __init__(
        self,
        aws: FakeAws,
        directory: Path,
        *options: str,
        shell: str = "",
        command: tuple[str, ...] = (*COMMAND, "--output", "out"),
    ) -> None:
        line = f"{shlex.join((*command, *options))} {shell}"
        self._directory = directory
        self._child = pexpect.spawn(
            "/bin/sh",
            ["-c", f"exec {line}"],
            cwd=str(directory),
            env=environment(
                aws,
                TERM="xterm-256color",
                COLUMNS=None,
                XDG_STATE_HOME=str(directory / "state"),
            ),
            dimensions=(60, 200),
            encoding="utf-8",
            timeout=TIMEOUT_SECONDS,
        )
        self.shown = ""

    def asked(self) -> None:
        self._child.expect(QUESTION)
        self.shown += str(self._child.before) + str(self._child.after)

    def answer(self, text: str) -> None:
        self._child.sendline(text)

    def wait_until_held(self, aws: FakeAws) -> None:
        """Wait until a call is held; the command cannot end by itself then."""
        while not aws.statistics().held:
            assert self._child.isalive(), "the run ended before a call was held"
            time.sleep(0.02)

    def interrupt(self) -> None:
        self._child.sendintr()

    def ended(self) -> int:
        """Read what is left; the exit status."""
        self._child.expect(pexpect.EOF)
        self.shown += str(self._child.before)
        self._child.close()
        status = self._child.exitstatus
        assert status is not None, f"ended by signal {self._child.signalstatus}"
        return int(status)

    @property
    def report(self) -> Any:
        return json.loads((self._directory / "out" / "report.json").read_text(encoding="utf-8"))


def test_progress_and_a_summary_are_shown(aws: FakeAws, tmp_path: Path) -> None:
    terminal = Terminal(aws, tmp_path, "--dry-run")
    assert terminal.ended() == 3
    for text in ("accounts opened", "targets examined", "Summary", "directory: delivered out"):
        assert text in terminal.shown
    assert '"event"' not in terminal.shown
    assert not re.search(QUESTION, terminal.shown)
    assert writes(aws) == []


def test_nothing_is_written_without_a_yes(aws: FakeAws, tmp_path: Path) -> None:
    terminal = Terminal(aws, tmp_path)
    terminal.asked()
    assert writes(aws) == []
    terminal.answer("")  # "n" is asked of an undo
    assert terminal.ended() == 3
    assert writes(aws) == []
    assert changes(terminal.report) == {("withheld", "not_confirmed")}
    assert len(re.findall(QUESTION, terminal.shown)) == 1


def test_after_ctrl_c_the_bar_and_the_summary_say_the_same(aws: FakeAws, tmp_path: Path) -> None:
    write_config(tmp_path, {"limits": {"max_workers": 1}})
    hold(aws, "DescribeRepositories", skip=2)
    terminal = Terminal(aws, tmp_path, "--dry-run")
    terminal.wait_until_held(aws)
    terminal.interrupt()
    release_slowly(aws, "DescribeRepositories")
    assert terminal.ended() == 4
    targets = terminal.report["totals"]["targets"]
    assert 0 < targets["examined"] < targets["planned"]
    bars = re.findall(r"targets examined.*?(\d+)/(\d+)", terminal.shown)
    assert bars[-1] == (str(targets["examined"]), str(targets["planned"]))


def test_ctrl_c_at_the_question_is_a_no(aws: FakeAws, tmp_path: Path) -> None:
    terminal = Terminal(aws, tmp_path)
    terminal.asked()
    terminal.interrupt()
    assert terminal.ended() == 3
    assert writes(aws) == []
    assert changes(terminal.report) == {("withheld", "not_confirmed")}
    assert "Traceback" not in terminal.shown


def test_everything_is_written_after_one_yes_and_json_alone_goes_to_stdout(
    aws: FakeAws, tmp_path: Path
) -> None:
    count = len(open_repositories(aws))
    terminal = Terminal(aws, tmp_path, "--format", "json", shell="> printed.json")
    terminal.asked()
    (question,) = re.findall(QUESTION, terminal.shown)
    assert re.findall(r"\d+", question) == [str(count), "3"]
    terminal.answer("y")
    assert terminal.ended() == 0
    assert len(writes(aws)) == count
    assert open_repositories(aws) == {}
    assert len(re.findall(QUESTION, terminal.shown)) == 1
    printed = json.loads((tmp_path / "printed.json").read_text(encoding="utf-8"))
    assert printed["totals"] == terminal.report["totals"]
    assert "Summary" in terminal.shown
    assert "schema_version" not in terminal.shown


def test_a_reviewed_dry_run_is_applied_after_one_yes(aws: FakeAws, tmp_path: Path) -> None:
    count = len(open_repositories(aws))
    assert Terminal(aws, tmp_path, "--dry-run").ended() == 3
    reviewed = tmp_path / "out" / "report.json"
    review = reviewed.read_text(encoding="utf-8")
    run_id = json.loads(review)["run"]["id"]
    apply = (*COMMAND[:-1], "apply", "--output", "out", "out/report.json")
    for answer, status, written in (("n", 3, 0), ("y", 0, count)):
        terminal = Terminal(aws, tmp_path, command=apply)
        terminal.asked()
        (question,) = re.findall(QUESTION, terminal.shown)
        assert f"apply of run {run_id} " in question
        assert terminal.shown.count(" -> ") == min(count, _LISTED_CHANGES)
        assert writes(aws) == []
        terminal.answer(answer)
        assert terminal.ended() == status
        assert len(writes(aws)) == written
        (own,) = re.findall(r"delivered (out/\S+)", terminal.shown)
        made = json.loads((tmp_path / own / "report.json").read_text(encoding="utf-8"))
        assert made["run"]["kind"] == "apply"
        assert reviewed.read_text(encoding="utf-8") == review
    assert open_repositories(aws) == {}


def test_nothing_is_asked_when_nothing_is_to_be_written(aws: FakeAws, tmp_path: Path) -> None:
    write_config(tmp_path, {"remediation": {"max_changes": 1}})
    terminal = Terminal(aws, tmp_path)
    assert terminal.ended() == 3
    assert not re.search(QUESTION, terminal.shown)
    assert changes(terminal.report) == {("withheld", "max_changes")}


@pytest.mark.parametrize(
    ("shell", "missing", "then"),
    [("< /dev/null", "stdin", "< /dev/null"), ("2> errors", "stderr", "")],
)
def test_who_cannot_be_asked_changes_nothing_and_yes_is_not_asked(
    aws: FakeAws, tmp_path: Path, shell: str, missing: str, then: str
) -> None:
    terminal = Terminal(aws, tmp_path, shell=shell)
    assert terminal.ended() == 2
    errors = tmp_path / "errors"
    shown = errors.read_text(encoding="utf-8") if errors.exists() else terminal.shown
    assert f"{missing} is not a terminal" in shown
    assert "--yes" in shown
    assert writes(aws) == []
    unasked = Terminal(aws, tmp_path, "--yes", shell=then)
    assert unasked.ended() == 0
    assert not re.search(QUESTION, unasked.shown)
    assert open_repositories(aws) == {}


@pytest.mark.slow  # test_terminal.py has them shown, end_to_end/test_hostile_names.py swept
def test_hostile_names_do_nothing_to_a_terminal(aws: FakeAws, tmp_path: Path) -> None:
    names = ("[red]x[/red]", "a\x07\x1b[2Jb", "two\nlines", "to\u202eleft")
    world = small_world(accounts=len(names), regions=1)
    accounts = tuple(
        dataclasses.replace(account, name=name)
        for account, name in zip(world.accounts, names, strict=True)
    )
    aws.load(dataclasses.replace(world, accounts=accounts))
    terminal = Terminal(aws, tmp_path, "--dry-run")
    assert terminal.ended() == 3
    for text in ("[red]x[/red]", r"a\x07\x1b[2Jb", r"two\x0alines", r"to\u202eleft"):
        assert text in terminal.shown
    for character in ("\x07", "\x1b[2J", "\u202e"):
        assert character not in terminal.shown


def test_preflight_shows_progress_and_what_is_wrong(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(small_world(accounts=3, regions=2, role={"exists": False}))
    terminal = Terminal(aws, tmp_path, command=(*COMMAND[:-1], "preflight"))
    assert terminal.ended() == 4
    for text in ("accounts opened", "assume_role_denied", "Exit status 4."):
        assert text in terminal.shown
    assert "\x1b[1;31m" in terminal.shown  # in colour
    assert '"event"' not in terminal.shown
    assert writes(aws) == []
