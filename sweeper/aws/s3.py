"""The report's place in S3: objects below one prefix of one bucket."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import FileIO
from typing import TYPE_CHECKING, Any, TypeVar

from sweeper.aws.client.answers import require, require_datetime, require_str
from sweeper.aws.client.errors import translate_errors
from sweeper.aws.spool import spooled
from sweeper.domain.errors import ConfigurationError, Invalid, OperationFailed
from sweeper.domain.masking import mask
from sweeper.domain.reasons import Reason

if TYPE_CHECKING:
    from sweeper.config.schema import S3Config
    from sweeper.engine.ports import Source

T = TypeVar("T")

# What no object has: a condition on it never holds.
NOBODYS_ETAG = '"00000000000000000000000000000000"'
_MOST_TO_CHECK = 100_000_000  # bytes, to the end of what cannot be used
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it was read; `age` is by the clock of S3, in seconds."""

    body: bytes
    etag: str
    age: float


class Bucket:
    """Reads and writes with the caller's credentials; every method raises OperationFailed."""

    def __init__(self, config: S3Config, central: Callable[[str, str | None], Any]) -> None:
        """Calls nothing; `central` makes a client: (service, region or None)."""
        self.config = config
        self.central = central

    @property
    def location(self) -> str:
        """``s3://…`` of the place, for people."""
        return f"s3://{self.config.bucket}/{self.config.prefix}"

    def at(self, name: str) -> str:
        """``s3://…`` of an object."""
        return f"s3://{self.config.bucket}/{self._key(name)}"

    def put(self, name: str, pieces: Iterable[bytes], media_type: str, **more: Any) -> str:
        """Write the object; its ETag. `more` are parameters of PutObject.

        Where a condition among them (IfMatch, IfNoneMatch) does not hold, the reason is
        concurrent_modification.
        """
        with spooled(map(mask, pieces)) as body:
            return self._put(name, Body=body, ContentType=media_type, **more)

    def upload(self, name: str, body: FileIO, media_type: str) -> None:
        """Write a file that holds no secret. S3 refuses what differs from its length or digest."""
        body.seek(0)
        digest = hashlib.file_digest(body, "sha256").digest()
        size = body.tell()
        body.seek(0)
        self._put(
            name,
            Body=body,
            ContentLength=size,
            ChecksumSHA256=base64.b64encode(digest).decode(),
            ContentType=media_type,
        )

    def _put(self, name: str, **parameters: Any) -> str:
        if self.config.kms_key_id:
            parameters["ServerSideEncryption"] = "aws:kms"
            parameters["SSEKMSKeyId"] = self.config.kms_key_id
        with translate_errors():
            response = self.central("s3", None).put_object(
                Bucket=self.config.bucket, Key=self._key(name), **parameters
            )
        return require_str(response, "ETag")

    def open(self, name: str) -> Any:
        """S3's answer, whose Body must be closed."""
        with translate_errors():
            return self.central("s3", None).get_object(
                Bucket=self.config.bucket, Key=self._key(name)
            )

    def get(self, name: str, most: int) -> Stored:
        """The object, of `most` bytes at most."""
        response, body = read_through(lambda: self.open(name), lambda source: whole(source, most))
        if len(body) > most:
            raise OperationFailed(
                Reason.UNEXPECTED_RESPONSE, f"{self.at(name)} has more than {most:,} bytes"
            )
        return Stored(body, require_str(response, "ETag"), _age(response))

    def _key(self, name: str) -> str:
        return f"{self.config.prefix}/{name}" if self.config.prefix else name


def whole(source: Source, most: int) -> bytes:
    """What `source` has, and where that is more, `most` bytes and one more."""
    # So that no size that is claimed need be believed.
    body = source.read(most + 1)
    if len(body) <= most:
        source.read(1)  # at the end, where the SDK compares the length and the checksum
    return body


def read_through(get: Callable[[], Any], use: Callable[[Source], T]) -> tuple[Any, T]:
    """The answer of GetObject, and what `use` makes of its body while it is read to its end.

    A body that broke off, or that is not what S3 sent, is asked for once more, and `use` begins
    anew. Raises OperationFailed, and what `use` raises.
    """
    response = get()
    try:
        return _used(response, use)
    except OperationFailed as error:
        if error.reason is not Reason.CONNECTION_FAILED:
            raise
    return _used(get(), use)


def _used(response: Any, use: Callable[[Source], T]) -> tuple[Any, T]:
    with translate_errors(), closing(require(response, "Body")) as stream:
        try:
            return response, use(stream)
        except (Invalid, ConfigurationError):
            # Perhaps it is not what S3 sent, which the SDK knows at the end.
            left = _MOST_TO_CHECK
            while left > 0 and (piece := stream.read(_CHUNK)):
                left -= len(piece)
            raise


def _age(response: Any) -> float:
    now = datetime.now(UTC)
    with suppress(LookupError, TypeError, ValueError):
        # The clock that wrote LastModified; the one here may be wrong.
        date = parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])
        now = date if date.tzinfo else now
    return (now - require_datetime(response, "LastModified")).total_seconds()
