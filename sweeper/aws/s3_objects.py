"""The objects below one prefix in S3: read to a limit, and replaced only as they were seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from sweeper.aws.client.answers import require, require_str
from sweeper.aws.s3 import Bucket, read_through
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason

if TYPE_CHECKING:
    from sweeper.engine.ports import Source

T = TypeVar("T")

_MISSING = "NoSuchKey"  # a missing bucket is no missing object


@dataclass(frozen=True, slots=True)
class Version:
    """An object as it was seen; `etag` is None where there was none."""

    etag: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class Objects:
    """The objects below the prefix, by their name in it; every method raises OperationFailed."""

    def __init__(self, bucket: Bucket) -> None:
        """Calls nothing."""
        self.bucket = bucket
        self._seen: dict[str, Version] = {}

    def read(self, name: str, use: Callable[[Source], T]) -> T | None:
        """What `use` makes of the object's body; None where there is no object."""
        try:
            _, made = read_through(lambda: self._open(name), use)
        except OperationFailed as error:
            if error.error_code == _MISSING:
                return None
            # What was not read whole must not be replaced as if it were.
            self._seen.pop(name, None)
            raise
        return made

    def look(self, name: str) -> Version:
        """What lies there now, without its content."""
        try:
            require(self._open(name), "Body").close()
        except OperationFailed as error:
            if error.error_code != _MISSING:
                raise
        return self._seen[name]

    def seen(self, name: str) -> Version | None:
        """What was there when it was last read or looked at; None where that did not succeed."""
        return self._seen.get(name)

    def replace(
        self,
        name: str,
        pieces: Iterable[bytes],
        media_type: str = "application/json",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Write the object if it is still as it was last seen or written here, or if there is none.

        Where it is not, the reason is `Reason.CONCURRENT_MODIFICATION`.
        """
        version = self._seen.get(name)
        condition = {"IfMatch": version.etag} if version and version.etag else {"IfNoneMatch": "*"}
        try:
            etag = self.bucket.put(name, pieces, media_type, Metadata=metadata or {}, **condition)
        except OperationFailed as error:
            if error.error_code == _MISSING:  # deleted meanwhile
                self._seen[name] = Version()
                reason = Reason.CONCURRENT_MODIFICATION
                raise OperationFailed(reason, error.message, _MISSING) from None
            raise
        self._seen[name] = Version(etag, metadata or {})

    def _open(self, name: str) -> Any:
        """S3's answer, whose Body must be closed; raises OperationFailed where there is none."""
        self._seen.pop(name, None)
        try:
            response = self.bucket.open(name)
        except OperationFailed as error:
            if error.error_code == _MISSING:
                self._seen[name] = Version()
            raise
        self._seen[name] = Version(require_str(response, "ETag"), response.get("Metadata", {}))
        return response
