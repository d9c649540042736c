"""A small organization in moto, entered through what the templates make there."""

from __future__ import annotations

import io
import json
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from unittest import mock

import boto3
from click.testing import CliRunner
from moto import mock_aws
from moto.cloudformation import parsing
from moto.ecr.models import ecr_backends
from moto.iam.models import Role, iam_backends
from moto.s3.models import s3_backends

from sweeper.aws.client.session import read_object
from sweeper.checks import checks, resources_by_check
from sweeper.config.loader import load
from sweeper.domain.report_model import Report
from sweeper.engine.attempts import Stop
from sweeper.entrypoints import app
from sweeper.entrypoints.cli.main import cli
from sweeper.entrypoints.demo import moto_additions
from sweeper.entrypoints.log_observer import LogObserver
from sweeper.storage.change_reader import read_recorded_changes
from tests.stacksets import aggregator, creation_templates, templates
from tests.stacksets.authority import Authority, enforced
from tests.stacksets.creation_templates import TEMPLATES
from tests.stacksets.iam import listed, parse

REGION = "eu-central-1"
REGIONS = (REGION, "eu-west-1")
HUB = "eu-west-1"  # where Security Hub is: not the stack's own region
MANAGEMENT = "123456789012"  # moto's own
EXTERNAL_ID = "an-external-id"
MEMBER_ROLE = "ecr-immutability-sweeper"
CHECKS = checks()
EVERY_CHECK: dict[str, Any] = {
    "checks": list(CHECKS),
    "remediation": {"checks": list(CHECKS), "root_template_applied_for": ["REPLICATION"]},
}  # options
OPEN_REPOSITORIES = ("payments", "mirror/alpine")  # a name with a slash: cache rules are read
OPEN_TEMPLATE = {
    "prefix": "apps",
    "imageTagMutability": "MUTABLE",
    "appliedFor": ["REPLICATION"],
    "lifecyclePolicy": '{"rules": []}',
    "repositoryPolicy": '{"Statement": []}',
}
SETUP = {
    "AWS_ACCESS_KEY_ID": "AKIASETUP",
    "AWS_SECRET_ACCESS_KEY": "setup",
    "AWS_DEFAULT_REGION": REGION,
}


class Deployment:
    """The organization, its stacks, and sweeps in the role that a central template made."""

    def __init__(self, central: str) -> None:
        self.central = central
        self.accounts: tuple[str, ...] = ()
        self.root = ""
        self.unit = ""
        self.empty_unit = ""
        self.central_role_arn = ""
        self.environment: dict[str, str] = {}
        self.member_parameters: dict[str, str] = {}
        self.stack: dict[str, str] = {}
        self.bus_arn = self.chat_arn = ""

    def build(self, additions: moto_additions.Additions) -> None:
        """Everything that a person would do, in its order."""
        client = boto3.client("organizations")
        client.create_organization(FeatureSet="ALL")
        organization_id = client.describe_organization()["Organization"]["Id"]
        self.root = client.list_roots()["Roots"][0]["Id"]
        unit = client.create_organizational_unit(ParentId=self.root, Name="workloads")
        self.unit = unit["OrganizationalUnit"]["Id"]
        unit = client.create_organizational_unit(ParentId=self.root, Name="empty")
        self.empty_unit = unit["OrganizationalUnit"]["Id"]
        members = []
        for name in ("search", "platform"):
            created = client.create_account(AccountName=name, Email=f"{name}@example.com")
            members.append(created["CreateAccountStatus"]["AccountId"])
            client.move_account(
                AccountId=members[-1], SourceParentId=self.root, DestinationParentId=self.unit
            )
        self.accounts = (MANAGEMENT, *members)
        for account in self.accounts:
            client.tag_resource(ResourceId=account, Tags=[{"Key": "swept", "Value": "yes"}])
            additions.enable_regions(account, REGIONS)
        self._deploy_central()
        self.member_parameters = {
            "CentralRoleArn": self.central_role_arn,
            "OrganizationId": organization_id,
            "ExternalId": EXTERNAL_ID,
            "AllowRemediation": "true",
            "AllowTemplateRemediation": "true",
            "AllowRootTemplates": "true",
        }
        self._roll_out()

    def _deploy_central(self) -> None:
        bus = boto3.client("events").create_event_bus(Name="findings")
        self.bus_arn = bus["EventBusArn"]
        self.chat_arn = boto3.client("sns").create_topic(Name="chat")["TopicArn"]
        self.stack = self.central_stack(
            "sweeper",
            {
                "ExternalId": EXTERNAL_ID,
                "SecurityHubRegion": HUB,
                "AutoRemediate": "ENABLED",
                "ConfigAggregatorName": aggregator.NAME,
                "ConfigAggregatorRegion": HUB,
                "EventBusArn": self.bus_arn,
                "ChatTopicArn": self.chat_arn,
                "OwnerTag": "swept",
            },
        )
        self.central_role_arn = self.stack["CentralRoleArn"]
        self.environment = self.variables("sweeper")

    def central_stack(self, name: str, parameters: Mapping[str, str]) -> dict[str, str]:
        """Make a stack of the central template; its outputs."""
        if self.central != "central-fargate":
            template = templates.transformed(self.central, uploaded_code())
        else:
            template = templates.load(self.central)
            subnets = boto3.client("ec2").describe_subnets()["Subnets"][:2]
            parameters = {
                **parameters,
                "ImageUri": f"{MANAGEMENT}.dkr.ecr.{REGION}.amazonaws.com/sweeper:1",
                "ImageRepositoryArn": f"arn:aws:ecr:{REGION}:{MANAGEMENT}:repository/sweeper",
                "VpcId": subnets[0]["VpcId"],
                "SubnetIds": ",".join(subnet["SubnetId"] for subnet in subnets),
            }
        return self.make_stack(name, template, parameters)

    def make_stack(self, name: str, template: Any, parameters: Mapping[str, str]) -> dict[str, str]:
        """Make a stack; its outputs."""
        client = boto3.client("cloudformation")
        with (
            warnings.catch_warnings(),  # of what moto does not make: the schedule and the like
            mock.patch.object(parsing, "clean_json", _without_nulls(parsing.clean_json)),
        ):
            warnings.simplefilter("ignore", UserWarning)
            client.create_stack(
                StackName=name,
                TemplateBody=json.dumps(_with_definitions_as_text(template)),
                Parameters=_parameters(parameters),
                Capabilities=["CAPABILITY_NAMED_IAM"],
            )
        (stack,) = client.describe_stacks(StackName=name)["Stacks"]
        return {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}

    def variables(self, stack: str) -> dict[str, str]:
        """The variables that the stack gives to its task or its function."""
        if self.central != "central-fargate":
            functions = boto3.client("lambda").list_functions()["Functions"]
            given = [each["Environment"]["Variables"] for each in functions]
            return next(dict(each) for each in given if each["SWEEPER_DEPLOYMENT"] == stack)
        described = boto3.client("ecs").describe_task_definition(taskDefinition=stack)
        (container,) = described["taskDefinition"]["containerDefinitions"]
        # moto leaves AWS::NoValue in a list as null.
        return {item["name"]: item["value"] for item in container["environment"] if item}

    def _roll_out(self) -> None:
        """The StackSet for the members, a plain stack for the management account."""
        client = boto3.client("cloudformation")
        client.create_stack_set(
            StackSetName="sweeper-member",
            PermissionModel="SERVICE_MANAGED",
            AutoDeployment={"Enabled": True, "RetainStacksOnAccountRemoval": False},
            **_member_stack(self.member_parameters),
        )
        client.create_stack_instances(
            StackSetName="sweeper-member",
            DeploymentTargets={"OrganizationalUnitIds": [self.unit]},
            Regions=[REGION],
        )
        self._make_management_stack(self.member_parameters)

    def _make_management_stack(self, parameters: Mapping[str, str]) -> None:
        client = boto3.client("cloudformation")
        client.create_stack(StackName="sweeper-member", **_member_stack(parameters))

    @contextmanager
    def management_stack(self, **changes: str | None) -> Iterator[None]:
        """The management account's member role with other parameters; None is the default."""
        client = boto3.client("cloudformation")
        changed = {
            key: value
            for key, value in {**self.member_parameters, **changes}.items()
            if value is not None
        }
        client.delete_stack(StackName="sweeper-member")
        self._make_management_stack(changed)
        try:
            yield
        finally:
            client.delete_stack(StackName="sweeper-member")
            self._make_management_stack(self.member_parameters)

    def role(self, account: str, name: str = MEMBER_ROLE) -> Role:
        """The role as the stack made it."""
        return iam_backends[account]["aws"].get_role(name)

    @property
    def central_role(self) -> Role:
        """The role that the sweep runs as."""
        return self.role(MANAGEMENT, self.central_role_arn.split("/")[-1])

    def reopen(self) -> None:
        """In every account and region the same repositories and creation template, all open."""
        for account in self.accounts:
            for region in REGIONS:
                TEMPLATES[account, region] = {"apps": dict(OPEN_TEMPLATE)}
                registry = ecr_backends[account][region]
                registry.repositories.clear()
                for name in OPEN_REPOSITORIES:
                    registry.create_repository(
                        repository_name=name,
                        registry_id=None,
                        encryption_config={"encryptionType": "AES256"},
                        image_scan_config={"scanOnPush": True},
                        image_tag_mutability="MUTABLE",
                        tags=[],
                    )

    def empty_bucket(self) -> None:
        """No report lies in the stack's bucket, as before the first sweep."""
        bucket = self.stack["ReportBucketName"]
        s3_backends[MANAGEMENT]["aws"].buckets[bucket].keys.clear()

    def mutability(self, account: str) -> set[str]:
        """The settings of the account's repositories."""
        return {
            repository.image_tag_mutability or ""
            for region in REGIONS
            for repository in ecr_backends[account][region].repositories.values()
        }

    def template_mutability(self, account: str) -> set[str]:
        """The settings of the account's creation templates."""
        return {
            template["imageTagMutability"]
            for region in REGIONS
            for template in TEMPLATES[account, region].values()
        }

    def sweep(
        self,
        *,
        dry_run: bool = False,
        role_arn: str | None = None,
        options: Mapping[str, Any] | None = None,
        service_control_policies: Sequence[Any] = (),
    ) -> tuple[Report, Authority]:
        """The real sweep, configured by the stack's variables, with IAM enforced."""
        with self.entered(role_arn, service_control_policies) as authority:
            ended = app.run_sweep(
                load(options=dict(options or {})).config,
                app.RunOptions(dry_run=dry_run, deliver_dry_run=True),
                stop=Stop(None),
                observer=LogObserver(),
            )
        return ended.report, authority

    def undo(self, location: str) -> tuple[Report, Authority]:
        """The real undo of the report at `location`, in the same way."""
        with self.entered() as authority:
            about = resources_by_check(CHECKS.values())
            ended = app.run_sweep(
                load().config,
                app.RunOptions(
                    dry_run=False,
                    recorded=read_recorded_changes("undo", location, read_object, about),
                ),
                stop=Stop(None),
                observer=LogObserver(),
                approve=lambda _: True,
            )
        return ended.report, authority

    def preflight(
        self, service_control_policies: Sequence[Any] = (), **variables: str
    ) -> tuple[Any, Authority]:
        """What `sweeper preflight --format json` prints, run as the sweep is."""
        with self.entered(None, service_control_policies) as authority:
            ended = CliRunner().invoke(
                cli, ["preflight", "--format", "json"], env=variables, standalone_mode=False
            )
        assert ended.exception is None, ended.exception
        said = json.loads(ended.stdout)
        assert ended.return_value == said["exit_status"]
        return said, authority

    @contextmanager
    def entered(
        self, role_arn: str | None = None, service_control_policies: Sequence[Any] = ()
    ) -> Iterator[Authority]:
        """The stack's variables and the central role's session, with IAM enforced."""
        keys = boto3.client("sts").assume_role(
            RoleArn=role_arn or self.central_role_arn, RoleSessionName="task"
        )["Credentials"]
        session = {
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
            "AWS_REGION": REGION,
            "SWEEPER_LIMITS__HTTP_SENDER": "botocore",  # which moto answers in the place of
        }
        with (
            mock.patch.dict(os.environ, session | self.environment),
            enforced(MANAGEMENT, service_control_policies) as authority,
        ):
            os.environ.pop("AWS_DEFAULT_REGION")
            yield authority


@contextmanager
def deployed(central: str) -> Iterator[Deployment]:
    """The organization with the central template's stack, for as long as the context lasts."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, SETUP))
        stack.enter_context(mock_aws())
        additions = stack.enter_context(moto_additions.install())
        stack.enter_context(creation_templates.installed())
        stack.enter_context(aggregator.installed())
        stack.enter_context(mock.patch.dict(os.environ, SETUP))
        deployment = Deployment(central)
        deployment.build(additions)
        yield deployment


@contextmanager
def without(role: Role, sid: str, action: str) -> Iterator[None]:
    """The role as if the statement of its template did not grant the action."""
    original = dict(role.policies)
    removed = False
    for name, document in original.items():
        statements = [dict(statement) for statement in parse(document)]
        for statement in statements:
            if statement["Sid"] == sid:
                granted = [*listed(statement["Action"])]
                granted.remove(action)
                statement["Action"] = granted
                removed = True
        role.policies[name] = json.dumps({"Version": "2012-10-17", "Statement": statements})
    assert removed, f"{role.name} has no statement {sid}"
    try:
        yield
    finally:
        role.policies.clear()
        role.policies.update(original)


def _with_definitions_as_text(template: Any) -> Any:
    """The template with DefinitionString for Definition, which moto does not read."""
    resources = {
        name: each | {"Properties": {**each["Properties"], **_definition_as_text(each)}}
        for name, each in template["Resources"].items()
    }
    return {**template, "Resources": resources}


def _definition_as_text(resource: Any) -> dict[str, Any]:
    if resource["Type"] != "AWS::StepFunctions::StateMachine":
        return {}
    return {"DefinitionString": {"Fn::ToJsonString": resource["Properties"]["Definition"]}}


def _without_nulls(clean_json: Callable[..., Any]) -> Callable[..., Any]:
    """moto's resolution of a template, but for AWS::NoValue in a list, which it leaves as null."""

    def clean(value: Any, resources: Any) -> Any:
        found = clean_json(value, resources)
        return [each for each in found if each is not None] if isinstance(found, list) else found

    return clean


def _member_stack(parameters: Mapping[str, str]) -> Any:
    return {
        "TemplateBody": json.dumps(templates.load("member-role")),
        "Parameters": _parameters(parameters),
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
    }


def _parameters(values: Mapping[str, str]) -> Any:
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]


def uploaded_code() -> str:
    """An archive in a bucket: moto makes no function without one."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("handler.py", "")
    client = boto3.client("s3")
    where: Any = {"LocationConstraint": REGION}
    with suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket="code", CreateBucketConfiguration=where)
    client.put_object(Bucket="code", Key="function.zip", Body=archive.getvalue())
    return "s3://code/function.zip"
