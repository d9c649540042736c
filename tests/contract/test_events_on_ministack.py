"""handle_events against an independent emulator: its IAM, ECR, S3 and SNS are not ours.

ministack lacks pull-through-cache rules and exclusion filters, so the configuration does without.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeper.entrypoints.lambda_function import handle_events
from tests import cloudtrail
from tests.contract.deployment import BUCKET, EXTERNAL_ID, Deployment, deployed
from tests.contract.ministack import needed
from tests.end_to_end.harness import write_config
from tests.end_to_end.test_lambda import Context

pytestmark = [pytest.mark.slow, needed]
REGION = "eu-west-1"


@pytest.fixture(scope="module")
def made() -> Iterator[Deployment]:
    with deployed("payments", "readers", "closed") as deployment:
        deployment.deploy("closed", OrganizationId="o-another000")
        deployment.deploy("readers", AllowRemediation="false")
        yield deployment


@pytest.fixture
def aws(made: Deployment, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    config = {
        "organization": {"external_id": EXTERNAL_ID},
        "policy": {"exempt_pull_through_cache": False},
        "report": {"s3": {"bucket": BUCKET, "prefix": "sweeps"}, "sns_topic_arn": made.topic},
    }
    write_config(Path(), config)
    return made


def handled(*events: Any) -> Any:
    return handle_events(cloudtrail.batch(events), Context())["batchItemFailures"]


def test_what_events_name_is_made_immutable_where_that_is_granted(aws: Deployment) -> None:
    for name in ("payments", "readers", "closed"):
        aws.create(name, REGION, "app", "other")
    events = [
        cloudtrail.created(aws.accounts[name], REGION, "app")
        for name in ("payments", "readers", "closed")
    ]
    gone = cloudtrail.created(aws.accounts["payments"], REGION, "gone")
    foreign = cloudtrail.created("999999999999", REGION, "app")
    assert handled(*events, gone, foreign) == []
    fixed = (aws.accounts["payments"], REGION, "app")
    assert {key for key, each in aws.repositories().items() if each == "IMMUTABLE"} == {fixed}
    stored = aws.objects()
    assert all(key.startswith("sweeps/events/") for key in stored)
    (report,) = (json.loads(body) for key, body in stored.items() if key.endswith("report.json"))
    by_account = {each["account_id"]: each["change"] for each in report["findings"]}
    assert by_account[aws.accounts["payments"]]["status"] == "applied"
    assert by_account[aws.accounts["readers"]]["reason"] == "write_not_granted"
    (failure,) = report["failures"]
    assert (failure["account_id"], failure["reason"]) == (
        aws.accounts["closed"],
        "assume_role_denied",
    )
    (message,) = aws.messages()
    assert message["Subject"].startswith("sweeper events: 1 mutable repository")


def test_a_fight_is_counted_in_its_s3(aws: Deployment) -> None:
    account = aws.accounts["payments"]
    ecr = aws.client("ecr", "payments", REGION)
    aws.create("payments", REGION, "fought")
    for _ in range(5):
        ecr.put_image_tag_mutability(repositoryName="fought", imageTagMutability="MUTABLE")
        assert handled(cloudtrail.changed(account, REGION, "fought")) == []
    assert aws.repositories()[account, REGION, "fought"] == "MUTABLE"
    kept = json.loads(aws.objects()["sweeps/events/reopened.json"])
    assert len(kept["reopenings"]) == 3
