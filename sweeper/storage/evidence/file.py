"""The evidence file: whole gzip members are appended, so a killed process leaves it readable."""

from __future__ import annotations

import errno
import gzip
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from threading import Lock

from sweeper.domain.errors import OperationFailed
from sweeper.domain.masking import mask
from sweeper.domain.reasons import Reason

NAME = "evidence.jsonl.gz"
_MODE = 0o600  # for the owner alone
_PIECE = 32_768  # bytes of lines that are compressed together
_MAX_LINE = 1_000_000  # bytes
_GZIP = 31  # zlib's wbits for a gzip member


class CompressedLines:
    """Compress lines piece by piece, so that a large registry costs little memory."""

    def __init__(self) -> None:
        self._lines = bytearray()
        self._members: list[bytes] = []

    def add(self, line: bytes) -> None:
        """Add a line with its end."""
        self._lines += line
        if len(self._lines) >= _PIECE:
            self._compress()

    def take(self) -> bytes:
        """Return all lines as gzip members, and forget them."""
        if self._lines:
            self._compress()
        members, self._members = self._members, []
        return b"".join(members)

    def _compress(self) -> None:
        compressor = zlib.compressobj(wbits=_GZIP)
        # Lines are masked here, because nothing can be masked once it is compressed.
        member = compressor.compress(mask(bytes(self._lines))) + compressor.flush()
        self._members.append(member)
        self._lines.clear()


class EvidenceFile:
    """A file that any thread appends to, and that is delivered when the run has ended.

    Without a `path` it is a temporary file without a name. The first error ends all writing; only
    `delivery` raises it.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = Lock()
        self._stream: FileIO | None = None
        self._error: OperationFailed | None = None

    @property
    def is_whole(self) -> bool:
        """Whether everything that was appended is in the file."""
        return self._error is None

    def create(self, fill: Callable[[], None]) -> None:
        """Create the file, and let `fill` append its beginning, perhaps from the old file."""
        with self._errors():
            if self.path is None:
                self._stream = tempfile.TemporaryFile("w+b", 0)  # noqa: SIM115 (see `close`)
                fill()
                return
            new = self.path.with_name(f"{self.path.name}.new")
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            self._stream = os.fdopen(os.open(new, flags, _MODE), "r+b", buffering=0)
            fill()
            new.replace(self.path)

    def append(self, members: bytes) -> None:
        """Append complete gzip members; raise nothing."""
        with self._lock, self._errors():
            if self._stream and self._error is None:
                rest = memoryview(members)
                while rest:
                    rest = rest[self._stream.write(rest) :]

    @contextmanager
    def delivery(self) -> Iterator[FileIO]:
        """Yield the file at its beginning. Raises OperationFailed.

        The error of a delivery that fails inside names the file, if it has a path.
        """
        if self._error:
            raise self._error
        if self._stream is None:
            raise OperationFailed(Reason.WRITE_FAILED, "the evidence was never begun")
        self._stream.seek(0)
        try:
            yield self._stream
        except OperationFailed as error:
            if self.path is None:
                raise
            message = f"{error.message}; the evidence is stored in {self.path}"
            raise OperationFailed(error.reason, message, error.error_code) from None

    def close(self) -> None:
        """Close the file; one without a name is deleted."""
        if self._stream:
            self._stream.close()
            self._stream = None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = self.path or _temporary_directory()
            code = errno.errorcode.get(error.errno or 0, type(error).__name__)
            message = f"the evidence cannot be written: {where}: {error.strerror or error}"
            self._error = self._error or OperationFailed(Reason.WRITE_FAILED, message, code)


def evidence_path(journal: Path) -> Path:
    """Return the path of a run's evidence, beside its journal."""
    return journal.with_name(f"{journal.stem}.{NAME}")


def remove_evidence(journal: Path) -> None:
    """Remove the evidence beside a journal, if there is any."""
    with suppress(OSError):
        evidence_path(journal).unlink()


def read_lines(path: Path | None) -> Iterator[bytes]:
    """Yield the complete lines of the file, as far as it can be read."""
    if path is None:
        return
    with suppress(OSError, EOFError, zlib.error):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as stream, gzip.open(stream) as lines:
            while (line := lines.readline(_MAX_LINE)).endswith(b"\n"):
                yield line


def _temporary_directory() -> str:
    with suppress(OSError):
        return tempfile.gettempdir()
    return "no directory for temporary files"
