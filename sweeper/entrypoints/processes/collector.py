"""Collect what the processes sent, as one process would have found and observed it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from sweeper.domain import masking
from sweeper.domain.model import (
    Account,
    Counts,
    Examined,
    Failed,
    OpenedAccount,
    ResumeState,
    Stage,
    Target,
)
from sweeper.engine.ports import Observer
from sweeper.entrypoints.processes.worker import Outcome, OutcomesFound, StageStarted


class ScanCollector:
    """The findings of all processes, observed as those of one process."""

    def __init__(self, past: ResumeState, accounts: Sequence[Account], observer: Observer) -> None:
        self._past = past
        self._accounts = {account.id: account for account in accounts}
        self._observer = observer
        self._opened: dict[str, OpenedAccount] = {}
        self._examined: dict[tuple[str, str], Examined] = {}
        self._failures: dict[tuple[str, str | None], Failed] = {}
        self.state = ResumeState(self._opened, self._examined, failures=self._failures)
        self._totals: list[int] | None = []  # None: all accounts have been opened
        self._early: list[list[tuple[object, object]]] = []  # examined before that
        # What is alike in most accounts and targets is kept once: it came in many copies.
        self._regions: dict[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]] = {}
        self._alike: dict[Counts, Examined] = {}

    def known_of(self, accounts: Sequence[Account]) -> ResumeState:
        """Return what need not be done again in these accounts."""
        ids = {account.id for account in accounts}
        opened = {**self._past.opened, **self._opened}
        examined = {**self._past.examined, **self._examined}
        return ResumeState(
            {account_id: each for account_id, each in opened.items() if account_id in ids},
            {key: each for key, each in examined.items() if key[0] in ids},
        )

    def add(self, message: StageStarted | OutcomesFound, processes: int) -> None:
        """Take what one of so many `processes` sent."""
        if isinstance(message, StageStarted):
            if message.stage is Stage.EXAMINE and self._totals is not None:
                self._totals.append(message.total)
                if len(self._totals) == processes:
                    self.conclude()
            return
        masking.adopt_secrets(message.secrets, of_run=True)
        observed: list[tuple[object, object]] = []
        for account_id, region, outcome in message.outcomes:
            if self._is_new(account_id, region):
                account = self._accounts[account_id]
                item = Target(account, sys.intern(region)) if region else account
                observed.append((item, self._keep(account_id, region, outcome)))
        if message.stage is Stage.EXAMINE and self._totals is not None:
            self._early.append(observed)
        elif observed:
            self._observer.done(message.stage, observed)

    def conclude(self) -> None:
        """Note that no more accounts are opened: what was examined is observed from now on."""
        if self._totals is not None:
            self._observer.begin(Stage.EXAMINE, sum(self._totals))
            self._totals = None
            for observed in self._early:
                self._observer.done(Stage.EXAMINE, observed)
            self._early.clear()

    def fail(self, accounts: Sequence[Account], failure: Failed) -> None:
        """Record that the process of these accounts could not begin."""
        failed = [account for account in accounts if self._is_new(account.id, None)]
        self._failures.update({(account.id, None): failure for account in failed})
        self._observer.done(Stage.OPEN_ACCOUNT, [(account, failure) for account in failed])

    def _is_new(self, account_id: str, region: str | None) -> bool:
        if region is None:
            return account_id not in self._opened
        return (account_id, region) not in self._examined

    def _keep(self, account_id: str, region: str | None, outcome: Outcome) -> Outcome:
        match outcome:
            case OpenedAccount(regions=regions):
                outcome = replace(outcome, regions=self._regions.setdefault(regions, regions))
                self._opened[account_id] = outcome
            case Examined(counts, findings) if region:
                outcome = outcome if findings else self._alike.setdefault(counts, outcome)
                self._examined[account_id, sys.intern(region)] = outcome
            case Failed():
                self._failures[account_id, region] = outcome
        return outcome
