"""The evidence as an object in S3, beside the report of its run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from sweeper.aws.s3 import Bucket
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.sinks.base import KEY_ACTIONS, Sink, SinkContext
from sweeper.storage.evidence.file import EvidenceFile
from sweeper.storage.run_state import evidence_name


class EvidenceS3Sink(Sink):
    """Uploads the evidence to ``<prefix>/<day>/<run id>/evidence.jsonl.gz``."""

    name = "s3_evidence"
    content = "evidence"
    actions = frozenset({"s3:PutObject", *KEY_ACTIONS})

    def __init__(self, bucket: Bucket, evidence: EvidenceFile) -> None:
        """Calls nothing."""
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
