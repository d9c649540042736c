"""An attempt never raises, and a stop has one reason."""

from __future__ import annotations

import pytest

from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Failed, Stage
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import NOT_REACHED, WAIT_TICK, Stop, attempt
from sweeper.engine.defects import or_defect
from tests.fakes import FakeClock

STAGE = Stage.EXAMINE


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
