"""Objects in S3: each run's report under its day and id, and latest.json."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sweeper.aws.errors import translated
from sweeper.config import S3Config
from sweeper.formats import Format
from sweeper.formats.json import FORMAT as JSON
from sweeper.model import Delivery, Report
from sweeper.sinks import SinkContext, rendered

ORDER = 2
LATEST = "latest.json"


class S3Sink:
    """Writes ``<prefix>/<day>/<run id>/report.<ext>``, then ``<prefix>/latest.json``."""

    name = "s3"

    def __init__(
        self,
        config: S3Config,
        formats: Sequence[Format],
        central: Callable[[str, str | None], Any],
    ) -> None:
        """Calls nothing."""
        self.location = f"s3://{config.bucket}/{config.prefix}"
        self._config = config
        self._formats = formats
        self._central = central

    def deliver(
        self,
        report: Report,
        so_far: Sequence[Delivery],  # noqa: ARG002 (for sinks whose turn is later)
    ) -> Delivery:
        """Write the objects; raises OperationFailed.

        latest.json is moved last, when all the others are there, and never by a dry run.
        """
        with translated():
            client = self._central("s3", None)
        folder = f"{report.run.started_at[:10]}/{report.run.id}"
        keys = []
        for format_, body in rendered(report, self._formats):
            keys.append(self._key(f"{folder}/report.{format_.extension}"))
            self._put(client, keys[-1], body, format_)
        if not report.run.dry_run:
            for format_, body in rendered(report, (JSON,)):
                self._put(client, self._key(LATEST), body, format_)
        key = next((key for key in keys if key.endswith("/report.json")), keys[0])
        return Delivery(self.name, f"s3://{self._config.bucket}/{key}", "delivered")

    def _key(self, name: str) -> str:
        return f"{self._config.prefix}/{name}" if self._config.prefix else name

    def _put(self, client: Any, key: str, body: bytes, format_: Format) -> None:
        encryption = {}
        if self._config.kms_key_id:
            encryption = {
                "ServerSideEncryption": "aws:kms",
                "SSEKMSKeyId": self._config.kms_key_id,
            }
        with translated():
            client.put_object(
                Bucket=self._config.bucket,
                Key=key,
                Body=body,
                ContentType=format_.media_type,
                **encryption,
            )


def make_sink(context: SinkContext) -> S3Sink | None:
    """The sink, where report.s3 is set."""
    config = context.config.report.s3
    return S3Sink(config, context.formats, context.central) if config else None
