"""The shipped state machine, executed: its report is the one of a single process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import (
    Ended,
    environment,
    failures,
    open_repositories,
    run,
    small_world,
    write_config,
    writes,
)
from tests.end_to_end.test_distributed import same
from tests.end_to_end.test_two_resumes import end_lease
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault, World
from tests.state_machine.interpreter import Interpreter, definition, interpreter

pytestmark = pytest.mark.slow

ACCOUNTS, REGIONS, PER_SHARD = 60, 17, 7
SHARDS = 9
WORLD = World.generate(accounts=ACCOUNTS, regions=REGIONS)
SMALL = small_world(accounts=9, regions=2)
CONCURRENCY = 3
TASKS = {
    "WorkerType": "FARGATE",
    "ImageUri": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/sweeper:1",
    "ImageRepositoryArn": "arn:aws:ecr:eu-central-1:123456789012:repository/sweeper",
    "SubnetIds": "subnet-01234567",
    "SecurityGroupId": "sg-01234567",
}


@pytest.fixture(scope="module")
def process() -> Iterator[FakeAws]:
    with FakeAws(SMALL) as aws:
        yield aws


@pytest.fixture(scope="module")
def by_functions() -> Any:
    return definition(MaxConcurrency=str(CONCURRENCY))


@pytest.fixture(scope="module")
def by_tasks() -> Any:
    return definition(MaxConcurrency=str(CONCURRENCY), **TASKS)


def config(world: World) -> dict[str, Any]:
    s3 = {"bucket": world.buckets[0].name, "prefix": "sweeps"}
    return {
        "distributed": {"accounts_per_shard": PER_SHARD},
        "limits": {"max_workers": 8},
        "remediation": {"max_changes": 5000},
        "report": {"s3": s3, "sns_topic_arn": world.topics[0]},
    }


def by_one_process(aws: FakeAws, world: World, directory: Path, *options: str) -> Ended:
    """The same by `sweeper run`, in a world that is as the other will be."""
    aws.load(world)
    ended = run(aws, directory / "whole", *options, config=config(world))
    aws.load(world)
    return ended


class Machine:
    """The state machine in a world, with what its executions leave there."""

    def __init__(self, aws: FakeAws, world: World, directory: Path, given: Any) -> None:
        aws.load(world)
        directory.mkdir(exist_ok=True)
        self.aws, self.world, self.directory, self.given = aws, world, directory, given
        write_config(directory, config(world))

    def running(self) -> AbstractContextManager[Interpreter]:
        """The interpreter, whose workers run as the world's caller."""
        variables = environment(self.aws, XDG_STATE_HOME=str(self.directory / "state"))
        return interpreter(self.aws, self.directory, variables, self.given)

    @property
    def report(self) -> Any:
        """The one report in the bucket."""
        (body,) = (each.body for each in self.aws.objects() if each.key.endswith("/report.json"))
        return json.loads(body)


@pytest.fixture
def machine(process: FakeAws, tmp_path: Path, by_functions: Any) -> Machine:
    """The state machine with functions as workers, in a small world of two shards."""
    return Machine(process, SMALL, tmp_path / "stages", by_functions)


def stages(sfn: Interpreter) -> list[str]:
    return [event["stage"] for event in sfn.functions.invoked]


def test_a_remediating_run_has_the_report_of_one_process(
    process: FakeAws, tmp_path: Path, by_functions: Any
) -> None:
    whole = by_one_process(process, WORLD, tmp_path)
    machine = Machine(process, WORLD, tmp_path / "stages", by_functions)
    opened = len(open_repositories(process))
    with machine.running() as sfn:
        execution = sfn.run({})
    assert execution.status == "SUCCEEDED", execution
    assert execution.output["finish"] == {"exit_status": whole.status}
    assert same(machine.report, whole.report)
    assert machine.report["totals"]["changes"]["applied"] == opened > 0
    assert len(writes(process)) == opened
    assert open_repositories(process) == {}
    assert stages(sfn).count("scan") == SHARDS
    assert 1 < sfn.functions.most <= CONCURRENCY
    assert len(process.messages()) == 1
    assert sfn.pauses == []


def test_a_dry_run_has_the_report_of_one_process(
    process: FakeAws, tmp_path: Path, by_functions: Any
) -> None:
    whole = by_one_process(process, WORLD, tmp_path, "--dry-run", "--deliver")
    machine = Machine(process, WORLD, tmp_path / "stages", by_functions)
    with machine.running() as sfn:
        execution = sfn.run({"dry_run": True, "deliver": True})
    assert execution.status == "SUCCEEDED", execution
    assert same(machine.report, whole.report)
    assert machine.report["run"]["dry_run"] is True
    assert "apply" not in stages(sfn)
    assert "Apply" not in execution.states
    assert writes(process) == []


def test_tasks_do_as_functions_do(process: FakeAws, tmp_path: Path, by_tasks: Any) -> None:
    whole = by_one_process(process, SMALL, tmp_path)
    machine = Machine(process, SMALL, tmp_path / "stages", by_tasks)
    with machine.running() as sfn:
        execution = sfn.run({})
    assert execution.status == "SUCCEEDED", execution
    assert same(machine.report, whole.report)
    assert set(stages(sfn)) == {"start", "plan", "finish"}
    central = "ecr-immutability-sweeper-central"
    assert sfn.tasks.roles == {("scan", f"{central}-scan"), ("apply", central)}


def test_a_worker_that_fails_once_is_run_again(machine: Machine, tmp_path: Path) -> None:
    whole = by_one_process(machine.aws, SMALL, tmp_path)
    failed: list[str] = []

    def once(event: Any) -> bool:
        is_first = event["stage"] in ("scan", "plan", "apply", "finish") and (
            event["stage"] not in failed
        )
        if is_first:
            failed.append(event["stage"])
        return is_first

    with machine.running() as sfn:
        sfn.functions.faults = once
        execution = sfn.run({})
    assert execution.status == "SUCCEEDED", execution
    assert same(machine.report, whole.report)
    assert failed == ["scan", "plan", "apply", "finish"]
    assert len(sfn.pauses) == len(failed)
    assert max(sfn.pauses) <= 60


def test_the_accounts_of_a_worker_that_always_fails_have_failed(machine: Machine) -> None:
    with machine.running() as sfn:
        sfn.functions.faults = lambda event: (event["stage"], event.get("shard")) == ("scan", 1)
        execution = sfn.run({})
    assert execution.status == "SUCCEEDED", execution  # the report itself has it
    assert execution.output["finish"] == {"exit_status": 4}
    report = machine.report
    lost = {account for account, _, reason in failures(report) if reason == "worker_failed"}
    assert len(lost) == len(SMALL.accounts) - PER_SHARD
    assert len(report["accounts"]) == len(SMALL.accounts)


def test_changes_of_a_worker_that_always_fails_have_failed(machine: Machine) -> None:
    before = open_repositories(machine.aws)
    with machine.running() as sfn:
        sfn.functions.faults = lambda event: (event["stage"], event.get("shard")) == ("apply", 1)
        execution = sfn.run({})
    left = open_repositories(machine.aws)
    assert 0 < len(left) < len(before)
    report = machine.report
    ended = [each["change"] for each in report["findings"] if each["change"]]
    lost = [each for each in ended if each["reason"] == "worker_failed"]
    assert {each["status"] for each in lost} == {"failed"}
    assert len(lost) == len(left)
    assert execution.states[-1] == "Finished"


@pytest.mark.parametrize("stage", ["plan", "finish"])
def test_where_a_stage_fails_the_execution_does_and_there_is_a_report_if_one_can_be_made(
    machine: Machine, stage: str
) -> None:
    with machine.running() as sfn:
        sfn.functions.faults = lambda event: event["stage"] == stage
        execution = sfn.run({})
    assert execution.status == "FAILED"
    assert execution.error == "Runtime.ExitError"
    if stage == "plan":
        assert writes(machine.aws) == []
        assert len(machine.report["accounts"]) == len(SMALL.accounts)
        assert execution.states[-3:] == ("Finish", "Outcome", "StageFailed")
    else:
        assert [each for each in machine.aws.objects() if each.key.endswith("report.json")] == []


@pytest.mark.parametrize("last", [("scan", 2), ("plan", 1), ("apply", 2)])
def test_one_process_resumes_what_was_stopped_between_stages(
    machine: Machine, tmp_path: Path, last: tuple[str, int]
) -> None:
    whole = by_one_process(machine.aws, SMALL, tmp_path)
    with machine.running() as sfn:
        sfn.functions.stop_after = last
        execution = sfn.run({})
    assert execution.status == "ABORTED"
    (run_id,) = {event["run"] for event in sfn.functions.invoked if "run" in event}
    assert stages(sfn)[-1] == last[0]
    assert bool(writes(machine.aws)) is (last[0] == "apply")
    end_lease(machine.aws, SMALL)
    ended = run(machine.aws, machine.directory, "--resume", run_id, config=config(SMALL))
    assert ended.status == whole.status, ended.stderr
    assert ended.report["run"]["id"] == run_id
    assert same(ended.report, whole.report)
    assert len(writes(machine.aws)) == whole.report["totals"]["changes"]["applied"]


def test_where_the_accounts_cannot_be_listed_there_is_a_report_and_the_execution_fails(
    machine: Machine,
) -> None:
    machine.aws.faults([Fault("access_denied", operation="ListAccounts")])
    with machine.running() as sfn:
        execution = sfn.run({})
    machine.aws.faults([])
    assert stages(sfn) == ["start", "plan", "finish"]
    assert (execution.status, execution.error) == ("FAILED", "SweepFailed")
    assert execution.cause == "the sweep ended with exit status 2"
    assert failures(machine.report) == {(None, None, "not_allowed_to_list")}
