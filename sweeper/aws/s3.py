"""Objects below one prefix of an S3 bucket: read to a limit, replaced only as they were read."""

from __future__ import annotations

import base64
import hashlib
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from sweeper.aws.client.answers import require, require_datetime, require_str
from sweeper.aws.client.errors import translate_errors
from sweeper.domain.errors import ConfigurationError, Invalid, OperationFailed
from sweeper.domain.masking import mask
from sweeper.domain.reasons import Reason

if TYPE_CHECKING:
    from sweeper.config.schema import S3Config
    from sweeper.engine.ports import Source

_T = TypeVar("_T")

# No object has this ETag: a condition on it never holds.
NONEXISTENT_ETAG = '"00000000000000000000000000000000"'
_MISSING = "NoSuchKey"  # a missing bucket is no missing object
_MAX_IN_MEMORY = 8_000_000  # bytes: beyond that a file costs nothing beside the transfer
_MAX_TO_VERIFY = 100_000_000  # bytes that are read of a body that cannot be used
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Stored:
    """A small object as it was read; `age` is by the clock of S3, in seconds."""

    body: bytes
    etag: str
    age: float


class Bucket:
    """Objects below a prefix, with the caller's credentials; methods raise OperationFailed."""

    def __init__(self, config: S3Config, central: Callable[[str, str | None], Any]) -> None:
        """Call nothing; `central` makes a client: (service, region or None)."""
        self.config = config
        self.central = central

    @property
    def location(self) -> str:
        """``s3://…`` of the prefix, for people."""
        return f"s3://{self.config.bucket}/{self.config.prefix}"

    def at(self, name: str) -> str:
        """Return ``s3://…`` of an object."""
        return f"s3://{self.config.bucket}/{self._key(name)}"

    def put(self, name: str, pieces: Iterable[bytes], media_type: str, **more: Any) -> str:
        """Write the object and return its ETag. `more` are parameters of PutObject.

        If a condition among them (IfMatch, IfNoneMatch) does not hold, the reason is
        concurrent_modification.
        """
        with _spool(map(mask, pieces)) as body:
            return self._put(name, Body=body, ContentType=media_type, **more)

    def upload(self, name: str, body: io.FileIO, media_type: str) -> None:
        """Write a file without secrets. S3 refuses a body of another length or digest."""
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
        """Return S3's answer, whose Body must be closed."""
        with translate_errors():
            return self.central("s3", None).get_object(
                Bucket=self.config.bucket, Key=self._key(name)
            )

    def get(self, name: str, limit: int) -> Stored:
        """Read an object of `limit` bytes at most."""
        response, body = read_through(
            lambda: self.open(name), lambda source: read_at_most(source, limit)
        )
        if len(body) > limit:
            raise OperationFailed(
                Reason.UNEXPECTED_RESPONSE, f"{self.at(name)} has more than {limit:,} bytes"
            )
        return Stored(body, require_str(response, "ETag"), _age(response))

    def _key(self, name: str) -> str:
        return f"{self.config.prefix}/{name}" if self.config.prefix else name


@dataclass(frozen=True, slots=True)
class Version:
    """The version of an object; `etag` is None where there is no object."""

    etag: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class Objects:
    """Objects that are replaced only as they were read; every method raises OperationFailed."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self._versions: dict[str, Version] = {}

    def read(self, name: str, use: Callable[[Source], _T]) -> _T | None:
        """Return what `use` makes of the object's body; None where there is no object."""
        try:
            _, made = read_through(lambda: self._open(name), use)
        except OperationFailed as error:
            if error.error_code == _MISSING:
                return None
            # An object that was not read completely must not be replaced.
            self._versions.pop(name, None)
            raise
        return made

    def read_version(self, name: str) -> Version:
        """Ask for the version that is stored now."""
        try:
            require(self._open(name), "Body").close()
        except OperationFailed as error:
            if error.error_code != _MISSING:
                raise
        return self._versions[name]

    def last_version(self, name: str) -> Version | None:
        """Return the version that was last read or written; None where that failed."""
        return self._versions.get(name)

    def replace(
        self,
        name: str,
        pieces: Iterable[bytes],
        media_type: str = "application/json",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Write the object if it still has the version last read or written here, or if it is new.

        Where it has another, the reason is `Reason.CONCURRENT_MODIFICATION`.
        """
        version = self._versions.get(name)
        condition = {"IfMatch": version.etag} if version and version.etag else {"IfNoneMatch": "*"}
        try:
            etag = self.bucket.put(name, pieces, media_type, Metadata=metadata or {}, **condition)
        except OperationFailed as error:
            if error.error_code == _MISSING:  # deleted meanwhile
                self._versions[name] = Version()
                reason = Reason.CONCURRENT_MODIFICATION
                raise OperationFailed(reason, error.message, _MISSING) from None
            raise
        self._versions[name] = Version(etag, metadata or {})

    def _open(self, name: str) -> Any:
        """Return S3's answer, whose Body must be closed."""
        self._versions.pop(name, None)
        try:
            response = self.bucket.open(name)
        except OperationFailed as error:
            if error.error_code == _MISSING:
                self._versions[name] = Version()
            raise
        self._versions[name] = Version(require_str(response, "ETag"), response.get("Metadata", {}))
        return response


def read_at_most(source: Source, limit: int) -> bytes:
    """Return all of `source`, or `limit` bytes and one more; no claimed length is trusted."""
    body = source.read(limit + 1)
    if len(body) <= limit:
        source.read(1)  # to the end, where the SDK compares length and checksum
    return body


def read_through(get: Callable[[], Any], use: Callable[[Source], _T]) -> tuple[Any, _T]:
    """Return the answer of GetObject, and what `use` makes of its body.

    A body that is incomplete or damaged is read once more, by another call of `use`. Raises
    OperationFailed, and what `use` raises.
    """
    response = get()
    try:
        return _use_body(response, use)
    except OperationFailed as error:
        if error.reason is not Reason.CONNECTION_FAILED:
            raise
    return _use_body(get(), use)


def _use_body(response: Any, use: Callable[[Source], _T]) -> tuple[Any, _T]:
    with translate_errors(), closing(require(response, "Body")) as stream:
        try:
            return response, use(stream)
        except (Invalid, ConfigurationError):
            # Perhaps it was damaged on the way: the SDK compares the checksum at the end.
            left = _MAX_TO_VERIFY
            while left > 0 and (piece := stream.read(_CHUNK)):
                left -= len(piece)
            raise


def _age(response: Any) -> float:
    now = datetime.now(UTC)
    with suppress(LookupError, TypeError, ValueError):
        # LastModified is by the clock of S3; the one here may be wrong.
        date = parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])
        now = date if date.tzinfo else now
    return (now - require_datetime(response, "LastModified")).total_seconds()


def _spool(pieces: Iterable[bytes]) -> BinaryIO:
    """Return the pieces as a file at its beginning, so that length and checksum can be sent first.

    A large body is a temporary file without a name. Where that cannot be created, or the disk is
    full, all of it is in memory: no delivery fails for that.
    """
    memory = io.BytesIO()
    rest = iter(pieces)
    for piece in rest:
        memory.write(piece)
        if memory.tell() > _MAX_IN_MEMORY:
            return _on_disk(memory.getvalue(), rest)
    memory.seek(0)
    return memory


def _on_disk(beginning: bytes, rest: Iterator[bytes]) -> BinaryIO:
    with ExitStack() as stack:
        try:
            # Unbuffered: when the disk is full, it is known how much was written.
            file = stack.enter_context(tempfile.TemporaryFile(buffering=0))
        except OSError:
            return _in_memory(chain((beginning,), rest))
        size = 0
        for piece in chain((beginning,), rest):
            try:
                _write(file, piece)
            except OSError:
                file.seek(0)
                return _in_memory(chain((file.read(size), piece), rest))
            size += len(piece)
        file.seek(0)
        stack.pop_all()
        return file


def _in_memory(pieces: Iterable[bytes]) -> BinaryIO:
    memory = io.BytesIO()
    memory.writelines(pieces)
    memory.seek(0)
    return memory


def _write(file: BinaryIO, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[file.write(left) :]
