"""`sweeper report`: a report shown again, two compared, and how it exits."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeper.commands.report import FORMATS
from sweeper.formats import formats
from sweeper.formats.json import document, render
from sweeper.model import Delivery, Reason, Report, Stage
from sweeper.report import ended_early, exit_status
from tests.cases import case
from tests.commands.conftest import Sweeper
from tests.factories import change, failed, finding, report, run, target
from tests.undo.test_text import report_of

MONDAY: dict[str, Any] = {"id": "monday", "started_at": "2026-11-23T01:00:00Z"}
FRIDAY: dict[str, Any] = {"id": "friday", "started_at": "2026-11-27T01:00:00Z"}


def write(name: str, item: Report) -> str:
    Path(name).write_bytes(render(item))
    return name


def test_every_format_is_offered() -> None:
    assert list(FORMATS) == sorted(formats())


def test_a_report_is_shown_as_the_sweep_showed_it(sweeper: Sweeper) -> None:
    for name in FORMATS:
        with case(name):
            item = report([finding(change=change())], [(target("222233334444"), failed())])
            shown = formats()[name].render(item).decode()
            file = write("a.json", item)
            assert sweeper("report", file, "--format", name) == (0, shown, "")
            assert sweeper("report", file, "--format", name, "--output", "shown") == (0, "", "")
            assert Path("shown").read_text(encoding="utf-8") == shown


def test_text_is_what_is_shown_unasked(sweeper: Sweeper) -> None:
    item = report([finding()])
    assert sweeper("report", write("a.json", item))[1] == formats()["text"].render(item).decode()


REPORTS = {
    0: report(),
    1: ended_early(run(), failed(Reason.INTERNAL_ERROR, stage=Stage.ENUMERATE)),
    2: ended_early(run(), failed(Reason.NO_CREDENTIALS, stage=Stage.ENUMERATE)),
    3: report([finding()]),
    4: report([finding()], [(target("222233334444"), failed())]),
    5: replace(report([finding()]), deliveries=(Delivery("s3", "s3://b/", "failed"),)),
    6: ended_early(run(), failed(Reason.LEASE_HELD, stage=Stage.ENUMERATE)),
}


def test_it_exits_as_the_run_did_where_it_is_told_to(sweeper: Sweeper) -> None:
    for status in REPORTS:
        with case(status):
            file = write("a.json", REPORTS[status])
            assert exit_status(REPORTS[status]) == status
            assert sweeper("report", file)[0] == 0
            assert sweeper("report", file, "--exit-status")[0] == status
            assert sweeper("report", file, "--exit-status", "--output", "a.txt")[0] == status


def test_two_are_compared(sweeper: Sweeper) -> None:
    before = write("before.json", report([finding("gone"), finding("open")], **MONDAY))
    after = write("after.json", report([finding("open"), finding("made")], dry_run=True, **FRIDAY))
    status, text, _ = sweeper("report", before, after)
    assert status == 0
    assert text.splitlines()[:4] == [
        "Two sweeps compared: what changed from the earlier to the later",
        "earlier  2026-11-24T01:04:10Z  sweep monday, before.json",
        "later    2026-11-24T01:04:10Z  sweep friday (dry run), after.json",
        "",
    ]
    assert "1 new, 1 still open, 0 reopened, 1 resolved, 0 not seen this time" in text
    assert "compared with sweep monday" in " ".join(text.split())
    status, text, _ = sweeper("report", before, after, "--format", "json", "--exit-status")
    assert status == 3
    shown = json.loads(text)
    assert [item["repository"] for item in shown["since_last"]["resolved"]] == ["gone"]
    assert {item["repository"]: item["since_last"] for item in shown["findings"]} == {
        "open": "still_open",
        "made": "new",
    }


def test_what_is_resolved_is_in_every_form_that_tells_of_earlier_sweeps(sweeper: Sweeper) -> None:
    for name in sorted(set(FORMATS) - {"text", "ocsf", "junit"}):
        with case(name):
            before = write("before.json", report([finding("product-a/gone")], **MONDAY))
            after = write("after.json", report([], **FRIDAY))
            assert "product-a/gone" in sweeper("report", before, after, "--format", name)[1]


def test_what_cannot_be_shown_is_refused(sweeper: Sweeper) -> None:
    cases: list[tuple[tuple[str, ...], str]] = [
        (("none.json",), "none.json: cannot be read: No such file or directory"),
        (("good.json", "none.json"), "none.json: cannot be read"),
        (("damaged.json",), "damaged.json is damaged: Invalid JSON"),
        (("list.json",), "list.json is not a report.json\n"),
        (("another.json",), "another.json is not a report.json (no `run`)"),
        (("part.json",), "part.json is not a report.json (no `schema_version`)"),
        (("cut.json",), "cut.json is damaged: run.id: Field required"),
        (
            ("undo.json",),
            "undo.json is the report of an undo, which cannot be undone or shown; name the run's "
            "report.json\n",
        ),
        (("good.json",) * 2, "both reports are of sweep monday"),
        (("later.json", "good.json"), "sweep friday, which is named first, started later than"),
        (("good.json", "other.json"), "the reports are of different organizations"),
        (("good.json",) * 3, "3 reports are named; allowed: one, to show it, or two, to compare"),
        (("a\nb.json",), r"a\x0ab.json: cannot be read"),
        ((), "Missing argument 'REPORT...'"),
        (("good.json", "--output", ""), "--output: '' is no file; needed: a file's path"),
        (("good.json", "--output", "."), "--output: '.' is no file; needed: a file's path"),
        (("good.json", "--format", "pdf"), "'pdf' is not one of 'csv', 'html'"),
    ]
    for arguments, problem in cases:
        with case(arguments, problem):
            write("good.json", report([], **MONDAY))
            write("later.json", report([], **FRIDAY))
            write("other.json", report([], **{**FRIDAY, "organization_id": "o-other"}))
            Path("damaged.json").write_bytes(b"{")
            Path("list.json").write_text("[1]", encoding="utf-8")
            Path("another.json").write_text('{"name": "package"}', encoding="utf-8")
            cut = '{"schema_version": "1", "run": {}}'
            Path("cut.json").write_text(cut, encoding="utf-8")
            Path("part.json").write_text('{"run": {}}', encoding="utf-8")
            Path("undo.json").write_bytes(document(report_of()))
            status, out, error = sweeper("report", *arguments)
            assert (status, out) == (2, "")
            assert problem in error
            assert "Traceback" not in error


def test_what_cannot_be_written_is_exit_status_5(sweeper: Sweeper) -> None:
    for place in ["nowhere/a.txt", "a.json/b", "x" * 300]:
        with case(place):
            status, out, error = sweeper("report", write("a.json", report()), "--output", place)
            assert (status, out) == (5, "")
            assert "sweeper: the report could not be written: " in error
            assert [path.name for path in Path().iterdir()] == ["a.json"]


def test_nothing_of_aws_is_needed_for_a_file(
    sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write("a.json", report())
    for name in [name for name in sys.modules if name.startswith("sweeper.aws")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert sweeper("report", file)[0] == 0
