"""What an undo and an apply would write, and what they say in the end."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from sweeper.config.schema import RegionsConfig
from sweeper.domain.errors import ExitStatus, OperationFailed
from sweeper.domain.exit_status import exit_status
from sweeper.domain.model import (
    Change,
    ChangeStatus,
    Compliance,
    Counts,
    Examined,
    Failed,
    Finding,
    Key,
    OpenedAccount,
    Organization,
    ResumeState,
    Skipped,
    Stage,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.recorded_changes import (
    end_change,
    invert,
    recorded_targets,
    refuse_other_organization,
    revert_if_unchanged,
    reviewed_remedies,
    reviewed_source,
    select_findings,
    select_recorded_accounts,
    supersede_unplanned,
    undo_config,
    unreached_findings,
    without_finding,
)
from sweeper.domain.report import (
    aggregate,
    cut_short,
    ended_early,
    is_remaining,
    is_unrestored,
)
from sweeper.domain.report_model import Delivery, Report, Run
from sweeper.domain.selection import in_write_scope, no_longer_writable
from tests.cases import case
from tests.fakes import (
    TODAY,
    account_id,
    make_account,
    make_change,
    make_config,
    make_finding,
    make_target,
)
from tests.recorded_support import SOURCE, applied_finding, recorded, report_of, source_run

RUN = source_run(id="20260615T120000Z-0a1b2c", kind="undo", source=SOURCE)
ONE, TWO = make_target(1), make_target(2)
APPLIED, PLANNED, FAILED, SUPERSEDED, WITHHELD = (
    ChangeStatus.APPLIED,
    ChangeStatus.PLANNED,
    ChangeStatus.FAILED,
    ChangeStatus.SUPERSEDED,
    ChangeStatus.WITHHELD,
)
DENIED = Failed(Stage.OPEN_ACCOUNT, Reason.ASSUME_ROLE_DENIED, "no", "AccessDenied")
CHECKS = (make_finding("app").check,)
Outcome = tuple[ChangeStatus, Reason | None]

NARROWED = applied_finding(
    before=("IMMUTABLE_WITH_EXCLUSION", ("latest", "pr-*")),
    after=("IMMUTABLE_WITH_EXCLUSION", ("latest",)),
)


def outcome(finding: Finding) -> Outcome:
    assert finding.change
    return finding.change.status, finding.change.reason


def test_an_applied_change_is_inverted() -> None:
    inverted = invert(NARROWED)
    assert (inverted.mutability, inverted.exclusion_filters) == (
        "IMMUTABLE_WITH_EXCLUSION",
        ("latest",),
    )
    assert inverted.change == Change(PLANNED, "IMMUTABLE_WITH_EXCLUSION", ("latest", "pr-*"))
    assert inverted.key == NARROWED.key
    assert recorded([NARROWED]).by_key == {NARROWED.key: inverted}


def test_a_finding_without_a_change_is_a_defect() -> None:
    none = replace(NARROWED, change=None)
    for call in (
        invert,
        lambda finding: revert_if_unchanged(finding, lambda *_: True),
        lambda finding: end_change(finding, DENIED, ResumeState()),
    ):
        with pytest.raises(ValueError, match=NARROWED.repository):
            call(none)


def is_made(now: tuple[str, tuple[str, ...]] | None, _: Finding, change: Change) -> bool | None:
    """Whether the setting is that of the change; None where the repository is gone."""
    if now is None:
        return None
    return (now[0], set(now[1])) == (change.to_mutability, set(change.to_exclusion_filters))


def test_only_what_is_as_the_run_left_it_is_reverted() -> None:
    cases: list[tuple[tuple[str, tuple[str, ...]] | None, ChangeStatus, Reason | None]] = [
        (("IMMUTABLE_WITH_EXCLUSION", ("latest",)), PLANNED, None),
        (("IMMUTABLE_WITH_EXCLUSION", ("pr-*", "latest")), SUPERSEDED, Reason.ALREADY_RESTORED),
        (("IMMUTABLE_WITH_EXCLUSION", ("pr-*",)), SUPERSEDED, Reason.CHANGED_SINCE_APPLIED),
        (("IMMUTABLE", ()), SUPERSEDED, Reason.CHANGED_SINCE_APPLIED),
        (("MUTABLE", ()), SUPERSEDED, Reason.CHANGED_SINCE_APPLIED),
        (None, SUPERSEDED, Reason.REPOSITORY_DELETED),
    ]
    for now, status, reason in cases:
        with case(now, status, reason):
            found = revert_if_unchanged(invert(NARROWED), partial(is_made, now))
            assert outcome(found) == (status, reason)
    answers = iter((False, None))  # it is deleted between two looks
    found = revert_if_unchanged(invert(NARROWED), lambda *_: next(answers))
    assert outcome(found) == (SUPERSEDED, Reason.REPOSITORY_DELETED)


def test_accounts_and_repositories_narrow_each_other() -> None:
    findings = (
        applied_finding("a", ONE),
        applied_finding("team/a", ONE),
        applied_finding("team/b", TWO),
    )
    cases: list[tuple[tuple[str, ...], tuple[str, ...], list[str]]] = [
        ((), (), ["a", "team/a", "team/b"]),
        ((account_id(1),), (), ["a", "team/a"]),
        ((), ("team/*",), ["team/a", "team/b"]),
        ((account_id(1),), ("team/*", "x"), ["team/a"]),
        ((account_id(2),), ("a",), []),
        ((), ("A",), []),
    ]
    for accounts, globs, names in cases:
        with case(accounts, globs, names):
            assert [each.repository for each in select_findings(findings, accounts, globs)] == names


# --- where it may write ------------------------------------------------------------------------


def test_an_undo_may_write_in_the_accounts_of_its_changes_and_in_no_other() -> None:
    every: list[dict[str, Any]] = [
        {},
        {"remediation": {"auto_remediate": "DISABLED"}},
        {"remediation": {"include_accounts": [account_id(3)], "include_ous": ["r-ab12"]}},
        {"remediation": {"exclude_accounts": [account_id(1)]}},
        {
            "organization": {
                "include_accounts": [account_id(3)],
                "exclude_accounts": [account_id(1)],
                "include_ous": ["ou-ab12-11111111"],
                "within_ous": ["ou-ab12-33333333"],
                "exclude_ous": ["ou-ab12-22222222"],
                "include_tags": {"a": ["b"]},
                "exclude_tags": {"c": ["d"]},
            },
            "regions": {"include": ["us-east-1"]},
        },
        {"organization": {"enumerate": False, "include_accounts": [account_id(1)]}},
        {"organization": {"role_name": None}},
    ]
    for sections in every:
        with case(sections):
            config = undo_config(make_config(**sections), [applied_finding("a", ONE)])
            for number in (1, 2, 3):
                account = make_account(number)
                assert in_write_scope(account, config.remediation) is (number == 1)
                assert (no_longer_writable(account, config, TODAY) is None) is (number == 1)
            assert config.regions == RegionsConfig()
            listed = make_config(**sections).organization
            if not listed.enumerate:
                assert config.organization.include_accounts == listed.include_accounts


def test_only_active_accounts_that_are_listed_are_opened() -> None:
    named = {"enumerate": False, "include_accounts": [account_id(1)]}
    cases: list[tuple[str, dict[str, Any], Reason, Reason]] = [
        ("SUSPENDED", {}, Reason.ACCOUNT_SUSPENDED, Reason.ACCOUNT_LEFT),
        ("PENDING_CLOSURE", {}, Reason.ACCOUNT_PENDING_CLOSURE, Reason.ACCOUNT_LEFT),
        ("CLOSED", {}, Reason.ACCOUNT_CLOSED, Reason.ACCOUNT_LEFT),
        ("DREAMING", {}, Reason.ACCOUNT_STATE_UNKNOWN, Reason.ACCOUNT_LEFT),
        ("CLOSED", named, Reason.ACCOUNT_CLOSED, Reason.ACCOUNT_EXCLUDED),
        ("CLOSED", {"role_name": None}, Reason.ACCOUNT_CLOSED, Reason.ACCOUNT_EXCLUDED),
    ]
    findings = [applied_finding("a", make_target(number)) for number in (3, 2, 1)]
    for state, organization, inactive, missing in cases:
        with case(state, organization):
            listed = (make_account(1), make_account(2, state=state), make_account(4))
            chosen, others = select_recorded_accounts(
                findings,
                Organization("o-1", "aws", account_id(1), listed),
                make_config(organization=organization),
            )
            assert chosen == (make_account(1),)
            assert {account.id: failed.reason for account, failed in others} == {
                account_id(2): inactive,
                account_id(3): missing,
            }


def test_the_targets_are_those_of_the_changes() -> None:
    findings = [
        applied_finding(name, target)
        for name, target in (
            ("a", ONE),
            ("b", ONE),
            ("c", make_target(1, "us-east-1")),
            ("d", TWO),
        )
    ]
    account = make_account(1, name="new name")
    found = recorded_targets(findings, [OpenedAccount(account, (("eu-west-1", "ENABLED"),))])
    assert [(target.account, target.region) for target in found] == [
        (account, ONE.region),
        (account, "us-east-1"),
    ]


def test_a_report_of_another_organization_is_refused() -> None:
    cases: list[tuple[Run, str | None, str, str | None]] = [
        (source_run(), "o-1", account_id(1), None),
        (source_run(), "o-1", account_id(2), None),  # another administrator of the same
        (source_run(organization_id="o-2"), "o-1", account_id(1), "o-2"),
        (source_run(organization_id=None), "o-1", account_id(1), "organization None"),
        (source_run(organization_id=None), None, account_id(1), None),
        (source_run(), None, account_id(1), None),
        (source_run(), None, account_id(2), account_id(1)),
    ]
    for run, organization_id, own, said in cases:
        with case(run, organization_id, own, said):
            organization = Organization(organization_id, "aws", own, ())
            if said is None:
                refuse_other_organization(recorded([], run=run), organization)
                continue
            with pytest.raises(OperationFailed, match=said) as caught:
                refuse_other_organization(recorded([], run=run), organization)
            assert caught.value.reason is Reason.OTHER_ORGANIZATION


# --- what was not reached ----------------------------------------------------------------------


def test_a_change_that_was_not_reached_has_the_reason_of_its_place() -> None:
    excluded = Skipped(Reason.ACCOUNT_EXCLUDED)
    throttled = Failed(Stage.EXAMINE, Reason.THROTTLED, "slow down")
    enabled = OpenedAccount(ONE.account, ())
    cases: list[tuple[Any, list[Any], Outcome | None, str | None]] = [
        (DENIED, [], (FAILED, DENIED.reason), "AccessDenied: no"),
        (excluded, [], (SUPERSEDED, excluded.reason), None),
        (enabled, [(ONE, throttled)], (FAILED, throttled.reason), "slow down"),
        (
            enabled,
            [(ONE, Skipped(Reason.REGION_EXCLUDED))],
            (SUPERSEDED, Reason.REGION_EXCLUDED),
            None,
        ),
        (
            enabled,
            [(ONE, Examined(Counts(0, 0, 0)))],
            (FAILED, Reason.REGION_NOT_ENABLED),
            "not enabled",
        ),
        (
            enabled,
            [(ONE, Examined(Counts(0, 0, 0), (applied_finding("a", ONE),)))],
            None,
            None,
        ),
    ]
    finding = invert(applied_finding("a", ONE))
    done = make_change(APPLIED, to_mutability="MUTABLE")
    for account, targets, expected, error in cases:
        with case(account, targets):
            accounts = [(ONE.account, account)]
            unreached = partial(unreached_findings, [finding], accounts, targets)
            found = [*unreached(ResumeState())]
            assert [*map(outcome, found)] == ([expected] if expected else [])
            # What an earlier process of the run completed stays.
            completed = [*unreached(ResumeState(completed={finding.key: done}))]
            assert [each.change for each in completed] == ([done] if expected else [])
            for each in found:
                assert each.change
                assert (error or "") in (each.change.error or "")
                assert not each.change.uncertain
            for each in unreached(ResumeState(in_doubt={finding.key})):
                assert each.change
                is_failed = each.change.status is FAILED
                assert each.change.uncertain is is_failed
                assert ("may have taken effect" in (each.change.error or "")) is is_failed


# --- an apply ----------------------------------------------------------------------------------

REVIEWED = make_finding(change=make_change())
OTHER = make_finding("other")


def remedy(change: Change | None, _: Finding) -> Change | None:
    """What the configuration asks for."""
    return change


def test_only_a_reviewed_change_that_is_the_same_is_planned() -> None:
    changed = (SUPERSEDED, Reason.CHANGED_SINCE_REVIEWED)
    filtered = make_finding(mutability="MUTABLE_WITH_EXCLUSION", exclusion_filters=("a", "b"))
    reordered = replace(filtered, exclusion_filters=("b", "a"), change=make_change())
    excluding = make_change(
        to_mutability="IMMUTABLE_WITH_EXCLUSION", to_exclusion_filters=("latest",)
    )
    cases: list[tuple[Finding, Finding, Change | None, Outcome | None]] = [
        (REVIEWED, make_finding(), make_change(), (PLANNED, None)),
        (reordered, filtered, make_change(), (PLANNED, None)),
        (REVIEWED, filtered, make_change(), changed),
        (REVIEWED, make_finding(), excluding, changed),
        (REVIEWED, make_finding(), None, None),
        (REVIEWED, OTHER, make_change(), None),
        (replace(REVIEWED, change=None), make_finding(), make_change(), None),
    ]
    for reviewed, now, change, expected in cases:
        with case(reviewed, now, change):
            remedies = {"it": partial(remedy, change)}
            planned = reviewed_remedies({reviewed.key: reviewed}, remedies)["it"](now)
            assert (planned and (planned.status, planned.reason)) == expected
            if planned:
                assert reviewed.change
                assert planned.to_mutability == reviewed.change.to_mutability


def test_a_reviewed_change_that_is_not_planned_says_why() -> None:
    found = make_finding()
    planned = replace(found, change=make_change())
    withheld = make_change(WITHHELD, reason=Reason.MAX_CHANGES)
    cases: list[tuple[Finding, Outcome | None, bool]] = [
        (planned, (PLANNED, None), True),
        (replace(found, change=withheld), (WITHHELD, Reason.MAX_CHANGES), True),
        (found, (SUPERSEDED, Reason.OUTSIDE_WRITE_SCOPE), True),
        (
            replace(found, compliance=Compliance.UNDETERMINED),
            (SUPERSEDED, Reason.CHANGED_SINCE_REVIEWED),
            True,
        ),
        (replace(found, compliance=Compliance.EXEMPT), (SUPERSEDED, Reason.NOW_EXEMPT), False),
        (without_finding(REVIEWED, exists=True), (SUPERSEDED, Reason.NOW_COMPLIANT), False),
        (without_finding(REVIEWED, exists=None), (SUPERSEDED, Reason.REPOSITORY_DELETED), False),
        (OTHER, None, True),
        (replace(OTHER, change=withheld), None, True),  # what its check withheld was not reviewed
    ]
    reviewed: dict[Key, Finding] = {REVIEWED.key: REVIEWED}
    for now, expected, remains in cases:
        with case(now, expected):
            ended = supersede_unplanned(reviewed, now)
            assert (ended.change and outcome(ended)) == expected
            assert is_remaining(ended) is remains


# --- the report of an undo ---------------------------------------------------------------------


def reported(*changes: Outcome, **values: Any) -> Report:
    """A report of an undo with one finding for each of the changes."""
    findings = tuple(
        replace(invert(applied_finding(f"r{number}")), change=Change(status, "MUTABLE", (), reason))
        for number, (status, reason) in enumerate(changes)
    )
    accounts = [(ONE.account, OpenedAccount(ONE.account, ()))]
    report = aggregate(RUN, accounts, [(ONE, Examined(Counts(0, 0, 0), findings))])
    return replace(report, **values)


def test_the_exit_status_says_how_the_undo_went() -> None:
    clean, remain = ExitStatus.CLEAN, ExitStatus.FINDINGS_REMAIN
    cases: list[tuple[list[Outcome], ExitStatus]] = [
        ([], clean),
        ([(APPLIED, None)], clean),
        ([(PLANNED, None)], clean),
        ([(SUPERSEDED, Reason.ALREADY_RESTORED)], clean),
        ([(SUPERSEDED, Reason.REPOSITORY_DELETED)], clean),
        ([(APPLIED, None), (SUPERSEDED, Reason.CHANGED_SINCE_APPLIED)], remain),
        ([(SUPERSEDED, Reason.CHANGED_SINCE_EXAMINED)], remain),
        ([(SUPERSEDED, Reason.NOW_COMPLIANT)], remain),
        ([(SUPERSEDED, Reason.ACCOUNT_LEFT)], remain),
        ([(FAILED, Reason.THROTTLED)], remain),
        ([(WITHHELD, Reason.NOT_CONFIRMED)], remain),
    ]
    for changes, status in cases:
        with case(changes, status):
            report = reported(*changes)
            assert exit_status(report) is status
            assert any(map(is_unrestored, report.findings)) is (status is remain)
            failed = (Delivery("s3", "s3://b", "failed", Reason.DENIED),)
            assert exit_status(reported(*changes, deliveries=failed)) is ExitStatus.NOT_DELIVERED


def test_an_undo_that_ended_early_has_each_change_all_the_same() -> None:
    cases: list[tuple[Reason, ExitStatus]] = [
        (Reason.OTHER_ORGANIZATION, ExitStatus.UNUSABLE),
        (Reason.NO_CREDENTIALS, ExitStatus.UNUSABLE),
        (Reason.INTERNAL_ERROR, ExitStatus.INTERNAL_ERROR),
        (Reason.LEASE_HELD, ExitStatus.LEASE_HELD),
        (Reason.THROTTLED, ExitStatus.COVERAGE_INCOMPLETE),
    ]
    findings = [invert(applied_finding("a")), invert(applied_finding("b", TWO))]
    for reason, status in cases:
        with case(reason, status):
            failure = Failed(Stage.ENUMERATE, reason, "")
            ends = [end_change(finding, failure, ResumeState()) for finding in findings]
            report = ended_early(RUN, failure, ends)
            assert exit_status(report) is status
            assert [outcome(each) for each in report.findings] == [(FAILED, reason)] * 2
            assert report.totals.changes.failed == report.totals.remaining == 2
            assert [item.account_id for item in report.failures] == [None]


def test_a_place_that_was_not_reached_is_a_gap_beside_its_changes() -> None:
    finding = invert(applied_finding("a", ONE))
    accounts = [(ONE.account, DENIED)]
    unreached = unreached_findings([finding], accounts, [], ResumeState())
    report = aggregate(RUN, accounts, [], unreached)
    assert [outcome(each) for each in report.findings] == [(FAILED, DENIED.reason)]
    assert [(item.account_id, item.region) for item in report.failures] == [(ONE.account.id, None)]
    assert exit_status(report) is ExitStatus.COVERAGE_INCOMPLETE
    assert not cut_short(report)


def test_what_was_not_reached_can_be_resumed() -> None:
    for reason in (Reason.DEADLINE, Reason.INTERRUPTED):
        with case(reason):
            assert cut_short(reported((FAILED, reason)))
            assert not cut_short(reported((APPLIED, None)))


def test_what_an_apply_does_not_check_again_is_counted() -> None:
    elsewhere, other = make_target(1, "b-b-1"), make_target(2)
    due = make_finding("due", ONE, change=make_change())
    beside = make_finding("beside", ONE)
    withheld = make_finding("withheld", elsewhere, change=make_change(WITHHELD))
    open_ = make_finding("open", other)
    unknown = make_finding("unknown", other, compliance=Compliance.UNDETERMINED)
    exempt = make_finding("exempt", other, compliance=Compliance.EXEMPT)
    fixed = make_finding("fixed", other, change=make_change(APPLIED))
    report = report_of(source_run(), [due, beside, withheld, open_, unknown, exempt, fixed])
    first, second = account_id(1), account_id(2)
    cases: list[tuple[list[Finding], dict[str, Any], int]] = [
        ([due], {}, 3),
        ([due], {"accounts": [first]}, 1),
        ([due], {"excluded": [second]}, 1),
        ([due], {"accounts": [first, second], "excluded": [second]}, 1),
        ([due, withheld], {}, 2),
        ([due, open_], {}, 1),
        ([], {}, 5),
        ([], {"accounts": [first]}, 5),  # no change was there to compare the filter with
        ([], {"excluded": [second]}, 5),
    ]
    for changes, filters, remaining in cases:
        with case([each.repository for each in changes], filters):
            source = reviewed_source(report, "report.json", changes, CHECKS, **filters)
            assert source == replace(SOURCE, remaining=remaining, coverage_complete=True)


def test_what_another_check_found_is_not_checked_again_where_it_does_not_run() -> None:
    due = make_finding("due", ONE, change=make_change())
    other = replace(make_finding("other", ONE), check="other")
    report = report_of(source_run(), [due, other])
    for checks, remaining in ((CHECKS, 1), ((*CHECKS, "other"), 0)):
        with case(checks):
            assert reviewed_source(report, "r", [due], checks).remaining == remaining


def test_what_a_reviewed_report_could_not_check_is_not_complete_for_an_apply() -> None:
    due = make_finding("due", ONE, change=make_change())
    report = report_of(source_run(), [due])
    gap = replace(report, coverage=replace(report.coverage, complete=False))
    for filters in ({}, {"accounts": [ONE.account.id]}):
        with case(filters):
            assert reviewed_source(gap, "r", [due], CHECKS, **filters).coverage_complete is False


def test_the_dry_run_of_an_apply_hands_on_what_it_did_not_check_itself() -> None:
    due = make_finding("due", ONE, change=make_change())
    for before, after in (((0, True), (0, True)), ((2, True), (2, True)), ((2, False), (2, False))):
        with case(before):
            source = replace(SOURCE, remaining=before[0], coverage_complete=before[1])
            report = report_of(source_run(kind="apply", source=source, dry_run=True), [due])
            made = reviewed_source(report, "r", [due], CHECKS)
            assert (made.remaining, made.coverage_complete) == after
