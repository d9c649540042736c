"""The container image, built from the Dockerfile as it stands, as a task and as a Lambda.

It runs confined, as Fargate and Lambda run it or more, against the fake AWS.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session

from tests.end_to_end.barriers import hold, wait_until_held
from tests.end_to_end.harness import failures, open_repositories, small_world
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault
from tests.image import containers
from tests.image.containers import PODMAN, TAG, output, run_command
from tests.lambda_runtime.emulator import Emulator, binary, free_port, options

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(containers.missing()), reason=containers.missing()),
    pytest.mark.usefixtures("image"),
]

MOST_BYTES = 200_000_000
MOST_SECONDS = 30  # between SIGTERM and SIGKILL: the default of ECS
LONGER_THAN_A_TIME_OUT = 25  # seconds
WORLD = small_world(accounts=3, regions=2)
BUCKET = WORLD.buckets[0].name
ONE_AT_A_TIME = {"limits": {"max_workers": 1}}
SWEEP = ("run", "--yes")
Task = subprocess.Popen[str]


@pytest.fixture(scope="module")
def image() -> Iterator[None]:
    containers.provide()
    yield
    containers.release()


@pytest.fixture(scope="module")
def aws() -> Iterator[FakeAws]:
    with FakeAws(WORLD) as process:
        yield process


@pytest.fixture
def container() -> Iterator[str]:
    """The name of a container, which does not stay, whatever becomes of it."""
    name = f"sweeper-image-check-{os.getpid()}"
    yield name
    output(*PODMAN, "rm", "--force", "--ignore", "--time", "0", name)


def loaded(aws: FakeAws, config: dict[str, Any] | None = None, **changes: Any) -> dict[str, str]:
    """A new world with a configuration in its bucket; the variables that lead there."""
    aws.load(small_world(accounts=3, regions=2, **changes))
    report = {"s3": {"bucket": BUCKET, "prefix": "reports"}}
    variables = aws.environment
    session = Session()
    session.set_credentials(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])
    s3: Any = session.create_client(
        "s3", region_name=variables["AWS_REGION"], endpoint_url=aws.endpoint
    )
    body = json.dumps({"report": report, **(config or {})}).encode()
    s3.put_object(Bucket=BUCKET, Key="config.yaml", Body=body)
    aws.reset_statistics()
    return {**variables, "SWEEPER_CONFIG": f"s3://{BUCKET}/config.yaml"}


def ran(
    variables: dict[str, str], arguments: tuple[str, ...] = SWEEP
) -> subprocess.CompletedProcess[str]:
    """A task that has ended."""
    command = run_command(environment=variables, image_arguments=arguments)
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "Traceback" not in ended.stderr
    return ended


def started(container: str, variables: dict[str, str]) -> Task:
    """A task that runs."""
    command = run_command(f"--name={container}", environment=variables, image_arguments=SWEEP)
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )


def started_until(
    aws: FakeAws, container: str, variables: dict[str, str], call: str, times: int
) -> Task:
    """A task that has made the call so many times."""
    task = started(container, variables)
    while aws.statistics().calls.get(call, 0) < times:
        assert task.poll() is None, f"it ended with {task.returncode} before it called {call}"
        time.sleep(0.05)
    return task


def the_one(aws: FakeAws, name: str) -> tuple[str, list[Any]]:
    """The key, and each line, of the one object in the bucket that is called `name`."""
    (found,) = (each for each in aws.objects() if each.key.endswith(f"/{name}"))
    return found.key, [json.loads(line) for line in found.body.splitlines()]


def delivered(aws: FakeAws) -> Any:
    (found,) = (each for each in aws.objects() if each.key.endswith("/report.json"))
    return json.loads(found.body)


def events(stderr: str) -> list[str]:
    """What the structured lines tell of."""
    return [json.loads(line)["event"] for line in stderr.splitlines()]


def test_it_is_small_unprivileged_and_writes_nowhere() -> None:
    (python,) = (image for kind, image in containers.bases() if kind == "PYTHON")
    assert containers.size(TAG) - containers.size(python) < MOST_BYTES
    program = (
        "import os\n"
        "try: open('/tmp/x', 'w')\n"
        "except OSError as error: print(os.getuid(), os.getgid(), os.strerror(error.errno))\n"
        "print(int(open('/proc/self/status').read().split('CapEff:')[1].split()[0], 16))"
    )
    command = run_command("--entrypoint=python", environment={}, image_arguments=("-c", program))
    assert output(*command).splitlines() == ["65532 65532 Read-only file system", "0"]


@pytest.mark.parametrize(
    ("status", "config", "changes"),
    [
        (0, {}, {}),
        (2, {}, {"caller_mode": "not_allowed"}),
        (3, {"remediation": {"auto_remediate": "DISABLED"}}, {}),
        (4, {}, {"role": {"exists": False}}),
        (5, {"report": {"s3": {"bucket": "no-such-bucket"}}}, {}),
    ],
    ids=["all closed", "not allowed to list", "findings", "no member role", "no such bucket"],
)
def test_a_tasks_exit_status_is_the_sweeps(
    aws: FakeAws, status: int, config: dict[str, Any], changes: dict[str, Any]
) -> None:
    ended = ran(loaded(aws, config, **changes))
    assert ended.returncode == status, ended.stderr
    assert events(ended.stderr).count("sweep.metrics") == 1
    if status == 0:
        assert open_repositories(aws) == {}
        # What a machine without a disk keeps: the lease, given back, and the plan, closed.
        assert the_one(aws, "lease.json")[1][0]["released"]
        plan, lines = the_one(aws, "plan.jsonl")
        assert delivered(aws)["run"]["id"] in plan
        assert [line["kind"] for line in lines] == ["run", "finished"]


def test_the_images_own_command_changes_nothing(aws: FakeAws) -> None:
    """`CMD ["run"]`, without a terminal and without `--yes`; an audit needs neither."""
    variables = loaded(aws)
    ended = ran(variables, ())
    assert ended.returncode == 2, ended.stderr
    assert "--yes" in ended.stderr
    assert set(aws.statistics().calls) == {"s3:GetObject"}  # the configuration
    audit = ran({**variables, "SWEEPER_REMEDIATION__AUTO_REMEDIATE": "DISABLED"}, ())
    assert audit.returncode == 3, audit.stderr
    assert aws.statistics().writes == []


def test_without_a_place_for_a_record_it_writes_nothing(aws: FakeAws) -> None:
    assert ran(loaded(aws, {"report": {}})).returncode == 3
    assert aws.statistics().writes == []


def test_a_second_task_leaves_everything_to_the_first(aws: FakeAws, container: str) -> None:
    variables = loaded(aws, ONE_AT_A_TIME)
    hold(aws, "DescribeRepositories", skip=2)
    first = started(container, variables)
    wait_until_held(aws, first)
    second = ran(variables)
    assert second.returncode == 6, second.stderr
    assert the_one(aws, "lease.json")[1][0]["run_id"] in second.stderr
    assert "sweep.metrics" not in events(second.stderr)  # it was no sweep
    aws.faults([])
    assert first.wait() == 0
    assert open_repositories(aws) == {}


def test_a_task_that_is_stopped_while_a_call_hangs_delivers_what_it_has(
    aws: FakeAws, container: str
) -> None:
    variables = loaded(aws, ONE_AT_A_TIME)
    aws.faults(
        [Fault("hang", operation="DescribeRepositories", skip=2, seconds=LONGER_THAN_A_TIME_OUT)]
    )
    task = started_until(aws, container, variables, "ecr:DescribeRepositories", 3)
    output(*PODMAN, "stop", "--time", str(MOST_SECONDS), container)
    assert task.wait() == 4  # 137, were it not done by then
    report = delivered(aws)
    assert report["coverage"]["complete"] is False
    assert "interrupted" in {item["reason"] for item in report["failures"]}
    assert aws.statistics().writes == []


def test_a_killed_task_is_resumed_from_the_plan_in_s3(aws: FakeAws, container: str) -> None:
    # Without a lease, which would keep the other out until it has run out: five minutes.
    s3 = {"bucket": BUCKET, "prefix": "reports", "lease": False}
    variables = loaded(aws, {**ONE_AT_A_TIME, "report": {"s3": s3}})
    opened = set(open_repositories(aws))
    write = "PutImageTagMutability"
    aws.faults([Fault("hang", operation=write, skip=3, seconds=LONGER_THAN_A_TIME_OUT)])
    task = started_until(aws, container, variables, f"ecr:{write}", 4)
    output(*PODMAN, "kill", "--signal", "KILL", container)
    assert task.wait() == 137
    aws.faults([])
    plan, lines = the_one(aws, "plan.jsonl")
    intents = [line for line in lines if line["kind"] == "intent"]
    assert {(each["account_id"], each["region"], each["repository"]) for each in intents} == opened
    run_id = plan.split("/")[-2]
    ended = ran(variables, (*SWEEP, "--resume", run_id))
    assert ended.returncode == 0, ended.stderr
    assert delivered(aws)["run"]["id"] == run_id
    assert open_repositories(aws) == {}


def function(aws: FakeAws, container: str, seconds: int) -> Emulator:
    """The same image with Lambda's entry point and command, under the emulator."""
    port = free_port()
    command = run_command(
        f"--name={container}",
        f"--volume={binary()}:/emulator:ro",
        "--entrypoint=/emulator",
        environment=loaded(aws) | {"AWS_LAMBDA_FUNCTION_TIMEOUT": str(seconds)},
        image_arguments=(
            *options(port),
            *("python", "-m", "awslambdaric", "sweeper.lambda_handler.handler"),
        ),
    )
    return Emulator(command, port, directory=Path.cwd(), environment=os.environ)


def test_a_lambda_sweeps_and_refuses_what_it_does_not_know(aws: FakeAws, container: str) -> None:
    with function(aws, container, 900) as emulator:
        summary = emulator.invoke({})
        assert summary["exit_status"] == 0, emulator.said
        assert open_repositories(aws) == {}
        assert delivered(aws)["run"]["id"] == summary["run_id"]
        assert emulator.invoke({"dryrun": True})["errorType"] == "ConfigurationError"


def test_a_lambda_with_too_little_time_says_so(aws: FakeAws, container: str) -> None:
    with function(aws, container, 20) as emulator:
        assert emulator.invoke({})["exit_status"] == 4, emulator.said
    assert failures(delivered(aws)) == {(None, None, "deadline")}
