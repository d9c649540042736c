"""The evidence file: readable whatever became of the process, and broken only for itself."""

from __future__ import annotations

import gzip
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sweeper.domain import masking
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.storage.evidence.file import (
    CompressedLines,
    EvidenceFile,
    evidence_path,
    read_lines,
)
from tests.storage.journal.test_file import disk_of


def compressed(*lines: bytes) -> bytes:
    collected = CompressedLines()
    for line in lines:
        collected.add(line)
    return collected.take()


def begun(path: Path | None, *lines: bytes) -> EvidenceFile:
    file = EvidenceFile(path)
    file.create(lambda: file.append(compressed(*lines)))
    return file


def content(file: EvidenceFile) -> bytes:
    with file.delivery() as stream:
        return gzip.decompress(stream.read())


def refused(file: EvidenceFile) -> OperationFailed:
    with pytest.raises(OperationFailed) as caught, file.delivery():
        pass
    return caught.value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return evidence_path(tmp_path / "20260615T120000Z-0a1b2c.journal")


@pytest.mark.parametrize("named", [True, False])
def test_what_was_appended_is_delivered_as_often_as_asked(path: Path, named: bool) -> None:
    file = begun(path if named else None, b"header\n")
    file.append(compressed(b"one\n", b"two\n"))
    assert content(file) == content(file) == b"header\none\ntwo\n"
    assert path.exists() is named
    file.close()


def test_it_is_nobody_elses_business(path: Path) -> None:
    begun(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.name == "20260615T120000Z-0a1b2c.evidence.jsonl.gz"


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"something")
    path.with_name(f"{path.name}.new").symlink_to(elsewhere)
    assert refused(begun(path)).reason is Reason.WRITE_FAILED
    assert elsewhere.read_bytes() == b"something"


def test_many_threads_append_whole_members(path: Path) -> None:
    file = begun(path)
    lines = [f"{number:04}".encode() * 500 + b"\n" for number in range(100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(file.append, map(compressed, lines)))
    assert sorted(content(file).splitlines(keepends=True)) == lines
    file.close()


def test_a_large_target_is_several_members_and_one_text() -> None:
    lines = [f"{number:08}\n".encode() for number in range(20_000)]
    assert gzip.decompress(compressed(*lines)) == b"".join(lines)


def test_secrets_are_masked_before_they_are_compressed(path: Path) -> None:
    secret = "ASIAEVIDENCE" + "0123456789" * 2
    masking.register(secret)
    file = begun(path, f"name {secret}\n".encode())
    assert content(file) == b"name ***\n"
    file.close()


def test_a_full_disk_is_told_at_the_delivery(path: Path) -> None:
    file = begun(path, b"header\n")
    size = path.stat().st_size
    with disk_of(size + 10):
        file.append(compressed(b"a line\n"))  # raises nothing
    file.append(compressed(b"another\n"))  # though there is space again
    error = refused(file)
    assert (error.reason, error.error_code) == (Reason.WRITE_FAILED, "EFBIG")
    assert str(path) in error.message
    assert not file.is_whole
    assert list(read_lines(path)) == [b"header\n"]
    file.close()


def test_without_any_place_the_delivery_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    file = begun(None, b"header\n")
    error = refused(file)
    assert (error.reason, error.error_code) == (Reason.WRITE_FAILED, "ENOENT")
    assert str(tmp_path / "missing") in error.message
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "missing")])
    assert "no directory for temporary files" in refused(begun(None)).message


def test_what_was_never_begun_cannot_be_delivered(path: Path) -> None:
    assert refused(EvidenceFile(path)).reason is Reason.WRITE_FAILED


@pytest.mark.parametrize("named", [True, False])
def test_a_failed_delivery_says_where_the_evidence_is(path: Path, named: bool) -> None:
    file = begun(path if named else None)
    with pytest.raises(OperationFailed) as caught, file.delivery():
        raise OperationFailed(Reason.DENIED, "no", "AccessDenied")
    assert (caught.value.reason, caught.value.error_code) == (Reason.DENIED, "AccessDenied")
    assert (str(path) in caught.value.message) is named
    assert file.is_whole
    file.close()


@pytest.mark.parametrize("cut", [1, 5, 9, 15])
def test_a_torn_member_costs_its_own_lines_at_most(path: Path, cut: int) -> None:
    torn = compressed(b"three\n" * 3)[:-cut]
    path.write_bytes(compressed(b"one\n") + compressed(b"two\n") + torn)
    lines = list(read_lines(path))
    assert lines[:2] == [b"one\n", b"two\n"]
    assert set(lines[2:]) <= {b"three\n"}


def test_what_cannot_be_read_has_no_lines(path: Path, tmp_path: Path) -> None:
    assert list(read_lines(None)) == []
    assert list(read_lines(path)) == []
    path.write_bytes(b"no gzip")
    assert list(read_lines(path)) == []
    path.write_bytes(compressed(b"x" * 2_000_000 + b"\n"))  # no line of the evidence
    assert list(read_lines(path)) == []
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_bytes(compressed(b"one\n"))
    assert list(read_lines(path)) == []
