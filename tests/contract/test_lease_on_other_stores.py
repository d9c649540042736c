"""The lease on object stores that are not S3: an independent one, and those that cannot hold it.

Slow: a second store starts, and 19 sweeps run as processes.
"""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.careless import careless
from tests.contract.seaweedfs import needed, seaweedfs
from tests.end_to_end.harness import (
    Ended,
    calls,
    changes,
    end,
    found,
    open_repositories,
    run,
    small_world,
    start,
    writes,
)
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault

pytestmark = pytest.mark.slow
WORLD = small_world(accounts=3)
BUCKET = WORLD.buckets[0].name
CONFIG = {"limits": {"max_workers": 2}, "report": {"s3": {"bucket": BUCKET, "prefix": "sweeps"}}}
LEASE = "sweeps/lease.json"
RELEASED = {
    "run_id": "an-earlier-one",
    "host": "a-host",
    "since": "2026-06-15T12:00:00+00:00",
    "token": "its-own",
    "released": True,
}


@pytest.fixture(scope="module")
def aws() -> Iterator[FakeAws]:
    with FakeAws(WORLD) as process:
        yield process


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    caller = WORLD.caller
    with seaweedfs(BUCKET, caller.access_key_id, caller.secret_access_key) as client:
        yield client


def race(aws: FakeAws, directory: Path, s3: Any) -> tuple[Ended, list[Ended]]:
    """Eight sweeps at once: the one that holds the lease, which waits for the others, and these."""
    aws.load(WORLD)
    aws.faults([Fault("hang", operation="DescribeRepositories", seconds=3)])
    elsewhere = {"AWS_ENDPOINT_URL_S3": s3.meta.endpoint_url}
    places = [directory / str(number) for number in range(8)]
    processes = {place: start(aws, place, config=CONFIG, **elsewhere) for place in places}
    while not calls(aws).get("ecr:DescribeRepositories"):
        assert any(process.poll() is None for process in processes.values())
        time.sleep(0.02)
    holder = lease(s3)["run_id"]
    (held,) = [place for place in processes if list(place.glob(f"state/sweeper/{holder}*"))]
    processes[held].send_signal(signal.SIGSTOP)  # so that it is at work however long they take
    others = [end(process, place) for place, process in processes.items() if place != held]
    aws.faults([])
    processes[held].send_signal(signal.SIGCONT)
    return end(processes[held], held), others


def lease(s3: Any) -> dict[str, Any]:
    body = s3.get_object(Bucket=BUCKET, Key=LEASE)["Body"].read()
    found: dict[str, Any] = json.loads(body)
    return found


@needed
def test_of_eight_sweeps_at_once_one_holds_the_lease(aws: FakeAws, s3: Any, tmp_path: Path) -> None:
    """Twice: where there was no lease yet, and where one was released."""
    for times in ("first", "second"):
        held, others = race(aws, tmp_path / times, s3)
        assert held.status == 0, (times, held.stderr)
        assert [each.status for each in others] == [6] * 7, times
        for each in others:
            (failure,) = each.report["failures"]
            assert failure["reason"] == "lease_held", times
            assert held.report["run"]["id"] in failure["message"], times
        written = Counter(
            (each["account"], each["region"], each["repository"]) for each in writes(aws)
        )
        assert set(written.values()) == {1}, times
        assert written.keys() == found(held.report), times
        assert open_repositories(aws) == {}, times
        assert lease(s3)["released"] is True, times


@pytest.mark.parametrize(
    ("ignored", "earlier"),
    [(("if-none-match", "if-match"), None), (("if-none-match",), None), (("if-match",), RELEASED)],
    ids=["no lease yet, both", "no lease yet, If-None-Match", "a released lease, If-Match"],
)
def test_a_store_that_ignores_conditions_lets_nobody_write(
    aws: FakeAws, tmp_path: Path, ignored: tuple[str, ...], earlier: dict[str, Any] | None
) -> None:
    """Every sweep would hold the lease."""
    aws.load(WORLD)
    with careless(*ignored) as store:
        if earlier:
            store.write(f"/{BUCKET}/{LEASE}", json.dumps(earlier).encode())
        ended = run(aws, tmp_path, config=CONFIG, AWS_ENDPOINT_URL_S3=store.endpoint)
    left = json.loads(store.objects[f"/{BUCKET}/{LEASE}"][0])
    assert (left["run_id"], left["released"]) == (ended.report["run"]["id"], True)
    assert changes(ended.report) == {("withheld", "lease_unavailable")}, ended.stderr
    assert ended.report["coverage"]["complete"]
    assert ended.status == 3
    assert writes(aws) == []
