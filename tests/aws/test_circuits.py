"""An endpoint that stays silent costs one wait in total, and says so; the others go on."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from botocore import exceptions as sdk

from sweeper.aws.client import clients
from sweeper.aws.client.circuit_breaker import (
    PATIENCE,
    POLL,
    PROBE_AFTER,
    SILENT_CALLS,
    CircuitBreaker,
)
from sweeper.aws.client.retries import MAX_ATTEMPTS
from sweeper.aws.ecr import EcrRegistry
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Target
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import Stop
from tests.aws.conftest import Enter
from tests.aws.support import make_cloud, target
from tests.aws.test_sender import unused_port
from tests.fake_aws.world import Fault, World
from tests.fakes import FakeClock

URL = "https://api.ecr.xx-nowhere-1.amazonaws.com"
SILENT = sdk.ReadTimeoutError(endpoint_url=URL)
RESET = sdk.ConnectionClosedError(endpoint_url=URL)
START = FakeClock().now


class Line:
    """A circuit, its time, and what happens while somebody waits for it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.meanwhile: Callable[[], object] = lambda: None
        self.stop = Stop(clock=self.clock, sleep=self._sleep)
        self.circuit = CircuitBreaker(URL, self.stop)

    def _sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        self.meanwhile()

    def silent(self, times: int) -> None:
        for _ in range(times):
            self.circuit.saw(SILENT)

    def gave_up(self) -> None:
        """As after the first calls, and PATIENCE."""
        self.silent(SILENT_CALLS)
        self.clock.now = START + PATIENCE


@pytest.fixture
def line() -> Line:
    return Line()


def refused(call: Callable[[], object]) -> OperationFailed:
    with pytest.raises(OperationFailed) as caught:
        call()
    return caught.value


def test_a_few_silent_calls_keep_nobody(line: Line) -> None:
    line.silent(SILENT_CALLS - 1)
    line.circuit.enter()
    line.circuit.check()
    assert line.clock.now == START


@pytest.mark.parametrize(
    "failure",
    [
        sdk.ReadTimeoutError(endpoint_url=URL),
        sdk.ConnectTimeoutError(endpoint_url=URL),
        sdk.EndpointConnectionError(endpoint_url=URL),
    ],
)
def test_new_calls_wait_for_a_silent_endpoint_and_then_fail(line: Line, failure: Exception) -> None:
    for _ in range(SILENT_CALLS):
        line.circuit.saw(failure)
    error = refused(line.circuit.enter)
    assert error.reason is Reason.ENDPOINT_UNREACHABLE
    assert error.message == (
        f"{URL} has not answered {SILENT_CALLS} calls in a row, for {PATIENCE:.0f} s: "
        "it was not called again for this"
    )
    assert PATIENCE <= line.clock.now - START < PATIENCE + POLL
    waited = line.clock.now
    for _ in range(100):
        refused(line.circuit.enter)
    assert line.clock.now == waited


def test_the_patience_is_counted_from_the_first_silence(line: Line) -> None:
    line.silent(1)
    line.clock.sleep(PATIENCE - 1)
    line.silent(SILENT_CALLS - 1)
    refused(line.circuit.enter)
    assert line.clock.now - START == PATIENCE


def test_an_answer_lets_those_who_wait_through(line: Line) -> None:
    line.silent(SILENT_CALLS)
    line.meanwhile = lambda: line.circuit.saw(None)
    line.circuit.enter()
    assert line.clock.now - START == POLL
    line.circuit.enter()
    line.silent(SILENT_CALLS - 1)
    line.circuit.enter()
    assert line.clock.now - START == POLL


def test_calls_under_way_are_tried_again_until_the_patience_ends(line: Line) -> None:
    line.silent(SILENT_CALLS)
    line.clock.sleep(PATIENCE - POLL)
    line.circuit.check()
    line.clock.sleep(POLL)
    assert refused(line.circuit.check).reason is Reason.ENDPOINT_UNREACHABLE


def test_now_and_then_one_call_is_let_through(line: Line) -> None:
    line.gave_up()
    line.clock.sleep(PROBE_AFTER - POLL)
    refused(line.circuit.enter)
    line.clock.sleep(POLL)
    for _ in range(3):
        line.circuit.enter()
        for _ in range(3):
            refused(line.circuit.enter)
        line.circuit.saw(SILENT)
        refused(line.circuit.enter)
        line.clock.sleep(PROBE_AFTER)


def test_the_answer_of_a_probe_closes_it(line: Line) -> None:
    line.gave_up()
    line.clock.sleep(PROBE_AFTER)
    line.circuit.enter()
    line.circuit.saw(None)
    for _ in range(3):
        line.circuit.enter()
        line.circuit.check()
    # And it is as patient as before with a new silence.
    line.silent(SILENT_CALLS)
    line.circuit.check()


def test_of_many_threads_one_is_let_through(line: Line) -> None:
    line.gave_up()
    line.clock.sleep(PROBE_AFTER)
    through: list[int] = []
    start = threading.Barrier(8)

    def enter(number: int) -> None:
        start.wait(60)
        try:
            line.circuit.enter()
        except OperationFailed:
            return
        through.append(number)

    threads = [threading.Thread(target=enter, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(through) == 1


def test_one_that_resets_connections_is_there(line: Line) -> None:
    for _ in range(SILENT_CALLS * 2):
        line.circuit.saw(RESET)
    line.circuit.enter()
    assert line.clock.now == START


def test_a_reset_is_no_answer_either(line: Line) -> None:
    line.silent(SILENT_CALLS - 1)
    line.circuit.saw(RESET)
    line.silent(1)
    refused(line.circuit.enter)


def test_a_stop_ends_the_wait(line: Line) -> None:
    line.silent(SILENT_CALLS)
    line.meanwhile = line.stop.request
    assert refused(line.circuit.enter).reason is Reason.INTERRUPTED
    assert line.clock.now - START <= POLL


# --- through the SDK ---------------------------------------------------------------------------


def reason(registry: EcrRegistry, examined: Target) -> Reason:
    return refused(lambda: list(registry.repositories(examined))).reason


def test_a_region_that_hangs_costs_its_accounts_one_wait(
    enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "READ_TIMEOUT", 0.3)
    aws = enter(World.generate(accounts=8, regions=2))
    clock = FakeClock()
    cloud = make_cloud(stop=Stop(clock=clock, sleep=clock.sleep))
    for account in cloud.list_accounts().accounts:
        cloud.open_account(account)
    silent, answering, *_ = aws.world.regions
    aws.faults([Fault("hang", operation="DescribeRepositories", region=silent, seconds=60)])
    registry = EcrRegistry(cloud.clients)
    reasons = []
    for place in range(len(aws.world.accounts)):
        reasons.append(reason(registry, target(aws, place, silent)))
        assert len(list(registry.repositories(target(aws, place, answering)))) == 5
    assert reasons == [Reason.TIMED_OUT, *[Reason.ENDPOINT_UNREACHABLE] * (len(reasons) - 1)]
    assert clock.now - START < PATIENCE + POLL
    assert aws.statistics().faults["hang"] == MAX_ATTEMPTS == SILENT_CALLS
    # It is heard as soon as it answers again.
    aws.faults([])
    clock.sleep(PROBE_AFTER)
    for place in range(len(aws.world.accounts)):
        assert len(list(registry.repositories(target(aws, place, silent)))) == 5


def test_an_endpoint_that_is_not_there_is_left_alone(
    enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = enter(World.generate(accounts=4, regions=1))
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", f"http://127.0.0.1:{unused_port()}")
    clock = FakeClock()
    cloud = make_cloud(stop=Stop(clock=clock, sleep=clock.sleep))
    for account in cloud.list_accounts().accounts:
        cloud.open_account(account)
    registry = EcrRegistry(cloud.clients)
    reasons = [reason(registry, target(aws, place)) for place in range(4)]
    assert reasons == [Reason.CONNECTION_FAILED, *[Reason.ENDPOINT_UNREACHABLE] * 3]
    assert clock.now - START < PATIENCE + POLL
