"""The objects below one prefix in S3: read to a limit, and replaced only as they were seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from sweeper.aws.answers import required, text
from sweeper.aws.bucket import Bucket
from sweeper.aws.errors import translated
from sweeper.errors import OperationFailed
from sweeper.model import Reason

if TYPE_CHECKING:
    from sweeper.reading import Source

T = TypeVar("T")

_MISSING = "NoSuchKey"  # a missing bucket is no missing object


@dataclass(frozen=True, slots=True)
class Version:
    """An object as it was seen; `etag` is None where there was none."""

    etag: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class _Body:
    """An object's body; `lost` is called where it breaks off: it was not read."""

    def __init__(self, stream: Any, lost: Callable[[], object]) -> None:
        self._stream = stream
        self._lost = lost

    def read(self, size: int) -> bytes:
        """Raise OperationFailed where it cannot be read on."""
        try:
            with translated():
                content: bytes = self._stream.read(size)
        except OperationFailed:
            self._lost()
            raise
        return content


class Objects:
    """The objects below the prefix, by their name in it; every method raises OperationFailed."""

    def __init__(self, bucket: Bucket) -> None:
        """Calls nothing."""
        self.bucket = bucket
        self._seen: dict[str, Version] = {}

    def read(self, name: str, use: Callable[[Source], T]) -> T | None:
        """What `use` makes of the object's body; None where there is no object."""
        body = self._open(name)
        if body is None:
            return None
        with closing(body):
            return use(_Body(body, lambda: self._seen.pop(name, None)))

    def look(self, name: str) -> Version:
        """What lies there now, without its content."""
        body = self._open(name)
        if body is not None:
            body.close()
        return self._seen[name]

    def seen(self, name: str) -> Version | None:
        """What was there when it was last read or looked at; None where that did not succeed."""
        return self._seen.get(name)

    def replace(
        self,
        name: str,
        content: bytes,
        media_type: str = "application/json",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Write the object where it still is as it was last seen, or else where there is none.

        Where it is not, the reason is `Reason.CHANGED_MEANWHILE`.
        """
        version = self._seen.get(name)
        condition = {"IfMatch": version.etag} if version and version.etag else {"IfNoneMatch": "*"}
        try:
            self.bucket.put(name, content, media_type, Metadata=metadata or {}, **condition)
        except OperationFailed as error:
            if error.error_code == _MISSING:  # deleted meanwhile
                raise OperationFailed(Reason.CHANGED_MEANWHILE, error.message, _MISSING) from None
            raise

    def _open(self, name: str) -> Any:
        """The object's body, which must be closed; None where there is no object."""
        self._seen.pop(name, None)
        try:
            response = self.bucket.open(name)
        except OperationFailed as error:
            if error.error_code != _MISSING:
                raise
            self._seen[name] = Version()
            return None
        self._seen[name] = Version(text(response, "ETag"), response.get("Metadata", {}))
        return required(response, "Body")
