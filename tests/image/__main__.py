"""`python -m tests.image`: build the image and run it as it will be run; exit status 1 on failure.

Needs root, buildah, podman, runc, and, where no registry can be reached, debootstrap.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.session import Session

from tests.end_to_end.harness import failures, open_repositories, small_world
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault
from tests.image.containers import (
    PODMAN,
    TAG,
    bases,
    build,
    output,
    provide_base,
    release,
    run_command,
    size,
)
from tests.lambda_runtime.emulator import Emulator, binary, free_port, options

MOST_BYTES = 200_000_000
MOST_SECONDS = 30  # between SIGTERM and SIGKILL: the default of ECS
LONGER_THAN_A_TIME_OUT = 25  # seconds
WORLD = small_world(accounts=3, regions=2)
BUCKET = WORLD.buckets[0].name
NAME = "sweeper-image-check"


def say(text: str) -> None:
    """Print a line at once: what follows may take a while."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def check(what: str, good: bool, value: object = "") -> None:
    """Print a line; end with exit status 1 where it is not good."""
    say(f"{'ok  ' if good else 'FAIL'}  {what}{f': {value}' if value != '' else ''}")
    if not good:
        sys.exit(1)


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


def delivered(aws: FakeAws, name: str = "report.json") -> Any:
    """The run's report.json, or the one object that is called `name`."""
    (body,) = (each.body for each in aws.objects() if each.key.endswith(f"/{name}"))
    return json.loads(body)


def events(stderr: str) -> list[str]:
    """What the structured lines tell of."""
    return [json.loads(line)["event"] for line in stderr.splitlines()]


def check_the_image() -> None:
    """Size, user, and that nothing can be written."""
    (python,) = (image for kind, image in bases() if kind == "PYTHON")
    own = size(TAG) - size(python)
    check("size without the base < 200 MB", own < MOST_BYTES, f"{own / 1e6:.0f} MB")
    program = (
        "import os\n"
        "try: open('/tmp/x', 'w')\n"
        "except OSError as error: print(os.getuid(), os.getgid(), error.errno)\n"
        "print(open('/proc/self/status').read().split('CapEff:')[1].split()[0])"
    )
    command = run_command("--entrypoint=python", environment={}, image_arguments=("-c", program))
    user, capabilities = output(*command).splitlines()
    check("runs as neither root nor a named user", user.startswith("65532 65532"), user[:11])
    check("writes nowhere, /tmp included", user.endswith(" 30"), "errno 30, read-only")
    check("has no capabilities", int(capabilities, 16) == 0, capabilities)


def check_a_task(aws: FakeAws) -> None:
    """The exit status is the sweep's, whatever it is."""
    cases: tuple[tuple[int, str, dict[str, Any], dict[str, Any]], ...] = (
        (0, "all closed", {}, {}),
        (2, "not allowed to list", {}, {"caller_mode": "not_allowed"}),
        (3, "findings remain", {"remediation": {"auto_remediate": "DISABLED"}}, {}),
        (4, "no member role", {}, {"role": {"exists": False}}),
        (5, "no such bucket", {"report": {"s3": {"bucket": "no-such-bucket"}}}, {}),
    )
    for status, what, config, changes in cases:
        variables = loaded(aws, config, **changes)
        ended = subprocess.run(
            run_command(environment=variables), check=False, capture_output=True, text=True
        )
        good = ended.returncode == status and "Traceback" not in ended.stderr
        check(f"task, {what}: exit status {status}", good, "" if good else ended.stderr)
        check("  one line of metrics", events(ended.stderr).count("sweep.metrics") == 1)
        if status == 0:
            check("  every repository closed", open_repositories(aws) == {})
            check_what_lies_beside_the_report(aws)


def check_what_lies_beside_the_report(aws: FakeAws) -> None:
    """What a machine without a disk keeps of a run: all that it was about to do, and its lease."""
    report = delivered(aws)
    (plan,) = (each for each in aws.objects() if each.key.endswith("/plan.jsonl"))
    intents = sum(json.loads(line)["kind"] == "intent" for line in plan.body.splitlines())
    good = report["run"]["id"] in plan.key and intents == report["totals"]["changes"]["applied"]
    check("  the plan beside the report in S3, no journal", good, f"{intents} changes")
    check("  the lease in S3 given back", delivered(aws, "lease.json")["released"])


def check_without_a_place(aws: FakeAws) -> None:
    """Nothing is changed where nothing can be put on record."""
    variables = loaded(aws, {"report": {}})
    ended = subprocess.run(
        run_command(environment=variables), check=False, capture_output=True, text=True
    )
    check("task, neither report.s3 nor a volume: exit status 3", ended.returncode == 3)
    check("  nothing was written", aws.statistics().writes == [])


def check_two_tasks(aws: FakeAws) -> None:
    """A second task meets the first one's lease, and leaves everything to it."""
    variables = loaded(aws, {"limits": {"max_workers": 1}})
    aws.faults([Fault("hang", operation="DescribeRepositories", skip=2, seconds=8, times=1)])
    first = started_until(aws, variables, "ecr:DescribeRepositories", 3)
    second = subprocess.run(
        run_command(environment=variables), check=False, capture_output=True, text=True
    )
    good = second.returncode == 6 and "Traceback" not in second.stderr
    check("task, while another is at work: exit status 6", good, "" if good else second.stderr)
    check("  says whose lease it met", delivered(aws, "lease.json")["run_id"] in second.stderr)
    check("  no metrics: it was no sweep", "sweep.metrics" not in events(second.stderr))
    check("  the other goes on: exit status 0", first.wait() == 0)
    check("  every repository closed", open_repositories(aws) == {})


def check_a_killed_task(aws: FakeAws) -> None:
    """A task that is killed while it changes: another goes on with the plan in S3.

    Without a lease, which would keep the other out until it has run out: five minutes.
    """
    s3 = {"bucket": BUCKET, "prefix": "reports", "lease": False}
    variables = loaded(aws, {"limits": {"max_workers": 1}, "report": {"s3": s3}})
    write = "PutImageTagMutability"
    aws.faults([Fault("hang", operation=write, skip=3, seconds=LONGER_THAN_A_TIME_OUT)])
    process = started_until(aws, variables, f"ecr:{write}", 4)
    output(*PODMAN, "kill", "--signal", "KILL", NAME)
    check("task, killed while it changes: exit status 137", process.wait() == 137)
    aws.faults([])
    (plan,) = (each.key for each in aws.objects() if each.key.endswith("/plan.jsonl"))
    run_id = plan.split("/")[-2]
    command = run_command(environment=variables, image_arguments=("run", "--resume", run_id))
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    good = ended.returncode == 0
    check("  --resume in another task: exit status 0", good, "" if good else ended.stderr)
    check("  one report, of the same run", delivered(aws)["run"]["id"] == run_id)
    check("  every repository closed", open_repositories(aws) == {})


def started_until(
    aws: FakeAws, variables: dict[str, str], call: str, times: int
) -> subprocess.Popen[bytes]:
    """A task that has made the call so many times."""
    process = subprocess.Popen(
        run_command("--replace", f"--name={NAME}", environment=variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and aws.statistics().calls.get(call, 0) < times:
        time.sleep(0.05)
    return process


def check_sigterm(aws: FakeAws) -> None:
    """A task that is stopped while a call hangs delivers what it has."""
    variables = loaded(aws, {"limits": {"max_workers": 1}})
    hang = Fault("hang", operation="DescribeRepositories", skip=2, seconds=LONGER_THAN_A_TIME_OUT)
    aws.faults([hang])
    process = started_until(aws, variables, "ecr:DescribeRepositories", 3)
    began = time.monotonic()
    output(*PODMAN, "stop", "--time", str(MOST_SECONDS), NAME)
    seconds = time.monotonic() - began
    check("task, SIGTERM while a call hangs: exit status 4", process.wait() == 4)
    check(f"  within {MOST_SECONDS} s", seconds < MOST_SECONDS, f"{seconds:.1f} s")
    report = delivered(aws)
    check("  report delivered, marked incomplete", report["coverage"]["complete"] is False)
    reasons = {item["reason"] for item in report["failures"]}
    check("  and it says why", "interrupted" in reasons, ", ".join(sorted(reasons)))
    check("  nothing was written", aws.statistics().writes == [])


@contextmanager
def removed_at_the_end() -> Iterator[None]:
    """No container stays, whatever became of it."""
    try:
        yield
    finally:
        output(*PODMAN, "rm", "--force", "--ignore", "--time", "0", NAME)


def check_a_lambda(aws: FakeAws) -> None:
    """The same image, with Lambda's entry point and command, under the emulator."""

    def function(seconds: int) -> Emulator:
        port = free_port()
        variables = loaded(aws) | {"AWS_LAMBDA_FUNCTION_TIMEOUT": str(seconds)}
        command = run_command(
            "--replace",
            f"--name={NAME}",
            f"--volume={binary()}:/emulator:ro",
            "--entrypoint=/emulator",
            environment=variables,
            image_arguments=(
                *options(port),
                *("python", "-m", "awslambdaric", "sweeper.lambda_handler.handler"),
            ),
        )
        return Emulator(command, port, directory=Path.cwd(), environment=os.environ)

    with removed_at_the_end(), function(900) as emulator:
        summary = emulator.invoke({})
        good = summary.get("exit_status") == 0 and open_repositories(aws) == {}
        check("Lambda: a run, every repository closed", good, "" if good else emulator.said)
        check("  report delivered", delivered(aws)["run"]["id"] == summary["run_id"])
        error = emulator.invoke({"dryrun": True})
        check("  an unknown key of the event", error["errorType"] == "ConfigurationError")
    with removed_at_the_end(), function(20) as emulator:
        summary = emulator.invoke({})
        good = failures(delivered(aws)) == {(None, None, "deadline")}
        check("Lambda: too little time, report delivered, marked incomplete", good)
        check("  exit status 4 in the summary", summary["exit_status"] == 4)


def main() -> None:
    """All checks, in order; the first that fails ends them."""
    steps: tuple[Callable[[FakeAws], None], ...] = (
        check_a_task,
        check_without_a_place,
        check_two_tasks,
        check_sigterm,
        check_a_killed_task,
        check_a_lambda,
    )
    for kind, image in bases():
        say(f"base  {image}: {provide_base(kind, image)}")
    began = time.monotonic()
    build()
    check("built from the Dockerfile as it stands", True, f"{time.monotonic() - began:.0f} s")
    check_the_image()
    with FakeAws(WORLD) as aws:
        for step in steps:
            step(aws)
    say("all checks passed")


if __name__ == "__main__":
    try:
        main()
    finally:
        release()
