"""Two processes resume one run, from its plan in S3 and from its journal: one of them writes."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import boto3
import pytest

from sweeper.entrypoints import app
from tests.end_to_end.barriers import hold, wait_until_held
from tests.end_to_end.harness import Ended, Here, end, open_repositories, run, small_world, start
from tests.end_to_end.test_resuming import run_id
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import World

WRITE = "PutImageTagMutability"
LEASE = "sweeps/lease.json"


def config(world: World) -> dict[str, Any]:
    place = {"bucket": world.buckets[0].name, "prefix": "sweeps"}
    return {"limits": {"max_workers": 2}, "report": {"s3": place}}


def killed_while_writing(aws: FakeAws, directory: Path, world: World) -> str:
    """Kill a run in its fourth write; return its id."""
    hold(aws, WRITE, skip=3)
    process = start(aws, directory, config=config(world))
    wait_until_held(aws, process)
    process.kill()
    end(process, directory)
    aws.faults([])
    return run_id(directory)


def end_lease(aws: FakeAws, world: World) -> None:
    """Let the lease of the killed process end, as five minutes would."""
    (found,) = [each for each in aws.objects() if each.key == LEASE]
    put(aws, world, LEASE, json.dumps({**json.loads(found.body), "released": True}).encode())


def put(aws: FakeAws, world: World, key: str, body: bytes) -> None:
    caller = world.caller
    client = boto3.client(
        "s3",
        endpoint_url=aws.endpoint,
        region_name=world.buckets[0].region,
        aws_access_key_id=caller.access_key_id,
        aws_secret_access_key=caller.secret_access_key,
        aws_session_token=caller.session_token or None,
    )
    client.put_object(Bucket=world.buckets[0].name, Key=key, Body=body)


def plan_of(world: World, run: str) -> str:
    day = f"{run[:4]}-{run[4:6]}-{run[6:8]}"
    return f"s3://{world.buckets[0].name}/sweeps/{day}/{run}/plan.jsonl"


def applied(report: Any) -> set[tuple[str, str, str]]:
    return {
        (item["account_id"], item["region"], item["repository"])
        for item in report["findings"]
        if item["change"] and item["change"]["status"] == "applied"
    }


def report_in_s3(aws: FakeAws, run: str) -> Any:
    (found,) = [each for each in aws.objects() if each.key.endswith(f"{run}/report.json")]
    return json.loads(found.body)


@pytest.fixture
def world(aws: FakeAws) -> World:
    made = small_world(accounts=3)
    aws.load(made)
    return made


@pytest.mark.slow
def test_a_live_resume_keeps_the_lease_from_one_by_the_journal(
    aws: FakeAws, tmp_path: Path, world: World
) -> None:
    run_id = killed_while_writing(aws, tmp_path / "a", world)
    end_lease(aws, world)

    hold(aws, WRITE, skip=2)
    second = start(aws, tmp_path / "b", "--resume", plan_of(world, run_id), config=config(world))
    wait_until_held(aws, second)
    second.send_signal(signal.SIGSTOP)
    third: Ended = run(aws, tmp_path / "a", "--resume", run_id, config=config(world))
    assert third.status == 6
    assert [item["reason"] for item in third.report["failures"]] == ["lease_held"]
    assert applied(third.report) == set()
    second.kill()
    end(second, tmp_path / "b")


def test_what_another_process_applied_is_in_the_last_report(
    aws: FakeAws, tmp_path: Path, world: World
) -> None:
    """The second was stopped before its end, so that the journal may still be resumed."""
    before = set(open_repositories(aws))
    run_id = killed_while_writing(aws, tmp_path / "a", world)
    end_lease(aws, world)

    hold(aws, WRITE, skip=5)
    second = start(aws, tmp_path / "b", "--resume", plan_of(world, run_id), config=config(world))
    wait_until_held(aws, second)
    second.kill()
    end(second, tmp_path / "b")
    aws.faults([])
    end_lease(aws, world)

    third = run(aws, tmp_path / "a", "--resume", run_id, config=config(world))
    assert third.status == 0
    assert open_repositories(aws) == {}
    assert applied(third.report) == applied(report_in_s3(aws, run_id)) == before


@pytest.mark.slow
def test_a_run_that_finished_elsewhere_is_not_resumed_from_its_journal(
    aws: FakeAws, tmp_path: Path, world: World
) -> None:
    before = set(open_repositories(aws))
    run_id = killed_while_writing(aws, tmp_path / "a", world)
    end_lease(aws, world)
    location = plan_of(world, run_id)
    second = run(aws, tmp_path / "b", "--resume", location, config=config(world))
    assert second.status == 0
    third = run(aws, tmp_path / "a", "--resume", run_id, config=config(world))
    assert third.status == 2
    assert "the run has finished" in third.stderr
    assert applied(report_in_s3(aws, run_id)) == before


@pytest.mark.parametrize(
    "point",
    [
        "before the journal is removed",
        pytest.param("before the plan has ended", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_was_killed_in_its_last_steps_is_resumed(
    aws: FakeAws, here: Here, monkeypatch: pytest.MonkeyPatch, world: World, point: str
) -> None:
    before = set(open_repositories(aws))

    class Killed(SystemExit):
        """What no handler of the program takes for an error of its own."""

    def kill(*_: object, **__: object) -> None:
        raise Killed(137)

    with monkeypatch.context() as patch:
        if point == "before the journal is removed":
            patch.setattr(Path, "unlink", kill)
        else:
            patch.setattr(app, "close_plan", kill)
        first = here.run(aws, config=config(world))
    assert first.status == 137
    (report,) = [each for each in aws.objects() if each.key.endswith("/report.json")]
    run_id = report.key.split("/")[-2]

    resumed = here.run(aws, "--resume", run_id, config=config(world))
    assert resumed.status == 0, resumed.stderr
    assert applied(report_in_s3(aws, run_id)) == before
    assert list((resumed.directory / "state" / "sweeper").iterdir()) == []


@pytest.mark.slow
def test_a_report_never_replaces_one_of_its_run_with_more_changes(
    aws: FakeAws, tmp_path: Path, world: World
) -> None:
    """The plan in S3 was lost, so that the journal knows nothing of what another process did."""
    before = set(open_repositories(aws))
    run_id = killed_while_writing(aws, tmp_path / "a", world)
    end_lease(aws, world)
    location = plan_of(world, run_id)
    header = stored(aws, f"{run_id}/plan.jsonl").splitlines(keepends=True)[0]
    second = run(aws, tmp_path / "b", "--resume", location, config=config(world))
    assert applied(second.report) == before
    whole = stored(aws, f"{run_id}/report.json")
    put(aws, world, location.removeprefix(f"s3://{world.buckets[0].name}/"), header)

    third = run(aws, tmp_path / "a", "--resume", run_id, config=config(world))
    assert third.status == 5
    assert applied(third.report) < before
    (failed,) = [each for each in third.logs if each["event"] == "delivery.failed"]
    assert failed["reason"] == "earlier_report_kept"
    assert stored(aws, f"{run_id}/report.json") == whole
    beside = json.loads(stored(aws, f"{run_id}/report-2.json"))
    assert applied(beside) == applied(third.report)
    # On the second's machine nothing was lost either, nor where the third ran.
    assert applied(json.loads((tmp_path / "b/out" / run_id / "report.json").read_text())) == before


def stored(aws: FakeAws, end_of_key: str) -> bytes:
    (found,) = [each for each in aws.objects() if each.key.endswith(end_of_key)]
    return found.body
