"""Answers that are not what AWS sends are one error, quote nothing and are never an empty list."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.parsers import ResponseParserError
from botocore.session import Session

from sweeper.aws.client.errors import translate_errors
from sweeper.aws.client.parsers import CheckedParsers
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Failed, Stage
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import attempt
from tests.aws.support import make_cloud
from tests.cases import case
from tests.fake_aws.damage import damaged
from tests.fake_aws.process import FakeAws
from tests.fake_aws.wire import Json, Query, elements
from tests.fake_aws.world import Fault

SESSION = Session()
SECRETS = ("ASIAAKEYOFTHEACCOUNT", "a-secret-of-the-session", "a-token-of-the-session")
DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    """A finalizer that happens to run at the bottom of a deep recursion would fail."""
    gc.disable()
    yield
    gc.enable()


def _told(call: Callable[..., Any], *arguments: Any) -> str:
    """What the parser's error says; empty where there is none. Another error is raised."""
    try:
        call(*arguments)
    except ResponseParserError as error:
        return str(error)
    return ""


def parse(service: str, operation: str, body: bytes, status: int = 200) -> Any:
    model = SESSION.get_service_model(service)
    parser = CheckedParsers().create_parser(model.resolved_protocol)
    response = {"status_code": status, "headers": {}, "body": body, "context": {}}
    return parser.parse(response, model.operation_model(operation).output_shape)


def test_json_of_another_shape_is_one_error() -> None:
    for body in [
        DEEP,
        b'{"repositories":[],"deep":' + DEEP + b"}",
        b"[]",
        b"null",
        b'"text"',
        b"7",
        b'{"repositories":""}',
        b'{"repositories":{}}',
        b'{"repositories":7}',
        b'{"repositories":"text"}',
        b'{"repositories":[7]}',
        b'{"repositories":[[]]}',
        b'{"repositories":[{"imageTagMutabilityExclusionFilters":["latest"]}]}',
        b'{"repositories":[{"createdAt":"soon"}]}',
        b'{"repositories":[{"createdAt":1' + b"0" * 400 + b"}]}",
        b"\xff\xfe",
    ]:
        with case(body), pytest.raises(ResponseParserError, match=r"is not what AWS sends$"):
            parse("ecr", "DescribeRepositories", body)


def test_an_error_of_another_shape_is_one_error() -> None:
    for body in [b'{"__type":7}', b"[]", b'{"__type":[]}', DEEP]:
        with case(body), pytest.raises(ResponseParserError, match=r"is not what AWS sends$"):
            parse("ecr", "DescribeRepositories", body, status=400)


def test_a_right_answer_is_read_as_it_is() -> None:
    read = parse("ecr", "DescribeRepositories", b'{"repositories":[],"nextToken":"x"}')
    assert (read["repositories"], read["nextToken"]) == ([], "x")
    # Without a list it has no list: the caller says what it needs.
    assert "repositories" not in parse("ecr", "DescribeRepositories", b"{}")
    read = parse("ecr", "DescribeRepositories", b'{"__type":"SomeException"}', status=400)
    assert read["Error"]["Code"] == "SomeException"
    assert parse("sns", "Unsubscribe", b"<UnsubscribeResponse/>")["ResponseMetadata"]


def test_whatever_the_damage_the_parser_raises_nothing_else() -> None:
    listing = Json().render("DescribeRepositories", {"repositories": [], "nextToken": "t"})
    regions = Json(rest=True).render("ListRegions", {"Regions": [{"RegionName": "a"}]})
    key, secret, token = SECRETS
    members = elements(
        AccessKeyId=key, SecretAccessKey=secret, SessionToken=token, Expiration="2026-11-24T02:17Z"
    )
    session = Query("https://sts.amazonaws.com/doc/2011-06-15/").render(
        "AssumeRole", f"<Credentials>{members}</Credentials>"
    )
    refused = 0
    for service, operation, reply in (
        ("ecr", "DescribeRepositories", listing),
        ("account", "ListRegions", regions),
        ("sts", "AssumeRole", session),
    ):
        for draw in range(100):
            body = damaged(reply, draw).body
            told = _told(parse, service, operation, body)
            refused += bool(told)
            assert not any(part in told for part in SECRETS)
    assert refused > 70


def test_credentials_in_an_answer_that_breaks_off_are_not_quoted(aws: FakeAws) -> None:
    cloud = make_cloud()
    account = cloud.list_accounts().accounts[1]
    reasons = set()
    for seed in range(30):
        aws.faults([Fault("malformed", operation="AssumeRole", seed=seed)])
        result = attempt(Stage.OPEN_ACCOUNT, cloud.open_account, account)
        if isinstance(result, Failed):
            reasons.add(result.reason)
            assert not any(secret[:8] in result.message for secret in aws.secrets())
    assert reasons == {Reason.UNEXPECTED_RESPONSE}
    assert len(aws.secrets()) > 60


def test_what_the_sdk_quotes_on_further_lines_is_left_out() -> None:
    error = ResponseParserError(f"invalid XML received. Further retries may succeed:\n{SECRETS}")
    with pytest.raises(OperationFailed) as caught, translate_errors():
        raise error
    assert caught.value.message == "invalid XML received. Further retries may succeed:"
