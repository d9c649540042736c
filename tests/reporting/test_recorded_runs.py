"""What people and systems are told of an undo and of an apply."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import (
    Change,
    ChangeStatus,
    Compliance,
    Counts,
    Examined,
    Failed,
    Finding,
    OpenedAccount,
    ResumeState,
    Stage,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.recorded_changes import end_change, invert
from sweeper.domain.report import aggregate, ended_early
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.formats.html.facts import facts
from sweeper.reporting.formats.html.tables import tables
from sweeper.reporting.notification import is_needed, message, subject
from sweeper.reporting.records import State, records
from sweeper.reporting.sinks.security_hub import _findings as security_hub
from tests.cases import case
from tests.factories import HOSTILE
from tests.fake_aws.asff import problems
from tests.fakes import REGION, account_id, make_change, make_finding, make_target
from tests.golden import assert_golden, sections
from tests.recorded_support import SOURCE, applied_finding, source_run
from tests.rendering import formats, rendered

RUN = source_run(
    id="20260615T120000Z-0a1b2c",
    started_at="2026-06-15T12:00:00Z",
    finished_at="2026-06-15T12:00:09Z",
    kind="undo",
    source=SOURCE,
)
TARGET = make_target()
OPENED = (TARGET.account, OpenedAccount(TARGET.account, ()))
APPLIED, PLANNED, FAILED, SUPERSEDED, WITHHELD = (
    ChangeStatus.APPLIED,
    ChangeStatus.PLANNED,
    ChangeStatus.FAILED,
    ChangeStatus.SUPERSEDED,
    ChangeStatus.WITHHELD,
)


def back(status: ChangeStatus = APPLIED, reason: Reason | None = None, **values: Any) -> Change:
    """What became of a change back to MUTABLE."""
    return make_change(status, to_mutability="MUTABLE", reason=reason, **values)


RESULTS = (
    back(),
    back(FAILED, Reason.THROTTLED, error="Slow: down"),
    back(WITHHELD, Reason.WRITE_NOT_GRANTED),
    back(SUPERSEDED, Reason.ALREADY_RESTORED),
    back(SUPERSEDED, Reason.CHANGED_SINCE_APPLIED),
    back(SUPERSEDED, Reason.REPOSITORY_DELETED),
)


def undo(*changes: Change, **run: Any) -> Report:
    """The report of an undo with one finding for each of the changes."""
    findings = tuple(
        replace(invert(applied_finding(f"team/r{number}")), change=change)
        for number, change in enumerate(changes)
    )
    target = (TARGET, Examined(Counts(0, 0, 0), findings))
    return aggregate(replace(RUN, **run), [OPENED], [target])


def ended(failure: Failed, **run: Any) -> Report:
    """The report of an undo of two changes that ended before it read anything."""
    findings = [invert(applied_finding(name)) for name in ("a", "b")]
    ends = [end_change(each, failure, ResumeState()) for each in findings]
    return ended_early(replace(RUN, **run), failure, ends)


def not_opened() -> Report:
    """The report of an undo of two changes, one in an account that could not be opened."""
    failed = Failed(Stage.OPEN_ACCOUNT, Reason.ASSUME_ROLE_DENIED, "no", "AccessDenied")
    other = make_target(2)
    finding = end_change(invert(applied_finding("not-opened", other)), failed, ResumeState())
    reverted = undo(back()).findings
    examined = [(TARGET, Examined(Counts(0, 0, 0), tuple(reverted)))]
    return aggregate(RUN, [OPENED, (other.account, failed)], examined, [finding])


def apply(*findings: Finding, **run: Any) -> Report:
    """The report of an apply with these findings."""
    counted = sum(each.compliance is Compliance.NON_COMPLIANT for each in findings)
    target = (TARGET, Examined(Counts(1, counted, 0), findings))
    return aggregate(replace(RUN, kind="apply", **run), [OPENED], [target])


def superseded(reason: Reason, compliance: Compliance = Compliance.NON_COMPLIANT) -> Finding:
    """A reviewed finding whose change no longer holds."""
    change = make_change(SUPERSEDED, reason=reason)
    return make_finding(reason.value, TARGET, compliance=compliance, change=change)


def every_apply() -> Report:
    """The report of an apply with each outcome."""
    return apply(
        make_finding("app", TARGET, change=make_change(APPLIED)),
        make_finding("not-reviewed", TARGET),
        superseded(Reason.CHANGED_SINCE_REVIEWED),
        superseded(Reason.OUTSIDE_WRITE_SCOPE),
        superseded(Reason.NOW_EXEMPT, Compliance.EXEMPT),
        superseded(Reason.NOW_COMPLIANT, Compliance.COMPLIANT),
    )


def text_of(report: Report) -> str:
    return rendered("text", report).decode()


def test_the_texts_whole() -> None:
    held = Failed(Stage.ENUMERATE, Reason.LEASE_HELD, "another sweep holds it")
    delivered = (
        Delivery("directory", "out", "delivered"),
        Delivery("s3", "s3://b/p", "failed", Reason.DENIED, "AccessDenied", "no"),
    )
    reports = {
        "every outcome": undo(*RESULTS),
        "dry run": undo(back(PLANNED), *RESULTS[3:], dry_run=True),
        "not opened, and delivered": replace(not_opened(), deliveries=delivered),
        "ended early": ended(held),
        "not confirmed": undo(back(WITHHELD, Reason.NOT_CONFIRMED)),
        "apply": every_apply(),
    }
    texts = {name: text_of(item) for name, item in reports.items()}
    for line in "".join(texts.values()).splitlines():
        assert len(line) <= 100
    for name in ("every outcome", "ended early", "apply"):
        item = reports[name]
        texts[f"message of: {name}"] = f"{subject(item)}\n\n{message(item, ())}"
    assert_golden("undo.txt", sections(texts))


def test_the_source_is_named_as_it_is() -> None:
    source = replace(SOURCE, location="s3://Bucket/Prefix/Report.json")
    views: dict[str, Callable[[Report], str]] = {
        "text": text_of,
        "message": lambda item: message(item, ()),
    }
    for name, show in views.items():
        for item in (undo(back(), source=source), replace_source(every_apply(), source)):
            with case(name, item.run.kind):
                shown = " ".join(show(item).split())
                for each in (source.run_id, source.started_at, source.location):
                    assert each in shown


def replace_source(report: Report, source: Any) -> Report:
    return replace(report, run=replace(report.run, source=source))


def test_an_undo_is_told_in_figures_of_its_own() -> None:
    item = undo(*RESULTS, back())
    for show in (text_of(item), message(item, ()), facts(item).banners[0].text):
        with case(show):
            shown = " ".join(show.split())
            figures = re.search(r"(\d) reverted.* (\d) had .* (\d) left .* (\d) failed", shown)
            assert figures
            assert figures.groups() == ("2", "1", "2", "1")
    assert "1 would be reverted, 0 reverted" in text_of(undo(back(PLANNED), dry_run=True))


def test_the_subject_says_what_an_undo_and_an_apply_left() -> None:
    cases = [
        (undo(back(), back()), "sweeper undo: 2 reverted"),
        (undo(back(PLANNED), dry_run=True), "sweeper undo (dry run): nothing reverted"),
        (
            undo(*RESULTS),
            "sweeper undo: 3 not reverted, 1 change failed, 1 reverted",
        ),
        (every_apply(), "sweeper apply: 3 mutable repositories, 1 fixed"),
    ]
    for item, words in cases:
        with case(words):
            assert subject(item) == words


def test_advice_is_told_where_it_helps_an_undo() -> None:
    cases: list[tuple[Change, bool]] = [
        (back(FAILED, Reason.ASSUME_ROLE_DENIED), True),
        (back(FAILED, Reason.INTERNAL_ERROR), True),
        (back(SUPERSEDED, Reason.CHANGED_SINCE_APPLIED), True),
        (back(FAILED, Reason.DENIED), False),  # it names remediation.exclude_accounts
        (back(FAILED, Reason.WRITE_NOT_PERMITTED), False),
    ]
    for change, is_told in cases:
        with case(change):
            assert (f"not made ({change.reason}): " in text_of(undo(change))) is is_told
    for reason in (Reason.CHANGED_SINCE_REVIEWED, Reason.OUTSIDE_WRITE_SCOPE):
        assert f"not made ({reason}): " in text_of(every_apply())


def test_the_page_of_an_undo_shows_no_reverted_repository_as_fixed() -> None:
    item = undo(*RESULTS, back(PLANNED))
    shown = {table.id: table for table in tables(item)}
    states = shown["findings"].columns[0].values
    assert list(states) == [*["not reverted"] * 3, "reverted", "reverted", "gone", "planned"]
    assert not shown["map"].rows
    for each in (item, every_apply()):
        page = rendered("html", replace_source(each, SOURCE)).decode()
        assert f"<dt>{each.run.kind.capitalize()}</dt>" in page
        assert SOURCE.location in page
        assert "found mutable or could not" not in page


# --- systems -----------------------------------------------------------------------------------


def test_a_system_is_told_how_a_repository_stands_after_an_undo() -> None:
    cases: list[tuple[Change, State | None]] = [
        (back(), State.OPEN),
        (back(SUPERSEDED, Reason.ALREADY_RESTORED), State.OPEN),
        (back(PLANNED), State.FIXED),
        (back(WITHHELD, Reason.NOT_CONFIRMED), State.FIXED),
        (back(SUPERSEDED, Reason.REPOSITORY_DELETED), State.FIXED),
        (back(SUPERSEDED, Reason.NOW_COMPLIANT), State.FIXED),
        # What it is now is not known.
        (back(SUPERSEDED, Reason.CHANGED_SINCE_APPLIED), None),
        (back(SUPERSEDED, Reason.CHANGED_SINCE_EXAMINED), None),
        (back(SUPERSEDED, Reason.ACCOUNT_LEFT), None),
        (back(FAILED, Reason.TIMED_OUT, uncertain=True), None),
        (back(FAILED, Reason.THROTTLED), None),
    ]
    for change, state in cases:
        with case(change):
            item = undo(change)
            assert [each.state for each in records(item)] == ([state] if state else [])
            imported = [*security_hub(item, REGION)]
            events = [*map(json.loads, rendered("ocsf", item).splitlines())]
            assert [*map(problems, imported)] == ([[]] if state else [])
            assert [each["Compliance"]["Status"] for each in imported] == {
                State.OPEN: ["FAILED"],
                State.FIXED: ["PASSED"],
                None: [],
            }[state]
            assert [each["status"] for each in events] == {
                State.OPEN: ["New"],
                State.FIXED: ["Resolved"],
                None: [],
            }[state]


def test_a_system_is_told_how_a_repository_stands_after_an_apply() -> None:
    assert {each.repository: each.state for each in records(every_apply())} == {
        "app": State.FIXED,
        "not-reviewed": State.OPEN,
        "changed_since_reviewed": State.OPEN,
        "outside_write_scope": State.OPEN,
        "now_exempt": State.EXEMPT,
        "now_compliant": State.FIXED,
    }


def test_no_system_is_told_of_what_was_not_examined() -> None:
    """The report that is applied may be of another organization, or forged."""
    other = Failed(Stage.ENUMERATE, Reason.OTHER_ORGANIZATION, "it is of organization o-2")
    due, made = (
        make_finding(name, make_target(2), change=make_change()) for name in ("due", "made")
    )
    refused = ended_early(
        replace(RUN, kind="apply"), other, [end_change(due, other, ResumeState())]
    )
    assert [*records(refused)] == []
    assert [*security_hub(refused, REGION)] == []
    completed = ResumeState(completed={made.key: make_change(APPLIED)})
    unreached = tuple(end_change(each, other, completed) for each in (due, made))
    lines = [*records(replace(every_apply(), findings=unreached))]
    assert [(each.repository, each.state) for each in lines] == [("made", State.FIXED)]


# --- the page ----------------------------------------------------------------------------------


def test_the_page_opens_with_the_verdict() -> None:
    no_credentials = Failed(Stage.ENUMERATE, Reason.NO_CREDENTIALS, "none", "NoCredentialsError")
    cases: list[tuple[Report, str, str]] = [
        (undo(back(), back()), "good", "All changes reverted"),
        (undo(back(PLANNED), dry_run=True), "good", "All changes would be reverted"),
        (undo(*RESULTS), "bad", "3 changes are not reverted"),
        (undo(RESULTS[1]), "bad", "1 change is not reverted"),
        (not_opened(), "bad", "1 change is not reverted"),
        (ended(no_credentials), "bad", "The undo ended early"),
        (every_apply(), "bad", "3 repositories have image tags that can be overwritten"),
        (
            apply(make_finding("app", TARGET, change=make_change(APPLIED))),
            "good",
            "No image tag can be overwritten",
        ),
        (
            ended_early(replace(RUN, kind="apply"), no_credentials),
            "bad",
            "The apply ended early",
        ),
    ]
    for item, level, title in cases:
        with case(item.run.kind, title):
            verdict = facts(item).banners[0]
            assert (verdict.level, verdict.title) == (level, title)
            assert title in rendered("html", item).decode()


def test_a_place_that_was_not_examined_is_in_no_bar() -> None:
    reviewed = make_finding("web", make_target(2), change=make_change(FAILED))
    examined = every_apply()
    unreached = replace(examined, findings=(*examined.findings, reviewed))
    assert facts(unreached).by_ou == facts(examined).by_ou
    assert facts(unreached).by_region == facts(examined).by_region != ()


def test_people_are_told_of_a_change_whose_account_was_not_opened() -> None:
    for name, format_ in formats().items():
        with case(name):
            # How a repository stands that could not be read, no system is told.
            is_told = name not in ("junit", "ocsf", "sarif")
            assert (b"not-opened" in rendered(format_.name, not_opened())) is is_told


def test_a_message_lists_what_was_not_reverted_first() -> None:
    listed = re.findall(r"Repository: team/r(\d)", message(undo(*RESULTS), ()))
    assert listed == list("124035")


def test_nothing_that_others_chose_moves_a_cursor_or_forges_a_line() -> None:
    for hostile in HOSTILE:
        with case(hostile):
            item = undo(
                back(FAILED, Reason.DENIED, error=hostile),
                source=replace(SOURCE, location=hostile, started_at=hostile),
            )
            (finding,) = item.findings
            item = replace(item, findings=(replace(finding, account_name=hostile),))
            shown = [rendered(name, item).decode() for name in sorted(formats())]
            for text in (*shown, message(item, ())):
                assert [char for char in text if is_hidden(char) and char not in "\n\r"] == []
                assert not any(line.startswith("Forged") for line in text.splitlines())
            assert len(subject(item)) < 100
            assert account_id(1) in message(item, ())


def test_what_an_apply_did_not_check_again_is_told_everywhere() -> None:
    clean = apply()
    cases = (
        ((1, True), "has 1 finding that was not checked again"),
        ((2, True), "has 2 findings that were not checked again"),
        ((0, False), "could not check everything"),
        ((2, False), "has 2 findings that were not checked again and could not check everything"),
    )
    assert not is_needed(clean, "when_needed")
    for (remaining, complete), words in cases:
        source = replace(SOURCE, remaining=remaining, coverage_complete=complete)
        report = replace_source(clean, source)
        for form in ("text", "markdown", "html", "junit", "sarif"):
            with case(form, words):
                shown = " ".join(rendered(form, report).decode().split())
                assert f"The reviewed report {words}" in shown
                assert "The reviewed report" not in rendered(form, clean).decode()
        assert 'errors="1"' in rendered("junit", report).decode()
        assert '"executionSuccessful":false' in rendered("sarif", report).decode()
        assert f"The reviewed report {words}." in message(report, ())
        assert subject(report).endswith("more in the reviewed report")
        assert is_needed(report, "when_needed")
