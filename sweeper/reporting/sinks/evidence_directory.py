"""The evidence as a file in the directory of its run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.sinks.base import Sink, SinkContext
from sweeper.storage import files
from sweeper.storage.evidence.file import NAME, EvidenceFile


class EvidenceDirectorySink(Sink):
    """Copies the evidence to ``<run id>/evidence.jsonl.gz``."""

    name = "directory_evidence"
    content = "evidence"
    is_local = True

    def __init__(self, directory: Path, evidence: EvidenceFile) -> None:
        """Calls nothing."""
        self.location = str(directory)
        self._directory = directory
        self._evidence = evidence

    @classmethod
    def make(cls, context: SinkContext) -> Self | None:
        """Return the sink, where evidence is stored and report.directory is set."""
        directory, evidence = context.config.report.directory, context.evidence
        return cls(directory, evidence) if directory and evidence else None

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """Copy the file; raises OperationFailed."""
        path = self._directory / report.run.id / NAME
        with self._evidence.delivery() as content:
            with files.write_errors(path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)
            files.copy(content, path)
        return Delivery(self.name, str(path), "delivered")
