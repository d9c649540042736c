"""The journal's file: appended to by one process at a time, never written again after an error."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from sweeper.domain.errors import ConfigurationError, OperationFailed
from sweeper.domain.masking import mask
from sweeper.domain.reasons import Reason

_MODE = 0o600  # what is in it is nobody else's business


class JournalFile:
    """An open journal. `append` may be called by any thread."""

    def __init__(self, path: Path, *, new: bool) -> None:
        """Open and lock the file, made here when it is `new`.

        Raises ConfigurationError where another process writes it, and OSError where the file cannot
        be opened.
        """
        self.path = path
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(path, flags | (os.O_CREAT | os.O_EXCL if new else 0), _MODE)
        self._lock = Lock()
        self._broken: OSError | None = None
        try:
            # A new one is looked at by others for a moment at most; see `is_busy`.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | (0 if new else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(self._descriptor)
            raise ConfigurationError(f"{path}: the run that writes it is still going on") from None

    def reader(self) -> BinaryIO:
        """Open the locked file from its beginning, whatever its name leads to by now."""
        return open(self._descriptor, "rb", closefd=False)

    def truncate(self, size: int) -> None:
        """Forget what follows `size` bytes: a line that was not written to its end."""
        os.ftruncate(self._descriptor, size)

    def append(self, lines: bytes, *, durable: bool = False) -> None:
        """Write whole lines; `durable` ones are on the disk on return. Raises OperationFailed."""
        lines = mask(lines)
        try:
            with self._lock:
                if self._broken:  # a line that is torn in the middle must not be followed by others
                    raise self._broken
                try:
                    self._write(lines)
                except OSError as error:
                    self._broken = error
                    raise
            if durable:
                os.fsync(self._descriptor)
        except OSError as error:
            self._broken = error
            raise OperationFailed(
                Reason.JOURNAL_UNAVAILABLE, f"{self.path}: {error.strerror or error}"
            ) from None

    def _write(self, lines: bytes) -> None:
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def close(self, *, remove: bool) -> None:
        """End writing, and remove the file where nobody needs it any more."""
        if remove:
            with suppress(OSError):
                self.path.unlink()
        os.close(self._descriptor)


def is_busy(path: Path) -> bool:
    """Tell whether a process writes the journal."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
