"""Files in a directory: report.json and so on, each whole or as it was before."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sweeper.domain.report import may_have_changed
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.formats import Format
from sweeper.reporting.formats.json import FORMAT as JSON
from sweeper.reporting.sinks import SinkContext, rendered
from sweeper.storage import files
from sweeper.storage.history import store_history

ORDER = 1
LATEST = "report.json"


class DirectorySink:
    """Writes each format to a temporary file beside its place, then moves it there.

    Of a run that changed something there is ``<run id>/report.json``, too, which no later run
    replaces; of any other one only until the files that it replaces have been read, unless it is
    one of `keeps_every`. All files of an apply or an undo lie there: those of the last sweep stay.
    With `keeps_history` history.json too, but in dry runs.
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

    def _own(self, report: Report) -> Path:
        return self._directory / report.run.id if self._under_id else self._directory

    def store(self, report: Report) -> None:
        """Write report.json into the directory that is the run's own; raises OperationFailed."""
        own = self._own(report)
        with files.write_errors(own):
            own.mkdir(parents=True, exist_ok=True)
        ((_, content),) = rendered(report, (JSON,))
        files.replace(own / LATEST, content)

    def deliver(
        self,
        report: Report,
        so_far: Sequence[Delivery],  # noqa: ARG002 (for sinks whose turn is later)
    ) -> Delivery:
        """Write the files, and the directory where it is missing; raises OperationFailed."""
        own = self._own(report)
        # Only a sweep replaces the report of the last sweep.
        place = self._directory if report.run.kind == "sweep" else own
        keeps_own = self._keeps_every or may_have_changed(report) or place == own
        if self._under_id and keeps_own:
            self.store(report)
        else:
            with files.write_errors(self._directory):
                self._directory.mkdir(parents=True, exist_ok=True)
        for format_, content in rendered(report, self._formats):
            files.replace(place / f"report.{format_.extension}", content)
        if self._under_id and not keeps_own:
            with suppress(OSError):
                (own / LATEST).unlink()
                own.rmdir()
        note = None
        if self.keeps_history and not report.run.dry_run:
            note = store_history(self.records, report)
        return Delivery(self.name, str(place), "delivered", message=note)


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
