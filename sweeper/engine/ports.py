"""What the sweep needs from outside, as protocols, and how one run of it is conducted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, TypeVar, runtime_checkable

from sweeper.domain.model import (
    Account,
    Change,
    ChangeStatus,
    Examined,
    Failed,
    Finding,
    Impact,
    Key,
    OpenedAccount,
    Organization,
    Resource,
    Stage,
    Target,
)
from sweeper.domain.report_model import Configuration
from sweeper.engine.log_context import with_place
from sweeper.engine.pool import Stop, attempt, concurrently

T = TypeVar("T")
R = TypeVar("R")


class Cloud(Protocol):
    """AWS, as far as the sweep itself needs it; every method raises OperationFailed."""

    def list_accounts(self) -> Organization:
        """The accounts that there are; NothingToSweep where running again would not help."""

    def open_account(self, account: Account) -> OpenedAccount:
        """Assume the member role once, and read the account's regions."""

    def enter(self, account: Account) -> None:
        """Assume the member role once."""


@dataclass(frozen=True, slots=True)
class Past:
    """What an earlier process of the same run had done, as its journal tells.

    `examined` is by account id and region. `settled` are changes that were made, or found to be
    superseded; `unsettled` those that were about to be made when the process ended. `leases` are
    the tokens with which its processes took the lease.
    """

    opened: Mapping[str, OpenedAccount] = field(default_factory=dict)
    examined: Mapping[tuple[str, str], Examined] = field(default_factory=dict)
    completed: Mapping[Key, Change] = field(default_factory=dict)
    in_doubt: AbstractSet[Key] = frozenset()
    leases: AbstractSet[str] = frozenset()

    def merge(self, other: Past) -> Past:
        """Return what both records have of one run: what was applied in either was applied."""
        applied = {
            key: change
            for key, change in self.completed.items()
            if change.status is ChangeStatus.APPLIED
        }
        settled = {**self.completed, **other.completed, **applied}
        return Past(
            {**other.opened, **self.opened},
            {**other.examined, **self.examined},
            settled,
            (self.in_doubt | other.in_doubt) - settled.keys(),
            self.leases,
        )

    def merge_accounts(self, organization: Organization) -> Organization:
        """The organization, the accounts that were opened as they were then.

        What was seen and done there stays in the report, whatever became of the account. Before
        anything is written, the accounts are looked at as they are.
        """
        now = {account.id: account for account in organization.accounts}
        then = {opened.account.id: opened.account for opened in self.opened.values()}
        return replace(organization, accounts=tuple({**now, **then}.values()))


class Check(Protocol):
    """One question about every target; see `sweeper.checks`."""

    @property
    def name(self) -> str:
        """What its findings are filed under."""

    @property
    def resource(self) -> Resource:
        """What its findings are about."""

    @property
    def read_actions(self) -> frozenset[str]:
        """The IAM actions that `examine` needs."""

    @property
    def write_actions(self) -> frozenset[str]:
        """The IAM actions that `apply` needs beyond them."""

    def examine(self, target: Target) -> Examined:
        """The whole target judged, or OperationFailed."""

    def remedy(self, finding: Finding) -> Change:
        """Pure: what would close the finding."""

    def apply(
        self,
        target: Target,
        finding: Finding,
        change: Change,
        intend: Callable[[], None],
    ) -> Change:
        """Write the change if what was judged still holds; OperationFailed where it cannot.

        `intend` is called just before the write, and may forbid it by raising OperationFailed.
        """

    def matches_desired(self, target: Target, finding: Finding, change: Change) -> bool | None:
        """Whether all is as the change would make it; None where the repository is gone.

        Raises OperationFailed where it cannot be read.
        """


@runtime_checkable
class Assessing(Protocol):
    """A check that can also say what its changes may break."""

    @property
    def assess_actions(self) -> frozenset[str]:
        """The IAM actions that `assess` needs, asked for only where impact is assessed."""

    def assess(self, target: Target, finding: Finding, change: Change) -> Impact:
        """What the change may break; OperationFailed where it cannot be read."""


class Observer(Protocol):
    """Who watches a sweep; called from the sweep's own thread only. What it raises is lost."""

    def begin(self, stage: Stage, total: int) -> None:
        """A stage over `total` accounts, targets or changes begins."""

    def done(self, stage: Stage, outcomes: Sequence[tuple[object, object]]) -> None:
        """Some of the stage's items have their outcome."""


class Journal(Observer, Protocol):
    """The run's record, written as it goes, so that a process that ends anyhow loses nothing."""

    @property
    def past(self) -> Past:
        """What need not be done again."""

    def plan(self, targets: Sequence[Target], outcomes: Sequence[object]) -> None:
        """The plan stands, and nothing is written yet.

        Raises OperationFailed where it cannot be put on record: then nothing may be written.
        """

    def intend(self, finding: Finding) -> None:
        """The finding's change is about to be written. Raises OperationFailed: then it may not.

        Called by any thread.
        """

    def settle(self, finding: Finding) -> None:
        """The finding's change has ended as it says. Raises nothing; called by any thread."""


class Observers:
    """Several observers as one; what one raises keeps nothing from the next."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def begin(self, stage: Stage, total: int) -> None:
        """Tell all."""
        for observer in self._observers:
            attempt(stage, lambda observer: observer.begin(stage, total), observer)

    def done(self, stage: Stage, outcomes: Sequence[tuple[object, object]]) -> None:
        """Tell all."""
        for observer in self._observers:
            attempt(stage, lambda observer: observer.done(stage, outcomes), observer)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which configuration a run has, and what narrows it.

    `narrowed_by` names the keys, options and event keys that leave accounts or regions out. A run
    is narrowed `once` where an option or an event did; `regions_from` is what named the regions.
    """

    configuration: Configuration
    narrowed_by: tuple[str, ...] = ()
    once: bool = False
    regions_from: str = "regions.include"


@dataclass(frozen=True, slots=True)
class RunEnvironment:
    """How this run is done: its identity, whether it may write, who watches, asks and stops it.

    `approve` is asked once, with the findings whose change is about to be written. `may_write`
    raises OperationFailed where another sweep may be at work; any thread calls it.
    """

    run_id: str
    version: str
    dry_run: bool
    started: datetime
    now: Callable[[], datetime]
    stop: Stop
    observer: Observer
    approve: Callable[[Sequence[Finding]], bool]
    journal: Journal
    may_write: Callable[[], None]
    provenance: Provenance


class Pool:
    """The run's pool of threads, and who watches it."""

    def __init__(self, workers: int, conduct: RunEnvironment) -> None:
        self._workers = workers
        self.conduct = conduct

    def map(
        self,
        stage: Stage,
        work: Callable[[T], R],
        items: Sequence[T],
        known: Callable[[T], R | None] = lambda _: None,
        keep: Callable[[T, R | Failed], R | Failed] = lambda _, outcome: outcome,
    ) -> list[R | Failed]:
        """One outcome for each item, in order; see `concurrently`.

        What is `known` is no work: it is an outcome even of a sweep that was told to stop. `keep`
        says what is kept of an outcome, after it was observed.
        """
        # Who watches must not end what is watched: a broken terminal stops no sweep.
        observer = Observers((self.conduct.journal, self.conduct.observer))
        observer.begin(stage, len(items))
        before = [known(item) for item in items]
        if seen := [pair for pair in zip(items, before, strict=True) if pair[1] is not None]:
            observer.done(stage, seen)
        due = [item for item, outcome in zip(items, before, strict=True) if outcome is None]
        made = iter(
            concurrently(
                stage,
                with_place(work),
                due,
                workers=self._workers,
                stop=self.conduct.stop,
                observe=lambda batch: observer.done(stage, batch),
                keep=keep,
            )
        )
        return [next(made) if outcome is None else outcome for outcome in before]
