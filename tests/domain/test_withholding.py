"""Which changes wait, and for what: tables of days, counts and configuration."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sweeper.domain.model import Change, ChangeStatus, Counts, Examined
from sweeper.domain.planning import plan_changes
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Coverage
from sweeper.domain.withholding import Announced, withhold_until_due
from tests.cases import case
from tests.fakes import TODAY, account_id, make_change, make_config, make_finding, make_target

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
    return withhold_until_due(
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
