"""Files in a directory: report.json and so on, each whole or as it was before."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sweeper.errors import OperationFailed
from sweeper.formats import Format
from sweeper.model import Delivery, Reason, Report
from sweeper.sinks import SinkContext, rendered

ORDER = 1
_MODE = 0o644


class DirectorySink:
    """Writes each format to a temporary file beside its place, then moves it there."""

    keeps = True

    def __init__(self, directory: Path, formats: Sequence[Format], name: str = "directory") -> None:
        """Calls nothing."""
        self.name = name
        self.location = str(directory)
        self._directory = directory
        self._formats = formats

    def deliver(
        self,
        report: Report,
        so_far: Sequence[Delivery],  # noqa: ARG002 (for sinks whose turn is later)
    ) -> Delivery:
        """Write the files, and the directory where it is missing; raises OperationFailed."""
        with _write_errors(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
        for format_, content in rendered(report, self._formats):
            path = self._directory / f"report.{format_.extension}"
            with _write_errors(path):
                _replace(path, content)
        return Delivery(self.name, self.location, "delivered")


def make_sink(context: SinkContext) -> DirectorySink | None:
    """The sink, where report.directory is set."""
    directory = context.config.report.directory
    return DirectorySink(directory, context.formats) if directory else None


def _replace(path: Path, content: bytes) -> None:
    """Readers see the old file or the new one, never a part of it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    # Mode under the umask; exclusively, so that nothing that lies there is followed.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, type(error).__name__)
        raise OperationFailed(
            Reason.WRITE_FAILED, f"{path}: {error.strerror or error}", code
        ) from error
