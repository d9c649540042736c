import os
import stat
from pathlib import Path

import pytest

from sweeper.errors import OperationFailed
from sweeper.formats import Format, formats
from sweeper.model import Delivery, Reason, Report
from sweeper.sinks.directory import DirectorySink
from tests.factories import finding, report

FORMATS = tuple(formats()[name] for name in ("json", "csv", "text"))


def test_writes_every_format_and_the_directory(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    old_umask = os.umask(0o022)
    try:
        result = DirectorySink(directory, FORMATS).deliver(report([finding()]), ())
    finally:
        os.umask(old_umask)
    assert result == Delivery("directory", str(directory), "delivered")
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == {
        f"report.{item.extension}": item.render(report([finding()])) for item in FORMATS
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o644}


def test_the_umask_holds(tmp_path: Path) -> None:
    old_umask = os.umask(0o077)
    try:
        DirectorySink(tmp_path, FORMATS).deliver(report(), ())
    finally:
        os.umask(old_umask)
    assert stat.S_IMODE((tmp_path / "report.json").stat().st_mode) == 0o600


def test_a_link_that_lies_there_is_replaced_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    (tmp_path / "report.json").symlink_to(other)
    DirectorySink(tmp_path, FORMATS).deliver(report(), ())
    assert other.read_text() == "mine"
    assert not (tmp_path / "report.json").is_symlink()


def test_a_file_in_the_way_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperationFailed, match="file/out") as caught:
        DirectorySink(tmp_path / "file" / "out", FORMATS).deliver(report(), ())
    assert (caught.value.reason, caught.value.error_code) == (Reason.WRITE_FAILED, "ENOTDIR")


def test_what_cannot_be_replaced_is_left_without_a_trace(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(OperationFailed, match=r"report\.json") as caught:
        DirectorySink(tmp_path, FORMATS).deliver(report(), ())
    assert (caught.value.reason, caught.value.error_code) == (Reason.WRITE_FAILED, "EISDIR")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_format_that_cannot_be_rendered_leaves_the_old_file(tmp_path: Path) -> None:
    def broken(_: Report) -> bytes:
        raise ValueError("defect")

    (tmp_path / "report.x").write_text("old")
    with pytest.raises(ValueError, match="defect"):
        DirectorySink(tmp_path, (Format("x", "x", "text/x", broken),)).deliver(report(), ())
    assert (tmp_path / "report.x").read_text() == "old"
