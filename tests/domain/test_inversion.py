"""What an undo would write, and what it says in the end."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from sweeper.config.schema import RegionsConfig
from sweeper.domain.inversion import (
    accounts_to_open,
    aggregate,
    check_unchanged,
    cut_short,
    exit_status,
    invert,
    organization_mismatch,
    select_changes,
    targets_of,
    undo_config,
)
from sweeper.domain.model import (
    Change,
    ChangeStatus,
    Examined,
    Failed,
    Finding,
    OpenedAccount,
    Organization,
    Stage,
)
from sweeper.domain.planning import in_write_scope, no_longer_writable
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ExitStatus
from sweeper.domain.report_model import Delivery, Run
from sweeper.domain.resume import ResumeState
from sweeper.domain.undo_report import UndoReport, UndoRun
from tests.cases import case
from tests.fakes import account_id, make_account, make_config, make_target
from tests.undo_support import UNDOES, claim, claimed_run

RUN = UndoRun("20260615T120000Z-0a1b2c", "t", "t", "1", "o-1", account_id(1), dry_run=False)
ONE, TWO = make_target(1), make_target(2)
APPLIED, SUPERSEDED = ChangeStatus.APPLIED, ChangeStatus.SUPERSEDED
DENIED = Failed(Stage.OPEN_ACCOUNT, Reason.ASSUME_ROLE_DENIED, "no", "AccessDenied")

NARROWED = claim(
    before=("IMMUTABLE_WITH_EXCLUSION", ("latest", "pr-*")),
    after=("IMMUTABLE_WITH_EXCLUSION", ("latest",)),
)


def test_a_claim_is_turned_around() -> None:
    turned = invert(NARROWED)
    assert (turned.mutability, turned.exclusion_filters) == (
        "IMMUTABLE_WITH_EXCLUSION",
        ("latest",),
    )
    assert turned.change == Change(
        ChangeStatus.PLANNED, "IMMUTABLE_WITH_EXCLUSION", ("latest", "pr-*")
    )
    assert turned.key == NARROWED.key
    with pytest.raises(ValueError, match="nothing"):
        invert(replace(NARROWED, change=None))


def is_made(now: tuple[str, tuple[str, ...]] | None, _: Finding, change: Change) -> bool | None:
    """Whether the setting is that of the change; None where the repository is gone."""
    if now is None:
        return None
    return (now[0], set(now[1])) == (change.to_mutability, set(change.to_exclusion_filters))


def test_only_what_is_as_the_run_left_it_is_planned() -> None:
    cases: list[tuple[tuple[str, tuple[str, ...]] | None, ChangeStatus, Reason | None]] = [
        (("IMMUTABLE_WITH_EXCLUSION", ("latest",)), ChangeStatus.PLANNED, None),
        (("IMMUTABLE_WITH_EXCLUSION", ("pr-*", "latest")), SUPERSEDED, Reason.ALREADY_RESTORED),
        (("IMMUTABLE_WITH_EXCLUSION", ("pr-*",)), SUPERSEDED, Reason.CHANGED_SINCE_APPLIED),
        (("IMMUTABLE", ()), SUPERSEDED, Reason.CHANGED_SINCE_APPLIED),
        (("MUTABLE", ()), SUPERSEDED, Reason.CHANGED_SINCE_APPLIED),
        (None, SUPERSEDED, Reason.REPOSITORY_DELETED),
    ]
    for now, status, reason in cases:
        with case(now, status, reason):
            change = check_unchanged(invert(NARROWED), partial(is_made, now)).change
            assert change
            assert (change.status, change.reason) == (status, reason)


def test_what_is_deleted_between_two_looks_is_deleted() -> None:
    answers = iter((False, None))
    change = check_unchanged(invert(NARROWED), lambda *_: next(answers)).change
    assert change
    assert change.reason is Reason.REPOSITORY_DELETED
    with pytest.raises(ValueError, match="nothing"):
        check_unchanged(replace(NARROWED, change=None), lambda *_: True)


def test_accounts_and_repositories_narrow_each_other() -> None:
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
            claims = (claim("a", ONE), claim("team/a", ONE), claim("team/b", TWO))
            assert [each.repository for each in select_changes(claims, accounts, globs)] == names


# --- where it may write ------------------------------------------------------------------------


def test_it_may_write_in_the_accounts_that_are_undone_and_in_no_other() -> None:
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
            config = undo_config(make_config(**sections), [claim("a", ONE)])
            for number in (1, 2, 3):
                account = make_account(number)
                assert in_write_scope(account, config.remediation) is (number == 1)
                assert (no_longer_writable(account, config) is None) is (number == 1)
            assert config.regions == RegionsConfig()
            listed = make_config(**sections).organization
            if not listed.enumerate:
                assert config.organization.include_accounts == listed.include_accounts


def test_only_active_accounts_that_are_there_are_opened() -> None:
    cases: list[tuple[str, Reason]] = [
        ("SUSPENDED", Reason.ACCOUNT_SUSPENDED),
        ("PENDING_CLOSURE", Reason.ACCOUNT_PENDING_CLOSURE),
        ("CLOSED", Reason.ACCOUNT_CLOSED),
        ("DREAMING", Reason.ACCOUNT_STATE_UNKNOWN),
    ]
    for state, reason in cases:
        with case(state, reason):
            there = (make_account(1), make_account(2, state=state), make_account(4))
            claims = [claim("a", make_target(number)) for number in (3, 2, 1)]
            organization = Organization("o-1", "aws", account_id(1), there)
            chosen, others = accounts_to_open(claims, organization, make_config())
            assert chosen == (make_account(1),)
            assert {key: failed.reason for key, failed in others.items()} == {
                account_id(2): reason,
                account_id(3): Reason.ACCOUNT_LEFT,
            }


def test_the_targets_are_the_claims_own() -> None:
    claims = [claim("a", ONE), claim("b", ONE), claim("c", make_target(1, "us-east-1"))]
    opened = [OpenedAccount(make_account(1, name="new name"), (("eu-west-1", "ENABLED"),))]
    found = targets_of(map(invert, [*claims, claim("d", TWO)]), opened)
    assert {
        place: [each.repository for each in findings] for place, (_, findings) in found.items()
    } == {ONE.place: ["a", "b"], (account_id(1), "us-east-1"): ["c"]}
    assert {each.account_name for _, group in found.values() for each in group} == {"new name"}


def test_a_report_of_others_is_told() -> None:
    cases: list[tuple[Run, str | None, str, str | None]] = [
        (claimed_run(), "o-1", account_id(1), None),
        (claimed_run(), "o-1", account_id(2), None),  # another administrator of the same
        (claimed_run(organization_id="o-2"), "o-1", account_id(1), "o-2"),
        (claimed_run(organization_id=None), "o-1", account_id(1), "organization None"),
        (claimed_run(organization_id=None), None, account_id(1), None),
        (claimed_run(), None, account_id(1), None),
        (claimed_run(), None, account_id(2), account_id(1)),
    ]
    for run, organization_id, own, said in cases:
        with case(run, organization_id, own, said):
            organization = Organization(organization_id, "aws", own, ())
            failed = organization_mismatch(run, organization)
            assert (failed is None) is (said is None)
            if failed and said:
                assert failed.reason is Reason.OTHER_ORGANIZATION
                assert said in failed.message


# --- the report --------------------------------------------------------------------------------


def reported(*changes: tuple[ChangeStatus, Reason | None], **values: Any) -> UndoReport:
    """A report on one claim for each of the changes."""
    turned = [invert(claim(f"r{number}")) for number in range(len(changes))]
    findings = tuple(
        replace(each, change=Change(status, "MUTABLE", (), reason))
        for each, (status, reason) in zip(turned, changes, strict=True)
    )
    targets = [(ONE, Examined((0, 0, 0), findings))]
    report = aggregate(RUN, UNDOES, turned, accounts={}, targets=targets, past=ResumeState())
    return replace(report, **values)


def test_the_exit_status_says_how_it_went() -> None:
    cases: list[tuple[list[tuple[ChangeStatus, Reason | None]], ExitStatus]] = [
        ([], ExitStatus.CLEAN),
        ([(APPLIED, None)], ExitStatus.CLEAN),
        ([(ChangeStatus.PLANNED, None)], ExitStatus.CLEAN),
        ([(SUPERSEDED, Reason.ALREADY_RESTORED)], ExitStatus.CLEAN),
        ([(SUPERSEDED, Reason.REPOSITORY_DELETED)], ExitStatus.CLEAN),
        ([(APPLIED, None), (SUPERSEDED, Reason.CHANGED_SINCE_APPLIED)], ExitStatus.FINDINGS_REMAIN),
        ([(SUPERSEDED, Reason.ACCOUNT_LEFT)], ExitStatus.FINDINGS_REMAIN),
        ([(ChangeStatus.FAILED, Reason.THROTTLED)], ExitStatus.FINDINGS_REMAIN),
        ([(ChangeStatus.WITHHELD, Reason.NOT_CONFIRMED)], ExitStatus.FINDINGS_REMAIN),
    ]
    for changes, status in cases:
        with case(changes, status):
            assert exit_status(reported(*changes)) is status
            failed = (Delivery("s3", "s3://b", "failed", Reason.DENIED),)
            assert exit_status(reported(*changes, deliveries=failed)) is ExitStatus.NOT_DELIVERED


def test_an_undo_that_ended_early_has_each_claim_all_the_same() -> None:
    cases: list[tuple[Failed, ExitStatus]] = [
        (Failed(Stage.ENUMERATE, Reason.OTHER_ORGANIZATION, ""), ExitStatus.UNUSABLE),
        (Failed(Stage.ENUMERATE, Reason.NO_CREDENTIALS, ""), ExitStatus.UNUSABLE),
        (Failed(Stage.ENUMERATE, Reason.INTERNAL_ERROR, ""), ExitStatus.INTERNAL_ERROR),
        (Failed(Stage.ENUMERATE, Reason.LEASE_HELD, ""), ExitStatus.LEASE_HELD),
        (Failed(Stage.ENUMERATE, Reason.THROTTLED, ""), ExitStatus.COVERAGE_INCOMPLETE),
    ]
    for failure, status in cases:
        with case(failure, status):
            turned = [invert(claim("a")), invert(claim("b", TWO))]
            report = aggregate(
                RUN,
                UNDOES,
                turned,
                accounts={},
                targets=(),
                past=ResumeState(),
                ended_early=failure,
            )
            assert exit_status(report) is status
            assert [(each.status, each.reason) for each in report.changes] == [
                (ChangeStatus.FAILED, failure.reason)
            ] * 2
            assert [item.account_id for item in report.failures] == [None]


def test_what_could_not_be_looked_at_has_the_reason_of_its_place() -> None:
    turned = [invert(claim("a", ONE)), invert(claim("b", TWO))]
    throttled = Failed(Stage.EXAMINE, Reason.THROTTLED, "slow down")
    past = ResumeState(in_doubt={turned[1].key})
    report = aggregate(
        RUN,
        UNDOES,
        turned,
        accounts={ONE.account.id: DENIED},
        targets=[(TWO, throttled)],
        past=past,
    )
    assert [each.reason for each in report.changes] == [
        Reason.ASSUME_ROLE_DENIED,
        Reason.THROTTLED,
    ]
    first, second = (each.error or "" for each in report.changes)
    assert first == "AccessDenied: no"
    assert second.endswith(": slow down")  # after: it may have taken effect
    assert second != ": slow down"
    assert [(item.account_id, item.region) for item in report.failures] == [
        (ONE.account.id, None),
        TWO.place,
    ]
    assert exit_status(report) is ExitStatus.COVERAGE_INCOMPLETE
    assert not cut_short(report)


def test_what_an_earlier_process_wrote_stands_whatever_became_of_the_account() -> None:
    turned = [invert(claim("a", ONE)), invert(claim("b", ONE))]
    done = Change(APPLIED, "MUTABLE", ())
    report = aggregate(
        RUN,
        UNDOES,
        turned,
        accounts={ONE.account.id: DENIED},
        targets=(),
        past=ResumeState(completed={turned[0].key: done}),
    )
    assert [each.status for each in report.changes] == [APPLIED, ChangeStatus.FAILED]


def test_the_re_reads_words_are_an_undos() -> None:
    report = reported((SUPERSEDED, Reason.NOW_COMPLIANT), (SUPERSEDED, Reason.ALREADY_RESTORED))
    assert report.changes[0].reason is Reason.CHANGED_SINCE_APPLIED
    assert (report.totals.left_alone, report.totals.already_restored) == (1, 1)


def test_what_was_not_reached_can_be_gone_on_with() -> None:
    for reason in [Reason.DEADLINE, Reason.INTERRUPTED]:
        with case(reason):
            assert cut_short(reported((ChangeStatus.FAILED, reason)))
            assert not cut_short(reported((APPLIED, None)))
