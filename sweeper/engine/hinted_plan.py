"""The plan of a run about events: a sweep's own, narrowed to what they name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sweeper.domain.errors import OperationFailed
from sweeper.domain.events import Hint, RepositoryKey, withhold_contested
from sweeper.domain.model import (
    Account,
    ChangeStatus,
    Compliance,
    Counts,
    Examined,
    Failed,
    Finding,
    OpenedAccount,
    Organization,
    Repository,
    Resource,
    Stage,
    Target,
)
from sweeper.domain.planning import Outcome, Remedy, map_changes, planned_findings
from sweeper.engine.attempts import attempt
from sweeper.engine.change_source import PlanChanges, Selection, SweepPlan

if TYPE_CHECKING:
    from sweeper.config.schema import Config
    from sweeper.domain.model import Change
    from sweeper.engine.ports import Check, Cloud, Evidence

# Counts the repositories that are about to be made immutable again, and returns why each contested
# one is not changed, by its hint's `key`. Raises OperationFailed.
_CountReopenings = Callable[[Sequence[Hint]], Mapping[RepositoryKey, str]]


class HintedPlan(SweepPlan):
    """A sweep's own plan, narrowed to what events name; the registry lists nothing else."""

    def __init__(
        self,
        hints: Sequence[Hint],
        count: _CountReopenings,
        *,
        contested: Callable[[], Mapping[RepositoryKey, str]],
        denied: Mapping[tuple[str, str], Mapping[str, OperationFailed]],
    ) -> None:
        """`contested` is as for a sweep, and decides where no reopening is counted.

        `denied` has the repositories of a target that could not be read, once it was examined.
        """
        counted = {hint.key for hint in hints if hint.reopens}

        def list_others() -> Mapping[RepositoryKey, str]:
            return {key: why for key, why in contested().items() if key not in counted}

        super().__init__("events", contested=list_others if len(counted) < len(hints) else dict)
        self._hints: Mapping[RepositoryKey, Hint] = {hint.key: hint for hint in hints}
        self._regions: dict[str, dict[str, str]] = {}
        self._resources: dict[tuple[str, str], set[Resource]] = {}
        for hint in hints:
            self._regions.setdefault(hint.account_id, {})[hint.region] = "ENABLED"
            what: Resource = "repository" if hint.repository else "repository_creation_template"
            self._resources.setdefault((hint.account_id, hint.region), set()).add(what)
        self._count = count
        self._denied = denied

    def select_accounts(self, organization: Organization, config: Config) -> Selection:
        """Choose the named accounts that a sweep would choose; the report has no others."""
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
        """Run only the checks of the named resources: others would report everything as missing."""
        named = [check for check in checks if check.resource in self._resources[target.key]]
        if not named:
            return Examined(Counts(0, 0, 0))
        examined = super().examine(named, target, evidence)
        unread = tuple(
            check.finding(
                target,
                Repository(name, arn="", mutability="UNKNOWN"),
                Compliance.UNDETERMINED,
                f"it could not be read: {error.reason}: {error.message}",
            )
            for check in named
            if check.resource == "repository"
            for name, error in self._denied.get(target.key, {}).items()
        )
        return replace(examined, findings=examined.findings + unread)

    def plan(
        self,
        outcomes: Sequence[Outcome],
        remedies: Mapping[str, Remedy],
        plan_changes: PlanChanges,
    ) -> list[Outcome]:
        """Plan as a sweep does, but withhold changes of contested repositories.

        Where reopenings cannot be counted, withhold every change that a reopening asks for.
        """
        planned = super().plan(outcomes, remedies, plan_changes)
        due = [
            hint
            for finding in planned_findings(planned)
            if (hint := self._hint_of(finding)) and hint.reopens
        ]
        if not due:
            return planned
        contested = attempt(Stage.CHANGE, lambda _: self._count(due), None)
        if not isinstance(contested, Failed):
            return withhold_contested(planned, contested)
        failed = contested

        def withhold(finding: Finding, change: Change) -> Change:
            hint = self._hint_of(finding)
            if hint is None or not hint.reopens:
                return change
            reason, error = failed.reason, failed.message
            return replace(change, status=ChangeStatus.WITHHELD, reason=reason, error=error)

        return [map_changes(outcome, withhold) for outcome in planned]

    def _hint_of(self, finding: Finding) -> Hint | None:
        name = finding.repository if finding.resource == "repository" else None
        return self._hints.get((finding.account_id, finding.region, name))
