"""What changed since the last sweep: tables of facts, then what holds for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from sweeper.domain import comparison as since
from sweeper.domain.comparison import (
    NO_HISTORY,
    History,
    RemediationRecord,
    add_trend,
    compare_reports,
    comparison_unavailable,
    same_organization,
    update_history,
)
from sweeper.domain.model import (
    Change,
    ChangeStatus,
    Compliance,
    Failed,
    Finding,
    Key,
    Since,
    Skipped,
    Stage,
    Target,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ended_early, is_remaining
from sweeper.domain.report_model import EarlierFinding, Report, TrendPoint
from tests.cases import case
from tests.factories import (
    ACCOUNT_ID,
    REGION,
    account,
    change,
    exemption,
    failed,
    finding,
    report,
    run,
    target,
    template,
)

CHECK = finding().check
CHECKS = {CHECK}
NAME = "product-a/service-one"
OTHER = "444455556666"
FIRST, SECOND, THIRD, FOURTH = (f"2026-11-2{day}T01:04:10Z" for day in range(1, 5))


def sweep_at(when: str, findings: Sequence[Finding] = (), *args: Any, **changes: Any) -> Report:
    """A sweep that started and ended then."""
    times = {"id": f"run-{when}", "started_at": when, "finished_at": when}
    return report(findings, *args, **(times | changes))


def followed(
    sweeps: Sequence[Report], history: History | None = None
) -> tuple[list[Report], History]:
    """The sweeps, each compared with the one before and remembered."""
    history = history or NO_HISTORY
    done: list[Report] = []
    for item in sweeps:
        known = add_trend(item, history, narrowed=False)
        known = compare_reports(known, done[-1], history, CHECKS) if done else known
        history = update_history(history, known)
        done.append(known)
    return done, history


def told(item: Report) -> tuple[int, int, int, int, int]:
    """New, still open, reopened, resolved, not visible."""
    changed = item.since_last
    assert changed is not None
    return (
        changed.new,
        changed.still_open,
        changed.reopened,
        len(changed.resolved),
        len(changed.not_visible),
    )


APPLIED = change(ChangeStatus.APPLIED)
EXEMPT: dict[str, Any] = {"compliance": Compliance.EXEMPT, "exemption": exemption()}
EXPIRED: dict[str, Any] = {"exemption": exemption(expired=True)}
UNDETERMINED: dict[str, Any] = {"compliance": Compliance.UNDETERMINED, "mutability": "NEW"}
NOT_OPEN = {"was_open": False}


def superseded(reason: Reason) -> Change:
    return change(ChangeStatus.SUPERSEDED, reason=reason)


def test_whether_other_places_could_not_be_checked() -> None:
    east, west = ([(target(region=f"us-{way}-1"), failed())] for way in ("east", "west"))
    denied = [(target(region="us-east-1"), failed(Reason.DENIED_BY_IDENTITY_POLICY))]
    cases: list[tuple[Any, Any, dict[str, Any], bool | None]] = [
        ([], [], {}, False),
        (east, east, {}, False),
        ([*east, *west], [*west, *east], {}, False),
        ([], east, {}, True),
        (east, [], {}, True),
        (east, west, {}, True),
        (east, denied, {}, True),
        (east, east, {"dry_run": True}, None),  # which told nobody
    ]
    for before, after, run_changes, expected in cases:
        with case(before, after, run_changes):
            first = comparison_unavailable(sweep_at(FIRST, [], before, **run_changes), "none")
            result = compare_reports(sweep_at(SECOND, [], after), first, NO_HISTORY, CHECKS)
            assert result.since_last
            assert result.since_last.coverage_changed is expected
    # A report of an earlier version does not say.
    first = sweep_at(FIRST)
    result = compare_reports(sweep_at(SECOND), first, NO_HISTORY, CHECKS)
    assert result.since_last
    assert result.since_last.coverage_changed is None
    # Neither does this very run, resumed.
    again = compare_reports(sweep_at(SECOND), result, NO_HISTORY, CHECKS)
    assert again.since_last
    assert again.since_last.coverage_changed is None


def test_a_finding_then_and_now() -> None:
    cases: list[tuple[dict[str, Any] | None, dict[str, Any], Since | None, tuple[int, ...]]] = [
        (None, {}, Since.NEW, (1, 0, 0, 0, 0)),
        (None, UNDETERMINED, Since.NEW, (1, 0, 0, 0, 0)),
        ({}, {}, Since.STILL_OPEN, (0, 1, 0, 0, 0)),
        ({}, {"change": APPLIED}, Since.STILL_OPEN, (0, 1, 0, 0, 0)),
        ({}, UNDETERMINED, Since.STILL_OPEN, (0, 1, 0, 0, 0)),
        (UNDETERMINED, {}, Since.STILL_OPEN, (0, 1, 0, 0, 0)),
        ({"change": change(ChangeStatus.FAILED)}, {}, Since.STILL_OPEN, (0, 1, 0, 0, 0)),
        ({"change": change(ChangeStatus.WITHHELD)}, {}, Since.STILL_OPEN, (0, 1, 0, 0, 0)),
        ({"change": change(ChangeStatus.PLANNED)}, {}, Since.STILL_OPEN, (0, 1, 0, 0, 0)),
        # Somebody else made it immutable, and somebody mutable again.
        ({"change": superseded(Reason.NOW_COMPLIANT)}, {}, Since.NEW, (1, 0, 0, 0, 0)),
        ({"change": superseded(Reason.REPOSITORY_DELETED)}, {}, Since.NEW, (1, 0, 0, 0, 0)),
        (
            {"change": superseded(Reason.CHANGED_SINCE_EXAMINED)},
            {},
            Since.STILL_OPEN,
            (0, 1, 0, 0, 0),
        ),
        ({"change": APPLIED}, {}, Since.REOPENED, (0, 0, 1, 0, 0)),
        ({"change": APPLIED}, {"change": APPLIED}, Since.REOPENED, (0, 0, 1, 0, 0)),
        # AWS has a new word for it: that it is mutable again is not known.
        ({"change": APPLIED}, UNDETERMINED, Since.NEW, (1, 0, 0, 0, 0)),
        (EXEMPT, {}, Since.NEW, (1, 0, 0, 0, 0)),
        (EXEMPT, EXPIRED, Since.NEW, (1, 0, 0, 0, 0)),
        (EXPIRED, EXPIRED, Since.STILL_OPEN, (0, 1, 0, 0, 0)),
        ({}, EXEMPT, None, (0, 0, 0, 0, 0)),
        (EXEMPT, EXEMPT, None, (0, 0, 0, 0, 0)),
        ({}, {"account_name": "renamed"}, Since.STILL_OPEN, (0, 1, 0, 0, 0)),
    ]
    for before, now, known, figures in cases:
        with case(before, now, known, figures):
            first = sweep_at(FIRST, [] if before is None else [finding(**before)])
            (_, second), _ = followed([first, sweep_at(SECOND, [finding(**now)])])
            (found,) = second.findings
            assert found.since_last is known
            assert found.reopened == (1 if known is Since.REOPENED else 0)
            assert told(second) == figures
            assert second.since_last is not None
            assert second.since_last.run_id == first.run.id
            assert second.since_last.finished_at == FIRST
            assert second.since_last.unavailable is None


def test_a_finding_that_is_none_now() -> None:
    """Closed, or deleted with its repository: where its place was examined it is resolved."""
    cases: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
        ({}, {}),
        ({"change": APPLIED}, NOT_OPEN),
        ({"change": superseded(Reason.NOW_COMPLIANT)}, NOT_OPEN),
        ({"change": superseded(Reason.REPOSITORY_DELETED)}, NOT_OPEN),
        ({"change": superseded(Reason.CHANGED_SINCE_EXAMINED)}, {}),
        ({"reopened": 3}, {"reopened": 3}),
        (UNDETERMINED, {"mutability": "NEW"}),
        (EXEMPT, None),
    ]
    for before, kept in cases:
        with case(before, kept):
            first = sweep_at(FIRST, [finding(**before)])
            item = EarlierFinding(
                CHECK, ACCOUNT_ID, "product-a", REGION, NAME, "MUTABLE", last_seen=FIRST
            )
            expected = [] if kept is None else [replace(item, **kept)]

            (_, seen), _ = followed([first, sweep_at(SECOND)])
            assert seen.since_last is not None
            assert list(seen.since_last.resolved) == expected
            assert not seen.since_last.not_visible

            early = ended_early(
                run(id="early", finished_at=SECOND),
                Failed(Stage.ENUMERATE, Reason.TIMED_OUT, "slow"),
            )
            (_, unseen), _ = followed([first, early])
            assert unseen.since_last is not None
            assert list(unseen.since_last.not_visible) == expected
            assert not unseen.since_last.resolved


def unseen_at(when: str, reason: str) -> Report:
    """A sweep of the other account that did not see the place of `finding(account_id=OTHER)`."""
    place = Target(account(OTHER), REGION)
    match reason:
        case "account failed":
            return sweep_at(when, [], [(account(OTHER), failed(Reason.ASSUME_ROLE_DENIED))])
        case "region failed":
            return sweep_at(when, [], [(place, failed())])
        case "account skipped":
            return sweep_at(when, [], [], [(account(OTHER), Skipped(Reason.ACCOUNT_SUSPENDED))])
        case "region skipped":
            return sweep_at(when, [], [], [(place, Skipped(Reason.REGION_EXCLUDED))])
        case "another region":
            return sweep_at(when, [finding("x", account_id=OTHER, region="eu-west-1")])
        case _:  # the account is not in the plan any more: it left, or the sweep was narrowed
            return sweep_at(when)


def test_what_is_not_seen_is_not_resolved_and_not_forgotten() -> None:
    for reason in [
        "account failed",
        "region failed",
        "account skipped",
        "region skipped",
        "another region",
        "gone",
    ]:
        with case(reason):
            lost = finding(account_id=OTHER)
            again = sweep_at(FOURTH, [lost])
            first = sweep_at(FIRST, [lost])
            sweeps, _ = followed(
                [first, unseen_at(SECOND, reason), unseen_at(THIRD, reason), again]
            )
            for item in sweeps[1:3]:
                assert item.since_last is not None
                assert not item.since_last.resolved
                (kept,) = item.since_last.not_visible
                assert (kept.account_id, kept.repository, kept.last_seen) == (OTHER, NAME, FIRST)
            assert told(sweeps[3]) == (0, 1, 0, 0, 1 if reason == "another region" else 0)
            (found,) = sweeps[3].findings
            assert found.since_last is Since.STILL_OPEN

            # Or it was closed in the dark: known only when its place is seen.
            there = sweep_at(FOURTH, [finding("y", account_id=OTHER)])
            closed, _ = followed([first, unseen_at(SECOND, reason), there])
            assert closed[2].since_last is not None
            assert NAME in {item.repository for item in closed[2].since_last.resolved}


def test_what_was_closed_and_is_not_seen_is_told_once() -> None:
    lost = finding(account_id=OTHER, change=APPLIED)
    sweeps, _ = followed(
        [
            sweep_at(FIRST, [lost]),
            unseen_at(SECOND, "gone"),
            unseen_at(THIRD, "gone"),
            sweep_at(FOURTH, [finding(account_id=OTHER)]),
        ]
    )
    assert told(sweeps[1]) == (0, 0, 0, 0, 1)
    assert told(sweeps[2]) == (0, 0, 0, 0, 0)
    assert told(sweeps[3]) == (0, 0, 1, 0, 0)  # its closure is remembered all the same


def test_what_was_not_seen_and_is_exempt_now_is_neither_resolved_nor_kept() -> None:
    lost = finding(account_id=OTHER)
    now = sweep_at(THIRD, [finding(account_id=OTHER, **EXEMPT)])
    sweeps, _ = followed([sweep_at(FIRST, [lost]), unseen_at(SECOND, "gone"), now])
    assert told(sweeps[2]) == (0, 0, 0, 0, 0)


def test_the_findings_of_a_check_that_did_not_run_are_not_resolved() -> None:
    first = sweep_at(FIRST, [finding(check="scan-on-push"), finding()])
    result = compare_reports(sweep_at(SECOND), first, NO_HISTORY, CHECKS)
    assert result.since_last is not None
    assert [item.check for item in result.since_last.resolved] == [CHECK]
    assert [item.check for item in result.since_last.not_visible] == ["scan-on-push"]
    both = compare_reports(sweep_at(SECOND), first, NO_HISTORY, {CHECK, "scan-on-push"})
    assert told(both) == (0, 0, 0, 2, 0)


def test_what_is_no_repository_stays_none() -> None:
    gone = template()
    (_, second, third), _ = followed(
        [
            sweep_at(FIRST, [gone]),
            unseen_at(SECOND, "denied"),
            sweep_at(THIRD, [template("other")]),
        ]
    )
    assert second.since_last is not None
    assert third.since_last is not None
    kept = [*second.since_last.not_visible, *third.since_last.not_visible]
    assert [(item.repository, item.resource) for item in kept] == [
        (gone.repository, "repository_creation_template")
    ] * 2


def test_the_lists_are_in_the_order_of_a_report() -> None:
    places = [(OTHER, "us-east-1", "b"), (OTHER, "eu-west-1", "c"), (OTHER, "eu-west-1", "a")]
    findings = [finding(name, account_id=one, region=region) for one, region, name in places]
    result = compare_reports(sweep_at(SECOND), sweep_at(FIRST, findings), NO_HISTORY, CHECKS)
    assert result.since_last is not None
    kept = [
        (item.account_id, item.region, item.repository) for item in result.since_last.not_visible
    ]
    assert kept == sorted(places)


def test_a_reopening_is_counted_over_sweeps_in_which_it_was_closed() -> None:
    opened, closed = finding(), finding(change=APPLIED)
    sweeps, history = followed(
        [
            sweep_at("2026-11-01T00:00:00Z", [closed]),
            sweep_at("2026-11-02T00:00:00Z", [closed]),  # 1
            sweep_at("2026-11-03T00:00:00Z"),
            sweep_at("2026-11-04T00:00:00Z"),
            sweep_at("2026-11-05T00:00:00Z", [opened]),  # 2
            sweep_at("2026-11-06T00:00:00Z", [opened]),
            sweep_at("2026-11-07T00:00:00Z", [closed]),
            sweep_at("2026-11-08T00:00:00Z", [closed]),  # 3
        ]
    )
    seen = [
        (item.findings[0].since_last, item.findings[0].reopened) if item.findings else None
        for item in sweeps
    ]
    assert seen == [
        (None, 0),
        (Since.REOPENED, 1),
        None,
        None,
        (Since.REOPENED, 2),
        (Since.STILL_OPEN, 2),
        (Since.STILL_OPEN, 2),
        (Since.REOPENED, 3),
    ]
    assert history.closures == (
        RemediationRecord(CHECK, ACCOUNT_ID, REGION, NAME, "2026-11-08T00:00:00Z", 3),
    )


def test_a_reopening_that_others_closed_is_counted_too() -> None:
    opened, closed = [finding()], [finding(change=APPLIED)]
    sweeps, history = followed(
        [
            sweep_at(FIRST, closed),
            sweep_at(SECOND, opened),
            sweep_at(THIRD),
            sweep_at(FOURTH, opened),
        ]
    )
    assert sweeps[3].findings[0].reopened == 2
    assert [(item.closed_at, item.reopened) for item in history.closures] == [(FIRST, 2)]


def test_what_the_last_sweep_closed_is_known_without_its_history() -> None:
    first = sweep_at(FIRST, [finding(change=APPLIED, reopened=4)])
    result = compare_reports(sweep_at(SECOND, [finding()]), first, NO_HISTORY, CHECKS)
    (found,) = result.findings
    assert (found.since_last, found.reopened) == (Since.REOPENED, 5)


def test_a_closure_after_the_last_report_counts_though_its_own_report_is_not_the_last() -> None:
    """The last report could not be written, or is of a sweep that overlapped."""
    closure = RemediationRecord(CHECK, ACCOUNT_ID, REGION, NAME, SECOND, 0)
    history = replace(NO_HISTORY, closures=(closure,))
    open_at_first = sweep_at(FIRST, [finding()])
    result = compare_reports(sweep_at(THIRD, [finding()]), open_at_first, history, CHECKS)
    assert result.findings[0].since_last is Since.REOPENED
    open_at_third = sweep_at(THIRD, [finding()])
    result = compare_reports(sweep_at(FOURTH, [finding()]), open_at_third, history, CHECKS)
    assert result.findings[0].since_last is Since.STILL_OPEN


def test_the_closure_of_what_is_exempt_is_forgotten() -> None:
    """It may be open: that it is closed again, and opened again, begins from the beginning."""
    sweeps, history = followed(
        [
            sweep_at(FIRST, [finding(change=APPLIED)]),
            sweep_at(SECOND, [finding(**EXEMPT)]),
            sweep_at(THIRD, [finding(**EXPIRED)]),
        ]
    )
    assert sweeps[2].findings[0].since_last is Since.NEW
    assert history.closures == ()


def test_an_undetermined_setting_does_not_count_as_reopened_and_is_not_forgotten() -> None:
    sweeps, history = followed(
        [
            sweep_at(FIRST, [finding(change=APPLIED)]),
            sweep_at(SECOND),
            sweep_at(THIRD, [finding(**UNDETERMINED)]),
        ]
    )
    assert sweeps[2].findings[0].since_last is Since.NEW
    assert [closure.closed_at for closure in history.closures] == [FIRST]


def test_why_there_is_no_comparison() -> None:
    result = comparison_unavailable(report([finding()]), "why")
    assert result.since_last is not None
    assert (result.since_last.unavailable, result.since_last.run_id) == ("why", None)
    assert told(result) == (0, 0, 0, 0, 0)
    assert result.findings[0].since_last is None


# --- the history ----------------------------------------------------------------------------------


def test_a_point_says_what_the_sweep_saw() -> None:
    item = sweep_at(
        FIRST,
        [finding("a", change=APPLIED), finding("b"), finding("c", **EXEMPT)],
        [(target(region="eu-west-1"), failed())],
        compliant=5,
    )
    assert add_trend(item, NO_HISTORY, narrowed=False).trend == (
        TrendPoint(
            run_id=item.run.id,
            finished_at=FIRST,
            repositories=8,
            non_compliant=2,
            exempt=1,
            remaining=1,
            changes_applied=1,
            accounts=1.0,
            targets=0.5,
            complete=False,
        ),
    )


def test_the_trend_is_of_the_last_sweeps_the_oldest_first() -> None:
    when = [f"2026-{month:02}-{day:02}T00:00:00Z" for month in (1, 2, 3) for day in range(1, 29)]
    sweeps, history = followed([sweep_at(each) for each in when])
    assert [point.finished_at for point in history.points] == when[-since._MAX_POINTS :]
    assert sweeps[-1].trend == history.points
    assert len(sweeps[1].trend) == 2


def test_a_sweep_that_is_remembered_twice_is_one_point() -> None:
    (item,), history = followed([sweep_at(FIRST, [finding(change=APPLIED)])])
    assert update_history(history, item) == history


def test_overlapping_sweeps_are_in_the_order_in_which_they_ended() -> None:
    _, history = followed([sweep_at(SECOND)])
    late = add_trend(sweep_at(FIRST), NO_HISTORY, narrowed=False)
    points = update_history(history, late).points
    assert [point.finished_at for point in points] == [FIRST, SECOND]


def test_sweeps_of_one_second_are_in_the_order_in_which_they_were_written() -> None:
    sweeps, history = followed([sweep_at(FIRST, id="z"), sweep_at(FIRST, id="a")])
    assert [point.run_id for point in history.points] == ["z", "a"]
    assert update_history(history, sweeps[0]) == history


def test_what_is_not_the_organizations_state_is_no_point() -> None:
    cases: list[tuple[Report, bool]] = [
        (sweep_at(SECOND, [finding(change=APPLIED)]), True),
        (ended_early(run(id="early"), Failed(Stage.ENUMERATE, Reason.TIMED_OUT, "slow")), False),
    ]
    for item, narrowed in cases:
        with case(item, narrowed):
            (first,), history = followed([sweep_at(FIRST)])
            known = add_trend(item, history, narrowed=narrowed)
            assert known.trend == first.trend
            after = update_history(history, known)
            assert after.points == history.points
            assert len(after.closures) == (1 if narrowed else 0)  # what it closed is remembered


def test_only_the_latest_closures_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(since, "_MAX_CLOSURES", 2)
    names = [sweep_at(FIRST, [finding("z", change=APPLIED), finding("y", change=APPLIED)])]
    names.append(sweep_at(SECOND, [finding("a", change=APPLIED)]))
    _, history = followed(names)
    assert [closure.repository for closure in history.closures] == ["a", "z"]


def test_the_history_knows_whose_it_is_from_the_first_sweep_that_knew() -> None:
    _, history = followed([sweep_at(FIRST)])
    assert (history.organization_id, history.account_id) == ("o-exampleorg", "999988887777")
    early = sweep_at(SECOND, organization_id=None, account_id=None)
    assert update_history(history, early).organization_id == "o-exampleorg"


def test_same_organization() -> None:
    cases: list[tuple[tuple[str | None, str | None], tuple[str | None, str | None], bool]] = [
        (("o-1", "1"), ("o-1", "2"), True),  # from another delegated administrator
        (("o-1", "1"), ("o-2", "1"), False),
        ((None, "1"), (None, "1"), True),
        ((None, "1"), (None, "2"), False),
        (("o-1", "1"), (None, "1"), True),
        (("o-1", "1"), (None, "2"), False),
        ((None, None), ("o-1", "1"), True),
        (("o-1", "1"), (None, None), True),
    ]
    for one, other, same in cases:
        with case(one, other, same):
            before = replace(NO_HISTORY, organization_id=one[0], account_id=one[1])
            now = run(organization_id=other[0], account_id=other[1])
            assert same_organization(before, now) is same


# --- what holds for all sweeps --------------------------------------------------------------------

PLACES = [(one, region) for one in (ACCOUNT_ID, OTHER) for region in (REGION, "eu-west-1")]
CHANGES = [
    None,
    APPLIED,
    change(ChangeStatus.FAILED, reason=Reason.THROTTLED),
    superseded(Reason.NOW_COMPLIANT),
    superseded(Reason.CHANGED_SINCE_EXAMINED),
]


@st.composite
def organizations(draw: st.DrawFn, when: str) -> Report:
    """Some findings in some places; each place is examined, failed, skipped or not planned."""
    findings: list[Finding] = []
    failures: list[tuple[Target, Failed]] = []
    skipped: list[tuple[Target, Skipped]] = []
    for one, region in PLACES:
        place = Target(account(one), region)
        match draw(st.sampled_from(["examined", "examined", "failed", "skipped", "not planned"])):
            case "failed":
                failures.append((place, failed()))
            case "skipped":
                skipped.append((place, Skipped(Reason.REGION_EXCLUDED)))
            case "examined":
                for name in draw(st.lists(st.sampled_from("ab"), unique=True)):
                    kind = draw(st.sampled_from([{}, {}, {}, EXEMPT, UNDETERMINED]))
                    made = draw(st.sampled_from(CHANGES)) if not kind else None
                    findings.append(
                        finding(name, account_id=one, region=region, change=made, **kind)
                    )
    # The default place is examined in any case: not a place of these.
    default = [item for item in findings if (item.account_id, item.region) == PLACES[0]]
    others = [item for item in findings if item not in default]
    outcomes = [pair for pair in failures if (pair[0].account.id, pair[0].region) != PLACES[0]]
    left_out = [pair for pair in skipped if (pair[0].account.id, pair[0].region) != PLACES[0]]
    return sweep_at(when, [*default, *others], outcomes, left_out)


def keys(items: Sequence[Finding | EarlierFinding]) -> list[Key]:
    return [(item.check, item.account_id, item.region, item.repository) for item in items]


def of_kind(item: Report, kind: Since | None) -> set[Key]:
    return set(keys([found for found in item.findings if found.since_last is kind]))


@given(st.tuples(*(organizations(when) for when in (FIRST, SECOND, THIRD, FOURTH))))
def test_nothing_is_lost_and_nothing_is_told_twice(sweeps: tuple[Report, ...]) -> None:
    done, _ = followed(sweeps)
    for before, now in pairwise(done):
        changed = now.since_last
        assert changed is not None
        examined = {(each.id, region) for each in now.accounts for region in each.regions}
        resolved, lost = keys(changed.resolved), keys(changed.not_visible)
        found = [one for one in now.findings if one.compliance is not Compliance.EXEMPT]

        # The lists and the figures are one.
        assert changed.new == len(of_kind(now, Since.NEW))
        assert changed.still_open == len(of_kind(now, Since.STILL_OPEN))
        assert changed.reopened == len(of_kind(now, Since.REOPENED))
        assert changed.new + changed.still_open + changed.reopened == len(found)
        assert of_kind(now, None) == set(keys(now.findings)) - set(keys(found))

        # A sweep that saw less never resolves.
        assert all((account_id, region) in examined for _, account_id, region, _ in resolved)
        assert all((account_id, region) not in examined for _, account_id, region, _ in lost)

        # Each finding of the last report, and what it kept as open, ends in exactly one of these.
        # One that was fixed may be new.
        carried = before.since_last.not_visible if before.since_last else ()
        then = {
            *keys([one for one in before.findings if one.compliance is not Compliance.EXEMPT]),
            *keys([one for one in carried if one.was_open]),
        }
        ends = [
            *of_kind(now, Since.STILL_OPEN),
            *(of_kind(now, Since.REOPENED) & then),
            *(of_kind(now, Since.NEW) & then),
            *resolved,
            *lost,
            *(of_kind(now, None) & then),
        ]
        assert sorted(ends) == sorted(then)

        # What remained open is known as open until its place is seen.
        still = set(keys([one for one in before.findings if is_remaining(one)]))
        assert not of_kind(now, Since.NEW) & still
        dark = {key for key in still if (key[1], key[2]) not in examined}
        assert dark <= set(keys([one for one in changed.not_visible if one.was_open]))
        event(f"reopened: {bool(changed.reopened)}; kept: {bool(lost)}")


@given(st.tuples(*(organizations(when) for when in (FIRST, SECOND, THIRD, FOURTH))))
def test_reopened_is_what_a_sweep_closed_and_nothing_else(sweeps: tuple[Report, ...]) -> None:
    done, _ = followed(sweeps)
    closed: set[Key] = set()
    for item in done:
        for found in item.findings:
            (key,) = keys([found])
            if found.since_last is Since.REOPENED:
                assert key in closed
                assert found.reopened >= 1
            if found.compliance is Compliance.EXEMPT:
                closed.discard(key)
            elif found.change == APPLIED:
                closed.add(key)


# --- a run that was stopped, and is resumed -----------------------------------------------------


def test_a_run_that_is_resumed_is_compared_as_if_it_had_not_been_stopped() -> None:
    """First it saw one region, then both; between them its own report became the last one."""
    there = ("a-new", "b-open", "c-closed", "d-gone")
    elsewhere = "us-east-1"
    before = sweep_at(
        FIRST,
        [
            *(finding(name) for name in ("b-open", "d-gone")),
            finding("c-closed", change=change()),
            finding("f-open", region=elsewhere),
            finding("g-gone", region=elsewhere),
        ],
    )
    history = update_history(NO_HISTORY, before)
    here = [finding(name, change=change()) for name in there[:3]]
    rest = [finding(name, region=elsewhere) for name in ("e-new", "f-open")]
    whole = compare_reports(sweep_at(SECOND, [*here, *rest]), before, history, CHECKS)
    stopped = compare_reports(
        sweep_at(SECOND, here, [(target(region=elsewhere), failed(Reason.INTERRUPTED))]),
        before,
        history,
        CHECKS,
    )
    after = update_history(history, stopped)
    resumed = compare_reports(sweep_at(SECOND, [*here, *rest]), stopped, after, CHECKS)
    assert resumed.since_last == whole.since_last
    assert resumed.findings == whole.findings
    assert [found.since_last for found in whole.findings] == [
        Since.NEW,
        Since.STILL_OPEN,
        Since.REOPENED,
        Since.NEW,
        Since.STILL_OPEN,
    ]


def test_what_it_could_not_tell_before_it_cannot_tell_now() -> None:
    for why in ["there is no earlier latest.json here", None]:
        with case(why):
            stopped = sweep_at(SECOND, [finding()])
            if why:
                stopped = comparison_unavailable(stopped, why)
            resumed = compare_reports(sweep_at(SECOND, [finding()]), stopped, NO_HISTORY, CHECKS)
            assert resumed.since_last
            assert resumed.since_last.unavailable
            assert (resumed.since_last.unavailable == why) is (why is not None)


def test_what_was_new_in_a_dry_run_is_still_new_in_the_next_sweep() -> None:
    """It notified nobody: the sweep is compared as if there had been no dry run."""
    names = ("b-open", "c-closed", "d-gone", "e-gone-then-back")
    before = sweep_at(FIRST, [finding(name) for name in names if name != "c-closed"])
    before = replace(before, findings=(*before.findings, finding("c-closed", change=APPLIED)))
    history = update_history(NO_HISTORY, before)
    seen = [finding(name) for name in ("a-new", "b-open", "c-closed")]
    dry = compare_reports(sweep_at(SECOND, seen, dry_run=True), before, history, CHECKS)
    again = compare_reports(
        sweep_at(THIRD, [*seen, finding("f-exempt")], dry_run=True), dry, history, CHECKS
    )
    now = sweep_at(FOURTH, [*seen, finding("e-gone-then-back"), finding("f-exempt", **EXEMPT)])
    expected = compare_reports(now, before, history, CHECKS)
    for earlier in (dry, again):
        result = compare_reports(now, earlier, history, CHECKS)
        assert result.findings == expected.findings
        assert result.since_last is not None
        assert result.since_last.run_id == before.run.id
        assert told(result) == told(expected) == (1, 2, 1, 1, 0)
        assert result.since_last.coverage_changed is None
        assert since.is_changed(result)


def test_what_was_fixed_after_a_dry_run_is_reopened() -> None:
    before = sweep_at(FIRST, [finding()])
    dry = compare_reports(sweep_at(SECOND, [finding()], dry_run=True), before, NO_HISTORY, CHECKS)
    closure = RemediationRecord(CHECK, ACCOUNT_ID, REGION, NAME, THIRD, 0)
    history = replace(NO_HISTORY, closures=(closure,))
    result = compare_reports(sweep_at(FOURTH, [finding()]), dry, history, CHECKS)
    assert told(result) == (0, 0, 1, 0, 0)


def test_without_a_sweep_dry_runs_are_compared_with_each_other_and_no_sweep_is() -> None:
    dry = comparison_unavailable(sweep_at(FIRST, [finding()], dry_run=True), "none is there")
    again = compare_reports(sweep_at(SECOND, [finding()], dry_run=True), dry, NO_HISTORY, CHECKS)
    third = compare_reports(sweep_at(THIRD, [], dry_run=True), again, NO_HISTORY, CHECKS)
    assert told(again) == (0, 1, 0, 0, 0)
    assert told(third) == (0, 0, 0, 1, 0)
    resumed = compare_reports(sweep_at(THIRD, [], dry_run=True), third, NO_HISTORY, CHECKS)
    assert resumed.since_last == third.since_last
    for earlier in (dry, again, third, resumed):
        result = compare_reports(sweep_at(FOURTH, [finding()]), earlier, NO_HISTORY, CHECKS)
        assert result.since_last is not None
        assert result.since_last.unavailable is not None
        assert "a dry run, which was compared with no sweep" in result.since_last.unavailable
        assert result.findings[0].since_last is None


WAITING = change(ChangeStatus.WITHHELD, reason=Reason.IN_GRACE_PERIOD, due=date(2026, 12, 1))


def announced_in(sweeps: Sequence[Report]) -> list[tuple[date | None, int]]:
    """The day on which the last finding of each sweep was announced, and how many are new."""
    told = []
    for item in followed(sweeps)[0][1:]:
        assert item.since_last is not None
        told.append((item.findings[-1].announced, item.since_last.announced))
    return told


def test_a_change_is_announced_by_the_first_report_that_names_its_day() -> None:
    first, second, third = (date.fromisoformat(when[:10]) for when in (FIRST, SECOND, THIRD))
    waits, due = [finding(change=WAITING)], [finding(change=APPLIED)]
    known = [replace(waits[0], announced=first)]
    held = [finding(change=change(ChangeStatus.WITHHELD, reason=Reason.MAX_CHANGES))]
    exempt = [finding(**EXEMPT)]
    failure = [finding(change=change(ChangeStatus.FAILED, reason=Reason.THROTTLED))]
    cases: list[tuple[list[list[Finding]], list[tuple[date | None, int]]]] = [
        # New where no report announced it, and carried on from there.
        ([[], waits], [(second, 1)]),
        ([[finding()], waits, waits], [(second, 1), (second, 0)]),
        ([known, waits, due], [(first, 0), (first, 0)]),
        # What is not due on a day is not announced; what failed, or is held back, stays announced.
        ([[], held], [(None, 0)]),
        ([known, failure, held], [(first, 0), (first, 0)]),
        ([known, [finding(**UNDETERMINED)], waits], [(first, 0), (first, 0)]),
        # What was fixed needs no second notice; what was exempt needs one.
        ([known, due, [], waits], [(first, 0), (None, 0), (first, 0)]),
        ([known, exempt, waits], [(None, 0), (third, 1)]),
        # So does what no report plans to change: remediation is off, or the account outside it.
        ([known, [finding()], waits], [(None, 0), (third, 1)]),
    ]
    for findings, expected in cases:
        with case(findings):
            marker = finding("aaa", **EXEMPT)
            days = (FIRST, SECOND, THIRD, FOURTH)
            sweeps = [
                sweep_at(day, [marker, *found]) for day, found in zip(days, findings, strict=False)
            ]
            assert announced_in(sweeps) == expected


def test_an_announcement_outlasts_sweeps_that_cannot_check_the_place() -> None:
    first = date.fromisoformat(FIRST[:10])
    waits = finding(change=WAITING, account_id=OTHER)
    known = sweep_at(FIRST, [replace(waits, announced=first)])
    blind = [sweep_at(day, [], [(target(OTHER), failed())]) for day in (SECOND, THIRD)]
    done, _ = followed([known, *blind, sweep_at(FOURTH, [waits])])
    assert done[1].since_last is not None
    assert [item.announced for item in done[1].since_last.not_visible] == [first]
    assert [item.announced for item in done[-1].findings] == [first]


def test_without_an_earlier_report_changes_are_announced_today() -> None:
    item = comparison_unavailable(sweep_at(SECOND, [finding(change=WAITING)]), "it is damaged")
    assert [each.announced for each in item.findings] == [date.fromisoformat(SECOND[:10])]
    assert item.since_last is not None
    assert item.since_last.announced == 1


def test_a_new_announcement_is_news() -> None:
    first = sweep_at(FIRST, [finding()])
    news = followed([first, sweep_at(SECOND, [finding(change=WAITING)])])[0][1]
    assert news.since_last is not None
    assert (news.since_last.new, news.since_last.still_open) == (0, 1)
    assert since.is_changed(news)
    again = followed([first, news, sweep_at(THIRD, [finding(change=WAITING)])])[0][2]
    assert not since.is_changed(again)
