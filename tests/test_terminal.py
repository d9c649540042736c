"""What a person at a terminal is shown."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from sweeper import terminal
from sweeper.model import (
    Account,
    Change,
    ChangeStatus,
    Compliance,
    Coverage,
    Delivery,
    Failed,
    Finding,
    Reason,
    Report,
    Since,
    Stage,
    Target,
)
from sweeper.report import ended_early
from tests import factories
from tests.cases import case


def _console() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=160, highlight=False, force_terminal=False), out


def _shown(report: Report, file: str | None = None) -> str:
    console, out = _console()
    terminal.show(report, console, file=file)
    return out.getvalue()


def _row(shown: str, text: str) -> str:
    return next(line for line in shown.splitlines() if text in line)


def test_a_finding_says_what_became_of_it() -> None:
    cases: list[tuple[Finding, str]] = [
        (factories.finding("app"), "non-compliant"),
        (factories.finding("app", change=factories.change()), "applied"),
        (
            factories.finding(
                "app", change=factories.change(ChangeStatus.FAILED, reason=Reason.THROTTLED)
            ),
            "failed (throttled)",
        ),
        (
            factories.finding(
                "app",
                compliance=Compliance.EXEMPT,
                exemption=factories.exemption(source="pull_through_cache"),
            ),
            "exempt (pull",
        ),
        (
            factories.finding("app", exemption=factories.exemption(expired=True)),
            "non-compliant",
        ),
        (factories.finding("app", compliance=Compliance.UNDETERMINED), "undetermined"),
    ]
    for finding, outcome in cases:
        with case(finding, outcome):
            row = _row(_shown(factories.report([finding])), " app ")
            assert finding.account_id in row
            assert finding.region in row
            assert finding.mutability in row
            assert outcome in row


def test_what_was_reopened_stands_out() -> None:
    cases: list[tuple[Change | None, str]] = [
        (None, "reopened"),
        (factories.change(), "reopened: applied"),
    ]
    for change, outcome in cases:
        with case(change, outcome):
            finding = factories.finding("app", change=change, since_last=Since.REOPENED, reopened=1)
            report = replace(
                factories.report([finding]),
                since_last=factories.since_last(reopened=1, resolved=[factories.earlier()]),
            )
            shown = _shown(report)
            assert outcome in _row(shown, " app ")
            assert "0 new, 0 still open, 1 reopened, 1 resolved" in _row(shown, "Since last")
            assert "Since last" not in _shown(factories.report())


def test_an_exemption_that_expired_is_told() -> None:
    for change in [None, factories.change()]:
        with case(change):
            finding = factories.finding(exemption=factories.exemption(expired=True), change=change)
            words = _shown(factories.report([finding])).replace("\n", " ")
            assert "(exemption" in words
            assert "expired)" in words


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
        for number in range(5 * terminal.MAX_ROWS)
    ]
    shown = _shown(factories.report(findings))
    rows = sum("eu-central-1" in line for line in shown.splitlines())
    assert rows == terminal.MAX_ROWS
    more = f"… and {len(findings) - rows} more findings"
    assert f"{more}, --output DIR keeps a report of all" in shown
    kept = _shown(factories.report(findings), "out/report.json")
    assert f"{more}, all of them in the report" in kept


def test_failures_are_shown_once_for_each_reason_with_what_to_do() -> None:
    denied = factories.failed(message="User is not authorized " + "very " * 100)
    failures: list[tuple[Account | Target, Failed]] = [
        *((factories.target(region=f"eu-west-{number}"), denied) for number in range(1, 4)),
        *(
            (factories.account(f"{number:012d}"), factories.failed(Reason.ASSUME_ROLE_DENIED))
            for number in range(5)
        ),
    ]
    lines = _shown(factories.report(failures=failures)).partition("Summary")[0].splitlines()
    assert lines[0] == "Could not be seen (8)"
    assert lines[2] == (
        "  assume_role_denied (5): 000000000000, 000000000001, 000000000002, and 2 more accounts"
    )
    assert lines[4].startswith("    What to do: the member role is missing there")
    assert lines[6] == f"  denied_by_scp (3): {factories.ACCOUNT_ID} eu-west-1 and 2 more"
    assert lines[7].startswith("    AccessDeniedException: User is not authorized very")
    assert len(lines[7]) < 400
    assert lines[8].startswith("    What to do: except the member role from the SCP")
    assert len([line for line in lines if line.strip()]) == 7


def test_what_ended_a_sweep_is_shown_of_all_of_it() -> None:
    ended = ended_early(
        factories.run(), factories.failed(Reason.NO_CREDENTIALS, stage=Stage.ENUMERATE)
    )
    assert "no_credentials (1): the whole sweep" in _shown(ended)
    assert "What to do: give this process AWS credentials" in _shown(ended)


def test_impact_is_told_with_the_command_that_lists_it() -> None:
    plan = factories.change(ChangeStatus.PLANNED)
    moved = factories.finding(change=plan, impact=factories.impact("latest", "main"))
    none = factories.finding(change=plan, impact=factories.impact())
    unknown = factories.finding(change=plan, impact=factories.unavailable())
    lists = "lists them and the filters that keep them so"
    shown = _shown(factories.report([moved, none, unknown]), "my report/report.json")
    assert (
        "Impact: tags look moved by design in 1 of 3 repositories; not known for 1: "
        f"`sweeper report 'my report/report.json'` {lists}\n"
    ) in shown
    shown = _shown(factories.report([moved, none]))
    assert f"by design in 1 of 2 repositories: `--format text` {lists}\n" in shown
    assert "by design in 0 of 1 repository\n" in _shown(factories.report([none]))
    assert "Impact" not in _shown(factories.report([factories.finding(change=plan)]))


def test_what_was_changed_says_how_it_is_undone() -> None:
    report = factories.report([factories.finding(change=factories.change())])
    assert "To undo it: sweeper undo out/r/report.json\n" in _shown(report, "out/r/report.json")
    assert "To undo it" not in _shown(report)
    assert "To undo it" not in _shown(factories.report(), "out/report.json")


def test_a_no_is_told_first() -> None:
    change = factories.change(ChangeStatus.WITHHELD, reason=Reason.NOT_CONFIRMED)
    declined = factories.finding(change=change)
    said = "Nothing was changed: you did not say yes."
    assert _shown(factories.report([declined])).splitlines()[0] == said
    made = factories.finding("made", change=factories.change())
    assert said not in _shown(factories.report([declined, made]))
    assert said not in _shown(factories.report([made]))


def test_the_summary() -> None:
    report = replace(
        factories.report([factories.finding(change=factories.change())], compliant=4),
        deliveries=(
            Delivery("directory", "out", "delivered"),
            Delivery("sns", "arn", "not_needed"),
            Delivery("s3", "s3://b", "failed", Reason.DESTINATION_MISSING, "NoSuchBucket", "gone"),
        ),
    )
    shown = _shown(report)
    assert "complete: 100 % of accounts, 100 % of targets" in shown
    assert "5 examined: 4 compliant, 1 non-compliant, 0 exempt, 0 undetermined" in shown
    assert "1 planned: 1 applied, 0 failed, 0 withheld, 0 superseded" in shown
    assert "0 findings" in shown
    assert "directory: delivered out" in shown
    assert "sns: not needed arn" in shown
    assert "s3: failed s3://b: gone" in shown


def test_a_share_is_never_rounded_up_to_all() -> None:
    cases: list[tuple[float, str]] = [
        (0.0, "0 %"),
        (0.5, "50 %"),
        (0.99999, "99.9 %"),
        (1.0, "100 %"),
    ]
    for share, text in cases:
        with case(share, text):
            report = replace(factories.report(), coverage=Coverage(share, 1.0, complete=share == 1))
            assert f"complete: {text} of accounts" in _shown(report).replace(
                "NOT COMPLETE", "complete"
            )


def test_the_question_says_what_would_be_done() -> None:
    first = factories.finding(change=factories.change())
    other = factories.finding(
        account_id="222222222222",
        change=factories.change(to_mutability="IMMUTABLE_WITH_EXCLUSION"),
    )
    assert (
        terminal.question([first]) == "About to set 1 repository to IMMUTABLE, in 1 account. Go on?"
    )
    assert terminal.question([first, first, other]) == (
        "About to set 1 repository to IMMUTABLE_WITH_EXCLUSION and 2 repositories to IMMUTABLE, "
        "in 2 accounts. Go on?"
    )


def test_the_question_says_where_tags_look_moved() -> None:
    plan = factories.change(ChangeStatus.PLANNED)
    moved = factories.finding(change=plan, impact=factories.impact("latest", "main"))
    kept = factories.finding(change=plan, impact=factories.impact("latest", exclusions=()))
    none = factories.finding(change=plan, impact=factories.impact())
    unknown = factories.finding(change=plan, impact=factories.unavailable())
    assert terminal.question([moved, kept, none]) == (
        "About to set 3 repositories to IMMUTABLE, in 1 account. Tags look moved by design in 2 of "
        "3 repositories, in 1 of them some that no filter of the plan keeps. Go on?"
    )
    assert terminal.question([none, unknown]) == (
        "About to set 2 repositories to IMMUTABLE, in 1 account. Tags look moved by design in 0 of "
        "2 repositories; of 1 it is not known. Go on?"
    )


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
    assert "targets examined" in shown
    assert "2/2" in shown
    assert "targets changed" in shown
    assert "1/3" in shown


def test_hostile_text_is_shown_as_text() -> None:
    shown = _shown(factories.hostile_report())
    for character in ("\x1b", "\u202e", "\u200b", "\u2028", "\ud800", "\x7f", "\x9b", "\t", "\r"):
        assert character not in shown
    assert "[red]markup[/red]" in shown


def test_a_sweep_that_can_be_gone_on_with_says_how() -> None:
    report = factories.report()
    assert "--resume" not in _shown(report)
    console, out = _console()
    terminal.show(report, console, resumable=True)
    last = out.getvalue().splitlines()[-1]
    assert last.startswith("The sweep did not come to its end.")
    assert last.endswith(f"--resume {report.run.id}")
