"""handle_events under the real runtime interface client and emulator: a cold start, then warm."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests import cloudtrail
from tests.end_to_end.harness import calls, environment, small_world, write_config
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Repository
from tests.lambda_runtime.emulator import EVENTS_COMMAND, Emulator, binary, free_port, options

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the emulator is for Linux"),
]

WORLD = small_world(accounts=50, regions=2, latency=0.05)  # of each call, in seconds
REGION = next(iter(WORLD.regions))
ACCOUNT = WORLD.accounts[7].id
CONFIG: dict[str, Any] = {
    "report": {"s3": {"bucket": WORLD.buckets[0].name}, "sns_topic_arn": WORLD.topics[0]}
}


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    with FakeAws(WORLD) as process:
        yield process


def test_a_cold_start_and_a_warm_one(
    aws: FakeAws, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    write_config(tmp_path, CONFIG)
    port = free_port()
    command = [str(binary()), *options(port), sys.executable, *EVENTS_COMMAND]
    variables = environment(
        aws, AWS_LAMBDA_FUNCTION_NAME="sweeper-events", AWS_LAMBDA_FUNCTION_TIMEOUT="180"
    )
    seconds = []
    with Emulator(command, port, directory=tmp_path, environment=variables) as function:
        for name in ("cold", "warm", "again"):
            aws.put_repository(ACCOUNT, REGION, Repository(name))
            batch = cloudtrail.batch([cloudtrail.created(ACCOUNT, REGION, name)])
            begun = datetime.now(UTC)
            assert function.invoke(batch) == {"batchItemFailures": []}
            applied = [each for each in function.lines if each["event"] == "change.applied"]
            seconds.append(
                (datetime.fromisoformat(applied[-1]["timestamp"]) - begun).total_seconds()
            )
        error = function.invoke({"Records": None})
        assert error["errorType"] == "ConfigurationError"
    named = {each.name: each.mutability for each in aws.repositories(ACCOUNT, REGION)}
    assert {named[name] for name in ("cold", "warm", "again")} == {"IMMUTABLE"}
    assert calls(aws)["sts:AssumeRole"] == 1
    said = "immutable after, at 50 ms a call: cold {:.2f} s, warm {:.2f} and {:.2f} s"
    request.node.user_properties.append(("summary", said.format(*seconds)))
