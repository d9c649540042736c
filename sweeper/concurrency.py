"""The thread pool, the one way to stop it, and the only place that catches Exception."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from sweeper.errors import OperationFailed
from sweeper.model import Failed, Reason, Stage

# How often the main thread looks at what the workers finished, and a waiting thread at whether
# it should stop; seconds.
TICK = 0.1

T = TypeVar("T")
R = TypeVar("R")


class Stop:
    """Whether no new work may start, and why: a deadline, or a request (a signal).

    Shared by all threads. `request` only assigns, so that a signal handler may call it at any
    moment: a lock could be held by the very thread that the signal interrupts.
    """

    def __init__(
        self,
        deadline_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._deadline = None if deadline_seconds is None else clock() + deadline_seconds
        self._requested: Reason | None = None

    def request(self, reason: Reason = Reason.INTERRUPTED) -> None:
        """Let no new work start from now on."""
        self._requested = self._requested or reason

    @property
    def reason(self) -> Reason | None:
        """Why no new work may start, None while it may."""
        due = self._deadline is not None and self._clock() >= self._deadline
        if due and self._requested is None:
            self._requested = Reason.DEADLINE
        return self._requested

    def check(self) -> None:
        """Raise OperationFailed when no new work may start."""
        if reason := self.reason:
            raise OperationFailed(reason, NOT_REACHED)

    def wait(self, seconds: float) -> None:
        """Wait; raise OperationFailed as soon as the sweep is told to stop."""
        until = self._clock() + seconds
        while (left := until - self._clock()) > 0:
            self.check()
            self._sleep(min(left, TICK))
        self.check()


NOT_REACHED = "not reached before the sweep was stopped"
# What an item has until its outcome is known; none is left when the pool has ended.
_UNKNOWN = Failed(Stage.EXAMINE, Reason.INTERNAL_ERROR, "no outcome was recorded")


def attempt(stage: Stage, work: Callable[[T], R], item: T) -> R | Failed:
    """The result of `work(item)`, or what went wrong; raises nothing."""
    try:
        return work(item)
    except OperationFailed as error:
        return Failed(stage, error.reason, error.message, error.error_code)
    except Exception as error:  # noqa: BLE001 (one defect must not lose every other outcome)
        return Failed(stage, Reason.INTERNAL_ERROR, _described(error), type(error).__name__)


def or_defect(work: Callable[[], R]) -> R | str:
    """The result of `work()`, or the defect that ended it, in one line without a stack trace."""
    failure = attempt(Stage.ENUMERATE, lambda _: work(), None)
    return failure.message if isinstance(failure, Failed) else failure


def concurrently(
    stage: Stage,
    work: Callable[[T], R],
    items: Sequence[T],
    *,
    workers: int,
    stop: Stop,
    observe: Callable[[Sequence[tuple[T, R | Failed]]], None],
) -> list[R | Failed]:
    """`work` on each item in a pool of `workers` threads: one outcome each, in the items' order.

    Items are started in order. What had not started when `stop` said so is Failed with its
    reason. `observe` gets what was finished, in batches, in the calling thread.
    """
    results: list[R | Failed] = [_UNKNOWN] * len(items)
    pending = deque(range(len(items)))  # popleft and append of a deque are thread-safe
    finished: deque[int] = deque()

    def drain() -> None:
        while True:
            try:
                index = pending.popleft()
            except IndexError:
                return
            if reason := stop.reason:
                results[index] = Failed(stage, reason, NOT_REACHED)
            else:
                results[index] = attempt(stage, work, items[index])
            finished.append(index)

    def report_finished() -> None:
        batch = [finished.popleft() for _ in range(len(finished))]
        if batch:
            observe([(items[index], results[index]) for index in batch])

    with ThreadPoolExecutor(max(1, min(workers, len(items))), "sweep") as pool:
        try:
            running = {pool.submit(drain) for _ in range(min(workers, len(items)))}
            while running:
                ended, running = wait(running, timeout=TICK)
                report_finished()
                for worker in ended:
                    worker.result()
        finally:
            pending.clear()  # an exception in this thread must not wait for all the work
    return results


def _described(error: Exception) -> str:
    """The error and the place it came from, in one line."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}: {error}{place}"
