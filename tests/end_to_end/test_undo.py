"""Undoing: exactly what a run changed is as it was before, and nothing else is touched."""

from __future__ import annotations

import dataclasses
import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end import harness
from tests.end_to_end.barriers import hold, release_slowly, wait_until_held
from tests.end_to_end.harness import (
    UNDO,
    Ended,
    Key,
    end,
    run,
    small_world,
    start,
    start_command,
    writes,
)
from tests.fake_aws.process import FakeAws, RepositoryState
from tests.fake_aws.world import CreationTemplate, Fault, Registry, Repository, Role, World

ALLOWED = {"policy": {"allowed_exclusions": ["latest"]}}
KINDS = (
    Repository("kept", "IMMUTABLE_WITH_EXCLUSION", ("latest",)),
    Repository("narrowed", "IMMUTABLE_WITH_EXCLUSION", ("latest", "pr-*", "*")),
    Repository("open", "MUTABLE"),
    Repository("closed", "IMMUTABLE"),
    Repository("team/turned", "MUTABLE_WITH_EXCLUSION", ("v*", "latest")),
)
CHANGED = ("narrowed", "open", "team/turned")


def world_of(accounts: int = 3, regions: int = 2, **changes: Any) -> World:
    """In every account and region one repository of each kind."""
    world = small_world(accounts=accounts, regions=regions, **changes)
    return dataclasses.replace(world, registries=(Registry(repositories=KINDS),))


def truth(aws: FakeAws) -> dict[Key, RepositoryState]:
    return {(each.account, each.region, each.name): each for each in aws.repositories()}


def swept(aws: FakeAws, directory: Path, world: World, **config: Any) -> dict[Key, RepositoryState]:
    """Load and close the world; what was there before. The report is in `out`."""
    aws.load(world)
    before = truth(aws)
    ended = run(aws, directory, config={**ALLOWED, **config})
    assert ended.report["totals"]["changes"]["applied"] > 0
    assert truth(aws) != before
    aws.reset_statistics()
    return before


def undo(aws: FakeAws, directory: Path, *options: str, **config: Any) -> Ended:
    given = {**ALLOWED, **config} if config else None
    return harness.undo(aws, directory, "out/report.json", "--yes", *options, config=given)


def told(ended: Ended) -> Any:
    """The report of the undo that ended."""
    run_id = ended.logs[-1]["run_id"]
    path = ended.directory / "out" / run_id / "report.json"
    return json.loads(path.read_text(encoding="utf-8"))


def changes(ended: Ended) -> list[Any]:
    return [each | each["change"] for each in told(ended)["findings"]]


def outcomes(ended: Ended) -> Counter[tuple[str, str | None]]:
    return Counter((each["status"], each["reason"]) for each in changes(ended))


def refused(ended: Ended) -> str:
    assert ended.status == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_a_setting_that_contradicts_itself_keeps_nothing_from_being_undone(
    aws: FakeAws, tmp_path: Path
) -> None:
    world = dataclasses.replace(
        world_of(accounts=1, regions=1),
        registries=(Registry(repositories=(*KINDS, Repository("odd", "MUTABLE", ("latest",)))),),
    )
    aws.load(world)
    before = truth(aws)
    ended = run(aws, tmp_path, config=ALLOWED)
    assert ended.status == 4  # one repository is undetermined
    assert ended.report["totals"]["changes"]["applied"] == len(CHANGED)
    assert undo(aws, tmp_path).status == 0
    assert truth(aws) == before


def test_everything_is_as_it_was_before(aws: FakeAws, tmp_path: Path) -> None:
    world = world_of()
    before = swept(aws, tmp_path, world)
    ended = undo(aws, tmp_path)
    assert truth(aws) == before
    assert ended.status == 0
    report = told(ended)
    changed = sum(key[2] in CHANGED for key in before)
    assert outcomes(ended) == {("applied", None): changed}
    assert report["totals"]["changes"]["applied"] == changed >= len(world.accounts) * len(CHANGED)
    assert {each["repository"] for each in changes(ended)} == set(CHANGED)
    swept_run = json.loads((tmp_path / "out" / "report.json").read_bytes())["run"]
    assert (report["run"]["kind"], report["run"]["source"]) == (
        "undo",
        {
            "run_id": swept_run["id"],
            "started_at": swept_run["started_at"],
            "location": "out/report.json",
            "remaining": None,
            "coverage_complete": None,
        },
    )
    assert report["run"]["id"] != swept_run["id"]
    assert report["run"]["organization_id"] == world.organization_id
    for each in changes(ended):
        was = before[each["account_id"], each["region"], each["repository"]]
        assert (each["to_mutability"], tuple(each["to_exclusion_filters"])) == (
            was.mutability,
            was.exclusion_filters,
        )
    assert ended.logs[-1]["event"] == "undo.finished"
    assert list((tmp_path / "state" / "sweeper").glob("*.journal")) == []


def test_a_creation_template_is_as_it_was_before(aws: FakeAws, tmp_path: Path) -> None:
    template = CreationTemplate(
        "apps", "MUTABLE_WITH_EXCLUSION", ("v*",), lifecycle_policy='{"rules": []}'
    )
    registry = Registry(repositories=(Repository("app"),), creation_templates=(template,))
    world = small_world(accounts=1, regions=1, registries=(registry,))
    aws.load(world)
    before = truth(aws)
    account, region = world.accounts[0].id, next(iter(before))[1]
    both = ["ecr-tag-immutability", "ecr-creation-template-immutability"]
    run(aws, tmp_path, config={"checks": both, "remediation": {"checks": both}})
    assert aws.templates(account, region)["apps"].mutability == "IMMUTABLE"
    ended = undo(aws, tmp_path, "--format", "text")
    assert outcomes(ended) == {("applied", None): 2}
    assert "creation template apps" in ended.stdout
    assert aws.templates(account, region) == {"apps": template}
    assert truth(aws) == before
    assert ended.status == 0


@pytest.mark.slow
def test_twice_changes_nothing(aws: FakeAws, tmp_path: Path) -> None:
    before = swept(aws, tmp_path, world_of())
    undo(aws, tmp_path)
    made = len(writes(aws))
    again = undo(aws, tmp_path)
    assert len(writes(aws)) == made
    assert truth(aws) == before
    assert set(outcomes(again)) == {("superseded", "already_restored")}
    assert again.status == 0


def test_what_others_changed_or_deleted_since_is_left_alone(aws: FakeAws, tmp_path: Path) -> None:
    world = world_of(accounts=1, regions=1)
    before = swept(aws, tmp_path, world)
    account, region, _ = next(iter(before))
    theirs = Repository("open", "IMMUTABLE_WITH_EXCLUSION", ("dev-*",))
    aws.put_repository(account, region, theirs)
    aws.delete_repository(account, region, "narrowed")
    ended = undo(aws, tmp_path)
    assert {each["repository"]: (each["status"], each["reason"]) for each in changes(ended)} == {
        "open": ("superseded", "changed_since_applied"),
        "narrowed": ("superseded", "repository_deleted"),
        "team/turned": ("applied", None),
    }
    now = truth(aws)
    assert now[account, region, "open"].exclusion_filters == ("dev-*",)
    assert (account, region, "narrowed") not in now
    assert now[account, region, "team/turned"] == before[account, region, "team/turned"]
    assert ended.status == 3


def test_one_account_and_some_repositories(aws: FakeAws, tmp_path: Path) -> None:
    world = world_of()
    before = swept(aws, tmp_path, world)
    closed = truth(aws)
    one = world.accounts[1].id
    ended = undo(aws, tmp_path, "--account", one, "--repository", "team/*", "--repository", "open")
    now = truth(aws)
    inside = {key for key in before if key[0] == one and key[2] in ("open", "team/turned")}
    assert {key for key in now if now[key] != closed[key]} == inside
    assert all(now[key] == before[key] for key in inside)
    assert ended.status == 0
    # Nobody else's account was entered, nor could it have been written.
    assert {each["account"] for each in aws.statistics().assume_role} == {one}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--account", "210987654321"),
            "--account 210987654321: the report has no such change there",
        ),
        (("--account", "42"), "--account: '42' is not allowed; allowed: an account id"),
        (("--repository", "other/*"), "--repository other/*: the report has no such change there"),
        (("--repository", "A B"), "--repository: 'A B' is not allowed"),
    ],
)
def test_a_slip_in_an_option_is_an_error(
    aws: FakeAws, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    swept(aws, tmp_path, world_of(accounts=1, regions=1))
    assert said in refused(undo(aws, tmp_path, *options))
    assert aws.statistics().calls == {}


def test_a_dry_run_writes_nothing(aws: FakeAws, tmp_path: Path) -> None:
    world = world_of()
    report = {"s3": {"bucket": world.buckets[0].name, "prefix": "sweeps"}}
    swept(aws, tmp_path, world, report=report)
    closed, objects = truth(aws), aws.objects()
    ended = undo(aws, tmp_path, "--dry-run", "--format", "json")
    assert truth(aws) == closed
    assert writes(aws) == []
    assert aws.objects() == objects
    assert set(outcomes(ended)) == {("planned", None)}
    assert json.loads(ended.stdout)["totals"] == told(ended)["totals"]
    assert ended.status == 0
    printed = undo(aws, tmp_path, "--dry-run").stdout
    assert f"{len(changes(ended))} would be reverted, 0 reverted" in printed
    assert not any(
        "ecr:PutImageTagMutability" in each["policy"] for each in aws.statistics().assume_role
    )


def test_it_works_with_remediation_off_and_outside_the_write_scope(
    aws: FakeAws, tmp_path: Path
) -> None:
    world = world_of()
    before = swept(aws, tmp_path, world)
    others = [account.id for account in world.accounts[1:]]
    ended = undo(
        aws,
        tmp_path,
        organization={"exclude_accounts": others, "include_ous": ["ou-fake-99999999"]},
        remediation={"auto_remediate": "DISABLED", "include_accounts": [world.accounts[0].id]},
        regions={"include": ["ap-south-1"]},
    )
    assert ended.status == 0
    assert truth(aws) == before


@pytest.mark.parametrize("organization", [{"role_name": None}, {"enumerate": False}])
def test_without_organizations(aws: FakeAws, tmp_path: Path, organization: dict[str, Any]) -> None:
    world = world_of()
    own = world.caller.account
    if "enumerate" in organization:
        organization["include_accounts"] = [account.id for account in world.accounts]
    before = swept(aws, tmp_path, world, organization=organization)
    assert undo(aws, tmp_path).status == 0
    assert truth(aws) == before
    assert own in {account.id for account in world.accounts}


def test_an_account_that_the_configuration_does_not_name_is_not_entered(
    aws: FakeAws, tmp_path: Path
) -> None:
    """Where Organizations is not asked, the configuration alone says which accounts there are."""
    world = world_of()
    swept(aws, tmp_path, world)
    one = world.accounts[0].id
    ended = undo(aws, tmp_path, organization={"enumerate": False, "include_accounts": [one]})
    assert ended.status == 4
    assert {each["account"] for each in aws.statistics().assume_role} == {one}
    assert {each["reason"] for each in told(ended)["failures"]} == {"account_excluded"}


def test_what_cannot_be_seen_keeps_nothing_from_the_others(aws: FakeAws, tmp_path: Path) -> None:
    world = world_of(accounts=5, regions=2)
    before = swept(aws, tmp_path, world)
    closed = truth(aws)
    own, without_role, suspended, left, fine = world.accounts
    assert own.id == world.caller.account
    region = min(key[1] for key in before if key[0] == fine.id)
    changed = dataclasses.replace(
        world,
        accounts=(
            own,
            dataclasses.replace(without_role, role=Role(exists=False)),
            dataclasses.replace(suspended, state="SUSPENDED"),
            fine,
        ),
    )
    aws.load(changed)
    for (account, place, name), each in closed.items():
        if account != left.id:
            state = Repository(name, each.mutability, each.exclusion_filters)
            aws.put_repository(account, place, state)
    aws.faults([Fault("access_denied", service="ecr", account=fine.id, region=region)])
    ended = undo(aws, tmp_path)
    report = told(ended)
    assert ended.status == 4
    assert {
        (each["account_id"], each["region"], each["reason"]) for each in report["failures"]
    } == {
        (without_role.id, None, "assume_role_denied"),
        (suspended.id, None, "account_suspended"),
        (left.id, None, "account_left"),
        (fine.id, region, "denied"),
    }
    # Each change of the run has one outcome all the same.
    told_of = Counter(
        (each["account_id"], each["region"], each["repository"]) for each in changes(ended)
    )
    assert set(told_of) == {key for key in before if key[2] in CHANGED}
    assert set(told_of.values()) == {1}
    unseen = {without_role.id, suspended.id, left.id}
    for each in changes(ended):
        seen = each["account_id"] not in unseen and (each["account_id"], each["region"]) != (
            fine.id,
            region,
        )
        assert each["status"] == ("applied" if seen else "failed"), each
        if seen:
            key = each["account_id"], each["region"], each["repository"]
            assert truth(aws)[key] == before[key]


def test_killed_in_the_middle_it_is_resumed(aws: FakeAws, tmp_path: Path) -> None:
    world = world_of(accounts=4)
    few = {"limits": {"max_workers": 2}}
    before = swept(aws, tmp_path, world, **few)
    hold(aws, "PutImageTagMutability", skip=7)
    process = start_command(aws, tmp_path, (*UNDO, "out/report.json", "--yes"))
    wait_until_held(aws, process)
    process.kill()
    assert end(process, tmp_path).status == -signal.SIGKILL
    aws.faults([])
    (journal,) = (tmp_path / "state" / "sweeper").glob("*.journal")

    # Neither command takes the other's run; each says which does.
    other = run(aws, tmp_path, "--resume", journal.stem)
    assert f"resume it by sweeper undo REPORT --resume {journal.stem}" in refused(other)
    narrowed = undo(aws, tmp_path, "--resume", journal.stem, "--repository", "open")
    assert "was begun with another report" in refused(narrowed)

    ended = undo(aws, tmp_path, "--resume", journal.stem)
    assert ended.status == 0
    assert truth(aws) == before
    assert set(outcomes(ended)) == {("applied", None)}
    made = Counter((each["account"], each["region"], each["repository"]) for each in writes(aws))
    assert set(made.values()) == {1}
    assert len(made) == len(changes(ended))
    assert not journal.exists()


def test_a_sweep_is_not_resumed_by_an_undo(aws: FakeAws, tmp_path: Path) -> None:
    world = world_of(accounts=2)
    swept(aws, tmp_path, world)
    hold(aws, "DescribeRepositories")
    process = start(aws, tmp_path)
    wait_until_held(aws, process)
    process.kill()
    end(process, tmp_path)
    aws.faults([])
    (journal,) = (tmp_path / "state" / "sweeper").glob("*.journal")
    said = refused(undo(aws, tmp_path, "--resume", journal.stem))
    assert f"is a sweep: resume it by sweeper run --resume {journal.stem}" in said
    hint = [each for each in undo(aws, tmp_path).logs if each["event"] == "journal.unfinished"]
    assert [each["go_on_with"] for each in hint] == [f"sweeper run --resume {journal.stem}"]


def test_from_s3_and_to_s3(aws: FakeAws, tmp_path: Path) -> None:
    world = world_of(accounts=2)
    report = {"s3": {"bucket": world.buckets[0].name, "prefix": "sweeps"}}
    before = swept(aws, tmp_path, world, report=report)
    others = {each.key: each.body for each in aws.objects() if "lease" not in each.key}
    location = f"s3://{world.buckets[0].name}/sweeps/latest.json"
    ended = harness.undo(aws, tmp_path, location, "--yes")
    assert ended.status == 0
    assert truth(aws) == before
    made = told(ended)
    assert made["run"]["source"]["location"] == location
    day, name = made["run"]["started_at"][:10], made["run"]["id"]
    now = {each.key: each.body for each in aws.objects() if "lease" not in each.key}
    folder = f"sweeps/{day}/{name}"
    names = ("report.json", "report.csv", "plan.jsonl")
    assert set(now) - set(others) == {f"{folder}/{name}" for name in names}
    assert json.loads(now[f"{folder}/report.json"])["findings"] == made["findings"]
    # The sweeps' own records are as they were.
    assert {key: now[key] for key in others} == others


@pytest.mark.slow
def test_from_the_plan_in_s3_where_the_machine_is_gone(aws: FakeAws, tmp_path: Path) -> None:
    world = world_of(accounts=2)
    report = {"s3": {"bucket": world.buckets[0].name, "prefix": "sweeps", "lease": False}}
    before = swept(aws, tmp_path, world, report=report)
    location = f"s3://{world.buckets[0].name}/sweeps/latest.json"
    hold(aws, "PutImageTagMutability", skip=3)
    process = start_command(aws, tmp_path, (*UNDO, location, "--yes"))
    wait_until_held(aws, process)
    process.kill()
    end(process, tmp_path)
    aws.faults([])
    (journal,) = (tmp_path / "state" / "sweeper").glob("*.journal")
    elsewhere, config = tmp_path / "elsewhere", {**ALLOWED, "report": report}
    options = (location, "--yes", "--resume", journal.stem)
    ended = harness.undo(aws, elsewhere, *options, config=config)
    assert ended.status == 0
    assert truth(aws) == before
    assert set(outcomes(ended)) == {("applied", None)}
    made = Counter((each["account"], each["region"], each["repository"]) for each in writes(aws))
    assert set(made.values()) == {1}
    again = harness.undo(aws, elsewhere, *options)
    assert "the run has finished: its report has all of it" in refused(again)


def test_while_a_sweep_is_at_work_nothing_is_undone(aws: FakeAws, tmp_path: Path) -> None:
    world = world_of(accounts=2)
    report = {"s3": {"bucket": world.buckets[0].name, "prefix": "sweeps"}}
    swept(aws, tmp_path, world, report=report)
    hold(aws, "DescribeRepositories")
    config = {**ALLOWED, "report": report}
    sweeping = start(aws, tmp_path / "other", config=config)
    wait_until_held(aws, sweeping)
    ended = undo(aws, tmp_path)
    assert ended.status == 6
    assert [each["reason"] for each in told(ended)["failures"]] == ["lease_held"]
    assert set(outcomes(ended)) == {("failed", "lease_held")}
    aws.faults([])
    assert end(sweeping, tmp_path / "other").status == 0
    assert writes(aws) == []


def test_where_it_cannot_be_put_in_s3_the_report_is_kept(aws: FakeAws, tmp_path: Path) -> None:
    world = world_of(accounts=1, regions=1)
    report = {"s3": {"bucket": world.buckets[0].name, "prefix": "sweeps", "lease": False}}
    before = swept(aws, tmp_path, world, report=report)
    # The plan is put, then the bucket refuses.
    aws.faults([Fault("access_denied", operation="PutObject", skip=1)])
    ended = undo(aws, tmp_path)
    assert ended.status == 5
    assert truth(aws) == before
    assert told(ended)["totals"]["changes"]["applied"] == 3


def test_a_dry_runs_report_and_one_without_changes_have_nothing_to_undo(
    aws: FakeAws, tmp_path: Path
) -> None:
    aws.load(world_of(accounts=1, regions=1))
    run(aws, tmp_path, "--dry-run", config=ALLOWED)
    aws.reset_statistics()
    ended = undo(aws, tmp_path, "--format", "json")
    assert ended.status == 0
    assert "nothing to undo: out/report.json has no change that was applied" in ended.stderr
    assert f"it is of run {ended.report['run']['id']}" in ended.stderr
    assert "an earlier run may have changed something" in ended.stderr
    assert ended.stdout == ""
    assert aws.statistics().calls == {}


def test_the_next_sweep_does_not_take_the_undo_away(aws: FakeAws, tmp_path: Path) -> None:
    before = swept(aws, tmp_path, world_of(accounts=1, regions=1))
    (own,) = (tmp_path / "out").glob("*/report.json")
    run(aws, tmp_path, "--dry-run")
    assert undo(aws, tmp_path).status == 0
    assert writes(aws) == []
    ended = harness.undo(aws, tmp_path, str(own), "--yes")
    assert ended.status == 0
    assert truth(aws) == before


def test_a_report_of_another_organization_is_refused(aws: FakeAws, tmp_path: Path) -> None:
    world = world_of(accounts=2)
    swept(aws, tmp_path, world)
    closed = truth(aws)
    forge(tmp_path, lambda report: report["run"].update(organization_id="o-another0001"))
    ended = undo(aws, tmp_path)
    assert ended.status == 2
    assert [each["reason"] for each in told(ended)["failures"]] == ["other_organization"]
    assert "organization o-another0001; this is o-fakeorg0001" in ended.stderr
    assert truth(aws) == closed
    assert aws.statistics().assume_role == []


def forge(directory: Path, edit: Any) -> None:
    path = directory / "out" / "report.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    edit(report)
    path.write_text(json.dumps(report), encoding="utf-8")


def test_a_forged_report_opens_only_what_is_as_it_claims(aws: FakeAws, tmp_path: Path) -> None:
    """It opens what its claim happens to meet: whoever can write reports is trusted that far."""
    world = world_of(accounts=2, regions=1)
    swept(aws, tmp_path, world)
    closed = truth(aws)
    account = world.accounts[0].id

    def edit(report: Any) -> None:
        (real, *_) = [each for each in report["findings"] if each["account_id"] == account]
        arn = real["arn"].rpartition("/")[0]
        kept = {**real, "repository": "kept", "arn": f"{arn}/kept", "mutability": "MUTABLE"}
        elsewhere = kept | {"account_id": "999999999999"}
        elsewhere["arn"] = kept["arn"].replace(account, "999999999999")
        report["accounts"].append({**report["accounts"][0], "id": "999999999999"})
        report["findings"] = [
            dict(each, exclusion_filters=[], exemption=None) for each in (kept, elsewhere)
        ]
        for each in report["findings"]:
            each["change"].update(to_mutability="IMMUTABLE", to_exclusion_filters=[])

    forge(tmp_path, edit)
    ended = undo(aws, tmp_path)
    assert outcomes(ended) == {
        ("superseded", "changed_since_applied"): 1,
        ("failed", "account_left"): 1,
    }
    assert truth(aws) == closed
    assert writes(aws) == []
    assert {each["account"] for each in aws.statistics().assume_role} == {account}


def test_a_signal_ends_it_with_its_report_and_it_is_resumed(aws: FakeAws, tmp_path: Path) -> None:
    before = swept(aws, tmp_path, world_of(accounts=6), limits={"max_workers": 2})
    hold(aws, "PutImageTagMutability", skip=5)
    process = start_command(aws, tmp_path, (*UNDO, "out/report.json", "--yes"))
    wait_until_held(aws, process)
    process.terminate()
    release_slowly(aws, "PutImageTagMutability")
    stopped = end(process, tmp_path)
    made = told(stopped)
    assert stopped.status == 3
    assert ("failed", "interrupted") in outcomes(stopped)
    assert made["totals"]["changes"]["planned"] == sum(key[2] in CHANGED for key in before)
    assert stopped.logs[-1]["resumable"] is True
    aws.faults([])
    ended = undo(aws, tmp_path, "--resume", made["run"]["id"])
    assert ended.status == 0
    assert truth(aws) == before
    assert told(ended)["run"]["id"] == made["run"]["id"]


def test_without_a_place_for_a_record_nothing_is_written(aws: FakeAws, tmp_path: Path) -> None:
    swept(aws, tmp_path, world_of(accounts=1, regions=1))
    closed = truth(aws)
    command = (*UNDO, "out/report.json", "--yes")
    ended = end(start_command(aws, tmp_path, command, XDG_STATE_HOME="/dev/null"), tmp_path)
    assert set(outcomes(ended)) == {("withheld", "journal_unavailable")}
    assert ended.status == 3
    assert truth(aws) == closed


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "missing.json: cannot be read: No such file or directory"),
        ("{", "damaged: "),
        ("{}", "missing.json is not a report.json (no `run`)"),
        ('{"schema_version": "7"}', "schema_version '7'; this version knows '2'"),
    ],
)
def test_what_is_no_report_is_refused(
    aws: FakeAws, tmp_path: Path, content: str | None, said: str
) -> None:
    aws.load(world_of(accounts=1, regions=1))
    if content is not None:
        (tmp_path / "missing.json").write_text(content, encoding="utf-8")
    assert said in refused(harness.undo(aws, tmp_path, "missing.json", "--yes"))
    assert aws.statistics().calls == {}


def test_a_region_that_there_is_not_is_refused(aws: FakeAws, tmp_path: Path) -> None:
    swept(aws, tmp_path, world_of(accounts=1, regions=1))

    def edit(report: Any) -> None:
        finding = report["findings"][0]
        finding["arn"] = finding["arn"].replace(finding["region"], "xx-nowhere-1")
        finding["region"] = "xx-nowhere-1"
        for account in report["accounts"]:
            account["regions"]["xx-nowhere-1"] = [0, 1, 0]

    forge(tmp_path, edit)
    assert "'xx-nowhere-1' is not a region" in refused(undo(aws, tmp_path))
    assert aws.statistics().calls == {}
