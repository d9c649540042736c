"""Retries are bounded, belong to the call, and end when the sweep is told to stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

import pytest

from sweeper.aws.accounts import AwsCloud
from sweeper.aws.client.circuit_breaker import CircuitBreaker
from sweeper.aws.client.retries import MAX_ATTEMPTS, MAX_WAIT
from sweeper.aws.ecr import EcrRegistry
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import WAIT_TICK, Stop
from tests.aws.support import make_cloud, opened, quick_stop, target
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault
from tests.fakes import FakeClock

LISTING = "DescribeRepositories"
WRITE = "PutImageTagMutability"


def _examine(aws: FakeAws, stop: Stop) -> int:
    registry = EcrRegistry(opened(aws, stop=stop).clients)
    aws.reset_statistics()
    return len(list(registry.repositories(target(aws))))


def _asked(aws: FakeAws) -> int:
    count: int = aws.statistics().calls[f"ecr:{LISTING}"]
    return count


def _not_written(
    aws: FakeAws, faults: Sequence[Fault | Mapping[str, Any]], stop: Stop
) -> OperationFailed:
    registry = EcrRegistry(opened(aws, stop=stop, may_write=True).clients)
    here = target(aws)
    name = aws.repositories(here.account.id, here.region)[0].name
    aws.faults(faults)
    aws.reset_statistics()
    with pytest.raises(OperationFailed) as caught:
        registry.put_image_tag_mutability(here, name, "IMMUTABLE", ())
    return caught.value


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
    assert slept[0] <= WAIT_TICK
    assert _asked(aws) == 1


def test_the_deadline_ends_the_wait(aws: FakeAws) -> None:
    clock = FakeClock()
    stop = Stop(deadline_seconds=0.5, clock=clock, sleep=clock.sleep)
    aws.faults([Fault("throttle", operation=LISTING)])
    with pytest.raises(OperationFailed) as caught:
        _examine(aws, stop)
    assert caught.value.reason is Reason.DEADLINE
    assert clock.now <= 100.5 + WAIT_TICK


@pytest.mark.parametrize(
    ("action", "ending"),
    [
        ("server_error", "ServerException; the write may have taken effect"),
        ("reset", "ConnectionClosedError; the write may have taken effect"),
        ("throttle", "ThrottlingException"),
    ],
)
def test_a_write_that_is_stopped_says_whether_it_may_have_taken_effect(
    aws: FakeAws, action: str, ending: str
) -> None:
    stop = Stop(clock=FakeClock(), sleep=lambda _: stop.request())
    failed = _not_written(aws, [{"action": action, "operation": WRITE}], stop)
    words = "stopped while waiting to try again: attempt 1 had ended with "
    assert failed.message == words + ending
    assert failed.uncertain == (action != "throttle")


@pytest.mark.parametrize(
    ("faults", "reason", "uncertain"),
    [
        (["throttle"] * 5, Reason.THROTTLED, False),
        (["server_error"] * 5, Reason.SERVICE_ERROR, True),
        (["reset"] * 5, Reason.CONNECTION_FAILED, True),
        (["truncate"] * 5, Reason.CONNECTION_FAILED, True),
        (["malformed"], Reason.UNEXPECTED_RESPONSE, True),
        (["access_denied"], Reason.DENIED, False),
        # One attempt may have been enough, whatever AWS said to the later ones.
        (["truncate", *["throttle"] * 4], Reason.THROTTLED, True),
        (["throttle", "server_error", "access_denied"], Reason.DENIED, True),
        (["throttle", "throttle", "access_denied"], Reason.DENIED, False),
    ],
)
def test_a_write_that_failed_says_whether_it_may_have_taken_effect(
    aws: FakeAws, faults: list[str], reason: Reason, uncertain: bool
) -> None:
    each_once = [{"action": action, "operation": WRITE, "times": 1, "seed": 4} for action in faults]
    failed = _not_written(aws, each_once, quick_stop())
    assert (failed.reason, failed.uncertain) == (reason, uncertain)
    assert failed.message.endswith("; the write may have taken effect") == uncertain
    assert aws.statistics().calls[f"ecr:{WRITE}"] == len(faults)


def test_the_doubt_of_one_write_is_not_the_next_ones(aws: FakeAws) -> None:
    faults = [{"action": "server_error", "operation": WRITE, "times": 5}]
    assert _not_written(aws, faults, quick_stop()).uncertain
    assert not _not_written(aws, [Fault("throttle", operation=WRITE)], quick_stop()).uncertain


def test_a_retried_call_is_signed_anew(aws: FakeAws) -> None:
    clock = FakeClock()
    aws.faults([Fault("throttle", operation=LISTING, times=3)])
    _examine(aws, Stop(clock=clock, sleep=clock.sleep))
    assert aws.statistics().bad_signatures == 0


# --- keys that were refused --------------------------------------------------------------------


def _listing(aws: FakeAws, cloud: AwsCloud, place: int = 0) -> Reason | int:
    """How many repositories, or why not."""
    try:
        return len(list(EcrRegistry(cloud.clients).repositories(target(aws, place))))
    except OperationFailed as error:
        return error.reason


def _assumed(aws: FakeAws) -> int:
    return len(aws.statistics().assume_role)


def test_keys_that_expired_before_their_time_are_renewed_for_the_call(aws: FakeAws) -> None:
    cloud = opened(aws)
    aws.expire_sessions()
    aws.reset_statistics()
    assert _listing(aws, cloud) == 5
    assert (_asked(aws), _assumed(aws), aws.statistics().expired) == (2, 1, 1)


def test_refused_keys_are_renewed_once_a_call(aws: FakeAws) -> None:
    cloud = opened(aws)
    aws.reset_statistics()
    aws.faults([Fault("error", operation=LISTING, code="ExpiredTokenException")])
    for calls in (1, 2):
        assert _listing(aws, cloud) is Reason.CREDENTIALS_EXPIRED
        assert (_asked(aws), _assumed(aws)) == (2 * calls, calls)


def test_a_renewal_does_not_use_up_the_attempts(aws: FakeAws) -> None:
    cloud = opened(aws)
    aws.reset_statistics()
    aws.faults(
        [
            Fault("error", operation=LISTING, code="ExpiredTokenException", times=1),
            Fault("throttle", operation=LISTING, times=MAX_ATTEMPTS - 2),
        ]
    )
    assert _listing(aws, cloud) == 5
    assert (_asked(aws), _assumed(aws)) == (MAX_ATTEMPTS, 1)


def test_whether_unknown_keys_are_good_is_found_out_once_an_account(aws: FakeAws) -> None:
    cloud = make_cloud()
    for account in cloud.list_accounts().accounts:
        cloud.open_account(account)
    aws.reset_statistics()
    aws.faults([Fault("error", operation=LISTING, code="UnrecognizedClientException")])
    for place in (0, 1):
        for _ in range(3):
            assert _listing(aws, cloud, place) is Reason.REGION_NOT_ENABLED
    assert (_asked(aws), _assumed(aws)) == (2 * (2 + 1 + 1), 2)


def test_a_role_that_was_deleted_meanwhile_is_told_from_a_region(aws: FakeAws) -> None:
    cloud = opened(aws)
    world = aws.world.to_json()
    aws.load({**world, "role": {"exists": False}})  # and no session is known
    for _ in range(3):  # whichever of the account's targets it is
        assert _listing(aws, cloud) is Reason.ACCESS_LOST
    aws.load(world)
    assert _listing(aws, cloud) == 5  # one that was made anew is used


def test_a_write_that_got_no_answer_is_uncertain_whatever_ended_it(aws: FakeAws) -> None:
    """Here the endpoint fell silent: it is not called again, and the write may have been made."""
    cloud = opened(aws, may_write=True)
    circuit = iter([None, OperationFailed(Reason.ENDPOINT_UNREACHABLE, "silent")])

    def check(_: CircuitBreaker) -> None:
        if error := next(circuit, None):
            raise error

    aws.faults([Fault("reset", operation="PutImageTagMutability")])
    with (
        mock.patch.object(CircuitBreaker, "check", check),
        pytest.raises(OperationFailed) as caught,
    ):
        EcrRegistry(cloud.clients).put_image_tag_mutability(target(aws), "app", "IMMUTABLE", ())
    assert (caught.value.reason, caught.value.uncertain) == (Reason.ENDPOINT_UNREACHABLE, True)
    assert "may have taken effect" in caught.value.message
