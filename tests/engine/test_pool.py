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

from sweeper.domain.model import Failed, Stage
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import NOT_REACHED, WAIT_TICK, Stop
from sweeper.engine.pool import MAX_WAITING, TICK, concurrently, stay_on_core
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
