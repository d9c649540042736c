"""The sweep, from top to bottom: read this first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from sweeper.domain.model import (
    Counts,
    Examined,
    Failed,
    OpenedAccount,
    Organization,
    Stage,
)
from sweeper.domain.planning import (
    accept_known_gaps,
    account_outcome,
    apply_completed,
    plan_changes,
    unknown_exclusions,
)
from sweeper.domain.report import aggregate, ended_early, measure_coverage, without_region
from sweeper.domain.report_model import Report, Run
from sweeper.domain.scope import scope_of, write_scope_of
from sweeper.engine.assessment import assess_impact
from sweeper.engine.change_source import SweepPlan
from sweeper.engine.pool import attempt
from sweeper.engine.ports import Check, Cloud, Pool, RunEnvironment
from sweeper.engine.remediation import apply_changes

if TYPE_CHECKING:
    from sweeper.config.schema import Config


def sweep(
    cloud: Cloud,
    checks: Sequence[Check],
    config: Config,
    environment: RunEnvironment,
    changes: SweepPlan | None = None,
) -> Report:
    """Examine every target, make the changes that the plan allows, and report on all of it.

    `changes` says which targets and changes these are; None: those of the configuration. Raises
    nothing that AWS could cause: whatever ends the run early is in the report.
    """
    changes = changes or SweepPlan()
    past = environment.journal.past
    pool = Pool(config.limits.max_workers, environment)

    organization = attempt(
        Stage.ENUMERATE, lambda _: past.merge_accounts(cloud.list_accounts()), None
    )
    if isinstance(organization, Failed):
        run = build_run(config, environment, None, changes)
        return ended_early(run, organization, changes.ended(organization, past))
    selected = attempt(
        Stage.ENUMERATE, lambda _: changes.select_accounts(organization, config), None
    )
    if isinstance(selected, Failed):
        run = build_run(config, environment, organization, changes)
        return ended_early(run, selected, changes.ended(selected, past))
    chosen, others = selected

    opened = pool.map(
        Stage.OPEN_ACCOUNT,
        lambda account: changes.open_account(cloud, account),
        chosen,
        known=lambda account: past.opened.get(account.id),
    )
    targets, left_out = changes.plan_targets(
        (account for account in opened if isinstance(account, OpenedAccount)), config
    )
    examined = [
        accept_known_gaps(outcome, target.account.id, target.region, config.coverage.accept)
        for target, outcome in zip(
            targets,
            pool.map(
                Stage.EXAMINE,
                lambda target: _shared(changes.examine(checks, target, environment.evidence)),
                targets,
                known=lambda target: changes.known(past, target),
                keep=without_region,
            ),
            strict=True,
        )
    ]
    accounts = [
        *(
            (account, account_outcome(outcome, account, config.coverage.accept))
            for account, outcome in zip(chosen, opened, strict=True)
        ),
        *others,
    ]
    if environment.evidence:
        environment.evidence.conclude(
            accounts, chain(zip(targets, examined, strict=True), left_out)
        )
    coverage = measure_coverage(accounts, chain(zip(targets, examined, strict=True), left_out))
    outcomes = changes.plan(
        examined,
        {check.name: check.remedy for check in checks},
        lambda remedies: plan_changes(
            targets,
            examined,
            config=config,
            coverage=coverage,
            unknown_exclusions=unknown_exclusions(organization.accounts, config),
            remedies=remedies,
        ),
    )
    outcomes = apply_completed(outcomes, past.completed)
    if config.remediation.assess_impact:
        outcomes = assess_impact(pool, checks, targets, outcomes)
    if not environment.dry_run:
        outcomes = apply_changes(pool, cloud, checks, config, targets=targets, outcomes=outcomes)
    run = build_run(config, environment, organization, changes)
    if changes.kind != "undo":
        run = replace(
            run,
            scope=scope_of(
                accounts,
                chain(zip(targets, examined, strict=True), left_out),
                environment.provenance.narrowed_by,
            ),
            write_scope=write_scope_of(accounts, config.remediation),
        )
    ended = list(chain(zip(targets, outcomes, strict=True), left_out))
    return aggregate(run, accounts, ended, changes.unreached(accounts, ended, past))


def _shared(examined: Examined) -> Examined:
    return examined if examined.findings else _without_findings(examined.counts)


@lru_cache(maxsize=4096)
def _without_findings(counts: Counts) -> Examined:
    """Return one value for all the targets that are alike, of which there may be 100,000s."""
    return Examined(counts)


def build_run(
    config: Config,
    environment: RunEnvironment,
    organization: Organization | None,
    changes: SweepPlan,
) -> Run:
    """Return which run this is, as its report says it; it has ended now."""
    return Run(
        id=environment.run_id,
        started_at=_utc(environment.started),
        finished_at=_utc(environment.now()),
        version=environment.version,
        partition=organization.partition if organization else None,
        organization_id=organization.id if organization else None,
        account_id=organization.account_id if organization else None,
        auto_remediate=config.remediation.auto_remediate,
        dry_run=environment.dry_run,
        configuration=environment.provenance.configuration,
        kind=changes.kind,
        source=changes.source,
    )


def _utc(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
