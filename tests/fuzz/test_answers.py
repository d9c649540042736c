"""Whatever AWS answers, through the real SDK: a value, or a failure with a reason."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from hypothesis import given
from hypothesis import strategies as st

from sweeper.aws.accounts import AwsCloud
from sweeper.aws.client.clients import Session
from sweeper.aws.client.shared_http import _Read
from sweeper.aws.ecr import EcrRegistry
from sweeper.checks.creation_template_immutability import CreationTemplateImmutability
from sweeper.checks.tag_immutability import TagImmutability
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Account, OpenedAccount, Organization, Target
from sweeper.domain.reasons import Reason
from sweeper.storage.journal import lines
from tests.aws.support import make_cloud
from tests.fuzz.support import bounded, misshapen, mutated, run_of
from tests.storage.journal.test_lines import HEADER

ID = "111122223333"
ACCOUNT = Account(ID, "product-a", "ACTIVE")
TARGET = Target(ACCOUNT, "eu-central-1")
REPOSITORY = {
    "registryId": ID,
    "repositoryName": "app",
    "repositoryArn": f"arn:aws:ecr:eu-central-1:{ID}:repository/app",
    "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
    "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "v*"}],
    "createdAt": 1.0e9,
}
TEMPLATE = {
    "prefix": "app",
    "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
    "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "v*"}],
    "appliedFor": ["REPLICATION", "CREATE_ON_PUSH"],
    "resourceTags": [{"Key": "owner", "Value": "payments"}],
    "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": ""},
    "customRoleArn": f"arn:aws:iam::{ID}:role/ecr",
    "updatedAt": 1.0e9,
}
JSON: dict[str, Any] = {
    "DescribeRepositories": {"repositories": [REPOSITORY], "nextToken": None},
    "DescribeImages": {
        "imageDetails": [
            {
                "registryId": ID,
                "repositoryName": "app",
                "imageDigest": "sha256:0f",
                "imageTags": ["latest", "1.4.2"],
                "imagePushedAt": 1.7e9,
            }
        ],
        "nextToken": None,
    },
    "DescribePullThroughCacheRules": {"pullThroughCacheRules": [{"ecrRepositoryPrefix": "cache"}]},
    "PutImageTagMutability": {
        "registryId": ID,
        "repositoryName": "app",
        "imageTagMutability": "IMMUTABLE",
    },
    "DescribeRepositoryCreationTemplates": {
        "registryId": ID,
        "repositoryCreationTemplates": [TEMPLATE],
    },
    **{
        f"{verb}RepositoryCreationTemplate": {
            "registryId": ID,
            "repositoryCreationTemplate": TEMPLATE,
        }
        for verb in ("Update", "Create", "Delete")
    },
    "ListRegions": {"Regions": [{"RegionName": "eu-central-1", "RegionOptStatus": "ENABLED"}]},
    "ListAccounts": {
        "Accounts": [
            {
                "Id": ID,
                "Arn": f"arn:aws:organizations::{ID}:account/o-exampleorg/{ID}",
                "Name": "product-a",
                "State": "ACTIVE",
                "Paths": [f"o-exampleorg/r-ab12/ou-ab12-11111111/{ID}/"],
                "JoinedTimestamp": 1.0e9,
            }
        ]
    },
}
XML = {
    "GetCallerIdentity": "<GetCallerIdentityResponse><GetCallerIdentityResult>"
    f"<Arn>arn:aws:sts::{ID}:assumed-role/a/b</Arn><UserId>A:b</UserId><Account>{ID}</Account>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>",
    "AssumeRole": "<AssumeRoleResponse><AssumeRoleResult><Credentials>"
    "<AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>THE-SECRET</SecretAccessKey>"
    "<SessionToken>THE-TOKEN</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
    "</Credentials></AssumeRoleResult></AssumeRoleResponse>",
}
GOOD = {
    **{operation: json.dumps(answer).encode() for operation, answer in JSON.items()},
    **{operation: answer.encode() for operation, answer in XML.items()},
}
statuses = st.sampled_from([200, 200, 200, 200, 400, 403, 404, 500, 503])
headers = st.sampled_from([{}, {"x-amzn-errortype": "AccessDenied"}, {"date": "yesterday"}])


class Everything:
    """What all checks may do, which are asked by turns."""

    read_actions = TagImmutability.read_actions | CreationTemplateImmutability.read_actions
    assess_actions = TagImmutability.assess_actions
    write_actions = TagImmutability.write_actions | CreationTemplateImmutability.write_actions
    create_actions = CreationTemplateImmutability.create_actions


class Wire:
    """Between the SDK and AWS: answers each operation, one of them in another way."""

    def __init__(self) -> None:
        self.other: dict[str, tuple[int, dict[str, str], bytes]] = {}
        session = Session()
        session.core.set_credentials("AKIA", "secret")
        session.core.set_config_variable("region", "eu-central-1")
        answer: Any = self._answer  # botocore-stubs: handlers that answer are not known
        session.core.register("before-send", answer)
        self.cloud: AwsCloud = make_cloud(
            session=session,
            may_write=True,
            check=Everything,
            assesses=True,
            limits={"http_sender": "botocore"},
        )
        self.cloud.clients._member.core.register("before-send", answer)
        self.registry = EcrRegistry(self.cloud.clients)
        self.cloud.list_accounts()

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        target = request.headers.get("X-Amz-Target")
        body = request.body if isinstance(request.body, bytes) else str(request.body).encode()
        if target:
            operation = (target if isinstance(target, str) else target.decode()).rpartition(".")[2]
        elif found := re.search(rb"Action=(\w+)", body):
            operation = found[1].decode()
        else:
            operation = "ListRegions"
        status, given, answer = self.other.get(operation, (200, {}, GOOD[operation]))
        length: Any = {"content-length": str(len(answer)), **given}
        return AWSResponse(request.url, status, length, _Read(answer))


@pytest.fixture(scope="module")
def wire() -> Wire:
    return Wire()


def delete_template(wire: Wire) -> str:
    wire.registry.delete_repository_creation_template(TARGET, "app")
    return "deleted"


def list_accounts(wire: Wire) -> Organization:
    wire.cloud._caller = None
    return wire.cloud.list_accounts()


def recorded(opened: OpenedAccount) -> OpenedAccount:
    """What was read is fit for a journal, and with it for names of roles and of endpoints."""
    data = lines.header(HEADER) + lines.opened(opened)
    assert list(lines.read(io.BytesIO(data), "it")[1].opened) == [opened.account.id]
    return opened


CALLS: dict[str, list[Callable[[Wire], object]]] = {
    "DescribeRepositories": [
        lambda wire: list(wire.registry.repositories(TARGET)),
        lambda wire: wire.registry.repository(TARGET, "app"),
    ],
    "DescribeImages": [lambda wire: list(wire.registry.images(TARGET, "app"))],
    "DescribePullThroughCacheRules": [
        lambda wire: wire.registry.pull_through_cache_prefixes(TARGET)
    ],
    "PutImageTagMutability": [
        lambda wire: wire.registry.put_image_tag_mutability(TARGET, "app", "IMMUTABLE", ())
    ],
    "DescribeRepositoryCreationTemplates": [
        lambda wire: list(wire.registry.repository_creation_templates(TARGET)),
        lambda wire: wire.registry.repository_creation_template(TARGET, "app"),
    ],
    "UpdateRepositoryCreationTemplate": [
        lambda wire: wire.registry.update_repository_creation_template(
            TARGET, "app", "IMMUTABLE", (), "{}"
        )
    ],
    "CreateRepositoryCreationTemplate": [
        lambda wire: wire.registry.create_repository_creation_template(
            TARGET, "app", "IMMUTABLE", (), '{"appliedFor": ["REPLICATION"]}'
        )
    ],
    "DeleteRepositoryCreationTemplate": [delete_template],
    "ListRegions": [lambda wire: recorded(wire.cloud.open_account(ACCOUNT))],
    "AssumeRole": [lambda wire: wire.cloud.open_account(ACCOUNT)],
    "ListAccounts": [
        lambda wire: [
            recorded(OpenedAccount(account, ())) for account in list_accounts(wire).accounts
        ]
    ],
    "GetCallerIdentity": [list_accounts],
}


def bodies(operation: str) -> st.SearchStrategy[bytes]:
    other = mutated(GOOD[operation]) | st.binary(max_size=60)
    if operation in JSON:
        shapes = misshapen(JSON[operation]).map(lambda value: json.dumps(value).encode())
        depths = st.integers(1, 5000).map(lambda depth: b"[" * depth)
        return other | shapes | shapes | depths
    return other | st.integers(1, 5000).map(lambda depth: b"<a>" * depth)


def failed(call: Callable[[], object]) -> OperationFailed | None:
    try:
        call()
    except OperationFailed as error:
        return error
    return None


@pytest.mark.parametrize("operation", CALLS)
def test_every_answer_is_a_value_or_a_failure_with_a_reason(wire: Wire, operation: str) -> None:
    @bounded
    @given(statuses, headers, bodies(operation))
    def fuzz(status: int, given: dict[str, str], body: bytes) -> None:
        wire.other = {}
        list_accounts(wire)
        wire.cloud.open_account(ACCOUNT)
        wire.other = {operation: (status, given, body)}
        for call in CALLS[operation]:
            with run_of(f"answers to {operation}"):
                failure = failed(lambda: call(wire))  # noqa: B023 (called at once)
            assert failure is None or failure.reason is not Reason.INTERNAL_ERROR
            assert failure is None or not re.search("THE-SECRET|THE-TOKEN", failure.message)

    fuzz()


@pytest.mark.parametrize("operation", CALLS)
def test_the_good_answers_are_values(wire: Wire, operation: str) -> None:
    wire.other = {}
    for call in CALLS[operation]:
        assert call(wire)
