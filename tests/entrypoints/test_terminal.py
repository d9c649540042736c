"""What a person at a terminal is shown."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pexpect
import pytest
from rich.console import Console

from sweeper.domain import masking
from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import (
    Account,
    ChangeStatus,
    Compliance,
    Counts,
    Examined,
    Failed,
    Finding,
    Since,
    Stage,
    Target,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.recorded_changes import RecordedChanges, invert
from sweeper.domain.report import ended_early
from sweeper.domain.report_model import Coverage, Report
from sweeper.entrypoints import findings_tables, terminal
from sweeper.entrypoints.runner import _REMEDIATION_STILL_ENABLED
from sweeper.reporting.wording import advice
from tests import factories
from tests.cases import case
from tests.end_to_end.harness import UNDO, environment, run, small_world, writes
from tests.fake_aws.process import FakeAws
from tests.golden import assert_golden, sections
from tests.golden.reports import every
from tests.recorded_support import SOURCE, applied_finding, recorded
from tests.reporting import test_recorded_runs as recorded_runs


def _console() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=160, highlight=False, force_terminal=False), out


def _shown(report: Report, file: str | None = None) -> str:
    console, out = _console()
    terminal.show_summary(report, console, file=file)
    return out.getvalue()


def _asked(findings: Sequence[Finding], changes: RecordedChanges | None = None) -> str:
    return "\n".join(terminal.question(findings, changes))


def _row(shown: str, text: str) -> str:
    return next(line for line in shown.splitlines() if text in line)


def test_the_views_whole() -> None:
    parts = {name: _shown(item) for name, item in every().items()}
    parts["kept in a file"] = _shown(every()["planned"], "my report/report.json")
    changed = factories.report([factories.finding(change=factories.change())])
    parts["changed, and kept"] = _shown(changed, "out/report.json")
    console, out = _console()
    terminal.show_summary(factories.report(), console, resumable=True)
    parts["stopped"] = out.getvalue()
    findings = every()["everything"].findings
    parts["question"] = _asked([each for each in findings if each.change])
    parts["question of a plan"] = _asked(every()["planned"].findings)
    undo = recorded_runs.undo(*recorded_runs.RESULTS)
    parts["undo"] = _shown(undo, "out/r/report.json")
    parts["question of an undo"] = _asked(undo.findings, recorded([]))
    parts["apply"] = _shown(recorded_runs.every_apply(), "out/report.json")
    assert_golden("terminal.txt", sections(parts))


def test_a_finding_says_what_became_of_it() -> None:
    throttled = factories.change(ChangeStatus.FAILED, reason=Reason.THROTTLED)
    rule = factories.exemption(source="pull_through_cache")
    expired = factories.exemption(expired=True)
    cases: list[tuple[Finding, str]] = [
        (factories.finding("app"), "non-compliant"),
        (factories.finding("app", change=factories.change()), "applied"),
        (factories.finding("app", change=throttled), "failed (throttled)"),
        (factories.finding("app", compliance=Compliance.EXEMPT, exemption=rule), "exempt (pull"),
        (factories.finding("app", exemption=expired), "non-compliant"),
        (factories.finding("app", compliance=Compliance.UNDETERMINED), "undetermined"),
        (factories.finding("app", since_last=Since.REOPENED), "reopened"),
    ]
    for finding, outcome in cases:
        with case(finding, outcome):
            row = _row(_shown(factories.report([finding])), " app ")
            for each in (finding.account_id, finding.region, finding.mutability, outcome):
                assert each in row


def test_what_remains_comes_first() -> None:
    findings = [
        factories.finding("a-exempt", compliance=Compliance.EXEMPT),
        factories.finding("b-closed", change=factories.change()),
        factories.finding("c-open"),
    ]
    shown = _shown(factories.report(findings))
    assert shown.index("c-open") < shown.index("b-closed") < shown.index("a-exempt")


def test_long_tables_are_cut_and_say_so() -> None:
    findings = [
        factories.finding(f"app-{number}", account_id=f"{number // 5:012d}")
        for number in range(5 * findings_tables._MAX_ROWS)
    ]
    shown = _shown(factories.report(findings))
    rows = sum("eu-central-1" in line for line in shown.splitlines())
    assert rows == findings_tables._MAX_ROWS
    assert f" {len(findings) - rows} more findings, --output " in shown
    assert "--output" not in _shown(factories.report(findings), "out/report.json")


def test_failures_are_shown_once_for_each_reason_with_what_to_do() -> None:
    denied = factories.failed(message="User is not authorized " + "very " * 100)
    failures: list[tuple[Account | Target, Failed]] = [
        *((factories.target(region=f"eu-west-{number}"), denied) for number in range(1, 4)),
        *(
            (factories.account(f"{number:012d}"), factories.failed(Reason.ASSUME_ROLE_DENIED))
            for number in range(5)
        ),
    ]
    shown = _shown(factories.report(failures=failures))
    assert re.search(r"assume_role_denied \(5\): (0{11}\d \([\w-]+\), ){3}\w+ 2 ", shown)
    assert re.search(
        rf"denied_by_scp \(3\): {factories.ACCOUNT_ID} \([\w-]+\) eu-west-1 \w+ 2 ", shown
    )
    assert max(map(len, shown.splitlines())) < 400
    for reason in (Reason.ASSUME_ROLE_DENIED, Reason.DENIED_BY_SCP):
        assert shown.count(advice(Stage.EXAMINE, reason) or "none") == 1
    ended = ended_early(
        factories.run(), factories.failed(Reason.NO_CREDENTIALS, stage=Stage.ENUMERATE)
    )
    assert (advice(Stage.EXAMINE, Reason.NO_CREDENTIALS) or "none") in _shown(ended)


def test_impact_is_told_with_the_command_that_lists_it() -> None:
    planned = every()["planned"]
    assert "`sweeper report 'my report/report.json'`" in _shown(planned, "my report/report.json")
    assert "`--format text`" in _shown(planned)


def test_what_was_changed_says_how_it_is_undone() -> None:
    report = factories.report([factories.finding(change=factories.change())])
    undo = "sweeper undo out/r/report.json\n"
    assert undo in _shown(report, "out/r/report.json")
    assert "sweeper undo" not in _shown(report)
    assert undo not in _shown(factories.report(), "out/r/report.json")
    assert undo in _shown(recorded_runs.every_apply(), "out/r/report.json")
    undone = recorded_runs.undo(*recorded_runs.RESULTS)
    assert "sweeper undo" not in _shown(undone, "out/r/report.json")


def test_a_run_with_a_source_names_it_first() -> None:
    for report in (recorded_runs.undo(*recorded_runs.RESULTS), recorded_runs.every_apply()):
        with case(report.run.kind):
            first = _shown(report).splitlines()[0]
            for each in (report.run.kind.capitalize(), SOURCE.run_id, SOURCE.location):
                assert each in first


def test_a_no_is_told_first_where_nothing_was_changed() -> None:
    change = factories.change(ChangeStatus.WITHHELD, reason=Reason.NOT_CONFIRMED)
    declined = factories.finding(change=change)
    made = factories.finding("made", change=factories.change())
    for findings, is_told in (([declined], True), ([declined, made], False), ([made], False)):
        with case(findings):
            first = _shown(factories.report(findings)).splitlines()[0].rstrip()
            assert (not first.startswith("Findings")) is is_told


def test_a_share_is_never_rounded_up_to_all() -> None:
    for share, text in ((0.0, " 0 %"), (0.5, " 50 %"), (0.99999, " 99.9 %"), (1.0, " 100 %")):
        with case(share):
            report = replace(factories.report(), coverage=Coverage(share, 0.7, complete=False))
            assert text in _row(_shown(report), "Coverage")


def test_the_question_counts_what_would_be_done() -> None:
    first = factories.finding(change=factories.change())
    to = factories.change(to_mutability="IMMUTABLE_WITH_EXCLUSION")
    other = factories.finding(account_id="222222222222", change=to)
    lines, asked = terminal.question([first, first, other], None)
    assert re.findall(r"\d+ [a-z]+", asked) == ["1 repository", "2 repositories", "2 accounts"]
    assert lines.splitlines()[2].split() == [
        *(other.account_id, f"({other.account_name})", other.region, f"{other.repository}:"),
        *("MUTABLE", "->", "IMMUTABLE_WITH_EXCLUSION"),
    ]


def test_a_long_plan_is_counted_by_account() -> None:
    shown = [factories.finding(change=factories.change())] * terminal._LISTED_CHANGES
    for accounts in (1, terminal._MAX_ACCOUNTS, terminal._MAX_ACCOUNTS + 3):
        with case(accounts):
            more = [
                factories.finding(
                    account_id=f"{number:012d}",
                    account_name=f"team {number}",
                    change=factories.change(),
                )
                for number in range(1, accounts + 1)
                for _ in range(number)
            ]
            lines = terminal.question([*shown, *more], None)[0].splitlines()
            counted = lines[terminal._LISTED_CHANGES + 1 :]
            assert f" {len(more)} more" in lines[terminal._LISTED_CHANGES]
            most = range(accounts, max(accounts - terminal._MAX_ACCOUNTS, 0), -1)
            for line, number in zip(counted, most, strict=False):
                assert line.split() == [f"{number:012d}", "(team", f"{number}):", str(number)]
            rest = counted[len(most) :]
            assert [line.split()[1] for line in rest] == (["3"] if accounts > len(most) else [])


def test_a_secret_that_an_account_is_called_is_masked() -> None:
    secret = "q8XkT3vB0nZr7LwYp2Jd"
    masking.register(secret, of_run=True)
    finding = factories.finding(account_name=secret, change=factories.change())
    lines, _ = terminal.question([finding] * (terminal._LISTED_CHANGES + 1), None)
    assert secret not in lines
    assert lines.count(masking.MASK) == terminal._LISTED_CHANGES + 1


def test_filters_that_a_change_drops_are_called_out() -> None:
    keeps = factories.change(
        to_mutability="IMMUTABLE_WITH_EXCLUSION", to_exclusion_filters=("latest",)
    )
    for mutability, filters, change, dropped in (
        ("MUTABLE", (), factories.change(), None),
        ("MUTABLE_WITH_EXCLUSION", ("v*", "latest"), factories.change(), "v*, latest"),
        ("IMMUTABLE_WITH_EXCLUSION", ("latest",), keeps, None),
        ("IMMUTABLE_WITH_EXCLUSION", ("latest", "dev*"), keeps, "dev*"),
    ):
        with case(mutability, filters):
            finding = factories.finding(
                mutability=mutability, exclusion_filters=filters, change=change
            )
            (line,) = terminal.question([finding], None)[0].splitlines()
            assert re.findall(r"drops the exclusions? (.*)", line) == ([dropped] if dropped else [])


def test_the_question_names_the_report_whose_changes_are_meant() -> None:
    findings = [invert(applied_finding())]
    for kind in ("undo", "apply"):
        with case(kind):
            changes = replace(recorded([]), kind=kind)
            _, asked = terminal.question(findings, changes)
            for each in (kind, SOURCE.run_id, SOURCE.started_at, SOURCE.location):
                assert each in asked
    for hostile in factories.HOSTILE:
        with case(hostile):
            changes = replace(recorded([]), source=replace(SOURCE, location=hostile))
            assert not any(map(is_hidden, terminal.question(findings, changes)[1]))


def test_progress_goes_on_after_a_question() -> None:
    console, out = _console()
    progress = terminal.ProgressObserver(console)
    progress.start()
    progress.done(Stage.EXAMINE, [])
    progress.begin(Stage.EXAMINE, 2)
    progress.done(Stage.EXAMINE, [(1, 1), (2, 2)])
    progress.stop()
    progress.begin(Stage.ASSESS, 1)
    progress.begin(Stage.CHANGE, 3)
    progress.done(Stage.CHANGE, [(1, 1)])
    progress.stop()
    shown = out.getvalue()
    assert {"2/2", "0/1", "1/3"} <= set(re.findall(r"\d/\d", shown))


def test_what_was_not_reached_is_not_done() -> None:
    """Neither what never began, nor what was ended by the stop; what failed was done."""
    stopped = factories.change(ChangeStatus.FAILED, reason=Reason.INTERRUPTED)
    unread = factories.unavailable(unavailable=Reason.INTERRUPTED)
    outcomes: list[tuple[object, bool]] = [
        (Examined(Counts(1, 0, 0)), True),
        (factories.failed(Reason.ACCESS_LOST), True),
        (factories.failed(Reason.INTERRUPTED), False),
        (factories.failed(Reason.DEADLINE), False),
        (_examined(factories.finding(change=factories.change(), impact=factories.impact())), True),
        (_examined(factories.finding(), factories.finding(change=stopped)), False),
        (_examined(factories.finding(impact=unread)), False),
    ]
    for outcome, is_done in outcomes:
        with case(outcome):
            console, out = _console()
            progress = terminal.ProgressObserver(console)
            progress.begin(Stage.CHANGE, 2)
            progress.done(Stage.CHANGE, [(1, outcome)])
            progress.stop()
            assert ("1/2" in out.getvalue()) is is_done


def _examined(*findings: Finding) -> Examined:
    return Examined(Counts(0, len(findings), 0), findings)


def test_hostile_text_is_shown_as_text() -> None:
    shown = _shown(factories.hostile_report())
    for character in ("\x1b", "\u202e", "\u200b", "\u2028", "\ud800", "\x7f", "\x9b", "\t", "\r"):
        assert character not in shown
    assert "[red]markup[/red]" in shown


def test_a_sweep_that_can_be_resumed_says_how() -> None:
    report = factories.report()
    assert "--resume" not in _shown(report)
    console, out = _console()
    terminal.show_summary(report, console, resumable=True)
    assert out.getvalue().rstrip().endswith(f"--resume {report.run.id}")


# --- an undo at a terminal: what is shown before anything is opened -------------------------------


TIMEOUT_SECONDS = 120


@pytest.fixture(scope="module")
def aws() -> Iterator[FakeAws]:
    with FakeAws(small_world(accounts=2, regions=1)) as process:
        yield process


def at_terminal(aws: FakeAws, directory: Path, answer: str) -> tuple[str, str, str, int | None]:
    """What is shown before the question, the question, what is told after it, the exit status."""
    child = pexpect.spawn(
        UNDO[0],
        [*UNDO[1:], "out/report.json"],
        cwd=str(directory),
        env=environment(
            aws, TERM="xterm-256color", COLUMNS=None, XDG_STATE_HOME=str(directory / "state")
        ),
        dimensions=(60, 200),
        encoding="utf-8",
        timeout=TIMEOUT_SECONDS,
    )
    child.expect(r"\n[^\n]* \[y/N\]")
    shown, asked = str(child.before), str(child.after)
    assert writes(aws) == []
    child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    return shown, asked, str(child.before), child.exitstatus


def last_undo(directory: Path) -> Any:
    """The report of the undo that ended last."""
    paths = directory.glob("*/report.json")
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    undos = [report["run"] | report for report in reports if report["run"]["kind"] == "undo"]
    return max(undos, key=lambda report: report["started_at"])


def test_a_person_is_shown_what_is_opened_and_asked_once(aws: FakeAws, tmp_path: Path) -> None:
    before = aws.repositories()
    swept = run(aws, tmp_path, config={})
    closed = aws.repositories()
    earlier = swept.report
    due = earlier["totals"]["changes"]["applied"]
    for answer, status, outcome, after in (
        ("n", 3, "withheld", closed),
        ("y", 0, "applied", before),
    ):
        with case(answer):
            aws.reset_statistics()
            shown, asked, told, ended = at_terminal(aws, tmp_path, answer)
            assert ended == status
            assert sum(map(int, re.findall(r"(\d+) repositor", asked))) == due
            for each in (" 2 accounts ", earlier["run"]["id"], "report out/report.json"):
                assert each in asked
            assert shown.count(" -> ") == min(due, terminal._LISTED_CHANGES)
            for each in earlier["findings"][: terminal._LISTED_CHANGES]:
                place = f"{each['region']}  {each['repository']}: "
                assert f"{place}IMMUTABLE -> {each['mutability']}" in shown
            assert _REMEDIATION_STILL_ENABLED in shown
            assert (_REMEDIATION_STILL_ENABLED in told) is (answer == "y")
            assert aws.repositories() == after
            report = last_undo(tmp_path / "out")
            assert report["totals"]["changes"][outcome] == due
            assert f"out/{report['run']['id']}" in told
            latest = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
            assert latest == earlier
