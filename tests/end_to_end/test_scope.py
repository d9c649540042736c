"""What the configuration leaves out is skipped by name: no report says that all was examined."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import (
    Here,
    calls,
    failures,
    found,
    open_repositories,
    run,
    small_world,
)
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Role, World

WORLD = small_world(accounts=4, regions=3)
ONE, *OTHERS = list(WORLD.regions)[:3]
FORMATS = {"report": {"formats": ["json", "csv", "text", "html", "junit", "markdown"]}}
LEFT_OUT = {
    (account.id, region, "region_excluded") for account in WORLD.accounts for region in OTHERS
}


def skipped(report: Any) -> set[tuple[str, str | None, str]]:
    return {(item["account_id"], item["region"], item["reason"]) for item in report["skipped"]}


@pytest.mark.parametrize(
    ("options", "config", "by"),
    [
        ((), {"regions": {"include": [ONE]}}, "regions.include"),
        (("--region", ONE), {}, "--region"),
    ],
)
def test_the_regions_that_are_not_included_are_skipped_in_every_form(
    aws: FakeAws, here: Here, options: tuple[str, ...], config: Any, by: str
) -> None:
    aws.load(WORLD)
    ended = here.run(aws, *options, config={**FORMATS, **config})
    report = ended.report
    assert ended.status == 0
    left_open = {key[1] for key in open_repositories(aws)}
    assert left_open == set(OTHERS)
    assert skipped(report) == LEFT_OUT
    assert report["totals"]["targets"] == {"planned": 12, "examined": 4, "skipped": 8, "failed": 0}
    assert report["coverage"] == {"accounts": 1.0, "targets": 1.0, "complete": True}
    assert report["run"]["scope"] == {
        "accounts": 4,
        "accounts_listed": 4,
        "regions": [ONE],
        "regions_enabled": 3,
        "narrowed_by": [by],
    }
    assert calls(aws)["account:ListRegions"] == 4

    said = f"4 accounts, 1 of 3 regions: {by}"
    out = ended.directory / "out"
    text = (out / "report.txt").read_text(encoding="utf-8")
    assert said in text.splitlines()[0]
    assert "region_excluded: 8 (" in text
    page = (out / "report.html").read_text(encoding="utf-8")
    assert said in page.split("<main")[0]
    assert "region_excluded" in page
    junit = (out / "report.junit.xml").read_text(encoding="utf-8")
    assert said in junit
    assert junit.count('type="region_excluded"') == 8
    with (out / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["record"] == "skipped"]
    assert {(row["account_id"], row["region"], row["reason"]) for row in rows} == LEFT_OUT
    summary = (out / "report.md").read_text(encoding="utf-8")
    assert said in summary
    for form in (text, page, junit, summary):
        assert "8 account-regions" in " ".join(form.split())


def test_what_narrows_a_sweep_and_where_it_may_write_is_in_report_and_log(
    aws: FakeAws, here: Here, tmp_path: Path
) -> None:
    aws.load(WORLD)
    kept, other = (account.id for account in WORLD.accounts[1:3])
    config = {
        "organization": {"include_accounts": [kept, other], "external_id": "a-secret-id"},
        "remediation": {"exclude_accounts": [other]},
    }
    ended = here.run(aws, "--region", ONE, "--dry-run", config=config, AUTO_REMEDIATE="ENABLED")
    told = ended.report["run"]
    assert told["auto_remediate"] == "ENABLED"
    assert (told["scope"]["accounts"], told["scope"]["accounts_listed"]) == (2, 4)
    assert told["scope"]["narrowed_by"] == ["organization.include_accounts", "--region"]
    assert told["write_scope"] == {
        "accounts": 1,
        "checks": ["ecr-tag-immutability"],
        "narrowed_by": ["remediation.exclude_accounts"],
        "waves": [],
        "root_template_applied_for": [],
    }
    sources = {
        (each["kind"], each["name"]): each["sha256"] for each in told["configuration"]["sources"]
    }
    file = hashlib.sha256((tmp_path / "config.yaml").read_bytes()).hexdigest()
    assert sources.pop(("file", "config.yaml")) == file
    assert {name for _, name in sources} >= {"AUTO_REMEDIATE", "--region", "--output"}
    assert set(sources.values()) == {None}
    assert "a-secret-id" not in str(told)

    logs = {line["event"]: line for line in ended.logs}
    started = logs["sweep.started"]
    assert started["run_id"] == told["id"]
    assert started["configuration"] == told["configuration"]
    assert (started["scope"], started["write_scope"]) == (
        told["scope"]["narrowed_by"],
        told["write_scope"]["narrowed_by"],
    )
    unprefixed = logs["variable.unprefixed"]
    assert (unprefixed["variable"], unprefixed["key"]) == (
        "AUTO_REMEDIATE",
        "remediation.auto_remediate",
    )

    again = here.run(aws, "--region", ONE, "--dry-run", AUTO_REMEDIATE="DISABLED")
    assert again.report["run"]["configuration"]["digest"] != told["configuration"]["digest"]
    assert again.report["run"]["write_scope"]["accounts"] == 0


def blind_world(*places: int) -> World:
    """Accounts whose role may not read the account's regions."""
    blind = Role(actions=("ecr:*",))
    accounts = [
        dataclasses.replace(account, role=blind if place in places else account.role)
        for place, account in enumerate(WORLD.accounts)
    ]
    return dataclasses.replace(WORLD, accounts=tuple(accounts))


def test_named_regions_are_examined_where_an_accounts_regions_cannot_be_read(
    aws: FakeAws, tmp_path: Path
) -> None:
    world = blind_world(1)
    blind = world.accounts[1].id
    aws.load(world)
    ended = run(aws, tmp_path / "asked", "--dry-run")
    assert failures(ended.report) == {(blind, None, "regions_unreadable")}
    assert blind not in {key[0] for key in found(ended.report)}

    named = {"regions": {"include": [ONE]}}
    ended = run(aws, tmp_path / "named", config=named)
    assert failures(ended.report) == {(blind, None, "regions_unreadable")}
    assert (blind, ONE) in {key[:2] for key in found(ended.report)}
    assert {key for key in open_repositories(aws) if key[1] == ONE} == {}.keys()
    assert ended.report["totals"]["accounts"] == {
        "planned": 4,
        "opened": 3,
        "skipped": 0,
        "failed": 1,
    }
    assert not ended.report["coverage"]["complete"]
    assert ended.status == 4


def test_regions_that_nobody_could_read_are_a_gap_that_can_be_accepted(
    aws: FakeAws, tmp_path: Path
) -> None:
    aws.load(blind_world(0, 1, 2, 3))
    config = {"regions": {"include": [ONE]}, "remediation": {"min_coverage": 1.0}}
    ended = run(aws, tmp_path / "not", config=config)
    assert {reason for _, _, reason in failures(ended.report)} == {"regions_unreadable"}
    assert ended.report["coverage"] == {"accounts": 0.0, "targets": 1.0, "complete": False}
    assert {change["change"]["reason"] for change in ended.report["findings"]} == {"min_coverage"}
    assert ended.status == 4

    accept = {"coverage": {"accept": [{"reason": "regions_unreadable"}]}}
    ended = run(aws, tmp_path / "accepted", config={**config, **accept})
    assert ended.report["coverage"] == {"accounts": 1.0, "targets": 1.0, "complete": True}
    assert skipped(ended.report) == {
        (account.id, None, "regions_unreadable") for account in WORLD.accounts
    }
    assert {key[1] for key in open_repositories(aws)} == set(OTHERS)
    assert ended.status == 0


def test_a_run_that_is_resumed_knows_what_it_could_not_read(aws: FakeAws, here: Here) -> None:
    world = blind_world(1)
    aws.load(world)
    config = {"regions": {"include": [ONE]}, "limits": {"max_workers": 1}}
    stopped = here.run(aws, config={**config, "limits": {"deadline_seconds": 1e-9}})
    assert stopped.status == 4
    run_id = stopped.report["run"]["id"]
    ended = here.run(aws, "--resume", run_id, config=config)
    assert failures(ended.report) == {(world.accounts[1].id, None, "regions_unreadable")}
    assert {item["region"] for item in ended.report["findings"]} == {ONE}
    assert ended.status == 4


def test_a_region_that_is_included_and_not_enabled_is_no_target(
    aws: FakeAws, tmp_path: Path
) -> None:
    aws.load(WORLD)
    ended = run(aws, tmp_path, config={"regions": {"include": ["af-south-1"]}})
    assert failures(ended.report) == set()
    assert ended.report["totals"]["targets"]["examined"] == 0
    assert not ended.report["coverage"]["complete"]  # nothing was examined
    assert ended.status == 4


@pytest.mark.slow
def test_an_undo_does_not_ask_which_regions_there_are(aws: FakeAws, here: Here) -> None:
    aws.load(WORLD)
    ended = here.run(aws)
    aws.reset_statistics()
    undone = here.command(
        aws, "undo", f"out/{ended.report['run']['id']}/report.json", "--output", "out", "--yes"
    )
    assert undone.status == 0
    assert "account:ListRegions" not in calls(aws)
