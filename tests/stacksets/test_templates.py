"""Facts of the templates that no deployment in moto shows: what it ignores without a word."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from sweeper.config.loader import _CONFIG_VARIABLE, _DEPLOYMENT_VARIABLE, _variables
from sweeper.storage import lease
from tests.stacksets import templates

NO_VALUE = {"Ref": "AWS::NoValue"}
TOPIC = {"Fn::If": ["MakesTopic", {"Ref": "Topic"}, {"Ref": "SNSTopicARN"}]}
ROOT = Path(__file__).parents[2]


# --- the member role ------------------------------------------------------------------------------


def test_the_member_role_trusts_one_role_of_one_organization() -> None:
    properties = templates.resource("member-role", "MemberRole")
    statement, read, _ = properties["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"]["AWS"]["Fn::Sub"][0].endswith(":iam::${CentralAccountId}:root")
    assert statement["Condition"] == {
        "ArnEquals": {
            "aws:PrincipalArn": [
                {"Ref": "CentralRoleArn"},
                {"Fn::Sub": "${CentralRoleArn}-events"},
            ]
        },
        "StringEquals": {
            "aws:PrincipalOrgID": {"Ref": "OrganizationId"},
            "sts:ExternalId": {"Fn::If": ["HasExternalId", {"Ref": "ExternalId"}, NO_VALUE]},
        },
    }
    # The stages that only read, whose sessions are named so that no write is granted to them.
    assert read["Principal"] == statement["Principal"]
    assert read["Condition"] == {
        **statement["Condition"],
        "ArnEquals": {
            "aws:PrincipalArn": [
                {"Fn::Sub": f"${{CentralRoleArn}}-{stage}"} for stage in ("scan", "finish")
            ]
        },
        "StringLike": {"sts:RoleSessionName": "sweeper-read-*"},
    }
    assert properties["PermissionsBoundary"] == {
        "Fn::If": ["HasPermissionsBoundary", {"Ref": "PermissionsBoundaryArn"}, NO_VALUE]
    }
    assert "ManagedPolicyArns" not in properties


# --- what both central templates share ------------------------------------------------------------

SHARED_RESOURCES = {
    "ReportBucket",
    "ReportBucketPolicy",
    "Topic",
    "EmailSubscription",
    "LogGroup",
    "DeadLetterQueue",
    "NotStartedAlarm",
    "CoverageIncompleteAlarm",
    "ChangesFailedAlarm",
    "PlanWithheldAlarm",
    "SilenceAlarm",
}
# Equal but for EventBridge, whose rule only central-fargate has.
NEARLY_SHARED = {"Key": "KeyPolicy", "TopicPolicy": "PolicyDocument"}


def test_what_is_shared_is_equal() -> None:
    fargate, function = (templates.load(name) for name in templates.ONE_PROCESS)
    for logical_id in SHARED_RESOURCES:
        assert fargate["Resources"][logical_id] == function["Resources"][logical_id], logical_id
    for logical_id, policy in NEARLY_SHARED.items():
        mine, other = (
            json.loads(json.dumps(each["Resources"][logical_id])) for each in (fargate, function)
        )
        statements = mine["Properties"][policy]["Statement"]
        mine["Properties"][policy]["Statement"] = [
            each for each in statements if each["Sid"] != "Events"
        ]
        assert mine == other, logical_id
    assert set(fargate["Resources"]) & set(function["Resources"]) == SHARED_RESOURCES | {
        *NEARLY_SHARED,
        "CentralRole",
        "Schedule",
        "SchedulerRole",
    }
    for key, rule in function["Rules"].items():
        assert fargate["Rules"][key] == rule, key
    assert set(fargate["Rules"]) - set(function["Rules"]) == {"SubnetsAreInTheVpc"}
    assert fargate["Mappings"] == function["Mappings"]
    for key in set(function["Parameters"]) - {
        "SNSTopicARN",
        "SNSTopicKmsKeyArn",
    }:  # whom they admit
        assert fargate["Parameters"][key] == function["Parameters"][key], key
    for key, condition in function["Conditions"].items():
        assert fargate["Conditions"][key] == condition, key
    assert set(fargate["Conditions"]) - set(function["Conditions"]) == {"MakesSecurityGroup"}
    sweeps = [
        policy
        for template in (fargate, function)
        for policy in template["Resources"]["CentralRole"]["Properties"]["Policies"]
        if policy["PolicyName"] == "sweep"
    ]
    assert sweeps[0] == sweeps[1]
    for key in ("CentralRoleArn", "ReportBucketName", "TopicArn", "KeyArn", "LogGroupName"):
        assert fargate["Outputs"][key] == function["Outputs"][key]


def test_the_state_machine_has_the_same_around_it() -> None:
    machine, function = (
        templates.load(name) for name in ("central-stepfunctions", "central-lambda")
    )
    for logical_id in (*SHARED_RESOURCES, "TopicPolicy"):
        assert machine["Resources"][logical_id] == function["Resources"][logical_id], logical_id
    keys = [json.loads(json.dumps(each["Resources"]["Key"])) for each in (machine, function)]
    groups = [_log_groups_of(key) for key in keys]
    assert keys[0] == keys[1]
    name = templates.resource("central-stepfunctions", "HistoryLogGroup")["LogGroupName"]["Fn::Sub"]
    history = groups[1]["Fn::Sub"].replace("/sweeper/${AWS::StackName}", name)
    assert groups[0] == [groups[1], {"Fn::Sub": history}]
    for section in ("Rules", "Mappings", "Conditions"):
        for key, value in function[section].items():
            assert machine[section][key] == value, key
    for key in set(function["Parameters"]) - {"CentralRoleName"}:  # -scan is put behind it
        assert machine["Parameters"][key] == function["Parameters"][key], key
    for key in ("ReportBucketName", "TopicArn", "KeyArn", "LogGroupName", "NewestReportCommand"):
        assert machine["Outputs"][key] == function["Outputs"][key], key


def _log_groups_of(key: dict[str, Any]) -> Any:
    """Take out of the key's policy which log groups it encrypts."""
    (logs,) = (
        each for each in key["Properties"]["KeyPolicy"]["Statement"] if each["Sid"] == "Logs"
    )
    return logs["Condition"]["ArnLike"].pop("kms:EncryptionContext:aws:logs:arn")


@pytest.mark.parametrize("name", templates.CENTRAL)
class TestCentral:
    def test_the_schedule_retries_and_keeps_what_fails(self, name: str) -> None:
        schedule = templates.resource(name, "Schedule")
        assert schedule["State"] == {"Ref": "ScheduleState"}
        assert schedule["ScheduleExpression"] == {"Ref": "Interval"}
        assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
        target = schedule["Target"]
        assert target["RetryPolicy"] == {
            "MaximumEventAgeInSeconds": 3600,
            "MaximumRetryAttempts": 5,
        }
        queue = {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}
        assert target["DeadLetterConfig"] == {"Arn": queue}
        (policy,) = templates.resource(name, "SchedulerRole")["Policies"]
        granted = {
            action: statement["Resource"]
            for statement in policy["PolicyDocument"]["Statement"]
            for action in [statement["Action"]]
        }
        assert granted["sqs:SendMessage"] == queue

    def test_reports_are_private_encrypted_kept_and_expire(self, name: str) -> None:
        resource = templates.load(name)["Resources"]["ReportBucket"]
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == (
            "RetainExceptOnCreate",
            "Retain",
        )
        bucket = resource["Properties"]
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
        (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert encryption["ServerSideEncryptionByDefault"] == {
            "SSEAlgorithm": "aws:kms",
            "KMSMasterKeyID": {"Fn::GetAtt": ["Key", "Arn"]},
        }
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        rule, _ = bucket["LifecycleConfiguration"]["Rules"]
        assert rule["ExpirationInDays"] == {"Ref": "ReportRetentionDays"}
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}

    def test_versions_of_a_lease_expire_the_next_day_and_the_lease_does_not(
        self, name: str
    ) -> None:
        _, rule = templates.resource(name, "ReportBucket")["LifecycleConfiguration"]["Rules"]
        assert rule == {
            "Id": "leases",
            "Status": "Enabled",
            "ObjectSizeLessThan": "1000",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        }
        # The longest that is written: ids and times have one length, and hosts at most 200.
        holder = lease._Holder(
            "20261124T021708Z-e9a4f1", "h" * 200, "2026-11-24T02:17:08+00:00", "0" * 16
        )
        assert len(json.dumps(asdict(holder))) < int(rule["ObjectSizeLessThan"])

    def test_the_bucket_is_reached_over_tls_only(self, name: str) -> None:
        policy = templates.resource(name, "ReportBucketPolicy")["PolicyDocument"]
        conditions = []
        for statement in policy["Statement"]:
            assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
            assert statement["Action"] == "s3:*"
            assert statement["Resource"] == [
                {"Fn::GetAtt": ["ReportBucket", "Arn"]},
                {"Fn::Sub": "${ReportBucket.Arn}/*"},
            ]
            conditions.append(statement["Condition"])
        assert conditions == [
            {"Bool": {"aws:SecureTransport": "false"}},
            {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
        ]

    def test_only_who_publishes_may_publish_encrypted(self, name: str) -> None:
        assert templates.resource(name, "Topic")["KmsMasterKeyId"] == {"Fn::GetAtt": ["Key", "Arn"]}
        key = templates.resource(name, "Key")
        assert key["EnableKeyRotation"] is True
        services = {
            statement["Principal"]["Service"]: statement["Action"]
            for statement in key["KeyPolicy"]["Statement"]
            if isinstance(statement["Principal"].get("Service"), str)
        }
        expected = {"cloudwatch.amazonaws.com"}
        kinds = {each["Type"] for each in templates.load(name)["Resources"].values()}
        if "AWS::Events::Rule" in kinds:
            expected.add("events.amazonaws.com")
        assert set(services) == expected
        assert all(use == ["kms:Decrypt", "kms:GenerateDataKey*"] for use in services.values())
        publishers = {
            statement["Principal"]["Service"]
            for statement in templates.resource(name, "TopicPolicy")["PolicyDocument"]["Statement"]
            if statement["Effect"] == "Allow"
        }
        assert publishers == expected
        described = templates.load(name)["Parameters"]["SNSTopicKmsKeyArn"]["Description"]
        assert set(re.findall(r"\w+\.amazonaws\.com", described)) == expected

    def test_logs_are_encrypted(self, name: str) -> None:
        groups = [
            each["Properties"]
            for each in templates.load(name)["Resources"].values()
            if each["Type"] == "AWS::Logs::LogGroup"
        ]
        assert groups
        for logs in groups:
            assert logs["KmsKeyId"] == {"Fn::GetAtt": ["Key", "Arn"]}

    def test_a_topic_of_ones_own_is_described_with_whom_it_must_admit(self, name: str) -> None:
        parameters = templates.load(name)["Parameters"]
        needed, for_key = (
            set(re.findall(r"\w+\.amazonaws\.com", parameters[key]["Description"]))
            for key in ("SNSTopicARN", "SNSTopicKmsKeyArn")
        )
        assert needed == for_key


def _environment(name: str) -> dict[str, Any]:
    if name == "central-lambda":
        return dict(templates.resource(name, "Function")["Environment"]["Variables"])
    if name == "functions of central-stepfunctions":
        template = templates.load("central-stepfunctions")
        return dict(template["Globals"]["Function"]["Environment"]["Variables"])
    (container,) = templates.resource(name, "TaskDefinition")["ContainerDefinitions"]
    variables = {}
    for item in container["Environment"]:
        if "Fn::If" in item:
            condition, entry, otherwise = item["Fn::If"]
            variables[entry["Name"]] = {"Fn::If": [condition, entry["Value"], otherwise]}
        else:
            variables[item["Name"]] = item["Value"]
    return variables


def test_all_give_the_program_the_same_variables_and_it_knows_them() -> None:
    fargate, *others = (
        _environment(name) for name in (*templates.CENTRAL, "functions of central-stepfunctions")
    )
    assert others == [fargate] * 3
    assert set(fargate) <= {*dict(_variables()), _CONFIG_VARIABLE, _DEPLOYMENT_VARIABLE}
    assert fargate[_DEPLOYMENT_VARIABLE] == {"Ref": "AWS::StackName"}  # as the alarms name it
    # An empty text is refused by the program: what is not given is not set.
    parameters = templates.load("central-lambda")["Parameters"]
    set_always = {name for value in fargate.values() if (name := value.get("Ref")) in parameters}
    assert not [
        name
        for name in set_always
        if re.fullmatch(parameters[name].get("AllowedPattern", "."), "")
        or "" in parameters[name].get("AllowedValues", ())
    ]


# --- Fargate --------------------------------------------------------------------------------------


def test_the_task_is_confined() -> None:
    task = templates.resource("central-fargate", "TaskDefinition")
    (container,) = task["ContainerDefinitions"]
    assert container["User"] == "65532:65532"
    assert container["ReadonlyRootFilesystem"] is True
    assert container["Privileged"] is False
    assert container["LinuxParameters"] == {"Capabilities": {"Drop": ["ALL"]}}
    assert task["TaskRoleArn"] == {"Fn::GetAtt": ["CentralRole", "Arn"]}
    assert task["ExecutionRoleArn"] == {"Fn::GetAtt": ["ExecutionRole", "Arn"]}
    assert "Volumes" not in task


def test_only_ecs_of_this_account_runs_as_the_central_role() -> None:
    policy = templates.resource("central-fargate", "CentralRole")["AssumeRolePolicyDocument"]
    (statement,) = policy["Statement"]
    assert statement["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {
        "aws:SourceAccount": {"Ref": "AWS::AccountId"}
    }


def test_the_execution_role_pulls_one_image() -> None:
    (policy,) = templates.resource("central-fargate", "ExecutionRole")["Policies"]
    resources = {
        statement["Sid"]: statement["Resource"]
        for statement in policy["PolicyDocument"]["Statement"]
    }
    assert resources["Image"] == {"Ref": "ImageRepositoryArn"}
    assert "Fn::Sub" in resources["Logs"]


def test_the_scheduler_starts_this_task_in_this_cluster() -> None:
    (policy,) = templates.resource("central-fargate", "SchedulerRole")["Policies"]
    task, roles, _ = policy["PolicyDocument"]["Statement"]
    assert task["Condition"] == {"ArnEquals": {"ecs:cluster": {"Fn::GetAtt": ["Cluster", "Arn"]}}}
    assert roles["Condition"] == {
        "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    }
    assert len(roles["Resource"]) == 2


def test_nothing_reaches_the_task() -> None:
    group = templates.resource("central-fargate", "SecurityGroup")
    assert "SecurityGroupIngress" not in group
    (egress,) = group["SecurityGroupEgress"]
    assert (egress["IpProtocol"], egress["FromPort"], egress["ToPort"]) == ("tcp", 443, 443)


# --- Lambda ---------------------------------------------------------------------------------------


def test_the_function_runs_once_at_a_time_and_is_not_repeated() -> None:
    function = templates.resource("central-lambda", "Function")
    assert function["ReservedConcurrentExecutions"] == 1
    invoked = function["EventInvokeConfig"]
    assert invoked["MaximumRetryAttempts"] == 0
    assert invoked["DestinationConfig"]["OnFailure"]["Destination"] == {
        "Fn::GetAtt": ["DeadLetterQueue", "Arn"]
    }


def test_the_function_is_the_programs_handler() -> None:
    function = templates.resource("central-lambda", "Function")
    module, _, name = function["Handler"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))
    metadata = templates.load("central-lambda")["Resources"]["Function"]["Metadata"]
    assert metadata == {"BuildMethod": "makefile"}


def test_make_builds_every_function() -> None:
    functions = [
        name
        for template in (*templates.CENTRAL, "central-events")
        for name, each in templates.load(template)["Resources"].items()
        if each["Type"] == "AWS::Serverless::Function"
    ]
    assert len(functions) == 7
    for name in functions:
        command = ["make", "--dry-run", f"build-{name}", "ARTIFACTS_DIR=artifacts"]
        shown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        assert 'cp -R sweeper "artifacts/"' in shown.stdout


def test_the_application_is_this_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    application = templates.load("central-lambda")["Metadata"]["AWS::ServerlessRepo::Application"]
    assert application["SemanticVersion"] == project["version"]
    own, *_ = project["license"].split(" AND ")  # the others are of what is vendored
    assert application["SpdxLicenseId"] == own
    for key in ("LicenseUrl", "ReadmeUrl"):
        assert (templates.FOLDER / application[key]).is_file()
