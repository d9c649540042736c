"""Under the real runtime interface client and emulator: what the handler gets and gives."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session

from sweeper.storage.lease import _Holder
from tests.end_to_end.harness import (
    calls,
    environment,
    failures,
    open_repositories,
    small_world,
    write_config,
    writes,
)
from tests.fake_aws.process import FakeAws
from tests.lambda_runtime.emulator import COMMAND, Emulator, binary, free_port, options

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the emulator is for Linux"),
]

WORLD = small_world(accounts=3, regions=2)
CONFIG = {"report": {"s3": {"bucket": WORLD.buckets[0].name}, "sns_topic_arn": WORLD.topics[0]}}
Start = Callable[[int], Emulator]


@pytest.fixture(scope="module")
def process() -> Iterator[FakeAws]:
    with FakeAws(WORLD) as aws:
        yield aws


@pytest.fixture
def aws(process: FakeAws) -> FakeAws:
    process.load(WORLD)
    return process


@pytest.fixture
def start(aws: FakeAws, tmp_path: Path) -> Iterator[Start]:
    """Start the function with a time-out, in seconds."""
    with ExitStack() as stack:

        def started(seconds: int) -> Emulator:
            write_config(tmp_path, CONFIG)
            port = free_port()
            command = [str(binary()), *options(port), sys.executable, *COMMAND]
            variables = environment(
                aws, AWS_LAMBDA_FUNCTION_NAME="sweeper", AWS_LAMBDA_FUNCTION_TIMEOUT=str(seconds)
            )
            emulator = Emulator(command, port, directory=tmp_path, environment=variables)
            return stack.enter_context(emulator)

        yield started


def delivered(aws: FakeAws) -> Any:
    (body,) = (each.body for each in aws.objects() if each.key.endswith("/report.json"))
    return json.loads(body)


def test_a_run(aws: FakeAws, start: Start) -> None:
    function = start(900)
    summary = function.invoke({"source": "aws.scheduler", "detail-type": "Scheduled Event"})
    report = delivered(aws)
    assert (summary["run_id"], summary["exit_status"]) == (report["run"]["id"], 0)
    assert summary["totals"] == report["totals"]
    assert {each["status"] for each in summary["deliveries"]} == {"delivered"}
    assert open_repositories(aws) == {}
    assert [line["event"] for line in function.lines[-2:]] == ["sweep.metrics", "sweep.finished"]
    # The environment stays, for the next event: a warm function.
    assert function.invoke({"dry_run": True})["totals"]["remaining"] == 0


def test_an_event_overrides(aws: FakeAws, start: Start) -> None:
    account, region = WORLD.accounts[1].id, next(iter(WORLD.regions))
    event = {"dry_run": True, "deliver": True, "accounts": [account], "regions": [region]}
    summary = start(900).invoke(event)
    assert summary["totals"]["targets"]["examined"] == 1
    assert delivered(aws)["run"]["dry_run"]
    assert writes(aws) == []


def test_too_little_time(aws: FakeAws, start: Start) -> None:
    summary = start(20).invoke({})
    assert summary["exit_status"] == 4
    assert failures(delivered(aws)) == {(None, None, "deadline")}
    assert len(aws.messages()) == 1
    assert set(calls(aws)) == {"s3:GetObject", "s3:PutObject", "sns:Publish"}


def test_another_sweep_at_work_is_an_error_and_no_sweep(aws: FakeAws, start: Start) -> None:
    variables = aws.environment
    session = Session()
    session.set_credentials(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])
    s3: Any = session.create_client(
        "s3", region_name=variables["AWS_REGION"], endpoint_url=aws.endpoint
    )
    holder = _Holder("20261124T021708Z-e9a4f1", "a-task", "2026-11-24T02:17:08Z", "0" * 16)
    s3.put_object(
        Bucket=WORLD.buckets[0].name, Key="lease.json", Body=json.dumps(asdict(holder)).encode()
    )
    function = start(900)
    error = function.invoke({})
    assert error["errorType"] == "SweepFailed"
    assert error["errorMessage"].startswith("lease_held: another sweep holds ")
    assert "run 20261124T021708Z-e9a4f1 on a-task" in error["errorMessage"]
    assert "sweep.metrics" not in [line["event"] for line in function.lines]
    assert aws.messages() == []
    assert writes(aws) == []
    # A dry run looks all the same.
    assert function.invoke({"dry_run": True})["exit_status"] == 3


def test_an_error_says_what_is_wrong_and_the_function_goes_on(aws: FakeAws, start: Start) -> None:
    function = start(900)
    error = function.invoke({"dryrun": True})
    assert error["errorType"] == "ConfigurationError"
    assert "'dryrun' is unknown; allowed: dry_run" in error["errorMessage"]
    assert calls(aws) == {}
    aws.load(small_world(accounts=2, regions=1, caller_mode="not_allowed"))
    error = function.invoke({})
    assert error["errorType"] == "SweepFailed"
    assert error["errorMessage"].startswith("not_allowed_to_list: ")
    aws.load(WORLD)
    assert function.invoke({})["exit_status"] == 0
