"""The sweep, from top to bottom: read this first.

`sweep` calls the stages one after another in one process. The stages of a distributed sweep
(`sweeper.entrypoints.distributed`) call the same functions, each in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING

from sweeper.domain.model import (
    Account,
    Compliance,
    Counts,
    Examined,
    Failed,
    OpenedAccount,
    Organization,
    ResumeState,
    Skipped,
    Stage,
    Target,
    utc_text,
)
from sweeper.domain.planning import (
    Announced,
    Outcome,
    apply_completed,
    findings_of,
    plan_changes,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report import (
    AccountOutcome,
    TargetOutcome,
    aggregate,
    ended_early,
    measure_coverage,
    without_region,
)
from sweeper.domain.report_model import Report, Run
from sweeper.domain.selection import (
    accept_known_gaps,
    account_outcome,
    scope_of,
    unknown_exclusions,
    write_scope_of,
)
from sweeper.engine.assessment import assess_impact
from sweeper.engine.attempts import NOT_REACHED, Stop, attempt
from sweeper.engine.change_source import SweepPlan
from sweeper.engine.pool import Pool
from sweeper.engine.ports import Check, Cloud, RunEnvironment
from sweeper.engine.remediation import apply_changes

if TYPE_CHECKING:
    from sweeper.config.schema import Config


def sweep(
    cloud: Cloud,
    checks: Sequence[Check],
    config: Config,
    environment: RunEnvironment,
    changes: SweepPlan,
) -> Report:
    """Examine every target, make the changes that the plan allows, and report on all of it.

    `changes` says which targets and changes these are. Raises nothing that AWS could cause:
    whatever ends the run early is in the report.
    """
    past = environment.journal.past
    pool = Pool(config.limits.max_workers, environment)

    listing = list_accounts(cloud, config, changes, past)
    if listing.failure:
        return report_early(config, environment, changes, listing)
    if environment.scanner and listing.organization:
        found = environment.scanner.scan(
            listing.organization, listing.chosen, environment.observers
        )
        lost = partial(_lost, environment.stop)
        # What this run had found before stays, whatever becomes of the processes.
        scan = recall_scan(past.merge(found), listing.chosen, config, changes, lost)
    else:
        scan = scan_accounts(pool, cloud, checks, config, changes=changes, accounts=listing.chosen)
    facts = accept_gaps(scan, listing, config)
    if environment.evidence:
        environment.evidence.conclude(facts.accounts, facts.targets_with(facts.outcomes))
    announced = read_announced(facts, config, environment, changes)
    today = environment.started.date()
    outcomes = make_plan(facts, checks, config, changes, today=today, announced=announced)
    outcomes = apply_completed(outcomes, past.completed)
    if config.remediation.assess_impact:
        outcomes = assess_impact(pool, checks, facts.targets, outcomes)
    if not environment.dry_run:
        outcomes = apply_changes(
            pool, cloud, checks, config, targets=facts.targets, outcomes=outcomes
        )
    return report_run(facts, outcomes, config, environment, changes)


@dataclass(frozen=True, slots=True)
class Listing:
    """The accounts of the organization: those to open, and each of the others with why not.

    `failure` is why there is nothing to open; `organization` is None where it could not be listed.
    """

    organization: Organization | None
    chosen: tuple[Account, ...] = ()
    others: tuple[tuple[Account, Skipped | Failed], ...] = ()
    failure: Failed | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found in each of the accounts and targets, in their order."""

    accounts: Sequence[Account]
    opened: Sequence[OpenedAccount | Failed]
    targets: Sequence[Target]
    examined: Sequence[Examined | Failed]
    left_out: Sequence[tuple[Target, Skipped | Failed]]


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is planned from: one outcome for each account and target, accepted gaps as such."""

    organization: Organization
    accounts: Sequence[AccountOutcome]
    targets: Sequence[Target]
    outcomes: Sequence[Outcome]
    left_out: Sequence[tuple[Target, Skipped | Failed]]

    def targets_with(self, outcomes: Sequence[Outcome]) -> Iterator[TargetOutcome]:
        """Return each target with its outcome, those that were left out last."""
        return chain(zip(self.targets, outcomes, strict=True), self.left_out)


def list_accounts(cloud: Cloud, config: Config, changes: SweepPlan, past: ResumeState) -> Listing:
    """List the accounts and choose among them. Raises nothing."""
    organization = attempt(
        Stage.ENUMERATE, lambda _: past.merge_accounts(cloud.list_accounts()), None
    )
    if isinstance(organization, Failed):
        return Listing(None, failure=organization)
    return choose_accounts(organization, config, changes)


def choose_accounts(organization: Organization, config: Config, changes: SweepPlan) -> Listing:
    """Choose among the accounts that were listed. Calls nothing, and raises nothing."""
    selected = attempt(
        Stage.ENUMERATE, lambda _: changes.select_accounts(organization, config), None
    )
    if isinstance(selected, Failed):
        return Listing(organization, failure=selected)
    return Listing(organization, *selected)


def scan_accounts(
    pool: Pool,
    cloud: Cloud,
    checks: Sequence[Check],
    config: Config,
    *,
    changes: SweepPlan,
    accounts: Sequence[Account],
) -> Scan:
    """Open the accounts, and examine each target in them. What is known is not read again."""
    environment = pool.environment
    past = environment.journal.past
    opened = pool.map(
        Stage.OPEN_ACCOUNT,
        lambda account: changes.open_account(cloud, account),
        accounts,
        known=lambda account: past.opened.get(account.id),
    )
    targets, left_out = changes.plan_targets(_list_opened(opened), config)
    examined = pool.map(
        Stage.EXAMINE,
        lambda target: _share_equal(changes.examine(checks, target, environment.evidence)),
        targets,
        known=lambda target: changes.known(past, target),
        keep=without_region,
    )
    return Scan(accounts, opened, targets, examined, left_out)


def recall_scan(
    past: ResumeState,
    accounts: Sequence[Account],
    config: Config,
    changes: SweepPlan,
    missing: Callable[[Account, Stage], Failed],
) -> Scan:
    """Return what other processes found in the accounts. Pure.

    `missing` says why nothing is known of an account, or of a target in it.
    """
    opened = [
        past.opened.get(account.id)
        or past.failures.get((account.id, None))
        or missing(account, Stage.OPEN_ACCOUNT)
        for account in accounts
    ]
    targets, left_out = changes.plan_targets(_list_opened(opened), config)
    examined = [
        past.examined.get(target.key)
        or without_region(
            target,
            past.failures.get(target.key) or missing(target.account, Stage.EXAMINE),
        )
        for target in targets
    ]
    return Scan(accounts, opened, targets, examined, left_out)


def accept_gaps(scan: Scan, listing: Listing, config: Config) -> Facts:
    """Return the facts to plan from: what was found, less the gaps that the configuration accepts.

    Raises ValueError for a listing that failed.
    """
    if listing.organization is None:
        raise ValueError("nothing was listed")
    rules = config.coverage.accept
    outcomes: list[Outcome] = [
        accept_known_gaps(outcome, target.account.id, target.region, rules)
        for target, outcome in zip(scan.targets, scan.examined, strict=True)
    ]
    accounts: list[AccountOutcome] = [
        (account, account_outcome(outcome, account, rules))
        for account, outcome in zip(scan.accounts, scan.opened, strict=True)
    ]
    accounts += listing.others
    return Facts(listing.organization, accounts, scan.targets, outcomes, scan.left_out)


def read_announced(
    facts: Facts, config: Config, environment: RunEnvironment, changes: SweepPlan
) -> Announced:
    """Read which changes were announced, where that matters. Raises nothing."""
    if not config.remediation.grace_days or changes.kind == "undo":
        return Announced()
    keys = {
        finding.key
        for finding in findings_of(facts.outcomes)
        if finding.compliance is Compliance.NON_COMPLIANT
    }
    run = build_run(config, environment, facts.organization, changes)
    return environment.read_announced(run, keys) if keys else Announced()


def make_plan(
    facts: Facts,
    checks: Sequence[Check],
    config: Config,
    changes: SweepPlan,
    *,
    today: date,
    announced: Announced,
) -> list[Outcome]:
    """Return the outcomes with the change of each finding. Pure.

    Coverage, caps and limits are those of all the facts: plan once, from all of them.
    """
    return changes.plan(
        facts.outcomes,
        {check.name: check.remedy for check in checks},
        lambda remedies: plan_changes(
            facts.targets,
            facts.outcomes,
            config=config,
            coverage=measure_coverage(facts.accounts, facts.targets_with(facts.outcomes)),
            unknown_exclusions=unknown_exclusions(facts.organization.accounts, config),
            announced=announced,
            today=today,
            remedies=remedies,
        ),
    )


def report_early(
    config: Config, environment: RunEnvironment, changes: SweepPlan, listing: Listing
) -> Report:
    """Return the report of a run that found nothing to open, as the listing's failure says."""
    if listing.failure is None:
        raise ValueError("the listing did not fail")
    run = build_run(config, environment, listing.organization, changes)
    past = environment.journal.past
    return ended_early(run, listing.failure, changes.end_all(listing.failure, past))


def report_run(
    facts: Facts,
    outcomes: Sequence[Outcome],
    config: Config,
    environment: RunEnvironment,
    changes: SweepPlan,
) -> Report:
    """Return the report: the facts, and what became of the changes in the `outcomes`."""
    run = build_run(config, environment, facts.organization, changes)
    ended = list(facts.targets_with(outcomes))
    if changes.kind != "undo":
        run = replace(
            run,
            scope=scope_of(
                facts.accounts,
                facts.targets_with(facts.outcomes),
                environment.provenance.narrowed_by,
            ),
            write_scope=write_scope_of(facts.accounts, ended, config.remediation),
        )
    unreached = changes.find_unreached(facts.accounts, ended, environment.journal.past)
    return aggregate(run, facts.accounts, ended, unreached)


def _lost(stop: Stop, _: Account, stage: Stage) -> Failed:
    """Return why another process of this machine did not get to an account, or a target in it."""
    if reason := stop.reason:
        return Failed(stage, reason, NOT_REACHED)
    return Failed(stage, Reason.WORKER_FAILED, "the process that checked it was ended")


def _list_opened(opened: Sequence[OpenedAccount | Failed]) -> Iterator[OpenedAccount]:
    return (account for account in opened if isinstance(account, OpenedAccount))


def _share_equal(examined: Examined) -> Examined:
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
        started_at=utc_text(environment.started),
        finished_at=utc_text(environment.now()),
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
