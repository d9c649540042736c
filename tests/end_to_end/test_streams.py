"""Streams that are closed or full change no exit status of what was done, and print no trace."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.cases import case
from tests.end_to_end.harness import COMMAND, environment, small_world
from tests.fake_aws.process import FakeAws

WORLD = small_world(accounts=2, regions=1)
TIMEOUT_SECONDS = 300


def shell(
    aws: FakeAws, directory: Path, redirection: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run sweeper with the streams that the shell makes of `redirection`."""
    directory.mkdir(exist_ok=True)
    line = f"exec {shlex.join((*COMMAND[:-1], *arguments))} {redirection}"
    return subprocess.run(
        ["/bin/sh", "-c", line],
        check=False,
        cwd=directory,
        env=environment(aws, XDG_STATE_HOME=str(directory / "state")),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT_SECONDS,
    )


@pytest.mark.parametrize(
    "redirection",
    [
        ">&-",
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in ("<&- >&- 2>&-", ">&- 2>/dev/full")
        ),
    ],
)
def test_a_run_ends_with_its_own_status(aws: FakeAws, tmp_path: Path, redirection: str) -> None:
    aws.load(WORLD)
    arguments = ("run", "--dry-run", "--output", "out", "--format", "text")
    ended = shell(aws, tmp_path, redirection, *arguments)
    assert ended.returncode == 3, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["coverage"]["complete"]
    # Nothing that was meant for the streams stands where another file was opened.
    assert '"event"' not in (tmp_path / "out" / "report.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("redirection", [">&-", pytest.param(">&- 2>&-", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--help",), 0),
        (("config", "show"), 0),
        (("run", "--no-such-option"), 2),
        (("report", "missing.json"), 2),
    ],
)
def test_every_command_ends_with_its_own_status(
    aws: FakeAws, tmp_path: Path, redirection: str, arguments: tuple[str, ...], status: int
) -> None:
    ended = shell(aws, tmp_path, redirection, *arguments)
    assert (ended.returncode, "Traceback" in ended.stderr) == (status, False)


def left_by_its_reader(
    aws: FakeAws, directory: Path, redirection: str, *arguments: str
) -> tuple[int, str]:
    """Run sweeper in a pipe whose reader has left when it starts; the status, and stderr."""
    command = f"{shlex.join((*COMMAND[:-1], *arguments))} {redirection}"
    # The reader ends before the command begins, so that every byte meets a broken pipe.
    line = f"{{ while [ ! -e left ]; do sleep 0.01; done; exec {command}; }}"
    line = f"rm -f left; {line} | {{ exec <&-; touch left; }}; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(
        ["bash", "-c", line],
        check=False,
        cwd=directory,
        env=environment(aws, XDG_STATE_HOME=str(directory / "state")),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT_SECONDS,
    )
    return ended.returncode, ended.stderr


@pytest.mark.parametrize(
    ("redirection", "arguments", "status"),
    [
        ("", "--help", 0),
        ("", "config show --help", 0),
        ("2>&1", "run --dry-run", 3),
        pytest.param("", "--version", 0, marks=pytest.mark.slow),
        pytest.param("", "completion bash", 0, marks=pytest.mark.slow),
        pytest.param("", "run --dry-run", 3, marks=pytest.mark.slow),
        pytest.param("2>&1", "run --no-such-option", 2, marks=pytest.mark.slow),
    ],
)
def test_a_reader_that_leaves_early_changes_no_status(
    aws: FakeAws, tmp_path: Path, redirection: str, arguments: str, status: int
) -> None:
    aws.load(WORLD)
    ended, stderr = left_by_its_reader(aws, tmp_path, redirection, *arguments.split())
    assert ended == status, stderr
    for trace in ("Traceback", "BrokenPipe", "internal error"):
        assert trace not in stderr


@pytest.mark.parametrize("arguments", [("run", "--no-such-option"), ("report", "missing.json")])
def test_an_error_that_cannot_be_told_keeps_its_status(
    aws: FakeAws, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    assert shell(aws, tmp_path, "2>/dev/full", *arguments).returncode == 2


def test_what_could_not_be_printed_is_not_delivered(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(WORLD)
    for arguments in ("config schema", "preflight --quiet", "--help", "run --help", "--version"):
        with case(arguments):
            ended = shell(aws, tmp_path, ">/dev/full", *arguments.split())
            assert ended.returncode == 5
            (line,) = ended.stderr.splitlines()
            assert line.endswith("could not be printed: No space left on device")
