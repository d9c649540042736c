"""A run that was killed or stopped is resumed: nothing is lost, nothing is done twice."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.barriers import hold, release_slowly, wait_until_held
from tests.end_to_end.harness import (
    COMMAND,
    Ended,
    Here,
    changes,
    end,
    open_repositories,
    run,
    small_world,
    start,
    start_command,
    writes,
)
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault

FEW = {"limits": {"max_workers": 2}}
VARYING = ("run_id", "started_at", "finished_at")


def journals(directory: Path) -> list[Path]:
    return sorted((directory / "state" / "sweeper").glob("*.journal"))


def run_id(directory: Path) -> str:
    (journal,) = journals(directory)
    return journal.stem


def without_what_varies(report: Any) -> Any:
    """The report but for its times and ids."""
    if isinstance(report, dict):
        if "started_at" in report:
            report = {**report, "id": "the run"}
        return {
            name: without_what_varies(value)
            for name, value in report.items()
            if name not in VARYING
        }
    return [without_what_varies(item) for item in report] if isinstance(report, list) else report


def killed(aws: FakeAws, directory: Path, during: str, *, skip: int = 0, **config: Any) -> None:
    """A run that was killed while a call of the operation was under way, after `skip` of them."""
    hold(aws, during, skip=skip)
    process = start(aws, directory, config={**FEW, **config})
    wait_until_held(aws, process)
    process.kill()
    assert end(process, directory).status == -signal.SIGKILL
    aws.faults([])


@pytest.mark.parametrize(
    "during",
    [pytest.param("DescribeRepositories", marks=pytest.mark.slow), "PutImageTagMutability"],
)
def test_a_run_that_was_killed_is_resumed(aws: FakeAws, tmp_path: Path, during: str) -> None:
    world = small_world(accounts=5)
    aws.load(world)
    undisturbed = run(aws, tmp_path / "whole", config=FEW)

    aws.load(world)
    opened = set(open_repositories(aws))
    killed(aws, tmp_path, during, skip=7)
    before = aws.statistics().calls
    ended = run(aws, tmp_path, "--resume", run_id(tmp_path))

    assert ended.status == undisturbed.status == 0
    assert without_what_varies(ended.report) == without_what_varies(undisturbed.report)
    assert open_repositories(aws) == {}
    made = Counter((each["account"], each["region"], each["repository"]) for each in writes(aws))
    assert set(made) == opened
    assert set(made.values()) == {1}
    assert journals(tmp_path) == []
    if during == "PutImageTagMutability":
        # All had been examined: what is read again is what is written, and what had been begun.
        read = aws.statistics().calls["ecr:DescribeRepositories"]
        begun = FEW["limits"]["max_workers"]
        assert read - before["ecr:DescribeRepositories"] <= len(opened) + begun


@pytest.mark.slow
def test_a_torn_last_line_is_no_obstacle(aws: FakeAws, here: Here, tmp_path: Path) -> None:
    aws.load(small_world(accounts=4))
    killed(aws, tmp_path, "DescribeRepositories", skip=7)
    (journal,) = journals(tmp_path)
    with journal.open("ab") as file:
        file.write(b'{"account_id": "0123')
    ended = here.run(aws, "--resume", str(journal))
    assert ended.status == 0
    assert open_repositories(aws) == {}


@pytest.mark.slow
def test_from_the_plan_in_s3_where_the_machine_is_gone(aws: FakeAws, tmp_path: Path) -> None:
    world = small_world(accounts=4)
    aws.load(world)
    opened = open_repositories(aws)
    report = {"s3": {"bucket": world.buckets[0].name, "prefix": "sweeps", "lease": False}}
    killed(aws, tmp_path, "PutImageTagMutability", skip=3, report=report)
    name = run_id(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    ended = run(aws, elsewhere, "--resume", name, config={**FEW, "report": report})
    assert ended.status == 0
    assert open_repositories(aws) == {}
    assert changes(ended.report) == {("applied", None)}
    assert ended.report["totals"]["changes"]["applied"] == len(opened)
    made = Counter((each["account"], each["region"], each["repository"]) for each in writes(aws))
    assert set(made.values()) == {1}
    # What it replaced is on record, for all that was written.
    for finding in ended.report["findings"]:
        before = opened[finding["account_id"], finding["region"], finding["repository"]]
        assert finding["mutability"] == before.mutability
        assert tuple(finding["exclusion_filters"]) == before.exclusion_filters


def test_a_run_that_was_stopped_is_completed(aws: FakeAws, tmp_path: Path) -> None:
    world = small_world(accounts=10, regions=5)
    aws.load(world)
    undisturbed = run(aws, tmp_path / "whole", config=FEW)
    aws.load(world)
    hold(aws, "DescribeRepositories", skip=7)
    process = start(aws, tmp_path, config=FEW)
    wait_until_held(aws, process)
    process.terminate()
    release_slowly(aws, "DescribeRepositories")
    stopped = end(process, tmp_path)
    assert stopped.status == 4
    assert {item["reason"] for item in stopped.report["failures"]} == {"interrupted"}
    assert not stopped.report["coverage"]["complete"]
    assert stopped.logs[-1]["resumable"] is True
    aws.faults([])
    ended = run(aws, tmp_path, "--resume", stopped.report["run"]["id"])
    assert ended.status == 0
    assert without_what_varies(ended.report) == without_what_varies(undisturbed.report)
    assert ended.report["run"]["started_at"] == stopped.report["run"]["started_at"]
    assert ended.logs[-1]["resumable"] is False
    assert journals(tmp_path) == []


def test_what_did_not_finish_is_told_of_and_left_alone(
    aws: FakeAws, here: Here, tmp_path: Path
) -> None:
    aws.load(small_world(accounts=3))
    killed(aws, tmp_path, "DescribeRepositories")
    name = run_id(tmp_path)
    ended = here.run(aws)
    assert ended.status == 0
    told = [each for each in ended.logs if each["event"] == "journal.unfinished"]
    assert [each["unfinished_run_id"] for each in told] == [name]
    assert run_id(tmp_path) == name


def refused(aws: FakeAws, here: Here, *options: str, **config: Any) -> Ended:
    ended = here.run(aws, *options, config={**FEW, **config})
    assert ended.status == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended


def test_a_run_is_not_resumed_otherwise(aws: FakeAws, here: Here, tmp_path: Path) -> None:
    aws.load(small_world(accounts=3))
    killed(aws, tmp_path, "DescribeRepositories")
    aws.reset_statistics()
    name = run_id(tmp_path)
    other = refused(aws, here, "--resume", name, policy={"allowed_exclusions": ["latest"]})
    assert f"run {name} was begun with another configuration of policy" in other.stderr
    dry = refused(aws, here, "--resume", name, "--dry-run")
    assert f"run {name} was not a dry run" in dry.stderr
    missing = refused(aws, here, "--resume", "20260101T000000Z-abcdef")
    assert "cannot be read: No such file or directory" in missing.stderr
    damaged = tmp_path / "damaged.journal"
    damaged.write_text('{"kind": "run"}\n')
    assert "damaged.journal: line 1: not a line of a journal" in (
        refused(aws, here, "--resume", str(damaged)).stderr
    )
    elsewhere = refused(aws, here, "--resume", "s3://other/plan.jsonl")
    assert "not below report.s3, which is not configured" in elsewhere.stderr
    assert aws.statistics().calls == {}


def test_a_run_that_is_going_on_is_not_joined(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(small_world(accounts=3))
    hold(aws, "DescribeRepositories")
    process = start(aws, tmp_path, config=FEW)
    wait_until_held(aws, process)
    command = (*COMMAND, "--yes", "--resume", run_id(tmp_path))
    ended = end(start_command(aws, tmp_path, command), tmp_path)
    assert ended.status == 2
    assert "the run that writes it is still going on" in ended.stderr
    process.kill()
    end(process, tmp_path)


def test_a_journal_that_cannot_be_written_stops_the_writing_alone(aws: FakeAws, here: Here) -> None:
    """Without a place on record nothing is changed, and all is looked at."""
    aws.load(small_world(accounts=3))
    ended = here.run(aws, XDG_STATE_HOME="/dev/null")
    assert ended.report["coverage"]["complete"]
    assert changes(ended.report) == {("withheld", "journal_unavailable")}
    assert ended.status == 3
    assert writes(aws) == []


def test_a_state_directory_that_is_configured_must_be_writable(aws: FakeAws, here: Here) -> None:
    ended = refused(aws, here, state={"directory": "/dev/null/state"})
    assert "state.directory: /dev/null/state: Not a directory" in ended.stderr


def test_the_plan_lies_beside_the_report_before_the_first_write(
    aws: FakeAws, tmp_path: Path
) -> None:
    world = small_world(accounts=3)
    aws.load(world)
    report = {"s3": {"bucket": world.buckets[0].name, "prefix": "sweeps"}}
    opened = set(open_repositories(aws))
    killed(aws, tmp_path, "PutImageTagMutability", report=report)
    name = run_id(tmp_path)
    day = f"{name[:4]}-{name[4:6]}-{name[6:8]}"
    (plan,) = [each for each in aws.objects() if each.key.endswith("plan.jsonl")]
    assert plan.key == f"sweeps/{day}/{name}/plan.jsonl"
    intents = [each for each in map(json.loads, plan.body.splitlines()) if each["kind"] == "intent"]
    assert {(each["account_id"], each["region"], each["repository"]) for each in intents} == opened


def test_without_the_plan_in_s3_nothing_is_written(aws: FakeAws, here: Here) -> None:
    world = small_world(accounts=2)
    aws.load(world)
    report = {"s3": {"bucket": world.buckets[0].name, "prefix": "sweeps"}}
    # The lease is taken, and the store shown to heed conditions; then the bucket refuses.
    aws.faults([Fault("access_denied", operation="PutObject", skip=3, times=1)])
    ended = here.run(aws, config={**FEW, "report": report})
    assert changes(ended.report) == {("withheld", "journal_unavailable")}
    assert writes(aws) == []


def test_a_resumed_run_that_cannot_list_the_accounts_keeps_its_journal(
    aws: FakeAws, here: Here, tmp_path: Path
) -> None:
    """Else what it had written would be in no report."""
    world = small_world(accounts=4)
    aws.load(world)
    opened = set(open_repositories(aws))
    killed(aws, tmp_path, "PutImageTagMutability", skip=5)
    aws.faults([Fault("access_denied", operation="ListAccounts")])
    name = run_id(tmp_path)
    ended = here.run(aws, "--resume", name)
    assert (ended.status, ended.logs[-1]["resumable"]) == (2, True)
    assert run_id(tmp_path) == name
    aws.faults([])
    again = here.run(aws, "--resume", name)
    assert again.status == 0
    assert {
        (item["account_id"], item["region"], item["repository"])
        for item in again.report["findings"]
        if item["change"]["status"] == "applied"
    } == opened


def test_a_run_that_cannot_list_the_accounts_leaves_no_journal(
    aws: FakeAws, here: Here, tmp_path: Path
) -> None:
    aws.load(small_world(accounts=2))
    aws.faults([Fault("access_denied", operation="ListAccounts")])
    assert here.run(aws).status == 2
    assert journals(tmp_path) == []


def test_what_has_finished_is_not_resumed_from_s3(aws: FakeAws, here: Here) -> None:
    world = small_world(accounts=2)
    aws.load(world)
    report = {"s3": {"bucket": world.buckets[0].name, "prefix": "sweeps"}}
    first = here.run(aws, config={**FEW, "report": report})
    assert first.status == 0
    plan = f"s3://sweeper-reports/sweeps/{first.report['run']['started_at'][:10]}"
    for name in (first.report["run"]["id"], f"{plan}/{first.report['run']['id']}/plan.jsonl"):
        ended = refused(aws, here, "--resume", name, report=report)
        assert "the run has finished: its report has all of it" in ended.stderr


def test_a_dry_run_that_is_resumed_writes_nothing(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(small_world(accounts=2))
    config = {**FEW, "report": {"s3": {"bucket": "sweeper-reports", "prefix": "sweeps"}}}
    hold(aws, "DescribeRepositories", skip=3)
    process = start(aws, tmp_path, "--dry-run", config=config)
    wait_until_held(aws, process)
    process.kill()
    assert end(process, tmp_path).status == -signal.SIGKILL
    aws.faults([])
    ended = run(aws, tmp_path, "--dry-run", "--resume", run_id(tmp_path), config=config)
    assert ended.report["coverage"]["complete"]
    assert aws.objects() == []
    assert journals(tmp_path) == []


def test_what_was_seen_long_ago_is_not_acted_on(aws: FakeAws, here: Here, tmp_path: Path) -> None:
    """What was written then is told; the rest is left to a new sweep."""
    aws.load(small_world(accounts=4))
    killed(aws, tmp_path, "PutImageTagMutability", skip=5)
    made = len(writes(aws))
    (journal,) = journals(tmp_path)
    first, _, rest = journal.read_text(encoding="utf-8").partition("\n")
    header = json.loads(first)
    header |= {"run_id": "20260101T000000Z-abcdef", "started_at": "2026-01-01T00:00:00Z"}
    journal = journal.rename(journal.with_stem(header["run_id"]))
    journal.write_text(f"{json.dumps(header)}\n{rest}", encoding="utf-8")
    ended = here.run(aws, "--resume", journal.stem)
    assert ended.status == 3
    assert len(writes(aws)) == made
    assert changes(ended.report) == {("applied", None), ("withheld", "plan_expired")}
    assert ended.report["totals"]["changes"]["applied"] == made
