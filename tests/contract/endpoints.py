"""The fake AWS and its peers, each with the same small organization behind real clients."""

from __future__ import annotations

import dataclasses
import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import boto3
from botocore.config import Config

from tests.contract.calls import BUCKET, FAR_BUCKET, Scenario, wildcards
from tests.contract.ministack import ministack, root_keys
from tests.contract.moto import moto
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import (
    Account,
    Aggregator,
    Bucket,
    Caller,
    Key,
    Registry,
    Role,
    Unit,
    World,
)

Keys = Mapping[str, str]

MANAGEMENT = "123456789012"
HOME, FAR = "us-east-1", "us-west-2"
# The roles of the member account. No policy is worded more finely than the fake evaluates.
ROLES = {
    "auditor": ("account:ListRegions", "ecr:*"),
    "reader": ("ecr:DescribeRepositories",),
    "guarded": ("ecr:*",),  # asks for an external id
    "owner": ("*",),
}
EXTERNAL_ID = "a-secret"
SESSION_POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "ecr:Describe*", "Resource": "*"},
            {"Effect": "Deny", "Action": "ecr:DescribeImages", "Resource": "*"},
        ],
    }
)
_MEMBER, _ROOT, _UNIT = "222222222222", "r-fake", "ou-fake-00000001"  # the fake's
_EMPTY = Registry(repositories=())
_SESSION: Any = boto3.Session()  # one loader for all clients: the models are read once


@dataclass
class Endpoint:
    """An AWS on this machine: `names` are its own ids of what every scenario speaks of."""

    url: str
    central: Keys
    names: dict[str, str]
    check: Callable[..., None] | None = (
        None  # of each raw answer, as botocore's "after-call" has it
    )
    sessions: dict[str, Keys] = field(default_factory=dict)
    clients: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def client(self, service: str, who: str = "central", region: str = HOME) -> Any:
        """Give a client that does not retry, for `central`, a role's session, or wrong keys."""
        key = service, who, region
        if key not in self.clients:
            settings = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
            made = self.new_client(service, self._keys(who), region, settings)
            if self.check is not None:
                made.meta.events.register("after-call", self.check)
            self.clients[key] = made
        return self.clients[key]

    def new_client(
        self, service: str, keys: Keys, region: str = HOME, config: Config | None = None
    ) -> Any:
        """Give a client for these keys."""
        return _SESSION.client(
            service, region_name=region, endpoint_url=self.url, config=config, **keys
        )

    def forget_sessions(self) -> None:
        """Assume every role anew."""
        self.sessions.clear()
        self.clients.clear()

    def _keys(self, who: str) -> Keys:
        match who:
            case "central":
                return self.central
            case "unknown":
                return {"aws_access_key_id": "AKIANOBODY0000000000", "aws_secret_access_key": "x"}
            case "mistaken":
                return {**self.central, "aws_secret_access_key": "wrong"}
        if who not in self.sessions:
            role, _, limited = who.partition(" ")
            policy = {"Policy": SESSION_POLICY} if limited else {}
            self.sessions[who] = assume(self, self.central, role, **policy)
        return self.sessions[who]


def assume(endpoint: Endpoint, keys: Keys, role: str, **parameters: str) -> Keys:
    """Give the credentials of a session of a role of the member account."""
    arn = f"arn:aws:iam::{endpoint.names['member']}:role/{role}"
    sts = endpoint.new_client("sts", keys)
    given = sts.assume_role(RoleArn=arn, RoleSessionName="a-test", **parameters)["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


class Contender(Protocol):
    """What a scenario is run upon."""

    endpoint: Endpoint

    def scenario(self, scenario: Scenario) -> None:
        """Give the member account the scenario's repositories, and no others."""


class Fake:
    """The project's own endpoint; a scenario has a world of its own."""

    def __init__(self, aws: FakeAws, check: Callable[..., None] | None) -> None:
        self._aws = aws
        caller = aws.world.caller
        keys = {
            "aws_access_key_id": caller.access_key_id,
            "aws_secret_access_key": caller.secret_access_key,
        }
        names = {
            "management": MANAGEMENT,
            "member": _MEMBER,
            "root": _ROOT,
            "unit": _UNIT,
            "organization": aws.world.organization_id,
            "key": aws.world.keys[0].arn,
        }
        self.endpoint = Endpoint(aws.endpoint, keys, names, check)

    def scenario(self, scenario: Scenario) -> None:
        self._aws.load(_world(scenario.registry or Registry(repositories=scenario.repositories)))
        self.endpoint.forget_sessions()


def _world(registry: Registry = _EMPTY) -> World:
    roles = [
        Role(name, actions=actions, external_id=EXTERNAL_ID if name == "guarded" else None)
        for name, actions in ROLES.items()
    ]
    return dataclasses.replace(
        World.generate(accounts=1),
        accounts=(
            Account(MANAGEMENT, "Management", "management@example.com"),
            Account(
                *(_MEMBER, "Payments", "payments@example.com"), parent=_UNIT, tags={"team": "ml"}
            ),
        ),
        caller=Caller(MANAGEMENT, f"arn:aws:iam::{MANAGEMENT}:user/central"),
        management_account=MANAGEMENT,
        units=(Unit(_UNIT, "Workloads", _ROOT),),
        role=roles[0],
        extra_roles=tuple(roles[1:]),
        registries=(dataclasses.replace(registry, account=_MEMBER, region=HOME), _EMPTY),
        buckets=(Bucket(BUCKET, HOME), Bucket(FAR_BUCKET, FAR)),
        topics=(f"arn:aws:sns:{HOME}:{MANAGEMENT}:contract",),
        keys=(Key(f"arn:aws:kms:{HOME}:{MANAGEMENT}:key/one"),),
        security_hub_regions=(HOME,),
        aggregators=(Aggregator("all", HOME, failed=(f"*/{HOME}",)),),
        event_buses=(f"arn:aws:events:{HOME}:{MANAGEMENT}:event-bus/contract",),
    )


class Peer:
    """An endpoint that is provisioned as AWS is."""

    def __init__(self, url: str, root: Keys, member_root: Any, *, creates: bool) -> None:
        self.endpoint = Endpoint(url, root, {"management": MANAGEMENT})
        self._root = root
        self._made: list[str] = []
        self._organization(creates=creates)
        self._member = member_root(self.endpoint)
        self._roles()
        self._destinations()
        self.endpoint.central = self._user()
        self._member = assume(self.endpoint, self.endpoint.central, "owner")

    def scenario(self, scenario: Scenario) -> None:
        ecr = self._admin("ecr", self._member)
        for name in self._made:
            ecr.delete_repository(repositoryName=name, force=True)
        self._made.clear()
        for each in scenario.repositories:
            filters = wildcards(*each.exclusion_filters)
            given = {"imageTagMutabilityExclusionFilters": filters} if filters else {}
            ecr.create_repository(
                repositoryName=each.name, imageTagMutability=each.mutability, **given
            )
            self._made.append(each.name)

    def _admin(self, service: str, keys: Keys, region: str = HOME) -> Any:
        return self.endpoint.new_client(service, keys, region)

    def _organization(self, *, creates: bool) -> None:
        organizations, names = self._admin("organizations", self._root), self.endpoint.names
        if creates:
            organizations.create_organization(FeatureSet="ALL")
        names["organization"] = organizations.describe_organization()["Organization"]["Id"]
        (root,) = organizations.list_roots()["Roots"]
        names["root"] = root["Id"]
        unit = organizations.create_organizational_unit(ParentId=root["Id"], Name="Workloads")
        names["unit"] = unit["OrganizationalUnit"]["Id"]
        made = organizations.create_account(Email="payments@example.com", AccountName="Payments")
        names["member"] = made["CreateAccountStatus"]["AccountId"]
        organizations.move_account(
            AccountId=names["member"],
            SourceParentId=names["root"],
            DestinationParentId=names["unit"],
        )
        organizations.tag_resource(
            ResourceId=names["member"], Tags=[{"Key": "team", "Value": "ml"}]
        )

    def _roles(self) -> None:
        iam = self._admin("iam", self._member)
        for name, actions in ROLES.items():
            trust: dict[str, Any] = {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{MANAGEMENT}:root"},
                "Action": "sts:AssumeRole",
            }
            if name == "guarded":
                trust["Condition"] = {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))
            allow = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=_policy(allow))

    def _destinations(self) -> None:
        self._admin("s3", self._root).create_bucket(Bucket=BUCKET)
        self._admin("s3", self._root, FAR).create_bucket(
            Bucket=FAR_BUCKET, CreateBucketConfiguration={"LocationConstraint": FAR}
        )
        self._admin("sns", self._root).create_topic(Name="contract")
        key = self._admin("kms", self._root).create_key()
        self.endpoint.names["key"] = key["KeyMetadata"]["Arn"]

    def _user(self) -> Keys:
        iam = self._admin("iam", self._root)
        iam.create_user(UserName="central")
        allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        iam.put_user_policy(UserName="central", PolicyName="all", PolicyDocument=_policy(allow))
        made = iam.create_access_key(UserName="central")["AccessKey"]
        return {
            "aws_access_key_id": made["AccessKeyId"],
            "aws_secret_access_key": made["SecretAccessKey"],
        }


def _policy(statement: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@contextmanager
def fake_endpoint(check: Callable[..., None] | None = None) -> Iterator[Contender]:
    """Run the fake; `check` gets each raw answer."""
    with FakeAws(_world()) as aws:
        yield Fake(aws, check)


@contextmanager
def ministack_endpoint() -> Iterator[Contender]:
    """Run ministack, its IAM enforcement on."""
    with ministack(MANAGEMENT) as url:
        yield Peer(
            url,
            root_keys(MANAGEMENT),
            lambda endpoint: root_keys(endpoint.names["member"]),
            creates=False,
        )


@contextmanager
def moto_endpoint() -> Iterator[Contender]:
    """Run moto, its IAM enforcement on as soon as everything is there."""
    with moto() as url:
        root = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        # Until then any role may be assumed.
        peer = Peer(url, root, lambda endpoint: assume(endpoint, root, "root"), creates=True)
        peer.endpoint.new_client("securityhub", root).enable_security_hub()
        request = urllib.request.Request(
            f"{url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}, method="POST"
        )
        with urllib.request.urlopen(request):
            yield peer


PEERS = {"moto": moto_endpoint, "ministack": ministack_endpoint}
