"""Which changes: tables of facts and configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sweeper.domain.model import (
    Change,
    ChangeStatus,
    Compliance,
    Counts,
    Examined,
    Failed,
    Finding,
    Skipped,
    Stage,
)
from sweeper.domain.planning import (
    Announced,
    Outcome,
    _withhold_until_due,
    acting_day,
    apply_completed,
    plan_changes,
    planned_findings,
    restore_plan,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Coverage
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

ROOT, PROD, DEV = "r-ab12", "ou-ab12-11111111", "ou-ab12-22222222"
ACCOUNTS = (
    make_account(3, ou_path=(ROOT,), tags={"env": "prod"}),
    make_account(1, ou_path=(ROOT, PROD), tags={"env": "prod", "tier": "1"}),
    make_account(2, ou_path=(ROOT, PROD, DEV), tags={"env": "dev"}),
    make_account(4, ou_path=(ROOT, DEV), tags={}),
)


DENIED = Failed(Stage.EXAMINE, Reason.DENIED_BY_SCP, "no")


ALL_SEEN = Coverage(1.0, 1.0, complete=True)


def planned_change(finding: Finding) -> Change:
    return make_change()


def changes_of(
    findings: Mapping[int, tuple[Finding, ...]],
    coverage: Coverage = ALL_SEEN,
    unknown: str = "",
    **remediation: Any,
) -> list[Change | None]:
    """The changes planned for the accounts' findings, after a target that failed."""
    targets = [make_target(9), *(make_target(number) for number in findings)]
    outcomes: list[Outcome] = [DENIED]
    outcomes += [Examined(Counts(0, len(found), 0), found) for found in findings.values()]
    planned = plan_changes(
        targets,
        outcomes,
        config=make_config(remediation=remediation),
        coverage=coverage,
        unknown_exclusions=unknown,
        announced=Announced(),
        today=TODAY,
        remedies={make_finding().check: planned_change},
    )
    assert planned[0] is DENIED
    return [
        finding.change
        for outcome in planned
        if isinstance(outcome, Examined)
        for finding in outcome.findings
    ]


def held(reason: Reason) -> Change:
    return make_change(ChangeStatus.WITHHELD, reason=reason)


def test_a_run_acts_by_the_earlier_of_two_days() -> None:
    before, after = datetime(2026, 6, 15, 23, 59, tzinfo=UTC), datetime(2026, 6, 16, tzinfo=UTC)
    for started, now, day in (
        (before, before, 15),
        (before, after, 15),
        (after, before, 15),
        (after, after, 16),
    ):
        with case(started, now):
            assert acting_day(started, now) == date(2026, 6, day)


def test_only_what_is_not_compliant_is_changed() -> None:
    for compliance in [Compliance.EXEMPT, Compliance.UNDETERMINED]:
        with case(compliance):
            assert changes_of({1: (make_finding(compliance=compliance), make_finding("b"))}) == [
                None,
                make_change(),
            ]


def test_nothing_is_planned_outside_the_write_scope() -> None:
    withheld = held(Reason.PULL_THROUGH_RULES_UNREADABLE)
    findings = {1: (make_finding(change=withheld),), 2: (make_finding(),)}
    assert changes_of(findings, include_accounts=[account_id(2)]) == [None, make_change()]
    assert changes_of(findings, auto_remediate="DISABLED") == [None, None]


def test_nothing_is_planned_for_a_check_that_may_not_write() -> None:
    withheld = held(Reason.PULL_THROUGH_RULES_UNREADABLE)
    other = make_finding("b", check="other")
    findings = {1: (make_finding(), other, replace(other, change=withheld))}
    assert changes_of(findings) == [make_change(), None, None]
    assert changes_of(findings, checks=[]) == [None, None, None]


def test_what_the_check_withheld_stays_withheld() -> None:
    withheld = held(Reason.PULL_THROUGH_RULES_UNREADABLE)
    findings = {1: (make_finding(change=withheld), make_finding("b"))}
    assert changes_of(findings) == [withheld, make_change()]
    assert changes_of(findings, max_changes=0) == [withheld, held(Reason.MAX_CHANGES)]


def test_outcomes_without_findings_are_the_same_values() -> None:
    examined: list[Outcome] = [Examined(Counts(5, 0, 0)), Skipped(Reason.REGION_EXCLUDED)]
    targets = [make_target(1), make_target(2)]
    planned = plan_changes(
        targets,
        examined,
        config=make_config(),
        coverage=ALL_SEEN,
        unknown_exclusions="",
        announced=Announced(),
        today=TODAY,
        remedies={},
    )
    assert all(one is other for one, other in zip(planned, examined, strict=True))


def test_where_an_exclusion_names_nobody_nothing_is_changed() -> None:
    findings = {1: (make_finding("a"),), 2: (make_finding("a"),)}
    expected = replace(held(Reason.UNKNOWN_ACCOUNT), error="999999999999")
    assert changes_of(findings, unknown="999999999999") == [expected] * 2


def test_a_plan_above_the_cap_changes_nothing() -> None:
    cases: list[tuple[int, bool]] = [(0, True), (2, True), (3, False), (4, False)]
    for max_changes, is_held in cases:
        with case(max_changes, is_held):
            findings = {1: (make_finding("a"), make_finding("b")), 2: (make_finding("a"),)}
            expected = held(Reason.MAX_CHANGES) if is_held else make_change()
            assert changes_of(findings, max_changes=max_changes) == [expected] * 3


def test_below_the_coverage_floor_nothing_is_changed() -> None:
    cases: list[tuple[float, float, float, bool]] = [
        (0.0, 0.0, 0.0, False),
        (0.5, 1.0, 0.5, False),
        (0.49, 1.0, 0.5, True),
        (1.0, 0.49, 0.5, True),
        (1.0, 1.0, 1.0, False),
        (1.0, 0.999, 1.0, True),
    ]
    for accounts, targets, min_coverage, is_held in cases:
        with case(accounts, targets, min_coverage, is_held):
            seen = Coverage(accounts, targets, complete=False)
            expected = held(Reason.MIN_COVERAGE) if is_held else make_change()
            assert changes_of({1: (make_finding(),)}, seen, min_coverage=min_coverage) == [expected]


def test_only_planned_changes_are_due() -> None:
    due = make_finding("b", change=make_change())
    outcomes: list[Outcome] = [
        DENIED,
        Examined(Counts(0, 3, 0), (make_finding("a"), due, make_finding("c"))),
    ]
    assert list(planned_findings(outcomes)) == [due]


def test_what_an_earlier_process_made_of_a_change_stands() -> None:
    one, other = make_finding("a", change=make_change()), make_finding("b", change=make_change())
    exempt = make_finding("c", compliance=Compliance.EXEMPT)
    made = make_change(ChangeStatus.APPLIED)
    before: list[Outcome] = [
        Examined(Counts(0, 2, 1), (one, other, exempt)),
        Examined(Counts(1, 0, 0)),
        Failed(Stage.EXAMINE, Reason.THROTTLED, "later"),
        Skipped(Reason.REGION_EXCLUDED),
    ]
    after = apply_completed(before, {one.key: made})
    assert after == [
        Examined(Counts(0, 2, 1), (replace(one, change=made), other, exempt)),
        *before[1:],
    ]
    assert apply_completed(before, {}) == before


def test_a_plan_is_restored_change_by_change() -> None:
    """Limits of a whole plan do not hold again, but what is not due is never restored."""
    due, unplanned = make_finding("due"), make_finding("unplanned")
    exempt = make_finding("exempt", compliance=Compliance.EXEMPT)
    withheld = make_change(ChangeStatus.WITHHELD, reason=Reason.MANUAL_REVIEW_REQUIRED)
    by_check = make_finding("by check", change=withheld)
    outcome = Examined(Counts(0, 3, 1), (due, unplanned, exempt, by_check))
    target = make_target()
    for remediation, expected in (
        ({"max_changes": 0, "min_coverage": 1.0}, [make_change(), None, None, withheld]),
        ({"exclude_accounts": [target.account.id]}, [None] * 4),
    ):
        with case(remediation):
            (restored,) = restore_plan(
                [target],
                [outcome],
                {due.key, exempt.key},
                config=make_config(remediation=remediation),
                remedies={due.check: lambda _: make_change()},
            )
            assert isinstance(restored, Examined)
            assert [finding.change for finding in restored.findings] == expected


KEY = make_finding().key
GRACE, WAVE = Reason.IN_GRACE_PERIOD, Reason.IN_LATER_WAVE
WITHHELD = ChangeStatus.WITHHELD


def after(days: int) -> date:
    return TODAY + timedelta(days=days)


def until_due(
    *,
    grace: int = 0,
    announced: date | None = None,
    opens: date | None = None,
    unavailable: str | None = None,
    change: Change | None = None,
) -> Change:
    config = make_config(remediation={"grace_days": grace}, report={"directory": "out"})
    return _withhold_until_due(
        change or make_change(),
        KEY,
        opens,
        remediation=config.remediation,
        today=TODAY,
        announced=Announced({KEY: announced} if announced else {}, unavailable),
    )


def test_a_change_waits_until_its_notice_is_over_and_its_wave_is_open() -> None:
    cases: list[tuple[dict[str, Any], tuple[Reason, date] | None]] = [
        ({}, None),
        # Notice: from the first report that announced it; where none is known, from today.
        ({"grace": 3}, (GRACE, after(3))),
        ({"grace": 3, "announced": TODAY}, (GRACE, after(3))),
        ({"grace": 3, "announced": after(-2)}, (GRACE, after(1))),
        ({"grace": 3, "announced": after(-3)}, None),
        ({"grace": 3, "announced": after(-400)}, None),
        ({"grace": 3, "announced": after(5)}, (GRACE, after(3))),
        ({"grace": 3, "announced": date.max}, (GRACE, after(3))),
        # Waves.
        ({"opens": after(-1)}, None),
        ({"opens": TODAY}, None),
        ({"opens": after(9)}, (WAVE, after(9))),
        # Both: the later of the two days.
        ({"grace": 3, "opens": after(9)}, (WAVE, after(9))),
        ({"grace": 3, "opens": after(1)}, (GRACE, after(3))),
        ({"grace": 3, "opens": TODAY, "announced": after(-3)}, None),
    ]
    for given, expected in cases:
        with case(given):
            change = until_due(**given)
            if expected is None:
                assert change == make_change()
            else:
                reason, due = expected
                assert change == make_change(WITHHELD, reason=reason, due=due)


def test_why_a_notice_begins_anew_is_in_the_change() -> None:
    assert until_due(grace=3, unavailable="denied").error == "denied"
    assert until_due(grace=3, announced=after(-1), unavailable="denied").error is None
    assert until_due(opens=after(9), unavailable="denied").error is None


def test_what_a_check_withheld_keeps_its_reason() -> None:
    withheld = make_change(WITHHELD, reason=Reason.MANUAL_REVIEW_REQUIRED)
    assert until_due(grace=3, change=withheld) is withheld


def reasons(
    findings: dict[int, int], announced: Announced | None = None, **remediation: Any
) -> dict[int, Reason | None]:
    """Why the changes of each account are withheld: so many findings in each of two regions."""
    targets = [make_target(number, region) for number in findings for region in ("a", "b")]
    outcomes = [
        Examined(
            Counts(0, count, 0),
            tuple(make_finding(f"r{i}", target) for i in range(count)),
        )
        for target, count in zip(
            targets, [count for count in findings.values() for _ in range(2)], strict=True
        )
    ]
    planned = plan_changes(
        targets,
        outcomes,
        config=make_config(remediation=remediation, report={"directory": "out"}),
        coverage=Coverage(1.0, 1.0, complete=True),
        unknown_exclusions="",
        announced=announced or Announced(),
        today=TODAY,
        remedies={make_finding().check: lambda _: make_change()},
    )
    found: dict[int, set[Reason | None]] = {}
    for target, outcome in zip(targets, planned, strict=True):
        assert isinstance(outcome, Examined)
        for finding in outcome.findings:
            assert finding.change is not None
            found.setdefault(int(target.account.id), set()).add(finding.change.reason)
    return {number: reason for number, (reason,) in found.items()}


def test_only_an_account_above_its_cap_is_withheld() -> None:
    cap = Reason.MAX_CHANGES_PER_ACCOUNT
    for most, expected in (
        (None, {1: None, 2: None}),
        (4, {1: None, 2: None}),
        (3, {1: None, 2: cap}),
        (1, {1: cap, 2: cap}),
        (0, {1: cap, 2: cap}),
    ):
        with case(most):
            assert reasons({1: 1, 2: 2}, max_changes_per_account=most) == expected


def test_what_an_account_has_too_many_of_counts_for_no_other_limit() -> None:
    cap = Reason.MAX_CHANGES_PER_ACCOUNT
    few: dict[str, Any] = {"max_changes": 2, "max_changes_per_account": 2}
    assert reasons({1: 1, 2: 5}, **few) == {1: None, 2: cap}
    assert reasons({1: 1, 2: 1}, **few) == dict.fromkeys((1, 2), Reason.MAX_CHANGES)


def test_what_waits_counts_for_no_limit() -> None:
    waves = [
        {"include_accounts": [account_id(1)], "from": TODAY},
        {"include_accounts": [account_id(2)], "from": after(1)},
    ]
    assert reasons({1: 1, 2: 9}, rollout=waves, max_changes=2) == {1: None, 2: WAVE}
    assert reasons({1: 1}, rollout=waves, max_changes=1) == {1: Reason.MAX_CHANGES}
    due = {make_finding("r0", make_target(1, region)).key: after(-3) for region in ("a", "b")}
    assert reasons({1: 1, 2: 9}, Announced(due), grace_days=3, max_changes=2) == {1: None, 2: GRACE}


def test_a_finding_carries_the_day_of_its_announcement_which_is_never_to_come() -> None:
    target = make_target()
    findings = tuple(make_finding(name) for name in ("old", "forged", "new"))
    old, forged, _ = (finding.key for finding in findings)
    (planned,) = plan_changes(
        [target],
        [Examined(Counts(0, 3, 0), findings)],
        config=make_config(remediation={"grace_days": 3}, report={"directory": "out"}),
        coverage=Coverage(1.0, 1.0, complete=True),
        unknown_exclusions="",
        announced=Announced({old: after(-5), forged: date.max}),
        today=TODAY,
        remedies={make_finding().check: lambda _: make_change()},
    )
    assert isinstance(planned, Examined)
    assert [each.announced for each in planned.findings] == [after(-5), TODAY, None]
