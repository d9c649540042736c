"""Objects below one prefix of one bucket."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from sweeper.aws import s3 as module
from sweeper.aws import spool
from sweeper.aws.s3 import Bucket
from sweeper.config.schema import S3Config
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from tests.aws.support import make_cloud
from tests.cases import case
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault

NAME = "plan.jsonl"
KEY = f"sweeps/{NAME}"


def make_bucket(aws: FakeAws, prefix: str = "sweeps", **values: Any) -> Bucket:
    config = S3Config(bucket=aws.world.buckets[0].name, prefix=prefix, **values)
    return Bucket(config, make_cloud().clients.central)


def failed(aws: FakeAws, name: str = NAME, most: int = 100) -> OperationFailed:
    with pytest.raises(OperationFailed) as caught:
        make_bucket(aws).get(name, most)
    return caught.value


@pytest.mark.parametrize(("prefix", "key"), [("sweeps", KEY), ("a/b", f"a/b/{NAME}"), ("", NAME)])
def test_what_is_put_lies_below_the_prefix(aws: FakeAws, prefix: str, key: str) -> None:
    bucket = make_bucket(aws, prefix)
    etag = bucket.put(NAME, (b"a plan",), "application/jsonl")
    (stored,) = aws.objects()
    assert (stored.key, stored.body) == (key, b"a plan")
    assert stored.headers["content-type"] == "application/jsonl"
    assert "aws:kms" not in stored.headers.values()
    assert bucket.at(NAME) == f"s3://{stored.bucket}/{key}"
    assert bucket.location == f"s3://{stored.bucket}/{prefix}"
    read = bucket.get(NAME, 100)
    assert (read.body, read.etag) == (b"a plan", etag)
    assert -2 <= read.age <= 60


def test_a_large_object_is_sent_anew_from_its_beginning(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", 1_000)
    lines = [b"%06d\n" % number for number in range(100_000)]
    aws.faults([Fault("throttle", operation="PutObject", times=2)])
    make_bucket(aws).put(NAME, iter(lines), "application/jsonl")
    assert aws.statistics().faults["throttle"] == 2
    (stored,) = aws.objects()
    assert stored.body == b"".join(lines)
    assert "x-amz-checksum-crc32" in stored.headers


def test_the_key_of_the_configuration_encrypts(aws: FakeAws) -> None:
    make_bucket(aws, kms_key_id="alias/reports").put(NAME, (b"x",), "text/plain")
    (stored,) = aws.objects()
    assert stored.headers["x-amz-server-side-encryption"] == "aws:kms"
    assert stored.headers["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/reports"


def test_a_condition_that_does_not_hold_is_a_conflict(aws: FakeAws) -> None:
    bucket = make_bucket(aws)
    first = bucket.put(NAME, (b"1",), "text/plain", IfNoneMatch="*")
    second = bucket.put(NAME, (b"2",), "text/plain", IfMatch=first)
    for condition in ({"IfNoneMatch": "*"}, {"IfMatch": first}):
        with pytest.raises(OperationFailed) as caught:
            bucket.put(NAME, (b"3",), "text/plain", **condition)
        assert caught.value.reason is Reason.CONCURRENT_MODIFICATION
    assert bucket.get(NAME, 100).etag == second
    assert bucket.get(NAME, 100).body == b"2"


def test_no_more_is_read_than_is_allowed(aws: FakeAws) -> None:
    make_bucket(aws).put(NAME, (b"x" * 101,), "text/plain")
    assert len(make_bucket(aws).get(NAME, 101).body) == 101
    error = failed(aws, most=100)
    assert error.reason is Reason.UNEXPECTED_RESPONSE
    assert error.message.endswith(f"{KEY} has more than 100 bytes")


def test_what_is_not_there_or_not_allowed(aws: FakeAws) -> None:
    assert failed(aws).reason is Reason.DESTINATION_MISSING
    aws.faults([Fault("access_denied", service="s3")])
    assert failed(aws).reason is Reason.DENIED
    with pytest.raises(OperationFailed) as caught:
        make_bucket(aws).put(NAME, (b"x",), "text/plain")
    assert caught.value.reason is Reason.DENIED


WRITTEN = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)


def answer(date: object) -> dict[str, Any]:
    headers = {} if date is None else {"date": date}
    return {"LastModified": WRITTEN, "ResponseMetadata": {"HTTPHeaders": headers}}


def test_the_age_is_by_the_clock_that_wrote_it() -> None:
    assert module._age(answer("Mon, 15 Jun 2026 12:05:00 GMT")) == 300.0


def test_without_the_other_clock_the_own_one_counts() -> None:
    for date in [None, "yesterday", ""]:
        with case(date):
            before = datetime.now(UTC)
            age = timedelta(seconds=module._age(answer(date)))
            assert before - WRITTEN <= age <= datetime.now(UTC) - WRITTEN


def test_a_time_that_is_none() -> None:
    for modified in ["2026-06-15", None, datetime(2026, 6, 15)]:  # noqa: DTZ001
        with case(modified):
            with pytest.raises(OperationFailed, match="LastModified is no time") as caught:
                module._age({"LastModified": modified})
            assert caught.value.reason is Reason.UNEXPECTED_RESPONSE
            with pytest.raises(OperationFailed, match="no LastModified"):
                module._age({})


@pytest.fixture
def large_file(tmp_path: Path) -> Iterator[FileIO]:
    with FileIO(tmp_path / "large", "w+") as file:
        file.write(bytes(range(256)) * 4096)
        yield file


def test_a_file_is_uploaded_with_its_length_and_digest(aws: FakeAws, large_file: FileIO) -> None:
    make_bucket(aws, kms_key_id="alias/reports").upload(NAME, large_file, "application/gzip")
    (stored,) = aws.objects()
    large_file.seek(0)
    content = large_file.read()
    assert stored.body == content
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    assert stored.headers["x-amz-checksum-sha256"] == digest
    assert stored.headers["content-type"] == "application/gzip"
    assert stored.headers["x-amz-server-side-encryption"] == "aws:kms"


def test_an_upload_that_is_tried_again_begins_anew(aws: FakeAws, large_file: FileIO) -> None:
    aws.faults([Fault("throttle", operation="PutObject", times=1)])
    make_bucket(aws).upload(NAME, large_file, "application/gzip")
    (stored,) = aws.objects()
    assert len(stored.body) == 256 * 4096
