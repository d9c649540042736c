"""The journal's file: one writer, and nothing after a line that was not written whole."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from sweeper.domain.errors import ConfigurationError, OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.storage.journal.file import JournalFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.journal"


@pytest.fixture
def file(path: Path) -> Iterator[JournalFile]:
    opened = JournalFile(path, new=True)
    yield opened
    opened.close(remove=False)


def refused(file: JournalFile, lines: bytes = b"more\n") -> OperationFailed:
    with pytest.raises(OperationFailed) as caught:
        file.append(lines)
    assert caught.value.reason is Reason.JOURNAL_UNAVAILABLE
    return caught.value


def test_lines_are_there_as_soon_as_they_are_written(file: JournalFile, path: Path) -> None:
    file.append(b"one\n")
    assert path.read_bytes() == b"one\n"
    file.append(b"two\n", durable=True)
    assert path.read_bytes() == b"one\ntwo\n"


def test_it_is_nobody_elses_business(file: JournalFile, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_durable_lines_are_on_the_disk(
    file: JournalFile, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    synced: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(path.read_bytes()))
    file.append(b"one\n")
    file.append(b"two\n", durable=True)
    assert synced == [b"one\ntwo\n"]


def test_a_new_one_takes_nobodys_place(file: JournalFile, path: Path) -> None:
    with pytest.raises(FileExistsError):
        JournalFile(path, new=True)


def test_one_process_writes_it(file: JournalFile, path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the run that writes it is still going on"):
        JournalFile(path, new=False)
    file.append(b"one\n")
    assert path.read_bytes() == b"one\n"


def test_it_is_opened_again_where_it_ended(path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        file = JournalFile(path, new=not path.exists())
        file.append(text)
        file.close(remove=False)
    assert path.read_bytes() == b"one\ntwo\n"


def test_what_is_not_there_is_not_made(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        JournalFile(path, new=False)
    assert not path.exists()


@pytest.mark.parametrize("new", [True, False])
def test_a_link_is_not_followed(tmp_path: Path, path: Path, new: bool) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"precious\n")
    path.symlink_to(other)
    with pytest.raises(OSError, match=r"(?i)exists|symbolic links"):
        JournalFile(path, new=new)
    assert other.read_bytes() == b"precious\n"


def test_half_a_line_is_forgotten(file: JournalFile, path: Path) -> None:
    file.append(b"one\ntw")
    file.truncate(4)
    file.append(b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("remove", [True, False])
def test_it_stays_where_somebody_needs_it(path: Path, remove: bool) -> None:
    JournalFile(path, new=True).close(remove=remove)
    assert path.exists() is not remove


def test_removed_by_others_is_removed(path: Path) -> None:
    file = JournalFile(path, new=True)
    path.unlink()
    file.close(remove=True)


def test_many_threads_write_whole_lines(file: JournalFile, path: Path) -> None:
    written = [f"{number:04}".encode() * 500 + b"\n" for number in range(100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(file.append, written))
    assert sorted(path.read_bytes().splitlines(keepends=True)) == written


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes; Python ignores the signal."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_after_a_torn_line_nothing_is_written(file: JournalFile, path: Path) -> None:
    file.append(b"one\n")
    with disk_of(10):
        assert refused(file, b"a longer line\n").message == f"{path}: File too large"
    assert path.read_bytes() == b"one\na long"
    refused(file)  # though there is space again
    assert path.read_bytes() == b"one\na long"


def test_what_may_not_be_on_the_disk_is_not_recorded(
    file: JournalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OperationFailed, match="Input/output error"):
        file.append(b"one\n", durable=True)
    refused(file)
