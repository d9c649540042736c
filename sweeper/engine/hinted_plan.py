"""What a run about events examines and changes: what they name, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sweeper.domain.hints import Hint, hint_of
from sweeper.domain.model import (
    Account,
    ChangeStatus,
    Counts,
    Examined,
    Failed,
    Finding,
    OpenedAccount,
    Organization,
    Resource,
    Stage,
    Target,
)
from sweeper.domain.planning import Outcome, Remedy, map_changes, planned_findings
from sweeper.domain.reopenings import Place, withhold_contested
from sweeper.engine.change_source import PlanChanges, Selected, SweepPlan
from sweeper.engine.pool import attempt

if TYPE_CHECKING:
    from sweeper.config.schema import Config
    from sweeper.domain.model import Change
    from sweeper.engine.evidence import Evidence
    from sweeper.engine.ports import Check, Cloud

# Counts what is about to be made immutable again, and says why each of the others is left alone, by
# its hint's place. Raises OperationFailed.
CountReopenings = Callable[[Sequence[Hint]], Mapping[Place, str]]


class HintedPlan(SweepPlan):
    """A sweep's own plan, narrowed to what events name; the registry lists nothing else."""

    def __init__(self, hints: Sequence[Hint], count: CountReopenings) -> None:
        super().__init__("events")
        self._hints: Mapping[object, Hint] = {hint.place: hint for hint in hints}
        self._regions: dict[str, dict[str, str]] = {}
        self._resources: dict[tuple[str, str], set[Resource]] = {}
        for hint in hints:
            self._regions.setdefault(hint.account_id, {})[hint.region] = "ENABLED"
            what: Resource = "repository" if hint.repository else "repository_creation_template"
            self._resources.setdefault((hint.account_id, hint.region), set()).add(what)
        self._count = count

    def select_accounts(self, organization: Organization, config: Config) -> Selected:
        """Choose the named accounts that a sweep would choose; of the others nothing is told."""
        chosen, others = super().select_accounts(organization, config)
        return (
            tuple(account for account in chosen if account.id in self._regions),
            tuple(each for each in others if each[0].id in self._regions),
        )

    def open_account(self, cloud: Cloud, account: Account) -> OpenedAccount:
        """Assume the member role; the events name the regions."""
        cloud.enter(account)
        return OpenedAccount(account, tuple(self._regions[account.id].items()))

    def examine(
        self, checks: Sequence[Check], target: Target, evidence: Evidence | None
    ) -> Examined:
        """Run the checks of what the events name: to the others, all else would be missing."""
        named = [check for check in checks if check.resource in self._resources[target.place]]
        return super().examine(named, target, evidence) if named else Examined(Counts(0, 0, 0))

    def plan(
        self,
        outcomes: Sequence[Outcome],
        remedies: Mapping[str, Remedy],
        plan_changes: PlanChanges,
    ) -> list[Outcome]:
        """Plan as a sweep does, and leave alone what others make mutable again and again.

        Where that cannot be counted, nothing that was made mutable again is changed.
        """
        planned = super().plan(outcomes, remedies, plan_changes)
        due = [
            hint
            for finding in planned_findings(planned)
            if (hint := hint_of(finding, self._hints)) and hint.reopens
        ]
        if not due:
            return planned
        contested = attempt(Stage.CHANGE, lambda _: self._count(due), None)
        if not isinstance(contested, Failed):
            return withhold_contested(planned, contested)
        failed = contested

        def withhold(finding: Finding, change: Change) -> Change:
            hint = hint_of(finding, self._hints)
            if hint is None or not hint.reopens:
                return change
            reason, error = failed.reason, failed.message
            return replace(change, status=ChangeStatus.WITHHELD, reason=reason, error=error)

        return [map_changes(outcome, withhold) for outcome in planned]
