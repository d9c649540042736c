"""What was found out before a sweep: frozen values, in the words of AWS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sweeper.domain.model import Account, Failed, Skipped
from sweeper.engine.probe import DestinationProbe, ProbeResult, ProbeStatus

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
    """Who runs it; `management_account` is None where it could not be learnt."""

    account_id: str
    arn: str
    standing: OrganizationRole
    organization_id: str | None = None
    management_account: str | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """One account in one region: what each action that was tried there answered."""

    account: Account
    name: str
    reads: Mapping[str, ProbeResult]
    writes: Mapping[str, ProbeResult]

    @property
    def place(self) -> tuple[str, str]:
        """Account id and region."""
        return self.account.id, self.name


@dataclass(frozen=True, slots=True)
class RoleCheck:
    """An account that was to be entered: `regions` is not known where it was not."""

    account: Account
    role: ProbeResult
    regions: Regions | ProbeResult


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was found out.

    `listing` is why the accounts could not be listed or chosen, None where they could.
    `left_out` are the accounts that a sweep would leave out, and the regions; `unknown_exclusions`
    names excluded accounts that are not there. `reads` and `writes` are the actions that were to be
    tried; there are no writes where none may be made, or tried. `may_change`: a sweep may write at
    all. `keeps_record`: a run could keep a record of what it changes, without which it changes
    nothing. `permitted_by`: the parameter of the member role's stack that permits a write.
    """

    caller: Caller | None
    listing: Failed | None
    accounts: tuple[RoleCheck, ...] = ()
    regions: tuple[Region, ...] = ()
    left_out: tuple[tuple[Account, str | None, Skipped | Failed], ...] = ()
    destinations: tuple[DestinationProbe, ...] = ()
    unknown_exclusions: str = ""
    listed: int = 0
    reads: tuple[str, ...] = ()
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
        """How many accounts were to be entered."""
        return len(self.accounts)

    def answers(self, action: str) -> tuple[ProbeResult, ...]:
        """What the action answered, in each account-region where it was tried."""
        tried = ({**region.reads, **region.writes}.get(action) for region in self.regions)
        return tuple(answer for answer in tried if answer is not None)

    def with_role(self, *answers: ProbeStatus) -> tuple[str, ...]:
        """The accounts whose member role gave one of these answers when it was to be assumed."""
        return tuple(each.account.id for each in self.accounts if each.role.answer in answers)
