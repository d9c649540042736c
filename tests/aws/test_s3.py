"""Objects in S3, through the real SDK: the bucket, what is replaced, and bodies on their way."""

from __future__ import annotations

import base64
import errno
import hashlib
import io
import tempfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from sweeper.aws import s3
from sweeper.aws.s3 import _MAX_IN_MEMORY, Bucket, Objects, _spool
from sweeper.config.schema import S3Config
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.engine.ports import Source
from tests.aws.support import make_cloud
from tests.cases import case
from tests.fake_aws.process import FakeAws
from tests.fake_aws.services.s3 import decode_aws_chunked
from tests.fake_aws.world import Fault

LATEST = "latest.json"
REPORTS = "sweeper-reports"
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
    monkeypatch.setattr(s3, "_MAX_IN_MEMORY", 1_000)
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
    assert s3._age(answer("Mon, 15 Jun 2026 12:05:00 GMT")) == 300.0


def test_without_the_other_clock_the_own_one_counts() -> None:
    for date in [None, "yesterday", ""]:
        with case(date):
            before = datetime.now(UTC)
            age = timedelta(seconds=s3._age(answer(date)))
            assert before - WRITTEN <= age <= datetime.now(UTC) - WRITTEN


def test_a_time_that_is_none() -> None:
    for modified in ["2026-06-15", None, datetime(2026, 6, 15)]:  # noqa: DTZ001
        with case(modified):
            with pytest.raises(OperationFailed, match="LastModified is no time") as caught:
                s3._age({"LastModified": modified})
            assert caught.value.reason is Reason.UNEXPECTED_RESPONSE
            with pytest.raises(OperationFailed, match="no LastModified"):
                s3._age({})


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


def objects(prefix: str = "ecr", bucket: str = REPORTS) -> Objects:
    return Objects(Bucket(S3Config(bucket=bucket, prefix=prefix), make_cloud().clients.central))


def whole(body: Source) -> bytes:
    return body.read(1_000)


def reason(caught: pytest.ExceptionInfo[OperationFailed]) -> Reason:
    return caught.value.reason


@pytest.mark.parametrize(("prefix", "key"), [("ecr/x", f"ecr/x/{LATEST}"), ("", LATEST)])
def test_what_is_written_is_read(aws: FakeAws, prefix: str, key: str) -> None:
    place = objects(prefix)
    assert place.read(LATEST, whole) is None
    place.replace(LATEST, (b"0123456789",), "text/plain", {"run-id": "a"})
    assert place.read(LATEST, whole) == b"0123456789"
    assert place.read(LATEST, lambda body: body.read(4)) == b"0123"
    (stored,) = aws.objects()
    assert (stored.key, stored.headers["content-type"]) == (key, "text/plain")
    assert place.bucket.at(LATEST) == f"s3://{REPORTS}/{key}"
    version = place.read_version(LATEST)
    assert version == place.last_version(LATEST)
    assert dict(version.metadata) == {"run-id": "a"}


def test_only_what_was_seen_is_replaced(aws: FakeAws) -> None:
    one, two = objects(), objects()
    one.replace(LATEST, (b"1",))  # nobody looked, and nothing is there
    with pytest.raises(OperationFailed) as caught:
        two.replace(LATEST, (b"2",))
    assert reason(caught) is Reason.CONCURRENT_MODIFICATION
    two.read(LATEST, whole)
    two.replace(LATEST, (b"2",))
    one.read_version(LATEST)
    two.read_version(LATEST)
    two.replace(LATEST, (b"3",))
    with pytest.raises(OperationFailed) as caught:
        one.replace(LATEST, (b"4",))
    assert reason(caught) is Reason.CONCURRENT_MODIFICATION
    (stored,) = aws.objects()
    assert stored.body == b"3"
    one.bucket.put(LATEST, (b"5",), "application/json")
    (stored,) = aws.objects()
    assert stored.body == b"5"


def test_what_was_deleted_meanwhile_has_changed(aws: FakeAws) -> None:
    place = objects()
    place.replace(LATEST, (b"1",))
    place.read_version(LATEST)
    aws.load(aws.world)
    with pytest.raises(OperationFailed) as caught:
        place.replace(LATEST, (b"2",))
    assert reason(caught) is Reason.CONCURRENT_MODIFICATION
    assert place.read_version(LATEST).etag is None
    place.replace(LATEST, (b"2",))


@pytest.mark.parametrize(
    ("action", "expected", "attempts"),
    [
        ("access_denied", Reason.DENIED, 1),
        ("server_error", Reason.SERVICE_ERROR, 2),
        ("throttle", Reason.THROTTLED, 2),
        ("reset", Reason.CONNECTION_FAILED, 2),
    ],
)
def test_what_cannot_be_read_is_given_up_soon_and_not_seen(
    aws: FakeAws, action: str, expected: Reason, attempts: int
) -> None:
    place = objects()
    place.replace(LATEST, (b"1",))
    place.read_version(LATEST)
    aws.faults([{"action": action, "operation": "GetObject"}])
    aws.reset_statistics()
    with pytest.raises(OperationFailed) as caught:
        place.read(LATEST, whole)
    assert reason(caught) is expected
    assert aws.statistics().calls["s3:GetObject"] == attempts
    assert place.last_version(LATEST) is None


def test_a_missing_bucket_is_no_missing_object(aws: FakeAws) -> None:
    place = objects(bucket="no-such-bucket")
    with pytest.raises(OperationFailed) as caught:
        place.read(LATEST, whole)
    assert reason(caught) is Reason.DESTINATION_MISSING
    with pytest.raises(OperationFailed) as caught:
        place.replace(LATEST, (b"1",))
    assert reason(caught) is Reason.DESTINATION_MISSING


PIECES = tuple(b"%06d\n" % number * 100 for number in range(100))
WHOLE = b"".join(PIECES)
FEW = 10_000  # bytes


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little of a body is kept in memory."""
    monkeypatch.setattr(s3, "_MAX_IN_MEMORY", FEW)


def test_a_small_body_is_in_memory() -> None:
    with _spool(PIECES) as body:
        assert isinstance(body, io.BytesIO)
        assert body.read() == WHOLE
    with _spool(()) as body:
        assert body.read() == b""


def test_a_large_body_is_a_file_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    piece = b"x" * 1_000_000
    with _spool(piece for _ in range(_MAX_IN_MEMORY // len(piece) + 2)) as body:
        assert not isinstance(body, io.BytesIO)
        assert not [*tmp_path.iterdir()]
        assert body.seek(0, io.SEEK_END) == _MAX_IN_MEMORY + 2 * len(piece)
        body.seek(0)
        assert set(iter(lambda: body.read(len(piece)), b"")) == {piece}


@pytest.mark.usefixtures("little")
def test_where_no_file_can_be_made_it_is_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with _spool(PIECES) as body:
        assert isinstance(body, io.BytesIO)
        assert body.read() == WHOLE


class Disk(FileIO):
    """A file on a disk with room for so many bytes, of which a write takes a few."""

    room = 0
    made: list[Disk]

    def write(self, content: Any) -> int:
        taken = bytes(content)[: min(self.room, 777)]
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= len(taken)
        return super().write(taken)


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("room", [0, 1, FEW, FEW + 1, len(WHOLE) - 1, len(WHOLE)])
def test_a_full_disk_loses_nothing(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Disk] = []

    def disk(buffering: int) -> Disk:
        assert buffering == 0
        made.append(Disk(tmp_path / "file", "w+"))
        made[0].room = room
        return made[0]

    monkeypatch.setattr(tempfile, "TemporaryFile", disk)
    with _spool(iter(PIECES)) as body:
        assert body.read() == WHOLE
        assert isinstance(body, Disk) is (room == len(WHOLE))
    assert made[0].closed


@pytest.mark.usefixtures("little")
def test_the_file_is_closed_where_a_piece_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = (tmp_path / "file").open("w+b", buffering=0)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda buffering: file)

    def broken() -> Iterator[bytes]:
        yield from PIECES
        raise ValueError("defect")

    with pytest.raises(ValueError, match="defect"):
        _spool(broken())
    assert file.closed


class Empty:
    """The body of an answer without one."""

    def stream(self) -> tuple[bytes, ...]:
        return ()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("most", [FEW, _MAX_IN_MEMORY])
def test_each_attempt_sends_the_whole_with_its_length_and_checksum(
    scheme: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By TLS the checksum follows the body; else it is sent before."""
    monkeypatch.setattr(s3, "_MAX_IN_MEMORY", most)
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    session = boto3.Session("an-id-of-16-chars", "a-secret", region_name="us-east-1")
    client = session.client("s3", endpoint_url=f"{scheme}://127.0.0.1:1")
    sent = []

    def send(request: Any, **_: Any) -> Any:
        sent.append((dict(request.headers.items()), request.body.read()))
        status = 503 if len(sent) == 1 else 200
        headers: Any = {"ETag": '"e"'}
        return AWSResponse(request.url, status, headers, Empty())

    handler: Any = send  # botocore-stubs: handlers that answer are not known
    client.meta.events.register("before-send.s3", handler)
    Bucket(S3Config(bucket="reports"), lambda *_: client).put("a", iter(PIECES), "text/plain")
    checksum = base64.b64encode(zlib.crc32(WHOLE).to_bytes(4, "big")).decode()
    assert len(sent) == 2
    for headers, body in sent:
        if scheme == "https":
            content, trailers = decode_aws_chunked(body)
            assert int(headers["X-Amz-Decoded-Content-Length"]) == len(WHOLE)
        else:
            content, trailers = body, {key.lower(): value for key, value in headers.items()}
            assert int(headers["Content-Length"]) == len(WHOLE)
        assert content == WHOLE
        text = trailers["x-amz-checksum-crc32"]
        assert (text if isinstance(text, str) else text.decode()) == checksum
