"""The Lambda's handler against the fake AWS: what an event may say, and how time ends a run."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sweeper.domain.errors import ConfigurationError
from sweeper.engine.attempts import Stop
from sweeper.entrypoints import runner
from sweeper.entrypoints.lambda_function import _RESERVE, SweepFailed, handler
from tests.cases import case
from tests.end_to_end.harness import (
    calls,
    changes,
    failures,
    open_repositories,
    small_world,
    write_config,
    writes,
)
from tests.fake_aws.process import FakeAws

WORLD = small_world(accounts=3, regions=2)
BUCKET = WORLD.buckets[0].name
REPORT = {"report": {"s3": {"bucket": BUCKET}, "sns_topic_arn": WORLD.topics[0]}}


class Context:
    """Lambda's context, as far as it is used."""

    def __init__(self, seconds: float = 900) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self._seconds * 1000)


@pytest.fixture
def aws(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    """The fake AWS with a world, whose caller this process is."""
    aws.load(WORLD)
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    write_config(Path(), REPORT)
    return aws


def delivered(aws: FakeAws) -> Any:
    """The one report.json in the bucket."""
    (body,) = (each.body for each in aws.objects() if each.key.endswith("/report.json"))
    return json.loads(body)


SCHEDULED = {"version": "0", "id": "1", "account": "123456789012", "detail": {}}


@pytest.mark.parametrize(
    "event",
    [
        {},
        {**SCHEDULED, "source": "aws.events", "detail-type": "Scheduled Event"},
        {**SCHEDULED, "source": "aws.scheduler", "detail-type": "Scheduled Event"},
    ],
)
def test_a_schedule_is_the_run_that_is_configured(
    aws: FakeAws, event: Mapping[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    count = len(open_repositories(aws))
    summary = handler(event, Context())
    report = delivered(aws)
    assert open_repositories(aws) == {}
    assert json.loads(json.dumps(summary)) == {
        "run_id": report["run"]["id"],
        "dry_run": False,
        "exit_status": 0,
        "totals": report["totals"],
        "coverage": report["coverage"],
        "deliveries": summary["deliveries"],
    }
    assert summary["totals"]["changes"]["applied"] == count > 0
    assert [each["status"] for each in summary["deliveries"]] == ["delivered", "delivered"]
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["event"] for line in lines[-2:]] == ["sweep.metrics", "sweep.finished"]


def test_a_dry_run_is_delivered_only_where_the_event_says_so(aws: FakeAws) -> None:
    assert handler({"dry_run": True}, Context())["exit_status"] == 3
    assert aws.objects() == []
    summary = handler({"dry_run": True, "deliver": True}, Context())
    assert summary["dry_run"]
    assert delivered(aws)["run"]["dry_run"]
    assert writes(aws) == []


def test_an_event_narrows_accounts_and_regions(aws: FakeAws) -> None:
    account, region = WORLD.accounts[1].id, list(WORLD.regions)[1]
    summary = handler({"accounts": [account], "regions": [region], "dry_run": True}, Context())
    assert summary["totals"]["targets"]["examined"] == 1
    assert calls(aws)["sts:AssumeRole"] == 1


def test_a_sweep_that_the_event_narrowed_is_no_point_of_the_trend(aws: FakeAws) -> None:
    def trend() -> list[str]:
        (latest,) = (each for each in aws.objects() if each.key.endswith("latest.json"))
        return [point["run_id"] for point in json.loads(latest.body)["trend"]]

    handler({"accounts": [WORLD.accounts[1].id]}, Context())
    assert trend() == []
    run_id = handler({}, Context())["run_id"]
    assert trend() == [run_id]


def test_an_event_narrows_ous(aws: FakeAws) -> None:
    unit = WORLD.units[0]
    expected = {each.id for each in WORLD.accounts if each.parent == unit.id}
    summary = handler({"ous": [unit.id], "dry_run": True}, Context())
    assert summary["totals"]["accounts"]["opened"] == len(expected) > 0


def test_a_preflight_checks_access_and_sweeps_nothing(
    aws: FakeAws, capfd: pytest.CaptureFixture[str]
) -> None:
    before = open_repositories(aws)
    account = WORLD.accounts[1].id
    answer = handler({"preflight": True, "accounts": [account]}, Context())
    assert answer["exit_status"] == 0
    assert answer["accounts"]["with_role"] == 1
    written = answer["actions"]["ecr:PutImageTagMutability"]
    assert written["works"] == answer["account_regions"] > 0
    assert {each["answer"] for each in answer["destinations"]} == {"works"}
    assert open_repositories(aws) == before
    assert aws.objects() == []
    assert "sweep.metrics" not in capfd.readouterr().err


def test_a_preflight_names_what_would_not_work(aws: FakeAws) -> None:
    aws.load(small_world(accounts=2, regions=1, role={"exists": False}))
    answer = handler({"preflight": True}, Context())
    assert answer["exit_status"] == 4
    assert len(answer["accounts"]["without_role"]) == 2
    assert json.loads(json.dumps(answer)) == answer


def test_a_preflight_ends_before_the_functions_time(aws: FakeAws) -> None:
    answer = handler({"preflight": True}, Context(_RESERVE))
    assert answer["exit_status"] != 0
    assert "sts:AssumeRole" not in calls(aws)


def test_a_bad_event_is_refused_before_anything_is_called(aws: FakeAws) -> None:
    cases: list[tuple[object, str]] = [
        ([], "event: list is not allowed; allowed: a mapping"),
        (None, "event: NoneType is not allowed; allowed: a mapping"),
        ({"dryrun": True}, "'dryrun' is unknown; allowed: dry_run, deliver, preflight, accounts"),
        ({"preflight": "yes"}, "preflight: 'yes' is not allowed; allowed: true or false"),
        ({"preflight": True, "deliver": True}, "deliver: not allowed with preflight"),
        ({"source": "aws.events"}, "'source' is unknown"),
        ({"dry_run": "true"}, "dry_run: 'true' is not allowed; allowed: true or false"),
        ({"deliver": 1}, "deliver: 1 is not allowed; allowed: true or false"),
        ({"deliver": True}, "deliver: true is allowed only with dry_run: true"),
        ({"deliver": True, "dry_run": False}, "deliver: true is allowed only with dry_run: true"),
        ({"stage": "start", "deliver": True}, "deliver: true is allowed only with dry_run: true"),
        ({"accounts": []}, "accounts: [] is not allowed; allowed: a list of texts"),
        ({"accounts": "123456789012"}, "accounts: '123456789012' is not allowed"),
        ({"accounts": [123456789012]}, "accounts: [123456789012] is not allowed"),
        ({"regions": None}, "regions: None is not allowed"),
        ({"stage": "fly"}, "stage: 'fly' is not allowed; allowed: start, scan, plan, apply"),
        ({"stage": "scan", "run": 1}, "run: 1 is not allowed"),
        ({"stage": "scan", "shard": True}, "shard: True is not allowed"),
        ({"stage": "plan", "run": "x", "shard": 1}, "shard: not allowed with stage plan"),
        ({"stage": "scan", "run": "x", "dry_run": True}, "dry_run: not allowed with stage scan"),
        ({"stage": "plan"}, "plan: None is no run"),
        ({"run": "x"}, "run: not allowed without stage"),
        ({"stage": "scan", "run": "20260101T000000Z-abcdef"}, "scan: it needs the number"),
        ({"accounts": ["1"]}, "event: accounts: '1' is not allowed"),
        ({"regions": ["eu-central-9"]}, "event: regions: 'eu-central-9' is not a region"),
        ({"ous": ["ou-1"]}, "event: ous: 'ou-1' is not allowed"),
    ]
    for event, message in cases:
        with case(event, message):
            with pytest.raises(ConfigurationError, match=re.escape(message)):
                handler(event, Context())
            assert calls(aws) == {}


def test_nothing_to_sweep_is_an_error_of_the_function(aws: FakeAws) -> None:
    aws.load(small_world(accounts=2, regions=1, caller_mode="not_allowed"))
    with pytest.raises(SweepFailed, match=r"not_allowed_to_list: .*organizations:ListAccounts"):
        handler({}, Context())


def test_a_defect_is_an_error_of_the_function(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a\ndefect")

    monkeypatch.setattr("sweeper.aws.accounts.AwsCloud.list_accounts", broken)
    with pytest.raises(SweepFailed, match=r"internal_error: ZeroDivisionError: a\\x0adefect"):
        handler({}, Context())
    assert delivered(aws)["failures"][0]["reason"] == "internal_error"


def test_an_incomplete_sweep_is_a_summary(aws: FakeAws) -> None:
    aws.load(small_world(accounts=2, regions=1, role={"exists": False}))
    assert handler({}, Context())["exit_status"] == 4


def test_the_configuration_is_read_anew_for_each_event(aws: FakeAws) -> None:
    handler({"dry_run": True}, Context())
    write_config(Path(), {"limits": {"max_workers": 0}})
    with pytest.raises(ConfigurationError, match="max_workers"):
        handler({"dry_run": True}, Context())


# --- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, 3, _RESERVE])
def test_too_little_time_is_a_report_that_nothing_was_reached(aws: FakeAws, seconds: float) -> None:
    summary = handler({}, Context(seconds))
    assert summary["exit_status"] == 4
    assert summary["coverage"] == {"accounts": 0.0, "targets": 0.0, "complete": False}
    assert failures(delivered(aws)) == {(None, None, "deadline")}
    assert len(aws.messages()) == 1
    assert set(calls(aws)) == {"s3:GetObject", "s3:PutObject", "sns:Publish"}


Passed = Callable[[str, int], None]


@pytest.fixture
def passes(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> Passed:
    """Let the run's time pass at the moment when an operation has been asked for so often."""

    def pass_at(operation: str, times: int) -> None:
        deadline = Context().get_remaining_time_in_millis() / 1000 - _RESERVE
        begun: list[None] = []

        def clock() -> float:
            """From just before the deadline to just after it, so that no call seems to last."""
            if not begun:
                begun.append(None)
                return 0.0
            return deadline + (1 if calls(aws).get(operation, 0) >= times else -1)

        monkeypatch.setattr(runner, "Stop", functools.partial(Stop, clock=clock))

    return pass_at


ONE_AT_A_TIME = {**REPORT, "limits": {"max_workers": 1}}


def ended_in_time(aws: FakeAws) -> Any:
    """The report of a run whose time passed, and that it was delivered as incomplete."""
    write_config(Path(), ONE_AT_A_TIME)
    summary = handler({}, Context())
    assert summary["exit_status"] == (3 if summary["coverage"]["complete"] else 4)
    assert [each["status"] for each in summary["deliveries"]] == ["delivered", "delivered"]
    report = delivered(aws)
    totals = report["totals"]
    for kind, seen in (("accounts", "opened"), ("targets", "examined")):
        part = totals[kind]
        assert part["planned"] == part[seen] + part["skipped"] + part["failed"]
    made = totals["changes"]
    assert made["planned"] == made["applied"] + made["failed"] + made["withheld"]
    assert made["applied"] == sum(each["accepted"] for each in writes(aws))
    return report


@pytest.mark.slow
def test_time_passes_while_listing(aws: FakeAws, passes: Passed) -> None:
    aws.load(small_world(accounts=60, regions=1))
    passes("organizations:ListAccounts", 1)
    report = ended_in_time(aws)
    assert failures(report) == {(None, None, "deadline")}
    assert calls(aws)["organizations:ListAccounts"] == 1
    assert "sts:AssumeRole" not in calls(aws)


def test_time_passes_while_opening(aws: FakeAws, passes: Passed) -> None:
    passes("sts:AssumeRole", 1)
    report = ended_in_time(aws)
    assert failures(report) == {(each.id, None, "deadline") for each in WORLD.accounts}
    assert calls(aws)["sts:AssumeRole"] == 1
    assert "account:ListRegions" not in calls(aws)


def test_time_passes_while_examining(aws: FakeAws, passes: Passed) -> None:
    passes("ecr:DescribeRepositories", 2)
    report = ended_in_time(aws)
    assert {item["reason"] for item in report["failures"]} == {"deadline"}
    assert report["totals"]["targets"]["failed"] >= 4
    assert calls(aws)["ecr:DescribeRepositories"] == 2
    assert writes(aws) == []


def test_time_passes_between_reading_again_and_writing(aws: FakeAws, passes: Passed) -> None:
    passes("ecr:DescribeRepositories", 6 + 1)  # every target, and the first repository again
    report = ended_in_time(aws)
    assert changes(report) == {("failed", "deadline")}
    assert writes(aws) == []


@pytest.mark.slow
def test_time_passes_while_writing(aws: FakeAws, passes: Passed) -> None:
    passes("ecr:PutImageTagMutability", 1)
    report = ended_in_time(aws)
    assert changes(report) == {("applied", None), ("failed", "deadline")}
    assert len(writes(aws)) == 1


def test_the_smaller_limit_counts(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float | None] = []

    def record(seconds: float | None, **_: float) -> Stop:
        given.append(seconds)
        return Stop(seconds)

    monkeypatch.setattr(runner, "Stop", record)
    for limit, seconds in ((100, 900), (800, 100 + _RESERVE), (None, 300)):
        write_config(Path(), {"limits": {"deadline_seconds": limit}})
        handler({"dry_run": True}, Context(seconds))
    assert given == [100, 100, 300 - _RESERVE]
