"""member-events.yaml and central-events.yaml: which events, from whom, and what may be done."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import Any
from unittest import mock

import boto3
import pytest
from moto.events.models import EventPattern, EventPatternParser
from moto.iam.models import Role
from moto.organizations.models import FakeAccount

from sweeper.entrypoints.events import batch as events_batch
from sweeper.entrypoints.events.run import WarmState
from sweeper.entrypoints.lambda_function import SweepFailed
from sweeper.lambda_handler import handle_events
from tests import cloudtrail
from tests.cases import case
from tests.end_to_end.test_lambda import Context
from tests.stacksets import templates
from tests.stacksets.authority import identity_policies
from tests.stacksets.deployment import (
    EXTERNAL_ID,
    MANAGEMENT,
    REGION,
    SETUP,
    Deployment,
    uploaded_code,
    without,
)
from tests.stacksets.iam import Request, actions, allows, listed, parse, trusts
from tests.stacksets.test_policies import faults

ACCOUNT = "111122223333"
KEY = f"arn:aws:kms:{REGION}:{MANAGEMENT}:key/1a2b"


# --- which events --------------------------------------------------------------------------------


def _pattern(template: str) -> Any:
    text = json.dumps(templates.resource(template, "Rule")["EventPattern"])
    return EventPattern(text, EventPatternParser(text).parse())


def test_the_rules_match_what_may_make_tags_mutable_and_nothing_else() -> None:
    created = cloudtrail.created(ACCOUNT, REGION, "payments")
    wanted = (
        created,
        cloudtrail.changed(ACCOUNT, REGION, "payments"),
        cloudtrail.pushed(ACCOUNT, REGION, "payments"),
        cloudtrail.replicated(ACCOUNT, REGION, "payments"),
        cloudtrail.template(ACCOUNT, REGION, "apps"),
        cloudtrail.template(ACCOUNT, REGION, "apps", "UpdateRepositoryCreationTemplate"),
    )
    other_call = {**created["detail"], "eventName": "DeleteRepository"}
    public = {**created["detail"], "eventSource": "ecr-public.amazonaws.com"}
    unwanted = (
        cloudtrail.refused(created),
        {**created, "source": "custom.ecr"},
        {**created, "detail-type": "ECR Image Action"},
        {**created, "detail": other_call},
        {**created, "detail": public},
    )
    for template in templates.EVENTS:
        pattern = _pattern(template)
        for event in wanted:
            with case(template, event["detail"]["eventName"]):
                assert pattern.matches_event(event)
        for event in unwanted:
            with case(template, event):
                assert not pattern.matches_event(event)


def test_both_rules_have_one_pattern() -> None:
    member, central = (templates.resource(name, "Rule") for name in templates.EVENTS)
    assert member["EventPattern"] == central["EventPattern"]


# --- the member's part ---------------------------------------------------------------------------


def test_the_members_role_puts_events_on_one_bus_and_is_assumed_for_one_rule() -> None:
    role = templates.resource("member-events", "ForwardRole")
    ((statement,),) = (each["PolicyDocument"]["Statement"] for each in role["Policies"])
    assert (statement["Action"], statement["Resource"]) == (
        "events:PutEvents",
        {"Ref": "CentralEventBusArn"},
    )
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "events.amazonaws.com"}
    assert set(trust["Condition"]) == {"StringEquals", "ArnEquals"}
    assert "RoleName" not in role  # IAM is global: a second region's stack would meet it
    (target,) = templates.resource("member-events", "Rule")["Targets"]
    assert target["RoleArn"] == {"Fn::GetAtt": ["ForwardRole", "Arn"]}
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}}


def test_only_the_rules_send_to_the_queues() -> None:
    for template, queue in (
        ("member-events", "DeadLetterQueuePolicy"),
        ("central-events", "QueuePolicy"),
    ):
        with case(template):
            allowed, denied = templates.resource(template, queue)["PolicyDocument"]["Statement"]
            assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
            assert allowed["Condition"] == {
                "ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]}}
            }
            assert denied["Effect"] == "Deny"


# --- the central part ----------------------------------------------------------------------------


def test_the_bus_takes_events_of_the_organization_alone() -> None:
    statement = templates.resource("central-events", "BusPolicy")["Statement"]
    assert statement["Action"] == "events:PutEvents"
    assert statement["Condition"]["StringEquals"] == {
        "aws:PrincipalOrgID": {"Ref": "OrganizationId"}
    }


def test_what_cannot_be_handled_is_kept_and_noticed() -> None:
    queue = templates.resource("central-events", "Queue")
    function = templates.resource("central-events", "Function")
    source = templates.resource("central-events", "EventSource")
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 5
    assert source["BatchSize"] == 10
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    window = templates.load("central-events")["Parameters"]["BatchWindowSeconds"]
    assert (window["MinValue"], window["MaxValue"]) == (0, 60)
    # As Lambda asks for. A message that is delivered again has waited for so long, and is no alarm.
    assert queue["VisibilityTimeout"] == 6 * function["Timeout"] + window["MaxValue"]
    age = templates.load("central-events")["Parameters"]["MaxAgeSeconds"]["Default"]
    assert age > 2 * queue["VisibilityTimeout"]
    concurrency = {"Ref": "MaxConcurrency"}
    assert function["ReservedConcurrentExecutions"] == concurrency
    assert source["ScalingConfig"] == {"MaximumConcurrency": concurrency}
    metrics = {
        each["Properties"]["MetricName"]
        for each in templates.load("central-events")["Resources"].values()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    }
    assert metrics == {
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesVisible",
        "Errors",
    }
    module, _, name = function["Handler"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))


def test_unless_it_is_asked_for_no_event_is_handled_and_nothing_changed() -> None:
    parameters = templates.load("central-events")["Parameters"]
    assert parameters["EventsState"]["Default"] == "DISABLED"
    assert parameters["AutoRemediate"]["Default"] == "DISABLED"


def test_it_is_configured_as_the_sweep_is() -> None:
    sweeps, events = (templates.load(name) for name in ("central-lambda", "central-events"))
    shared = (
        *("IncludeOus", "ExcludeAccounts", "AutoRemediate", "RemediationOus", "MaxChanges"),
        *("ConfigLocation", "ConfigKmsKeyArn", "MemberRoleName", "ExternalId", "LogRetentionDays"),
    )
    for key in shared:
        own, theirs = (
            {
                name: value
                for name, value in each["Parameters"][key].items()
                if name != "Description"
            }
            for each in (events, sweeps)
        )
        assert own == theirs, key
    given, theirs = (
        templates.resource(name, "Function")["Environment"]["Variables"]
        for name in ("central-events", "central-lambda")
    )
    for name in set(given) & set(theirs) - {
        "SWEEPER_REPORT__S3__BUCKET",
        "SWEEPER_REPORT__SNS_TOPIC_ARN",
    }:
        assert given[name] == theirs[name], name
    assert set(given) - set(theirs) == {"SWEEPER_REMEDIATION__MAX_REOPENED"}
    by_sid = [
        {
            statement["Sid"]: statement
            for policy in templates.resource(name, role)["Policies"]
            for each in policy["PolicyDocument"]["Statement"]
            if (statement := each["Fn::If"][1] if "Fn::If" in each else each)
        }
        for name, role in (("central-lambda", "CentralRole"), ("central-events", "EventsRole"))
    ]
    for sid in ("Accounts", "Tree", "Units", "AccountTags", "MemberRoles", "ConfigKey"):
        assert by_sid[0][sid] == by_sid[1][sid], sid


# --- what the role needs -------------------------------------------------------------------------


class Events:
    """The stack of central-events.yaml beside the one that sweeps, and batches in its role."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.used: set[tuple[str, str]] = set()
        template = templates.transformed("central-events", uploaded_code())
        self.outputs = deployment.make_stack(
            "sweeper-events",
            template,
            {
                "OrganizationId": deployment.member_parameters["OrganizationId"],
                "ExternalId": EXTERNAL_ID,
                "AutoRemediate": "ENABLED",
                "ReportBucketName": deployment.stack["ReportBucketName"],
                "ReportKeyArn": deployment.stack["KeyArn"],
                "SNSTopicARN": deployment.stack["TopicArn"],
                "SNSTopicKmsKeyArn": deployment.stack["KeyArn"],
                "EventsState": "ENABLED",
            },
        )
        functions = boto3.client("lambda").list_functions()["Functions"]
        given = [each["Environment"]["Variables"] for each in functions]
        self.variables = next(
            dict(each) for each in given if each["SWEEPER_DEPLOYMENT"] == "sweeper-events"
        )
        chosen = {"include_ous": [deployment.root, deployment.empty_unit]}
        tags = {"include_tags": {"swept": ["yes"]}}
        for key, value in (chosen | tags).items():
            self.variables[f"SWEEPER_ORGANIZATION__{key.upper()}"] = json.dumps(value)

    @property
    def role(self) -> Role:
        """The role that handles events."""
        return self.deployment.role(MANAGEMENT, self.outputs["EventsRoleArn"].split("/")[-1])

    def handle(self) -> Any:
        """Handle an event about a repository that was made mutable again, in each account."""
        events = [
            cloudtrail.changed(account, REGION, "payments") for account in self.deployment.accounts
        ]
        with (
            mock.patch.object(self.deployment, "environment", self.variables),
            mock.patch.object(events_batch, "_warm", WarmState()),
            self.deployment.entered(self.outputs["EventsRoleArn"]) as authority,
        ):
            assert "SWEEPER_REPORT__S3__BUCKET" in os.environ
            answer = handle_events(cloudtrail.batch(events), Context())
        self.used |= authority.used
        return answer

    def handle_by_everything(self) -> None:
        """Handle twice: as Organizations is with `Paths` and without; the first finds no object."""
        self.deployment.empty_bucket()
        self.handle()
        assert self.settings() == {"IMMUTABLE"}
        self.deployment.reopen()
        describe = FakeAccount.describe

        def with_paths(account: FakeAccount) -> dict[str, Any]:
            path = f"{account.organization_id}/{self.deployment.root}/{account.id}/"
            return {**describe(account), "Paths": [path]}

        with mock.patch.object(FakeAccount, "describe", with_paths):
            self.handle()

    def settings(self) -> set[str]:
        """The settings of the repositories that the events name."""
        return {
            repository["imageTagMutability"]
            for account in self.deployment.accounts
            for repository in _repositories(account)
        }


def _repositories(account: str) -> Iterator[dict[str, Any]]:
    from moto.ecr.models import ecr_backends

    repository = ecr_backends[account][REGION].repositories["payments"]
    yield {"imageTagMutability": repository.image_tag_mutability}


@pytest.fixture(scope="module")
def made(stacks: Deployment) -> Events:
    with mock.patch.dict(os.environ, SETUP):
        return Events(stacks)


@pytest.fixture
def events(made: Events, deployment: Deployment) -> Iterator[Events]:
    assert made.deployment is deployment
    made.used.clear()
    yield made
    deployment.empty_bucket()


LAMBDAS_OWN = {  # what Lambda itself does in the role, which moto does not run
    *("logs:CreateLogStream", "logs:PutLogEvents"),
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    *("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"),
}


@pytest.mark.slow
def test_the_role_grants_what_is_done_and_nothing_more(events: Events) -> None:
    events.handle_by_everything()
    assert events.settings() == {"IMMUTABLE"}
    granted = set(actions(identity_policies(events.role)))
    used = {action for role, action in events.used if role == events.role.name}
    assert granted - LAMBDAS_OWN == used
    assert set(faults(identity_policies(events.role))) == set()


NOT_LISTED = "not_allowed_to_list"
NOT_STORED = "s3: denied_by_identity_policy"
NOT_SENT = "sns: denied_by_identity_policy"
NOT_COUNTED = None  # nothing is made immutable again
NOTICE = ("EarlierReports", "s3:GetObject")  # where remediation.grace_days is set
NEEDED: dict[tuple[str, str], str | None] = {
    ("Accounts", "organizations:ListAccounts"): NOT_LISTED,
    ("Accounts", "organizations:ListRoots"): NOT_LISTED,
    ("Tree", "organizations:ListAccountsForParent"): NOT_LISTED,
    ("Tree", "organizations:ListChildren"): NOT_LISTED,
    ("Units", "organizations:DescribeOrganizationalUnit"): NOT_LISTED,
    ("AccountTags", "organizations:ListTagsForResource"): NOT_LISTED,
    ("MemberRoles", "sts:AssumeRole"): NOT_COUNTED,
    ("Reports", "s3:GetObject"): NOT_COUNTED,
    ("Reports", "s3:PutObject"): NOT_STORED,
    ("ReportList", "s3:ListBucket"): NOT_COUNTED,
    ("ReportKey", "kms:Decrypt"): NOT_COUNTED,
    ("ReportKey", "kms:GenerateDataKey"): NOT_STORED,
    ("Topic", "sns:Publish"): NOT_SENT,
    ("TopicKey", "kms:Decrypt"): NOT_SENT,
    ("TopicKey", "kms:GenerateDataKey"): NOT_SENT,
}


@pytest.mark.slow
@pytest.mark.parametrize("row", NEEDED, ids=lambda row: f"{row[0]}-{row[1]}")
def test_the_role_needs_every_action(events: Events, row: tuple[str, str]) -> None:
    expected = NEEDED[row]
    with without(events.role, *row):
        if expected:
            with pytest.raises(SweepFailed, match=expected):
                events.handle_by_everything()
            return
        with suppress(AssertionError):  # what is expected below, the first time
            events.handle_by_everything()
    assert events.settings() == {"MUTABLE"}


def test_the_table_is_complete() -> None:
    rows = set()
    for policy in templates.resource("central-events", "EventsRole")["Policies"]:
        if policy["PolicyName"] == "sweep":
            for each in policy["PolicyDocument"]["Statement"]:
                statement = each["Fn::If"][1] if "Fn::If" in each else each
                rows |= {(statement["Sid"], action) for action in listed(statement["Action"])}
    config = {row for row in rows if row[0].startswith("Config")}
    assert len(config) == 3  # as in the templates that sweep, where they are proven
    assert rows - config == {*NEEDED, NOTICE}


@pytest.mark.slow
@pytest.mark.parametrize("may_read", [True, False])
def test_the_notice_is_read_where_sweeps_report(
    events: Events, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, may_read: bool
) -> None:
    deployment.sweep(options={"remediation": {"grace_days": 3}})
    s3, bucket = boto3.client("s3"), deployment.stack["ReportBucketName"]
    latest = json.loads(s3.get_object(Bucket=bucket, Key="latest.json")["Body"].read())
    for finding in latest["findings"]:
        finding["announced"] = "2026-01-01"
    s3.put_object(Bucket=bucket, Key="latest.json", Body=json.dumps(latest).encode())
    monkeypatch.setitem(events.variables, "SWEEPER_REMEDIATION__GRACE_DAYS", "3")
    with nullcontext() if may_read else without(events.role, *NOTICE):
        events.handle()
    assert events.settings() == {"IMMUTABLE" if may_read else "MUTABLE"}


@pytest.mark.slow
def test_it_writes_below_events_alone_and_the_members_trust_it(events: Events) -> None:
    statements = [each for policy in events.role.policies.values() for each in parse(policy)]
    bucket = events.deployment.stack["ReportBucketName"]

    def may(name: str) -> bool:
        return allows(statements, Request("s3:PutObject", f"arn:aws:s3:::{bucket}/{name}"))

    assert may("events/reopened.json")
    assert may("audit/events/2026-11-29/x/report.json")
    assert not any(map(may, ("latest.json", "history.json", "lease.json", "audit/latest.json")))
    member = events.deployment.role(MANAGEMENT)
    for arn, trusted in ((events.role.arn, True), (f"{events.role.arn}-other", False)):
        keys = {
            "aws:principalarn": arn,
            "aws:principalorgid": events.deployment.member_parameters["OrganizationId"],
            "sts:externalid": EXTERNAL_ID,
        }
        request = Request("sts:AssumeRole", member.arn, keys)
        assert trusts(member.assume_role_policy_document, arn, request) is trusted
