"""What a person reads of an undo."""

from __future__ import annotations

from dataclasses import replace

from sweeper.escaping import hidden
from sweeper.formats.json import document
from sweeper.model import Change, ChangeStatus, Delivery, Failed, Finding, Reason, Stage
from sweeper.ports import Past
from sweeper.undo.plan import aggregate, turned_around
from sweeper.undo.report import Undone, UndoReport, UndoRun
from sweeper.undo.text import MOST_ASKED, question, render
from tests.cases import case
from tests.factories import HOSTILE
from tests.fakes import account_id, make_target
from tests.undo.support import UNDOES, claim

RUN = UndoRun(
    "20260615T120000Z-0a1b2c",
    "2026-06-15T12:00:00Z",
    "2026-06-15T12:00:09Z",
    "1",
    "o-1",
    account_id(1),
    dry_run=False,
)
RESULTS = (
    (ChangeStatus.APPLIED, None, None, "put back from IMMUTABLE to MUTABLE"),
    (ChangeStatus.PLANNED, None, None, "would be put back from IMMUTABLE to MUTABLE"),
    (
        ChangeStatus.FAILED,
        Reason.THROTTLED,
        "Slow: down",
        "could NOT be put back from IMMUTABLE to MUTABLE (throttled: Slow: down)",
    ),
    (
        ChangeStatus.WITHHELD,
        Reason.NOT_CONFIRMED,
        None,
        "not put back from IMMUTABLE to MUTABLE (not_confirmed)",
    ),
    (
        ChangeStatus.SUPERSEDED,
        Reason.ALREADY_RESTORED,
        None,
        "left as it is: it is as it was before the run",
    ),
    (
        ChangeStatus.SUPERSEDED,
        Reason.CHANGED_SINCE_APPLIED,
        None,
        "left as it is: its setting was changed by others after the run",
    ),
)


def report_of(*changes: Change, undoes: Undone = UNDOES) -> UndoReport:
    turned = [turned_around(claim(f"team/r{number}")) for number in range(len(changes))]
    settled = {each.key: change for each, change in zip(turned, changes, strict=True)}
    past = Past(settled=settled)
    return aggregate(RUN, undoes, turned, accounts={}, targets=(), past=past)


def test_each_outcome_is_said() -> None:
    report = report_of(*(Change(each[0], "MUTABLE", (), *each[1:3]) for each in RESULTS))
    text = render(report).decode()
    for *_, said in RESULTS:
        assert said in " ".join(text.split())
    assert text.startswith(f"Undo {RUN.id} of sweep {UNDOES.run_id} ({UNDOES.started_at})\n")
    assert "Report  report.json\n" in text
    assert "Changes 6: 1 put back, 1 were back already, 1 left alone, 1 failed, 1 withheld" in text
    assert "changed_since_applied: set it by hand" in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_a_dry_run_says_so() -> None:
    report = report_of(Change(ChangeStatus.PLANNED, "MUTABLE", ()))
    text = render(replace(report, run=replace(RUN, dry_run=True))).decode()
    assert f"Undo {RUN.id} (dry run) of sweep" in text
    assert "Changes 1: 1 would be put back, 0 put back" in text
    last = "Nothing was changed: run it without --dry-run to put these back."
    assert text.splitlines()[-1] == last
    assert last not in render(report).decode()


def test_what_could_not_be_seen_and_where_it_lies() -> None:
    failed = Failed(Stage.OPEN_ACCOUNT, Reason.ASSUME_ROLE_DENIED, "no", "AccessDenied")
    report = aggregate(
        RUN,
        UNDOES,
        [turned_around(claim())],
        accounts={account_id(1): failed},
        targets=(),
        past=Past(),
    )
    deliveries = (
        Delivery("directory", "out", "delivered"),
        Delivery("s3", "s3://b/p", "failed", Reason.DENIED, "AccessDenied", "no"),
    )
    text = render(replace(report, deliveries=deliveries)).decode()
    assert (
        f"COULD NOT BE SEEN (1)\n\n  {account_id(1)}: assume_role_denied, AccessDenied: no" in text
    )
    assert "What to do: the member role is missing there" in text
    assert "  directory: out\n  s3: s3://b/p: FAILED (denied, AccessDenied, no)" in text


def test_what_to_do_is_told_where_it_helps_an_undo() -> None:
    cases: list[tuple[Reason, bool]] = [
        (Reason.ASSUME_ROLE_DENIED, True),
        (Reason.DENIED, False),  # coverage.accept says nothing about an undo
        (Reason.WRITE_NOT_PERMITTED, False),  # nor does remediation.exclude_accounts
        (Reason.INTERNAL_ERROR, True),
    ]
    for reason, told in cases:
        with case(reason, told):
            text = render(report_of(Change(ChangeStatus.FAILED, "MUTABLE", (), reason))).decode()
            assert (f"\n  {reason}: " in text) is told


def test_an_undo_that_ended_early_says_what_it_is_about() -> None:
    held = Failed(Stage.ENUMERATE, Reason.LEASE_HELD, "another sweep holds it")
    report = aggregate(RUN, UNDOES, (), accounts={}, targets=(), past=Past(), ended_early=held)
    said = "NOTHING WAS LOOKED AT, of 0 changes: lease_held, another sweep"
    assert said in render(report).decode()


def test_what_ended_an_undo_is_told_once_and_not_for_each_change() -> None:
    failed = Failed(Stage.ENUMERATE, Reason.NO_CREDENTIALS, "no credentials", "NoCredentialsError")
    turned = [turned_around(claim(f"team/r{number}")) for number in range(240)]
    made = Change(ChangeStatus.APPLIED, "MUTABLE", ())
    for past, settled in ((Past(), 0), (Past(settled={turned[7].key: made}), 1)):
        report = aggregate(
            RUN, UNDOES, turned, accounts={}, targets=(), past=past, ended_early=failed
        )
        text = render(report).decode()
        assert text.count("no_credentials") == 1
        words = " ".join(text.split())
        assert (
            f"NOTHING WAS LOOKED AT, of {240 - settled} changes: no_credentials, "
            "NoCredentialsError: no credentials What to do: give this process AWS credentials"
        ) in words
        assert ("CHANGES (1)" in text, "team/r7" in text) == (settled == 1, settled == 1)
        assert "team/r8" not in text
        assert "COULD NOT BE SEEN" not in text
        assert len(report.changes) == 240


def test_what_may_have_taken_effect_is_told_all_the_same() -> None:
    failed = Failed(Stage.ENUMERATE, Reason.NO_CREDENTIALS, "no credentials", "NoCredentialsError")
    turned = [turned_around(claim(f"team/r{number}")) for number in range(3)]
    past = Past(unsettled=frozenset({turned[1].key}))
    report = aggregate(RUN, UNDOES, turned, accounts={}, targets=(), past=past, ended_early=failed)
    text = render(report).decode()
    assert "CHANGES (1)" in text
    assert "it may have taken effect" in " ".join(text.split())


def test_a_no_is_told_first() -> None:
    said = "Nothing was changed: you did not say yes."
    declined = Change(ChangeStatus.WITHHELD, "MUTABLE", (), Reason.NOT_CONFIRMED)
    made = Change(ChangeStatus.APPLIED, "MUTABLE", ())
    assert render(report_of(declined)).decode().splitlines()[0] == said
    assert said not in render(report_of(declined, made)).decode()


def test_of_many_changes_a_terminal_shows_some() -> None:
    report = report_of(*[Change(ChangeStatus.APPLIED, "MUTABLE", ())] * 5)
    assert "… and 3 more in undo.json" in render(report, 2).decode()
    assert "team/r4" not in render(report, 2).decode()
    assert "team/r4" in render(report).decode()


def finding(number: int, account: int = 1) -> Finding:
    return turned_around(claim(f"r{number}", make_target(account)))


def test_the_question_says_what_is_done_and_from_which_report() -> None:
    lines, asked = question([finding(1), finding(2, 2)], UNDOES)
    assert lines[0] == f"  {account_id(1)} eu-central-1  r1: IMMUTABLE -> MUTABLE"
    assert asked == (
        "About to put 2 repositories of 2 accounts back to what they were before run "
        f"{UNDOES.run_id} of {UNDOES.started_at} (report: report.json). Go on?"
    )
    many, _ = question([finding(number) for number in range(MOST_ASKED + 7)], UNDOES)
    assert many[-1] == "  … and 7 more; --dry-run --format text lists all"
    assert len(many) == MOST_ASKED + 1
    one = question([finding(1)], UNDOES)[1]
    assert one.startswith("About to put 1 repository of 1 account back to what it was before run")


def test_nothing_that_others_chose_moves_a_cursor_or_forges_a_line() -> None:
    for hostile in HOSTILE:
        with case(hostile):
            failed = Change(ChangeStatus.FAILED, "MUTABLE", (), Reason.DENIED, hostile)
            report = report_of(failed, undoes=replace(UNDOES, report=hostile))
            change = replace(report.changes[0], account_name=hostile)
            report = replace(report, changes=(change,))
            for content in (render(report), document(report)):
                assert [char for char in content.decode() if hidden(char) and char != "\n"] == []
            assert not any(
                line.startswith("Forged") for line in render(report).decode().splitlines()
            )
            _, asked = question([finding(1)], replace(UNDOES, report=hostile))
            assert [char for char in asked if hidden(char)] == []
