"""Repositories that somebody makes mutable again and again: pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from sweeper.domain.hints import Hint
from sweeper.domain.model import Change, ChangeStatus, Finding
from sweeper.domain.planning import Outcome, map_changes
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import SCHEMA_VERSION

WINDOW = timedelta(days=7)  # in which reopenings are counted
_SKEW = timedelta(minutes=10)  # of the clocks of two functions
_MOST = 2_000  # reopenings that are remembered: the latest

Place = tuple[str, str, str | None]  # account id, region and repository


@dataclass(frozen=True, slots=True)
class Reopening:
    """A repository that somebody made mutable again, and that was then made immutable again.

    `by` is who did that, and `where` the place to change it for good.
    """

    account_id: str
    region: str
    repository: str
    event_id: str
    finished_at: str
    by: str
    where: str

    @property
    def place(self) -> Place:
        """Account id, region and repository."""
        return self.account_id, self.region, self.repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopenings:
    """What is remembered between events, of WINDOW alone: reopened.json as it stands."""

    schema_version: Literal["2"] = SCHEMA_VERSION
    reopenings: tuple[Reopening, ...] = ()


def count_reopenings(
    before: Sequence[Reopening], due: Iterable[Hint], now: datetime, limit: int
) -> tuple[tuple[Reopening, ...], Mapping[Place, str]]:
    """Return what is to be remembered, and why each repository above the limit is left alone.

    `due` are the hints whose repository was found mutable, and would be made immutable. An event
    counts once, however often it is delivered; what is left alone is not counted.
    """
    kept = _recent(before, now)
    contested: dict[Place, str] = {}
    for hint in due:
        if hint.repository is None:
            continue
        own = [each for each in kept if each.event_id == hint.event_id]
        count = sum(each.place == hint.place for each in kept if each not in own)
        if count >= limit:
            contested[hint.place] = _explain(count + 1, hint.by, hint.where)
        elif not own:
            place = (hint.account_id, hint.region, hint.repository)
            kept.append(Reopening(*place, hint.event_id, _utc(now), hint.by, hint.where))
    return tuple(kept[-_MOST:]), contested


def events_without_result(counted: Iterable[Hint], findings: Iterable[Finding]) -> set[str]:
    """Return the ids of the counted events after which nothing was made immutable again."""
    changes: dict[Place, Change | None] = {
        (each.account_id, each.region, each.repository): each.change
        for each in findings
        if each.resource == "repository"
    }
    return {
        hint.event_id
        for hint in counted
        if (change := changes.get(hint.place))
        and not change.may_be_made
        and change.reason is not Reason.CONTESTED
    }


def without_events(before: Sequence[Reopening], events: Container[str]) -> tuple[Reopening, ...]:
    """Return what is remembered without these events: nothing came of them."""
    return tuple(each for each in before if each.event_id not in events)


def list_contested(before: Sequence[Reopening], now: datetime, limit: int) -> Mapping[Place, str]:
    """Return why each repository that has reached the limit is left alone if it is mutable."""
    kept = _recent(before, now)
    counts = Counter(each.place for each in kept)
    return {
        each.place: _explain(counts[each.place] + 1, each.by, each.where)
        for each in kept
        if counts[each.place] >= limit
    }


def withhold_contested(
    outcomes: Iterable[Outcome], contested: Mapping[Place, str]
) -> list[Outcome]:
    """Return the outcomes, without a planned change of what is contested."""

    def edit(finding: Finding, change: Change) -> Change:
        is_repository = finding.resource == "repository"
        why = contested.get((finding.account_id, finding.region, finding.repository))
        if why is None or not is_repository:
            return change
        return replace(change, status=ChangeStatus.WITHHELD, reason=Reason.CONTESTED, error=why)

    return [map_changes(outcome, edit) if contested else outcome for outcome in outcomes]


def _recent(before: Sequence[Reopening], now: datetime) -> list[Reopening]:
    # Nothing that is to come counts: it would never be over.
    since, until = _utc(now - WINDOW), _utc(now + _SKEW)
    return [each for each in before if since < each.finished_at <= until]


def _explain(count: int, by: str, where: str) -> str:
    times = "once" if count == 1 else f"{count} times"
    who = by or "an unknown caller"
    return f"made mutable again {times} in {WINDOW.days} days, last by {who}; {where}"


def _utc(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
