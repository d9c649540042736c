"""Applying a reviewed dry run: its changes that still hold, and nothing else."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from tests.cases import case
from tests.end_to_end.barriers import hold, wait_until_held
from tests.end_to_end.harness import SWEEPER, Ended, Key, end, run, start_command, writes
from tests.end_to_end.test_undo import ALLOWED, CHANGED, truth, world_of
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault, Repository, World

APPLY = (*SWEEPER, "apply", "--output", "out")


def reviewed(aws: FakeAws, directory: Path, world: World, **config: Any) -> Any:
    """Load the world; the report of a dry run over it, which is out/report.json."""
    aws.load(world)
    ended = run(aws, directory, "--dry-run", config={**ALLOWED, **config})
    aws.reset_statistics()
    return ended.report


def apply(aws: FakeAws, directory: Path, *options: str, **config: Any) -> Ended:
    command = (*APPLY, "out/report.json", "--yes", *options)
    given = {**ALLOWED, **config} if config else None
    return end(start_command(aws, directory, command, given), directory)


def report_of(ended: Ended) -> Any:
    path = ended.directory / "out" / ended.logs[-1]["run_id"] / "report.json"
    return json.loads(path.read_text(encoding="utf-8"))


def outcomes(ended: Ended) -> dict[Key, tuple[str, str | None]]:
    return {
        (each["account_id"], each["region"], each["repository"]): (
            each["change"]["status"],
            each["change"]["reason"],
        )
        for each in report_of(ended)["findings"]
        if each["change"]
    }


def written(aws: FakeAws) -> set[Key]:
    return {(each["account"], each["region"], each["repository"]) for each in writes(aws)}


def test_exactly_the_reviewed_changes_that_still_hold_are_made(
    aws: FakeAws, tmp_path: Path
) -> None:
    world = world_of()
    review = reviewed(aws, tmp_path, world)
    before = truth(aws)
    due = {key for key in before if key[2] in CHANGED}
    first, second, third, *_ = sorted(due)
    theirs = Repository(first[2], "MUTABLE_WITH_EXCLUSION", ("dev-*",))
    aws.put_repository(first[0], first[1], theirs)
    aws.delete_repository(*second)
    aws.put_repository(third[0], third[1], Repository(third[2], "IMMUTABLE"))
    aws.put_repository(third[0], third[1], Repository("new", "MUTABLE"))

    ended = apply(aws, tmp_path)
    still = due - {first, second, third}
    assert written(aws) == still
    assert outcomes(ended) == {
        **dict.fromkeys(still, ("applied", None)),
        first: ("superseded", "changed_since_reviewed"),
        second: ("superseded", "repository_deleted"),
        third: ("superseded", "now_compliant"),
    }
    assert truth(aws)[third[0], third[1], "new"].mutability == "MUTABLE"
    assert ended.status == 3
    run_ = report_of(ended)["run"]
    assert (run_["kind"], run_["source"]["run_id"]) == ("apply", review["run"]["id"])
    assert run_["scope"]["narrowed_by"] == [f"apply of run {review['run']['id']}"]
    last = (tmp_path / "out" / "report.json").read_text(encoding="utf-8")
    assert json.loads(last) == review
    assert [each["event"] for each in ended.logs if each["event"].startswith("apply.")] == [
        "apply.started",
        "apply.finished",
    ]
    assert "_aws" not in ended.stderr  # no metrics: alarms wait for whole sweeps


def test_an_apply_can_be_undone(aws: FakeAws, tmp_path: Path) -> None:
    reviewed(aws, tmp_path, world_of(accounts=1, regions=1))
    before = truth(aws)
    ended = apply(aws, tmp_path)
    assert truth(aws) != before
    own = f"out/{report_of(ended)['run']['id']}/report.json"
    undone = end(start_command(aws, tmp_path, (*SWEEPER, "undo", own, "--yes")), tmp_path)
    assert undone.status == 0
    assert truth(aws) == before


def test_a_dry_run_narrowed_to_one_account_writes_nothing(aws: FakeAws, tmp_path: Path) -> None:
    world = world_of()
    reviewed(aws, tmp_path, world)
    one = world.accounts[1].id
    ended = apply(aws, tmp_path, "--dry-run", "--account", one)
    assert written(aws) == set()
    assert {key[0] for key in outcomes(ended)} == {one}
    assert {each for each, _ in outcomes(ended).values()} == {"planned"}
    assert {each["account"] for each in aws.statistics().assume_role} == {one}


def test_a_kill_in_the_middle_is_resumed(aws: FakeAws, tmp_path: Path) -> None:
    reviewed(aws, tmp_path, world_of(accounts=4), limits={"max_workers": 2})
    due = {key for key in truth(aws) if key[2] in CHANGED}
    hold(aws, "PutImageTagMutability", skip=7)
    process = start_command(aws, tmp_path, (*APPLY, "out/report.json", "--yes"))
    wait_until_held(aws, process)
    process.kill()
    assert end(process, tmp_path).status == -signal.SIGKILL
    aws.faults([])
    (journal,) = (tmp_path / "state" / "sweeper").glob("*.journal")
    other = run(aws, tmp_path, "--resume", journal.stem)
    assert other.status == 2
    assert f"sweeper apply REPORT --resume {journal.stem}" in other.stderr

    ended = apply(aws, tmp_path, "--resume", journal.stem)
    assert ended.status == 0, ended.stderr
    assert len(writes(aws)) == len(written(aws)) == len(due)
    assert outcomes(ended) == dict.fromkeys(due, ("applied", None))


def test_what_cannot_be_applied_is_refused_before_anything_is_called(
    aws: FakeAws, tmp_path: Path
) -> None:
    reviewed(aws, tmp_path, world_of(accounts=1, regions=1))
    refusals = {
        "auto_remediate": apply(aws, tmp_path, remediation={"auto_remediate": "DISABLED"}),
        "ecr-tag-immutability": apply(aws, tmp_path, checks=["ecr-creation-template-immutability"]),
        "--account 210987654321": apply(aws, tmp_path, "--account", "210987654321", **ALLOWED),
    }
    for said, ended in refusals.items():
        assert ended.status == 2, said
        assert said in ended.stderr
    assert aws.statistics().calls == {}


def test_a_report_without_planned_changes_has_nothing_to_apply(
    aws: FakeAws, tmp_path: Path
) -> None:
    aws.load(world_of(accounts=1, regions=1))
    run(aws, tmp_path, config=ALLOWED)
    aws.reset_statistics()
    ended = apply(aws, tmp_path)
    assert ended.status == 0
    assert "nothing to apply" in ended.stderr
    assert aws.statistics().calls == {}


def test_what_a_review_withheld_or_could_not_check_remains(aws: FakeAws, tmp_path: Path) -> None:
    """There is nothing to apply: REPORT alone decides about the exit status."""
    denied = Fault("access_denied", service="sts", operation="AssumeRole")
    not_listed = Fault("server_error", service="organizations")
    for name, faults, config, options, status in (
        ("withheld", [], {"remediation": {"max_changes": 1}}, (), 3),
        ("denied", [denied], {}, (), 4),
        ("not listed", [not_listed], {}, (), 4),
        ("not wanted", [denied], {}, ("--fail-on", "findings"), 0),
        ("a filter hides nothing", [denied], {}, ("--account", "111111111111"), 4),
    ):
        with case(name):
            here = tmp_path / name
            here.mkdir()
            aws.load(world_of(accounts=2, regions=1))
            aws.faults(faults)
            review = run(aws, here, "--dry-run", "--fail-on", "never", config={**ALLOWED, **config})
            assert review.status == 0
            aws.faults([])
            aws.reset_statistics()
            # One that examined nothing lies under its run id alone.
            (location, *_) = sorted((here / "out").glob("**/report.json"))
            command = (*APPLY, str(location), "--yes", *options)
            ended = end(start_command(aws, here, command), here)
            assert ended.status == status, ended.stderr
            assert "nothing to apply" in ended.stderr
            assert "changes are planned, not withheld" in ended.stderr
            assert "The reviewed report " in ended.stderr
            assert aws.statistics().calls == {}


def test_what_is_not_checked_again_is_in_the_exit_status(aws: FakeAws, tmp_path: Path) -> None:
    world = world_of(accounts=3, regions=1)
    outside, denied = world.accounts[1].id, world.accounts[2].id
    role = Fault("access_denied", service="sts", operation="AssumeRole", account=denied)
    only = {"remediation": {"exclude_accounts": [outside]}}
    others = {"organization": {"exclude_accounts": [outside]}}
    for name, faults, config, remaining, complete, status in (
        ("outside the write scope", [], only, True, True, 3),
        ("denied", [role], others, False, False, 4),
        ("both", [role], only, True, False, 4),
    ):
        with case(name):
            here = tmp_path / name
            here.mkdir()
            aws.load(world)
            aws.faults(faults)
            run(aws, here, "--dry-run", config={**ALLOWED, **config})
            aws.faults([])
            ended = apply(aws, here)
            made = report_of(ended)
            assert made["totals"]["remaining"] == 0
            assert made["coverage"]["complete"]
            source = made["run"]["source"]
            assert (source["remaining"] > 0, source["coverage_complete"]) == (remaining, complete)
            assert ended.status == status, ended.stderr
            own = f"out/{made['run']['id']}/report.json"
            shown = end(start_command(aws, here, (*SWEEPER, "report", own, "--exit-status")), here)
            assert shown.status == status
            assert "The reviewed report " in shown.stdout
