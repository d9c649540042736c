"""What a deployment relies on: a clear yes, a configuration in S3, and one line of metrics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session

from tests.end_to_end.harness import (
    SWEEPER,
    calls,
    end,
    open_repositories,
    run,
    small_world,
    start_command,
    writes,
)
from tests.fake_aws.process import FakeAws

WORLD = small_world(accounts=2, regions=1)
BUCKET = WORLD.buckets[0].name
AUDIT = b"remediation: {auto_remediate: DISABLED}\n"


@pytest.mark.parametrize("command", ["run", "apply", "undo"])
def test_without_a_terminal_and_without_yes_nothing_is_called(
    aws: FakeAws, tmp_path: Path, command: str
) -> None:
    aws.load(WORLD)
    report = () if command == "run" else (f"s3://{BUCKET}/report.json",)
    ended = end(start_command(aws, tmp_path, (*SWEEPER, command, *report)), tmp_path)
    assert ended.status == 2
    for each in (f"this {command} ", "stdin is not a terminal", "--yes"):
        assert each in ended.stderr
    assert calls(aws) == {}


@pytest.mark.parametrize(
    ("options", "switch"), [(("--dry-run",), "ENABLED"), ((), "DISABLED")], ids=["dry run", "off"]
)
def test_what_writes_nothing_needs_no_yes(
    aws: FakeAws, tmp_path: Path, options: tuple[str, ...], switch: str
) -> None:
    aws.load(WORLD)
    opened = open_repositories(aws)
    command = (*SWEEPER, "run", *options)
    process = start_command(aws, tmp_path, command, SWEEPER_REMEDIATION__AUTO_REMEDIATE=switch)
    assert end(process, tmp_path).status == 3
    assert calls(aws)["ecr:DescribeRepositories"]
    assert open_repositories(aws) == opened


@pytest.fixture
def stored(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    """The fake AWS with a configuration in its bucket."""
    aws.load(WORLD)
    with monkeypatch.context() as patch:
        for name, value in aws.environment.items():
            patch.setenv(name, value)
        s3: Any = Session().create_client("s3")
        s3.put_object(Bucket=BUCKET, Key="config.yaml", Body=AUDIT)
    aws.reset_statistics()
    return aws


@pytest.mark.parametrize("by", ["option", "variable"])
def test_the_configuration_may_lie_in_s3(stored: FakeAws, tmp_path: Path, by: str) -> None:
    location = f"s3://{BUCKET}/config.yaml"
    if by == "option":
        ended = run(stored, tmp_path, "--config", location)
    else:
        ended = run(stored, tmp_path, SWEEPER_CONFIG=location)
    assert ended.status == 3
    assert ended.report["run"]["auto_remediate"] == "DISABLED"
    assert writes(stored) == []


def test_a_configuration_that_is_not_there_is_exit_status_2(
    stored: FakeAws, tmp_path: Path
) -> None:
    ended = run(stored, tmp_path, "--config", f"s3://{BUCKET}/nothing.yaml")
    assert ended.status == 2
    assert ended.stderr.startswith(f"sweeper: s3://{BUCKET}/nothing.yaml: it does not exist")
    assert set(calls(stored)) == {"s3:GetObject"}


def test_a_run_is_one_line_of_metrics_beside_the_logs(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(WORLD)
    ended = run(aws, tmp_path, "--format", "json", SWEEPER_DEPLOYMENT="sweeper-prod")
    totals = json.loads(ended.stdout)["totals"]
    assert [line["event"] for line in ended.logs[-2:]] == ["sweep.metrics", "sweep.finished"]
    (line,) = (line for line in ended.logs if "_aws" in line)
    assert line["SweepsFinished"] == [1]
    assert line["FindingsRemaining"] == [totals["remaining"]]
    assert line["TargetsExamined"] == [2]
    assert line["CoverageIncomplete"] == [0]
    assert line["Deployment"] == "sweeper-prod"


@pytest.mark.parametrize(
    "options",
    [
        ("--dry-run",),
        ("--account", WORLD.accounts[0].id),
        ("--region", next(iter(WORLD.regions))),
    ],
)
def test_a_run_by_hand_that_is_dry_or_narrowed_has_no_metrics(
    aws: FakeAws, tmp_path: Path, options: tuple[str, ...]
) -> None:
    aws.load(WORLD)
    ended = run(aws, tmp_path, *options, SWEEPER_DEPLOYMENT="sweeper-prod")
    assert "sweep.finished" in [line["event"] for line in ended.logs]
    assert not any("_aws" in line for line in ended.logs)


@pytest.mark.parametrize("name", ["", "two words", "x" * 129])
def test_a_deployment_without_a_usable_name_is_exit_status_2(
    aws: FakeAws, tmp_path: Path, name: str
) -> None:
    aws.load(WORLD)
    ended = run(aws, tmp_path, "--dry-run", SWEEPER_DEPLOYMENT=name)
    assert ended.status == 2
    assert "SWEEPER_DEPLOYMENT" in ended.stderr
    assert "allowed: 1 to 128" in ended.stderr
    assert calls(aws) == {}
