"""Whether the report's destinations would accept it, asked as the caller, and nothing written."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.aws.client.errors import translate_errors
from sweeper.aws.probes import nonexistent_name
from sweeper.aws.s3 import NOBODYS_ETAG, Bucket
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.engine.probe import (
    DestinationProbe,
    ProbeResult,
    ProbeStatus,
    run_probe,
    unknown_probe,
)

if TYPE_CHECKING:
    from sweeper.config.schema import Config

_ARN = re.compile(r"arn:[^:]*:kms:(?P<region>[^:]+):")
_KEY_USE = "kms:GenerateDataKey"
Central = Callable[[str, str | None], Any]  # makes a client: (service, region or None)


def questions(config: Config, central: Central) -> list[Callable[[], list[DestinationProbe]]]:
    """What there is to ask, a function for each destination; each raises nothing."""
    report = config.report
    asked: list[Callable[[], list[DestinationProbe]]] = []
    if (directory := report.directory) is not None:
        asked.append(lambda: [_directory(directory)])
    if report.s3:
        bucket = Bucket(report.s3, central)
        asked.append(lambda: list(_bucket(bucket, central)))
    if topic := report.sns_topic_arn:
        asked.append(lambda: [_topic(topic, central)])
    if report.security_hub:
        region = report.security_hub.region
        asked.append(lambda: [_security_hub(region, central)])
    return asked


def _directory(directory: Path) -> DestinationProbe:
    answer = run_probe(lambda: _check_directory(directory))
    return DestinationProbe("report.directory", str(directory), "write", answer)


def _check_directory(directory: Path) -> None:
    """Raise OperationFailed where it, or the directory in which it is made, cannot be written."""
    try:
        problem = _problem(directory)
    except (OSError, ValueError) as error:  # ValueError: no path has a NUL in it
        problem = f"{directory}: {getattr(error, 'strerror', None) or error}"
    if problem:
        raise OperationFailed(Reason.WRITE_FAILED, problem)


def _problem(directory: Path) -> str | None:
    """What is wrong with it; raises OSError, ValueError."""
    nearest = next(path for path in (directory, *directory.absolute().parents) if _is_there(path))
    if not nearest.is_dir():
        return f"{nearest}: not a directory"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"{nearest}: not writable"
    longest = max(len(os.fsencode(part)) for part in directory.absolute().parts)
    if longest > os.pathconf(nearest, "PC_NAME_MAX"):
        return f"{directory}: {os.strerror(errno.ENAMETOOLONG)}"
    return None


def _is_there(path: Path) -> bool:
    """Whether it is there, be it a link that leads nowhere: no directory can be made in its place.

    Raises OSError, ValueError.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _bucket(bucket: Bucket, central: Central) -> Iterator[DestinationProbe]:
    """The bucket, reading and writing below the prefix, and the use of the key."""
    key, location = "report.s3.bucket", bucket.location
    found: dict[str, str] = {}

    def look() -> None:
        with translate_errors():
            answer = central("s3", None).head_bucket(Bucket=bucket.config.bucket)
        found["region"] = answer.get("BucketRegion", "")

    there = run_probe(look)
    yield DestinationProbe(key, location, "s3:ListBucket", there)
    if there.reason is Reason.DESTINATION_MISSING:
        return
    yield DestinationProbe(key, location, "s3:GetObject", run_probe(lambda: _read(bucket)))
    written = run_probe(lambda: _try_to_put(bucket))
    # S3 says so where it is the key that the caller may not use, or that is not there.
    of_the_key = _KEY_USE in written.message or (written.error_code or "").startswith("KMS.")
    if not of_the_key:
        yield DestinationProbe(key, location, "s3:PutObject", written)
    if (kms_key := bucket.config.kms_key_id) is not None:
        answer = _key(kms_key, found.get("region"), central)
        if of_the_key and answer.answer is not ProbeStatus.FAILED:
            answer = written
        yield DestinationProbe("report.s3.kms_key_id", kms_key, _KEY_USE, answer)
    elif of_the_key:
        yield DestinationProbe(key, location, _KEY_USE, written)


def _read(bucket: Bucket) -> None:
    """A sweep reads what it replaces, where it is: latest.json, history.json, lease.json.

    To whom s3:ListBucket is denied, S3 does not say that something is not there, but denies it.
    """
    _absent(lambda: bucket.open(nonexistent_name()), "NoSuchKey")


def _try_to_put(bucket: Bucket) -> None:
    """A write on a condition that cannot hold, so that nothing is ever stored.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    name = nonexistent_name()
    try:
        bucket.put(name, (), "application/json", IfMatch=NOBODYS_ETAG)
    except OperationFailed as error:
        if error.error_code != "NoSuchKey" and error.reason is not Reason.CONCURRENT_MODIFICATION:
            raise
        return
    raise OperationFailed(
        Reason.UNEXPECTED_RESPONSE,
        "the store ignores conditional writes (If-Match), without which two sweeps could write at "
        f"once: it stored {bucket.at(name)}, which is empty: remove it, and use another store",
    )


def _key(kms_key: str, region: str | None, central: Central) -> ProbeResult:
    """https://docs.aws.amazon.com/kms/latest/developerguide/testing-permissions.html."""
    if arn := _ARN.match(kms_key):  # else it is a key id, or an alias
        region = arn["region"]
    if not region:  # elsewhere there may be no such key
        return ProbeResult(
            ProbeStatus.NOT_KNOWN, message="it is not known in which region the bucket is"
        )

    def generate() -> None:
        with translate_errors():
            central("kms", region).generate_data_key(KeyId=kms_key, KeySpec="AES_256", DryRun=True)

    answer = run_probe(lambda: _absent(generate, "DryRunOperationException"))
    if answer.answer is ProbeStatus.DENIED:
        # kms:ViaService, in the key's policy or the caller's, lets only S3 use it for the caller.
        return unknown_probe(answer, "the key may be used by way of S3 only, which cannot be tried")
    return answer


def _topic(arn: str, central: Central) -> DestinationProbe:
    def read() -> None:
        with translate_errors():
            central("sns", arn.split(":")[3]).get_topic_attributes(TopicArn=arn)

    answer = run_probe(read)
    if answer.answer is ProbeStatus.DENIED:
        answer = unknown_probe(
            answer, "the topic may not be looked at, which publishing does not need"
        )
    return DestinationProbe("report.sns_topic_arn", arn, "exists", answer)


def _security_hub(region: str, central: Central) -> DestinationProbe:
    def describe() -> None:
        with translate_errors():
            central("securityhub", region).describe_hub()

    answer = run_probe(describe)
    if answer.answer is ProbeStatus.DENIED:
        answer = unknown_probe(
            answer, "the hub may not be looked at, which importing does not need"
        )
    return DestinationProbe("report.security_hub.region", region, "enabled", answer)


def _absent(call: Callable[[], object], code: str) -> None:
    """Make the call, which is answered with the error code where it is permitted."""
    try:
        call()
    except OperationFailed as error:
        if error.error_code != code:
            raise
