"""An organization on ministack in which sweeper is deployed as its documentation says.

Each account has the member role of stacksets/member-role.yaml, made by ministack's own
CloudFormation; the central role is in the management account.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import boto3

from tests.contract.ministack import ministack, root_keys
from tests.end_to_end.harness import Key

HOME = "us-east-1"
EXTERNAL_ID = "a-secret"
BUCKET, TOPIC, QUEUE = "sweeper-reports", "sweeper", "readers"
ROLE, CENTRAL = "ecr-immutability-sweeper", "sweeper-central"
_MANAGEMENT = "123456789012"
_TEMPLATE = Path(__file__).parents[2] / "stacksets" / "member-role.yaml"
# docs/deploy.md, and the read and write of what was delivered before.
_CENTRAL_ACTIONS = (
    *("organizations:ListAccounts", "organizations:DescribeOrganization", "sts:AssumeRole"),
    *("s3:GetObject", "s3:ListBucket", "s3:PutObject", "sns:GetTopicAttributes", "sns:Publish"),
)
_STACK_SECONDS = 60
_SESSION: Any = boto3.Session()


class Deployment:
    """The organization; `accounts` are its accounts' ids by name, `management` among them."""

    def __init__(self, url: str, members: Iterable[str]) -> None:
        self._url = url
        self._client = cache(self._new_client)
        self.accounts = {"management": _MANAGEMENT}
        organizations = self.client("organizations", "management")
        self.organization = organizations.describe_organization()["Organization"]["Id"]
        for name in members:
            made = organizations.create_account(Email=f"{name}@example.com", AccountName=name)
            self.accounts[name] = made["CreateAccountStatus"]["AccountId"]
        self._central()
        for name in self.accounts:
            self.deploy(name)
        self._destinations()

    def client(self, service: str, account: str, region: str = HOME) -> Any:
        """Give a client of the account's root user."""
        return self._client(service, region, **root_keys(self.accounts[account]))

    def deploy(self, account: str, **parameters: str) -> None:
        """Create or replace the stack of the member role; it may write unless it is told not to."""
        cloudformation = self.client("cloudformation", account)
        given = {
            "CentralRoleArn": f"arn:aws:iam::{_MANAGEMENT}:role/{CENTRAL}",
            "OrganizationId": self.organization,
            "ExternalId": EXTERNAL_ID,
            "AllowRemediation": "true",
            **parameters,
        }
        cloudformation.delete_stack(StackName="sweeper-member")
        cloudformation.create_stack(
            StackName="sweeper-member",
            TemplateBody=_TEMPLATE.read_text(encoding="utf-8"),
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in given.items()
            ],
        )
        deadline = time.monotonic() + _STACK_SECONDS
        while (status := _status(cloudformation)).endswith("_IN_PROGRESS"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the stack in {account} is still {status}")
            time.sleep(0.05)
        if status != "CREATE_COMPLETE":
            raise RuntimeError(f"the stack in {account}: {status}")
        self._suit(account)

    def create(self, account: str, region: str, *names: str, mutability: str = "MUTABLE") -> None:
        """Create repositories."""
        for name in names:
            self.client("ecr", account, region).create_repository(
                repositoryName=name, imageTagMutability=mutability
            )

    def repositories(self) -> dict[Key, str]:
        """The ground truth: the mutability of every repository of every account and region."""
        return {
            (self.accounts[account], region, each["repositoryName"]): each["imageTagMutability"]
            for account in self.accounts
            for region in self.regions
            for each in self.client("ecr", account, region).describe_repositories()["repositories"]
        }

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """The regions of every account."""
        answer = self.client("account", "management").list_regions(MaxResults=50)
        return tuple(region["RegionName"] for region in answer["Regions"])

    def objects(self) -> dict[str, bytes]:
        """Every object of the bucket, by its key."""
        s3 = self.client("s3", "management")
        return {
            each["Key"]: s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read()
            for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())
        }

    def messages(self) -> list[dict[str, Any]]:
        """Take every message of the topic from the queue that is subscribed to it."""
        sqs = self.client("sqs", "management")
        url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
        taken: list[dict[str, Any]] = []
        while received := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for each in received:
                taken.append(json.loads(each["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        return taken

    @property
    def topic(self) -> str:
        """The topic's ARN."""
        return f"arn:aws:sns:{HOME}:{_MANAGEMENT}:{TOPIC}"

    @cached_property
    def environment(self) -> dict[str, str]:
        """The variables of a process that runs as the central role."""
        sts = self.client("sts", "management")
        arn = f"arn:aws:iam::{_MANAGEMENT}:role/{CENTRAL}"
        keys = sts.assume_role(RoleArn=arn, RoleSessionName="a-task")["Credentials"]
        return {
            "AWS_ENDPOINT_URL": self._url,
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
            "AWS_REGION": HOME,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    def _new_client(self, service: str, region: str, **keys: str) -> Any:
        return _SESSION.client(service, region_name=region, endpoint_url=self._url, **keys)

    def _central(self) -> None:
        iam = self.client("iam", "management")
        root = {"AWS": f"arn:aws:iam::{_MANAGEMENT}:root"}
        trust = {"Effect": "Allow", "Principal": root, "Action": "sts:AssumeRole"}
        iam.create_role(RoleName=CENTRAL, AssumeRolePolicyDocument=_policy(trust))
        allow = {"Effect": "Allow", "Action": list(_CENTRAL_ACTIONS), "Resource": "*"}
        iam.put_role_policy(RoleName=CENTRAL, PolicyName="sweep", PolicyDocument=_policy(allow))

    def _suit(self, account: str) -> None:
        """Change of the role what ministack takes otherwise than AWS does, and no more.

        aws:PrincipalArn of a session is its role's ARN
        (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html);
        ministack takes the session's own. ecr:DescribeRepositories that names no repository is
        about ``repository/*``, as AWS says where it denies that; ministack wants ``*``.
        """
        iam = self.client("iam", account)
        trust = json.dumps(iam.get_role(RoleName=ROLE)["Role"]["AssumeRolePolicyDocument"])
        role, sessions = f":iam::{_MANAGEMENT}:role/{CENTRAL}", f":sts::{_MANAGEMENT}:assumed-role"
        if role not in trust:
            raise RuntimeError(f"the trust of {account} does not name the central role: {trust}")
        iam.update_assume_role_policy(
            RoleName=ROLE, PolicyDocument=trust.replace(role, f"{sessions}/{CENTRAL}/*")
        )
        listing = {"Effect": "Allow", "Action": "ecr:DescribeRepositories", "Resource": "*"}
        iam.put_role_policy(RoleName=ROLE, PolicyName="list", PolicyDocument=_policy(listing))

    def _destinations(self) -> None:
        self.client("s3", "management").create_bucket(Bucket=BUCKET)
        sns, sqs = self.client("sns", "management"), self.client("sqs", "management")
        sns.create_topic(Name=TOPIC)
        queue = f"arn:aws:sqs:{HOME}:{_MANAGEMENT}:{QUEUE}"
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": {"ArnEquals": {"aws:SourceArn": self.topic}},
        }
        sqs.create_queue(QueueName=QUEUE, Attributes={"Policy": _policy(allow)})
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=queue)


def _status(cloudformation: Any) -> str:
    (stack,) = cloudformation.describe_stacks(StackName="sweeper-member")["Stacks"]
    return str(stack["StackStatus"])


def _policy(statement: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@contextmanager
def deployed(*members: str) -> Iterator[Deployment]:
    """Run ministack, its IAM enforcement on, with an organization of these member accounts."""
    with ministack(_MANAGEMENT) as url:
        yield Deployment(url, members)
