"""Objects in S3: each run's report under its day and id, latest.json and history.json."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Self

from sweeper.aws.client.errors import translate_errors
from sweeper.aws.s3 import NONEXISTENT_ETAG, Bucket, Objects, Version
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.domain.report import may_have_changed, replaces_last
from sweeper.domain.report_model import Delivery, Report
from sweeper.engine.probe import (
    DestinationProbe,
    Hints,
    ProbeResult,
    ProbeStatus,
    expect_error,
    nonexistent_name,
    run_probe,
)
from sweeper.reporting.formats.base import Format
from sweeper.reporting.formats.json import FORMAT as JSON
from sweeper.reporting.sinks.base import KEY_ACTIONS, Sink, SinkContext
from sweeper.storage.history import ATTEMPTS, lost_changes, started_at, store_history
from sweeper.storage.record_reader import is_time
from sweeper.storage.report_store import RunReports

_LATEST = "latest.json"
# Metadata of latest.json, so that it need not be read to be compared.
_STARTED_AT = "started-at"
_ARN = re.compile(r"arn:[^:]*:kms:(?P<region>[^:]+):")
_KEY_USE = "kms:GenerateDataKey"
_HINTS = Hints(
    missing="create the bucket (the central stack does: docs/deploy.md), or correct "
    "report.s3.bucket",
    denied="allow the caller {actions}: s3:ListBucket on the bucket, the others below the prefix, "
    "in its IAM policy, and in the bucket's where that is another account's",
    link="https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html",
)
_KEY_HINTS = Hints(
    missing="correct report.s3.kms_key_id: there is no such key in its region",
    denied="allow the caller kms:GenerateDataKey and kms:Decrypt, in its IAM policy and in the "
    "key's",
    link="https://docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html",
    failed="enable the key, or name another: report.s3.kms_key_id",
    unknown="nothing to do: the first delivery shows it. It needs kms:GenerateDataKey and "
    "kms:Decrypt by way of S3",
)


class S3Sink(Sink):
    """A sink that writes ``<prefix>/<day>/<run id>/report.<ext>`` and ``<prefix>/latest.json``."""

    name = "s3"
    keeps = True
    takes_events = True
    latest = _LATEST
    actions = frozenset({"s3:GetObject", "s3:ListBucket", "s3:PutObject", *KEY_ACTIONS})

    def __init__(self, bucket: Bucket, formats: Sequence[Format]) -> None:
        self.location = bucket.location
        self.records = Objects(bucket)
        self._formats = formats
        self._reports = RunReports(self._replace)

    @classmethod
    def make(cls, context: SinkContext) -> Self | None:
        """Return the sink, where report.s3 is set."""
        config = context.config.report.s3
        return cls(Bucket(config, context.central), context.formats) if config else None

    def store(self, report: Report) -> None:
        """Write report.json, or without that format the report's other objects."""
        formats = self._formats_of(report)
        self._put(report, (JSON,) if JSON in formats else formats)

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """Write the objects; raises OperationFailed.

        latest.json is replaced after all others, by a sweep that examined something. Then the
        history is written. A dry run does neither.
        """
        names = self._put(report, self._formats_of(report))
        notes = []
        if not report.run.dry_run:
            if replaces_last(report):
                notes.append(self._move_latest(report))
            notes.append(store_history(self.records, report))
        self._reports.require_one()
        note = "; ".join(filter(None, notes)) or None
        return Delivery(self.name, self.records.bucket.at(names[0]), "delivered", message=note)

    def file(self, report: Report, location: str) -> str | None:
        """Return the location: a delivery names the object of report.json."""
        return location if JSON in self._formats_of(report) else None

    def probe(self) -> Iterator[DestinationProbe]:
        """Probe the bucket, reading and writing below the prefix, and the use of the key."""
        bucket = self.records.bucket
        found: dict[str, str] = {}

        @translate_errors()
        def head_bucket() -> None:
            answer = bucket.central("s3", None).head_bucket(Bucket=bucket.config.bucket)
            found["region"] = answer.get("BucketRegion", "")

        def of_bucket(action: str, answer: ProbeResult) -> DestinationProbe:
            return DestinationProbe("report.s3.bucket", bucket.location, action, answer, _HINTS)

        answer = run_probe(head_bucket)
        yield of_bucket("s3:ListBucket", answer)
        if answer.reason is Reason.DESTINATION_MISSING:
            return
        yield of_bucket("s3:GetObject", run_probe(lambda: _read(bucket)))
        written = run_probe(lambda: _try_to_put(bucket))
        # This is the error of S3 if the caller may not use the key, or if there is no such key.
        of_the_key = _KEY_USE in written.message or (written.error_code or "").startswith("KMS.")
        if not of_the_key:
            yield of_bucket("s3:PutObject", written)
        if (kms_key := bucket.config.kms_key_id) is not None:
            answer = _key(kms_key, found.get("region"), bucket)
            if of_the_key and answer.answer is not ProbeStatus.FAILED:
                answer = written
            yield DestinationProbe("report.s3.kms_key_id", kms_key, _KEY_USE, answer, _KEY_HINTS)
        elif of_the_key:
            yield of_bucket(_KEY_USE, written)

    def _formats_of(self, report: Report) -> Sequence[Format]:
        if JSON not in self._formats and may_have_changed(report):  # an undo needs it
            return (*self._formats, JSON)
        return self._formats

    def _put(self, report: Report, formats: Sequence[Format]) -> list[str]:
        """Write the report in these formats, and return the names of the objects."""
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

        Return why it was not written. The first write requires that nothing is there, so that most
        runs read nothing.
        """
        for _ in range(ATTEMPTS):
            try:
                self.records.replace(name, JSON.render(report), JSON.media_type)
            except OperationFailed as error:
                if error.reason.is_denial and self.records.last_version(name):
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
        """Replace latest.json, unless it is of a later sweep; return why it was not replaced.

        An object that could not be read may be of a later sweep, with findings that only it has.
        """
        run = report.run
        metadata = {_STARTED_AT: run.started_at}
        for _ in range(ATTEMPTS):
            current = self.records.last_version(_LATEST)
            if current and self._started_at(current) > run.started_at:
                return f"{_LATEST} was left as it is: it is of a sweep that started later"
            try:
                self.records.replace(_LATEST, JSON.render(report), JSON.media_type, metadata)
            except OperationFailed as error:
                if error.reason is not Reason.CONCURRENT_MODIFICATION:
                    raise
                if current is None:
                    return f"{_LATEST} was left as it is: what is there could not be read"
                self.records.read_version(_LATEST)
                continue
            return None
        return f"{_LATEST} was left as it is: other sweeps kept moving it"

    def _started_at(self, current: Version) -> str:
        """Return when the sweep of the stored report started; "" where that is not known.

        The report itself is read if others put it there, without the metadata of this sink.
        """
        time = current.metadata.get(_STARTED_AT, "")
        if is_time(time) or current.etag is None:
            return time
        return started_at(self.records, _LATEST) or ""


def _read(bucket: Bucket) -> None:
    """Read an object that cannot exist; a sweep reads latest.json, history.json and lease.json.

    Without s3:ListBucket S3 denies access to an object that does not exist.
    """
    expect_error("NoSuchKey", lambda: bucket.open(nonexistent_name()))


def _try_to_put(bucket: Bucket) -> None:
    """Write on a condition that cannot hold, so that nothing is ever stored.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    name = nonexistent_name()
    try:
        bucket.put(name, (), "application/json", IfMatch=NONEXISTENT_ETAG)
    except OperationFailed as error:
        if error.error_code != "NoSuchKey" and error.reason is not Reason.CONCURRENT_MODIFICATION:
            raise
        return
    raise OperationFailed(
        Reason.UNEXPECTED_RESPONSE,
        "the store ignores conditional writes (If-Match), without which two sweeps could write at "
        f"once: it stored {bucket.at(name)}, which is empty: remove it, and use another store",
    )


def _key(kms_key: str, region: str | None, bucket: Bucket) -> ProbeResult:
    """Probe the use of the key.

    https://docs.aws.amazon.com/kms/latest/developerguide/testing-permissions.html
    """
    if arn := _ARN.match(kms_key):  # else it is a key id, or an alias
        region = arn["region"]
    if not region:  # elsewhere there may be no such key
        return ProbeResult(
            ProbeStatus.NOT_KNOWN, message="it is not known in which region the bucket is"
        )

    @translate_errors()
    def generate() -> None:
        kms = bucket.central("kms", region)
        kms.generate_data_key(KeyId=kms_key, KeySpec="AES_256", DryRun=True)

    return run_probe(
        lambda: expect_error("DryRunOperationException", generate),
        # kms:ViaService, in the key's policy or the caller's, lets only S3 use it for the caller.
        if_denied="the key may be used by way of S3 only, which cannot be tried",
    )
