"""Writing a plan: only what still is as it was judged, and every change recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sweeper.concurrency import NOT_REACHED, Stop, attempt
from sweeper.model import Change, ChangeStatus, Failed, Finding, Reason, Stage, Target
from sweeper.plan import Outcome, map_changes, planned_findings
from sweeper.ports import Check, Pool


def make_changes(
    pool: Pool, checks: Sequence[Check], targets: Sequence[Target], outcomes: list[Outcome]
) -> list[Outcome]:
    """Write the plan: targets in parallel, the changes of one target one after another.

    ECR's rates are for each account and region, and a write that is refused in an account need
    not be refused there again and again. The outcomes come back with what became of each change.
    """
    due = list(planned_findings(outcomes))
    if not due:
        return outcomes
    stopped = pool.conduct.stop.reason  # nobody need decide on what will not be done
    if not stopped and not pool.conduct.approve(due):
        return [map_changes(outcome, _not_confirmed) for outcome in outcomes]
    writer = _Writer(checks, pool.conduct.stop)
    indexes = [i for i, outcome in enumerate(outcomes) if any(planned_findings((outcome,)))]
    items = [(targets[i], outcomes[i]) for i in indexes]
    results = pool.map(Stage.CHANGE, lambda item: writer.change(*item), items)
    changed = list(outcomes)
    for i, after in zip(indexes, results, strict=True):
        changed[i] = _all_failed(outcomes[i], after) if isinstance(after, Failed) else after
    return changed


class _Writer:
    """Writes the changes of one target at a time; used by all threads."""

    def __init__(self, checks: Sequence[Check], stop: Stop) -> None:
        self._checks = {check.name: check for check in checks}
        self._stop = stop
        # Account ids; adding to a set and looking up in it are atomic.
        self._denied: set[str] = set()

    def change(self, target: Target, outcome: Outcome) -> Outcome:
        """The target's outcome with each planned change ended."""
        return map_changes(outcome, lambda finding, change: self._apply(target, finding, change))

    def _apply(self, target: Target, finding: Finding, change: Change) -> Change:
        if reason := self._stop.reason:
            return _failed(change, Failed(Stage.CHANGE, reason, NOT_REACHED))
        if target.account.id in self._denied:
            message = "another change in this account was denied before"
            return _failed(change, Failed(Stage.CHANGE, Reason.WRITE_NOT_PERMITTED, message))
        check = self._checks[finding.check]
        result = attempt(Stage.CHANGE, lambda _: check.apply(target, finding, change), None)
        if not isinstance(result, Failed):
            return result
        # A repository's own policy says nothing about the account's others.
        if result.reason.is_denial and result.reason is not Reason.DENIED_BY_RESOURCE_POLICY:
            self._denied.add(target.account.id)
        return _failed(change, result)


def _not_confirmed(_: Finding, change: Change) -> Change:
    return replace(change, status=ChangeStatus.WITHHELD, reason=Reason.NOT_CONFIRMED)


def _all_failed(before: Outcome, failure: Failed) -> Outcome:
    return map_changes(before, lambda _, change: _failed(change, failure))


def _failed(change: Change, failure: Failed) -> Change:
    error = f"{failure.error_code}: {failure.message}" if failure.error_code else failure.message
    return replace(change, status=ChangeStatus.FAILED, reason=failure.reason, error=error)
