"""Retries are bounded, belong to the call, and end when the sweep is told to stop."""

from __future__ import annotations

import pytest

from sweeper.aws.ecr import EcrRegistry
from sweeper.aws.retries import MAX_ATTEMPTS, MAX_WAIT
from sweeper.concurrency import TICK, Stop
from sweeper.errors import OperationFailed
from sweeper.model import Reason
from tests.aws.support import make_cloud, opened, target
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault
from tests.fakes import FakeClock

LISTING = "DescribeRepositories"


def _examine(aws: FakeAws, stop: Stop) -> int:
    registry = EcrRegistry(opened(aws, stop=stop).clients)
    aws.reset_statistics()
    return len(list(registry.repositories(target(aws))))


def _asked(aws: FakeAws) -> int:
    count: int = aws.statistics().calls[f"ecr:{LISTING}"]
    return count


@pytest.mark.parametrize("action", ["throttle", "server_error", "reset"])
def test_trouble_that_passes_is_waited_for(aws: FakeAws, action: str) -> None:
    clock = FakeClock()
    aws.faults([{"action": action, "operation": LISTING, "times": 2}])
    assert _examine(aws, Stop(clock=clock, sleep=clock.sleep)) == 5
    assert _asked(aws) == 3
    # Up to 1 s, then up to 2 s.
    assert 100.0 <= clock.now <= 103.0


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("throttle", Reason.THROTTLED),
        ("server_error", Reason.SERVICE_ERROR),
        ("reset", Reason.CONNECTION_FAILED),
    ],
)
def test_trouble_that_stays_is_given_up(aws: FakeAws, action: str, reason: Reason) -> None:
    clock = FakeClock()
    aws.faults([{"action": action, "operation": LISTING}])
    with pytest.raises(OperationFailed) as caught:
        _examine(aws, Stop(clock=clock, sleep=clock.sleep))
    assert caught.value.reason is reason
    assert _asked(aws) == MAX_ATTEMPTS
    assert clock.now - 100.0 <= MAX_WAIT * MAX_ATTEMPTS


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("access_denied", operation=LISTING), Reason.DENIED),
        (Fault("error", operation=LISTING, code="InvalidParameter"), Reason.REQUEST_REFUSED),
    ],
)
def test_a_refusal_is_final(aws: FakeAws, fault: Fault, reason: Reason) -> None:
    aws.faults([fault])
    with pytest.raises(OperationFailed) as caught:
        _examine(aws, Stop())
    assert caught.value.reason is reason
    assert _asked(aws) == 1


def test_one_throttled_account_uses_up_nothing_of_the_others(aws: FakeAws) -> None:
    clock = FakeClock()
    cloud = make_cloud(stop=Stop(clock=clock, sleep=clock.sleep))
    for account in cloud.list_accounts().accounts:
        cloud.open_account(account)
    registry = EcrRegistry(cloud.clients)
    slow, other = target(aws, 1), target(aws, 2)
    aws.faults(
        [
            Fault("throttle", operation=LISTING, account=slow.account.id),
            Fault("throttle", operation=LISTING, account=other.account.id, times=4),
        ]
    )
    # A quota of 500 for the client, 5 a retry, would be gone after 100 retries.
    for _ in range(30):
        with pytest.raises(OperationFailed):
            list(registry.repositories(slow))
    aws.reset_statistics()
    assert len(list(registry.repositories(other))) == 5
    assert _asked(aws) == MAX_ATTEMPTS


def test_a_stop_ends_the_wait(aws: FakeAws) -> None:
    clock = FakeClock()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.sleep(seconds)
        stop.request()

    stop = Stop(clock=clock, sleep=sleep)
    aws.faults([Fault("throttle", operation=LISTING)])
    with pytest.raises(OperationFailed) as caught:
        _examine(aws, stop)
    assert caught.value.reason is Reason.INTERRUPTED
    assert "attempt 1 had ended with ThrottlingException" in caught.value.message
    assert len(slept) == 1
    assert slept[0] <= TICK
    assert _asked(aws) == 1


def test_the_deadline_ends_the_wait(aws: FakeAws) -> None:
    clock = FakeClock()
    stop = Stop(deadline_seconds=0.5, clock=clock, sleep=clock.sleep)
    aws.faults([Fault("throttle", operation=LISTING)])
    with pytest.raises(OperationFailed) as caught:
        _examine(aws, stop)
    assert caught.value.reason is Reason.DEADLINE
    assert clock.now <= 100.5 + TICK


@pytest.mark.parametrize(
    ("action", "ending"),
    [
        ("server_error", "ServerException, and may have taken effect"),
        ("reset", "ConnectionClosedError, and may have taken effect"),
    ],
)
def test_a_call_that_may_have_taken_effect_says_so(aws: FakeAws, action: str, ending: str) -> None:
    stop = Stop(clock=FakeClock(), sleep=lambda _: stop.request())
    aws.faults([{"action": action, "operation": LISTING}])
    with pytest.raises(OperationFailed) as caught:
        _examine(aws, stop)
    assert (
        caught.value.message
        == f"stopped while waiting to try again: attempt 1 had ended with {ending}"
    )


def test_a_retried_call_is_signed_anew(aws: FakeAws) -> None:
    clock = FakeClock()
    aws.faults([Fault("throttle", operation=LISTING, times=3)])
    _examine(aws, Stop(clock=clock, sleep=clock.sleep))
    assert aws.statistics().bad_signatures == 0
