"""The report reaches every destination that it can, whatever became of the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sweeper.domain.reasons import Reason
from tests.end_to_end.harness import (
    COMMAND,
    Ended,
    Here,
    calls,
    changes,
    end,
    run,
    small_world,
    start_command,
)
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import World

BUCKET = "sweeper-reports"


def _world() -> World:
    return small_world(accounts=3, regions=1)


def _config(world: World, **report: Any) -> dict[str, Any]:
    return {
        "report": {
            "s3": {"bucket": BUCKET, "prefix": "ecr"},
            "sns_topic_arn": world.topics[0],
            **report,
        }
    }


def test_everywhere_in_one_run(aws: FakeAws, here: Here, tmp_path: Path) -> None:
    world = _world()
    aws.load(world)
    ended = here.run(aws, "--format", "json", config=_config(world))
    printed = json.loads(ended.stdout)
    assert [(each["sink"], each["status"]) for each in printed["deliveries"]] == [
        ("directory", "delivered"),
        ("s3", "delivered"),
        ("sns", "delivered"),
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        printed["run"]["id"],
        "report.csv",
        "report.json",
    ]
    run_id = ended.report["run"]["id"]
    day = ended.report["run"]["started_at"][:10]
    stored = {each.key: each for each in aws.objects()}
    assert set(stored) == {
        f"ecr/{day}/{run_id}/report.json",
        f"ecr/{day}/{run_id}/report.csv",
        f"ecr/{day}/{run_id}/plan.jsonl",
        "ecr/latest.json",
        "ecr/history.json",
        "ecr/lease.json",
    }
    assert json.loads(stored["ecr/latest.json"].body) == ended.report
    (message,) = aws.messages()
    assert message["topic_arn"] == world.topics[0]
    assert f"s3://{BUCKET}/ecr/{day}/{run_id}/report.json" in message["message"]
    assert ended.report["deliveries"] == []
    assert ended.status == 0


def test_a_missing_bucket_does_not_keep_the_report_from_people(aws: FakeAws, here: Here) -> None:
    world = _world()
    aws.load(world)
    config = _config(world, s3={"bucket": "no-such-bucket"})
    ended = here.run(aws, "--format", "json", config=config)
    deliveries = {each["sink"]: each for each in json.loads(ended.stdout)["deliveries"]}
    assert deliveries["directory"]["status"] == "delivered"
    assert deliveries["sns"]["status"] == "delivered"
    assert deliveries["s3"]["status"] == "failed"
    assert deliveries["s3"]["reason"] == "destination_missing"
    (message,) = aws.messages()
    assert "no-such-bucket" in message["message"]
    # Where neither lease nor plan can lie, nothing is changed, and all is told.
    assert changes(ended.report) == {("withheld", "lease_unavailable")}
    assert ended.status == 5
    assert "delivery.failed" in {entry["event"] for entry in ended.logs}


def test_a_directory_that_cannot_be_written_is_found_before_the_sweep(
    aws: FakeAws, here: Here, tmp_path: Path
) -> None:
    world = _world()
    aws.load(world)
    (tmp_path / "out").write_text("a file, not a directory")
    ended = here.run(aws, config=_config(world))
    assert ended.status == 2
    assert "report.directory: out: " in ended.stderr
    assert calls(aws) == {}


def test_a_file_that_cannot_be_written_is_exit_status_5(
    aws: FakeAws, here: Here, tmp_path: Path
) -> None:
    world = _world()
    aws.load(world)
    (tmp_path / "out" / "report.csv").mkdir(parents=True)
    ended = here.run(aws, config=_config(world))
    assert ended.status == 5
    assert len(aws.objects()) == 6
    assert len(aws.messages()) == 1
    assert "Traceback" not in ended.stderr


def test_a_dry_run_stays_here_unless_it_is_told_to_deliver(aws: FakeAws, tmp_path: Path) -> None:
    world = _world()
    aws.load(world)
    run(aws, tmp_path / "kept", "--dry-run", config=_config(world))
    assert (tmp_path / "kept" / "out" / "report.json").exists()
    assert aws.objects() == []
    assert aws.messages() == []
    assert not {"s3:PutObject", "sns:Publish"} & calls(aws).keys()

    run(aws, tmp_path / "delivered", "--dry-run", "--deliver", config=_config(world))
    assert len(aws.messages()) == 1
    assert {each.key.rpartition("/")[2] for each in aws.objects()} == {"report.json", "report.csv"}


def test_people_are_told_when_there_is_something_to_tell(aws: FakeAws, here: Here) -> None:
    world = small_world(accounts=2, regions=1, non_compliant_share=0.0)
    repositories = [{"name": "closed", "mutability": "IMMUTABLE"}]
    aws.load({**world.to_json(), "registries": [{"repositories": repositories}]})
    quiet = here.run(aws, "--format", "json", config=_config(world))
    assert quiet.status == 0
    assert aws.messages() == []
    deliveries = {each["sink"]: each["status"] for each in json.loads(quiet.stdout)["deliveries"]}
    assert deliveries["sns"] == "not_needed"

    here.run(aws, config=_config(world, notify="always"))
    assert len(aws.messages()) == 1


def test_the_message_names_what_remains_and_what_failed(aws: FakeAws, here: Here) -> None:
    world = _world()
    aws.load({**world.to_json(), "role": {"actions": ["account:ListRegions", "ecr:Describe*"]}})
    ended = here.run(aws, config=_config(world))
    (message,) = aws.messages()
    for finding in ended.report["findings"]:
        assert finding["repository"] in message["message"]
        assert finding["account_id"] in message["message"]
    assert Reason.WRITE_NOT_GRANTED.meaning in message["message"]
    assert ended.status == 3


def test_a_sweep_that_ended_early_is_delivered_everywhere(aws: FakeAws, here: Here) -> None:
    world = small_world(accounts=3, regions=1, caller_mode="not_allowed")
    aws.load(world)
    ended = here.run(aws, config=_config(world))
    assert ended.status == 2
    keys = {each.key.rpartition("/")[2]: each for each in aws.objects()}
    stored = json.loads(keys["report.json"].body)
    assert stored["failures"][0]["reason"] == "not_allowed_to_list"
    assert not keys.keys() & {"latest.json", "history.json"}
    (message,) = aws.messages()
    assert "organizations:ListAccounts" in message["message"]


@pytest.mark.parametrize("service", ["s3", "sns"])
def test_a_report_that_lies_nowhere_goes_to_the_fallback(
    aws: FakeAws, tmp_path: Path, service: str
) -> None:
    """Its place is in the log, and in the message where there is one."""
    world = _world()
    aws.load(world)
    report = _config(world)["report"]
    del report["s3" if service == "sns" else "sns_topic_arn"]
    aws.faults([{"action": "access_denied", "service": service}])
    ended = run_without_directory(aws, tmp_path, config={"report": report})
    assert ended.status == 5
    (told,) = [each for each in ended.logs if each["event"] == "delivery.fallback"]
    kept = json.loads((Path(told["location"]) / "report.json").read_text(encoding="utf-8"))
    assert kept["totals"]["repositories"]["examined"] > 0
    assert told["location"].startswith(str(tmp_path / "state" / "sweeper" / "reports"))
    assert told["location"] in ended.stderr
    # The run is over: there is nothing to resume.
    assert list((tmp_path / "state" / "sweeper").glob("*.journal")) == []


def test_what_was_changed_can_be_undone_where_no_place_is_configured(
    aws: FakeAws, tmp_path: Path
) -> None:
    """The report, and the undo's own, are kept all the same; their place is in the log."""
    aws.load(_world())
    before = aws.repositories()
    dry = run_without_directory(aws, tmp_path, {}, "--dry-run")
    assert not (tmp_path / "state" / "sweeper" / "reports").exists()
    assert "delivery.fallback" not in dry.stderr
    ended = run_without_directory(aws, tmp_path, {"remediation": {"max_changes": 100_000}})
    assert ended.status == 0
    assert aws.repositories() != before
    (told,) = [each for each in ended.logs if each["event"] == "delivery.fallback"]
    file = str(Path(told["location"], "report.json"))
    assert file.startswith(str(tmp_path / "state" / "sweeper" / "reports"))
    command = (*COMMAND[:-1], "undo", file, "--yes")
    undone = end(start_command(aws, tmp_path, command), tmp_path)
    assert undone.status == 0
    assert aws.repositories() == before
    (told,) = [each for each in undone.logs if each["event"] == "delivery.fallback"]
    kept = json.loads(Path(told["location"], "report.json").read_text(encoding="utf-8"))
    totals = kept["totals"]["changes"]
    assert totals["applied"] == totals["planned"] > 0


def run_without_directory(
    aws: FakeAws, directory: Path, config: dict[str, Any], *options: str
) -> Ended:
    return end(start_command(aws, directory, (*COMMAND, "--yes", *options), config), directory)
