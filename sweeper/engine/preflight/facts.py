"""Ask what a sweep could do, in the order of its stages; write nothing. Facts in AWS's words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from sweeper.domain.exemptions import has_undecided_exemption
from sweeper.domain.model import (
    Account,
    Failed,
    OpenedAccount,
    Organization,
    Skipped,
    Stage,
    Target,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.selection import (
    in_write_scope,
    named_regions,
    plan_targets,
    select_accounts,
    unknown_exclusions,
)
from sweeper.engine.attempts import Stop, attempt
from sweeper.engine.pool import WorkerPool
from sweeper.engine.ports import Observer, Observers
from sweeper.engine.probe import DestinationProbe, ProbeResult, ProbeStatus, failed_probe, run_probe

if TYPE_CHECKING:
    from sweeper.config.schema import Config


Regions = tuple[tuple[str, str], ...]  # name, RegionOptStatus


class OrganizationRole(StrEnum):
    """What the caller's account is in the organization."""

    MANAGEMENT = "management_account"
    DELEGATED = "delegated_administrator"
    ADMITTED = "delegated_administrator_or_admitted_by_policy"
    MEMBER = "member_account"
    NONE = "in_no_organization"
    NOT_ASKED = "not_asked"
    NOT_KNOWN = "not_known"


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of the preflight; `management_account` is None if it could not be read."""

    account_id: str
    arn: str
    standing: OrganizationRole
    organization_id: str | None = None
    management_account: str | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """One account in one region, with the result of each action that was tried there."""

    account: Account
    name: str
    reads: Mapping[str, ProbeResult]
    writes: Mapping[str, ProbeResult]

    @property
    def key(self) -> tuple[str, str]:
        """Account id and region."""
        return self.account.id, self.name


@dataclass(frozen=True, slots=True)
class RoleCheck:
    """An account whose member role was to be assumed; else `regions` is not known."""

    account: Account
    role: ProbeResult
    regions: Regions | ProbeResult


@dataclass(frozen=True, slots=True)
class Facts:
    """The results of a preflight.

    `listing` is why the accounts could not be listed or chosen, None if they could. `left_out` are
    the accounts and regions that a sweep would leave out; `unknown_exclusions` names excluded
    accounts that do not exist; `undecided_exemptions` are the accounts where changes wait, because
    an exemption depends on facts that could not be read. `reads` and `writes` are the actions that
    were to be tried; there are no writes where none may be made, or tried. Without one of the
    `needed_reads` a sweep cannot check a region. `may_change`: a sweep may write at all.
    `keeps_record`: a run can store its journal, without which it changes nothing. `permitted_by`:
    the parameter of the member role's stack that permits a write.
    """

    caller: Caller | None
    listing: Failed | None
    accounts: tuple[RoleCheck, ...] = ()
    regions: tuple[Region, ...] = ()
    left_out: tuple[tuple[Account, str | None, Skipped | Failed], ...] = ()
    destinations: tuple[DestinationProbe, ...] = ()
    unknown_exclusions: str = ""
    undecided_exemptions: tuple[str, ...] = ()
    listed: int = 0
    reads: tuple[str, ...] = ()
    needed_reads: frozenset[str] = frozenset()
    writes: tuple[str, ...] = ()
    may_change: bool = True
    keeps_record: bool = True
    permitted_by: Mapping[str, str] = field(default_factory=dict)

    @property
    def actions(self) -> tuple[str, ...]:
        """The reads, then the writes."""
        return (*self.reads, *self.writes)

    @property
    def active(self) -> int:
        """The number of accounts whose member role was to be assumed."""
        return len(self.accounts)

    @property
    def leaves_no_region(self) -> bool:
        """Tell whether each account could be opened, and none has a region to check."""
        opened = all(
            each.role.answer is ProbeStatus.WORKS and not isinstance(each.regions, ProbeResult)
            for each in self.accounts
        )
        return self.listing is None and opened and not self.regions

    def answers(self, action: str) -> tuple[ProbeResult, ...]:
        """Return the action's results, one for each account and region where it was tried."""
        tried = ({**region.reads, **region.writes}.get(action) for region in self.regions)
        return tuple(answer for answer in tried if answer is not None)

    def with_role(self, *answers: ProbeStatus) -> tuple[str, ...]:
        """Return the accounts whose member role had one of these results when it was assumed."""
        return tuple(each.account.id for each in self.accounts if each.role.answer in answers)


class Directory(Protocol):
    """AWS Organizations, as far as a preflight needs it; every method raises OperationFailed."""

    @property
    def management_account(self) -> str | None:
        """The management account's id from the list of accounts."""

    def describe(self) -> str:
        """Describe the organization; return the management account's id."""

    def delegated_administrators(self) -> frozenset[str]:
        """Return the ids of the delegated administrators."""


class Cloud(Protocol):
    """AWS, as far as a preflight needs it; every method raises OperationFailed."""

    @property
    def organizations(self) -> Directory | None:
        """None where Organizations is not called."""

    def caller(self) -> tuple[str, str]:
        """Account id and ARN."""

    def list_accounts(self) -> Organization:
        """List all accounts."""

    def enter(self, account: Account) -> None:
        """Assume the member role."""

    def regions(self, account: Account) -> Regions:
        """Read the regions of an account whose role was assumed."""


@dataclass(frozen=True, slots=True)
class Questions:
    """What is tried: the actions that the checks declare, and each destination.

    `ask` tries an action; like the destinations it raises nothing. `may_change`: a sweep has write
    actions, even if these are not tried. `keeps_record`: this machine, or S3, can store a run's
    journal or plan. `permitted_by` are the parameters of the member role's stack, by the write that
    each permits. Exemptions are judged as of `today`.
    """

    reads: Collection[str]
    needed_reads: Collection[str]
    writes: Collection[str]
    ask: Callable[[Target, str], ProbeResult]
    destinations: Sequence[Callable[[], list[DestinationProbe]]]
    today: date
    may_change: bool = True
    keeps_record: bool = True
    permitted_by: Mapping[str, str] = field(default_factory=dict)


def run_preflight(
    cloud: Cloud, questions: Questions, config: Config, *, stop: Stop, observer: Observer
) -> Facts:
    """Try everything that a sweep would call. Raises no error that AWS could cause."""
    who = attempt(Stage.ENUMERATE, lambda _: cloud.caller(), None)
    if isinstance(who, Failed):
        return Facts(None, who)
    organization = attempt(Stage.ENUMERATE, lambda _: cloud.list_accounts(), None)
    caller = _identify_caller(who, organization, cloud.organizations)
    destinations = tuple(answer for ask in questions.destinations for answer in ask())
    if isinstance(organization, Failed):
        return Facts(caller, organization, destinations=destinations)
    listed = organization.accounts
    chosen = attempt(Stage.ENUMERATE, lambda _: select_accounts(listed, config), None)
    if isinstance(chosen, Failed):
        return Facts(caller, chosen, destinations=destinations, listed=len(listed))
    accounts, others = chosen
    pool = WorkerPool(config.limits.max_workers, stop, Observers((observer,)))
    entered = _enter_accounts(pool, cloud, accounts)
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
        regions=_probe_regions(pool, questions, config, targets),
        left_out=(
            *((account, None, outcome) for account, outcome in others),
            *((target.account, target.region, outcome) for target, outcome in regions_left_out),
        ),
        destinations=destinations,
        unknown_exclusions=unknown_exclusions(listed, config),
        undecided_exemptions=tuple(
            account.id
            for account in accounts
            if in_write_scope(account, config.remediation)
            and has_undecided_exemption(account, config.exemptions, questions.today)
        ),
        listed=len(listed),
        reads=tuple(sorted(questions.reads)),
        needed_reads=frozenset(questions.needed_reads),
        writes=tuple(sorted(questions.writes)),
        may_change=questions.may_change,
        keeps_record=questions.keeps_record,
        permitted_by=questions.permitted_by,
    )


def _identify_caller(
    who: tuple[str, str], organization: Organization | Failed, directory: Directory | None
) -> Caller:
    """Identify the caller as far as possible: a denial here is no problem by itself."""
    account_id, arn = who
    if directory is None:
        return Caller(account_id, arn, OrganizationRole.NOT_ASKED)
    if isinstance(organization, Failed) and organization.reason is Reason.NOT_IN_ORGANIZATION:
        return Caller(account_id, arn, OrganizationRole.NONE)
    listed = isinstance(organization, Organization)
    management = directory.management_account
    if management is None:
        described = attempt(Stage.ENUMERATE, lambda _: directory.describe(), None)
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


def _enter_accounts(
    pool: WorkerPool, cloud: Cloud, accounts: Sequence[Account]
) -> tuple[RoleCheck, ...]:
    def enter(account: Account) -> RoleCheck:
        role = run_probe(lambda: cloud.enter(account))
        if role.answer is not ProbeStatus.WORKS:
            return RoleCheck(account, role, ProbeResult(ProbeStatus.NOT_KNOWN))
        regions = attempt(Stage.OPEN_ACCOUNT, cloud.regions, account)
        return RoleCheck(
            account, role, failed_probe(regions) if isinstance(regions, Failed) else regions
        )

    outcomes = pool.map(Stage.OPEN_ACCOUNT, enter, accounts)
    return tuple(
        RoleCheck(account, failed_probe(outcome), ProbeResult(ProbeStatus.NOT_KNOWN))
        if isinstance(outcome, Failed)
        else outcome
        for account, outcome in zip(accounts, outcomes, strict=True)
    )


def _probe_regions(
    pool: WorkerPool, questions: Questions, config: Config, targets: Sequence[Target]
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

    outcomes = pool.map(Stage.EXAMINE, ask, targets)
    return tuple(
        Region(
            target.account, target.region, dict.fromkeys(questions.reads, failed_probe(outcome)), {}
        )
        if isinstance(outcome, Failed)
        else outcome
        for target, outcome in zip(targets, outcomes, strict=True)
    )
