"""A registry without a creation template for ROOT: reported, given one, and given it back."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from tests.end_to_end.harness import Ended, Here, changes, small_world
from tests.end_to_end.test_creation_templates import BOTH, TEMPLATES, policy_actions
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import CreationTemplate, Fault, Registry, Repository, Role, World

REGION = "us-east-1"
CREATE = "ecr:CreateRepositoryCreationTemplate"
ROOT = CreationTemplate("ROOT", "IMMUTABLE", applied_for=("REPLICATION",))
DESCRIPTION = "Created by sweeper: repositories that ECR creates have immutable tags (REPLICATION)"


def world(*templates: CreationTemplate, **changes: Any) -> World:
    registry = Registry(
        repositories=(Repository("app", "IMMUTABLE"),), creation_templates=templates
    )
    return small_world(accounts=1, regions=1, registries=(registry,), **changes)


def config(*applied_for: str, **remediation: Any) -> dict[str, Any]:
    given = {"root_template_applied_for": list(applied_for), **remediation}
    return {"checks": BOTH, "remediation": given, "report": {"formats": ["json", "text"]}}


def templates(aws: FakeAws) -> dict[str, CreationTemplate]:
    return aws.templates(aws.world.accounts[0].id, REGION)


def registry_of(ended: Ended) -> Any:
    (found,) = [each for each in ended.report["findings"] if each["resource"] == "registry"]
    return found


def undo(aws: FakeAws, here: Here, report: Any, *options: str) -> Any:
    file = f"out/{report['run']['id']}/report.json"
    ended = here.command(aws, "undo", file, "--yes", "--output", "out", *options)
    path = ended.directory / "out" / ended.logs[-1]["run_id"] / "report.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_an_answer_that_is_lost_is_no_template_of_others(aws: FakeAws, here: Here) -> None:
    aws.load(world())
    aws.faults([Fault("truncate", service="ecr", operation=CREATE.partition(":")[2], times=1)])
    ended = here.run(aws, config=config("REPLICATION", checks=BOTH))
    assert changes(ended.report) == {("applied", None)}
    assert set(templates(aws)) == {"ROOT"}
    operation = "DeleteRepositoryCreationTemplate"
    aws.faults([Fault("truncate", service="ecr", operation=operation, times=1)])
    assert changes(undo(aws, here, ended.report)) == {("applied", None)}
    assert templates(aws) == {}


@pytest.mark.slow
def test_a_registry_without_one_is_reported_and_left_as_it_is(aws: FakeAws, here: Here) -> None:
    aws.load(world())
    ended = here.run(aws, config=config(checks=BOTH))
    found = registry_of(ended)
    assert (found["check"], found["repository"], found["arn"]) == (TEMPLATES, "ROOT", "")
    assert (found["compliance"], found["change"]) == ("non_compliant", None)
    assert "has no creation template for 'ROOT'" in found["reason"]
    assert CREATE not in policy_actions(aws)
    assert templates(aws) == {}
    assert ended.status == 3


def test_one_is_planned_created_and_deleted_again(aws: FakeAws, here: Here) -> None:
    aws.load(world())
    given = config("REPLICATION", exclusions=["latest"])
    dry = here.run(aws, "--dry-run", config=given)
    assert registry_of(dry)["change"]["status"] == "planned"
    assert (templates(aws), aws.statistics().template_writes) == ({}, [])
    aws.reset_statistics()

    ended = here.run(aws, config=given)
    report = ended.report
    assert changes(report) == {("applied", None)}
    made = dataclasses.replace(
        ROOT,
        mutability="IMMUTABLE_WITH_EXCLUSION",
        exclusion_filters=("latest",),
        description=DESCRIPTION,
    )
    assert templates(aws) == {"ROOT": made}
    assert policy_actions(aws) >= {CREATE, "ecr:CreateRepository"}
    # What existing templates would need is a permission of its own.
    assert not policy_actions(aws) & {"ecr:UpdateRepositoryCreationTemplate"}
    assert ended.status == 0
    assert here.run(aws, config=given).report["findings"] == []

    assert changes(undo(aws, here, report, "--dry-run")) == {("planned", None)}
    assert templates(aws) == {"ROOT": made}
    assert changes(undo(aws, here, report)) == {("applied", None)}
    assert templates(aws) == {}
    assert changes(undo(aws, here, report)) == {("superseded", "already_restored")}
    operations = [each["operation"] for each in aws.statistics().template_writes]
    assert [each.removesuffix("RepositoryCreationTemplate") for each in operations] == [
        "Create",
        "Delete",
    ]
    again = here.run(aws, "--dry-run", config=given)
    assert registry_of(again)["since_last"] == "reopened"


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"mutability": "MUTABLE"},
        {"applied_for": ("CREATE_ON_PUSH", "REPLICATION")},
        {"lifecycle_policy": '{"rules": []}'},
        {"description": "ours now"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_one_that_was_changed_since_is_not_deleted(
    aws: FakeAws, here: Here, change: dict[str, Any]
) -> None:
    aws.load(world())
    ended = here.run(aws, config=config("REPLICATION"))
    changed = dataclasses.replace(templates(aws)["ROOT"], **change)
    aws.load(world(changed))
    assert changes(undo(aws, here, ended.report)) == {("superseded", "changed_since_applied")}
    assert templates(aws) == {"ROOT": changed}


@pytest.mark.slow
def test_one_that_others_created_meanwhile_is_left_alone(aws: FakeAws, here: Here) -> None:
    aws.load(world())
    review = here.run(aws, "--dry-run", config=config("REPLICATION"))
    assert changes(review.report) == {("planned", None)}
    mutable = dataclasses.replace(ROOT, mutability="MUTABLE")
    for theirs, ending in (
        (mutable, ("superseded", "changed_since_reviewed")),
        (ROOT, ("superseded", "now_compliant")),
        (None, ("applied", None)),
    ):
        aws.load(world(*filter(None, (theirs,))))
        apply = ("apply", "out/report.json", "--yes", "--output", "applied")
        ended = here.command(aws, *apply, config=config("REPLICATION", checks=BOTH))
        (path,) = (ended.directory / "applied").glob(f"{ended.logs[-1]['run_id']}/report.json")
        assert changes(json.loads(path.read_text())) == {ending}
        assert theirs in (None, templates(aws)["ROOT"])


@pytest.mark.slow
def test_without_its_permission_it_is_withheld(aws: FakeAws, here: Here) -> None:
    actions = tuple(action for action in Role().actions if action != CREATE)
    aws.load(world(CreationTemplate("apps"), role=Role(actions=actions)))
    ended = here.run(aws, config=config("REPLICATION", checks=BOTH))
    assert changes(ended.report) == {("applied", None), ("withheld", "write_not_granted")}
    assert set(templates(aws)) == {"apps"}


@pytest.mark.slow
def test_what_creates_nothing_or_breaks_caches_is_refused(aws: FakeAws, here: Here) -> None:
    aws.load(world())
    for sections, said in (
        ({"checks": ["ecr-tag-immutability"]}, f"needs a check: {TEMPLATES}"),
        ({"checks": BOTH}, "PULL_THROUGH_CACHE: tags of caches have to move"),
    ):
        features = ["REPLICATION", "PULL_THROUGH_CACHE"][: 1 + ("caches" in said)]
        given = {**sections, "remediation": {"root_template_applied_for": features}}
        ended = here.run(aws, config=given)
        assert ended.status == 2
        assert said in ended.stderr


def test_one_for_features_that_nobody_reviewed_is_not_created(aws: FakeAws, here: Here) -> None:
    aws.load(world())
    here.run(aws, "--dry-run", config=config("REPLICATION"))
    aws.reset_statistics()
    apply = ("apply", "out/report.json", "--yes", "--output", "applied")
    ended = here.command(aws, *apply, config=config("CREATE_ON_PUSH", "REPLICATION"))
    assert ended.status == 2
    assert "reviewed with remediation.root_template_applied_for: REPLICATION" in ended.stderr
    assert aws.statistics().calls == {}
    assert here.command(aws, *apply, config=config("REPLICATION")).status == 0
    assert set(templates(aws)) == {"ROOT"}
