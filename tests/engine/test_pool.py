"""The pool: one outcome for each item whatever happens; no verdict depends on a clock."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Failed, Stage
from sweeper.domain.reasons import Reason
from sweeper.engine.defects import or_defect
from sweeper.engine.pool import (
    MAX_WAITING,
    NOT_REACHED,
    TICK,
    WAIT_TICK,
    Stop,
    attempt,
    concurrently,
    stay_on_core,
)
from tests.fakes import FakeClock, failure

STAGE = Stage.EXAMINE
Batch = Sequence[tuple[int, int | Failed]]


def ignore(_: Batch) -> None: ...


def half(number: int) -> int:
    if number % 2:
        raise failure(Reason.DENIED)
    return number // 2


@pytest.mark.parametrize("workers", [1, 3, 8, 100])
@pytest.mark.parametrize("items", [(), (4,), tuple(range(50))])
def test_outcomes_come_in_the_order_of_the_items(items: tuple[int, ...], workers: int) -> None:
    seen: dict[int, int | Failed] = {}
    results = concurrently(STAGE, half, items, workers=workers, stop=Stop(), observe=seen.update)
    denied = Failed(STAGE, Reason.DENIED, "it was denied", "SomeCode")
    assert results == [denied if item % 2 else item // 2 for item in items]
    assert seen == dict(zip(items, results, strict=True))


def test_an_operation_that_failed_keeps_its_reason() -> None:
    error = OperationFailed(Reason.UNKNOWN_ACCOUNT, "who?", "Code")

    def work(_: int) -> int:
        raise error

    assert attempt(STAGE, work, 1) == Failed(STAGE, Reason.UNKNOWN_ACCOUNT, "who?", "Code")


def test_a_defect_is_an_internal_error_that_says_where() -> None:
    def work(_: int) -> int:
        raise KeyError("missing")

    outcome = attempt(STAGE, work, 1)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.error_code) == (Reason.INTERNAL_ERROR, "KeyError")
    assert outcome.message.startswith("KeyError: 'missing' at ")
    assert "work:" in outcome.message


def test_a_defect_in_one_line() -> None:
    assert or_defect(lambda: 7) == 7
    described = or_defect(lambda: 1 // 0)
    assert isinstance(described, str)
    assert described.startswith("ZeroDivisionError: ")
    assert "\n" not in described


def test_a_defect_loses_no_other_outcome() -> None:
    results = concurrently(
        STAGE, lambda item: 6 // item, (1, 0, 2), workers=2, stop=Stop(), observe=ignore
    )
    assert results[0] == 6
    assert isinstance(results[1], Failed)
    assert results[2] == 3


def test_what_had_not_started_when_it_was_stopped_is_failed() -> None:
    stop = Stop()

    def work(item: int) -> int:
        if item == 1:
            stop.request()
        return item

    results = concurrently(STAGE, work, (0, 1, 2, 3), workers=1, stop=stop, observe=ignore)
    left = Failed(STAGE, Reason.INTERRUPTED, NOT_REACHED)
    assert results == [0, 1, left, left]


def test_the_deadline_stops_it() -> None:
    clock = FakeClock()
    stop = Stop(10, clock, clock.sleep)

    def work(item: int) -> int:
        clock.sleep(6)
        return item

    results = concurrently(STAGE, work, (0, 1, 2), workers=1, stop=stop, observe=ignore)
    assert results == [0, 1, Failed(STAGE, Reason.DEADLINE, NOT_REACHED)]


def test_the_items_are_worked_on_at_the_same_time() -> None:
    """Each worker waits for all the others: with one thread less this would not end."""
    together = threading.Barrier(4, timeout=30)
    results = concurrently(
        STAGE,
        lambda _: together.wait() >= 0,
        range(4),
        workers=4,
        stop=Stop(),
        observe=lambda _: None,
    )
    assert results == [True] * 4


def test_an_error_in_the_observer_does_not_wait_for_all_the_work() -> None:
    main = threading.get_ident()
    done: list[int] = []

    def work(item: int) -> int:
        while item and not waits_for_its_threads(main):
            time.sleep(0.001)
        done.append(item)
        return item

    def observe(_: Batch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        concurrently(STAGE, work, range(1000), workers=2, stop=Stop(), observe=observe)
    assert len(done) <= 3


def waits_for_its_threads(ident: int) -> bool:
    """Whether a thread leaves its pool, and has only to wait for what had been started."""
    stack = traceback.walk_stack(sys._current_frames()[ident])
    return ThreadPoolExecutor.shutdown.__code__ in {frame.f_code for frame, _ in stack}


def test_the_observer_is_not_called_when_nothing_was_finished() -> None:
    batches: list[Batch] = []

    def work(item: int) -> int:
        time.sleep(3 * TICK)  # meanwhile the main thread looks, and finds nothing
        return item

    concurrently(STAGE, work, (1, 2), workers=2, stop=Stop(), observe=batches.append)
    assert all(batches)
    assert sorted(done for batch in batches for done in batch) == [(1, 1), (2, 2)]


def test_what_is_not_an_exception_ends_the_sweep() -> None:
    def work(item: int) -> int:
        if item:
            raise SystemExit
        return item

    with pytest.raises(SystemExit):
        concurrently(STAGE, work, (0, 1), workers=1, stop=Stop(), observe=ignore)


def test_the_first_reason_to_stop_stays() -> None:
    clock = FakeClock()
    stop = Stop(1, clock, clock.sleep)
    assert stop.reason is None
    stop.check()
    stop.request()
    stop.request(Reason.TIMED_OUT)
    clock.sleep(5)
    assert stop.reason is Reason.INTERRUPTED
    with pytest.raises(OperationFailed, match=NOT_REACHED):
        stop.check()


@pytest.mark.parametrize(("passed", "reason"), [(9.9, None), (10, Reason.DEADLINE)])
def test_the_deadline_is_inclusive(passed: float, reason: Reason | None) -> None:
    clock = FakeClock()
    stop = Stop(10, clock, clock.sleep)
    clock.sleep(passed)
    assert stop.reason is reason


def test_without_a_deadline_nothing_stops_it() -> None:
    clock = FakeClock()
    stop = Stop(None, clock, clock.sleep)
    clock.sleep(1e9)
    assert stop.reason is None


@pytest.mark.parametrize("seconds", [0, WAIT_TICK / 2, 3])
def test_a_wait_lasts_as_long_as_it_should(seconds: float) -> None:
    clock = FakeClock()
    Stop(None, clock, clock.sleep).wait(seconds)
    assert clock.now == pytest.approx(100 + seconds)


def test_a_wait_ends_when_it_is_stopped() -> None:
    clock = FakeClock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.now > 102:
            stop.request()

    stop = Stop(None, clock, sleep)
    assert not stop.wait(60)
    assert clock.now < 102 + 2 * WAIT_TICK


def test_a_wait_ends_at_the_deadline() -> None:
    clock = FakeClock()
    stop = Stop(5, clock, clock.sleep)
    assert not stop.wait(60)
    assert stop.reason is Reason.DEADLINE
    assert clock.now < 105 + 2 * WAIT_TICK


def test_who_waits_keeps_nobody_from_working() -> None:
    """The waits of the first two end only when all the others are done."""
    others_done = threading.Event()
    done: list[int] = []

    def sleep(_: float) -> None:
        assert others_done.wait(30)

    def work(item: int) -> int:
        if item < 2:
            assert stop.wait(WAIT_TICK)
        done.append(item)
        if len(done) == 8:
            clock.sleep(WAIT_TICK)
            others_done.set()
        return item

    clock = FakeClock()
    stop = Stop(None, clock, sleep)
    results = concurrently(STAGE, work, range(10), workers=2, stop=stop, observe=ignore)
    assert results == list(range(10))
    assert set(done[8:]) == {0, 1}


def test_as_many_wait_at_a_time_as_may() -> None:
    """With one thread less this would not end."""
    most = 2 + MAX_WAITING
    together = threading.Barrier(most, timeout=120)

    def sleep(_: float) -> None:
        together.wait()
        clock.sleep(WAIT_TICK)

    clock = FakeClock()
    stop = Stop(None, clock, sleep)
    results = concurrently(
        STAGE, lambda _: stop.wait(WAIT_TICK / 2), range(most), workers=2, stop=stop, observe=ignore
    )
    assert results == [True] * most


@pytest.mark.parametrize("threads", [0, 1])
def test_where_the_system_has_no_thread_left_the_others_do_it_all(
    monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    left = [None] * threads
    start = threading.Thread.start

    def start_or_not(thread: threading.Thread) -> None:
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_not)
    seen: dict[int, int | Failed] = {}
    results = concurrently(
        STAGE, lambda item: item, range(20), workers=4, stop=Stop(), observe=seen.update
    )
    assert results == list(range(20)) == [seen[item] for item in range(20)]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_the_threads_of_a_process_share_one_core_and_its_main_thread_keeps_all() -> None:
    allowed = os.sched_getaffinity(0)
    together = threading.Barrier(4, timeout=10)

    def cores(_: int) -> frozenset[int]:
        together.wait()
        return frozenset(os.sched_getaffinity(0))

    results = concurrently(STAGE, cores, range(4), workers=4, stop=Stop(), observe=lambda _: None)
    [shared] = set(results)
    assert isinstance(shared, frozenset)
    assert len(shared) == 1
    assert shared <= allowed
    assert os.sched_getaffinity(0) == allowed


def test_each_number_has_a_core_of_its_own_while_there_are_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen: list[set[int]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 2, 7}, raising=False)
    monkeypatch.setattr(
        os, "sched_setaffinity", lambda _, cores: chosen.append(cores), raising=False
    )
    for number in range(4):
        stay_on_core(number)
    assert chosen == [{2}, {5}, {7}, {2}]


def test_where_a_core_cannot_be_chosen_the_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)
    assert concurrently(STAGE, half, (2, 4), workers=2, stop=Stop(), observe=ignore) == [1, 2]
    monkeypatch.setattr(os, "sched_getaffinity", refuse)
    assert concurrently(STAGE, half, (2, 4), workers=2, stop=Stop(), observe=ignore) == [1, 2]
    monkeypatch.delattr(os, "sched_setaffinity")
    assert concurrently(STAGE, half, (2, 4), workers=2, stop=Stop(), observe=ignore) == [1, 2]
