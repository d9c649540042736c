"""An answer that comes byte by byte ends all the same: by its own time, and by the stop."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from boto3 import Session
from botocore import exceptions as sdk

from sweeper.aws.client.clients import DELIVERY_AFTER_SIGNAL, IN_FLIGHT
from sweeper.aws.client.credentials import bound_to
from sweeper.aws.client.documents import make_client as make_early_client
from sweeper.aws.client.total_time import SLOWEST, TOTAL_TIMEOUT, CallTime, TotalTime
from sweeper.aws.s3 import Bucket
from sweeper.config.schema import S3Config
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import Stop
from tests.authority import Authority
from tests.aws.support import REGION, make_cloud, opened
from tests.aws.test_sender import (
    ANSWER,
    HEAD,
    TIMEOUT,
    WHOLE,
    Listener,
    Serve,
    answer,
    both,
    forwarding,
    make_client,
    raised,
    read_request,
)
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault
from tests.fakes import FakeClock

GAP = 0.002  # seconds between two bytes
FILLER = b"x" * 1500
IN_THE_HEAD = HEAD + b"x-filler: " + FILLER + b"\r\ncontent-length: 2\r\n\r\n{}"
BODY = ANSWER.ljust(len(FILLER))
LENGTH = HEAD + b"content-length: %d\r\n\r\n" % len(BODY)
CLOSED_AFTERWARDS = HEAD + b"connection: close\r\n\r\n"


def patient_client(server: Listener, *, own: bool, scheme: str = "http") -> Any:
    """A client whose own time-outs do not come before its total time."""
    return make_client(f"{scheme}://127.0.0.1:{server.port}", own=own, wait=TIMEOUT)


class Ticking:
    """A clock on which each look takes a second: a call's total time is so many waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0.0

    def __call__(self) -> float:
        with self._lock:
            self._now += 1
            return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds


def ticking_stop() -> Stop:
    clock = Ticking()
    return Stop(clock=clock, sleep=clock.sleep)


def in_total(client: Any, stop: Stop | None = None) -> Any:
    TotalTime((stop or ticking_stop()).followed_by(IN_FLIGHT)).register(client)
    return client


def trickle(at_once: bytes, rest: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(at_once)
        drip(connection, rest)

    return serve


def drip(connection: socket.socket, data: bytes) -> None:
    for byte in data:
        connection.sendall(bytes([byte]))
        time.sleep(GAP)


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    with contextlib.ExitStack() as stack:

        def make(serve: Serve, tls: Any = None) -> Listener:
            made = Listener(serve, tls)
            stack.callback(made.close)
            return made

        yield make


Listen = Callable[..., Listener]


@both
@pytest.mark.parametrize(
    ("at_once", "rest"),
    [(b"", IN_THE_HEAD), (LENGTH, BODY), (CLOSED_AFTERWARDS, BODY)],
    ids=["head", "body", "body until it is closed"],
)
def test_what_trickles_ends_when_its_time_is_over(
    listen: Listen, own: bool, at_once: bytes, rest: bytes
) -> None:
    server = listen(trickle(at_once, rest))
    client = in_total(patient_client(server, own=own))
    assert raised(client.describe_repositories) is sdk.ReadTimeoutError


@both
def test_what_trickles_through_tls_ends(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: bool
) -> None:
    authority = Authority(tmp_path, "ours")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    server = listen(trickle(LENGTH, BODY), authority.server("127.0.0.1"))
    client = in_total(patient_client(server, own=own, scheme="https"))
    assert raised(client.describe_repositories) is sdk.ReadTimeoutError


@both
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_trickles_its_answer_to_connect_ends(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: bool, scheme: str
) -> None:
    authority = Authority(tmp_path, "ours")
    tls = authority.server("127.0.0.1") if scheme == "https" else None
    head = b"HTTP/1.1 200 OK\r\nx-filler: " + FILLER + b"\r\n\r\n"
    proxy = listen(trickle(b"", head), tls)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
    client = in_total(make_client("https://ecr.invalid", own=own, wait=TIMEOUT))
    assert raised(client.describe_repositories) in {
        sdk.ReadTimeoutError,
        sdk.ProxyConnectionError,
    }


@both
def test_what_trickles_through_tls_within_a_proxys_tls_ends(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: bool
) -> None:
    authority = Authority(tmp_path, "ours")
    server = listen(trickle(LENGTH, BODY), authority.server("127.0.0.1"))
    proxy = listen(forwarding([]), authority.server("127.0.0.1"))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{proxy.port}")
    client = in_total(patient_client(server, own=own, scheme="https"))
    assert raised(client.describe_repositories) is sdk.ReadTimeoutError


@both
def test_a_private_authority_is_trusted_for_a_proxy(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: bool
) -> None:
    authority = Authority(tmp_path, "ours")
    seen: list[bytes] = []
    server = listen(answer(WHOLE), authority.server("127.0.0.1"))
    proxy = listen(forwarding(seen), authority.server("127.0.0.1"))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{proxy.port}")
    client = in_total(patient_client(server, own=own, scheme="https"))
    assert client.describe_repositories()["repositories"] == []
    assert seen[0].startswith(b"CONNECT ")


@both
def test_a_request_that_is_taken_too_slowly_ends(listen: Listen, own: bool) -> None:
    def serve(connection: socket.socket) -> None:
        for _ in range(60):
            connection.recv(1024)
            time.sleep(0.05)
        while connection.recv(1_000_000)[-2:] != b'"}':  # and then at once
            pass
        connection.sendall(WHOLE)

    client = patient_client(listen(serve), own=own)
    TotalTime(Stop().followed_by(IN_FLIGHT), 0.5).register(client)
    text = "x" * 40_000_000
    assert issubclass(
        raised(lambda: client.put_registry_policy(policyText=text)), sdk.HTTPClientError
    )


def test_waits_are_counted_and_what_is_transferred_gives_time_back() -> None:
    clock = FakeClock()
    call = CallTime(Stop(clock=clock).followed_by(IN_FLIGHT), 10)
    with socket.socket() as sock:
        sock.settimeout(4)

        def wait(seconds: float, count: int, expected: float) -> None:
            def work() -> int:
                assert sock.gettimeout() == expected
                clock.now += seconds
                return count

            call.waits(sock, work)
            assert sock.gettimeout() == 4

        wait(7, 0, expected=4)
        wait(1, 0, expected=3)
        wait(1, SLOWEST * 2, expected=2)
        wait(2, SLOWEST * 1000, expected=3)  # no more than it had
        wait(10, 0, expected=4)
        with pytest.raises(TimeoutError):
            wait(0, 0, expected=0)


@both
@pytest.mark.parametrize("reason", [Reason.INTERRUPTED, Reason.DEADLINE])
def test_the_stop_ends_a_call_under_way_after_its_grace(
    listen: Listen, own: bool, reason: Reason
) -> None:
    clock = FakeClock()
    stop = Stop(clock=clock)
    between = threading.Event()
    goes_on = threading.Event()

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(LENGTH)
        between.set()
        goes_on.wait()
        drip(connection, BODY)

    client = in_total(make_client(f"http://127.0.0.1:{listen(serve).port}", own=own, wait=60), stop)
    failures: list[type[BaseException]] = []
    call = threading.Thread(target=lambda: failures.append(raised(client.describe_repositories)))
    call.start()
    between.wait()
    stop.request(reason)
    clock.now += IN_FLIGHT[reason]
    goes_on.set()
    call.join()
    assert failures == [sdk.ReadTimeoutError]


def test_a_delivery_has_longer_after_a_signal_and_longer_still_after_the_deadline() -> None:
    clock = FakeClock()
    stop = Stop(5.0, clock=clock, delivery_seconds=60.0)
    after = stop.followed_by(
        {Reason.INTERRUPTED: DELIVERY_AFTER_SIGNAL, Reason.DEADLINE: stop.delivery_seconds}
    )
    assert after.left() == float("inf")
    clock.now += 6
    assert (stop.reason, after.reason, after.left()) == (Reason.DEADLINE, None, 59.0)
    stop.request()  # it does not wait for a deadline's deliveries
    assert (stop.reason, after.reason, after.left()) == (Reason.DEADLINE, None, 25.0)
    clock.now += 25
    assert after.reason is Reason.DEADLINE
    with pytest.raises(OperationFailed):
        after.check()


# --- the services, as a run has them ------------------------------------------------------------


def bucket_of(aws: FakeAws, central: Any) -> Bucket:
    return Bucket(S3Config(bucket=aws.world.buckets[0].name, prefix="sweeps"), central)


def dripping(operation: str, part: Any = "body") -> Fault:
    return Fault("trickle", operation=operation, part=part, rate=400)


@pytest.mark.parametrize("http_sender", ["own", "botocore"])
@pytest.mark.parametrize("part", ["head", "body"])
def test_a_target_that_trickles_is_given_up(aws: FakeAws, http_sender: str, part: str) -> None:
    cloud = opened(aws, stop=ticking_stop(), limits={"http_sender": http_sender})
    aws.faults([dripping("DescribeRepositories", part)])
    client = cloud.clients.member("ecr", REGION)
    with bound_to(aws.world.accounts[0].id), pytest.raises((sdk.ReadTimeoutError, OperationFailed)):
        client.describe_repositories()


@pytest.mark.parametrize("kind", ["central", "until_stopped"])
def test_an_object_that_trickles_is_given_up(aws: FakeAws, kind: str) -> None:
    clients = make_cloud(stop=ticking_stop()).clients
    bucket = bucket_of(aws, getattr(clients, kind))
    bucket.put("plan.jsonl", (FILLER,), "application/jsonl")
    aws.faults([dripping("GetObject")])
    with pytest.raises(OperationFailed) as caught:
        bucket.get("plan.jsonl", len(FILLER))
    assert caught.value.reason is Reason.TIMED_OUT


def test_what_is_read_before_a_run_begins_is_given_up(aws: FakeAws) -> None:
    clients = make_cloud().clients
    bucket_of(aws, clients.central).put("plan.jsonl", (FILLER,), "application/jsonl")
    stop = ticking_stop()
    early = bucket_of(
        aws, lambda service, region: make_early_client(Session(), service, region, stop)
    )
    aws.faults([dripping("GetObject")])
    with pytest.raises(OperationFailed) as caught:
        early.get("plan.jsonl", len(FILLER))
    assert caught.value.reason is Reason.TIMED_OUT


def test_a_delivery_begins_nothing_once_its_time_after_the_signal_is_over(aws: FakeAws) -> None:
    clock = FakeClock()
    stop = Stop(clock=clock, sleep=clock.sleep)
    bucket = bucket_of(aws, make_cloud(stop=stop).clients.central)
    stop.request()
    clock.now += DELIVERY_AFTER_SIGNAL - 1
    bucket.put("in time", (b"x",), "text/plain")
    clock.now += 1
    with pytest.raises(OperationFailed) as caught:
        bucket.put("too late", (b"x",), "text/plain")
    assert caught.value.reason is Reason.INTERRUPTED
    assert [each.key for each in aws.objects()] == ["sweeps/in time"]


def test_the_time_is_longer_than_a_wait_and_shorter_than_what_ends_containers() -> None:
    assert TOTAL_TIMEOUT > 10
    assert max(IN_FLIGHT.values()) < DELIVERY_AFTER_SIGNAL < 30
