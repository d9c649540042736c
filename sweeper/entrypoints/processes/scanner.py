"""Starts the processes, gives each its share of the accounts, and collects what they find."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing.context import SpawnContext
from typing import TYPE_CHECKING

from sweeper.config.field_types import MAX_PROCESSES
from sweeper.domain import masking
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.model import (
    Account,
    Failed,
    Organization,
    ResumeState,
    Stage,
)
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import Stop, attempt
from sweeper.engine.pool import TICK
from sweeper.engine.ports import Observer
from sweeper.entrypoints import logs
from sweeper.entrypoints.processes.collector import ScanCollector
from sweeper.entrypoints.processes.worker import (
    ScanSettings,
    Sender,
    Share,
    begin_process,
    scan_share,
)

if TYPE_CHECKING:
    from sweeper.config.schema import Config

_ATTEMPTS = 2  # a process may be killed, for want of memory; the second time it is no accident


def make_scanner(
    settings: ScanSettings, past: ResumeState, stop: Stop, at_the_end: ExitStack
) -> ProcessScanner | None:
    """Return what scans with as many processes as the configuration says; None for one.

    It is closed at the end. Raises ConfigurationError where this machine cannot run several.
    """
    count = _count_processes(settings.config)
    if count == 1:
        return None
    scanner = ProcessScanner(count, settings, past, stop)
    at_the_end.callback(scanner.close)
    return scanner


def require_processes(config: Config) -> None:
    """Raise ConfigurationError where this machine cannot run the processes that a sweep needs."""
    if _count_processes(config) > 1:
        with _explain_errors():
            multiprocessing.get_context("spawn").Lock()  # what a machine lacks, if anything


def _count_processes(config: Config) -> int:
    wanted = config.limits.processes
    return _count_cores() if wanted == "auto" else wanted


def _count_cores() -> int:
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        cores = os.cpu_count() or 1
    return min(cores, MAX_PROCESSES)


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
        self._first_core = os.urandom(1)[0]  # another run on this machine begins elsewhere
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
        collector = ScanCollector(self._past, accounts, observer)
        shares = [each for n in range(self._count) if (each := accounts[n :: self._count])]
        observer.begin(Stage.OPEN_ACCOUNT, len(accounts))
        for turn in range(1, _ATTEMPTS + 1):
            shares = self._scan(organization, shares, collector)
            self.close()
            if not shares or self._stop.reason:
                break
            then = "another one is started" if turn < _ATTEMPTS else "they have failed"
            lost = sum(map(len, shares))
            logs.log(
                logging.WARNING,
                "process.lost",
                sentence=f"a process that checked {lost:,} accounts was ended; {then}",
                accounts=lost,
            )
        return collector.state

    def _scan(
        self,
        organization: Organization,
        shares: Sequence[Sequence[Account]],
        collector: ScanCollector,
    ) -> list[Sequence[Account]]:
        """Scan once; return the shares whose process did not come to the end."""
        try:
            self._workers = self._workers or _Workers(self._count, self._settings, self._stop)
        except ConfigurationError:  # the machine has no process left
            return list(shares)
        given = [
            Share(number, organization, share, collector.known_of(share))
            for number, share in enumerate(shares, start=self._first_core)
        ]
        futures = self._workers.run(given, collector)
        lost = []
        for share, future in zip(shares, futures, strict=True):
            if isinstance(future.exception(), BrokenProcessPool):
                lost.append(share)
            elif failure := attempt(Stage.OPEN_ACCOUNT, Future.result, future):
                collector.fail(share, failure)
        return lost


class _Workers:
    """The processes. A pipe brings what they send; the end of another one tells them to stop."""

    def __init__(self, count: int, settings: ScanSettings, stop: Stop) -> None:
        self._stop = stop
        context = multiprocessing.get_context("spawn")
        left = stop.seconds_left
        with _explain_errors():
            self._results, sender = context.Pipe(duplex=False)
            control, self._control = context.Pipe(duplex=False)
            self._theirs = (sender, control)
            begin = partial(
                begin_process,
                Sender(sender, context.Lock()),
                control,
                settings,
                None if left is None else time.monotonic() + left,
                masking.share_secrets(),
            )
            self._executor = _start(count, context, begin)

    def close(self) -> None:
        """End the processes."""
        for each in (self._control, *self._theirs):
            each.close()
        self._executor.shutdown(cancel_futures=True)
        self._results.close()

    def run(self, shares: Sequence[Share], collector: ScanCollector) -> list[Future[Failed | None]]:
        """Scan the shares, a process for each; return how each of them ended."""
        futures = self._submit(shares)
        for each in self._theirs:  # so that nothing can be read once they have ended
            each.close()
        with suppress(EOFError, OSError):
            while True:
                have_ended = all(future.done() for future in futures)
                if self._results.poll(0 if have_ended else TICK):
                    collector.add(self._results.recv(), len(shares))
                elif have_ended:
                    break
                if self._stop.reason not in (None, Reason.DEADLINE):  # which they know
                    self._control.close()
        wait(futures)
        collector.conclude()
        return futures

    def _submit(self, shares: Sequence[Share]) -> list[Future[Failed | None]]:
        futures: list[Future[Failed | None]] = []
        for share in shares:
            try:
                with _without_signals():
                    futures.append(self._executor.submit(scan_share, share))
            except BrokenProcessPool as error:
                futures.append(Future())
                futures[-1].set_exception(error)
        return futures


def _start(count: int, context: SpawnContext, begin: Callable[[], None]) -> ProcessPoolExecutor:
    """Start the processes; each of them calls `begin` first."""
    executor = ProcessPoolExecutor(count, context, begin)
    try:
        with _without_signals():
            for _ in range(count):
                executor.submit(os.getpid)  # they start while accounts are listed
    except BaseException:
        executor.shutdown(cancel_futures=True)
        raise
    return executor


@contextmanager
def _explain_errors() -> Iterator[None]:
    """Raise ConfigurationError in the place of what a machine without processes raises."""
    try:
        yield
    except (ImportError, NotImplementedError, OSError, BrokenProcessPool) as error:
        raise ConfigurationError(
            f"limits.processes: this machine cannot run several processes: {error}; set it to 1"
        ) from None


@contextmanager
def _without_signals() -> Iterator[None]:
    """Keep the signals of a terminal from what starts inside: this process tells it to stop."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
