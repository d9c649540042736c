"""Scans with several processes of this machine, because one Python process uses one core.

Each process opens and checks its share of the accounts, and sends what it found through a pipe as
soon as it knows it. This process observes and records that, plans, writes and reports, as it does
alone. The others have read-only sessions in the accounts.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Lock
from typing import Any

from sweeper.aws.client.session import callers_session
from sweeper.checks import chosen_checks
from sweeper.domain import masking
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.model import (
    Account,
    Counts,
    Examined,
    Failed,
    OpenedAccount,
    Organization,
    Stage,
    Target,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.resume import ResumeState
from sweeper.engine.change_source import SweepPlan
from sweeper.engine.pool import TICK, Stop, attempt
from sweeper.engine.ports import Observer, Pool
from sweeper.engine.sweep import scan_accounts
from sweeper.entrypoints import logs
from sweeper.entrypoints.app import ScanSettings
from sweeper.entrypoints.bootstrap import build_context
from sweeper.storage.run_state import OpenRun

_ATTEMPTS = 2  # a process may be killed, for want of memory; the second time it is no accident

Outcome = OpenedAccount | Examined | Failed


@dataclass(frozen=True, slots=True)
class _Share:
    """The accounts of one process, and what is known of them already."""

    organization: Organization
    accounts: Sequence[Account]
    past: ResumeState


@dataclass(frozen=True, slots=True)
class _Begun:
    """A process begins a stage over `total` items."""

    stage: Stage
    total: int


@dataclass(frozen=True, slots=True)
class _Done:
    """Outcomes, by account id and region; None for the account itself.

    `secrets` are those that the process has met since it sent the last ones.
    """

    stage: Stage
    outcomes: Sequence[tuple[str, str | None, Outcome]]
    secrets: masking.SharedSecrets


def make_scanner(
    settings: ScanSettings, past: ResumeState, stop: Stop, at_the_end: ExitStack
) -> ProcessScanner | None:
    """Return what scans with as many processes as the configuration says; None for one.

    It is closed at the end. Raises ConfigurationError where this machine cannot run several.
    """
    wanted = settings.config.limits.processes
    count = (os.cpu_count() or 1) if wanted == "auto" else wanted
    if count == 1:
        return None
    scanner = ProcessScanner(count, settings, past, stop)
    at_the_end.callback(scanner.close)
    return scanner


class ProcessScanner:
    """A `sweeper.engine.ports.Scanner`; the processes start when it is made."""

    def __init__(self, count: int, settings: ScanSettings, past: ResumeState, stop: Stop) -> None:
        """`past` is what an earlier process of the run had done.

        Raises ConfigurationError where this machine cannot run several processes.
        """
        self._count = count
        self._settings = settings
        self._past = past
        self._stop = stop
        self._workers: _Workers | None = _Workers(count, settings, stop)

    def close(self) -> None:
        """End the processes."""
        if self._workers:
            self._workers.close()
            self._workers = None

    def scan(
        self, organization: Organization, accounts: Sequence[Account], observer: Observer
    ) -> ResumeState:
        """Open the accounts, and examine each target in them; see `Scanner.scan`."""
        found = _Found(self._past, accounts, observer)
        shares = [each for n in range(self._count) if (each := accounts[n :: self._count])]
        observer.begin(Stage.OPEN_ACCOUNT, len(accounts))
        for _ in range(_ATTEMPTS):
            shares = self._scan(organization, shares, found)
            self.close()
            if not shares or self._stop.reason:
                break
            logs.log(
                logging.WARNING,
                "process.lost",
                sentence="a process that checked accounts was ended; it is started again",
                accounts=sum(map(len, shares)),
            )
        return found.state

    def _scan(
        self, organization: Organization, shares: Sequence[Sequence[Account]], found: _Found
    ) -> list[Sequence[Account]]:
        """Scan once; return the shares whose process did not come to the end."""
        try:
            self._workers = self._workers or _Workers(self._count, self._settings, self._stop)
        except ConfigurationError:  # the machine has no process left
            return list(shares)
        given = [_Share(organization, share, found.known_of(share)) for share in shares]
        futures = self._workers.run(given, found)
        lost = []
        for share, future in zip(shares, futures, strict=True):
            if isinstance(future.exception(), BrokenProcessPool):
                lost.append(share)
            elif failure := future.result():
                found.fail(share, failure)
        return lost


class _Found:
    """What the processes sent, as one process would have found and observed it."""

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
            {place: each for place, each in examined.items() if place[0] in ids},
        )

    def add(self, message: _Begun | _Done, processes: int) -> None:
        """Take what one of so many `processes` sent."""
        if isinstance(message, _Begun):
            if message.stage is Stage.EXAMINE and self._totals is not None:
                self._totals.append(message.total)
                if len(self._totals) == processes:
                    self.conclude()
            return
        masking.adopt_secrets(message.secrets)
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
        """No more accounts are opened: what was examined is observed from now on."""
        if self._totals is not None:
            self._observer.begin(Stage.EXAMINE, sum(self._totals))
            self._totals = None
            for observed in self._early:
                self._observer.done(Stage.EXAMINE, observed)
            self._early.clear()

    def fail(self, accounts: Sequence[Account], failure: Failed) -> None:
        """The process of these accounts could not begin."""
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


class _Workers:
    """The processes. A pipe brings what they send; the end of another one tells them to stop."""

    def __init__(self, count: int, settings: ScanSettings, stop: Stop) -> None:
        self._count = count
        self._stop = stop
        context = multiprocessing.get_context("spawn")
        left = stop.seconds_left
        try:
            self._results, sender = context.Pipe(duplex=False)
            control, self._control = context.Pipe(duplex=False)
            self._theirs = (sender, control)
            self._executor = ProcessPoolExecutor(
                count,
                context,
                _begin,
                (
                    _Sender(sender, context.Lock()),
                    control,
                    settings,
                    None if left is None else time.monotonic() + left,
                    masking.share_secrets(),
                ),
            )
            with _without_signals():
                for _ in range(count):
                    self._executor.submit(os.getpid)  # they start while accounts are listed
        except (ImportError, OSError) as error:
            raise ConfigurationError(
                f"limits.processes: this machine cannot run several processes: {error}; set it to 1"
            ) from None

    def close(self) -> None:
        """End the processes."""
        for each in (self._control, *self._theirs):
            each.close()
        self._executor.shutdown(cancel_futures=True)
        self._results.close()

    def run(self, shares: Sequence[_Share], found: _Found) -> list[Future[Failed | None]]:
        """Scan the shares, a process for each; return how each of them ended."""
        futures = self._submit(shares)
        for each in self._theirs:  # so that nothing can be read once they have ended
            each.close()
        with suppress(EOFError, OSError):
            while True:
                have_ended = all(future.done() for future in futures)
                if self._results.poll(0 if have_ended else TICK):
                    found.add(self._results.recv(), len(shares))
                elif have_ended:
                    break
                if self._stop.reason not in (None, Reason.DEADLINE):  # which they know
                    self._control.close()
        wait(futures)
        found.conclude()
        return futures

    def _submit(self, shares: Sequence[_Share]) -> list[Future[Failed | None]]:
        futures: list[Future[Failed | None]] = []
        for share in shares:
            try:
                with _without_signals():
                    futures.append(self._executor.submit(_scan_share, share))
            except BrokenProcessPool as error:
                futures.append(Future())
                futures[-1].set_exception(error)
        return futures


@contextmanager
def _without_signals() -> Iterator[None]:
    """What starts inside never gets the signals of a terminal: this process tells it to stop."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Sender:
    """The observer of a process: it sends what it sees."""

    def __init__(self, pipe: Connection, lock: Lock) -> None:
        self._pipe = pipe
        self._lock = lock
        self._sent: set[str] = set()

    def begin(self, stage: Stage, total: int) -> None:
        """Send that the stage begins."""
        self._send(_Begun(stage, total))

    def done(self, stage: Stage, outcomes: Sequence[tuple[object, object]]) -> None:
        """Send the outcomes."""
        secrets = masking.share_secrets(but=self._sent)
        self._sent.update(secrets.lengths)
        placed: Any = [(*_place(item), outcome) for item, outcome in outcomes]
        self._send(_Done(stage, placed, secrets))

    def _send(self, message: _Begun | _Done) -> None:
        with self._lock:
            self._pipe.send(message)


def _place(item: Any) -> tuple[str, str | None]:
    return item.place if isinstance(item, Target) else (item.id, None)


_process: tuple[_Sender, ScanSettings, Stop]  # of a process that scans


def _begin(
    sender: _Sender,
    control: Connection,
    settings: ScanSettings,
    deadline: float | None,
    secrets: masking.SharedSecrets,
) -> None:
    """Runs in each process first; `deadline` is of the monotonic clock, which they share."""
    global _process  # noqa: PLW0603 (a pool's initializer has no other place to leave it)
    masking.adopt_secrets(secrets)
    logs.configure(style=settings.style)
    logs.bind_run(settings.header.run_id)
    stop = Stop(None if deadline is None else deadline - time.monotonic())
    threading.Thread(target=_follow, args=(control, stop), daemon=True).start()
    _process = sender, settings, stop


def _follow(control: Connection, stop: Stop) -> None:
    """Stop when this process's parent says so, and end with it."""
    with suppress(EOFError, OSError):
        control.recv()
    stop.request()
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)


def _scan_share(share: _Share) -> Failed | None:
    """Runs in a process: scan its accounts; return why it could not begin."""
    failure = attempt(Stage.OPEN_ACCOUNT, _scan, share)
    return failure if isinstance(failure, Failed) else None


def _scan(share: _Share) -> None:
    sender, settings, stop = _process
    config = settings.config
    with ExitStack() as at_the_end:
        context = build_context(
            config,
            OpenRun(settings.header, share.past, None),
            chosen_checks(config),
            provenance=settings.provenance,
            session=callers_session(settings.profile),
            may_write=False,
            stop=stop,
            observer=sender,
            approve=lambda _: False,
            at_the_end=at_the_end,
        )
        context.cloud.adopt_accounts(share.organization)
        scan_accounts(
            Pool(config.limits.max_workers, context.environment),
            context.cloud,
            context.checks,
            config,
            changes=SweepPlan(),
            accounts=share.accounts,
        )
