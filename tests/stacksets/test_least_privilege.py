"""Nothing is granted that is not needed: without any one action the sweep fails, and says so.

The tables must have a row for every action of every statement that the templates have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest import mock

import pytest
from moto.organizations.models import FakeAccount

from sweeper.aws import config_aggregator
from sweeper.aws.accounts import _CORE_ACTIONS
from sweeper.domain.model import ChangeStatus, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report
from sweeper.reporting.sinks import SINKS
from tests.cases import case
from tests.stacksets import templates
from tests.stacksets.creation_templates import TEMPLATES
from tests.stacksets.deployment import (
    CHECKS,
    EVERY_CHECK,
    HUB,
    MANAGEMENT,
    MEMBER_ROLE,
    REGIONS,
    Deployment,
    without,
)
from tests.stacksets.iam import Request, actions, allows, listed, parse

Row = tuple[str, str]  # a statement's Sid, an action


def _statements(template: str, role: str) -> Iterator[Mapping[str, Any]]:
    """The statements of the role's policy `sweep`, those under a condition included."""
    for policy in templates.resource(template, role)["Policies"]:
        if policy["PolicyName"] == "sweep":
            for statement in policy["PolicyDocument"]["Statement"]:
                yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def _rows(template: str, role: str) -> set[Row]:
    return {
        (statement["Sid"], action)
        for statement in _statements(template, role)
        for action in listed(statement["Action"])
    }


# --- the member role ------------------------------------------------------------------------------


def _failed(stage: Stage, reason: Reason) -> Callable[[Report, str], bool]:
    return lambda report, account: (
        {
            (failure.stage, failure.reason)
            for failure in report.failures
            if failure.account_id == account
        }
        == {(stage, reason)}
    )


def _change(status: ChangeStatus, reason: Reason) -> Callable[[Report, str], bool]:
    return lambda report, account: (
        (status, reason)
        in {
            (finding.change.status, finding.change.reason)
            for finding in report.findings
            if finding.account_id == account and finding.change
        }
    )


MEMBER: dict[Row, Callable[[Report, str], bool]] = {
    ("Regions", "account:ListRegions"): _failed(Stage.OPEN_ACCOUNT, Reason.REGIONS_UNREADABLE),
    ("Repositories", "ecr:DescribeRepositories"): _failed(
        Stage.EXAMINE, Reason.DENIED_BY_IDENTITY_POLICY
    ),
    ("PullThroughCacheRules", "ecr:DescribePullThroughCacheRules"): _change(
        ChangeStatus.WITHHELD, Reason.PULL_THROUGH_RULES_UNREADABLE
    ),
    ("CreationTemplates", "ecr:DescribeRepositoryCreationTemplates"): _failed(
        Stage.EXAMINE, Reason.DENIED_BY_IDENTITY_POLICY
    ),
    **{
        (sid, action): _change(ChangeStatus.WITHHELD, Reason.WRITE_NOT_GRANTED)
        for sid, action in (
            ("CreationTemplateMutability", "ecr:UpdateRepositoryCreationTemplate"),
            ("WhatCreationTemplatesDo", "ecr:PutLifecyclePolicy"),
            ("WhatCreationTemplatesDo", "ecr:SetRepositoryPolicy"),
            ("RootTemplates", "ecr:CreateRepositoryCreationTemplate"),
        )
    },
    ("TagMutability", "ecr:PutImageTagMutability"): _change(
        ChangeStatus.WITHHELD, Reason.WRITE_NOT_GRANTED
    ),
}


# Used by an undo alone, which deletes what was created. See test_undo.py.
DELETE: Row = ("RootTemplates", "ecr:DeleteRepositoryCreationTemplate")
# What two statements grant, and what only an account's first template needs.
ALSO: set[Row] = {
    ("WhatCreationTemplatesDo", "ecr:CreateRepository"),
    ("WhatRootTemplatesDo", "ecr:CreateRepository"),
    ("WhatTheFirstRootTemplateDoes", "iam:CreateServiceLinkedRole"),
}
# Used only where impact is assessed; without it all is done as with it. See the test below.
IMAGES: Row = ("Images", "ecr:DescribeImages")
ASSESSED = {"remediation": {"assess_impact": True}}


def test_the_member_table_is_complete() -> None:
    assert {*MEMBER, IMAGES, DELETE, *ALSO} == _rows("member-role", "MemberRole")


@pytest.mark.slow
@pytest.mark.parametrize("row", MEMBER, ids=lambda row: row[1])
def test_the_member_role_needs_every_action(deployment: Deployment, row: Row) -> None:
    account = deployment.accounts[1]
    with without(deployment.role(account), *row):
        report, _ = deployment.sweep(options=EVERY_CHECK)
    assert MEMBER[row](report, account)
    settings = deployment.mutability(account) | deployment.template_mutability(account)
    assert settings != {"IMMUTABLE"} or not has_root_templates(account)
    other = deployment.accounts[2]
    assert deployment.mutability(other) == deployment.template_mutability(other) == {"IMMUTABLE"}


def has_root_templates(account: str) -> bool:
    return all("ROOT" in TEMPLATES[account, region] for region in REGIONS)


def _impact(report: Report, account: str) -> set[Reason | None]:
    return {
        finding.impact.unavailable
        for finding in report.findings
        if finding.account_id == account and finding.impact
    }


@pytest.mark.slow
def test_without_reading_images_impact_is_not_known_and_all_is_closed(
    deployment: Deployment,
) -> None:
    account = deployment.accounts[1]
    with without(deployment.role(account), *IMAGES):
        report, _ = deployment.sweep(options=ASSESSED)
    assert _impact(report, account) == {Reason.DENIED_BY_IDENTITY_POLICY}
    assert _impact(report, deployment.accounts[2]) == {None}
    assert report.failures == ()
    assert deployment.mutability(account) == {"IMMUTABLE"}


@pytest.mark.slow
def test_images_are_read_only_where_impact_is_assessed(deployment: Deployment) -> None:
    _, authority = deployment.sweep(dry_run=True)
    assert (MEMBER_ROLE, IMAGES[1]) not in authority.used
    _, authority = deployment.sweep(dry_run=True, options=ASSESSED)
    assert (MEMBER_ROLE, IMAGES[1]) in authority.used


CONDITIONS = ("MayRemediate", "MayRemediateTemplates", "MayCreateRootTemplates")


def test_the_role_grants_what_core_and_checks_declare() -> None:
    checks = CHECKS.values()
    read = set(_CORE_ACTIONS).union(*(check.read_actions for check in checks))
    read = read.union(*(getattr(check, "assess_actions", ()) for check in checks))
    write = set[str]().union(*(check.write_actions | check.create_actions for check in checks))
    always, remediating = set[str](), set[str]()
    for policy in templates.resource("member-role", "MemberRole")["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            if "Fn::If" in statement:
                condition, conditional, otherwise = statement["Fn::If"]
                assert condition in CONDITIONS
                assert otherwise == {"Ref": "AWS::NoValue"}
                remediating.update(actions([conditional]))
            else:
                always.update(actions([statement]))
    assert (always, remediating) == (read, write)


# --- the central role -----------------------------------------------------------------------------


def _undelivered(sink: str) -> Callable[[Report], bool]:
    return lambda report: (
        {
            (delivery.status, delivery.reason)
            for delivery in report.deliveries
            if delivery.sink == sink
        }
        == {("failed", Reason.DENIED_BY_IDENTITY_POLICY)}
    )


def _nothing_opened(report: Report) -> bool:
    return {failure.reason for failure in report.failures} == {Reason.ASSUME_ROLE_DENIED}


def _not_listed(report: Report) -> bool:
    (failure,) = report.failures
    return (failure.stage, failure.reason) == (Stage.ENUMERATE, Reason.NOT_ALLOWED_TO_LIST)


def _not_compared(action: str) -> Callable[[Report], bool]:
    """The last report could not be read, and none is replaced that could not be."""

    def is_said(report: Report) -> bool:
        (delivery,) = (each for each in report.deliveries if each.sink == "s3")
        return (
            report.since_last is not None
            and f"not authorized to perform: {action} " in (report.since_last.unavailable or "")
            and delivery.status == "delivered"
            and "history.json was left as it is" in (delivery.message or "")
        )

    return is_said


def _not_recorded(member: str) -> Callable[[Report], bool]:
    def is_said(report: Report) -> bool:
        inventory = report.config_inventory
        why = getattr(inventory, member) or ""
        return report.coverage.complete and why.startswith("denied_by_identity_policy")

    return is_said


CENTRAL: dict[Row, Callable[[Report], bool]] = {
    ("Accounts", "organizations:ListAccounts"): _not_listed,
    ("Accounts", "organizations:ListRoots"): _not_listed,
    ("Tree", "organizations:ListAccountsForParent"): _not_listed,
    ("Tree", "organizations:ListChildren"): _not_listed,
    ("Units", "organizations:DescribeOrganizationalUnit"): _not_listed,
    ("AccountTags", "organizations:ListTagsForResource"): _not_listed,
    ("MemberRoles", "sts:AssumeRole"): _nothing_opened,
    ("Reports", "s3:GetObject"): _not_compared("s3:GetObject"),
    ("Reports", "s3:PutObject"): _undelivered("s3"),
    ("ReportList", "s3:ListBucket"): _not_compared("s3:ListBucket"),
    ("ReportKey", "kms:Decrypt"): _not_compared("kms:Decrypt"),
    ("ReportKey", "kms:GenerateDataKey"): _undelivered("s3"),
    ("Topic", "sns:Publish"): _undelivered("sns"),
    ("SecurityHub", "securityhub:BatchImportFindings"): _undelivered("security_hub"),
    ("ConfigAggregator", "config:SelectAggregateResourceConfig"): _not_recorded("unavailable"),
    (
        "ConfigAggregator",
        "config:DescribeConfigurationAggregatorSourcesStatus",
    ): _not_recorded("sources_unavailable"),
    ("EventBus", "events:PutEvents"): _undelivered("event_bus"),
    ("ChatTopic", "sns:Publish"): _undelivered("chat"),
    ("TopicKey", "kms:Decrypt"): _undelivered("sns"),
    ("TopicKey", "kms:GenerateDataKey"): _undelivered("sns"),
}
HUB_ACTION = "securityhub:BatchImportFindings"
# Granted only where their parameters are given, as they are in the deployment here.
GIVEN = {HUB_ACTION, "events:PutEvents", *config_aggregator._ACTIONS}
# Granted only where ConfigLocation is given; see the test at the end.
CONFIG: set[Row] = {
    ("ConfigParameter", "ssm:GetParameter"),
    ("ConfigObject", "s3:GetObject"),
    ("ConfigKey", "kms:Decrypt"),
}


def test_the_role_grants_what_the_sinks_declare() -> None:
    core = {action for _, action in CENTRAL if action.startswith(("organizations:", "sts:"))}
    core |= config_aggregator._ACTIONS
    declared = set[str]().union(*(sink.actions for sink in SINKS))
    for template in templates.ONE_PROCESS:
        with case(template):
            granted = {action for _, action in _rows(template, "CentralRole") - CONFIG}
            assert granted == core | declared


def test_the_central_table_is_complete() -> None:
    for template in templates.ONE_PROCESS:
        with case(template):
            assert set(CENTRAL) | CONFIG == _rows(template, "CentralRole")


def _sweep_by_everything(deployment: Deployment) -> Report:
    """A sweep whose filters need all of Organizations, as it is with `Paths` and without.

    The first finds an empty bucket, the second the report of the first.
    """
    options = {
        "organization": {
            "include_ous": [deployment.root, deployment.empty_unit],
            "include_tags": {"swept": ["yes"]},
        }
    }
    deployment.empty_bucket()
    report, _ = deployment.sweep(options=options)
    if report.failures or any(
        delivery.status == "failed" or delivery.message for delivery in report.deliveries
    ):
        return report
    deployment.reopen()
    describe = FakeAccount.describe

    def with_paths(account: FakeAccount) -> dict[str, Any]:
        path = f"{account.organization_id}/{deployment.root}/{account.id}/"
        return {**describe(account), "Paths": [path]}

    with mock.patch.object(FakeAccount, "describe", with_paths):
        report, _ = deployment.sweep(options=options)
    return report


@pytest.mark.slow
def test_with_every_action_the_sweep_by_everything_succeeds(deployment: Deployment) -> None:
    report = _sweep_by_everything(deployment)
    assert report.failures == ()
    assert report.totals.remaining == 0
    assert {(each.status, each.message) for each in report.deliveries} == {("delivered", None)}
    assert report.since_last is not None
    assert report.since_last.unavailable is None


@pytest.mark.slow
@pytest.mark.parametrize("row", CENTRAL, ids=lambda row: f"{row[0]}-{row[1]}")
def test_the_central_role_needs_every_action(deployment: Deployment, row: Row) -> None:
    with without(deployment.central_role, *row):
        report = _sweep_by_everything(deployment)
    assert CENTRAL[row](report)


@pytest.mark.slow
@pytest.mark.parametrize(
    "row",
    [
        ("Reports", "s3:GetObject"),
        ("Reports", "s3:PutObject"),
        ("ReportKey", "kms:Decrypt"),
        ("ReportKey", "kms:GenerateDataKey"),
    ],
    ids=lambda row: row[1],
)
def test_where_the_last_lease_cannot_be_taken_over_nothing_is_changed(
    deployment: Deployment, row: Row
) -> None:
    deployment.empty_bucket()
    deployment.sweep()
    deployment.reopen()
    with without(deployment.central_role, *row):
        report, _ = deployment.sweep()
    assert report.coverage.complete
    assert {
        (finding.change.status, finding.change.reason)
        for finding in report.findings
        if finding.change
    } == {(ChangeStatus.WITHHELD, Reason.LEASE_UNAVAILABLE)}
    assert deployment.mutability(MANAGEMENT) == {"MUTABLE"}


KEY = f"arn:aws:kms:eu-central-1:{MANAGEMENT}:key/11111111-2222-3333-4444-555555555555"
PARAMETER = Request(
    "ssm:GetParameter", f"arn:aws:ssm:eu-central-1:{MANAGEMENT}:parameter/sweeper/config"
)
OBJECT = Request("s3:GetObject", "arn:aws:s3:::settings/sweeper/config.yaml")
DECRYPTED = Request("kms:Decrypt", KEY, {"kms:viaservice": "s3.eu-central-1.amazonaws.com"})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameters", "allowed"),
    [
        ({}, set()),
        ({"ConfigLocation": "ssm:/sweeper/config"}, {PARAMETER.action}),
        ({"ConfigLocation": "s3://settings/sweeper/config.yaml"}, {OBJECT.action}),
        (
            {
                "ConfigLocation": "s3://settings/sweeper/config.yaml",
                "ConfigKmsKeyArn": KEY,
            },
            {OBJECT.action, DECRYPTED.action},
        ),
    ],
)
def test_the_configuration_can_be_read_where_it_is_and_nowhere_else(
    deployment: Deployment, parameters: dict[str, str], allowed: set[str]
) -> None:
    name = "-".join(["reader", *sorted(allowed)]).replace(":", "-")
    deployment.central_stack(name, {**parameters, "CentralRoleName": name})
    role = deployment.role(MANAGEMENT, name)
    statements = [each for policy in role.policies.values() for each in parse(policy)]
    read = {
        request.action for request in (PARAMETER, OBJECT, DECRYPTED) if allows(statements, request)
    }
    assert read == allowed
    elsewhere = Request(PARAMETER.action, PARAMETER.resource + "s")
    assert not allows(statements, elsewhere)
    always = {action for _, action in CENTRAL} - GIVEN
    assert set(actions(statements)) == allowed | always


@pytest.mark.slow
def test_findings_may_be_imported_as_this_account_in_that_region_alone(
    deployment: Deployment,
) -> None:
    policies = deployment.central_role.policies.values()
    statements = [each for policy in policies for each in parse(policy)]

    def may(region: str, account: str, product: str) -> bool:
        arn = f"arn:aws:securityhub:{region}:{account}:product/{product}"
        return allows(statements, Request(HUB_ACTION, arn))

    own = f"{MANAGEMENT}/default"
    assert may(HUB, MANAGEMENT, own)
    assert not may("eu-central-1", MANAGEMENT, own)
    assert not may(HUB, "111111111111", "111111111111/default")
    assert not may(HUB, MANAGEMENT, "aws/guardduty")


BUS = f"arn:aws:events:eu-west-1:{MANAGEMENT}:event-bus/findings"
CHAT = f"arn:aws:sns:eu-west-1:{MANAGEMENT}:chat"
RECORDED = f"arn:aws:config:eu-west-3:{MANAGEMENT}:config-aggregator/config-aggregator-a1b2c3"
WITNESS = {"ConfigAggregatorName": "organization", "ConfigAggregatorRegion": "eu-west-3"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameters", "more"),
    [
        ({}, set()),
        (WITNESS, set(config_aggregator._ACTIONS)),
        ({"EventBusArn": BUS}, {"events:PutEvents"}),
        ({"ChatTopicArn": CHAT}, set()),  # sns:Publish is granted, on the other topic
        ({"OwnerTag": "owner"}, set()),
    ],
)
def test_where_teams_work_and_what_is_recorded_is_reached_and_nothing_else(
    deployment: Deployment, parameters: dict[str, str], more: set[str]
) -> None:
    name = "-".join(["teams", *sorted(parameters)])[:60]
    deployment.central_stack(name, {**parameters, "CentralRoleName": name})
    role = deployment.role(MANAGEMENT, name)
    statements = [each for policy in role.policies.values() for each in parse(policy)]
    always = {action for _, action in CENTRAL} - GIVEN
    assert set(actions(statements)) == more | always
    source = {"events:source": "sweeper"}
    may = {
        "recorded": Request("config:SelectAggregateResourceConfig", RECORDED),
        "sources": Request("config:DescribeConfigurationAggregatorSourcesStatus", RECORDED),
        "elsewhere": Request(
            "config:SelectAggregateResourceConfig", RECORDED.replace("eu-west-3", "eu-west-1")
        ),
        "bus": Request("events:PutEvents", BUS, source),
        "as another": Request("events:PutEvents", BUS, {"events:source": "aws.ec2"}),
        "another bus": Request("events:PutEvents", f"{BUS}-2", source),
        "chat": Request("sns:Publish", CHAT),
        "another topic": Request("sns:Publish", f"{CHAT}-2"),
    }
    allowed = {what for what, request in may.items() if allows(statements, request)}
    expected = {
        "ConfigAggregatorName": {"recorded", "sources"},
        "EventBusArn": {"bus"},
        "ChatTopicArn": {"chat"},
    }
    assert allowed == set[str]().union(*(expected.get(key, set()) for key in parameters))


@pytest.mark.slow
def test_account_tags_are_read_and_missed_without_costing_the_report(
    deployment: Deployment,
) -> None:
    options = {"report": {"account_tags": ["swept"]}}
    report, _ = deployment.sweep(options=options)
    assert {account.tags.get("swept") for account in report.accounts} == {"yes"}
    assert report.account_tags_unavailable is None
    deployment.reopen()
    with without(deployment.central_role, "AccountTags", "organizations:ListTagsForResource"):
        report, _ = deployment.sweep(options=options)
    assert report.account_tags_unavailable is not None
    assert "of 3 of 3 accounts: denied_by_identity_policy" in report.account_tags_unavailable
    assert report.coverage.complete
    assert {delivery.status for delivery in report.deliveries} == {"delivered"}
