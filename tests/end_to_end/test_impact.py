"""What closing may break: told before, avoided with what is suggested, and never in the way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweeper.domain.impact import _MAX_IMAGES
from tests.end_to_end.barriers import hold, wait_until_held
from tests.end_to_end.harness import (
    Ended,
    Here,
    calls,
    changes,
    end,
    run,
    small_world,
    start,
    writes,
)
from tests.end_to_end.test_resuming import run_id
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault, Image, Registry, Repository, Role, World
from tests.fake_aws_tests.support import client, refusal

REGION = "us-east-1"
SIGNED = "0f" * 32
TAGS = {
    "payments": ("latest", "main", "pr-7", f"sha256-{SIGNED}.sig", "1.4.2", "v2.0.0", "3f2a9c1"),
    "search": ("latest", "pr-1", "pr-1.4.2", "1.0.0"),
    "quiet": ("1.0.0", "2.0.0"),
}


def images(*tags: str) -> tuple[Image, ...]:
    return tuple(
        Image(f"sha256:{number:064x}", (tag,) if tag else (), 1_750_000_000.0 + number)
        for number, tag in enumerate(tags)
    )


def world_of(**repositories: tuple[Image, ...]) -> World:
    """Two accounts with one region; the repositories are the caller's own."""
    world = small_world(accounts=2, regions=1)
    own = tuple(Repository(name, images=each) for name, each in repositories.items())
    return replace(
        world,
        registries=(
            Registry(account=world.caller.account, repositories=own),
            Registry(repositories=(Repository("other"),)),
        ),
    )


def tagged() -> World:
    return world_of(**{name: images(*tags, "") for name, tags in TAGS.items()})


def impacts(ended: Ended) -> dict[str, Any]:
    return {finding["repository"]: finding["impact"] for finding in ended.report["findings"]}


def policies(aws: FakeAws) -> set[bool]:
    """Whether the sessions' policies let images be read."""
    return {"ecr:DescribeImages" in each["policy"] for each in aws.statistics().assume_role}


def pasted(ended: Ended) -> str:
    """What the text report says to add to the configuration, as it stands there."""
    return ended.stdout[ended.stdout.index("\nremediation:\n") :].split("\n\n")[0]


def test_what_is_suggested_and_pasted_lets_pipelines_go_on(aws: FakeAws, here: Here) -> None:
    aws.load(tagged())
    dry = here.run(aws, "--dry-run", "--impact")
    assert writes(aws) == []
    assert dry.status == 3
    found = impacts(dry)
    assert found["payments"]["exclusions"] == ["sha256-*.sig", "pr-*", "main", "latest"]
    assert found["search"]["exclusions"] == ["pr-1", "latest"]
    assert found["quiet"]["moved"] == []
    (signature,) = (tag for tag in found["payments"]["moved"] if tag["kind"] == "signature")
    assert signature["pushed_at"] == "2025-06-15T15:06:43Z"
    assert {each["untagged"] for each in found.values() if each["images"]} == {1}

    assert yaml.safe_load(pasted(dry)) == {
        "remediation": {
            "exclusions": ["latest"],
            "exclusions_by_repository": {
                "payments": ["sha256-*.sig", "pr-*", "main"],
                "search": ["pr-1"],
            },
        }
    }
    (dry.directory / "config.yaml").write_text(pasted(dry), encoding="utf-8")
    assert here.run(aws).status == 0

    ecr = client(aws, "ecr", REGION)
    moved = {each["tag"] for impact in found.values() for each in impact["moved"]}
    for name, tags in TAGS.items():
        for tag in tags:
            push = {"repositoryName": name, "imageManifest": json.dumps([tag]), "imageTag": tag}
            if tag in moved:
                ecr.put_image(**push)
            else:
                assert refusal(ecr.put_image, **push)[0] == "ImageTagAlreadyExistsException"
    # And it is no finding: what was pasted is allowed there.
    again = here.run(aws)
    assert again.report["findings"] == []
    assert again.report["totals"]["repositories"]["compliant"] == 4


def test_nothing_is_asked_or_allowed_unless_it_is_wanted(aws: FakeAws, here: Here) -> None:
    aws.load(tagged())
    ended = here.run(aws, "--dry-run")
    assert set(impacts(ended).values()) == {None}
    assert policies(aws) == {False}
    assert "ecr:DescribeImages" not in calls(aws)


def test_the_option_overrides_the_configuration_and_needs_no_dry_run(
    aws: FakeAws, here: Here
) -> None:
    aws.load(tagged())
    ended = here.run(aws, "--impact", config={"remediation": {"assess_impact": False}})
    assert policies(aws) == {True}
    assert impacts(ended)["payments"]["moved_count"] == 4
    assert changes(ended.report) == {("applied", None)}
    assert calls(aws)["ecr:DescribeImages"] == 4


def test_the_configuration_turns_it_on(aws: FakeAws, here: Here) -> None:
    aws.load(tagged())
    ended = here.run(aws, "--dry-run", SWEEPER_REMEDIATION__ASSESS_IMPACT="true")
    assert impacts(ended)["payments"]["moved_count"] == 4


def test_filters_by_repository_come_from_the_environment_too(aws: FakeAws, here: Here) -> None:
    aws.load(tagged())
    given = json.dumps({"pay*": ["latest"], "*": ["pr-*"]})
    here.run(aws, SWEEPER_REMEDIATION__EXCLUSIONS_BY_REPOSITORY=given)
    after = {each.name: each.exclusion_filters for each in aws.repositories()}
    assert after["payments"] == ("latest", "pr-*")
    assert after["quiet"] == after["other"] == ("pr-*",)


def test_a_role_that_may_not_read_images(aws: FakeAws, here: Here) -> None:
    world = tagged()
    role = Role(actions=tuple(each for each in Role().actions if each != "ecr:DescribeImages"))
    aws.load(replace(world, role=role))
    ended = here.run(aws, "--impact", "--format", "text")
    found = impacts(ended)
    assert {each["unavailable"] for each in found.values()} == {"denied_by_identity_policy"}
    assert "ecr:DescribeImages" in found["payments"]["error"]
    # Asked once in each region, and the sweep goes on.
    assert calls(aws)["ecr:DescribeImages"] == 2
    assert changes(ended.report) == {("applied", None)}
    assert ended.status == 0
    assert ended.report["coverage"]["complete"] is True
    (text, *_) = ended.stdout.split("DELIVERIES")
    assert "its tags could not be read: denied_by_identity_policy" in text
    assert "let the member role call ecr:DescribeImages there" in text
    told = [entry for entry in ended.logs if entry["event"] == "impact.unavailable"]
    assert sorted(entry["repositories"] for entry in told) == [1, 3]


@pytest.mark.slow
def test_images_that_are_throttled_keep_nothing_from_being_done(aws: FakeAws, here: Here) -> None:
    world = world_of(payments=images(*TAGS["payments"]))
    aws.load(world)
    aws.faults([Fault("throttle", operation="DescribeImages", account=world.caller.account)])
    ended = here.run(aws, "--impact", config={"regions": {"include": [REGION]}})
    found = impacts(ended)
    assert found["payments"]["unavailable"] == "throttled"
    assert found["other"]["unavailable"] is None
    assert ended.status == 0


def test_a_throttle_that_passes_is_waited_for(aws: FakeAws, here: Here) -> None:
    aws.load(tagged())
    aws.faults([Fault("throttle", operation="DescribeImages", times=1)])
    ended = here.run(aws, "--dry-run", "--impact")
    assert {each["unavailable"] for each in impacts(ended).values()} == {None}


def test_a_page_that_is_denied_is_no_short_repository(aws: FakeAws, here: Here) -> None:
    aws.load(world_of(many=images(*(f"1.0.{number}" for number in range(1100)), "latest")))
    aws.faults([Fault("access_denied", operation="DescribeImages", only_page=2)])
    found = impacts(here.run(aws, "--dry-run", "--impact"))["many"]
    assert (found["unavailable"], found["images"], found["moved"]) == ("denied", 0, [])


def test_all_pages_are_read_up_to_the_limit(aws: FakeAws, here: Here) -> None:
    few = images("latest", *(f"1.0.{number}" for number in range(2300)))
    many = images(*(f"pr-{number}" for number in range(_MAX_IMAGES)), "latest")
    aws.load(world_of(few=few, many=many))
    ended = here.run(aws, "--dry-run", "--impact")
    found = impacts(ended)
    assert (found["few"]["images"], found["few"]["truncated"]) == (2301, False)
    assert found["few"]["exclusions"] == ["latest"]
    assert (found["many"]["images"], found["many"]["truncated"]) == (_MAX_IMAGES, True)
    assert (found["many"]["moved_count"], len(found["many"]["moved"])) == (_MAX_IMAGES, 20)
    assert found["many"]["exclusions"] == ["pr-*"]
    assert calls(aws)["ecr:DescribeImages"] == 3 + 11 + 1
    assert "not all of its tags were read, at most those of 10,000 images" in ended.stdout


def test_a_repository_that_is_deleted_meanwhile(aws: FakeAws, here: Here) -> None:
    aws.load(tagged())
    event = {"action": "delete_repository", "region": REGION, "repository": "quiet"}
    own = {"account": aws.world.caller.account, "operation": "DescribeImages", "after": 1}
    aws.events([{**event, **own}])
    found = impacts(here.run(aws, "--dry-run", "--impact"))
    assert found["quiet"]["unavailable"] == "repository_deleted"


@pytest.mark.parametrize("during", ["DescribeImages", "PutImageTagMutability"])
def test_a_run_that_is_resumed_assesses_anew(
    aws: FakeAws, here: Here, tmp_path: Path, during: str
) -> None:
    aws.load(tagged())
    hold(aws, during, skip=1)
    config = {"limits": {"max_workers": 1}}
    process = start(aws, tmp_path, "--impact", config=config)
    wait_until_held(aws, process)
    process.kill()
    end(process, tmp_path)
    aws.faults([])
    refused = here.run(aws, "--resume", run_id(tmp_path))
    assert refused.status == 2
    assert "another configuration of remediation" in refused.stderr
    ended = here.run(aws, "--impact", "--resume", run_id(tmp_path))
    assert ended.status == 0
    assert changes(ended.report) == {("applied", None)}
    found = impacts(ended)
    # What had been closed before was assessed before; it is not asked again.
    assert {each["unavailable"] for each in found.values() if each} == {None}
    assert len([each for each in found.values() if each]) >= 2


def test_the_plan_beside_the_report_can_be_resumed(aws: FakeAws, tmp_path: Path) -> None:
    world = tagged()
    aws.load(world)
    bucket = world.buckets[0]
    config = {
        "limits": {"max_workers": 1},
        "report": {"s3": {"bucket": bucket.name, "prefix": "r", "lease": False}},
        "remediation": {"assess_impact": True},
    }
    hold(aws, "PutImageTagMutability", skip=1)
    process = start(aws, tmp_path, config=config)
    wait_until_held(aws, process)
    process.kill()
    end(process, tmp_path)
    aws.faults([])
    (plan,) = (each for each in aws.objects() if each.key.endswith("plan.jsonl"))
    assert b'"impact":null' in plan.body
    assert b"moved" not in plan.body
    ended = run(aws, tmp_path / "another", "--resume", run_id(tmp_path), config=config)
    assert changes(ended.report) == {("applied", None)}
