import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import ChangeStatus
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.formats.base import Format
from sweeper.reporting.sinks.directory import DirectorySink
from sweeper.storage.history import _read_history, attach_comparison
from tests.cases import case
from tests.factories import change, finding, report, run
from tests.rendering import as_json, formats, rendered

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
        f"report.{item.extension}": rendered(item.name, report([finding()])) for item in FORMATS
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


def test_a_format_that_fails_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    def broken(_: Report) -> Iterator[bytes]:
        yield b"a line\n" * 100_000
        assert len([*tmp_path.iterdir()]) == 2, "what is half written lies beside the old file"
        raise ValueError("defect")

    (tmp_path / "report.x").write_text("old")
    with pytest.raises(ValueError, match="defect"):
        DirectorySink(tmp_path, (Format("x", "x", "text/x", broken),)).deliver(report(), ())
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.x", "old")]


def deliver(directory: Path, number: int, **changes: Any) -> tuple[Report, Delivery]:
    """Compare and deliver, as a run does."""
    when = f"2026-11-24T0{number}:00:00Z"
    item = report([finding()], id=f"run-{number}", started_at=when, finished_at=when, **changes)
    target = DirectorySink(directory, FORMATS, keeps_history=True)
    item = attach_comparison(item, target, {finding().check}, narrowed=False)
    return item, target.deliver(item, ())


def test_the_last_report_is_read_before_it_is_replaced(tmp_path: Path) -> None:
    directory = tmp_path / "not" / "there" / "yet"
    first, _ = deliver(directory, 1)
    second, result = deliver(directory, 2)
    third, _ = deliver(directory, 3, dry_run=True)
    assert result == Delivery("directory", str(directory), "delivered")
    comparisons = [item.since_last for item in (first, second, third)]
    assert comparisons[0] is not None
    assert comparisons[0].unavailable
    assert [item.run_id for item in comparisons if item] == [None, "run-1", "run-2"]
    # A dry run has its report there, and is no point.
    points = _read_history(DirectorySink(directory, FORMATS).records, run()).points
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
                assert (tmp_path / "changed" / "report.json").read_bytes() == rendered(
                    "json", changed
                )
                assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["changed"]
                assert [path.name for path in (tmp_path / "changed").iterdir()] == ["report.json"]


def test_a_directory_that_is_one_runs_own_has_no_other_in_it(tmp_path: Path) -> None:
    DirectorySink(tmp_path, FORMATS[:1], under_id=False).deliver(report([APPLIED]), ())
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


OTHER = finding("other", change=change())


def test_a_report_that_lacks_changes_of_the_one_that_is_there_lies_beside_it(
    tmp_path: Path,
) -> None:
    for under_id in (True, False):
        for before, after, is_replaced in [
            ([APPLIED], [APPLIED, OTHER], True),
            ([APPLIED, OTHER], [APPLIED], False),
            ([UNCERTAIN], [NOT_MADE], False),
            ([APPLIED], [], False),
        ]:
            with case(under_id, before, after):
                directory = tmp_path / f"{under_id} {len(before)} {len(after)} {before[0].change}"
                own = directory / run().id if under_id else directory
                earlier, later = report(before), report(after)
                DirectorySink(directory, FORMATS, under_id=under_id).deliver(earlier, ())
                target = DirectorySink(directory, FORMATS, under_id=under_id)
                target.store(later)
                if is_replaced:
                    target.deliver(later, ())
                    assert (own / "report.json").read_bytes() == as_json(later)
                    assert not (own / "report-2.json").exists()
                    continue
                with pytest.raises(OperationFailed, match=r"lacks: 1\..*report-2\.json") as caught:
                    target.deliver(later, ())
                assert caught.value.reason is Reason.EARLIER_REPORT_KEPT
                assert (own / "report.json").read_bytes() == as_json(earlier)
                assert (own / "report-2.json").read_bytes() == as_json(later)
                last = "report" if under_id else "report-2"
                for format_ in FORMATS:
                    written = (directory / f"{last}.{format_.extension}").read_bytes()
                    assert written == rendered(format_.name, later)


def test_a_process_that_did_nothing_removes_no_report_of_its_run(tmp_path: Path) -> None:
    """One that resumes a run, and meets the lease of another sweep, reports no change."""
    changed = report([APPLIED])
    DirectorySink(tmp_path, FORMATS).deliver(changed, ())
    DirectorySink(tmp_path, FORMATS).deliver(report(), ())
    assert (tmp_path / run().id / "report.json").read_bytes() == as_json(changed)


def test_what_is_no_report_may_have_changes(tmp_path: Path) -> None:
    for number, content in enumerate([b"", b"{", b"[]", b"{}"]):
        with case(content):
            own = tmp_path / str(number) / run().id
            own.mkdir(parents=True)
            (own / "report.json").write_bytes(content)
            with pytest.raises(OperationFailed, match=r"is damaged.*report-2\.json"):
                DirectorySink(own.parent, FORMATS).deliver(report([APPLIED]), ())
            assert (own / "report.json").read_bytes() == content
            assert (own / "report-2.json").read_bytes() == as_json(report([APPLIED]))


def test_a_run_with_too_many_reports(tmp_path: Path) -> None:
    (tmp_path / run().id).mkdir()
    for number in range(1, 100):
        name = "report.json" if number == 1 else f"report-{number}.json"
        (tmp_path / run().id / name).write_text("")
    with pytest.raises(OperationFailed, match="99 reports") as caught:
        DirectorySink(tmp_path, FORMATS).deliver(report([APPLIED]), ())
    assert caught.value.reason is Reason.EARLIER_REPORT_KEPT
