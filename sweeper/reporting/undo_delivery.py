"""Where an undo's report goes: beside the sweeps' reports, and never in the place of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sweeper.aws.s3 import Bucket
from sweeper.domain.json_encoding import document
from sweeper.domain.report_model import Delivery
from sweeper.domain.undo_report import UndoReport
from sweeper.reporting.formats.json import FORMAT as JSON
from sweeper.storage import files

NAME = "undo.json"


class UndoDirectory:
    """Writes ``undo.json`` into a directory, whole or not at all."""

    keeps = True

    def __init__(self, directory: Path, name: str = "directory") -> None:
        """Calls nothing."""
        self.name = name
        self.location = str(directory)
        self._directory = directory

    def deliver(
        self,
        report: UndoReport,
        so_far: Sequence[Delivery],  # noqa: ARG002 (for sinks whose turn is later)
    ) -> Delivery:
        """Write the file, and the directory where it is missing; raises OperationFailed."""
        with files.write_errors(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
        files.replace(self._directory / NAME, document(report))
        return Delivery(self.name, self.location, "delivered")


class UndoBucket:
    """Writes ``<prefix>/<day>/<run id>/undo.json``; latest.json and the history stay."""

    name = "s3"
    keeps = True

    def __init__(self, bucket: Bucket) -> None:
        """Calls nothing."""
        self.location = bucket.location
        self._bucket = bucket

    def deliver(
        self,
        report: UndoReport,
        so_far: Sequence[Delivery],  # noqa: ARG002 (for sinks whose turn is later)
    ) -> Delivery:
        """Write the object; raises OperationFailed."""
        name = f"{report.run.started_at[:10]}/{report.run.id}/{NAME}"
        self._bucket.put(name, document(report), JSON.media_type)
        return Delivery(self.name, self._bucket.at(name), "delivered")
