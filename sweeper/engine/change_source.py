"""Where the changes of a run come from: its own plan, or the report of another run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sweeper.domain.errors import OperationFailed
from sweeper.domain.events import RepositoryKey, without_contested
from sweeper.domain.model import (
    ACCOUNT_EXCLUDED,
    REGION_EXCLUDED,
    Account,
    ChangeStatus,
    Counts,
    Examined,
    Failed,
    Finding,
    OpenedAccount,
    Organization,
    Skipped,
    Target,
)
from sweeper.domain.planning import Outcome, Remedy, map_findings
from sweeper.domain.reasons import Reason
from sweeper.domain.recorded_changes import (
    RecordedChanges,
    end_change,
    recorded_targets,
    refuse_other_organization,
    revert_if_unchanged,
    reviewed_remedies,
    select_recorded_accounts,
    supersede_unplanned,
    unreached_findings,
    without_finding,
)
from sweeper.domain.report_model import RunKind, RunSource
from sweeper.domain.selection import plan_targets, select_accounts

if TYPE_CHECKING:
    from sweeper.config.schema import Config
    from sweeper.domain.model import ResumeState
    from sweeper.domain.report import AccountOutcome, TargetOutcome
    from sweeper.engine.ports import Check, Cloud, Evidence


Selection = tuple[tuple[Account, ...], tuple[tuple[Account, Skipped | Failed], ...]]
_TargetSelection = tuple[tuple[Target, ...], tuple[tuple[Target, Skipped | Failed], ...]]
PlanChanges = Callable[[Mapping[str, Remedy]], list[Outcome]]


class SweepPlan:
    """The sweep's own plan: it examines everything in scope, and the configuration decides."""

    def __init__(
        self,
        kind: RunKind = "sweep",
        source: RunSource | None = None,
        contested: Callable[[], Mapping[RepositoryKey, str]] = dict,
    ) -> None:
        """`contested` says why repositories are not changed; it raises nothing."""
        self.kind = kind
        self.source = source
        self._contested = contested

    def select_accounts(self, organization: Organization, config: Config) -> Selection:
        """Return the accounts to open, and each of the others with why not.

        Raises OperationFailed where there is nothing to do, or none of it may be done.
        """
        return select_accounts(organization.accounts, config)

    def open_account(self, cloud: Cloud, account: Account) -> OpenedAccount:
        """Assume the member role, and read what the run needs; raises OperationFailed."""
        return cloud.open_account(account)

    def plan_targets(self, opened: Iterable[OpenedAccount], config: Config) -> _TargetSelection:
        """Return the targets to examine, and each of the others with why not."""
        return plan_targets(opened, config)

    def known(self, past: ResumeState, target: Target) -> Examined | None:
        """Return what an earlier process of the run examined, where it need not be read again."""
        return past.examined.get(target.key)

    def examine(
        self, checks: Sequence[Check], target: Target, evidence: Evidence | None
    ) -> Examined:
        """Run all checks on one target, and store each verdict; raises OperationFailed."""
        verdicts = evidence.begin(target) if evidence else None
        results = []
        for check in checks:
            result = check.examine(target, partial(verdicts.record, check) if verdicts else None)
            if verdicts:
                verdicts.judge(check, result.findings)
            results.append(result)
        if verdicts:
            verdicts.store()
        findings = tuple(finding for result in results for finding in result.findings)
        counts = Counts(*map(sum, zip(*(each.counts for each in results), strict=True)))
        return Examined(counts, findings)

    def plan(
        self,
        outcomes: Sequence[Outcome],  # noqa: ARG002 (see the others)
        remedies: Mapping[str, Remedy],
        plan_changes: PlanChanges,
    ) -> list[Outcome]:
        """Return the outcomes with the change of each finding.

        `plan_changes` is `planning.plan_changes`, which has all that it needs but the remedies.
        """
        return plan_changes(without_contested(remedies, self._contested))

    def find_unreached(
        self,
        accounts: Iterable[AccountOutcome],  # noqa: ARG002 (see the others)
        targets: Iterable[TargetOutcome],  # noqa: ARG002
        past: ResumeState,  # noqa: ARG002
    ) -> Iterable[Finding]:
        """Return the findings of the source whose target was not examined."""
        return ()

    def end_all(self, failure: Failed, past: ResumeState) -> Iterable[Finding]:  # noqa: ARG002
        """Return the findings of the source, as `failure` ended them all."""
        return ()


class _ReviewedPlan(SweepPlan):
    """The changes of a dry run that was reviewed, as far as a sweep would still plan them."""

    def __init__(
        self, recorded: RecordedChanges, contested: Callable[[], Mapping[RepositoryKey, str]]
    ) -> None:
        super().__init__(recorded.kind, recorded.source, contested)
        self.recorded = recorded
        self._findings: dict[tuple[str, str], list[Finding]] = {}
        for finding in recorded.findings:
            self._findings.setdefault((finding.account_id, finding.region), []).append(finding)

    def select_accounts(self, organization: Organization, config: Config) -> Selection:
        """Choose the reviewed accounts that the configuration still chooses."""
        refuse_other_organization(self.recorded, organization)
        chosen, others = select_accounts(organization.accounts, config)
        reviewed = {account_id for account_id, _ in self._findings}
        listed = {account.id for account in organization.accounts}
        _, gone = select_recorded_accounts(
            (each for each in self.recorded.findings if each.account_id not in listed),
            organization,
            config,
        )
        excluded = ((each, ACCOUNT_EXCLUDED) for each in chosen if each.id not in reviewed)
        # What fails elsewhere is no gap of this run.
        left_out = (
            (
                account,
                why if account.id in reviewed or isinstance(why, Skipped) else ACCOUNT_EXCLUDED,
            )
            for account, why in others
        )
        return (
            tuple(account for account in chosen if account.id in reviewed),
            (*left_out, *excluded, *gone),
        )

    def plan_targets(self, opened: Iterable[OpenedAccount], config: Config) -> _TargetSelection:
        """Choose the reviewed regions that the configuration still chooses."""
        targets, others = plan_targets(opened, config)
        reviewed = self._findings.keys()
        excluded = ((target, REGION_EXCLUDED) for target in targets if target.key not in reviewed)
        left_out = (
            (target, why if target.key in reviewed or isinstance(why, Skipped) else REGION_EXCLUDED)
            for target, why in others
        )
        return (
            tuple(target for target in targets if target.key in reviewed),
            (*left_out, *excluded),
        )

    def examine(
        self, checks: Sequence[Check], target: Target, evidence: Evidence | None
    ) -> Examined:
        """Examine as a sweep does, and find out why a reviewed repository is no finding now."""
        examined = super().examine(checks, target, evidence)
        found = {finding.key for finding in examined.findings}
        by_name = {check.name: check for check in checks}
        gone = []
        for finding in self._findings[target.key]:
            if finding.key in found or finding.change is None or finding.check not in by_name:
                continue
            exists = by_name[finding.check].matches_desired(target, finding, finding.change)
            gone.append(without_finding(finding, exists))
        return replace(examined, findings=(*examined.findings, *gone)) if gone else examined

    def plan(
        self,
        outcomes: Sequence[Outcome],
        remedies: Mapping[str, Remedy],
        plan_changes: PlanChanges,
    ) -> list[Outcome]:
        """Plan as a sweep does, narrowed to the reviewed changes; limits count these alone."""
        reviewed = self.recorded.by_key
        planned = super().plan(outcomes, reviewed_remedies(reviewed, remedies), plan_changes)
        return [
            map_findings(outcome, lambda finding: supersede_unplanned(reviewed, finding))
            for outcome in planned
        ]

    def find_unreached(
        self,
        accounts: Iterable[AccountOutcome],
        targets: Iterable[TargetOutcome],
        past: ResumeState,
    ) -> Iterable[Finding]:
        """Return the recorded changes whose account or region was not examined."""
        return unreached_findings(self.recorded.findings, accounts, targets, past)

    def end_all(self, failure: Failed, past: ResumeState) -> Iterable[Finding]:
        """Return all recorded changes, failed as the run did."""
        return [end_change(finding, failure, past) for finding in self.recorded.findings]


class _RevertedPlan(_ReviewedPlan):
    """The applied changes of a run, inverted; the configuration decides nothing about them."""

    def select_accounts(self, organization: Organization, config: Config) -> Selection:
        """Choose the accounts of the changes."""
        refuse_other_organization(self.recorded, organization)
        return select_recorded_accounts(self.recorded.findings, organization, config)

    def open_account(self, cloud: Cloud, account: Account) -> OpenedAccount:
        """Assume the member role; the report names the regions."""
        cloud.enter(account)
        return OpenedAccount(account, ())

    def plan_targets(self, opened: Iterable[OpenedAccount], config: Config) -> _TargetSelection:  # noqa: ARG002
        """Choose the account-regions of the changes."""
        return recorded_targets(self.recorded.findings, opened), ()

    def known(self, past: ResumeState, target: Target) -> None:  # noqa: ARG002
        """Read each repository again: reading it decides whether its change still holds."""
        return

    def examine(
        self,
        checks: Sequence[Check],
        target: Target,
        evidence: Evidence | None,  # noqa: ARG002 (it stores verdicts, and an undo makes none)
    ) -> Examined:
        """Read the repositories of the changes, and plan to revert those that did not change."""
        by_name = {check.name: check for check in checks}

        def read(finding: Finding) -> Finding:
            named = replace(finding, account_name=target.account.name or finding.account_name)
            check = by_name[finding.check]
            try:
                return revert_if_unchanged(
                    named, lambda read, change: check.matches_desired(target, read, change)
                )
            except OperationFailed as error:
                # A repository's own policy says nothing about the target's others.
                if error.reason is not Reason.DENIED_BY_RESOURCE_POLICY or finding.change is None:
                    raise
                failed = replace(
                    finding.change,
                    status=ChangeStatus.FAILED,
                    reason=error.reason,
                    error=f"{error.error_code}: {error.message}",
                )
                return replace(named, change=failed)

        # Their verdict is not known: it is the sweep that decides what is compliant.
        return Examined(Counts(0, 0, 0), tuple(map(read, self._findings[target.key])))

    def plan(
        self,
        outcomes: Sequence[Outcome],
        remedies: Mapping[str, Remedy],  # noqa: ARG002
        plan_changes: PlanChanges,  # noqa: ARG002
    ) -> list[Outcome]:
        """Return the outcomes: what was examined has its change."""
        return list(outcomes)


def change_source(
    recorded: RecordedChanges | None, contested: Callable[[], Mapping[RepositoryKey, str]] = dict
) -> SweepPlan:
    """Return the source of a run's changes: its own plan, or what a report recorded.

    `contested` is as for a SweepPlan; an undo reverts its changes whatever is contested.
    """
    if recorded is None:
        return SweepPlan(contested=contested)
    kind = _ReviewedPlan if recorded.kind == "apply" else _RevertedPlan
    return kind(recorded, contested)
