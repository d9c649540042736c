"""Files in a directory: report.json and the other formats, each replaced as a whole."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Self

from sweeper.domain.errors import ConfigurationError, OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.domain.report import may_have_changed, replaces_last
from sweeper.domain.report_model import Delivery, Report
from sweeper.engine.probe import DestinationProbe, run_probe
from sweeper.reporting.formats.base import Format
from sweeper.reporting.formats.json import FORMAT as JSON
from sweeper.reporting.sinks.base import Sink, SinkContext
from sweeper.storage import files
from sweeper.storage.history import lost_changes, store_history
from sweeper.storage.report_store import RunReports

_REPORT = "report.json"


class DirectorySink(Sink):
    """A sink that replaces files in a directory, each whole or not at all.

    A run that changed something also writes ``<run id>/report.json``, which no later run replaces,
    nor a process of the same run that lacks some of its changes. So does any run with
    `keeps_every`. Other runs remove that file when the files in the directory have been replaced.
    An apply, an undo, and a sweep that examined nothing write all files there: the directory itself
    has those of the last sweep. With `keeps_history` each run but a dry run also writes
    history.json.
    """

    name = "directory"
    keeps = True
    is_local = True
    latest = _REPORT

    def __init__(
        self,
        directory: Path,
        formats: Sequence[Format],
        name: str = "directory",
        *,
        keeps_history: bool = False,
        keeps_every: bool = False,
        under_id: bool = True,
    ) -> None:
        """Make a sink for a directory; without `under_id` it belongs to one run."""
        self.name = name
        self.location = str(directory)
        self.records = files.Directory(directory)
        self._directory = directory
        self._formats = formats
        self.keeps_history = keeps_history
        self._keeps_every = keeps_every
        self._under_id = under_id
        self._reports = RunReports(self._replace)
        self._written: set[str] = set()

    @classmethod
    def make(cls, context: SinkContext) -> Self | None:
        """Return the sink, where report.directory is set."""
        config = context.config.report
        if config.directory is None:
            return None
        return cls(
            config.directory,
            context.formats,
            keeps_history=config.s3 is None,
            keeps_every=config.evidence,  # which is verified against its own report
        )

    def store(self, report: Report) -> None:
        """Write report.json into the directory that is the run's own; raises OperationFailed."""
        self._put(report)

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """Write the files, and the directory where it is missing; raises OperationFailed."""
        is_apart = not replaces_last(report)
        keeps_own = self._keeps_every or may_have_changed(report) or is_apart
        if self._under_id and keeps_own:
            self.store(report)
        directory = self._directory / (self._folder(report) if is_apart else "")
        _make(directory)
        stem = "report"
        # JSON comes first: in a directory that is the run's own the others are named like it.
        for format_ in sorted(self._formats, key=lambda each: each is not JSON):
            if format_ is JSON and (is_apart or not self._under_id):
                stem = self._put(report)
            else:
                files.replace(directory / f"{stem}.{format_.extension}", format_.render(report))
        if self._under_id and not keeps_own:
            self._remove(report)
        note = None
        if self.keeps_history and not report.run.dry_run:
            note = store_history(self.records, report)
        self._reports.require_one()
        return Delivery(self.name, str(directory), "delivered", message=note)

    def file(self, report: Report, location: str) -> str | None:
        """Return where report.json stays of a run that changed something."""
        changed = may_have_changed(report)
        if not changed and JSON not in self._formats:
            return None
        own = self._under_id and changed and replaces_last(report)
        return str(Path(location, report.run.id if own else "", _REPORT))

    def probe(self) -> list[DestinationProbe]:
        """Probe whether the directory, or its nearest parent that exists, can be written."""
        answer = run_probe(lambda: _check_directory(self._directory))
        return [DestinationProbe("report.directory", self.location, "write", answer)]

    def _folder(self, report: Report) -> str:
        return f"{report.run.id}/" if self._under_id else ""

    def _put(self, report: Report) -> str:
        _make(self._directory / self._folder(report))
        return self._reports.put(self._folder(report), report)

    def _replace(self, name: str, report: Report) -> str | None:
        """Write the file, unless another process stored changes there that the report lacks."""
        if name not in self._written and (why := lost_changes(self.records, name, report)):
            return why
        self.records.replace(name, JSON.render(report))
        self._written.add(name)
        return None

    def _remove(self, report: Report) -> None:
        """Remove what `store` wrote, if this run changed nothing: the directory has it already.

        Files that an earlier process of the run stored, and other files, stay.
        """
        name = f"{self._folder(report)}{_REPORT}"
        if name in self._written:
            with suppress(OSError):
                (self._directory / name).unlink()
                (self._directory / report.run.id).rmdir()


def require_writable(directory: Path) -> None:
    """Make the directory if it is missing; raise ConfigurationError if it cannot be written.

    So a run fails before it calls or changes anything, and not when it has a report to store.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=directory):
            pass
    except (OSError, ValueError) as error:  # ValueError: no path has a NUL in it
        problem = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"report.directory: {directory}: {problem}") from None


def _make(directory: Path) -> None:
    with files.write_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)


def _check_directory(directory: Path) -> None:
    """Raise OperationFailed if the directory, or its nearest parent, cannot be written."""
    try:
        problem = _problem(directory)
    except (OSError, ValueError) as error:  # ValueError: no path has a NUL in it
        problem = f"{directory}: {getattr(error, 'strerror', None) or error}"
    if problem:
        raise OperationFailed(Reason.WRITE_FAILED, problem)


def _problem(directory: Path) -> str | None:
    """Return why the directory cannot be written, if so; raises OSError, ValueError."""
    nearest = next(path for path in (directory, *directory.absolute().parents) if _is_there(path))
    if not nearest.is_dir():
        return f"{nearest}: not a directory"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"{nearest}: not writable"
    longest = max(len(os.fsencode(part)) for part in directory.absolute().parts)
    if longest > os.pathconf(nearest, "PC_NAME_MAX"):
        return f"{directory}: {os.strerror(errno.ENAMETOOLONG)}"
    return None


def _is_there(path: Path) -> bool:
    """Tell whether the path exists, even as a broken link: no directory can be made in its place.

    Raises OSError, ValueError.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
