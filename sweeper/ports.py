"""What the sweep needs from outside, as protocols, and how one run of it is conducted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from sweeper.concurrency import Stop, attempt, concurrently
from sweeper.model import (
    Account,
    Change,
    Examined,
    Failed,
    Finding,
    OpenedAccount,
    Organization,
    Stage,
    Target,
)

T = TypeVar("T")
R = TypeVar("R")


class Cloud(Protocol):
    """AWS, as far as the sweep itself needs it; every method raises OperationFailed."""

    def list_accounts(self) -> Organization:
        """The accounts that there are; NothingToSweep where running again would not help."""

    def open_account(self, account: Account) -> OpenedAccount:
        """Assume the member role once, and read the account's regions."""


class Check(Protocol):
    """One question about every repository; see `sweeper.checks`."""

    @property
    def name(self) -> str:
        """What its findings are filed under."""

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

    def apply(self, target: Target, finding: Finding, change: Change) -> Change:
        """Write the change if what was judged still holds; OperationFailed where it cannot."""


class Observer(Protocol):
    """Who watches a sweep; called from the sweep's own thread only. What it raises is lost."""

    def begin(self, stage: Stage, total: int) -> None:
        """A stage over `total` accounts, targets or changes begins."""

    def done(self, stage: Stage, outcomes: Sequence[tuple[object, object]]) -> None:
        """Some of the stage's items have their outcome."""


@dataclass(frozen=True, slots=True)
class Conduct:
    """How this run is done: its identity, whether it may write, who watches, asks and stops it.

    `approve` is asked once, with the findings whose change is about to be written.
    """

    run_id: str
    version: str
    dry_run: bool
    now: Callable[[], datetime]
    stop: Stop
    observer: Observer
    approve: Callable[[Sequence[Finding]], bool]


class Pool:
    """The run's pool of threads, and who watches it."""

    def __init__(self, workers: int, conduct: Conduct) -> None:
        self._workers = workers
        self.conduct = conduct

    def map(self, stage: Stage, work: Callable[[T], R], items: Sequence[T]) -> list[R | Failed]:
        """One outcome for each item, in order; see `concurrently`."""
        observer = self.conduct.observer

        # Who watches must not end what is watched: a broken terminal stops no sweep.
        def observe(batch: Sequence[tuple[object, object]]) -> None:
            attempt(stage, lambda _: observer.done(stage, batch), None)

        attempt(stage, lambda _: observer.begin(stage, len(items)), None)
        return concurrently(
            stage,
            work,
            items,
            workers=self._workers,
            stop=self.conduct.stop,
            observe=observe,
        )
