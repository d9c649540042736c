"""What goes to S3 is whole, whatever becomes of the temporary file."""

from __future__ import annotations

import errno
import io
import tempfile
import zlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from sweeper.aws import spool
from sweeper.aws.s3 import Bucket
from sweeper.aws.spool import IN_MEMORY, spooled
from sweeper.config.schema import S3Config
from tests.fake_aws.services.s3 import decode_aws_chunked

PIECES = tuple(b"%06d\n" % number * 100 for number in range(100))
WHOLE = b"".join(PIECES)
FEW = 10_000  # bytes


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little of a body is kept in memory."""
    monkeypatch.setattr(spool, "IN_MEMORY", FEW)


def test_a_small_body_is_in_memory() -> None:
    with spooled(PIECES) as body:
        assert isinstance(body, io.BytesIO)
        assert body.read() == WHOLE
    with spooled(()) as body:
        assert body.read() == b""


def test_a_large_body_is_a_file_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    piece = b"x" * 1_000_000
    with spooled(piece for _ in range(IN_MEMORY // len(piece) + 2)) as body:
        assert not isinstance(body, io.BytesIO)
        assert not [*tmp_path.iterdir()]
        assert body.seek(0, io.SEEK_END) == IN_MEMORY + 2 * len(piece)
        body.seek(0)
        assert set(iter(lambda: body.read(len(piece)), b"")) == {piece}


@pytest.mark.usefixtures("little")
def test_where_no_file_can_be_made_it_is_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with spooled(PIECES) as body:
        assert isinstance(body, io.BytesIO)
        assert body.read() == WHOLE


class Disk(io.FileIO):
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
    with spooled(iter(PIECES)) as body:
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
        spooled(broken())
    assert file.closed


class Empty:
    """The body of an answer without one."""

    def stream(self) -> tuple[bytes, ...]:
        return ()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("most", [FEW, IN_MEMORY])
def test_each_attempt_sends_the_whole_with_its_length_and_checksum(
    scheme: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By TLS the checksum follows the body; else it is sent before."""
    monkeypatch.setattr(spool, "IN_MEMORY", most)
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
    checksum = b64encode(zlib.crc32(WHOLE).to_bytes(4, "big")).decode()
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
