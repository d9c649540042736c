"""One sweep at a time for a report's place in S3."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.barriers import hold, wait_until_held
from tests.end_to_end.harness import (
    Ended,
    changes,
    end,
    open_repositories,
    run,
    small_world,
    start,
    writes,
)
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault, World

LEASE = "sweeps/lease.json"


def config(world: World, **s3: Any) -> dict[str, Any]:
    place = {"bucket": world.buckets[0].name, "prefix": "sweeps", **s3}
    return {"limits": {"max_workers": 2}, "report": {"s3": place, "sns_topic_arn": world.topics[0]}}


def lease(aws: FakeAws) -> dict[str, Any]:
    (found,) = [each for each in aws.objects() if each.key == LEASE]
    holder: dict[str, Any] = json.loads(found.body)
    return holder


def test_of_two_sweeps_one_runs_and_one_says_why_not(aws: FakeAws, tmp_path: Path) -> None:
    world = small_world(accounts=3)
    aws.load(world)
    hold(aws, "DescribeRepositories")
    first = start(aws, tmp_path / "first", config=config(world))
    wait_until_held(aws, first)
    holder = lease(aws)
    second = run(aws, tmp_path / "second", config=config(world))
    assert second.status == 6
    (failure,) = second.report["failures"]
    assert (failure["stage"], failure["reason"]) == ("enumerate", "lease_held")
    for said in (
        holder["run_id"],
        holder["host"],
        holder["since"],
        "s3://sweeper-reports/" + LEASE,
    ):
        assert said in failure["message"]
    assert "Traceback" not in second.stderr
    # It leaves the other's place, the topic and the repositories alone, and no journal behind.
    assert aws.messages() == []
    assert [each.key for each in aws.objects()] == [LEASE]
    assert list((tmp_path / "second" / "state" / "sweeper").glob("*.journal")) == []
    aws.faults([])
    assert end(first, tmp_path / "first").status == 0
    assert lease(aws)["released"] is True
    assert open_repositories(aws) == {}


def test_the_next_sweep_follows_at_once(aws: FakeAws, tmp_path: Path) -> None:
    world = small_world(accounts=2)
    aws.load(world)
    for _ in range(2):
        assert run(aws, tmp_path, config=config(world)).status == 0


def test_started_together_only_one_runs(aws: FakeAws, tmp_path: Path) -> None:
    world = small_world(accounts=4)
    aws.load(world)
    hold(aws, "DescribeRepositories")
    places = [tmp_path / name for name in "abc"]
    processes = [start(aws, place, config=config(world)) for place in places]
    # The one that holds the lease is at work until the others have ended.
    while sum(process.poll() is None for process in processes) > 1:
        time.sleep(0.02)
    aws.faults([])
    statuses = [
        end(process, place).status for process, place in zip(processes, places, strict=True)
    ]
    assert sorted(statuses) == [0, 6, 6]


def killed(aws: FakeAws, directory: Path, world: World) -> None:
    hold(aws, "DescribeRepositories")
    process = start(aws, directory, config=config(world))
    wait_until_held(aws, process)
    process.kill()
    assert end(process, directory).status == -signal.SIGKILL
    aws.faults([])


def test_a_killed_sweep_is_resumed_at_once_and_keeps_others_out_for_a_while(
    aws: FakeAws, tmp_path: Path
) -> None:
    world = small_world(accounts=2)
    aws.load(world)
    killed(aws, tmp_path, world)
    other = run(aws, tmp_path / "other", config=config(world))
    assert other.status == 6
    (failure,) = other.report["failures"]
    assert failure["reason"] == "lease_held"
    assert re.search(r"it ends in \d+ s unless it is renewed", failure["message"])
    ended = run(aws, tmp_path, "--resume", lease(aws)["run_id"])
    assert ended.status == 0
    assert lease(aws)["released"] is True


@pytest.mark.parametrize(
    "action", ["access_denied", pytest.param("server_error", marks=pytest.mark.slow)]
)
def test_without_the_lease_it_looks_and_writes_nothing(
    aws: FakeAws, tmp_path: Path, action: Any
) -> None:
    world = small_world(accounts=1, regions=1)
    aws.load(world)
    aws.faults([Fault(action, operation="PutObject", service="s3")])
    ended = run(aws, tmp_path, config=config(world))
    assert changes(ended.report) == {("withheld", "lease_unavailable")}
    assert ended.report["coverage"]["complete"]
    assert writes(aws) == []
    assert ended.status == 5  # nor can the report be put there


def test_a_dry_run_needs_none(aws: FakeAws, tmp_path: Path) -> None:
    world = small_world(accounts=2)
    aws.load(world)
    ended: Ended = run(aws, tmp_path, "--dry-run", "--deliver", config=config(world))
    assert ended.status == 3
    assert LEASE not in [each.key for each in aws.objects()]


def test_it_can_be_turned_off(aws: FakeAws, tmp_path: Path) -> None:
    world = small_world(accounts=2)
    aws.load(world)
    assert run(aws, tmp_path, config=config(world, lease=False)).status == 0
    assert LEASE not in [each.key for each in aws.objects()]
