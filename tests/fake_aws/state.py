"""The living side of a world: sessions, objects, messages, faults and counts."""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.fake_aws.counters import Counters
from tests.fake_aws.events import Events
from tests.fake_aws.faults import Faults
from tests.fake_aws.generate import GLOBAL_REGION
from tests.fake_aws.iam import Guard, Policy, Principal, glob
from tests.fake_aws.registries import Registries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fake_aws.world import Account, Bucket, Role, Unit, World

_USABLE = ("ENABLED", "ENABLED_BY_DEFAULT")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An S3 object; `headers` are those that S3 keeps and gives back."""

    body: bytes
    etag: str
    modified: float
    headers: dict[str, str]


class State:
    """Everything that a world's calls read and change; used from the event loop's thread only."""

    def __init__(self, world: World, now: Callable[[], float] = time.time) -> None:
        self.world = world
        self.clock = now
        self.clock_offset = 0.0
        self.counters = Counters()
        self.faults = Faults(world.faults)
        self.registries = Registries(world)
        self.guard = Guard(world.denies, {world.management_account})
        self.accounts: dict[str, Account] = {account.id: account for account in world.accounts}
        self.members = dict(self.accounts)  # those that are in the organization
        self.listed: tuple[Account, ...] = ()
        self.units: dict[str, Unit] = {unit.id: unit for unit in world.units}
        self.accounts_below: dict[str, list[Account]] = {}
        self._list()
        self.units_below: dict[str, list[Unit]] = defaultdict(list)
        for unit in world.units:
            self.units_below[unit.parent].append(unit)
        self.buckets: dict[str, Bucket] = {bucket.name: bucket for bucket in world.buckets}
        self.objects: dict[str, dict[str, StoredObject]] = {
            bucket.name: {} for bucket in world.buckets
        }
        self.put_events: list[dict[str, Any]] = []
        self.throttled_entries = world.throttled_entries
        self.messages: list[dict[str, Any]] = []
        self.findings: dict[tuple[str, str], dict[str, Any]] = {}  # region, id
        caller = world.caller
        central = Principal(
            caller.account,
            caller.principal_arn,
            caller.secret_access_key,
            caller.session_token,
            caller.actions,
        )
        self.principals: dict[str, Principal] = {caller.access_key_id: central}
        self._sessions: dict[str, Principal] = {}  # by access key
        self.secrets = [caller.secret_access_key, *filter(None, [caller.session_token])]
        self.events = Events(self)

    def now(self) -> float:
        """Give this world's time, in seconds since the epoch."""
        return self.clock() + self.clock_offset

    @property
    def global_region(self) -> str:
        """The region for which a partition's global services are signed."""
        return GLOBAL_REGION[self.world.partition]

    def region_states(self, account: str) -> dict[str, str]:
        """Give every region and its state in an account."""
        known = self.accounts.get(account)
        overrides = known.regions if known else {}
        return {**self.world.regions, **overrides}

    def is_enabled(self, account: str, region: str) -> bool:
        """Whether credentials of an account are known in a region."""
        known = self.accounts.get(account)
        state = known.regions.get(region) if known and known.regions else None
        return (state or self.world.regions.get(region)) in _USABLE

    def role(self, account: Account, path_and_name: str) -> Role | None:
        """Give an account's existing role, named as in its ARN after `role`: `/path/name`."""
        for role in (account.role or self.world.role, *self.world.extra_roles):
            if role.exists and f"{role.path}{role.name}" == path_and_name:
                return role
        return None

    def new_session(
        self,
        account: str,
        arn: str,
        actions: tuple[str, ...],
        policy: Policy | None,
        expires: float,
    ) -> tuple[str, Principal]:
        """Hand out credentials; the access key is new in every world and process."""
        key = "ASIA" + secrets.token_hex(8).upper()
        principal = Principal(
            account,
            arn,
            secrets.token_urlsafe(30),
            secrets.token_urlsafe(60),
            actions,
            policy,
            expires,
        )
        self.principals[key] = self._sessions[key] = principal
        self.secrets += [principal.secret, str(principal.token)]
        return key, principal

    def expire_sessions(self, account: str = "") -> int:
        """End every session handed out so far, or an account's; how many there were."""
        ended = [key for key, each in self._sessions.items() if account in {"", each.account}]
        for key in ended:
            self._sessions.pop(key).expires = 0.0
        return len(ended)

    def forget_sessions(self, account: str, role: str = "") -> None:
        """Make the sessions of an account, or of one role there, unknown everywhere."""
        part = f":assumed-role/{role}/" if role else ":assumed-role/"
        for key, principal in list(self._sessions.items()):
            if principal.account == account and part in principal.arn:
                del self.principals[key], self._sessions[key]

    def change_account(self, account: Account) -> None:
        """Put an account in the place of the one with its id."""
        self.accounts[account.id] = account
        if account.id in self.members:
            self.members[account.id] = account
            self._list()

    def remove_member(self, account: str) -> None:
        """Take an account out of the organization, whose policies no longer bind it."""
        del self.members[account]
        self.guard.unbound.add(account)
        self._list()

    def _list(self) -> None:
        self.listed = tuple(self.members.values())
        self.accounts_below = defaultdict(list)
        for account in self.listed:
            self.accounts_below[account.parent or self.world.root_id].append(account)

    def latency(self, service: str) -> float:
        """Give the seconds that a call of a service takes."""
        return self.world.service_latency.get(service, self.world.latency)

    def repositories(self, account: str = "*", region: str = "*") -> Iterator[dict[str, Any]]:
        """Give every repository's present state in the enabled regions of matching accounts."""
        for account_id in self.accounts:
            if not glob(account, account_id):
                continue
            for name in self.world.regions:
                if glob(region, name) and self.is_enabled(account_id, name):
                    for each in self.registries.everything(account_id, name):
                        yield {
                            "account": account_id,
                            "region": name,
                            "name": each.name,
                            "mutability": each.mutability,
                            "exclusion_filters": each.exclusion_filters,
                        }
