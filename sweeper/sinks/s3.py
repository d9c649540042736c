"""Objects in S3: each run's report under its day and id, and latest.json."""

from __future__ import annotations

from collections.abc import Sequence

from sweeper.aws.bucket import Bucket
from sweeper.formats import Format
from sweeper.formats.json import FORMAT as JSON
from sweeper.model import Delivery, Report
from sweeper.sinks import SinkContext, rendered

ORDER = 2
LATEST = "latest.json"


class S3Sink:
    """Writes ``<prefix>/<day>/<run id>/report.<ext>``, then ``<prefix>/latest.json``."""

    name = "s3"
    keeps = True

    def __init__(self, bucket: Bucket, formats: Sequence[Format]) -> None:
        """Calls nothing."""
        self.location = bucket.location
        self._bucket = bucket
        self._formats = formats

    def deliver(
        self,
        report: Report,
        so_far: Sequence[Delivery],  # noqa: ARG002 (for sinks whose turn is later)
    ) -> Delivery:
        """Write the objects; raises OperationFailed.

        latest.json is moved last, when all the others are there, and never by a dry run.
        """
        folder = f"{report.run.started_at[:10]}/{report.run.id}"
        names = []
        for format_, body in rendered(report, self._formats):
            names.append(f"{folder}/report.{format_.extension}")
            self._bucket.put(names[-1], body, format_.media_type)
        if not report.run.dry_run:
            for format_, body in rendered(report, (JSON,)):
                self._bucket.put(LATEST, body, format_.media_type)
        name = next((name for name in names if name.endswith("/report.json")), names[0])
        return Delivery(self.name, self._bucket.at(name), "delivered")


def make_sink(context: SinkContext) -> S3Sink | None:
    """The sink, where report.s3 is set."""
    config = context.config.report.s3
    return S3Sink(Bucket(config, context.central), context.formats) if config else None
