"""The fault matrix: each fault alone, and all of them together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tests.fake_aws.world import Account, Deny, Event, Fault, Role, World

Target = tuple[str, str]  # account, region

THROTTLING = (Fault("throttle", share=0.30),)
SERVER_ERRORS = (Fault("server_error", share=0.10),)
RESETS = (Fault("reset", share=0.05),)
BROKEN_OFF = (Fault("truncate", share=0.05),)
# Not what lists the organization: without it there is no sweep to look at. See test_enumeration.
DAMAGED = tuple(
    Fault("malformed", service=service, operation=operation, share=0.03)
    for service, operation in (("ecr", "*"), ("account", "*"), ("sts", "AssumeRole"))
)
PASSING = THROTTLING + SERVER_ERRORS + RESETS + BROKEN_OFF + DAMAGED
LONGER_THAN_A_TIME_OUT = 60  # seconds


@dataclass(frozen=True)
class Size:
    """How large an organization is; `repositories` in each account and region."""

    accounts: int
    regions: int
    repositories: int = 5


@dataclass(frozen=True)
class Scenario:
    """What goes wrong, and the reasons with which healthy accounts and targets may fail for it.

    Every `roleless`-th account has no role, every `closed`-th is denied all outside Europe, every
    `expiring`-th has its sessions ended early.  `denied_regions` and `dark_regions` count from the
    last.
    """

    name: str
    faults: tuple[Fault, ...] = ()
    reasons: frozenset[str] = frozenset()
    roleless: int = 0
    closed: int = 0
    denied_regions: int = 0
    dark_regions: int = 0
    session_seconds: int = 3600
    expiring: int = 0
    damages: bool = False

    def world(self, seed: int, size: Size) -> World:
        """The organization in which it happens."""
        world = World.generate(
            accounts=size.accounts,
            regions=size.regions,
            repositories_per_target=size.repositories,
            seed=seed,
            role=Role(session_seconds=self.session_seconds),
        )
        unusable, closed = self._lasting_accounts(world)
        members = tuple(
            dataclasses.replace(account, role=Role(exists=False))
            if account.id in unusable
            else account
            for account in world.accounts
        )
        denies = [Deny(accounts=(account,), except_regions=("eu-*",)) for account in sorted(closed)]
        if names := self._last(world, self.denied_regions):
            denies.append(Deny(regions=names, actions=("ecr:*",)))
        faults = tuple(dataclasses.replace(fault, seed=seed) for fault in self.faults)
        dark = self._dark(world)
        holes = tuple(
            Fault("hang", service="ecr", region=name, seconds=LONGER_THAN_A_TIME_OUT)
            for name in dark
        )
        return dataclasses.replace(
            world, accounts=members, denies=tuple(denies), faults=holes + faults
        )

    def events(self, world: World) -> tuple[Event, ...]:
        """Sessions that end when their account was first asked for its repositories."""
        if not self.expiring:
            return ()
        return tuple(
            Event(
                "expire_sessions",
                account=account.id,
                after=1,
                operation="DescribeRepositories",
                caller=account.id,
            )
            for account in world.accounts[3 :: self.expiring]
        )

    def lasting(self, world: World) -> tuple[Mapping[str, str], Mapping[Target, str]]:
        """The reason of every account, and of every target, that cannot be seen however often."""
        unusable, closed = self._lasting_accounts(world)
        accounts = {
            **dict.fromkeys(unusable, "assume_role_denied"),
            **dict.fromkeys(closed, "regions_unreadable"),
        }
        targets = {
            (account.id, region): "denied_by_scp"
            for account in world.accounts
            # A service control policy does not bind the management account.
            if account.id != world.management_account
            for region in self._last(world, self.denied_regions)
        }
        dark = {
            (account.id, region): "endpoint_unreachable"
            for account in world.accounts
            for region in self._dark(world)
        }
        return MappingProxyType(accounts), MappingProxyType({**targets, **dark})

    def _lasting_accounts(self, world: World) -> tuple[set[str], set[str]]:
        members: tuple[Account, ...] = world.accounts[1:]
        unusable = {each.id for each in members[:: self.roleless]} if self.roleless else set()
        closed = {each.id for each in members[1 :: self.closed]} if self.closed else set()
        return unusable, closed - unusable

    def _last(self, world: World, count: int) -> tuple[str, ...]:
        enabled = [name for name, state in world.regions.items() if state == "ENABLED_BY_DEFAULT"]
        return tuple(enabled[len(enabled) - count :])

    def _dark(self, world: World) -> tuple[str, ...]:
        """Regions without an answer, before those that a policy denies."""
        both = self._last(world, self.denied_regions + self.dark_regions)
        return both[: self.dark_regions]


_TRANSPORT = frozenset({"connection_failed"})
SCENARIOS = (
    Scenario("throttling 30 %", THROTTLING, frozenset({"throttled"})),
    Scenario("5xx 10 %", SERVER_ERRORS, frozenset({"service_error"})),
    Scenario("resets 5 %", RESETS, _TRANSPORT),
    Scenario("answers that break off 5 %", BROKEN_OFF, _TRANSPORT),
    Scenario("damaged answers 3 %", DAMAGED, frozenset({"unexpected_response"}), damages=True),
    Scenario("sessions of two seconds", session_seconds=2),
    Scenario("sessions that are ended", expiring=2, reasons=frozenset({"credentials_expired"})),
    Scenario("denied accounts", roleless=5),
    Scenario("denied regions", closed=5, denied_regions=1),
)
ALL_TOGETHER = Scenario(
    "all together",
    PASSING,
    frozenset(
        {
            "throttled",
            "service_error",
            "connection_failed",
            "unexpected_response",
            "credentials_expired",
        }
    ),
    roleless=10,
    closed=10,
    denied_regions=1,
    expiring=8,
    damages=True,
)
# A region without an answer takes time-outs of ten seconds.
LONG = (
    *SCENARIOS,
    Scenario("a black hole", dark_regions=1),
    ALL_TOGETHER,
    dataclasses.replace(ALL_TOGETHER, name="all together, two black holes", dark_regions=2),
)
