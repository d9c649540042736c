"""The questions, in the order of a sweep's stages, and nothing written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from sweeper.domain.model import Account, Failed, OpenedAccount, Organization, Stage, Target
from sweeper.domain.reasons import Reason
from sweeper.domain.selection import (
    named_regions,
    plan_targets,
    select_accounts,
    unknown_exclusions,
)
from sweeper.domain.write_scope import in_write_scope
from sweeper.engine.log_context import with_place
from sweeper.engine.pool import Stop, attempt, concurrently
from sweeper.engine.ports import Observer, Observers
from sweeper.engine.preflight.facts import (
    Caller,
    Facts,
    OrganizationRole,
    Region,
    Regions,
    RoleCheck,
)
from sweeper.engine.probe import DestinationProbe, ProbeResult, ProbeStatus, failed_probe, run_probe

if TYPE_CHECKING:
    from sweeper.config.schema import Config

T = TypeVar("T")
R = TypeVar("R")


class Directory(Protocol):
    """AWS Organizations, as far as it is asked; every method raises OperationFailed."""

    @property
    def management_account(self) -> str | None:
        """The management account's id as the list of accounts tells it."""

    def described(self) -> str:
        """The management account's id."""

    def delegated_administrators(self) -> frozenset[str]:
        """The ids of the delegated administrators."""


class Cloud(Protocol):
    """AWS, as far as it is asked; every method raises OperationFailed."""

    @property
    def organizations(self) -> Directory | None:
        """None where Organizations is not asked."""

    def caller(self) -> tuple[str, str]:
        """Account id and ARN."""

    def list_accounts(self) -> Organization:
        """The accounts that there are."""

    def enter(self, account: Account) -> None:
        """Assume the member role."""

    def regions(self, account: Account) -> Regions:
        """The regions of an account that was entered."""


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked: the actions that the checks declare, and of each destination.

    `ask` tries an action; like the destinations it raises nothing. No `writes` are tried where
    there are none. `may_change`: a sweep has an action to write with, be it tried or not.
    `keeps_record`: this machine, or S3, can keep a run's journal or plan. `permitted_by` are the
    parameters of the member role's stack, by the write that each permits.
    """

    reads: Collection[str]
    writes: Collection[str]
    ask: Callable[[Target, str], ProbeResult]
    destinations: Sequence[Callable[[], list[DestinationProbe]]]
    may_change: bool = True
    keeps_record: bool = True
    permitted_by: Mapping[str, str] = field(default_factory=dict)


def run_preflight(
    cloud: Cloud, questions: Questions, config: Config, *, stop: Stop, observer: Observer
) -> Facts:
    """Ask everything that can be asked. Raises nothing that AWS could cause."""
    who = attempt(Stage.ENUMERATE, lambda _: cloud.caller(), None)
    if isinstance(who, Failed):
        return Facts(None, who)
    organization = attempt(Stage.ENUMERATE, lambda _: cloud.list_accounts(), None)
    caller = _caller(who, organization, cloud.organizations)
    destinations = tuple(answer for ask in questions.destinations for answer in ask())
    if isinstance(organization, Failed):
        return Facts(caller, organization, destinations=destinations)
    listed = organization.accounts
    chosen = attempt(Stage.ENUMERATE, lambda _: select_accounts(listed, config), None)
    if isinstance(chosen, Failed):
        return Facts(caller, chosen, destinations=destinations, listed=len(listed))
    accounts, others = chosen
    crew = _Crew(config.limits.max_workers, stop, Observers((observer,)))
    entered = _entered(crew, cloud, accounts)
    targets, regions_left_out = plan_targets(
        (
            OpenedAccount(
                each.account,
                named_regions(config) if isinstance(each.regions, ProbeResult) else each.regions,
            )
            for each in entered
            if each.role.answer is ProbeStatus.WORKS
        ),
        config,
    )
    return Facts(
        caller,
        None,
        accounts=entered,
        regions=_regions(crew, questions, config, targets),
        left_out=(
            *((account, None, outcome) for account, outcome in others),
            *((target.account, target.region, outcome) for target, outcome in regions_left_out),
        ),
        destinations=destinations,
        unknown_exclusions=unknown_exclusions(listed, config),
        listed=len(listed),
        reads=tuple(sorted(questions.reads)),
        writes=tuple(sorted(questions.writes)),
        may_change=questions.may_change,
        keeps_record=questions.keeps_record,
        permitted_by=questions.permitted_by,
    )


def _caller(
    who: tuple[str, str], organization: Organization | Failed, directory: Directory | None
) -> Caller:
    """Who it is, as far as that can be learnt: a denial here is no problem by itself."""
    account_id, arn = who
    if directory is None:
        return Caller(account_id, arn, OrganizationRole.NOT_ASKED)
    if isinstance(organization, Failed) and organization.reason is Reason.NOT_IN_ORGANIZATION:
        return Caller(account_id, arn, OrganizationRole.NONE)
    listed = isinstance(organization, Organization)
    management = directory.management_account
    if management is None:
        described = attempt(Stage.ENUMERATE, lambda _: directory.described(), None)
        management = None if isinstance(described, Failed) else described
    organization_id = organization.id if isinstance(organization, Organization) else None
    if management == account_id:
        standing = OrganizationRole.MANAGEMENT
    else:
        delegated = attempt(Stage.ENUMERATE, lambda _: directory.delegated_administrators(), None)
        if not isinstance(delegated, Failed) and account_id in delegated:
            standing = OrganizationRole.DELEGATED
        elif listed:
            standing = OrganizationRole.ADMITTED
        else:
            standing = OrganizationRole.NOT_KNOWN if management is None else OrganizationRole.MEMBER
    return Caller(account_id, arn, standing, organization_id, management)


@dataclass(frozen=True, slots=True)
class _Crew:
    workers: int
    stop: Stop
    observer: Observer

    def map(self, stage: Stage, work: Callable[[T], R], items: Sequence[T]) -> list[R | Failed]:
        """One outcome for each item, in order; see `concurrently`."""
        self.observer.begin(stage, len(items))
        return concurrently(
            stage,
            with_place(work),
            items,
            workers=self.workers,
            stop=self.stop,
            observe=lambda batch: self.observer.done(stage, batch),
        )


def _entered(crew: _Crew, cloud: Cloud, accounts: Sequence[Account]) -> tuple[RoleCheck, ...]:
    def enter(account: Account) -> RoleCheck:
        role = run_probe(lambda: cloud.enter(account))
        if role.answer is not ProbeStatus.WORKS:
            return RoleCheck(account, role, ProbeResult(ProbeStatus.NOT_KNOWN))
        regions = attempt(Stage.OPEN_ACCOUNT, cloud.regions, account)
        return RoleCheck(
            account, role, failed_probe(regions) if isinstance(regions, Failed) else regions
        )

    outcomes = crew.map(Stage.OPEN_ACCOUNT, enter, accounts)
    return tuple(
        RoleCheck(account, failed_probe(outcome), ProbeResult(ProbeStatus.NOT_KNOWN))
        if isinstance(outcome, Failed)
        else outcome
        for account, outcome in zip(accounts, outcomes, strict=True)
    )


def _regions(
    crew: _Crew, questions: Questions, config: Config, targets: Sequence[Target]
) -> tuple[Region, ...]:
    def ask(target: Target) -> Region:
        writable = in_write_scope(target.account, config.remediation)
        return Region(
            target.account,
            target.region,
            {action: questions.ask(target, action) for action in sorted(questions.reads)},
            {action: questions.ask(target, action) for action in sorted(questions.writes)}
            if writable
            else {},
        )

    outcomes = crew.map(Stage.EXAMINE, ask, targets)
    return tuple(
        Region(
            target.account, target.region, dict.fromkeys(questions.reads, failed_probe(outcome)), {}
        )
        if isinstance(outcome, Failed)
        else outcome
        for target, outcome in zip(targets, outcomes, strict=True)
    )
