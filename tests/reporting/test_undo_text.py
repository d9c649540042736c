"""What a person reads of an undo."""

from __future__ import annotations

import re
from dataclasses import replace

from sweeper.domain.escaping import is_hidden
from sweeper.domain.inversion import aggregate, invert
from sweeper.domain.model import Change, ChangeStatus, Failed, Finding, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Delivery
from sweeper.domain.resume import ResumeState
from sweeper.domain.undo_report import OriginalRun, UndoReport, UndoRun
from sweeper.reporting.undo_text import MOST_ASKED, question, render
from tests.cases import case
from tests.factories import HOSTILE
from tests.fakes import account_id, make_target
from tests.golden import assert_golden, sections
from tests.rendering import as_json
from tests.undo_support import UNDOES, claim

RUN = UndoRun(
    "20260615T120000Z-0a1b2c",
    "2026-06-15T12:00:00Z",
    "2026-06-15T12:00:09Z",
    "1",
    "o-1",
    account_id(1),
    dry_run=False,
)
APPLIED = Change(ChangeStatus.APPLIED, "MUTABLE", ())
RESULTS = (
    APPLIED,
    Change(ChangeStatus.PLANNED, "MUTABLE", ()),
    Change(ChangeStatus.FAILED, "MUTABLE", (), Reason.THROTTLED, "Slow: down"),
    Change(ChangeStatus.WITHHELD, "MUTABLE", (), Reason.NOT_CONFIRMED),
    Change(ChangeStatus.SUPERSEDED, "MUTABLE", (), Reason.ALREADY_RESTORED),
    Change(ChangeStatus.SUPERSEDED, "MUTABLE", (), Reason.CHANGED_SINCE_APPLIED),
)
NO_CREDENTIALS = Failed(
    Stage.ENUMERATE, Reason.NO_CREDENTIALS, "no credentials", "NoCredentialsError"
)


def report_of(*changes: Change, undoes: OriginalRun = UNDOES) -> UndoReport:
    turned = [invert(claim(f"team/r{number}")) for number in range(len(changes))]
    settled = {each.key: change for each, change in zip(turned, changes, strict=True)}
    past = ResumeState(completed=settled)
    return aggregate(RUN, undoes, turned, accounts={}, targets=(), past=past)


def text_of(report: UndoReport, most: int | None = None) -> str:
    return b"".join(render(report, most)).decode()


def not_opened() -> UndoReport:
    """Of one change, in an account that could not be opened."""
    failed = Failed(Stage.OPEN_ACCOUNT, Reason.ASSUME_ROLE_DENIED, "no", "AccessDenied")
    turned = [invert(claim())]
    accounts = {account_id(1): failed}
    return aggregate(RUN, UNDOES, turned, accounts=accounts, targets=(), past=ResumeState())


def test_the_texts_text_of() -> None:
    planned = report_of(Change(ChangeStatus.PLANNED, "MUTABLE", ()))
    held = Failed(Stage.ENUMERATE, Reason.LEASE_HELD, "another sweep holds it")
    delivered = (
        Delivery("directory", "out", "delivered"),
        Delivery("s3", "s3://b/p", "failed", Reason.DENIED, "AccessDenied", "no"),
    )
    reports = {
        "every outcome": report_of(*RESULTS),
        "dry run": replace(planned, run=replace(RUN, dry_run=True)),
        "not opened, and delivered": replace(not_opened(), deliveries=delivered),
        "ended early": aggregate(
            RUN, UNDOES, (), accounts={}, targets=(), past=ResumeState(), ended_early=held
        ),
        "not confirmed": report_of(RESULTS[3]),
    }
    parts = {name: text_of(item) for name, item in reports.items()}
    many, asked = question([finding(number) for number in range(MOST_ASKED + 7)], UNDOES)
    parts["the question about many"] = "\n".join([*many, asked])
    parts["the question about one"] = "\n".join(question([finding(1)], UNDOES)[1:])
    assert all(len(line) <= 100 for line in "".join(map(text_of, reports.values())).splitlines())
    assert_golden("undo.txt", sections(parts))
    assert_golden("undo.json", as_json(reports["every outcome"]))


def test_what_to_do_is_told_where_it_helps_an_undo() -> None:
    cases: list[tuple[Reason, bool]] = [
        (Reason.ASSUME_ROLE_DENIED, True),
        (Reason.DENIED, False),  # coverage.accept says nothing about an undo
        (Reason.WRITE_NOT_PERMITTED, False),  # nor does remediation.exclude_accounts
        (Reason.INTERNAL_ERROR, True),
    ]
    for reason, told in cases:
        with case(reason, told):
            text = text_of(report_of(Change(ChangeStatus.FAILED, "MUTABLE", (), reason)))
            assert (f"\n  {reason}: " in text) is told


def test_what_ended_an_undo_is_told_once_and_not_for_each_change() -> None:
    turned = [invert(claim(f"team/r{number}")) for number in range(240)]
    made = ResumeState(completed={turned[7].key: APPLIED})
    for past, shown in ((ResumeState(), []), (made, ["team/r7"])):
        report = aggregate(
            RUN, UNDOES, turned, accounts={}, targets=(), past=past, ended_early=NO_CREDENTIALS
        )
        text = text_of(report)
        assert text.count("no_credentials") == 1
        assert f" {240 - len(shown)} changes" in text
        assert re.findall(r"team/r\d+", text) == shown
        assert len(report.changes) == 240


def test_what_may_have_taken_effect_is_told_all_the_same() -> None:
    turned = [invert(claim(f"team/r{number}")) for number in range(3)]
    past = ResumeState(in_doubt=frozenset({turned[1].key}))
    report = aggregate(
        RUN, UNDOES, turned, accounts={}, targets=(), past=past, ended_early=NO_CREDENTIALS
    )
    assert re.findall(r"team/r\d", text_of(report)) == ["team/r1"]


def test_a_no_is_told_first_where_nothing_was_changed() -> None:
    declined = RESULTS[3]
    heading = f"Undo {RUN.id}"
    assert not text_of(report_of(declined)).startswith(heading)
    assert text_of(report_of(declined, APPLIED)).startswith(heading)


def test_of_many_changes_a_terminal_shows_some() -> None:
    report = report_of(*[APPLIED] * 5)
    assert len(re.findall(r"team/r\d", text_of(report, 2))) == 2
    assert " 3 more " in text_of(report, 2)
    assert len(re.findall(r"team/r\d", text_of(report))) == 5


def finding(number: int, account: int = 1) -> Finding:
    return invert(claim(f"r{number}", make_target(account)))


def test_the_question_says_what_is_done_and_from_which_report() -> None:
    lines, asked = question([finding(1), finding(2, 2)], UNDOES)
    assert all(each in lines[0] for each in (account_id(1), "eu-central-1", "r1", "MUTABLE"))
    for each in (" 2 repositories ", " 2 accounts ", UNDOES.run_id, UNDOES.started_at):
        assert each in asked
    many, _ = question([finding(number) for number in range(MOST_ASKED + 7)], UNDOES)
    assert len(many) == MOST_ASKED + 1
    assert " 7 more" in many[-1]


def test_nothing_that_others_chose_moves_a_cursor_or_forges_a_line() -> None:
    for hostile in HOSTILE:
        with case(hostile):
            failed = Change(ChangeStatus.FAILED, "MUTABLE", (), Reason.DENIED, hostile)
            report = report_of(failed, undoes=replace(UNDOES, report=hostile))
            change = replace(report.changes[0], account_name=hostile)
            report = replace(report, changes=(change,))
            for content in (text_of(report).encode(), as_json(report)):
                assert [char for char in content.decode() if is_hidden(char) and char != "\n"] == []
            assert not any(line.startswith("Forged") for line in text_of(report).splitlines())
            _, asked = question([finding(1)], replace(UNDOES, report=hostile))
            assert [char for char in asked if is_hidden(char)] == []
