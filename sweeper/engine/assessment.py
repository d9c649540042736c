"""Read what the changes of a plan may break, before the first of them is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sweeper.domain.model import (
    Change,
    ChangeStatus,
    Failed,
    Finding,
    Impact,
    Key,
    Stage,
    Target,
)
from sweeper.domain.planning import Outcome, changes_of, map_findings
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import attempt
from sweeper.engine.pool import Pool
from sweeper.engine.ports import Check

_Checks = Mapping[str, Check]


def assess_impact(
    pool: Pool, checks: Sequence[Check], targets: Sequence[Target], outcomes: list[Outcome]
) -> list[Outcome]:
    """Return the outcomes, with what each change that is planned or withheld may break.

    Only checks with `assess_actions` are asked, targets in parallel. What could not be read is said
    in the finding, and stops nothing else.
    """
    able = {check.name: check for check in checks if check.assess_actions}
    return pool.update(
        Stage.ASSESS,
        lambda target, outcome: _assess(able, target, outcome),
        targets,
        outcomes,
        due=lambda outcome: any(_due(outcome, able)),
        if_failed=lambda outcome, failure: _all_unavailable(outcome, able, failure),
    )


def recall_impact(outcomes: Sequence[Outcome], impacts: Mapping[Key, Impact]) -> list[Outcome]:
    """Return the outcomes with the impacts that other processes of the run read. Pure."""
    return [_with(outcome, impacts) if impacts else outcome for outcome in outcomes]


def _due(outcome: Outcome, able: _Checks) -> Iterator[tuple[Finding, Change]]:
    for finding, change in changes_of((outcome,)):
        is_open = change.status in (ChangeStatus.PLANNED, ChangeStatus.WITHHELD)
        if is_open and finding.check in able:
            yield finding, change


def _assess(able: _Checks, target: Target, outcome: Outcome) -> Outcome:
    """Assess one target; after a denial it asks for no other repository."""
    impacts: dict[Key, Impact] = {}
    denied: Failed | None = None
    for finding, change in _due(outcome, able):
        result = denied or _attempt(able[finding.check], target, finding, change)
        if isinstance(result, Failed):
            # A repository's own policy says nothing about the others.
            if result.reason.is_denial and result.reason is not Reason.DENIED_BY_RESOURCE_POLICY:
                denied = result
            result = _unavailable(result)
        impacts[finding.key] = result
    return _with(outcome, impacts)


def _attempt(check: Check, target: Target, finding: Finding, change: Change) -> Impact | Failed:
    return attempt(Stage.ASSESS, lambda _: check.assess(target, finding, change), None)


def _all_unavailable(outcome: Outcome, able: _Checks, failure: Failed) -> Outcome:
    """Return the outcome with the failure as the impact of each change that was to be assessed."""
    why = _unavailable(failure)
    return _with(outcome, {finding.key: why for finding, _ in _due(outcome, able)})


def _unavailable(failure: Failed) -> Impact:
    return Impact(unavailable=failure.reason, error=failure.error or None)


def _with(outcome: Outcome, impacts: Mapping[Key, Impact]) -> Outcome:
    return map_findings(outcome, lambda each: replace(each, impact=impacts.get(each.key)))
