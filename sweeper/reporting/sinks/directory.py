"""Files in a directory: report.json and so on, each whole or as it was before."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sweeper.domain.report import may_have_changed
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.formats.base import Format
from sweeper.reporting.formats.json import FORMAT as JSON
from sweeper.reporting.sinks.base import SinkContext
from sweeper.storage import files
from sweeper.storage.history import lost_changes, store_history
from sweeper.storage.run_reports import RunReports

LATEST = "report.json"


class DirectorySink:
    """Writes each format to a temporary file beside its place, then moves it there.

    Of a run that changed something there is ``<run id>/report.json``, too, which no later run
    replaces, and no process of the same run that lacks some of its changes; of any other one only
    until the files that it replaces have been read, unless it is one of `keeps_every`. All files of
    an apply or an undo lie there: those of the last sweep stay. With `keeps_history` history.json
    too, but in dry runs.
    """

    keeps = True
    latest = LATEST

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
        """Calls nothing. Not `under_id`: the directory is one run's own."""
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

    def store(self, report: Report) -> None:
        """Write report.json into the directory that is the run's own; raises OperationFailed."""
        self._put(report)

    def deliver(
        self,
        report: Report,
        so_far: Sequence[Delivery],  # noqa: ARG002 (for sinks whose turn is later)
    ) -> Delivery:
        """Write the files, and the directory where it is missing; raises OperationFailed."""
        is_apart = report.run.kind != "sweep"  # only a sweep replaces the report of the last one
        keeps_own = self._keeps_every or may_have_changed(report) or is_apart
        if self._under_id and keeps_own:
            self.store(report)
        place = self._directory / (self._folder(report) if is_apart else "")
        _make(place)
        stem = "report"
        # JSON comes first: in a directory that is the run's own the others are named like it.
        for format_ in sorted(self._formats, key=lambda each: each is not JSON):
            if format_ is JSON and (is_apart or not self._under_id):
                stem = self._put(report)
            else:
                files.replace(place / f"{stem}.{format_.extension}", format_.render(report))
        if self._under_id and not keeps_own:
            self._remove(report)
        note = None
        if self.keeps_history and not report.run.dry_run:
            note = store_history(self.records, report)
        self._reports.require_one()
        return Delivery(self.name, str(place), "delivered", message=note)

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
        """Remove what `store` wrote of a run that changed nothing: it is in the directory itself.

        What an earlier process of the run stored stays, and what lies beside it.
        """
        name = f"{self._folder(report)}{LATEST}"
        if name in self._written:
            with suppress(OSError):
                (self._directory / name).unlink()
                (self._directory / report.run.id).rmdir()


def _make(directory: Path) -> None:
    with files.write_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)


def make_sink(context: SinkContext) -> DirectorySink | None:
    """The sink, where report.directory is set."""
    config = context.config.report
    if config.directory is None:
        return None
    return DirectorySink(
        config.directory,
        context.formats,
        keeps_history=config.s3 is None,
        keeps_every=config.evidence,  # which is verified against its own report
    )
