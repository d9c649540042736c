"""When a repository is contested: tables of facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sweeper.domain.hints import Hint
from sweeper.domain.model import Change, ChangeStatus, Counts, Examined
from sweeper.domain.reasons import Reason
from sweeper.domain.reopenings import (
    Reopening,
    count_reopenings,
    events_without_result,
    list_contested,
    withhold_contested,
    without_events,
)
from tests.cases import case
from tests.factories import change, finding

ACCOUNT, REGION = "111122223333", "eu-central-1"
NOW = datetime(2026, 11, 29, 13, tzinfo=UTC)
HINT = Hint(ACCOUNT, REGION, "app", "e-1", reopens=True, by="somebody", where="there")


def reopening(event_id: str, days_ago: float = 1, repository: str = "app") -> Reopening:
    at = (NOW - timedelta(days=days_ago)).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Reopening(ACCOUNT, REGION, repository, event_id, at, "somebody", "there")


def test_what_is_contested() -> None:
    three = [reopening("a"), reopening("b"), reopening("c")]
    cases: list[tuple[list[Reopening], int, int, bool]] = [
        ([], 3, 1, False),
        (three[:2], 3, 3, False),
        (three, 3, 3, True),
        (three, 4, 4, False),
        ([], 0, 0, True),
        ([*three[:2], reopening("c", days_ago=7)], 3, 3, False),  # the third is forgotten
        ([*three[:2], reopening("c", repository="other")], 3, 4, False),
        ([*three[:2], reopening("c", days_ago=-1)], 3, 3, False),  # nothing is to come
        ([*three[:2], reopening("e-1")], 3, 3, False),  # this very event, delivered again
    ]
    for before, limit, kept, is_contested in cases:
        with case(before, limit):
            after, contested = count_reopenings(before, [HINT], NOW, limit)
            assert len(after) == kept
            assert (HINT.place in contested) is is_contested
    _, contested = count_reopenings(three, [HINT], NOW, 3)
    assert contested[HINT.place] == (
        "made mutable again 4 times in 7 days, last by somebody; there"
    )


def test_what_was_not_made_immutable_again_is_no_reopening() -> None:
    cases: list[tuple[Change | None, bool]] = [
        (change(ChangeStatus.APPLIED), False),
        (change(ChangeStatus.FAILED, uncertain=True), False),
        (change(ChangeStatus.FAILED, reason=Reason.DENIED), True),
        (change(ChangeStatus.WITHHELD, reason=Reason.WRITE_NOT_GRANTED), True),
        (change(ChangeStatus.WITHHELD, reason=Reason.CONTESTED), False),  # it was not counted
        (None, False),
    ]
    for made, is_forgotten in cases:
        with case(made):
            found = finding(account_id=ACCOUNT, region=REGION, repository="app", change=made)
            events = events_without_result([HINT], [found])
            assert events == ({"e-1"} if is_forgotten else set())
    assert without_events([reopening("a"), reopening("b")], {"b"}) == (reopening("a"),)


def test_templates_are_not_counted() -> None:
    assert count_reopenings([], [replace(HINT, repository=None)], NOW, 0) == ((), {})


def test_a_sweep_leaves_alone_what_has_reached_the_limit() -> None:
    three = [reopening("a"), reopening("b"), reopening("c")]
    cases: list[tuple[list[Reopening], int, bool]] = [
        ([], 3, False),
        (three, 3, True),
        (three, 4, False),
        ([*three[:2], reopening("c", days_ago=8)], 3, False),
        ([*three[:2], reopening("c", repository="other")], 3, False),
        ([], 0, False),  # nobody made anything mutable again that is known
    ]
    for before, limit, is_contested in cases:
        with case(before, limit):
            contested = list_contested(before, NOW, limit)
            assert (HINT.place in contested) is is_contested
    assert list_contested(three, NOW, 3)[HINT.place] == (
        "made mutable again 4 times in 7 days, last by somebody; there"
    )


def test_only_planned_changes_of_repositories_are_withheld() -> None:
    planned = Change(ChangeStatus.PLANNED, "IMMUTABLE", ())
    applied = replace(planned, status=ChangeStatus.APPLIED)
    own = finding(account_id=ACCOUNT, region=REGION, repository="app", change=planned)
    others = (
        replace(own, change=applied),
        replace(own, repository="other"),
        replace(own, resource="repository_creation_template"),
        replace(own, change=None),
    )
    outcome = Examined(Counts(0, 5, 0), (own, *others))
    (after,) = withhold_contested([outcome], {HINT.place: "why"})
    assert isinstance(after, Examined)
    first, *rest = after.findings
    assert first.change == replace(
        planned, status=ChangeStatus.WITHHELD, reason=Reason.CONTESTED, error="why"
    )
    assert tuple(rest) == others
