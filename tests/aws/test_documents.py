"""A configuration in SSM and in S3: read as it stands, or refused by name."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws

from sweeper.aws.client.clients import Session
from sweeper.aws.client.documents import read_document
from sweeper.aws.client.session import read_remote
from sweeper.config.loader import load
from sweeper.config.yaml_file import MAX_BYTES
from sweeper.domain.errors import ConfigurationError
from tests.cases import case

REGION = "eu-central-1"
TEXT = "limits: {max_workers: 7}  # größer\n"
BUCKET = "configurations"


@pytest.fixture(autouse=True)
def _moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", REGION)
    with mock_aws():
        client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        yield


def client(service: str) -> Any:
    session: Any = Session()
    return session.client(service, region_name=REGION)


def put_parameter(name: str, **kind: str) -> None:
    client("ssm").put_parameter(Name=name, Value=TEXT, **{"Type": "String", **kind})


def put_object(key: str, body: bytes) -> str:
    client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
    return f"s3://{BUCKET}/{key}"


def refusal(location: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_remote(location)
    return str(caught.value)


def test_a_parameter() -> None:
    for name, kind in (("config", "String"), ("/sweeper/config", "SecureString")):
        with case(name, kind):
            put_parameter(name, Type=kind)
            assert read_remote(f"ssm:{name}") == TEXT


def test_an_object() -> None:
    assert read_remote(put_object("a/b/config.yaml", TEXT.encode())) == TEXT


def test_the_largest_object() -> None:
    assert len(read_remote(put_object("large", b"#" * MAX_BYTES))) == MAX_BYTES


def test_what_is_not_there_is_named() -> None:
    cases: list[tuple[str, str]] = [
        ("ssm:nothing", "ssm:nothing: it does not exist (ParameterNotFound"),
        (f"s3://{BUCKET}/nothing", f"s3://{BUCKET}/nothing: it does not exist (NoSuchKey"),
        ("s3://no-such-bucket/key", "s3://no-such-bucket/key: it does not exist (NoSuchBucket"),
        ("ssm:", "ssm:: no parameter is named; allowed: ssm:<name>"),
        ("s3://", "s3://: no object is named; allowed: s3://<bucket>/<key>"),
        (f"s3://{BUCKET}", "no object is named; allowed: s3://<bucket>/<key>"),
        (f"s3://{BUCKET}/", "no object is named; allowed: s3://<bucket>/<key>"),
        ("s3://No Bucket/key", "s3://No Bucket/key: cannot be read (ParamValidationError: "),
    ]
    for location, message in cases:
        with case(location, message):
            assert message in refusal(location)


def test_an_object_that_is_too_large() -> None:
    location = put_object("large", b"#" * (MAX_BYTES + 1))
    assert refusal(location) == f"{location}: too large; allowed: 1,000,000 bytes"


def test_an_object_that_is_not_text() -> None:
    location = put_object("binary", b"ab\xff")
    assert refusal(location) == f"{location}: not UTF-8 text: byte 2"


class _Raw(io.BytesIO):
    """A body as urllib3 gives it."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


DENIED_BY_SSM = b'{"__type": "AccessDeniedException", "Message": "User is not authorized"}'
DENIED_BY_S3 = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


def test_a_denial_says_what_is_needed() -> None:
    cases: list[tuple[str, int, bytes, str]] = [
        (
            "ssm:config",
            400,
            DENIED_BY_SSM,
            "ssm:config: access is denied (AccessDeniedException: User is not authorized); "
            "needed: ssm:GetParameter",
        ),
        (
            "s3://a-bucket/key",
            403,
            DENIED_BY_S3,
            "s3://a-bucket/key: access is denied (AccessDenied: Access Denied); "
            "needed: s3:GetObject",
        ),
    ]
    for location, status, body, message in cases:
        with case(location, status, body, message):
            session = answered_by(partial(answer, status, body))
            with pytest.raises(ConfigurationError, match=re.escape(message)):
                read_document(session, location)


def answer(status: int, body: bytes, request: Any, **_: Any) -> AWSResponse:
    raw: Any = _Raw(body)
    return AWSResponse(request.url, status, HTTPHeaders(), raw)


def answered_by(handler: Any) -> Session:
    """A session whose requests the handler answers."""
    session = Session()
    session.core.set_config_variable("region", REGION)
    for service in ("ssm", "s3"):
        session.core.register(f"before-send.{service}", handler)
    return session


def test_no_credentials_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert refusal("ssm:config").startswith("ssm:config: cannot be read (NoCredentialsError: ")


def test_a_connection_that_stalls_is_said() -> None:
    seen = []

    def stall(request: Any, **_: Any) -> None:
        seen.append(request.url)
        raise ReadTimeoutError(endpoint_url=request.url)

    with pytest.raises(ConfigurationError, match=r"s3://a-bucket/key: cannot be read \(ReadTime"):
        read_document(answered_by(stall), "s3://a-bucket/key")
    assert len(seen) == 3


def test_the_variable_and_the_option_may_name_them(monkeypatch: pytest.MonkeyPatch) -> None:
    put_parameter("config")
    monkeypatch.setenv("SWEEPER_CONFIG", "ssm:config")
    assert load(read_remote=read_remote).config.limits.max_workers == 7
    location = put_object("config.yaml", b"limits: {max_workers: 8}")
    assert load(location, read_remote=read_remote).config.limits.max_workers == 8


def test_an_error_in_what_was_read_names_where_it_was_read() -> None:
    location = put_object("config.yaml", b"limits: {max_workers: 0}")
    with pytest.raises(ConfigurationError, match=f"{location}: limits.max_workers: 0 is not"):
        load(location, read_remote=read_remote)
