"""What an earlier process of a run had done."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from sweeper.domain.model import (
    Change,
    ChangeStatus,
    Examined,
    Key,
    OpenedAccount,
    Organization,
)


@dataclass(frozen=True, slots=True)
class Past:
    """What an earlier process of the same run had done, as its journal tells.

    `examined` is by account id and region. `settled` are changes that were made, or found to be
    superseded; `unsettled` those that were about to be made when the process ended. `leases` are
    the tokens with which its processes took the lease.
    """

    opened: Mapping[str, OpenedAccount] = field(default_factory=dict)
    examined: Mapping[tuple[str, str], Examined] = field(default_factory=dict)
    settled: Mapping[Key, Change] = field(default_factory=dict)
    unsettled: AbstractSet[Key] = frozenset()
    leases: AbstractSet[str] = frozenset()

    def merge(self, other: Past) -> Past:
        """Return what both records have of one run: what was applied in either was applied."""
        applied = {
            key: change
            for key, change in self.settled.items()
            if change.status is ChangeStatus.APPLIED
        }
        settled = {**self.settled, **other.settled, **applied}
        return Past(
            {**other.opened, **self.opened},
            {**other.examined, **self.examined},
            settled,
            (self.unsettled | other.unsettled) - settled.keys(),
            self.leases,
        )

    def joined(self, organization: Organization) -> Organization:
        """The organization, the accounts that were opened as they were then.

        What was seen and done there stays in the report, whatever became of the account. Before
        anything is written, the accounts are looked at as they are.
        """
        now = {account.id: account for account in organization.accounts}
        then = {opened.account.id: opened.account for opened in self.opened.values()}
        return replace(organization, accounts=tuple({**now, **then}.values()))
