"""A signal ends a sweep whose endpoints answer byte by byte, and the report is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.barriers import wait_for_call
from tests.end_to_end.harness import Ended, end, run, small_world, start
from tests.end_to_end.processes import Process
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault

# It waits for the grace of calls under way, and for the end of a delivery's time.
pytestmark = pytest.mark.slow

LONGER_THAN_A_CONTAINER_HAS = 60  # seconds, on a machine with little else to do


@pytest.mark.parametrize(
    ("operation", "http_sender", "part"),
    [
        ("ecr:DescribeRepositories", "own", "head"),
        ("ecr:DescribeRepositories", "own", "body"),
        ("ecr:DescribeRepositories", "botocore", "head"),
        ("organizations:ListAccounts", "botocore", "body"),
    ],
)
def test_a_signal_ends_a_sweep_that_is_trickled_at(
    aws: FakeAws, tmp_path: Path, operation: str, http_sender: str, part: Any
) -> None:
    aws.load(small_world(accounts=3))
    aws.faults([trickle(operation.partition(":")[2], part)])
    process = start(aws, tmp_path, "--dry-run", config={"limits": {"http_sender": http_sender}})
    ended = terminated(aws, tmp_path, process, operation)
    assert {failure["reason"] for failure in ended.report["failures"]} == {"interrupted"}
    assert ended.status == 4


def test_a_signal_ends_a_delivery_that_is_trickled_at(aws: FakeAws, tmp_path: Path) -> None:
    world = small_world(accounts=3)
    aws.load(world)
    config = {"report": {"s3": {"bucket": world.buckets[0].name}}}
    assert run(aws, tmp_path, config=config).status == 0
    aws.reset_statistics()
    # The lease is read once, and written or tried four times, before the report is delivered.
    aws.faults([trickle("GetObject", "body", skip=1), trickle("PutObject", "head", skip=4)])
    process = start(aws, tmp_path, config=config)
    ended = terminated(aws, tmp_path, process, "s3:GetObject", times=2)
    assert ended.report["coverage"]["complete"]
    assert ended.status == 5


def trickle(operation: str, part: Any, **more: Any) -> Fault:
    """One byte in five seconds: an answer takes an hour."""
    return Fault("trickle", operation=operation, part=part, rate=0.2, **more)


def terminated(
    aws: FakeAws, directory: Path, process: Process, operation: str, times: int = 1
) -> Ended:
    wait_for_call(aws, operation, process, times)
    process.terminate()
    process.wait(LONGER_THAN_A_CONTAINER_HAS)
    ended = end(process, directory)
    assert "Traceback" not in ended.stderr
    return ended
