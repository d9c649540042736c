"""A text that lies in SSM Parameter Store or in S3: a deployment's configuration, or a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from boto3 import Session
from botocore.config import Config as ClientConfig

from sweeper.aws.client.answers import MAX_OPAQUE, require, require_str
from sweeper.aws.client.clients import CONNECT_TIMEOUT, IN_FLIGHT, READ_TIMEOUT, USER_AGENT
from sweeper.aws.client.errors import translate_errors
from sweeper.aws.client.total_time import TotalTime
from sweeper.aws.s3 import read_at_most, read_through
from sweeper.config.yaml_file import MAX_BYTES, decode
from sweeper.domain.errors import ConfigurationError, OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import Stop

if TYPE_CHECKING:
    from sweeper.engine.ports import Source

T = TypeVar("T")

SSM = "ssm:"
S3 = "s3://"
_NEEDED = {
    SSM: "ssm:GetParameter, and kms:Decrypt where the parameter is encrypted with a key of yours",
    S3: "s3:GetObject, and s3:ListBucket to be told that an object is missing; "
    "kms:Decrypt where the object is encrypted with a key of yours",
}


def read_document(session: Session, location: str) -> str:
    """Return the text at ``ssm:<name>`` or ``s3://<bucket>/<key>``, in the session's region.

    Raises ConfigurationError that names the location and what is wrong with it.
    """
    if location.startswith(S3):
        body = read_object(session, location, lambda source: read_at_most(source, MAX_BYTES))
    else:
        with _name_location(location, SSM):
            body = _parameter(session, location)
    return decode(location, body)


def read_object(session: Session, location: str, use: Callable[[Source], T]) -> T:
    """Return what `use` makes of the object at ``s3://<bucket>/<key>``, in the session's region.

    Raises ConfigurationError that names the location and what is wrong with it.
    """
    with _name_location(location, S3):
        bucket, _, key = location.removeprefix(S3).partition("/")
        if not bucket or not key:
            allowed = "s3://<bucket>/<key>"
            raise ConfigurationError(f"{location}: no object is named; allowed: {allowed}")
        with translate_errors():
            client = make_client(session, "s3")

        def get() -> Any:
            with translate_errors():
                return client.get_object(Bucket=bucket, Key=key)

        return read_through(get, use)[1]


@contextmanager
def _name_location(location: str, scheme: str) -> Iterator[None]:
    """Raise ConfigurationError in the place of what goes wrong inside."""
    try:
        yield
    except OperationFailed as error:
        raise ConfigurationError(f"{location}: {_problem(error, scheme)}") from None


def _parameter(session: Session, location: str) -> bytes:
    name = location.removeprefix(SSM)
    if not name:
        allowed = "ssm:<name>, such as ssm:/sweeper/config"
        raise ConfigurationError(f"{location}: no parameter is named; allowed: {allowed}")
    with translate_errors():
        client = make_client(session, "ssm")
        response = client.get_parameter(Name=name, WithDecryption=True)
    return require_str(require(response, "Parameter"), "Value", MAX_OPAQUE).encode()


def make_client(
    session: Session, service: str, region: str | None = None, stop: Stop | None = None
) -> Any:
    """Make a client that is used once, before a sweep begins; its calls end soon after `stop`."""
    config = ClientConfig(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"total_max_attempts": 3, "mode": "standard"},
        user_agent=USER_AGENT,
    )
    make: Any = session.client
    client = make(service, region_name=region, config=config)
    TotalTime((stop or Stop()).followed_by(IN_FLIGHT)).register(client)
    return client


def _problem(error: OperationFailed, scheme: str) -> str:
    code = f"{error.error_code}: {error.message}" if error.message else f"{error.error_code}"
    if error.reason is Reason.DESTINATION_MISSING:
        return f"it does not exist ({code})"
    if error.reason.is_denial:
        return f"access is denied ({code}); needed: {_NEEDED[scheme]}"
    return f"cannot be read ({code})"
