"""Write a plan: only settings that are still as they were checked, and every change recorded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sweeper.domain.exemptions import enters_exemption
from sweeper.domain.model import (
    Change,
    ChangeStatus,
    Compliance,
    Failed,
    Finding,
    Key,
    Stage,
    Target,
)
from sweeper.domain.planning import (
    Outcome,
    acting_day,
    changes_of,
    findings_of,
    map_changes,
    map_findings,
    planned_findings,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.selection import no_longer_writable
from sweeper.engine.attempts import NOT_REACHED, attempt
from sweeper.engine.pool import Pool
from sweeper.engine.ports import Check, Cloud, RunEnvironment

if TYPE_CHECKING:
    from datetime import date

    from sweeper.config.schema import Config


def apply_changes(
    pool: Pool,
    cloud: Cloud,
    checks: Sequence[Check],
    config: Config,
    *,
    targets: Sequence[Target],
    outcomes: list[Outcome],
) -> list[Outcome]:
    """Write the plan, and return the outcomes with the result of each change.

    Targets run in parallel, the changes of one target one after another: ECR's rates are for each
    account and region, and after a denial in an account the next writes need not be tried.
    """
    environment = pool.environment
    outcomes = settle_changes(pool, checks, targets, outcomes)
    if not environment.stop.reason:
        outcomes = allow_changes(cloud, config, environment, targets, outcomes)
    return write_changes(pool, checks, targets, outcomes)


def allow_changes(
    cloud: Cloud,
    config: Config,
    environment: RunEnvironment,
    targets: Sequence[Target],
    outcomes: list[Outcome],
) -> list[Outcome]:
    """Return the outcomes, with those changes still planned that may be written now.

    The accounts are listed again, a person is asked, and the plan is recorded.
    """
    if not any(planned_findings(outcomes)):
        return outcomes
    today = acting_day(environment.started, environment.now())
    outcomes = _still_writable(cloud, config, targets, outcomes, today)
    return _withhold_unless_allowed(environment, targets, outcomes)


def write_changes(
    pool: Pool, checks: Sequence[Check], targets: Sequence[Target], outcomes: list[Outcome]
) -> list[Outcome]:
    """Write each planned change, and return the outcomes with its result."""
    writer = _Writer(checks, pool.environment)
    writer.note_applied(outcomes)
    outcomes = pool.update(
        Stage.CHANGE,
        writer.change,
        targets,
        outcomes,
        due=lambda outcome: any(planned_findings((outcome,))),
        if_failed=lambda outcome, why: _end_all(outcome, ChangeStatus.FAILED, why),
    )
    return [writer.lost(outcome) for outcome in outcomes]


def end_planned(
    outcomes: Sequence[Outcome], status: ChangeStatus, failure: Failed
) -> list[Outcome]:
    """Return the outcomes, each change that is still planned ended as the failure says. Pure."""
    return [_end_all(outcome, status, failure) for outcome in outcomes]


def settle_changes(
    pool: Pool, checks: Sequence[Check], targets: Sequence[Target], outcomes: list[Outcome]
) -> list[Outcome]:
    """Return the outcomes, with each change in doubt settled: applied, or still planned.

    That is read whatever may be written now: a write that took effect is the run's own change.
    """
    in_doubt = pool.environment.journal.past.in_doubt
    if not in_doubt:
        return outcomes

    def is_due(outcome: Outcome) -> bool:
        return any(finding.key in in_doubt for finding in findings_of((outcome,)))

    def end_unknown(outcome: Outcome, why: Failed) -> Outcome:
        return _map_in_doubt(outcome, in_doubt, lambda _, change: _unknown(change, why))

    return pool.update(
        Stage.CHANGE,
        _Writer(checks, pool.environment).settle,
        targets,
        outcomes,
        due=is_due,
        if_failed=end_unknown,
    )


def _map_in_doubt(
    outcome: Outcome, in_doubt: Collection[Key], edit: Callable[[Finding, Change], Change]
) -> Outcome:
    """Return the outcome with each change in doubt replaced by `edit` of it."""

    def edit_finding(finding: Finding) -> Finding:
        if finding.change is None or finding.key not in in_doubt:
            return finding
        return replace(finding, change=edit(finding, finding.change))

    return map_findings(outcome, edit_finding)


def _unknown(change: Change, why: Failed) -> Change:
    """Return the change as failed and uncertain: its result could not be read."""
    message = f"begun when the run last ended, it may have taken effect: {why.message}"
    return _ended(change, ChangeStatus.FAILED, replace(why, message=message, uncertain=True))


def _still_writable(
    cloud: Cloud, config: Config, targets: Sequence[Target], outcomes: list[Outcome], today: date
) -> list[Outcome]:
    """List the organization again, and supersede the changes in accounts that moved or left.

    So are those in accounts that left the scope of remediation, or may be exempt by now. A run
    about events has a list that may be five minutes old.
    """
    now = attempt(Stage.ENUMERATE, lambda _: cloud.list_accounts(), None)
    if isinstance(now, Failed):
        return end_planned(outcomes, ChangeStatus.WITHHELD, now)
    accounts = {account.id: account for account in now.accounts}
    before = {target.account.id: target.account for target in targets}

    def check(finding: Finding, change: Change) -> Change:
        account = accounts.get(finding.account_id)
        reason = no_longer_writable(account, config, today)
        if account and enters_exemption(before[account.id], account, config.exemptions, today):
            reason = reason or Reason.ACCOUNT_MOVED
        return replace(change, status=ChangeStatus.SUPERSEDED, reason=reason) if reason else change

    return [map_changes(outcome, check) for outcome in outcomes]


def _withhold_unless_allowed(
    environment: RunEnvironment, targets: Sequence[Target], outcomes: list[Outcome]
) -> list[Outcome]:
    """Withhold the changes unless the lease holds, a person approves and the plan is recorded."""
    due = list(planned_findings(outcomes))
    if not due:
        return outcomes
    held: Failed | None = attempt(Stage.CHANGE, lambda _: environment.may_write(), None)
    if held is None and not environment.approve(due):
        held = Failed(Stage.CHANGE, Reason.NOT_CONFIRMED, "")
    if held is None:
        held = attempt(Stage.CHANGE, lambda _: environment.journal.plan(targets, outcomes), None)
    if held is None:
        return outcomes
    return end_planned(outcomes, ChangeStatus.WITHHELD, held)


# Account id, check and resource: the unit that an IAM policy grants.
_Permission = tuple[str, str, str]
_NOT_TRIED = "another change in this account was denied before"


class _Writer:
    """Writes the changes of one target at a time; used by all threads.

    A permission that was never granted is no failure: the changes are withheld. Where another write
    of the same kind succeeded in the account, the permission was lost, or is granted in part.
    """

    def __init__(self, checks: Sequence[Check], environment: RunEnvironment) -> None:
        self._checks = {check.name: check for check in checks}
        self._environment = environment
        # Adding to a set or a dict and looking up in it are atomic.
        self._denied: dict[_Permission, Reason] = {}
        self._applied: set[_Permission] = set()

    def note_applied(self, outcomes: Sequence[Outcome]) -> None:
        """Note the changes that an earlier process of the run applied."""
        self._applied.update(
            _permission(finding)
            for finding, change in changes_of(outcomes)
            if change.status is ChangeStatus.APPLIED
        )

    def lost(self, outcome: Outcome) -> Outcome:
        """Turn withheld changes into failed ones where the permission was granted after all.

        That is known only when all writes have ended: those of an account run in parallel.
        """
        lost = self._denied.keys() & self._applied
        return map_findings(outcome, self._lost) if lost else outcome

    def _lost(self, finding: Finding) -> Finding:
        change = finding.change
        if (
            change is None
            or change.reason is not Reason.WRITE_NOT_GRANTED
            or _permission(finding) not in self._applied
        ):
            return finding
        tried = change.error != _NOT_TRIED
        reason = Reason.DENIED_BY_IDENTITY_POLICY if tried else Reason.WRITE_NOT_PERMITTED
        return replace(finding, change=replace(change, status=ChangeStatus.FAILED, reason=reason))

    def change(self, target: Target, outcome: Outcome) -> Outcome:
        """Write each planned change of the target; return the outcome with the results."""
        if target.key in self._environment.journal.past.examined:
            outcome = self._judge_recalled(target, outcome)
        return map_changes(outcome, lambda finding, change: self._apply(target, finding, change))

    def _judge_recalled(self, target: Target, outcome: Outcome) -> Outcome:
        """Return the outcome without the changes that only a record asks for."""
        judged: dict[Finding, Finding] = {}
        for name, check in self._checks.items():
            recalled = [
                finding
                for finding in planned_findings((outcome,))
                # An undo reverts what is compliant, whatever is exempt now.
                if finding.check == name and finding.compliance is Compliance.NON_COMPLIANT
            ]
            if recalled:
                now = check.judge_recalled(target, recalled)
                judged.update(zip(recalled, now, strict=True))

        def end(finding: Finding, change: Change) -> Change:
            now = judged.get(finding, finding)
            if now.compliance is Compliance.EXEMPT:
                return replace(change, status=ChangeStatus.SUPERSEDED, reason=Reason.NOW_EXEMPT)
            return now.change or change

        return map_changes(outcome, end)

    def settle(self, target: Target, outcome: Outcome) -> Outcome:
        """Return the target's outcome with each change in doubt settled, as far as can be read."""
        return _map_in_doubt(
            outcome,
            self._environment.journal.past.in_doubt,
            lambda finding, change: self._settle(target, finding, change),
        )

    def _settle(self, target: Target, finding: Finding, change: Change) -> Change:
        check = self._checks[finding.check]
        made = attempt(Stage.CHANGE, lambda _: check.matches_desired(target, finding, change), None)
        if isinstance(made, Failed):
            return _unknown(change, made)
        if not made:
            return change
        applied = replace(change, status=ChangeStatus.APPLIED, reason=None, error=None)
        self._environment.journal.settle(replace(finding, change=applied))
        return applied

    def _apply(self, target: Target, finding: Finding, change: Change) -> Change:
        if reason := self._environment.stop.reason:
            return _ended(change, ChangeStatus.FAILED, Failed(Stage.CHANGE, reason, NOT_REACHED))
        permission = _permission(finding)
        if denied := self._denied.get(permission):
            granted = denied is not Reason.WRITE_NOT_GRANTED
            status = ChangeStatus.FAILED if granted else ChangeStatus.WITHHELD
            return _ended(change, status, Failed(Stage.CHANGE, denied, _NOT_TRIED))
        journal = self._environment.journal
        check = self._checks[finding.check]

        def intend() -> None:
            self._environment.may_write()
            journal.intend(finding)
            # A disk may be slow, or the process stopped meanwhile.
            self._environment.may_write()

        result = attempt(
            Stage.CHANGE,
            lambda _: check.apply(target, finding, change, intend),
            None,
        )
        if isinstance(result, Failed):
            result = self._end(permission, change, result)
        elif result.status is ChangeStatus.APPLIED:
            self._applied.add(permission)
        journal.settle(replace(finding, change=result))
        return result

    def _end(self, permission: _Permission, change: Change, failed: Failed) -> Change:
        """Return how a failed change ended; the first denial also ends the next ones.

        A repository's own policy says nothing about other repositories, and a denial of one check's
        action nothing about another check's.
        """
        if failed.reason is Reason.WRITE_NOT_GRANTED:
            if permission not in self._applied:
                self._denied.setdefault(permission, Reason.WRITE_NOT_GRANTED)
                return _ended(change, ChangeStatus.WITHHELD, failed)
            failed = replace(failed, reason=Reason.DENIED_BY_IDENTITY_POLICY)
        if failed.reason.is_denial and failed.reason is not Reason.DENIED_BY_RESOURCE_POLICY:
            self._denied.setdefault(permission, Reason.WRITE_NOT_PERMITTED)
        return _ended(change, ChangeStatus.FAILED, failed)


def _permission(finding: Finding) -> _Permission:
    return finding.account_id, finding.check, finding.resource


def _end_all(outcome: Outcome, status: ChangeStatus, failure: Failed) -> Outcome:
    return map_changes(outcome, lambda _, change: _ended(change, status, failure))


def _ended(change: Change, status: ChangeStatus, failure: Failed) -> Change:
    """Return the change, ended as the failure says."""
    uncertain = failure.uncertain and status is ChangeStatus.FAILED
    return replace(
        change,
        status=status,
        reason=failure.reason,
        error=failure.error or None,
        uncertain=uncertain,
    )
