"""The undo, from top to bottom: the sweep's stages, over what a report says was changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sweeper.domain.errors import OperationFailed
from sweeper.domain.inversion import (
    accounts_to_open,
    aggregate,
    check_unchanged,
    invert,
    organization_mismatch,
    targets_of,
)
from sweeper.domain.model import (
    Account,
    Change,
    ChangeStatus,
    Examined,
    Failed,
    Finding,
    Key,
    OpenedAccount,
    Organization,
    Stage,
    Target,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Run
from sweeper.domain.undo_report import OriginalRun, UndoReport, UndoRun
from sweeper.engine.pool import attempt
from sweeper.engine.ports import Check, Cloud, Pool, RunEnvironment
from sweeper.engine.remediation import apply_changes
from sweeper.engine.sweep import build_run

if TYPE_CHECKING:
    from sweeper.config.schema import Config


def undo(
    cloud: Cloud,
    checks: Sequence[Check],
    config: Config,
    conduct: RunEnvironment,
    *,
    claims: Sequence[Finding],
    claimed: Run,
    undoes: OriginalRun,
) -> UndoReport:
    """Put back what the `claims` of the run `claimed` replaced, and report on each of them.

    `config` is that of `plan.scoped`. Raises nothing that AWS could cause: whatever ends the undo
    early is in the report.
    """
    past = conduct.journal.past
    pool = Pool(config.limits.max_workers, conduct)
    turned = [invert(claim) for claim in claims]

    organization = attempt(Stage.ENUMERATE, lambda _: cloud.list_accounts(), None)
    if isinstance(organization, Failed):
        return ended_early(build_undo_run(config, conduct), conduct, claims, undoes, organization)
    if other := organization_mismatch(claimed, organization):
        run = build_undo_run(config, conduct, organization)
        return ended_early(run, conduct, claims, undoes, other)
    chosen, unopened = accounts_to_open(turned, organization, config)

    opened = pool.map(
        Stage.OPEN_ACCOUNT,
        lambda account: _enter(cloud, account),
        chosen,
        known=lambda account: past.opened.get(account.id),
    )
    for account, outcome in zip(chosen, opened, strict=True):
        if isinstance(outcome, Failed):
            unopened[account.id] = outcome
    due = targets_of(turned, (each for each in opened if isinstance(each, OpenedAccount)))
    targets = [target for target, _ in due.values()]
    outcomes: list[Examined | Failed] = pool.map(
        Stage.EXAMINE,
        lambda target: _examine(checks, target, due[target.place][1], past.completed),
        targets,
    )
    after = (
        outcomes
        if conduct.dry_run
        else apply_changes(pool, cloud, checks, config, targets=targets, outcomes=[*outcomes])
    )
    return aggregate(
        build_undo_run(config, conduct, organization),
        undoes,
        turned,
        accounts=unopened,
        targets=list(zip(targets, after, strict=True)),
        past=past,
    )


def _enter(cloud: Cloud, account: Account) -> OpenedAccount:
    """Assume the member role; which regions the account has is not asked: the report names some."""
    cloud.enter(account)
    return OpenedAccount(account, ())


def ended_early(
    run: UndoRun,
    conduct: RunEnvironment,
    claims: Sequence[Finding],
    undoes: OriginalRun,
    failure: Failed,
) -> UndoReport:
    """The report of an undo that `failure` ended before it looked."""
    return aggregate(
        run,
        undoes,
        [invert(claim) for claim in claims],
        accounts={},
        targets=(),
        past=conduct.journal.past,
        ended_early=failure,
    )


def build_undo_run(
    config: Config, conduct: RunEnvironment, organization: Organization | None = None
) -> UndoRun:
    """Which undo this is, as its report says it; it has ended now."""
    run = build_run(config, conduct, organization)
    return UndoRun(
        run.id,
        run.started_at,
        run.finished_at,
        run.version,
        run.organization_id,
        run.account_id,
        run.dry_run,
    )


def _examine(
    checks: Sequence[Check],
    target: Target,
    findings: Sequence[Finding],
    settled: Mapping[Key, Change],
) -> Examined:
    """What is to be undone in one target, judged. Raises OperationFailed where it is not seen."""
    by_name = {check.name: check for check in checks}

    def examine(finding: Finding) -> Finding:
        if known := settled.get(finding.key):
            return replace(finding, change=known)
        check = by_name[finding.check]
        try:
            return check_unchanged(
                finding, lambda seen, change: check.matches_desired(target, seen, change)
            )
        except OperationFailed as error:
            # Which says nothing about the target's others; whatever else it is would meet them too.
            if error.reason is not Reason.DENIED_BY_RESOURCE_POLICY or finding.change is None:
                raise
            failed = replace(
                finding.change,
                status=ChangeStatus.FAILED,
                reason=error.reason,
                error=f"{error.error_code}: {error.message}",
            )
            return replace(finding, change=failed)

    return Examined((0, 0, 0), tuple(map(examine, findings)))
