"""The evidence as an object in S3, beside the report of its run."""

from __future__ import annotations

from collections.abc import Sequence

from sweeper.aws.s3 import Bucket
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.sinks.base import SinkContext
from sweeper.storage.evidence.file import EvidenceFile
from sweeper.storage.run_state import evidence_name


class EvidenceS3Sink:
    """Uploads the evidence to ``<prefix>/<day>/<run id>/evidence.jsonl.gz``."""

    name = "s3_evidence"
    keeps = False

    def __init__(self, bucket: Bucket, evidence: EvidenceFile) -> None:
        """Calls nothing."""
        self.location = bucket.location
        self._bucket = bucket
        self._evidence = evidence

    def deliver(
        self,
        report: Report,
        so_far: Sequence[Delivery],  # noqa: ARG002 (for sinks whose turn is later)
    ) -> Delivery:
        """Upload the file; raises OperationFailed."""
        name = evidence_name(report.run.id)
        with self._evidence.delivery() as content:
            self._bucket.upload(name, content, "application/gzip")
        return Delivery(self.name, self._bucket.at(name), "delivered")


def make_sink(context: SinkContext) -> EvidenceS3Sink | None:
    """The sink, where evidence is stored and report.s3 is set."""
    config = context.config.report.s3
    if context.evidence is None or config is None:
        return None
    return EvidenceS3Sink(Bucket(config, context.central), context.evidence)
