"""Files in a directory: what can be read is, what cannot is said, and nothing is waited for."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

import pytest

from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.storage.files import Directory, create_private, write


def whole(file: BinaryIO) -> bytes:
    return file.read()


def refusal(directory: Path, name: str) -> OperationFailed:
    with pytest.raises(OperationFailed) as caught:
        Directory(directory).read(name, whole)
    assert caught.value.reason is Reason.REQUEST_REFUSED
    return caught.value


def test_what_is_made_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    assert Directory(tmp_path).read("file", lambda file: file.read(4)) == b"0123"


def test_what_is_not_there(tmp_path: Path) -> None:
    assert Directory(tmp_path).read("file", whole) is None
    assert Directory(tmp_path / "nor" / "this").read("file", whole) is None


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path, "pipe").message == f"{tmp_path}/pipe: not a regular file"


def test_neither_a_device_nor_a_directory_is_read(tmp_path: Path) -> None:
    (tmp_path / "endless").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    assert "not a regular file" in refusal(tmp_path, "endless").message
    assert refusal(tmp_path, "folder").error_code == "EISDIR"


def test_what_the_system_refuses(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    error = refusal(tmp_path, "loop")
    assert error.error_code == "ELOOP"
    assert error.message.startswith(f"{tmp_path}/loop: ")

    (tmp_path / "unreadable").symlink_to("/proc/self/mem")  # its beginning, to anybody
    assert refusal(tmp_path, "unreadable").error_code == "EIO"


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    directory.replace("file", (b"old",))
    directory.replace("file", (b"new",))
    assert (tmp_path / "file").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_every_directory_that_is_created_is_the_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o755)
    before = os.umask(0)
    try:
        for _ in range(2):
            create_private(tmp_path / "there" / "a" / "b")
    finally:
        os.umask(before)
    modes = {
        name: stat.S_IMODE((tmp_path / name).stat().st_mode)
        for name in ("there", "there/a", "there/a/b")
    }
    assert modes == {"there": 0o755, "there/a": 0o700, "there/a/b": 0o700}
    with pytest.raises(NotADirectoryError):
        create_private(Path("/dev/null/state"))


def test_what_is_written_replaces_a_file_and_not_the_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    for content in (b"one", b"two"):
        write(tmp_path / "link", (content,))
        assert (tmp_path / "file").read_bytes() == content
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(tmp_path / "link", (b"content",))
        assert os.read(reader, 100) == b"content"
    finally:
        os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


def test_a_directory_is_not_written_to(tmp_path: Path) -> None:
    with pytest.raises(OperationFailed) as caught:
        write(tmp_path, (b"content",))
    assert (caught.value.reason, caught.value.error_code) == (Reason.WRITE_FAILED, "EISDIR")
