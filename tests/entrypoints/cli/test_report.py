"""`sweeper report`: a report shown again, two compared, and how it exits."""

from __future__ import annotations

import json
import pkgutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeper.domain.exit_status import exit_status
from sweeper.domain.model import Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ended_early
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting import formats as reporting_formats
from sweeper.reporting.formats import FORMATS
from tests.cases import case
from tests.entrypoints.cli.conftest import Sweeper
from tests.factories import change, failed, finding, report, run, target
from tests.golden import assert_golden
from tests.rendering import as_json, rendered
from tests.reporting.test_recorded_runs import RESULTS, every_apply, not_opened, undo

MONDAY: dict[str, Any] = {"id": "monday", "started_at": "2026-11-23T01:00:00Z"}
FRIDAY: dict[str, Any] = {"id": "friday", "started_at": "2026-11-27T01:00:00Z"}


def write(name: str, item: Report) -> str:
    Path(name).write_bytes(as_json(item))
    return name


def test_every_format_is_offered() -> None:
    modules = {each.name for each in pkgutil.iter_modules(reporting_formats.__path__)}
    assert set(FORMATS) == modules - {"base"}


def test_a_report_is_shown_as_the_sweep_showed_it(sweeper: Sweeper) -> None:
    for name in FORMATS:
        with case(name):
            item = report([finding(change=change())], [(target("222233334444"), failed())])
            shown = rendered(name, item).decode()
            file = write("a.json", item)
            assert sweeper("report", file, "--format", name) == (0, shown, "")
            assert sweeper("report", file, "--format", name, "--output", "shown") == (0, "", "")
            assert Path("shown").read_text(encoding="utf-8") == shown


def test_an_undo_and_an_apply_are_shown_in_every_format(sweeper: Sweeper) -> None:
    for item in (undo(*RESULTS), not_opened(), every_apply()):
        file = write("a.json", item)
        for name in FORMATS:
            with case(item.run.kind, name):
                shown = rendered(name, item).decode()
                assert sweeper("report", file, "--format", name) == (0, shown, "")


def test_text_is_what_is_shown_unasked(sweeper: Sweeper) -> None:
    item = report([finding()])
    assert sweeper("report", write("a.json", item))[1] == rendered("text", item).decode()


REPORTS = {
    0: report(),
    1: ended_early(run(), failed(Reason.INTERNAL_ERROR, stage=Stage.ENUMERATE)),
    2: ended_early(run(), failed(Reason.NO_CREDENTIALS, stage=Stage.ENUMERATE)),
    3: report([finding()]),
    4: report([finding()], [(target("222233334444"), failed())]),
    5: replace(report([finding()]), deliveries=(Delivery("s3", "s3://b/", "failed"),)),
    6: ended_early(run(), failed(Reason.LEASE_HELD, stage=Stage.ENUMERATE)),
}


def test_the_ending_of_the_files_name_is_its_format(sweeper: Sweeper) -> None:
    item = report([finding()])
    file = write("a.json", item)
    for name, form in (
        ("x.html", "html"),
        ("X.HTM", "html"),
        ("x.csv", "csv"),
        ("x.json", "json"),
        ("x.xml", "junit"),
        ("x.ocsf.jsonl", "ocsf"),
        ("x.md", "markdown"),
        ("x.sarif", "sarif"),
        ("x.txt", "text"),
        ("x.pdf", "text"),
        ("html", "text"),
    ):
        with case(name):
            assert sweeper("report", file, "--output", name) == (0, "", "")
            assert Path(name).read_bytes() == rendered(form, item)
    assert sweeper("report", file, "--output", "y.html", "--format", "csv") == (0, "", "")
    assert Path("y.html").read_bytes() == rendered("csv", item)


def test_it_exits_as_the_run_did_where_it_is_told_to(sweeper: Sweeper) -> None:
    for status, item in REPORTS.items():
        with case(status):
            file = write("a.json", item)
            assert exit_status(item) == status
            assert sweeper("report", file)[0] == 0
            assert sweeper("report", file, "--exit-status")[0] == status
            assert sweeper("report", file, "--exit-status", "--output", "a.txt")[0] == status


def test_two_are_compared(sweeper: Sweeper) -> None:
    before = write("before.json", report([finding("gone"), finding("open")], **MONDAY))
    after = write("after.json", report([finding("open"), finding("made")], dry_run=True, **FRIDAY))
    status, text, _ = sweeper("report", before, after)
    assert status == 0
    assert_golden("comparison.txt", text)
    status, text, _ = sweeper("report", before, after, "--format", "json", "--exit-status")
    assert status == 3
    shown = json.loads(text)
    assert [item["repository"] for item in shown["since_last"]["resolved"]] == ["gone"]
    assert {item["repository"]: item["since_last"] for item in shown["findings"]} == {
        "open": "still_open",
        "made": "new",
    }


def test_what_is_resolved_is_in_every_form_that_tells_of_earlier_sweeps(sweeper: Sweeper) -> None:
    before = write("before.json", report([finding("product-a/gone")], **MONDAY))
    after = write("after.json", report([], **FRIDAY))
    for name in FORMATS:
        with case(name):
            shown = sweeper("report", before, after, "--format", name)[1]
            # Code scanning closes what is not there.
            assert ("product-a/gone" in shown) is (name != "sarif")


def test_what_cannot_be_shown_is_refused(sweeper: Sweeper) -> None:
    write("good.json", report([], **MONDAY))
    write("later.json", report([], **FRIDAY))
    write("other.json", report([], **{**FRIDAY, "organization_id": "o-other"}))
    for name, content in (
        ("damaged.json", "{"),
        ("list.json", "[1]"),
        ("another.json", '{"name": "package"}'),
        ("cut.json", '{"schema_version": "1", "run": {}}'),
        ("part.json", '{"run": {}}'),
    ):
        Path(name).write_text(content, encoding="utf-8")
    write("undo.json", undo())
    cases: list[tuple[tuple[str, ...], str]] = [
        (("none.json",), "none.json"),
        (("",), "REPORT is empty"),
        (("good.json", "none.json"), "none.json"),
        (("damaged.json",), "damaged.json"),
        (("list.json",), "list.json"),
        (("another.json",), "another.json"),
        (("part.json",), "part.json"),
        (("cut.json",), "cut.json"),
        (("good.json", "undo.json"), undo().run.id),
        (("undo.json", "good.json"), undo().run.id),
        (("good.json",) * 2, "monday"),
        (("later.json", "good.json"), "friday"),
        (("good.json", "other.json"), "o-other"),
        (("good.json",) * 3, "3 reports"),
        (("a\nb.json",), r"a\x0ab.json"),
        ((), "REPORT"),
        (("good.json", "--output", ""), "--output: '' "),
        (("good.json", "--output", "."), "--output: '.' "),
        (("good.json", "--format", "pdf"), "'pdf' is not one of 'csv', 'html'"),
    ]
    for arguments, named in cases:
        with case(arguments):
            status, out, error = sweeper("report", *arguments)
            assert (status, out) == (2, "")
            assert named in error
            assert "Traceback" not in error


def test_what_cannot_be_written_is_exit_status_5(sweeper: Sweeper) -> None:
    for place in ["nowhere/a.txt", "a.json/b", "x" * 300]:
        with case(place):
            status, out, error = sweeper("report", write("a.json", report()), "--output", place)
            assert (status, out) == (5, "")
            assert error.startswith("sweeper: ")
            assert [path.name for path in Path().iterdir()] == ["a.json"]


def test_nothing_of_aws_is_needed_for_a_file(
    sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write("a.json", report())
    for name in [name for name in sys.modules if name.startswith("sweeper.aws")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert sweeper("report", file)[0] == 0
