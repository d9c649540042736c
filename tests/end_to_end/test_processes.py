"""A sweep by several processes of one machine: its report is that of one, whatever ends them."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest

from tests.cases import case
from tests.end_to_end.barriers import hold, release_slowly, wait_until_held
from tests.end_to_end.harness import (
    AnyProcess,
    Ended,
    Here,
    calls,
    end,
    failures,
    open_repositories,
    run,
    small_world,
    start_interpreter,
    writes,
)
from tests.end_to_end.test_distributed import same, written_once
from tests.end_to_end.test_secrets import CONFIG, EXTERNAL_ID, WORLD, assert_hidden, outputs
from tests.fake_aws.process import FakeAws

TWO = {"limits": {"processes": 2, "max_workers": 4}}
READ = "DescribeRepositories"


def swept(aws: FakeAws, directory: Path, *options: str, config: Mapping[str, Any] = TWO) -> Ended:
    """A run by an interpreter of its own, as the processes are."""
    return end(start_interpreter(aws, directory, *options, config=config), directory)


def scanning(process: AnyProcess) -> list[int]:
    """The processes that scan for a run."""
    task = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    children = [int(pid) for pid in task.read_text(encoding="ascii").split()]
    return [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def wait_for_the_end(*pids: int) -> None:
    """Wait until processes that are not this one's children have ended."""
    while any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids):
        time.sleep(0.02)


@pytest.mark.parametrize("options", [(), pytest.param(("--dry-run",), marks=pytest.mark.slow)])
def test_the_report_is_that_of_one_process(
    aws: FakeAws, tmp_path: Path, options: tuple[str, ...]
) -> None:
    aws.load(small_world(accounts=7, regions=3))
    (tmp_path / "one").mkdir()
    one = run(aws, tmp_path / "one", *options, config={})
    aws.load(small_world(accounts=7, regions=3))
    (tmp_path / "two").mkdir()
    two = swept(aws, tmp_path / "two", *options)
    assert two.status == one.status, two.stderr
    assert same(one.report, two.report)
    if options:
        assert writes(aws) == []
    else:
        assert written_once(aws)
        assert open_repositories(aws) == {}


@pytest.mark.slow
def test_the_processes_that_scan_cannot_write(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(small_world(accounts=4, regions=2))
    hold(aws, READ)
    process = start_interpreter(aws, tmp_path, config=TWO)
    wait_until_held(aws, process)
    names = [each["session_name"] for each in aws.statistics().assume_role]
    assert names
    assert all(name.startswith("sweeper-read-") for name in names)
    aws.faults([])
    end(process, tmp_path)


@pytest.mark.slow
def test_the_accounts_of_a_process_that_was_killed_are_scanned_again(
    aws: FakeAws, tmp_path: Path
) -> None:
    aws.load(small_world(accounts=6, regions=2))
    one = run(aws, tmp_path / "one", config={})
    aws.load(small_world(accounts=6, regions=2))
    (tmp_path / "two").mkdir()
    hold(aws, READ, skip=3)
    process = start_interpreter(aws, tmp_path / "two", config=TWO)
    wait_until_held(aws, process)
    os.kill(scanning(process)[0], signal.SIGKILL)
    aws.faults([])
    two = end(process, tmp_path / "two")
    assert two.status == one.status, two.stderr
    assert same(one.report, two.report)
    assert written_once(aws)
    assert [line["event"] for line in two.logs].count("process.lost") == 1


@pytest.mark.slow
def test_accounts_whose_process_is_always_killed_are_reported(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(small_world(accounts=6, regions=2))
    hold(aws, READ)
    process = start_interpreter(aws, tmp_path, config=TWO)
    killed: set[int] = set()
    for _ in range(2):
        while not (left := set(scanning(process)) - killed) or not aws.statistics().held:
            assert process.poll() is None
            time.sleep(0.02)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        killed |= left
        aws.reset_statistics()
    ended = end(process, tmp_path)
    report = ended.report
    assert {reason for *_, reason in failures(report)} == {"worker_failed"}
    assert report["totals"]["accounts"]["planned"] == 6
    assert not report["coverage"]["complete"]
    assert writes(aws) == []
    assert ended.status == 4
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_processes_and_the_run_is_resumed(
    aws: FakeAws, tmp_path: Path, number: signal.Signals
) -> None:
    aws.load(small_world(accounts=6, regions=2))
    hold(aws, READ, skip=2)
    slow = {"limits": {"processes": 2, "max_workers": 1}}
    process = start_interpreter(aws, tmp_path, config=slow)
    wait_until_held(aws, process)
    pids = scanning(process)
    process.send_signal(number)
    release_slowly(aws, READ)
    ended = end(process, tmp_path)
    assert {reason for *_, reason in failures(ended.report)} == {"interrupted"}
    assert "Traceback" not in ended.stderr
    wait_for_the_end(*pids)
    aws.faults([])
    resumed = swept(aws, tmp_path, "--resume", ended.report["run"]["id"])
    assert resumed.report["coverage"]["complete"], resumed.stderr
    assert resumed.status == 0
    assert written_once(aws)
    assert open_repositories(aws) == {}


@pytest.mark.slow
def test_no_process_outlives_a_run_that_was_killed(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(small_world(accounts=6, regions=2))
    hold(aws, READ)
    process = start_interpreter(aws, tmp_path, config=TWO)
    wait_until_held(aws, process)
    pids = scanning(process)
    assert len(pids) == 2
    process.kill()
    end(process, tmp_path)
    wait_for_the_end(*pids)
    aws.faults([])


@pytest.mark.slow
def test_the_deadline_is_that_of_every_process(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(small_world(accounts=6, regions=2))
    release_slowly(aws, READ)
    limits = {"processes": 2, "max_workers": 1, "deadline_seconds": 1.5}
    ended = swept(aws, tmp_path, config={"limits": limits})
    assert {reason for *_, reason in failures(ended.report)} == {"deadline"}
    aws.faults([])


@pytest.mark.slow
def test_no_secret_of_a_process_leaves_the_run(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(WORLD)
    aws.faults([{"action": "leak", "share": 0.9, "seed": 5, "message": EXTERNAL_ID}])
    ended = swept(aws, tmp_path, "--format", "text", config={**CONFIG, **TWO})
    assert ended.status in (2, 3, 4, 5), ended.stderr
    found = outputs(ended, aws)
    assert_hidden(found, EXTERNAL_ID, WORLD.caller.access_key_id, *aws.secrets())
    aws.faults([])


def test_processes_that_end_while_they_start_are_named(
    aws: FakeAws, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.load(small_world(accounts=2, regions=1))

    def submit(*_: object) -> None:
        raise BrokenProcessPool("a process was killed")

    monkeypatch.setattr(ProcessPoolExecutor, "submit", submit)
    ended = here.run(aws, config=TWO)
    assert ended.status == 2
    assert "limits.processes" in ended.stderr


def test_a_machine_without_shared_memory_is_named(
    aws: FakeAws, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.load(small_world(accounts=2, regions=1))

    def lock(_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")  # as in AWS Lambda

    monkeypatch.setattr(BaseContext, "Lock", lock)
    for command in ("run", "preflight"):
        with case(command):
            options = ("--dry-run",) if command == "run" else ()
            ended = here.command(aws, command, *options, config=TWO)
            assert ended.status == 2
            assert "limits.processes" in ended.stderr
            assert "Function not implemented" in ended.stderr
            assert "sts:AssumeRole" not in calls(aws)
