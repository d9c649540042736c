"""The evidence of a run as a file in its directory, and as an object in S3 beside its report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from sweeper.aws.s3 import Bucket
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.sinks.base import KEY_ACTIONS, Sink, SinkContext
from sweeper.storage import files
from sweeper.storage.evidence.file import NAME, EvidenceFile
from sweeper.storage.run_state import evidence_name


class EvidenceDirectorySink(Sink):
    """A sink that copies the evidence to ``<run id>/evidence.jsonl.gz``."""

    name = "directory_evidence"
    content = "evidence"
    is_local = True

    def __init__(self, directory: Path, evidence: EvidenceFile) -> None:
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


class EvidenceS3Sink(Sink):
    """A sink that uploads the evidence to ``<prefix>/<day>/<run id>/evidence.jsonl.gz``."""

    name = "s3_evidence"
    content = "evidence"
    actions = frozenset({"s3:PutObject", *KEY_ACTIONS})

    def __init__(self, bucket: Bucket, evidence: EvidenceFile) -> None:
        self.location = bucket.location
        self._bucket = bucket
        self._evidence = evidence

    @classmethod
    def make(cls, context: SinkContext) -> Self | None:
        """Return the sink, where evidence is stored and report.s3 is set."""
        config, evidence = context.config.report.s3, context.evidence
        return cls(Bucket(config, context.central), evidence) if config and evidence else None

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """Upload the file; raises OperationFailed."""
        name = evidence_name(report.run.id)
        with self._evidence.delivery() as content:
            self._bucket.upload(name, content, "application/gzip")
        return Delivery(self.name, self._bucket.at(name), "delivered")
