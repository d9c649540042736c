"""Parameters: what is checked before anything is created, and what the program makes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sweeper.config.loader import load
from sweeper.config.schema import Config
from tests.cases import case
from tests.rendering import formats
from tests.stacksets import templates
from tests.stacksets.deployment import REGION, Deployment

ALLOWED = {
    "Interval": (
        "rate(24 hours)",
        "rate(1 day)",
        "cron(0 6 * * ? *)",
        "cron(0/30 6 ? * MON-FRI *)",
    ),
    "IncludeOus": ("", "r-ab12", "ou-ab12-11111111", "ou-ab12-11111111,ou-ab12-22222222, r-ab12"),
    "ExcludeAccounts": ("", "123456789012", "123456789012,012345670123"),
    "RemediationOus": ("", "ou-ab12-11111111", "r-ab12,ou-ab12-22222222"),
    "MaxChanges": ("", "0", "2000"),
    "Formats": ("", "html", "csv,html,json", "json, ocsf, text, junit"),
    "ConfigLocation": ("", "ssm:/sweeper/config", "s3://settings/sweeper/config.yaml"),
    "ConfigKmsKeyArn": ("", "arn:aws-cn:kms:cn-north-1:123456789012:key/1a2b"),
    "CentralRoleName": ("ecr-immutability-sweeper-central",),
    "MemberRoleName": ("ecr-immutability-sweeper", "security/auditor"),
    "ExternalId": ("", "an-external-id"),
    "SNSTopicARN": ("", "arn:aws-us-gov:sns:us-gov-west-1:123456789012:audit"),
    "SNSTopicKmsKeyArn": ("",),
    "NotificationEmail": ("", "security@example.com"),
    "SecurityHubRegion": ("", "eu-central-1", "us-gov-west-1"),
    "ConfigAggregatorName": ("", "organization", "aws-controltower_Aggregator"),
    "ConfigAggregatorRegion": ("", "eu-central-1", "us-gov-west-1"),
    "EventBusArn": (
        "",
        "arn:aws:events:eu-central-1:123456789012:event-bus/default",
        "arn:aws-cn:events:cn-north-1:123456789012:event-bus/security/findings",
    ),
    "ChatTopicArn": ("", "arn:aws:sns:eu-west-1:123456789012:chat"),
    "OwnerTag": ("", "owner", "cost center", "team:name"),
    "CentralRoleArn": (
        "arn:aws:iam::123456789012:role/ecr-immutability-sweeper-central",
        "arn:aws-cn:iam::123456789012:role/security/central",
    ),
    "OrganizationId": ("o-a1b2c3d4e5",),
    "RoleName": ("ecr-immutability-sweeper",),
    "RolePath": ("/", "/security/audit/"),
    "PermissionsBoundaryArn": ("", "arn:aws:iam::123456789012:policy/boundary"),
    "ImageUri": (
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sweeper:0.1.0",
        f"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/tools/sweeper@sha256:{'0' * 64}",
    ),
    "ImageRepositoryArn": ("arn:aws:ecr:eu-west-1:123456789012:repository/tools/sweeper",),
    "SecurityGroupId": ("", "sg-0123456789abcdef0"),
    "VpcId": ("", "vpc-0123456789abcdef0"),
    "SubnetIds": ("", "subnet-0123456789abcdef0", "subnet-01234567,subnet-89abcdef"),
    "CentralEventBusArn": (
        "arn:aws:events:eu-west-1:123456789012:event-bus/ecr-immutability-sweeper",
        "arn:aws-cn:events:cn-north-1:123456789012:event-bus/security/ecr",
    ),
    "EventBusName": ("ecr-immutability-sweeper",),
    "RuleName": ("ecr-immutability-sweeper",),
    "MaxReopened": ("", "0", "10"),
    "ReportBucketName": ("sweeper-reports-123456789012",),
    "ReportKeyArn": ("arn:aws:kms:eu-west-1:123456789012:key/1a2b",),
}
REFUSED = {
    "Interval": (
        *("daily", "rate(0 hours)", "rate(24)", "", "cron(0 6 * * *)", "cron(0 6 * * * *)"),
        *("cron(0 6 ? * ? *)", "at(2026-11-24T02:17:08)"),
    ),
    "IncludeOus": ("workloads", "ou-ab12", "ou-ab12-11111111,", "ou-ab12-11111111 r-ab12", ","),
    "ExcludeAccounts": ("12345678901", "123456789012,", "123456789012 123456789013", "master"),
    "RemediationOus": ("OU-ab12-11111111", "o-a1b2c3d4e5", "123456789012"),
    "MaxChanges": ("-1", "1.5", "many", "1,000"),
    "Formats": ("htlm", "HTML", "html,", "html json", "html,pdf"),
    "ConfigLocation": ("config.yaml", "ssm:sweeper", "s3://settings", "https://example.com/c"),
    "ConfigKmsKeyArn": ("alias/aws/s3",),
    "CentralRoleName": ("", "a/b", "a b", "x" * 65),
    "MemberRoleName": ("", "*", "/security/auditor", "security/*"),
    "ExternalId": ("x", "with space"),
    "SNSTopicARN": ("audit", "arn:aws:sqs:eu-west-1:123456789012:audit"),
    "SNSTopicKmsKeyArn": ("alias/aws/sns",),
    "NotificationEmail": ("security",),
    "SecurityHubRegion": ("*", "EU-CENTRAL-1", "eu-central"),
    "ConfigAggregatorName": ("arn:aws:config:eu-west-1:1:config-aggregator/a", "a b", "*"),
    "ConfigAggregatorRegion": ("*", "EU-CENTRAL-1", "eu-central"),
    "EventBusArn": ("default", "arn:aws:sns:eu-west-1:123456789012:audit", "*"),
    "ChatTopicArn": ("chat", "arn:aws:sns:eu-west-1:123456789012:chat.fifo"),
    "OwnerTag": ('own"er', "a,b", "[owner]"),
    "CentralRoleArn": (
        "",
        "arn:aws:iam::123456789012:root",
        "arn:aws:iam::123456789012:role/*",
        "arn:aws:iam::*:role/central",
    ),
    "OrganizationId": ("", "*", "r-ab12"),
    "RoleName": ("", "*", "a/b"),
    "RolePath": ("", "security", "/security"),
    "PermissionsBoundaryArn": ("boundary",),
    "ImageUri": (
        "sweeper",
        "https://example.com/sweeper:1",
        "example.com/sweeper",
        "example.com/a:",
    ),
    "ImageRepositoryArn": ("*", "arn:aws:ecr:eu-west-1:123456789012:repository/*"),
    "SecurityGroupId": ("default",),
    "VpcId": ("default", "vpc-"),
    "SubnetIds": ("subnet-01234567,", "subnet-01234567, subnet-89abcdef", "vpc-01234567"),
    "CentralEventBusArn": (
        *("", "default", "arn:aws:events:eu-west-1:*:event-bus/a"),
        "arn:aws:events:eu-west-1:123456789012:rule/a",
    ),
    "EventBusName": ("", "a b", "a/b"),
    "RuleName": ("", "a/b", "x" * 65),
    "MaxReopened": ("-1", "100", "many"),
    "ReportBucketName": ("", "a", "Reports", "s3://reports"),
    "ReportKeyArn": ("", "alias/aws/s3"),
}


def _default(template: str, parameter: str) -> Any:
    return templates.load(template)["Parameters"][parameter].get("Default")


def test_unless_it_is_asked_for_nothing_is_scheduled_and_no_role_may_write() -> None:
    for name in templates.CENTRAL:
        assert _default(name, "ScheduleState") == "DISABLED"
    for parameter in ("AllowRemediation", "AllowTemplateRemediation", "AllowRootTemplates"):
        assert _default("member-role", parameter) == "false"
    # Who may enter is chosen, never assumed.
    for parameter in ("CentralRoleArn", "OrganizationId"):
        assert _default("member-role", parameter) is None


def test_what_the_member_role_is_called_is_what_the_program_looks_for() -> None:
    role = Config().organization.role_name
    assert _default("member-role", "RoleName") == role
    assert {_default(name, "MemberRoleName") for name in templates.CENTRAL} == {role}


def test_parameters_are_constrained_and_grouped() -> None:
    for name in templates.NAMES:
        with case(name):
            template = templates.load(name)
            for key, parameter in template["Parameters"].items():
                if parameter["Type"].startswith(("AWS::", "List<AWS::")):
                    continue  # CloudFormation checks that these are there
                assert {"AllowedPattern", "AllowedValues", "MinValue"} & set(parameter), key
            interface = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
            grouped = [key for group in interface for key in group["Parameters"]]
            assert sorted(grouped) == sorted(template["Parameters"])


def _patterns() -> Iterator[tuple[str, str, str]]:
    for name in templates.NAMES:
        for key, parameter in templates.load(name)["Parameters"].items():
            if "AllowedPattern" in parameter:
                yield name, key, parameter["AllowedPattern"]


def test_patterns_allow_what_is_meant_and_nothing_else() -> None:
    cases: list[tuple[str, str, str]] = [*_patterns()]
    for name, key, pattern in cases:
        with case(name, key, pattern):
            for value in ALLOWED[key]:
                if value or "Default" in templates.load(name)["Parameters"][key]:
                    assert re.fullmatch(pattern, value), value
            for value in REFUSED[key]:
                assert not re.fullmatch(pattern, value), value


def test_the_formats_that_are_allowed_are_those_that_there_are() -> None:
    """A format more has to be named in both central templates."""
    for template in templates.CENTRAL:
        parameter = templates.load(template)["Parameters"]["Formats"]
        found = re.search(r"\(([a-z|]+)\)", parameter["AllowedPattern"])
        assert found
        assert found[1].split("|") == sorted(formats())
        assert all(name in parameter["ConstraintDescription"] for name in formats())


# --- rules ----------------------------------------------------------------------------------------

VPC = "vpc-1"
VALUES = {
    "SNSTopicKmsKeyArn": "",
    "SNSTopicARN": "",
    "ConfigKmsKeyArn": "",
    "ConfigLocation": "",
    "NotificationEmail": "",
    "CentralRoleName": "central",
    "MemberRoleName": "member",
    "VpcId": VPC,
    "SubnetIds": "subnet-01234567",
    "SecurityGroupId": "",
    "ImageUri": "example.com/sweeper:1",
    "ImageRepositoryArn": "arn:aws:ecr:…",
    "WorkerType": "FARGATE",
}
IN_THE_VPC = "SubnetIds must be"  # a rule about lists of resources, which cannot be empty
BROKEN: dict[str, dict[str, str]] = {
    "SNSTopicKmsKeyArn": {"SNSTopicKmsKeyArn": "arn:aws:kms:…"},
    "ConfigKmsKeyArn": {"ConfigKmsKeyArn": "arn:aws:kms:…"},
    "NotificationEmail": {"NotificationEmail": "a@example.com", "SNSTopicARN": "arn:aws:sns:…"},
    "CentralRoleName and MemberRoleName": {"MemberRoleName": "central"},
    IN_THE_VPC: {"VpcId": "vpc-2"},
    "ImageUri is empty": {"ImageUri": "", "WorkerType": "FARGATE"},
    "ImageRepositoryArn is empty": {"ImageRepositoryArn": "", "WorkerType": "FARGATE"},
    "SubnetIds is empty": {"SubnetIds": "", "WorkerType": "FARGATE"},
    "VpcId and SecurityGroupId are empty": {"VpcId": "", "WorkerType": "FARGATE"},
}
KEPT: tuple[dict[str, str], ...] = (
    {},
    {"SNSTopicARN": "arn:aws:sns:…", "SNSTopicKmsKeyArn": "arn:aws:kms:…"},
    {"ConfigLocation": "ssm:/config", "ConfigKmsKeyArn": "arn:aws:kms:…"},
    {"NotificationEmail": "a@example.com"},
    {"WorkerType": "LAMBDA", "ImageUri": "", "ImageRepositoryArn": "", "SubnetIds": ""},
)


def _holds(assertion: Any, values: Mapping[str, str]) -> bool:
    """Whether the assertion holds; the subnets that are given are all in VPC."""

    def value(node: Any) -> Any:
        found: Any
        match node:
            case {"Ref": name}:
                found = values[name]
            case {"Fn::Equals": [one, other]}:
                found = value(one) == value(other)
            case {"Fn::Not": [one]}:
                found = not value(one)
            case {"Fn::Or": several}:
                found = any(value(each) for each in several)
            case {"Fn::And": several}:
                found = all(value(each) for each in several)
            case {"Fn::EachMemberEquals": [several, one]}:
                found = all(each == value(one) for each in value(several))
            case {"Fn::ValueOfAll": ["AWS::EC2::Subnet::Id", "VpcId"]}:
                found = [VPC, VPC]
            case dict():
                raise NotImplementedError(node)
            case _:
                found = node
        return found

    return bool(value(assertion))


def _broken(template: str, given: Mapping[str, str]) -> list[str]:
    """What CloudFormation says before it creates anything."""
    return [
        each["AssertDescription"]
        for rule in templates.load(template)["Rules"].values()
        if _holds(rule.get("RuleCondition", True), {**VALUES, **given})
        for each in rule["Assertions"]
        if not _holds(each["Assert"], {**VALUES, **given})
    ]


def test_parameters_that_contradict_each_other_are_refused() -> None:
    for template in templates.CENTRAL:
        for given in KEPT:
            with case(template, given):
                assert _broken(template, given) == []
        for named, given in BROKEN.items():
            applies = template == "central-fargate" or named != IN_THE_VPC
            if applies and set(given) <= set(templates.load(template)["Parameters"]):
                with case(template, given):
                    (description,) = _broken(template, given)
                    assert named in description


# --- what reaches the program ---------------------------------------------------------------------

EVERYTHING = {
    "IncludeOus": "ou-ab12-11111111, r-ab12",
    "ExcludeAccounts": "012345670123,123456789013",
    "RemediationOus": "ou-ab12-22222222,ou-ab12-33333333",
    "MaxChanges": "25",
    "AssessImpact": "true",
    "Formats": "html,ocsf",
    "ConfigAggregatorName": "organization",
    "EventBusArn": "arn:aws:events:eu-central-1:123456789012:event-bus/findings",
    "ChatTopicArn": "arn:aws:sns:eu-central-1:123456789012:chat",
    "OwnerTag": "cost center",
}


def _configured(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, name: str, given: Mapping[str, str]
) -> Config:
    """The configuration of the task or the function of a stack with these parameters."""
    deployment.central_stack(name, {**given, "CentralRoleName": name})
    with monkeypatch.context() as patch:
        for variable, value in deployment.variables(name).items():
            patch.setenv(variable, value)
        return load().config


@pytest.mark.parametrize(
    "stacks",
    ["central-lambda"]
    + [
        pytest.param(each, marks=pytest.mark.slow)
        for each in templates.CENTRAL
        if each != "central-lambda"
    ],
    indirect=True,
)
def test_a_parameter_is_the_programs_configuration(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _configured(deployment, monkeypatch, "everything", EVERYTHING)
    assert config.organization.include_ous == ("ou-ab12-11111111", "r-ab12")
    assert config.organization.exclude_accounts == ("012345670123", "123456789013")
    assert config.remediation.include_ous == ("ou-ab12-22222222", "ou-ab12-33333333")
    assert config.remediation.max_changes == 25
    assert config.remediation.assess_impact is True
    assert config.report.formats == ("html", "ocsf")
    aggregator = config.inventory.config_aggregator
    assert aggregator is not None
    assert (aggregator.name, aggregator.region) == ("organization", REGION)
    assert config.report.event_bus == EVERYTHING["EventBusArn"]
    assert config.report.chat_topic_arn == EVERYTHING["ChatTopicArn"]
    assert config.report.account_tags == ("cost center",)
    assert config.report.owner_tag == "cost center"
    # What is empty is the program's default, or what ConfigLocation says: nothing is set.
    config = _configured(deployment, monkeypatch, "defaults", {})
    assert "html" in config.report.formats
    assert set(config.report.formats) >= set(Config().report.formats)
    assert config.organization.include_ous == config.organization.exclude_accounts == ()
    assert config.remediation == Config().remediation.model_copy(
        update={"auto_remediate": "DISABLED"}
    )
    assert config.inventory == Config().inventory
    assert config.report.account_tags == ()
    given = {"ConfigAggregatorName": "organization", "ConfigAggregatorRegion": "eu-west-3"}
    config = _configured(deployment, monkeypatch, "program", {"Formats": "", **given})
    aggregator = config.inventory.config_aggregator
    assert aggregator is not None
    assert aggregator.region == "eu-west-3"
    assert config.report.formats == Config().report.formats


def test_the_descriptions_name_the_programs_defaults() -> None:
    for template in templates.CENTRAL:
        described = templates.load(template)["Parameters"]["MaxChanges"]["Description"]
        assert f"else {Config().remediation.max_changes}." in described
