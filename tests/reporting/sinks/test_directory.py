import os
import stat
from pathlib import Path
from typing import Any

import pytest

from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import ChangeStatus
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.formats import Format, formats
from sweeper.reporting.sinks.directory import DirectorySink
from sweeper.storage.history import attach_comparison, read_history
from tests.cases import case
from tests.factories import change, finding, report, run

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


def deliver(directory: Path, number: int, **changes: Any) -> tuple[Report, Delivery]:
    """Compare and deliver, as a run does."""
    when = f"2026-11-24T0{number}:00:00Z"
    item = report([finding()], id=f"run-{number}", started_at=when, finished_at=when, **changes)
    place = DirectorySink(directory, FORMATS, keeps_history=True)
    item = attach_comparison(item, place, {finding().check}, narrowed=False)
    return item, place.deliver(item, ())


def test_the_last_report_is_read_before_it_is_replaced(tmp_path: Path) -> None:
    directory = tmp_path / "not" / "there" / "yet"
    first, _ = deliver(directory, 1)
    second, result = deliver(directory, 2)
    third, _ = deliver(directory, 3, dry_run=True)
    assert result == Delivery("directory", str(directory), "delivered")
    told = [item.since_last for item in (first, second, third)]
    assert told[0] is not None
    assert told[0].unavailable
    assert [item.run_id for item in told if item] == [None, "run-1", "run-2"]
    # A dry run has its report there, and is no point.
    points = read_history(DirectorySink(directory, FORMATS).records, run()).points
    assert [point.run_id for point in points] == ["run-1", "run-2"]
    assert '"run-3"' in (directory / "report.json").read_text()


def test_a_history_that_cannot_be_written_does_not_keep_the_report(tmp_path: Path) -> None:
    (tmp_path / "history.json").mkdir()
    _, result = deliver(tmp_path, 1)
    assert result.status == "delivered"
    assert result.message is not None
    assert "history.json: Is a directory" in result.message
    assert (tmp_path / "report.json").exists()


APPLIED = finding(change=change())
UNCERTAIN = finding(change=change(ChangeStatus.FAILED, reason=Reason.TIMED_OUT, uncertain=True))
NOT_MADE = finding(change=change(ChangeStatus.FAILED, reason=Reason.TIMED_OUT))


def test_the_report_of_a_run_that_changed_something_outlives_the_next(tmp_path: Path) -> None:
    for item in [APPLIED, UNCERTAIN]:
        with case(item):
            for formats_ in (FORMATS, FORMATS[1:]):  # whatever is chosen
                changed = report([item], id="changed")
                DirectorySink(tmp_path, formats_).deliver(changed, ())
                for later in (report([NOT_MADE], id="later"), report(id="dry", dry_run=True)):
                    DirectorySink(tmp_path, formats_).deliver(later, ())
                assert (tmp_path / "changed" / "report.json").read_bytes() == FORMATS[0].render(
                    changed
                )
                assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["changed"]
                assert [path.name for path in (tmp_path / "changed").iterdir()] == ["report.json"]


def test_a_directory_that_is_one_runs_own_has_no_other_in_it(tmp_path: Path) -> None:
    DirectorySink(tmp_path, FORMATS[:1], under_id=False).deliver(report([APPLIED]), ())
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
