"""Notice before change, and a rollout in waves: what is changed on which day, and what is said."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.barriers import hold, wait_until_held
from tests.end_to_end.harness import (
    Here,
    changes,
    end,
    open_repositories,
    small_world,
    start,
    writes,
)
from tests.end_to_end.test_distributed import Stages
from tests.end_to_end.test_memory import put
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Registry, Repository, Unit

DAYS = 3
BUCKET = "sweeper-reports"
NOTICE = ("withheld", "in_grace_period")
WORLD = small_world(
    accounts=2,
    regions=1,
    registries=(Registry(repositories=(Repository("app"), Repository("web"))),),
)


def today() -> date:
    return datetime.now(UTC).date()


def config(**remediation: Any) -> dict[str, Any]:
    return {
        "report": {"s3": {"bucket": BUCKET, "prefix": "sweeps"}, "formats": ["json", "text"]},
        "remediation": {"grace_days": DAYS, **remediation},
    }


@dataclass
class Records:
    """What earlier sweeps left in S3."""

    aws: FakeAws

    def read(self, name: str) -> Any:
        (found,) = [each for each in self.aws.objects() if each.key == f"sweeps/{name}"]
        return json.loads(found.body)

    def write(self, name: str, content: bytes) -> None:
        put(self.aws, WORLD, f"sweeps/{name}", content)

    def age(self, days: int) -> None:
        """Let the last report be of a sweep so many days ago."""
        report = self.read("latest.json")
        for finding in report["findings"]:
            if finding["announced"]:
                day = date.fromisoformat(finding["announced"]) - timedelta(days=days)
                finding["announced"] = str(day)
        self.write("latest.json", json.dumps(report).encode())


@pytest.fixture
def records(aws: FakeAws) -> Records:
    aws.load(WORLD)
    return Records(aws)


def days_of(report: Any) -> set[tuple[str | None, str | None]]:
    """When each change was announced, and when it is due."""
    return {(each["announced"], each["change"]["due"]) for each in report["findings"]}


def test_a_change_is_announced_first_and_made_after_its_grace_period(
    aws: FakeAws, here: Here, records: Records
) -> None:
    first = here.run(aws, config=config())
    due = str(today() + timedelta(days=DAYS))
    assert changes(first.report) == {NOTICE}
    assert days_of(first.report) == {(str(today()), due)}
    assert due in (first.directory / "out" / "report.txt").read_text()
    assert first.report["since_last"]["announced"] == len(open_repositories(aws)) == 4
    assert first.status == 3

    records.age(DAYS - 1)
    second = here.run(aws, config=config())
    assert changes(second.report) == {NOTICE}
    assert days_of(second.report) == {
        (str(today() - timedelta(days=DAYS - 1)), str(today() + timedelta(days=1)))
    }
    assert second.report["since_last"]["announced"] == 0
    assert writes(aws) == []

    records.age(1)
    new = aws.world.accounts[0].id, "us-east-1", "new"
    aws.put_repository(new[0], new[1], Repository(new[2]))
    third = here.run(aws, config=config())
    assert changes(third.report) == {("applied", None), NOTICE}
    assert set(open_repositories(aws)) == {new}

    # Its owners had their notice: what is opened again is fixed at once.
    reopened = new[0], new[1], "app"
    aws.put_repository(*reopened[:2], Repository("app"))
    fourth = here.run(aws, config=config())
    assert set(open_repositories(aws)) == {new}
    assert changes(fourth.report) == {("applied", None), NOTICE}


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["damaged", "denied"])
def test_where_the_last_report_cannot_be_read_the_notice_begins_anew(
    aws: FakeAws, here: Here, records: Records, damage: str
) -> None:
    here.run(aws, config=config())
    records.age(DAYS)
    if damage == "damaged":
        records.write("latest.json", b"{")
    else:
        aws.faults([{"action": "access_denied", "operation": "GetObject"}])
    ended = here.run(aws, config=config())
    assert changes(ended.report) == {NOTICE}
    errors = {each["change"]["error"] for each in ended.report["findings"]}
    assert all("the notice begins with this run: " in error for error in errors)
    assert all("latest.json " in error for error in errors)
    (warned,) = [line for line in ended.logs if line["event"] == "announcements.unavailable"]
    assert warned["level"] == "warning"
    assert writes(aws) == []


@pytest.mark.slow
def test_a_reviewed_report_makes_no_notice_shorter(
    aws: FakeAws, here: Here, records: Records
) -> None:
    """Whatever it says: anybody may have written it. What counts is the stored report."""
    here.run(aws, config=config())
    review = here.run(aws, "--dry-run", config=config(grace_days=0)).report
    assert changes(review) == {("planned", None)}
    for finding in review["findings"]:
        finding["announced"] = "2020-01-01"
    path = Path(here.run(aws, "--dry-run", config=config(grace_days=0)).directory, "review.json")
    path.write_text(json.dumps(review))
    apply = ("apply", str(path), "--yes", "--output", "out")
    for age, expected in ((0, NOTICE), (DAYS, ("applied", None))):
        records.age(age)
        ended = here.command(aws, *apply, config=config())
        run_id = ended.logs[-1]["run_id"]
        report = json.loads((ended.directory / "out" / run_id / "report.json").read_text())
        assert changes(report) == {expected}
    # It is no second notice that is due, should one of them be opened again.
    closures = records.read("history.json")["closures"]
    assert {each["announced"] for each in closures} == {str(today() - timedelta(days=DAYS))}


@pytest.mark.slow
def test_a_resumed_run_has_the_plan_that_it_had(
    aws: FakeAws, here: Here, records: Records, tmp_path: Path
) -> None:
    here.run(aws, config=config())
    records.age(DAYS)
    hold(aws, "PutImageTagMutability", skip=1)
    process = start(aws, tmp_path, config=config())
    wait_until_held(aws, process)
    process.kill()
    end(process, tmp_path)
    aws.faults([])
    (journal,) = (tmp_path / "state" / "sweeper").glob("*.journal")
    ended = here.run(aws, "--resume", journal.stem, config=config())
    assert changes(ended.report) == {("applied", None)}
    assert open_repositories(aws) == {}


@pytest.mark.slow
def test_a_distributed_sweep_keeps_the_same_days(
    aws: FakeAws, here: Here, records: Records, tmp_path: Path
) -> None:
    here.run(aws, config=config())
    for age, expected in ((0, NOTICE), (DAYS, ("applied", None))):
        records.age(age)
        stages = Stages(aws, tmp_path / f"stages-{age}", True, config())
        stages.run_id = stages.succeed("start")["run"]
        stages.scan(0)
        stages.succeed("plan")
        stages.apply_all()
        stages.run("finish")
        report = records.read("latest.json")
        assert changes(report) == {expected}
        announced = {each["announced"] for each in report["findings"]}
        assert announced == {str(today() - timedelta(days=age))}


UNITS = (Unit("ou-fake-11111111", "first", "r-fake"), Unit("ou-fake-22222222", "last", "r-fake"))


@pytest.fixture
def waves(aws: FakeAws) -> dict[str, Any]:
    """An account of each of two OUs, and a configuration that opens them on different days."""
    parents = zip(WORLD.accounts, UNITS, strict=True)
    accounts = tuple(replace(account, parent=unit.id) for account, unit in parents)
    aws.load(replace(WORLD, accounts=accounts, units=UNITS))
    opens, later = str(today() - timedelta(days=2)), str(today() + timedelta(days=9))
    rollout = [
        {"include_ous": [UNITS[0].id], "from": opens},
        {"include_ous": [UNITS[1].id], "from": later},
    ]
    return {"rollout": rollout, "grace_days": 0}


def test_a_rollout_changes_an_account_on_the_day_of_its_wave_and_not_before(
    aws: FakeAws, here: Here, waves: dict[str, Any]
) -> None:
    opens, later = (wave["from"] for wave in waves["rollout"])
    first, second = (account.id for account in WORLD.accounts)
    dry = here.run(aws, "--dry-run", config=config(**waves)).report
    assert writes(aws) == []
    aws.reset_statistics()
    ended = here.run(aws, config=config(**waves))
    for report, done in ((dry, ("planned", None)), (ended.report, ("applied", None))):
        by_account = {
            each["account_id"]: (each["change"]["status"], each["change"]["reason"])
            for each in report["findings"]
        }
        assert by_account == {first: done, second: ("withheld", "in_later_wave")}
        dues = {each["account_id"]: each["change"]["due"] for each in report["findings"]}
        assert dues == {first: None, second: later}
        assert report["run"]["write_scope"]["waves"] == [
            {"day": opens, "accounts": 1, "changes": 2},
            {"day": later, "accounts": 1, "changes": 2},
        ]
    assert {each["account"] for each in writes(aws)} == {first}
    may_write = {
        each["account"]: "ecr:PutImageTagMutability" in each["policy"]
        for each in aws.statistics().assume_role
    }
    assert may_write == {first: True, second: False}
    assert later in (ended.directory / "out" / "report.txt").read_text()

    waves["rollout"][1]["from"] = str(today())
    here.run(aws, config=config(**waves))
    assert open_repositories(aws) == {}


@pytest.mark.slow
def test_preflight_tries_what_the_last_wave_will_need(
    aws: FakeAws, here: Here, waves: dict[str, Any]
) -> None:
    aws.reset_statistics()
    here.command(aws, "preflight", config=config(**waves))
    tried = {each["account"] for each in writes(aws)}
    assert tried == {account.id for account in WORLD.accounts}
    assert not any(each["accepted"] for each in writes(aws))


@pytest.mark.slow
def test_only_the_account_above_its_cap_is_withheld(aws: FakeAws, here: Here) -> None:
    first, second = (account.id for account in WORLD.accounts)
    few = Registry(account=second, repositories=(Repository("app"),))
    aws.load(replace(WORLD, registries=(few, *WORLD.registries)))
    ended = here.run(aws, config=config(grace_days=0, max_changes_per_account=1))
    assert {account for account, *_ in open_repositories(aws)} == {first}
    assert changes(ended.report) == {("applied", None), ("withheld", "max_changes_per_account")}
