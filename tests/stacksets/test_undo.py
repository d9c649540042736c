"""The real undo in the roles that the templates make, with IAM enforced: they need nothing more."""

from __future__ import annotations

import boto3
import pytest

from sweeper.domain.errors import ExitStatus
from sweeper.domain.exit_status import exit_status
from sweeper.domain.reasons import Reason
from tests.stacksets.deployment import MANAGEMENT, MEMBER_ROLE, Deployment

pytestmark = pytest.mark.slow


def test_what_a_sweep_closed_is_open_again(deployment: Deployment) -> None:
    swept, _ = deployment.sweep()
    for account in deployment.accounts:
        assert deployment.mutability(account) == {"IMMUTABLE"}
    bucket = deployment.stack["ReportBucketName"]
    report, authority = deployment.undo(f"s3://{bucket}/latest.json")
    for account in deployment.accounts:
        assert deployment.mutability(account) == {"MUTABLE"}
    assert report.totals.changes.applied == swept.totals.changes.applied
    assert report.totals.remaining == 0
    assert exit_status(report) is ExitStatus.CLEAN
    assert report.run.source
    assert report.run.source.run_id == swept.run.id
    keys = {item["Key"] for item in boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]}
    assert f"{report.run.started_at[:10]}/{report.run.id}/report.json" in keys
    # It reads by name what it is about, and looks at nothing else.
    used = {action for role, action in authority.used if role == MEMBER_ROLE}
    assert used == {"ecr:DescribeRepositories", "ecr:PutImageTagMutability"}
    assert MANAGEMENT in deployment.accounts


def test_a_role_that_may_only_read_has_nothing_put_back(deployment: Deployment) -> None:
    deployment.sweep()
    bucket = deployment.stack["ReportBucketName"]
    with deployment.management_stack(AllowRemediation="false"):
        report, _ = deployment.undo(f"s3://{bucket}/latest.json")
    assert deployment.mutability(MANAGEMENT) == {"IMMUTABLE"}
    told = {
        each.change and each.change.reason
        for each in report.findings
        if each.account_id == MANAGEMENT
    }
    assert told == {Reason.WRITE_NOT_GRANTED}
    assert exit_status(report) is ExitStatus.FINDINGS_REMAIN
