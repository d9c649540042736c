"""sweeper against an independent emulator: its IAM, CloudFormation, ECR, S3 and SNS are not ours.

ministack names no `State`, walks no tree, and has neither exclusion filters nor pull-through-cache
rules. A configuration that any user could have does without them: no OUs are named, nothing is
excluded, and no rule exempts a repository.

Slow: ministack starts, and nine commands ask it about 31 regions of four accounts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contract.deployment import BUCKET, EXTERNAL_ID, Deployment, deployed
from tests.contract.ministack import needed
from tests.end_to_end.harness import (
    SWEEPER,
    Ended,
    Key,
    changes,
    end,
    failures,
    found,
    run,
    start_command,
    undo,
)

pytestmark = [pytest.mark.slow, needed]
NOT_GRANTED = ("withheld", "write_not_granted")
CACHE_RULES = "ecr:DescribePullThroughCacheRules"  # which ministack lacks
Truth = dict[Key, str]


def config(aws: Deployment, **more: Any) -> dict[str, Any]:
    s3 = {"bucket": BUCKET, "prefix": "sweeps"}
    return {
        "organization": {"external_id": EXTERNAL_ID},
        "policy": {"exempt_pull_through_cache": False},
        "report": {"s3": s3, "sns_topic_arn": aws.topic},
        **more,
    }


def preflight(aws: Deployment, directory: Path, *options: str) -> tuple[int, Any]:
    command = (*SWEEPER, "preflight", "--format", "json", *options)
    ended = end(start_command(aws, directory, command, config(aws)), directory)
    return ended.status, json.loads(ended.stdout)


@dataclass(frozen=True)
class Story:
    """What each command said, in the order in which they ran, and the repositories afterwards."""

    aws: Deployment
    before: Truth
    asked: tuple[int, Any]
    dry: Ended
    after_dry: Truth
    stored_by_dry: dict[str, bytes]
    first: Ended
    after_first: Truth
    stored: dict[str, bytes]
    messages: list[dict[str, Any]]
    asked_again: tuple[int, Any]
    second: Ended
    after_second: Truth
    undone: list[Ended]
    after_undone: Truth

    def of(self, account: str, truth: Truth) -> Truth:
        """The repositories of the account of this name."""
        return {key: each for key, each in truth.items() if key[0] == self.aws.accounts[account]}


@pytest.fixture(scope="module")
def aws() -> Iterator[Deployment]:
    with deployed("payments", "readers", "closed") as deployment:
        deployment.deploy("closed", OrganizationId="o-another000")
        deployment.deploy("readers", AllowRemediation="false")
        deployment.create("management", "us-west-2", "tools")
        deployment.create("payments", "us-east-1", "app", "team/api")
        deployment.create("payments", "us-east-1", "fixed", mutability="IMMUTABLE")
        deployment.create("payments", "eu-west-1", "app")
        deployment.create("readers", "ap-south-1", "app")
        deployment.create("readers", "us-east-1", "fixed", mutability="IMMUTABLE")
        deployment.create("closed", "us-east-1", "app")
        yield deployment


@pytest.fixture(scope="module")
def story(aws: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Story:
    directory = tmp_path_factory.mktemp("story")
    before = aws.repositories()
    asked = preflight(aws, directory / "preflight")
    dry = run(aws, directory / "dry", "--dry-run", config=config(aws))
    after_dry, stored_by_dry = aws.repositories(), aws.objects()
    first = run(aws, directory / "first", config=config(aws))
    after_first, stored, messages = aws.repositories(), aws.objects(), aws.messages()
    aws.deploy("closed")
    aws.deploy("readers")
    asked_again = preflight(aws, directory / "again", "--region", "us-east-1")
    second = run(aws, directory / "second", config=config(aws))
    after_second = aws.repositories()
    key = next(each for each in aws.objects() if second.report["run"]["id"] in each)
    of_second = f"s3://{BUCKET}/{key.rpartition('/')[0]}/report.json"
    undone = [
        undo(aws, directory / "undo", report, "--yes", config=config(aws))
        for report in (of_second, str(first.directory / "out" / "report.json"))
    ]
    return Story(
        *(aws, before, asked, dry, after_dry, stored_by_dry, first, after_first, stored),
        *(messages, asked_again, second, after_second, undone, aws.repositories()),
    )


def test_preflight_names_the_account_that_is_closed_and_the_role_that_may_not_write(
    story: Story,
) -> None:
    status, document = story.asked
    closed, readers = story.aws.accounts["closed"], story.aws.accounts["readers"]
    assert status == 4
    assert document["caller"]["organization_id"] == story.aws.organization
    assert document["accounts"]["without_role"] == [closed]
    problems = [
        (each["kind"], each["accounts"])
        for each in document["problems"]
        if each["actions"] != [CACHE_RULES]
    ]
    assert problems == [("account", [closed]), ("write", [readers])]
    regions = len(story.aws.regions)
    assert document["actions"]["ecr:PutImageTagMutability"]["denied"] == regions
    assert document["actions"]["ecr:PutImageTagMutability"]["works"] == 2 * regions
    assert document["actions"]["ecr:DescribeRepositories"]["works"] == 3 * regions
    assert {each["answer"] for each in document["destinations"]} == {"works"}


def test_preflight_names_neither_once_both_are_mended(story: Story) -> None:
    _, document = story.asked_again
    assert document["accounts"]["without_role"] == []
    assert document["actions"]["ecr:PutImageTagMutability"]["works"] == len(story.aws.accounts)
    assert [each for each in document["problems"] if each["actions"] != [CACHE_RULES]] == []


def test_the_findings_are_the_open_repositories_that_the_emulator_has(story: Story) -> None:
    seen = {key: each for key, each in story.before.items() if key not in closed(story)}
    report = story.dry.report
    assert found(report) == {key for key, each in seen.items() if each == "MUTABLE"}
    assert report["totals"]["repositories"]["examined"] == len(seen)
    assert report["totals"]["targets"]["examined"] == 3 * len(story.aws.regions)
    assert report["run"]["organization_id"] == story.aws.organization
    assert found(story.first.report) == found(report)


def test_a_dry_run_changes_and_stores_nothing(story: Story) -> None:
    assert changes(story.dry.report) == {("planned", None)}
    assert story.after_dry == story.before
    assert story.stored_by_dry == {}


def test_an_account_whose_role_trusts_another_organization_is_failed(story: Story) -> None:
    account = story.aws.accounts["closed"]
    for each in (story.dry, story.first):
        assert failures(each.report) == {(account, None, "assume_role_denied")}
        assert not each.report["coverage"]["complete"]
        assert each.status == 4
    assert closed(story) == story.of("closed", story.after_first)


def test_a_role_that_may_not_write_changes_nothing(story: Story) -> None:
    readers = story.aws.accounts["readers"]
    refused = {
        (each["change"]["status"], each["change"]["reason"])
        for each in story.first.report["findings"]
        if each["account_id"] == readers
    }
    assert refused == {NOT_GRANTED}
    assert story.of("readers", story.after_first) == story.of("readers", story.before)


def test_a_run_closes_every_repository_that_it_may(story: Story) -> None:
    for account in ("management", "payments"):
        assert set(story.of(account, story.after_first).values()) == {"IMMUTABLE"}, account
    assert changes(story.first.report) == {("applied", None), NOT_GRANTED}


def test_a_run_with_every_role_closes_every_repository(story: Story) -> None:
    assert story.second.status == 0, story.second.stderr
    assert failures(story.second.report) == set()
    assert story.second.report["coverage"]["complete"]
    assert story.after_second == dict.fromkeys(story.before, "IMMUTABLE")


def test_undo_restores_every_repository(story: Story) -> None:
    assert [each.status for each in story.undone] == [0, 0]
    assert story.after_undone == story.before


def test_the_report_is_delivered_and_the_lease_released(story: Story) -> None:
    run_id = story.first.report["run"]["id"]
    latest = json.loads(story.stored["sweeps/latest.json"])
    assert latest["run"]["id"] == run_id
    assert found(latest) == found(story.first.report)
    assert json.loads(story.stored["sweeps/lease.json"])["released"] is True
    (message,) = story.messages
    assert run_id in message["Message"]


def test_without_the_external_id_no_account_is_entered(aws: Deployment, tmp_path: Path) -> None:
    other = config(aws, organization={"external_id": "another"})
    ended = run(aws, tmp_path, "--dry-run", config=other)
    assert failures(ended.report) == {
        (account, None, "assume_role_denied") for account in aws.accounts.values()
    }
    assert ended.status == 4


def test_where_cache_rules_cannot_be_read_their_repositories_are_manual_review_required(
    aws: Deployment, tmp_path: Path
) -> None:
    """As AWS would, were it to refuse the call: the sweep goes on, and names what it left."""
    account = aws.accounts["payments"]
    options = ("--account", account, "--region", "us-east-1")
    ended = run(aws, tmp_path, *options, config=config(aws, policy={}, report={}))
    cached = (account, "us-east-1", "team/api")
    assert found(ended.report) == {cached, (account, "us-east-1", "app")}
    (change,) = [
        each["change"] for each in ended.report["findings"] if each["repository"] == cached[2]
    ]
    assert (change["status"], change["reason"]) == ("withheld", "pull_through_rules_unreadable")
    assert aws.repositories()[cached] == "MUTABLE"
    assert failures(ended.report) == set()
    assert ended.status == 3


def closed(story: Story) -> Truth:
    return story.of("closed", story.before)
