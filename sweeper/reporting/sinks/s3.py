"""Objects in S3: each run's report under its day and id, latest.json and history.json."""

from __future__ import annotations

from collections.abc import Sequence

from sweeper.aws.s3 import Bucket
from sweeper.aws.s3_objects import Objects, Version
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.domain.report import may_have_changed
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.formats.base import Format
from sweeper.reporting.formats.json import FORMAT as JSON
from sweeper.reporting.sinks.base import SinkContext
from sweeper.storage.history import ATTEMPTS, is_time, lost_changes, started_at, store_history
from sweeper.storage.run_reports import RunReports

LATEST = "latest.json"
# What latest.json says beside its content, so that it need not be read to be judged.
_STARTED_AT = "started-at"


class S3Sink:
    """Writes ``<prefix>/<day>/<run id>/report.<ext>``, then moves ``<prefix>/latest.json`` on."""

    name = "s3"
    keeps = True
    latest = LATEST

    def __init__(self, bucket: Bucket, formats: Sequence[Format]) -> None:
        """Calls nothing."""
        self.location = bucket.location
        self.records = Objects(bucket)
        self._formats = formats
        self._reports = RunReports(self._replace)

    def store(self, report: Report) -> None:
        """Write the report's own objects, report.json alone where it is one of them."""
        formats = self._formats_of(report)
        self._put(report, (JSON,) if JSON in formats else formats)

    def deliver(
        self,
        report: Report,
        so_far: Sequence[Delivery],  # noqa: ARG002 (for sinks whose turn is later)
    ) -> Delivery:
        """Write the objects; raises OperationFailed.

        latest.json is moved when all the others are there, by a sweep only. Then the history is
        written. A dry run does neither.
        """
        names = self._put(report, self._formats_of(report))
        notes = []
        if not report.run.dry_run:
            if report.run.kind == "sweep":
                notes.append(self._move_latest(report))
            notes.append(store_history(self.records, report))
        self._reports.require_one()
        note = "; ".join(filter(None, notes)) or None
        return Delivery(self.name, self.records.bucket.at(names[0]), "delivered", message=note)

    def _formats_of(self, report: Report) -> Sequence[Format]:
        if JSON not in self._formats and may_have_changed(report):  # an undo needs it
            return (*self._formats, JSON)
        return self._formats

    def _put(self, report: Report, formats: Sequence[Format]) -> list[str]:
        """Write the report in these formats; the objects' names."""
        folder = f"{report.run.started_at[:10]}/{report.run.id}/"
        stem = "report"
        names = []
        # JSON comes first: the others are named like it.
        for format_ in sorted(formats, key=lambda each: each is not JSON):
            if format_ is JSON:
                stem = self._reports.put(folder, report)
            names.append(f"{folder}{stem}.{format_.extension}")
            if format_ is not JSON:
                self.records.bucket.put(names[-1], format_.render(report), format_.media_type)
        return names

    def _replace(self, name: str, report: Report) -> str | None:
        """Write the object, unless another process stored changes there that the report lacks.

        The first write has the condition that nothing is there, so that most runs read nothing.
        """
        for _ in range(ATTEMPTS):
            try:
                self.records.replace(name, JSON.render(report), JSON.media_type)
            except OperationFailed as error:
                if error.reason.is_denial and self.records.seen(name):
                    # If-Match needs s3:GetObject. What is there was written by this process.
                    self.records.bucket.put(name, JSON.render(report), JSON.media_type)
                elif error.reason is Reason.CONCURRENT_MODIFICATION:
                    if why := lost_changes(self.records, name, report):
                        return why
                    continue
                else:
                    raise
            return None
        return f"{name} was replaced by others again and again"

    def _move_latest(self, report: Report) -> str | None:
        """Replace latest.json where it was read, and is not of a later sweep; why not, in words.

        What could not be read may be later, and knows what is open where nobody could look since.
        """
        run = report.run
        about = {_STARTED_AT: run.started_at}
        for _ in range(ATTEMPTS):
            there = self.records.seen(LATEST)
            if there and self._started_at(there) > run.started_at:
                return f"{LATEST} was left as it is: it is of a sweep that started later"
            try:
                self.records.replace(LATEST, JSON.render(report), JSON.media_type, about)
            except OperationFailed as error:
                if error.reason is not Reason.CONCURRENT_MODIFICATION:
                    raise
                if there is None:
                    return f"{LATEST} was left as it is: what is there could not be read"
                self.records.look(LATEST)
                continue
            return None
        return f"{LATEST} was left as it is: other sweeps kept moving it"

    def _started_at(self, there: Version) -> str:
        """When the sweep of the report that is there started; "" where nothing says so.

        The report itself is asked where it was put there by others, without what this sink adds.
        """
        said = there.metadata.get(_STARTED_AT, "")
        if is_time(said) or there.etag is None:
            return said
        return started_at(self.records, LATEST) or ""


def make_sink(context: SinkContext) -> S3Sink | None:
    """The sink, where report.s3 is set."""
    config = context.config.report.s3
    return S3Sink(Bucket(config, context.central), context.formats) if config else None
