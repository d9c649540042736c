"""Creation templates: judged where that is asked for, closed where that is asked for as well."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.barriers import hold, wait_until_held
from tests.end_to_end.harness import (
    Ended,
    Here,
    calls,
    changes,
    end,
    failures,
    found,
    open_repositories,
    run,
    small_world,
    start,
    writes,
)
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import CreationTemplate, Fault, Registry, Repository, Role, World

REGION = "us-east-1"
TAGS, TEMPLATES = "ecr-tag-immutability", "ecr-creation-template-immutability"
BOTH = [TAGS, TEMPLATES]
LISTING, WRITE = (
    "ecr:DescribeRepositoryCreationTemplates",
    "ecr:UpdateRepositoryCreationTemplate",
)
LIFECYCLE = '{"rules": []}'
CREATION_TEMPLATES = (
    CreationTemplate("apps", lifecycle_policy=LIFECYCLE, resource_tags={"owner": "apps"}),
    CreationTemplate("cached", applied_for=("PULL_THROUGH_CACHE",)),
    CreationTemplate("closed", "IMMUTABLE"),
    CreationTemplate("mixed", applied_for=("PULL_THROUGH_CACHE", "REPLICATION")),
    CreationTemplate("sandbox"),
    CreationTemplate("ROOT", custom_role_arn="arn:aws:iam::111122223333:role/ecr"),
)
IMMUTABLE_ROOT = CreationTemplate("ROOT", "IMMUTABLE")  # see test_root_templates.py
EXEMPTIONS = [{"repository": "sandbox/*", "reason": "rebuilt nightly", "expires": "never"}]


def world(*templates: CreationTemplate, **changes: Any) -> World:
    registry = Registry(
        repositories=(Repository("app"), Repository("done", "IMMUTABLE")),
        creation_templates=templates,
    )
    return small_world(accounts=1, regions=1, registries=(registry,), **changes)


def registry_of(aws: FakeAws) -> tuple[str, str]:
    return aws.world.accounts[0].id, REGION


def policy_actions(aws: FakeAws) -> set[str]:
    (assumed,) = aws.statistics().assume_role
    actions: list[str] = json.loads(assumed["policy"])["Statement"][0]["Action"]
    return set(actions)


def by_prefix(ended: Ended) -> dict[str, Any]:
    return {
        finding["repository"]: finding
        for finding in ended.report["findings"]
        if finding["resource"] == "repository_creation_template"
    }


def test_by_default_nobody_asks_for_templates(aws: FakeAws, here: Here) -> None:
    aws.load(world(*CREATION_TEMPLATES))
    ended = here.run(aws)
    assert not [operation for operation in calls(aws) if "CreationTemplate" in operation]
    assert not [action for action in policy_actions(aws) if "CreationTemplate" in action]
    assert by_prefix(ended) == {}
    assert ended.status == 0


def test_templates_are_judged_and_not_written_unless_that_is_asked_for(
    aws: FakeAws, here: Here
) -> None:
    aws.load(world(*CREATION_TEMPLATES))
    ended = here.run(aws, config={"checks": BOTH, "exemptions": EXEMPTIONS})
    assert {prefix: each["compliance"] for prefix, each in by_prefix(ended).items()} == {
        "ROOT": "non_compliant",
        "apps": "non_compliant",
        "cached": "exempt",
        "mixed": "non_compliant",
        "sandbox": "exempt",
    }
    assert all(each["change"] is None for each in by_prefix(ended).values())
    assert aws.templates(*registry_of(aws)) == {each.prefix: each for each in CREATION_TEMPLATES}
    assert calls(aws)[LISTING] == 1
    assert WRITE not in calls(aws)
    assert policy_actions(aws) == {
        "account:ListRegions",
        "ecr:DescribePullThroughCacheRules",
        "ecr:DescribeRepositories",
        "ecr:DescribeRepositoryCreationTemplates",
        "ecr:PutImageTagMutability",
    }
    assert [each["repository"] for each in writes(aws)] == ["app"]
    totals = ended.report["totals"]
    assert totals["repositories"] == {
        "examined": 2,
        "compliant": 1,
        "non_compliant": 1,
        "exempt": 0,
        "undetermined": 0,
    }
    assert (totals["changes"]["applied"], totals["remaining"]) == (1, 3)
    assert ended.report["coverage"]["complete"]
    assert ended.status == 3


def test_what_can_be_closed_is_closed_and_nothing_else_of_it_changes(
    aws: FakeAws, tmp_path: Path
) -> None:
    aws.load(world(*CREATION_TEMPLATES))
    config = {"checks": BOTH, "remediation": {"checks": BOTH}, "exemptions": EXEMPTIONS}
    ended = run(aws, tmp_path / "first", config=config)
    assert {
        prefix: (each["change"]["status"], each["change"]["reason"])
        for prefix, each in by_prefix(ended).items()
        if each["change"]
    } == {
        "ROOT": ("withheld", "manual_review_required"),
        "apps": ("applied", None),
        "mixed": ("withheld", "manual_review_required"),
    }
    (written,) = aws.statistics().template_writes
    assert (written["prefix"], written["accepted"]) == ("apps", True)
    assert aws.templates(*registry_of(aws)) == {
        each.prefix: dataclasses.replace(each, mutability="IMMUTABLE")
        if each.prefix == "apps"
        else each
        for each in CREATION_TEMPLATES
    }
    assert open_repositories(aws) == {}
    assert ended.report["totals"]["remaining"] == 2
    assert ended.status == 3
    again = run(aws, tmp_path / "again", config=config)
    assert set(by_prefix(again)) == {"ROOT", "cached", "mixed", "sandbox"}
    assert len(aws.statistics().template_writes) == 1


def test_templates_alone(aws: FakeAws, here: Here) -> None:
    aws.load(world(CreationTemplate("apps"), CreationTemplate("ROOT", "IMMUTABLE")))
    ended = here.run(aws, config={"checks": [TEMPLATES], "remediation": {"checks": [TEMPLATES]}})
    assert "ecr:DescribeRepositories" not in calls(aws)
    assert found(ended.report) == {(*registry_of(aws), "apps")}
    assert changes(ended.report) == {("applied", None)}
    assert calls(aws)[LISTING] == 2  # and once more before the write
    assert ended.report["totals"]["repositories"]["examined"] == 0
    assert ended.status == 0


def test_a_dry_run_plans(aws: FakeAws, here: Here) -> None:
    aws.load(world(CreationTemplate("apps")))
    ended = here.run(aws, "--dry-run", config={"checks": BOTH, "remediation": {"checks": BOTH}})
    assert changes(ended.report) == {("planned", None)}
    assert aws.statistics().template_writes == []
    assert not policy_actions(aws) & {WRITE, "ecr:CreateRepository", "ecr:SetRepositoryPolicy"}


def test_where_templates_cannot_be_read_the_target_failed(aws: FakeAws, here: Here) -> None:
    aws.load(world(role=Role(actions=("account:ListRegions", "ecr:DescribeRepositories"))))
    ended = here.run(aws, config={"checks": BOTH})
    assert failures(ended.report) == {(*registry_of(aws), "denied_by_identity_policy")}
    (failure,) = ended.report["failures"]
    assert LISTING in failure["message"]
    assert ended.report["findings"] == []
    assert writes(aws) == []
    assert ended.status == 4


@pytest.mark.parametrize("missing", [WRITE, "ecr:PutLifecyclePolicy"])
def test_a_denied_write_is_told_and_ends_no_other_checks_changes(
    aws: FakeAws, here: Here, missing: str
) -> None:
    actions = tuple(action for action in Role().actions if action != missing)
    templates = (CREATION_TEMPLATES[0], CreationTemplate("b", lifecycle_policy=LIFECYCLE))
    aws.load(world(*templates, role=Role(actions=actions)))
    # Templates first: their denial comes before the repositories' writes.
    config = {"checks": BOTH[::-1], "remediation": {"checks": BOTH}}
    ended = here.run(aws, config=config)
    told = {prefix: each["change"] for prefix, each in by_prefix(ended).items()}
    assert {(told[prefix]["status"], told[prefix]["reason"]) for prefix in ("apps", "b")} == {
        ("withheld", "write_not_granted")
    }
    assert missing in told["apps"]["error"]
    assert [each["repository"] for each in writes(aws) if each["accepted"]] == ["app"]
    assert aws.templates(*registry_of(aws)) == {each.prefix: each for each in templates}
    assert ended.status == 3


@pytest.mark.slow
def test_a_write_without_an_answer_is_read_again(aws: FakeAws, here: Here) -> None:
    aws.load(world(CreationTemplate("apps"), IMMUTABLE_ROOT))
    operation = WRITE.partition(":")[2]
    aws.faults([Fault("truncate", operation=operation)])
    ended = here.run(aws, config={"checks": BOTH, "remediation": {"checks": BOTH}})
    assert changes(ended.report) == {("applied", None)}
    assert aws.templates(*registry_of(aws))["apps"].mutability == "IMMUTABLE"
    assert ended.status == 0


def test_a_run_that_was_killed_while_it_wrote_templates_is_resumed(
    aws: FakeAws, here: Here, tmp_path: Path
) -> None:
    prefixes = [f"team-{number}" for number in range(4)]
    aws.load(world(*map(CreationTemplate, prefixes), IMMUTABLE_ROOT))
    hold(aws, WRITE.partition(":")[2], skip=1)
    config = {"checks": BOTH, "remediation": {"checks": BOTH}}
    process = start(aws, tmp_path, config=config)
    wait_until_held(aws, process)
    process.kill()
    end(process, tmp_path)
    aws.faults([])
    (journal,) = (tmp_path / "state" / "sweeper").glob("*.journal")
    ended = here.run(aws, "--resume", journal.stem, config=config)
    told = {prefix: each["change"]["status"] for prefix, each in by_prefix(ended).items()}
    assert told == dict.fromkeys(prefixes, "applied")
    accepted = [each["prefix"] for each in aws.statistics().template_writes if each["accepted"]]
    assert sorted(accepted) == prefixes
    assert ended.status == 0


def test_another_choice_of_checks_is_another_run(aws: FakeAws, here: Here, tmp_path: Path) -> None:
    aws.load(world(CreationTemplate("apps")))
    hold(aws, "PutImageTagMutability")
    process = start(aws, tmp_path, config={"checks": [TAGS]})
    wait_until_held(aws, process)
    process.kill()
    end(process, tmp_path)
    aws.faults([])
    (journal,) = (tmp_path / "state" / "sweeper").glob("*.journal")
    ended = here.run(aws, "--resume", journal.stem, config={"checks": BOTH})
    assert ended.status == 2
    assert "was begun with another configuration of checks" in ended.stderr


def test_every_report_says_what_it_is(aws: FakeAws, here: Here) -> None:
    aws.load(world(CreationTemplate("apps")))
    formats = ["json", "csv", "text", "html", "junit", "markdown", "ocsf", "sarif"]
    ended = here.run(aws, config={"checks": BOTH, "report": {"formats": formats}})
    files = sorted((ended.directory / "out").glob("report.*"))
    assert len(files) == len(formats)
    for file in files:
        text = file.read_text(encoding="utf-8").lower()
        assert "template" in text, file.name
        assert "repository apps" not in text, file.name
