"""Facts -> problems: what is one problem, where it is, and what it makes of the exit status."""

from __future__ import annotations

from typing import Any

from sweeper.domain.errors import ExitStatus
from sweeper.domain.model import Failed, Skipped, Stage
from sweeper.domain.reasons import Reason
from sweeper.engine.preflight.facts import Facts, Region
from sweeper.engine.preflight.problems import Kind, Problem, judge
from sweeper.engine.probe import DestinationProbe, ProbeResult, ProbeStatus
from tests.cases import case
from tests.engine.preflight.facts import (
    CLOSE,
    LIST,
    NOT_KNOWN,
    RULES,
    denied,
    facts,
    failed,
    region,
    role_checks,
    unreadable,
)
from tests.fakes import account_id, make_account, make_config

WEST, EAST = "eu-west-1", "us-east-1"
SCP = denied(Reason.DENIED_BY_SCP)
Told = tuple[Kind, Reason | None, tuple[str, ...], tuple[str, ...], bool]


def summaries(found: Facts, **config: Any) -> list[Told]:
    return [
        (each.kind, each.reason, each.actions, each.accounts, each.whole_accounts)
        for each in judge(found, make_config(**config)).problems
    ]


def ids(*numbers: int) -> tuple[str, ...]:
    return tuple(map(account_id, numbers))


def test_what_works_is_no_problem() -> None:
    verdict = judge(facts(region(1, WEST), region(2, WEST)), make_config())
    assert verdict.problems == ()
    assert verdict.status is ExitStatus.CLEAN


def test_one_reason_is_one_problem_however_often() -> None:
    found = facts(
        *(region(number, name, rules=denied()) for number in (2, 1) for name in (WEST, EAST))
    )
    (problem,) = judge(found, make_config()).problems
    assert problem == Problem(
        Kind.READ,
        ProbeStatus.DENIED,
        Reason.DENIED_BY_IDENTITY_POLICY,
        "no",
        "AccessDeniedException",
        actions=(RULES,),
        accounts=ids(1, 2),
        targets=tuple((account, name) for account in ids(1, 2) for name in (WEST, EAST)),
    )


def test_a_place_that_is_closed_is_one_problem_and_not_one_for_each_action() -> None:
    found = facts(unreadable(1, WEST, SCP), region(1, EAST), region(2, WEST))
    assert summaries(found) == [(Kind.REGION, Reason.DENIED_BY_SCP, (), ids(1), False)]


def test_whether_writes_were_tried_there_makes_it_no_other_problem() -> None:
    reads_only = unreadable(2, WEST, SCP)
    reads_only = type(reads_only)(reads_only.account, WEST, reads_only.reads, {})
    found = facts(unreadable(1, WEST, SCP), region(1, EAST), reads_only, region(2, EAST))
    assert summaries(found) == [(Kind.REGION, Reason.DENIED_BY_SCP, (), ids(1, 2), False)]


def test_what_closes_accounts_is_told_apart_from_what_closes_regions() -> None:
    found = facts(
        unreadable(1, WEST, SCP),
        unreadable(1, EAST, SCP),
        unreadable(2, WEST, SCP),
        region(2, EAST),
    )
    assert summaries(found) == [
        (Kind.REGION, Reason.DENIED_BY_SCP, (), ids(2), False),
        (Kind.REGION, Reason.DENIED_BY_SCP, (), ids(1), True),
    ]


def test_a_closed_region_makes_a_missing_permission_no_smaller() -> None:
    found = facts(unreadable(1, WEST, SCP), region(1, EAST, close=denied()))
    assert summaries(found) == [
        (Kind.REGION, Reason.DENIED_BY_SCP, (), ids(1), False),
        (Kind.WRITE, Reason.DENIED_BY_IDENTITY_POLICY, (CLOSE,), ids(1), True),
    ]


def test_reads_and_writes_that_differ_are_two_problems() -> None:
    found = facts(region(1, WEST, list=failed(Reason.THROTTLED), close=denied()))
    assert summaries(found) == [
        (Kind.READ, Reason.THROTTLED, (LIST,), ids(1), True),
        (Kind.WRITE, Reason.DENIED_BY_IDENTITY_POLICY, (CLOSE,), ids(1), True),
    ]


def test_accounts_that_cannot_be_entered() -> None:
    role, scp = denied(Reason.ASSUME_ROLE_DENIED), denied(Reason.DENIED_BY_SCP)
    found = facts(
        accounts=(
            role_checks(1, role, NOT_KNOWN),
            role_checks(2, regions=scp),
            role_checks(3, role, NOT_KNOWN),
        )
    )
    assert summaries(found) == [
        (Kind.ACCOUNT, Reason.ASSUME_ROLE_DENIED, ("sts:AssumeRole",), ids(1, 3), True),
        (Kind.REGIONS, Reason.DENIED_BY_SCP, ("account:ListRegions",), ids(2), True),
    ]


def test_accounts_that_refuse_the_tags_of_the_session_are_a_problem_of_their_own() -> None:
    refusal = "User: arn:aws:sts::1:assumed-role/pod/x is not authorized to perform: {} on resource"
    said = ("sts:AssumeRole", "sts:TagSession", "sts:TagSession", "sts:SetSourceIdentity")
    found = facts(
        accounts=tuple(
            role_checks(number, denied(Reason.ASSUME_ROLE_DENIED, refusal.format(action)))
            for number, action in enumerate(said, start=1)
        )
    )
    problems = judge(found, make_config()).problems
    assert {each.actions: each.accounts for each in problems} == {
        ("sts:AssumeRole",): ids(1),
        ("sts:TagSession",): ids(2, 3),
        ("sts:SetSourceIdentity",): ids(4),
    }


def test_what_a_sweep_leaves_out_is_no_problem_and_what_it_fails_at_is() -> None:
    unknown = Failed(Stage.ENUMERATE, Reason.ACCOUNT_STATE_UNKNOWN, "the state 'NEW'")
    status = Failed(Stage.OPEN_ACCOUNT, Reason.REGION_STATUS_UNKNOWN, "the status 'NEW'")
    found = facts(
        left_out=(
            (make_account(4), None, Skipped(Reason.ACCOUNT_SUSPENDED)),
            (make_account(5), None, unknown),
            (make_account(1), "mars-1", status),
        )
    )
    assert summaries(found) == [
        (Kind.ACCOUNT, Reason.ACCOUNT_STATE_UNKNOWN, (), ids(5), True),
        (Kind.REGION, Reason.REGION_STATUS_UNKNOWN, (), ids(1), False),
    ]


def test_known_gaps_are_accepted_by_the_reason_that_a_sweep_would_give() -> None:
    cases: list[tuple[dict[str, str], int]] = [
        ({"reason": "denied_by_scp"}, 2),
        ({"reason": "denied_by_scp", "region": WEST}, 1),
        ({"reason": "denied_by_scp", "account": account_id(3)}, 0),
        ({"reason": "regions_unreadable"}, 1),
        ({"reason": "denied"}, 0),
    ]
    for accept, accepted in cases:
        with case(accept, accepted):
            found = facts(
                unreadable(1, WEST, SCP),
                unreadable(1, EAST, SCP),
                region(3, WEST),
                accounts=(role_checks(1), role_checks(2, regions=denied(Reason.DENIED_BY_SCP))),
            )
            verdict = judge(found, make_config(coverage={"accept": [accept]}))
            assert verdict.accepted == accepted
            assert (
                sum(len(each.targets) or len(each.accounts) for each in verdict.problems)
                == 3 - accepted
            )


def test_a_gap_is_accepted_where_a_sweep_would_accept_it() -> None:
    """A region that cannot be checked; not what withholds changes, nor a sweep of nothing."""
    cases: list[tuple[tuple[Region, ...], list[tuple[str, ...]], int]] = [
        ((unreadable(1, WEST, SCP), region(2, WEST)), [], 1),
        ((region(1, WEST, list=SCP), region(2, WEST)), [], 1),
        # with it goes what is about changes there
        ((region(1, WEST, list=SCP, close=denied()), region(2, WEST)), [], 2),
        ((region(1, WEST, rules=SCP), region(2, WEST)), [(RULES,)], 0),
        ((region(1, WEST, close=SCP), region(2, WEST)), [(CLOSE,)], 0),
        ((unreadable(1, WEST, SCP), unreadable(2, WEST, SCP)), [()], 0),
    ]
    for regions, actions, accepted in cases:
        with case(regions):
            accept = {"accept": [{"reason": "denied_by_scp"}]}
            verdict = judge(facts(*regions), make_config(coverage=accept))
            assert [each.actions for each in verdict.problems] == actions
            assert verdict.accepted == accepted


def test_a_sweep_of_no_region_is_a_problem_if_nothing_else_explains_it() -> None:
    nothing = (Kind.ORGANIZATION, Reason.REGION_EXCLUDED, (), (), True)
    no_role = (Kind.ACCOUNT, Reason.ASSUME_ROLE_DENIED, ("sts:AssumeRole",), ids(1), True)
    cases = [
        (role_checks(1), [nothing]),
        (role_checks(1, denied(Reason.ASSUME_ROLE_DENIED)), [no_role]),
    ]
    for entered, expected in cases:
        with case(entered):
            assert summaries(facts(regions=(), accounts=(entered,))) == expected


def test_exemptions_that_cannot_be_decided_hold_back_changes_alone() -> None:
    for may_change in [True, False]:
        with case(may_change):
            found = facts(undecided_exemptions=ids(2, 3), may_change=may_change)
            held_back = [(Kind.WRITE, Reason.EXEMPTION_UNDECIDED, (), ids(2, 3), True)]
            assert summaries(found) == (held_back if may_change else [])


def test_an_excluded_account_that_is_not_there_holds_back_changes_alone() -> None:
    for may_change in [True, False]:
        with case(may_change):
            found = facts(unknown_exclusions="000000000008, 000000000009", may_change=may_change)
            held_back = [(Kind.WRITE, Reason.UNKNOWN_ACCOUNT, (), ids(8, 9), True)]
            assert summaries(found) == (held_back if may_change else [])


def test_without_a_record_nothing_would_be_changed() -> None:
    assert summaries(facts(keeps_record=False)) == [
        (Kind.WRITE, Reason.JOURNAL_UNAVAILABLE, (), (), True)
    ]
    assert summaries(facts(keeps_record=False, may_change=False)) == []


def _bucket(action: str, answer: ProbeResult) -> DestinationProbe:
    return DestinationProbe("report.s3.bucket", "s3://b/p", action, answer)


def test_a_destination_is_one_problem_for_each_reason() -> None:
    found = facts(
        destinations=(
            _bucket("s3:ListBucket", denied(Reason.DENIED)),
            _bucket("s3:GetObject", failed(Reason.TIMED_OUT)),
            _bucket("s3:PutObject", denied(Reason.DENIED)),
            DestinationProbe("report.sns_topic_arn", "arn", "exists", NOT_KNOWN),
        )
    )
    assert [
        (each.key, each.reason, each.actions, each.status)
        for each in judge(found, make_config()).problems
    ] == [
        ("report.s3.bucket", Reason.DENIED, ("s3:ListBucket", "s3:PutObject"), 5),
        ("report.s3.bucket", Reason.TIMED_OUT, ("s3:GetObject",), 5),
        ("report.sns_topic_arn", None, ("exists",), 0),
    ]


def test_the_exit_status_is_the_highest() -> None:
    cases: list[tuple[Facts, int]] = [
        (facts(), 0),
        (facts(region(1, WEST, list=NOT_KNOWN)), 0),
        (facts(unreadable(1, WEST, NOT_KNOWN)), 0),
        (facts(region(1, WEST, close=denied())), 4),
        (Facts(None, Failed(Stage.ENUMERATE, Reason.NO_CREDENTIALS, "none")), 2),
        (Facts(None, Failed(Stage.ENUMERATE, Reason.NOT_ALLOWED_TO_LIST, "no")), 2),
        (Facts(None, Failed(Stage.ENUMERATE, Reason.UNKNOWN_OU, "no")), 2),
        (Facts(None, Failed(Stage.ENUMERATE, Reason.THROTTLED, "later")), 4),
        (Facts(None, Failed(Stage.ENUMERATE, Reason.INTERNAL_ERROR, "a defect")), 1),
        (facts(destinations=(_bucket("s3:PutObject", denied()),)), 5),
        (facts(destinations=(_bucket("s3:PutObject", NOT_KNOWN),)), 0),
        (
            facts(
                region(1, WEST, list=denied()), destinations=(_bucket("s3:PutObject", denied()),)
            ),
            5,
        ),
    ]
    for found, status in cases:
        with case(found, status):
            assert judge(found, make_config()).status == status
