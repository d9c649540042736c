"""What the checks of tag mutability share: the allowed filters, the remedy, a change withheld."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from sweeper.domain.exemptions import configured_exemption, undecided_exemption
from sweeper.domain.model import Change, ChangeStatus, Compliance, Finding, Target
from sweeper.domain.mutability import Setting, Verdict, evaluate, exclusions_of, remedy
from sweeper.domain.reasons import Reason
from sweeper.engine.ports import Check

if TYPE_CHECKING:
    from sweeper.config.schema import Config, ExemptionRule


class MutabilityCheck(Check):
    """A check of settings of tag mutability; what has a setting is known by its name."""

    def __init__(self, registry: Any, config: Config, today: date) -> None:
        super().__init__(registry, config, today)
        # Needed for every repository, so it is built once for those without filters of their own.
        self._common_allowed = frozenset(
            (*config.policy.allowed_exclusions, *config.remediation.exclusions)
        )

    def covers(self, glob: str, name: str) -> bool:
        """Tell whether a glob for repositories matches all that the setting of `name` is for."""
        raise NotImplementedError

    def evaluate(self, setting: Setting, name: str) -> Verdict:
        """Return the verdict on the setting, exemptions aside."""
        return evaluate(setting, self._allowed_filters(name))

    def remedy(self, finding: Finding) -> Change:
        """Return the change that makes the setting compliant."""
        return remedy(
            finding.mutability,
            finding.exclusion_filters,
            exclusions=self._exclusions(finding.repository),
            allowed_filters=self._allowed_filters(finding.repository),
        )

    def exempted(
        self, target: Target, finding: Finding, name: str, rules: Sequence[ExemptionRule]
    ) -> Finding:
        """Return a non-compliant finding as exempt by a rule for `name`, if one exempts it.

        Its change is withheld where that cannot be known.
        """
        if exemption := configured_exemption(target, name, rules, self.today):
            finding = replace(finding, exemption=exemption)
            if not exemption.expired:
                return replace(finding, compliance=Compliance.EXEMPT)
        if unknown := undecided_exemption(target, name, rules, self.today):
            return self.withheld(finding, Reason.EXEMPTION_UNDECIDED, unknown)
        return finding

    def withheld(self, finding: Finding, reason: Reason, error: str) -> Finding:
        """Return the finding with its remedy withheld."""
        change = self.remedy(finding)
        status = ChangeStatus.WITHHELD
        return replace(finding, change=replace(change, status=status, reason=reason, error=error))

    def _exclusions(self, name: str) -> tuple[str, ...]:
        configured = self.config.remediation
        return exclusions_of(
            configured.exclusions,
            configured.exclusions_by_repository,
            lambda glob: self.covers(glob, name),
        )

    def _allowed_filters(self, name: str) -> Collection[str]:
        if not self.config.remediation.exclusions_by_repository:
            return self._common_allowed
        return (*self.config.policy.allowed_exclusions, *self._exclusions(name))
