"""Authorization as AWS has it, in front of moto, which has next to none.

Roles, trust policies, buckets, topics and keys are those that the templates made in moto. Evaluated
are identity policies, permissions boundaries, session policies, service control policies, trust
policies with their conditions, and the use of KMS keys by S3 and SNS. Whoever signs with
credentials that moto did not give out by AssumeRole is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from botocore.awsrequest import AWSPreparedRequest
from moto.core.botocore_stubber import BotocoreStubber
from moto.iam.exceptions import NotFoundException
from moto.iam.models import Role, iam_backends
from moto.organizations.models import organizations_backends
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends
from moto.sts.models import AssumedRole, sts_backends

from tests.stacksets.iam import Request, allows, denies, parse, trusts

PARTITION = "aws"
Statements = tuple[Mapping[str, Any], ...]
Response = tuple[int, Mapping[str, str], str]


@contextmanager
def enforced(
    management_account: str, service_control_policies: Sequence[Any] = ()
) -> Iterator[Authority]:
    """Every request inside is authorized first; a refused one does not reach moto."""
    authority = Authority(management_account, service_control_policies)
    original: Callable[..., Any] = BotocoreStubber.process_request

    def process_request(stubber: BotocoreStubber, request: AWSPreparedRequest) -> Any:
        return authority.answer(request) or original(stubber, request)

    with mock.patch.object(BotocoreStubber, "process_request", process_request):
        yield authority


class Authority:
    """Judges requests, and remembers what was used: (role's name, action)."""

    def __init__(self, management_account: str, service_control_policies: Sequence[Any]) -> None:
        self._management = management_account
        self._scps = [parse(policy) for policy in service_control_policies]
        self.used: set[tuple[str, str]] = set()
        (self._organization,) = (
            backend["aws"].org
            for backend in organizations_backends.values()
            if "aws" in backend and backend["aws"].org
        )
        backend = organizations_backends[management_account]["aws"]
        self._members = {account.id for account in backend.accounts}

    def answer(self, wire: AWSPreparedRequest) -> Response | None:
        """The refusal, as the service words it; None where the request is allowed."""
        call = Call.read(wire)
        if call.action == "sts:GetCallerIdentity":
            return None
        session = _session(call.access_key)
        if session is None:
            return call.refusal("The security token included in the request is invalid")
        role = _role(session.role_arn)
        for request in self._requests(call, session):
            why = self._why_not(request, session, role)
            if why is not None:
                return call.refusal(
                    f"User: {session.arn} is not authorized to perform: {request.action} "
                    f"on resource: {request.resource}{why}"
                )
            self.used.add((role.name, request.action))
        if call.action == "sts:AssumeRole" and not self._trusted(call, session):
            return call.refusal(
                f"User: {session.arn} is not authorized to perform: sts:AssumeRole "
                f"on resource: {call.parameters['RoleArn']}"
            )
        return None

    def _requests(self, call: Call, session: AssumedRole) -> Iterator[Request]:
        """What the call asks for: its own action on each resource, then the keys behind it."""
        context = {
            "aws:principalarn": session.role_arn,
            "aws:principalaccount": session.account_id,
            "aws:userid": session.user_id,
            "aws:requestedregion": call.region,
            "aws:securetransport": "true",
            **self._organization_of("aws:principalorgid", session.account_id),
        }
        if call.action == "events:PutEvents":
            (source,) = {entry["Source"] for entry in call.parameters["Entries"]}
            context["events:source"] = source
        for resource in call.resources(session.account_id, self._management, self._organization.id):
            owner = resource.split(":")[4] if resource != "*" else ""
            owner = owner or session.account_id
            yield Request(
                call.action,
                resource,
                {**context, **self._organization_of("aws:resourceorgid", owner)},
            )
        for action, resource in call.dependent(session.account_id):
            yield Request(action, resource, context)
        yield from self._requests_of_s3(call, session, context)
        key = call.key(session.account_id)
        if key:
            through = {"kms:viaservice": f"{call.service}.{call.region}.amazonaws.com"}
            for action in _KEY_ACTIONS[call.action]:
                yield Request(action, key, context | through)

    def _requests_of_s3(
        self, call: Call, session: AssumedRole, context: Mapping[str, str]
    ) -> Iterator[Request]:
        """What S3 asks for besides: to say that nothing is there, and to compare what is.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        if call.service != "s3":
            return
        bucket, name = call.parameters["Bucket"], call.parameters["Key"]
        there = s3_backends[session.account_id][PARTITION].buckets[bucket].keys
        arn = f"arn:{PARTITION}:s3:::{bucket}"
        if call.action == "s3:GetObject" and name not in there:
            yield Request("s3:ListBucket", arn, context)
        if call.parameters["Conditional"]:
            yield Request("s3:GetObject", f"{arn}/{name}", context)

    def _organization_of(self, key: str, account_id: str) -> dict[str, str]:
        return {key: self._organization.id} if account_id in self._members else {}

    def _why_not(self, request: Request, session: AssumedRole, role: Role) -> str | None:
        policies: list[tuple[str, Statements | None]] = [
            ("identity-based policy", identity_policies(role)),
            ("session policy", parse(session.policy) if session.policy else None),
            ("permissions boundary", _boundary(role)),
        ]
        if session.account_id != self._management:
            for policy in self._scps:
                if denies(policy, request):
                    return " with an explicit deny in a service control policy"
        for kind, statements in policies:
            if statements is not None and denies(statements, request):
                return f" with an explicit deny in a {kind}"
        for kind, statements in policies:
            if statements is not None and not allows(statements, request):
                return f" because no {kind} allows the {request.action} action"
        return None

    def _trusted(self, call: Call, session: AssumedRole) -> bool:
        try:
            role = _role(call.parameters["RoleArn"])
        except NotFoundException:
            return False
        context = {
            "aws:principalarn": session.role_arn,
            "aws:principalaccount": session.account_id,
            **self._organization_of("aws:principalorgid", session.account_id),
        }
        context["sts:rolesessionname"] = call.parameters["RoleSessionName"]
        if "ExternalId" in call.parameters:
            context["sts:externalid"] = call.parameters["ExternalId"]
        request = Request(call.action, role.arn, context)
        return trusts(role.assume_role_policy_document, session.role_arn, request)


_AGGREGATOR = "config-aggregator/config-aggregator-a1b2c3d4"  # by an id that AWS makes
_S3_OPERATIONS = {"PUT": "PutObject", "GET": "GetObject", "HEAD": "ListBucket"}
_KEY_ACTIONS = {
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
    "s3:GetObject": ("kms:Decrypt",),
    "s3:PutObject": ("kms:GenerateDataKey",),
    # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    "sns:Publish": ("kms:GenerateDataKey", "kms:Decrypt"),
}


@dataclass(frozen=True, slots=True)
class Call:
    """A request on the wire: whose key signed it, and what it asks of which service."""

    access_key: str
    region: str
    service: str
    operation: str
    parameters: Mapping[str, Any]

    @property
    def action(self) -> str:
        """The IAM action."""
        return f"{self.service}:{self.operation}"

    @classmethod
    def read(cls, wire: AWSPreparedRequest) -> Call:
        """Raises NotImplementedError for what the sweep is not known to call."""
        headers = {name.lower(): _text(value) for name, value in wire.headers.items()}
        found = re.search(
            r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request", headers["authorization"]
        )
        assert found is not None, "an unsigned request"
        key, region, service = found.groups()
        body = _text(wire.body) if isinstance(wire.body, str | bytes) and service != "s3" else ""
        url = urlsplit(wire.url)
        if "x-amz-target" in headers:
            operation = headers["x-amz-target"].rpartition(".")[2]
            return cls(key, region, service, operation, json.loads(body))
        if service in ("sts", "sns"):
            form = {name: values[0] for name, values in parse_qs(body).items()}
            return cls(key, region, service, form.pop("Action"), form)
        if service == "account" and url.path == "/listRegions":
            return cls(key, region, service, "ListRegions", {})
        if service == "securityhub" and url.path == "/findings/import":
            return cls(key, region, service, "BatchImportFindings", json.loads(body))
        if service == "securityhub" and (wire.method, url.path) == ("GET", "/accounts"):
            return cls(key, region, service, "DescribeHub", {})
        if service == "s3" and wire.method in _S3_OPERATIONS and not url.query:
            bucket = (url.hostname or "").removesuffix(f".s3.{region}.amazonaws.com")
            where = {
                "Bucket": bucket,
                "Key": unquote(url.path[1:]),
                "Conditional": "if-match" in headers,
            }
            return cls(key, region, service, _S3_OPERATIONS[wire.method], where)
        raise NotImplementedError(f"{wire.method} {wire.url}")

    def resources(self, account: str, management: str, organization: str) -> list[str]:  # noqa: C901, PLR0912 (a table)
        """The ARNs that IAM looks at.

        https://docs.aws.amazon.com/service-authorization/latest/reference/
        """
        given = self.parameters
        units = f"arn:{PARTITION}:organizations::{management}"
        registry = f"arn:{PARTITION}:ecr:{self.region}:{account}:repository"
        match self.action:
            case (
                "ecr:DescribePullThroughCacheRules"
                | "ecr:DescribeRepositoryCreationTemplates"
                | "ecr:UpdateRepositoryCreationTemplate"
                | "ecr:CreateRepositoryCreationTemplate"
                | "ecr:DeleteRepositoryCreationTemplate"
                | "organizations:ListAccounts"
                | "organizations:ListRoots"
            ):
                arns = ["*"]
            case "account:ListRegions":
                arns = [f"arn:{PARTITION}:account::{account}:account"]
            case "ecr:DescribeRepositories":
                arns = [f"{registry}/{name}" for name in given.get("repositoryNames", ["*"])]
            case "ecr:PutImageTagMutability" | "ecr:DescribeImages":
                arns = [f"{registry}/{given['repositoryName']}"]
            case "organizations:ListChildren" | "organizations:ListAccountsForParent":
                kind = "root" if given["ParentId"].startswith("r-") else "ou"
                arns = [f"{units}:{kind}/{organization}/{given['ParentId']}"]
            case "organizations:DescribeOrganizationalUnit":
                arns = [f"{units}:ou/{organization}/{given['OrganizationalUnitId']}"]
            case "organizations:ListTagsForResource":
                arns = [f"{units}:account/{organization}/{given['ResourceId']}"]
            case "sts:AssumeRole":
                arns = [given["RoleArn"]]
            case "s3:PutObject" | "s3:GetObject":
                arns = [f"arn:{PARTITION}:s3:::{given['Bucket']}/{given['Key']}"]
            case "s3:ListBucket":
                arns = [f"arn:{PARTITION}:s3:::{given['Bucket']}"]
            case "sns:GetTopicAttributes" | "sns:Publish":
                arns = [given["TopicArn"]]
            case "securityhub:BatchImportFindings":
                arns = sorted({finding["ProductArn"] for finding in given["Findings"]})
            case (
                "config:SelectAggregateResourceConfig"
                | "config:DescribeConfigurationAggregatorSourcesStatus"
            ):
                arns = [f"arn:{PARTITION}:config:{self.region}:{account}:{_AGGREGATOR}"]
            case "events:PutEvents":
                arns = sorted({entry["EventBusName"] for entry in given["Entries"]})
            case "events:DescribeEventBus":
                arns = [given["Name"]]
            case "securityhub:DescribeHub":
                arns = [f"arn:{PARTITION}:securityhub:{self.region}:{account}:hub/default"]
            case unknown:
                raise NotImplementedError(f"the resources of {unknown}")
        return arns

    def dependent(self, account: str) -> Iterator[tuple[str, str]]:
        """The other actions that the call needs, each with its resource.

        https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-create.html
        """
        if self.action in (
            "ecr:UpdateRepositoryCreationTemplate",
            "ecr:CreateRepositoryCreationTemplate",
        ):
            prefix = self.parameters["prefix"]
            below = "*" if prefix == "ROOT" else f"{prefix}/*"
            arn = f"arn:{PARTITION}:ecr:{self.region}:{account}:repository/{below}"
            yield "ecr:CreateRepository", arn
            if self.parameters.get("lifecyclePolicy"):
                yield "ecr:PutLifecyclePolicy", arn
            if self.parameters.get("repositoryPolicy"):
                yield "ecr:SetRepositoryPolicy", arn

    def key(self, account: str) -> str | None:
        """The customer key that the service uses on the caller's behalf."""
        if self.service == "s3" and self.operation != "ListBucket":
            bucket = s3_backends[account][PARTITION].buckets[self.parameters["Bucket"]]
            if self.operation == "GetObject" and self.parameters["Key"] not in bucket.keys:
                return None
            encryption: Any = bucket.encryption
            default = encryption["Rule"]["ApplyServerSideEncryptionByDefault"]
            return str(default["KMSMasterKeyID"])
        if self.action == "sns:Publish":
            topic = sns_backends[account][self.region].topics[self.parameters["TopicArn"]]
            return topic.kms_master_key_id or None
        return None

    def refusal(self, message: str) -> Response:
        """An access denial in the service's own protocol."""
        if self.service in ("ecr", "organizations", "config", "events"):
            body = {"__type": "AccessDeniedException", "message": message}
            return 400, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(body)
        if self.service in ("account", "securityhub"):
            headers = {"x-amzn-ErrorType": "AccessDeniedException"}
            return 403, headers, json.dumps({"message": message})
        if self.operation == "ListBucket":  # the answer to a HEAD has no body
            return 403, {"Content-Type": "application/xml"}, ""
        code = "AuthorizationError" if self.service == "sns" else "AccessDenied"
        error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        if self.service != "s3":
            error = f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"
        return 403, {"Content-Type": "text/xml"}, error


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _session(access_key: str) -> AssumedRole | None:
    for backends in list(sts_backends.values()):  # other threads may add some
        for session in backends[PARTITION].assumed_roles:
            if session.access_key_id == access_key:
                return session
    return None


def _role(arn: str) -> Role:
    return iam_backends[arn.split(":")[4]][PARTITION].get_role_by_arn(arn)


def identity_policies(role: Role) -> Statements:
    """The statements of the role's own policies, and of those attached to it."""
    inline = [parse(policy) for policy in role.policies.values()]
    attached = [_managed(role, arn) for arn in role.managed_policies]
    return tuple(statement for policy in (*inline, *attached) for statement in policy)


def _boundary(role: Role) -> Statements | None:
    arn = role.permissions_boundary_arn
    return _managed(role, arn) if arn else None


def _managed(role: Role, arn: str) -> Statements:
    versions = iam_backends[role.account_id][PARTITION].list_policy_versions(arn)
    return parse(next(version.document for version in versions if version.is_default))
