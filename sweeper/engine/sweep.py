"""The sweep, from top to bottom: read this first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from sweeper.domain.model import Examined, Failed, OpenedAccount, Organization, Stage, Target
from sweeper.domain.planning import (
    accept_known_gaps,
    account_outcome,
    apply_completed,
    plan_changes,
    plan_targets,
    select_accounts,
    unknown_exclusions,
)
from sweeper.domain.report import aggregate, ended_early, measure_coverage, without_region
from sweeper.domain.report_model import Report, Run
from sweeper.domain.scope import scope_of, write_scope_of
from sweeper.engine.assessment import assess_impact
from sweeper.engine.evidence import Evidence, examine_with_evidence
from sweeper.engine.pool import attempt
from sweeper.engine.ports import Check, Cloud, Pool, RunEnvironment
from sweeper.engine.remediation import apply_changes

if TYPE_CHECKING:
    from sweeper.config.schema import Config


def sweep(cloud: Cloud, checks: Sequence[Check], config: Config, conduct: RunEnvironment) -> Report:
    """Look at every target, change what the plan allows, and report on all of it.

    Raises nothing that AWS could cause: whatever ends the sweep early is in the report.
    """
    past = conduct.journal.past
    pool = Pool(config.limits.max_workers, conduct)

    organization = attempt(
        Stage.ENUMERATE, lambda _: past.merge_accounts(cloud.list_accounts()), None
    )
    if isinstance(organization, Failed):
        return ended_early(build_run(config, conduct, None), organization)
    selected = attempt(
        Stage.ENUMERATE, lambda _: select_accounts(organization.accounts, config), None
    )
    if isinstance(selected, Failed):
        return ended_early(build_run(config, conduct, organization), selected)
    chosen, others = selected

    opened = pool.map(
        Stage.OPEN_ACCOUNT,
        cloud.open_account,
        chosen,
        known=lambda account: past.opened.get(account.id),
    )
    targets, left_out = plan_targets(
        (account for account in opened if isinstance(account, OpenedAccount)), config
    )
    examined = [
        accept_known_gaps(outcome, target.account.id, target.region, config.coverage.accept)
        for target, outcome in zip(
            targets,
            pool.map(
                Stage.EXAMINE,
                lambda target: _examine(checks, conduct.evidence, target),
                targets,
                known=lambda target: past.examined.get(target.place),
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
    if conduct.evidence:
        conduct.evidence.conclude(accounts, chain(zip(targets, examined, strict=True), left_out))
    outcomes = plan_changes(
        targets,
        examined,
        config=config,
        coverage=measure_coverage(accounts, chain(zip(targets, examined, strict=True), left_out)),
        unknown_exclusions=unknown_exclusions(organization.accounts, config),
        remedies={check.name: check.remedy for check in checks},
    )
    outcomes = apply_completed(outcomes, past.completed)
    if config.remediation.assess_impact:
        outcomes = assess_impact(pool, checks, targets, outcomes)
    if not conduct.dry_run:
        outcomes = apply_changes(pool, cloud, checks, config, targets=targets, outcomes=outcomes)
    run = replace(
        build_run(config, conduct, organization),
        scope=scope_of(
            accounts,
            chain(zip(targets, examined, strict=True), left_out),
            conduct.provenance.narrowed_by,
        ),
        write_scope=write_scope_of(accounts, config.remediation),
    )
    return aggregate(run, accounts, chain(zip(targets, outcomes, strict=True), left_out))


def _examine(checks: Sequence[Check], evidence: Evidence | None, target: Target) -> Examined:
    """All checks on one target; a repository counts once for each that judges repositories."""
    if evidence:
        results = examine_with_evidence(checks, target, evidence.begin(target))
    else:
        results = [check.examine(target) for check in checks]
    compliant, non_compliant, exempt = (
        sum(result.counts[kind] for result in results) for kind in range(3)
    )
    findings = tuple(finding for result in results for finding in result.findings)
    counts = (compliant, non_compliant, exempt)
    return Examined(counts, findings) if findings else _without_findings(counts)


@lru_cache(maxsize=4096)
def _without_findings(counts: tuple[int, int, int]) -> Examined:
    """One value for all the targets that are alike, of which there may be hundred thousands."""
    return Examined(counts)


def build_run(config: Config, conduct: RunEnvironment, organization: Organization | None) -> Run:
    """Which sweep this is, as its report says it; it has ended now."""
    return Run(
        id=conduct.run_id,
        started_at=_utc(conduct.started),
        finished_at=_utc(conduct.now()),
        version=conduct.version,
        partition=organization.partition if organization else None,
        organization_id=organization.id if organization else None,
        account_id=organization.account_id if organization else None,
        auto_remediate=config.remediation.auto_remediate,
        dry_run=conduct.dry_run,
        configuration=conduct.provenance.configuration,
    )


def _utc(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
