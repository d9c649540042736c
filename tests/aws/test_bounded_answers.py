"""No text from AWS goes further than its limit, and no answer is an internal error."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from sweeper.aws.accounts import AwsCloud
from sweeper.aws.client import answers
from sweeper.aws.client.errors import MAX_CODE, MAX_MESSAGE, MAX_TAIL, translate_errors
from sweeper.aws.ecr import EcrRegistry
from sweeper.config.loader import load
from sweeper.domain.errors import ConfigurationError, OperationFailed
from sweeper.domain.reasons import Reason
from tests.aws.support import REGION, make_cloud, opened, target
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault

HUGE = "x" * 1_000_000


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Any:
        yield self._body


def answers_with(client: Any, operation: str, body: str, kind: str) -> None:
    """Let the operation be answered with this body."""

    def answer(request: Any, **_: Any) -> AWSResponse:
        headers: Any = {"content-type": kind}
        return AWSResponse(request.url, 200, headers, _Raw(body.encode()))

    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register_first(f"before-send.{service}.{operation}", answer)


@pytest.mark.parametrize("read", [answers.require_str, answers.optional_str, answers.require_strs])
def test_a_text_has_a_limit(read: Callable[[Any, str], object]) -> None:
    def value(length: int) -> object:
        return ["x" * length] if read is answers.require_strs else "x" * length

    read({"Key": value(answers.MAX_TEXT)}, "Key")
    with pytest.raises(OperationFailed, match="Key has 2,049 characters") as caught:
        read({"Key": value(answers.MAX_TEXT + 1)}, "Key")
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE
    assert len(caught.value.message) < 100


def test_what_is_never_shown_may_be_longer() -> None:
    policy = "x" * 30_720  # ECR: lifecyclePolicyText
    assert answers.require_str({"Key": policy}, "Key", answers.MAX_OPAQUE) == policy


def test_a_huge_error_is_cut(aws: FakeAws) -> None:
    registry = EcrRegistry(opened(aws).clients)
    aws.faults([Fault("error", operation="DescribeRepositories", code=HUGE[:50_000], message=HUGE)])
    with pytest.raises(OperationFailed) as caught:
        list(registry.repositories(target(aws)))
    assert len(caught.value.error_code or "") == MAX_CODE
    assert len(caught.value.message) == MAX_MESSAGE


def test_of_a_long_denial_the_reason_and_what_stands_at_its_end_are_kept() -> None:
    tail = "Encoded authorization failure message: " + "e" * 150
    message = (
        "User: arn:aws:sts::111122223333:assumed-role/sweeper/run is not authorized to perform: "
        "ecr:PutImageTagMutability with an explicit deny in a service control policy: "
        f"{'p' * 1000} {tail}"
    )
    error: Any = {"Error": {"Code": "AccessDeniedException", "Message": message}}
    with pytest.raises(OperationFailed) as caught, translate_errors():
        raise ClientError(error, "PutImageTagMutability")
    assert len(tail) < MAX_TAIL
    assert caught.value.message.startswith(message[:100])
    assert caught.value.message.endswith(tail)
    assert len(caught.value.message) == MAX_MESSAGE


def test_a_huge_name_of_an_account_is_no_answer(aws: FakeAws) -> None:
    cloud = make_cloud()
    cloud.caller()
    account = {"Id": "111122223333", "Name": HUGE, "State": "ACTIVE", "Arn": "a"}
    listing = repr({"Accounts": [account]}).replace("'", '"')
    client = cloud.clients.central("organizations", REGION)
    answers_with(client, "ListAccounts", listing, "application/x-amz-json-1.1")
    with pytest.raises(OperationFailed) as caught:
        cloud.list_accounts()
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE
    assert len(caught.value.message) < 100


CREDENTIALS = (
    "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId>"
    "<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
    "<Expiration>{}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
)


def assumed(aws: FakeAws, expiration: str) -> AwsCloud:
    cloud = make_cloud()
    account = next(
        each for each in cloud.list_accounts().accounts if each.id != aws.world.caller.account
    )
    client = cloud.clients.central("sts", REGION)
    answers_with(client, "AssumeRole", CREDENTIALS.format(expiration), "text/xml")
    cloud.enter(account)
    return cloud


@pytest.mark.parametrize("expiration", ["2026-12-01T10:00:00", "soon", ""])
def test_an_expiration_that_is_no_time_is_no_answer(aws: FakeAws, expiration: str) -> None:
    with pytest.raises(OperationFailed) as caught:
        assumed(aws, expiration)
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE


def test_an_expiration_in_any_zone_is_one(aws: FakeAws) -> None:
    assumed(aws, "2126-12-01T10:00:00+05:00")
    zoned = datetime(2026, 12, 1, 10, tzinfo=UTC)
    assert answers.require_datetime({"Expiration": zoned}, "Expiration") == zoned


@pytest.mark.parametrize(
    "number", ["9" * 5000, "0x" + "f" * 6000, "9" * 4000, "1:" + ":".join("9" * 3000)]
)
@pytest.mark.parametrize(
    "text", ["limits: {{max_workers: {}}}", "organization: {{include_accounts: [{}]}}"]
)
def test_a_huge_number_in_the_configuration_is_said_in_few_words(
    tmp_path: Any, text: str, number: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text.format(number), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(str(path))
    assert len(str(caught.value)) < len(str(path)) + 250
