"""A sweep that is told to end, or runs out of time, still reports what it saw and what not."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.end_to_end.barriers import hold, release_slowly, wait_for_call, wait_until_held
from tests.end_to_end.harness import (
    COMMAND,
    Ended,
    end,
    environment,
    open_repositories,
    run,
    small_world,
    start,
    start_interpreter,
)
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault

SLOW = 0.3  # seconds a call
ONE_AT_A_TIME = {"limits": {"max_workers": 1}}


def stopped(aws: FakeAws, directory: Path, during: str, number: signal.Signals) -> Ended:
    """A run that gets a signal while its first call of an operation is under way."""
    hold(aws, during)
    process = start(aws, directory, config=ONE_AT_A_TIME)
    wait_until_held(aws, process)
    process.send_signal(number)
    release_slowly(aws, during)
    return end(process, directory)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_sweep_with_its_report(
    aws: FakeAws, tmp_path: Path, number: signal.Signals
) -> None:
    aws.load(small_world(accounts=4))
    ended = stopped(aws, tmp_path, "DescribeRepositories", number)
    report = ended.report
    assert {item["reason"] for item in report["failures"]} == {"interrupted"}
    assert not report["coverage"]["complete"]
    totals = report["totals"]["targets"]
    assert totals["planned"] == 20 == totals["examined"] + totals["failed"]
    assert totals["failed"] > 0
    assert ended.status == 4
    assert "Traceback" not in ended.stderr
    assert ended.logs[-1]["event"] == "sweep.finished"


def test_a_signal_while_writing_leaves_every_change_accounted_for(
    aws: FakeAws, tmp_path: Path
) -> None:
    aws.load(small_world(accounts=4))
    ended = stopped(aws, tmp_path, "PutImageTagMutability", signal.SIGTERM)
    changes = ended.report["totals"]["changes"]
    assert changes["planned"] == changes["applied"] + changes["failed"]
    assert changes["applied"] == sum(each["accepted"] for each in aws.statistics().writes)
    assert changes["failed"] > 0
    assert {
        item["change"]["reason"]
        for item in ended.report["findings"]
        if item["change"]["status"] == "failed"
    } == {"interrupted"}
    assert ended.status == 3


def test_who_asks_again_to_end_still_gets_the_report(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(small_world(accounts=2))
    hold(aws, "PutImageTagMutability")
    process = start(aws, tmp_path, config=ONE_AT_A_TIME)
    wait_until_held(aws, process)
    # It is stopped meanwhile, so that it gets both at one moment, however slow this process is.
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGHUP, signal.SIGCONT):
        process.send_signal(number)
    release_slowly(aws, "PutImageTagMutability")
    ended = end(process, tmp_path)
    assert ended.status == 3
    changes = ended.report["totals"]["changes"]
    assert changes["applied"] == sum(each["accepted"] for each in aws.statistics().writes)


@pytest.mark.slow
def test_what_nohup_ignores_stays_ignored(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(small_world(accounts=2))
    hold(aws, "DescribeRepositories")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = start_interpreter(aws, tmp_path, config=ONE_AT_A_TIME)
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_until_held(aws, process)
    process.send_signal(signal.SIGHUP)
    aws.faults([])
    assert end(process, tmp_path).status == 0


@pytest.mark.parametrize("options", [(), ("--format", "json")])
def test_a_log_that_nobody_takes_stops_nothing(
    aws: FakeAws, tmp_path: Path, options: tuple[str, ...]
) -> None:
    world = small_world(accounts=3)
    aws.load(world)
    process = start_interpreter(aws, tmp_path, *options)
    assert process.stderr
    process.stderr.close()
    with process:
        assert process.stdout
        printed = process.stdout.read()
    assert process.returncode == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["totals"]["changes"]["applied"] > 0
    assert open_repositories(aws) == {}
    assert bool(printed) is bool(options)


@pytest.mark.parametrize(
    ("redirection", "status"),
    [("| head -c 10", 3), pytest.param("> /dev/full", 5, marks=pytest.mark.slow)],
)
def test_a_report_that_cannot_be_printed(
    aws: FakeAws, tmp_path: Path, redirection: str, status: int
) -> None:
    """Who reads no further has what was wanted; a full disk has not."""
    aws.load(small_world(accounts=20, regions=3))
    command = f"{shlex.join((*COMMAND, '--dry-run', '--format', 'json'))} {redirection}"
    # The status is that of the command, not of the pipe's last.
    ended = subprocess.run(
        ["/bin/bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        env=environment(aws),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == status
    assert "Traceback" not in ended.stderr


def test_a_signal_while_listing_is_passing_trouble(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(small_world(accounts=60, regions=1))
    ended = stopped(aws, tmp_path, "ListAccounts", signal.SIGTERM)
    (failure,) = ended.report["failures"]
    assert (failure["stage"], failure["reason"]) == ("enumerate", "interrupted")
    assert ended.status == 4


def test_a_signal_ends_the_wait_for_a_throttled_service(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(small_world(accounts=2, regions=1))
    aws.faults([Fault("throttle", operation="ListAccounts")])
    process = start(aws, tmp_path, config=ONE_AT_A_TIME)
    wait_for_call(aws, "organizations:ListAccounts", process)
    process.terminate()
    ended = end(process, tmp_path)
    (failure,) = ended.report["failures"]
    assert failure["reason"] == "interrupted"
    assert ended.status == 4


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        *(pytest.param(each, marks=pytest.mark.slow) for each in (signal.SIGINT, signal.SIGHUP)),
    ],
)
def test_a_second_signal_ends_the_process_at_once(
    aws: FakeAws, tmp_path: Path, number: signal.Signals
) -> None:
    """Nothing is lost: the journal has what was done."""
    aws.load(small_world(accounts=2))
    hold(aws, "DescribeRepositories", skip=2)
    process = start(aws, tmp_path, config=ONE_AT_A_TIME)
    wait_until_held(aws, process)
    while process.poll() is None:
        process.send_signal(number)
        time.sleep(0.1)
    ended = end(process, tmp_path)
    assert ended.status == -number
    assert list((tmp_path / "out").iterdir()) == []
    assert "Traceback" not in ended.stderr
    (journal,) = (tmp_path / "state" / "sweeper").glob("*.journal")
    aws.faults([])
    assert run(aws, tmp_path, "--resume", journal.stem).status == 0
    assert open_repositories(aws) == {}


def test_deadline_signal_and_fault_together_still_end_with_a_report(
    aws: FakeAws, tmp_path: Path
) -> None:
    world = small_world(accounts=4)
    aws.load(world)
    aws.faults(
        [
            Fault("throttle", operation="AssumeRole", account=world.accounts[1].id),
            Fault("hang", operation="DescribeRepositories", seconds=SLOW),
            Fault("access_denied", operation="PutObject"),
        ]
    )
    report = {"s3": {"bucket": world.buckets[0].name}, "sns_topic_arn": world.topics[0]}
    limits = {"max_workers": 1, "deadline_seconds": 2}
    process = start(aws, tmp_path, config={"limits": limits, "report": report})
    wait_for_call(aws, "ecr:DescribeRepositories", process)
    process.terminate()
    ended = end(process, tmp_path)
    assert ended.status == 5
    assert {item["reason"] for item in ended.report["failures"]} <= {"interrupted", "deadline"}
    assert len(aws.messages()) == 1
    assert aws.statistics().writes == []


def test_a_sweep_that_was_stopped_still_delivers_with_patience(
    aws: FakeAws, tmp_path: Path
) -> None:
    world = small_world(accounts=2)
    aws.load(world)
    hold(aws, "DescribeRepositories")
    report = {"s3": {"bucket": world.buckets[0].name}, "sns_topic_arn": world.topics[0]}
    process = start(aws, tmp_path, config={**ONE_AT_A_TIME, "report": report})
    wait_until_held(aws, process)
    process.terminate()
    release_slowly(
        aws,
        "DescribeRepositories",
        Fault("throttle", operation="PutObject", times=1),
        Fault("server_error", operation="Publish", times=1),
    )
    ended = end(process, tmp_path)
    assert ended.status == 4
    names = {each.key.rpartition("/")[2] for each in aws.objects()}
    assert names >= {"report.json", "report.csv"}
    assert len(aws.messages()) == 1


def test_the_deadline_ends_the_sweep_with_its_report(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(small_world())
    aws.faults([Fault("hang", operation="DescribeRepositories", seconds=SLOW)])
    config = {"limits": {"max_workers": 1, "deadline_seconds": 2}}
    ended = run(aws, tmp_path, config=config)
    assert {item["reason"] for item in ended.report["failures"]} == {"deadline"}
    assert not ended.report["coverage"]["complete"]
    assert ended.status == 4
    assert aws.statistics().writes == []
    assert "Traceback" not in ended.stderr
