"""What an earlier process of a run had done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from sweeper.domain.model import (
    Change,
    ChangeStatus,
    Examined,
    Failed,
    Impact,
    Key,
    OpenedAccount,
    Organization,
)


@dataclass(frozen=True, slots=True)
class ResumeState:
    """What other processes of the same run had done, as its journal or the parts of its work tell.

    `examined` is by account id and region. `completed` are changes that were made, or found to be
    superseded; `in_doubt` those that were about to be made when the process ended. `leases` are
    the tokens with which its processes took the lease.

    The rest comes from parts alone, whose facts are final: a run that is resumed tries again what
    failed. `failures` are by account id and region, None for the account; `impacts` of findings;
    `decided` has each change that was planned or ended.
    """

    opened: Mapping[str, OpenedAccount] = field(default_factory=dict)
    examined: Mapping[tuple[str, str], Examined] = field(default_factory=dict)
    completed: Mapping[Key, Change] = field(default_factory=dict)
    in_doubt: AbstractSet[Key] = frozenset()
    leases: AbstractSet[str] = frozenset()
    failures: Mapping[tuple[str, str | None], Failed] = field(default_factory=dict)
    impacts: Mapping[Key, Impact] = field(default_factory=dict)
    decided: Mapping[Key, Change] = field(default_factory=dict)

    def merge(self, other: ResumeState) -> ResumeState:
        """Return what both records have of one run: what was applied in either was applied."""
        applied = {
            key: change
            for key, change in self.completed.items()
            if change.status is ChangeStatus.APPLIED
        }
        settled = {**self.completed, **other.completed, **applied}
        return ResumeState(
            {**other.opened, **self.opened},
            {**other.examined, **self.examined},
            settled,
            (self.in_doubt | other.in_doubt) - settled.keys(),
            self.leases,
            {**other.failures, **self.failures},
            {**other.impacts, **self.impacts},
            {**other.decided, **self.decided},
        )

    def to_resume(self) -> ResumeState:
        """Return what need not be done again where one process resumes the run."""
        return replace(self, failures={}, impacts={}, decided={})

    def merge_accounts(self, organization: Organization) -> Organization:
        """The organization, the accounts that were opened as they were then.

        What was seen and done there stays in the report, whatever became of the account. Before
        anything is written, the accounts are looked at as they are.
        """
        now = {account.id: account for account in organization.accounts}
        then = {opened.account.id: opened.account for opened in self.opened.values()}
        return replace(organization, accounts=tuple({**now, **then}.values()))


def join_parts(parts: Iterable[ResumeState]) -> ResumeState:
    """Return what workers did of whom no two had the same account."""
    opened: dict[str, OpenedAccount] = {}
    examined: dict[tuple[str, str], Examined] = {}
    completed: dict[Key, Change] = {}
    in_doubt: set[Key] = set()
    failures: dict[tuple[str, str | None], Failed] = {}
    impacts: dict[Key, Impact] = {}
    decided: dict[Key, Change] = {}
    for part in parts:
        opened.update(part.opened)
        examined.update(part.examined)
        completed.update(part.completed)
        in_doubt.update(part.in_doubt)
        failures.update(part.failures)
        impacts.update(part.impacts)
        decided.update(part.decided)
    return ResumeState(
        opened,
        examined,
        completed,
        in_doubt,
        failures=failures,
        impacts=impacts,
        decided=decided,
    )
