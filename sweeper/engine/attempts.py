"""An attempt of some work, which never raises, and the one way to stop a run."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TypeVar

from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Failed, Stage
from sweeper.domain.reasons import Reason
from sweeper.engine.defects import catch, describe

# How often a waiting thread looks whether it should stop; seconds.
WAIT_TICK = 0.5
# How long a report may be delivered after the deadline, where nothing ends the process; seconds.
DELIVERY_SECONDS = 600.0
NOT_REACHED = "not reached before the sweep was stopped"

T = TypeVar("T")
R = TypeVar("R")


class _Thread(threading.local):
    """The calling thread; a pool sets how another thread takes its place while it waits."""

    def __init__(self) -> None:
        self.replace_while_waiting: Callable[[], AbstractContextManager[None]] = nullcontext


this_thread = _Thread()


def attempt(stage: Stage, work: Callable[[T], R], item: T) -> R | Failed:
    """Return the result of `work(item)`, or its failure. Raises nothing."""
    return catch(lambda: work(item), partial(_to_failure, stage))


def _to_failure(stage: Stage, error: Exception) -> Failed:
    if isinstance(error, OperationFailed):
        return Failed(stage, error.reason, error.message, error.error_code, error.uncertain)
    name = type(error).__name__  # nobody knows how far it came
    return Failed(stage, Reason.INTERNAL_ERROR, describe(error), name, uncertain=True)


def attempt_unless(stop: Stop, stage: Stage, work: Callable[[T], R], item: T) -> R | Failed:
    """Return the outcome of an attempt; where the run is to stop, Failed with the reason why."""
    if reason := stop.reason:
        return Failed(stage, reason, NOT_REACHED)
    return attempt(stage, work, item)


class Stop:
    """Whether no new work may start, and why: a deadline, or a request (a signal).

    `delivery_seconds` after the deadline, deliveries must have ended, too.

    Shared by all threads. `request` only assigns, so that a signal handler may call it at any
    moment: a lock could be held by the very thread that the signal interrupts.
    """

    def __init__(
        self,
        deadline_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        delivery_seconds: float = DELIVERY_SECONDS,
    ) -> None:
        self.delivery_seconds = delivery_seconds
        self._clock = clock
        self._sleep = sleep
        self._deadline = None if deadline_seconds is None else clock() + deadline_seconds
        self._requested: Reason | None = None
        self._since: dict[Reason, float] = {}

    def request(self, reason: Reason = Reason.INTERRUPTED) -> None:
        """Let no new work start from now on."""
        self._since.setdefault(reason, self._clock())
        self._requested = self._requested or reason

    @property
    def reason(self) -> Reason | None:
        """Why no new work may start, None while it may."""
        if self._deadline is not None and self._clock() >= self._deadline:
            self._since.setdefault(Reason.DEADLINE, self._deadline)
            self._requested = self._requested or Reason.DEADLINE
        return self._requested

    def followed_by(self, seconds: Mapping[Reason, float]) -> Grace:
        """Return the stop that comes `seconds` after this one, by its reason."""

        def left() -> float:
            if self.reason is None:
                return math.inf
            since = tuple(self._since.items())  # a signal may add a reason meanwhile
            return min(at + seconds[reason] for reason, at in since) - self._clock()

        return Grace(self, left, clock=self._clock, sleep=self._sleep)

    @property
    def seconds_left(self) -> float | None:
        """How long until the deadline; None without one."""
        return None if self._deadline is None else self._deadline - self._clock()

    def now(self) -> float:
        """Return the time by which deadline and waits are measured; seconds, from any beginning."""
        return self._clock()

    def check(self) -> None:
        """Raise OperationFailed when no new work may start."""
        if reason := self.reason:
            raise OperationFailed(reason, NOT_REACHED)

    def wait(self, seconds: float) -> bool:
        """Wait, while another thread of the pool works in this one's place.

        False as soon as the sweep is told to stop, True when the time has passed before.
        """
        until = self._clock() + seconds
        with this_thread.replace_while_waiting():
            while self.reason is None and (left := until - self._clock()) > 0:
                self._sleep(min(left, WAIT_TICK))
        return self.reason is None


class Grace(Stop):
    """A stop that follows another one, for work that must still be done then.

    `left` says the seconds until it comes; infinite before the first one.
    """

    def __init__(
        self,
        first: Stop,
        left: Callable[[], float],
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        super().__init__(clock=clock, sleep=sleep)
        self._first = first
        self.left = left

    @property
    def reason(self) -> Reason | None:
        """Why no new work may start, None while it may."""
        return self._first.reason if self.left() <= 0 else None
