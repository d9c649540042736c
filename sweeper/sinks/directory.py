"""Files in a directory: report.json and so on, each whole or as it was before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sweeper import files
from sweeper.formats import Format
from sweeper.model import Delivery, Report
from sweeper.records import keep_history
from sweeper.sinks import SinkContext, rendered

ORDER = 1
LATEST = "report.json"


class DirectorySink:
    """Writes each format to a temporary file beside its place, then moves it there.

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
    ) -> None:
        """Calls nothing."""
        self.name = name
        self.location = str(directory)
        self.records = files.Directory(directory)
        self._directory = directory
        self._formats = formats
        self.keeps_history = keeps_history

    def deliver(
        self,
        report: Report,
        so_far: Sequence[Delivery],  # noqa: ARG002 (for sinks whose turn is later)
    ) -> Delivery:
        """Write the files, and the directory where it is missing; raises OperationFailed."""
        with files.write_errors(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
        for format_, content in rendered(report, self._formats):
            files.replace(self._directory / f"report.{format_.extension}", content)
        note = None
        if self.keeps_history and not report.run.dry_run:
            note = keep_history(self.records, report)
        return Delivery(self.name, self.location, "delivered", message=note)


def make_sink(context: SinkContext) -> DirectorySink | None:
    """The sink, where report.directory is set."""
    config = context.config.report
    if config.directory is None:
        return None
    return DirectorySink(config.directory, context.formats, keeps_history=config.s3 is None)
