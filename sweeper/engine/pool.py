"""The thread pool."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext, suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

from sweeper.domain.model import Account, Failed, Stage, Target
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import Stop, attempt_unless, this_thread

if TYPE_CHECKING:
    from sweeper.domain.planning import Outcome
    from sweeper.engine.ports import Observer, RunEnvironment

# How often the main thread looks at what the workers finished; seconds.
TICK = 0.1
# How many threads of a pool may wait between two attempts of a call, beside those at work: a
# function of AWS Lambda has 1,024 threads at most.
MAX_WAITING = 700
# What an item has until its outcome is known; none is left when the pool has ended.
_UNKNOWN = Failed(Stage.EXAMINE, Reason.INTERNAL_ERROR, "no outcome was recorded")

T = TypeVar("T")
R = TypeVar("R")


def concurrently(
    stage: Stage,
    work: Callable[[T], R],
    items: Sequence[T],
    *,
    workers: int,
    stop: Stop,
    observe: Callable[[Sequence[tuple[T, R | Failed]]], None],
    keep: Callable[[T, R | Failed], R | Failed] = lambda _, outcome: outcome,
) -> list[R | Failed]:
    """Run `work` on each item in `workers` threads; return one outcome each, in the items' order.

    Items start in order. An item that had not started at the `stop` is Failed with its reason.
    `observe` gets finished items, in batches, in the calling thread; `keep` then trims outcomes.
    """
    results: list[R | Failed] = [_UNKNOWN] * len(items)
    # Log lines of the threads have what is bound here, and each item what is bound for it alone.
    context = copy_context()
    pending = deque(range(len(items)))  # popleft and append of a deque are thread-safe
    finished: deque[int] = deque()

    def drain() -> None:
        this_thread.replace_while_waiting = threads.replace_while_waiting
        while threads.is_wanted():
            try:
                index = pending.popleft()
            except IndexError:
                threads.leave()
                return
            results[index] = context.copy().run(attempt_unless, stop, stage, work, items[index])
            finished.append(index)

    def report_finished() -> None:
        batch = [finished.popleft() for _ in range(len(finished))]
        if batch:
            observe([(items[index], results[index]) for index in batch])
            for index in batch:
                results[index] = keep(items[index], results[index])

    workers = max(1, min(workers, len(items)))
    core = os.urandom(1)[0]  # not the process's id: that is 1 in every container
    with ThreadPoolExecutor(workers + MAX_WAITING, "sweep", stay_on_core, (core,)) as pool:
        threads = _Threads(workers, lambda: pool.submit(drain) if pending else None)
        try:
            threads.start_missing()
            if not (running := threads.take_started()):
                drain()  # no thread is to be had: this one does the work
            while running:
                ended, running = wait(running, timeout=TICK)
                running |= threads.take_started()
                report_finished()
                for worker in ended:
                    worker.result()
            report_finished()
        finally:
            pending.clear()  # an exception in this thread must not wait for all the work
            this_thread.replace_while_waiting = nullcontext
    return results


def stay_on_core(number: int) -> None:
    """Let the calling thread, and those that it starts, run on one core: the one of this number.

    The GIL lets one thread of a process run at a time. Where they spread over several cores, each
    handover wakes another core, and that costs a fifth of a sweep's CPU. Does nothing where the
    system cannot do it or the interpreter has no GIL.
    """
    if not hasattr(os, "sched_setaffinity") or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return
    with suppress(OSError):  # not allowed here: it is slower, and right
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})


class _Threads:
    """The threads at work: as many as wanted, and one more for each that waits.

    So a target that is throttled keeps no other from being examined. A thread that comes back
    goes on at once; the first to end its item when there are too many leaves.
    """

    def __init__(self, wanted: int, start: Callable[[], Future[None] | None]) -> None:
        self._wanted = wanted
        self._start = start
        self._lock = threading.Lock()
        self._at_work = self._waiting = 0
        self._started: deque[Future[None]] = deque()

    def start_missing(self) -> None:
        """Start the threads that are missing."""
        with self._lock:
            most = self._wanted + MAX_WAITING
            while self._at_work < self._wanted and self._at_work + self._waiting < most:
                try:
                    thread = self._start()
                except RuntimeError:  # the system has no more: those that run do all the work
                    return
                if thread is None:
                    return
                self._at_work += 1
                self._started.append(thread)

    def take_started(self) -> set[Future[None]]:
        """Return the threads that were started since the last call."""
        return {self._started.popleft() for _ in range(len(self._started))}

    def is_wanted(self) -> bool:
        """Tell whether the calling thread, between two items, is still wanted."""
        with self._lock:
            surplus = self._at_work > self._wanted
            self._at_work -= surplus
            return not surplus

    def leave(self) -> None:
        """Record that the calling thread ends."""
        with self._lock:
            self._at_work -= 1

    @contextmanager
    def replace_while_waiting(self) -> Iterator[None]:
        """Record that the calling thread waits inside."""
        with self._lock:
            self._at_work -= 1
            self._waiting += 1
        self.start_missing()
        try:
            yield
        finally:
            with self._lock:
                self._at_work += 1
                self._waiting -= 1


class WorkerPool:
    """Threads, and the observers of their work."""

    def __init__(self, workers: int, stop: Stop, observer: Observer) -> None:
        self._workers = workers
        self._stop = stop
        self._observer = observer

    def map(
        self,
        stage: Stage,
        work: Callable[[T], R],
        items: Sequence[T],
        known: Callable[[T], R | None] = lambda _: None,
        keep: Callable[[T, R | Failed], R | Failed] = lambda _, outcome: outcome,
    ) -> list[R | Failed]:
        """Return one outcome for each item, in order; see `concurrently`.

        A `known` outcome needs no work: it counts even if the sweep was told to stop. `keep`
        returns the outcome to store after it was observed.
        """
        observer = self._observer
        observer.begin(stage, len(items))
        before = [known(item) for item in items]
        if seen := [pair for pair in zip(items, before, strict=True) if pair[1] is not None]:
            observer.done(stage, seen)
        due = [item for item, outcome in zip(items, before, strict=True) if outcome is None]
        made = iter(
            concurrently(
                stage,
                with_log_context(work),
                due,
                workers=self._workers,
                stop=self._stop,
                observe=lambda batch: observer.done(stage, batch),
                keep=keep,
            )
        )
        return [next(made) if outcome is None else outcome for outcome in before]


class Pool(WorkerPool):
    """The run's pool of threads, and its environment."""

    def __init__(self, workers: int, environment: RunEnvironment) -> None:
        super().__init__(workers, environment.stop, environment.observers)
        self.environment = environment

    def update(
        self,
        stage: Stage,
        work: Callable[[Target, Outcome], Outcome],
        targets: Sequence[Target],
        outcomes: list[Outcome],
        *,
        due: Callable[[Outcome], bool],
        if_failed: Callable[[Outcome, Failed], Outcome],
    ) -> list[Outcome]:
        """Return the outcomes: those that are `due` from `work`, or else from `if_failed`."""
        positions = [i for i, outcome in enumerate(outcomes) if due(outcome)]
        if not positions:
            return outcomes
        items = [(targets[i], outcomes[i]) for i in positions]
        results = self.map(stage, lambda item: work(*item), items)
        after = list(outcomes)
        for i, result in zip(positions, results, strict=True):
            after[i] = if_failed(outcomes[i], result) if isinstance(result, Failed) else result
        return after


def with_log_context(work: Callable[[T], R]) -> Callable[[T], R]:
    """Return `work` that binds the account and region of its item to the thread's log lines.

    An item is an account, its id, a target, or a tuple that begins with one.
    """
    from structlog.contextvars import bind_contextvars  # a program's --help has no use for it

    def bound(item: T) -> R:
        subject = item[0] if isinstance(item, tuple) else item
        match subject:
            case Target(account, region):
                bind_contextvars(account_id=account.id, region=region)
            case Account():
                bind_contextvars(account_id=subject.id)
            case str():
                bind_contextvars(account_id=subject)
        return work(item)

    return bound
