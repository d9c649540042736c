"""One sweep at a time: the lease in S3, with S3's clock moved on by hand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from sweeper.aws.s3 import Bucket, Stored
from sweeper.config.schema import S3Config
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.storage import lease as module
from sweeper.storage.lease import _LIFE, _MARGIN, _MAX_BYTES, _NAME, Lease
from tests.aws.support import make_cloud
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault
from tests.fakes import FakeClock

REFUSED = [Fault("access_denied", operation="PutObject", service="s3")]


class Place(Bucket):
    """The bucket; `later` is S3's clock since a write, the hooks do what others do meanwhile."""

    later = 0.0
    puts = 0

    def __init__(self, aws: FakeAws) -> None:
        config = S3Config(bucket=aws.world.buckets[0].name, prefix="sweeps")
        super().__init__(config, make_cloud().clients.central)
        self.after_put: Callable[[], object] = lambda: None
        self.after_get: Callable[[], object] = lambda: None

    def put(self, name: str, pieces: Iterable[bytes], media_type: str, **more: Any) -> str:
        self.puts += 1
        etag = super().put(name, pieces, media_type, **more)
        hook, self.after_put = self.after_put, lambda: None
        hook()
        return etag

    def get(self, name: str, most: int) -> Stored:
        stored = super().get(name, most)
        hook, self.after_get = self.after_get, lambda: None
        hook()
        return replace(stored, age=self.later)


class Ignorant(Place):
    """A bucket of a store that ignores these conditions."""

    def __init__(self, aws: FakeAws, ignored: tuple[str, ...]) -> None:
        super().__init__(aws)
        self._ignored = ignored

    def put(self, name: str, pieces: Iterable[bytes], media_type: str, **more: Any) -> str:
        kept = {name: value for name, value in more.items() if name not in self._ignored}
        return super().put(name, pieces, media_type, **kept)


class Sweeps:
    """Whoever wants the lease of a place; all are ended with the test."""

    def __init__(self, aws: FakeAws) -> None:
        self.aws = aws
        self.made: list[Lease] = []

    def lease(self, run_id: str, place: Place | None = None, **arguments: Any) -> Lease:
        made = Lease(
            place or Place(self.aws),
            run_id=run_id,
            since="2026-06-15T12:00:00+00:00",
            **{"clock": FakeClock(), "host": f"host-of-{run_id}", **arguments},
        )
        self.made.append(made)
        return made

    def holder(self) -> dict[str, Any]:
        (stored,) = self.aws.objects()
        assert stored.key == f"sweeps/{_NAME}"
        found: dict[str, Any] = json.loads(stored.body)
        return found


@pytest.fixture
def sweeps(aws: FakeAws) -> Iterator[Sweeps]:
    made = Sweeps(aws)
    yield made
    aws.faults([])
    for lease in made.made:
        lease.release()


def refused(call: Callable[[], object]) -> OperationFailed:
    with pytest.raises(OperationFailed) as caught:
        call()
    return caught.value


def conflict() -> None:
    """What the SDK's next attempt meets when the answer to the one before was lost."""
    raise OperationFailed(Reason.CONCURRENT_MODIFICATION, "it is there", "PreconditionFailed")


def test_it_is_taken_and_says_by_whom(sweeps: Sweeps) -> None:
    lease = sweeps.lease("run-1")
    lease.acquire()
    lease.check()
    holder = sweeps.holder()
    assert len(holder.pop("token")) == 16
    assert holder == {
        "run_id": "run-1",
        "host": "host-of-run-1",
        "since": "2026-06-15T12:00:00+00:00",
        "seconds": _LIFE,
        "released": False,
        "renewal": 1,
    }


def test_it_is_not_taken_from_a_sweep_at_work(sweeps: Sweeps) -> None:
    sweeps.lease("run-1").acquire()
    place = Place(sweeps.aws)
    place.later = _LIFE - 10
    error = refused(sweeps.lease("run-2", place).acquire)
    assert error.reason is Reason.LEASE_HELD
    for said in (place.at(_NAME), "run run-1 on host-of-run-1, since 2026-06-15T12:00:00+00:00"):
        assert said in error.message
    assert sweeps.holder()["run_id"] == "run-1"
    refused(sweeps.lease("run-1").acquire)  # the same run in another process is another sweep


def test_it_ends_by_itself_and_who_had_it_learns_of_it(sweeps: Sweeps) -> None:
    first = sweeps.lease("run-1")
    first.acquire()
    place = Place(sweeps.aws)
    place.later = _LIFE
    second = sweeps.lease("run-2", place)
    second.acquire()
    second.check()
    assert sweeps.holder()["run_id"] == "run-2"
    first.renew()
    error = refused(first.check)
    assert error.reason is Reason.LEASE_LOST
    assert "is held by run run-2 on host-of-run-2" in error.message
    first.release()  # not what is the other's
    assert sweeps.holder()["released"] is False


def test_released_it_is_the_next_ones_at_once(sweeps: Sweeps) -> None:
    first, second = sweeps.lease("run-1"), sweeps.lease("run-2")
    first.acquire()
    first.release()
    assert sweeps.holder()["released"] is True
    second.acquire()
    assert (sweeps.holder()["run_id"], sweeps.holder()["released"]) == ("run-2", False)


def test_only_of_a_process_that_has_ended_is_it_taken_over_at_once(sweeps: Sweeps) -> None:
    """The run's id is not enough: another process may have resumed the run, and be at work."""
    sweeps.lease("run-1").acquire()
    token = sweeps.holder()["token"]
    for ended in ((), ("run-1",), ("another process's",)):
        other = partial(sweeps.lease("run-1").acquire, ended=ended)
        assert refused(other).reason is Reason.LEASE_HELD
    sweeps.lease("run-1").acquire(ended=("another process's", token))
    assert sweeps.holder()["run_id"] == "run-1"
    assert sweeps.holder()["token"] != token


def test_of_two_that_take_an_ended_one_over_one_has_it(sweeps: Sweeps) -> None:
    first, rival = sweeps.lease("run-1"), sweeps.lease("run-2")
    first.acquire()
    first.release()
    place = Place(sweeps.aws)
    place.after_get = rival.acquire
    error = refused(sweeps.lease("run-3", place).acquire)
    assert error.reason is Reason.LEASE_HELD
    assert "run run-2 on host-of-run-2" in error.message
    rival.check()


def test_the_first_write_whose_answer_was_lost_is_its_own(sweeps: Sweeps) -> None:
    place = Place(sweeps.aws)
    place.after_put = conflict
    clock = FakeClock()
    lease = sweeps.lease("run-1", place, clock=clock)
    place.later = 20  # it was written 20 s ago
    lease.acquire()
    lease.check()
    clock.sleep(_LIFE - _MARGIN - 25)
    lease.check()
    clock.sleep(10)
    assert refused(lease.check).reason is Reason.LEASE_LOST
    place.later = 0
    lease.renew()
    lease.check()


def test_it_holds_as_long_as_it_is_renewed(sweeps: Sweeps) -> None:
    clock = FakeClock()
    lease = sweeps.lease("run-1", clock=clock)
    lease.acquire()
    for _ in range(5):
        clock.sleep(_LIFE - _MARGIN - 1)
        lease.check()
        lease.renew()
    clock.sleep(_LIFE - _MARGIN)
    error = refused(lease.check)
    assert (error.reason, error.message) == (
        Reason.LEASE_LOST,
        f"{Place(sweeps.aws).at(_NAME)} could not be renewed in time",
    )


def test_the_time_counts_from_before_the_write(sweeps: Sweeps) -> None:
    clock, place = FakeClock(), Place(sweeps.aws)
    lease = sweeps.lease("run-1", place, clock=clock)
    place.after_put = lambda: clock.sleep(100)  # the answer is slow
    lease.acquire()
    clock.sleep(_LIFE - _MARGIN - 100)
    assert refused(lease.check).reason is Reason.LEASE_LOST


def test_renewals_that_fail_are_made_up_for_until_it_is_too_late(sweeps: Sweeps) -> None:
    clock = FakeClock()
    lease = sweeps.lease("run-1", clock=clock)
    lease.acquire()
    sweeps.aws.faults(REFUSED)
    clock.sleep(_LIFE - _MARGIN - 1)
    lease.renew()
    lease.check()
    clock.sleep(1)
    lease.renew()
    assert refused(lease.check).reason is Reason.LEASE_LOST
    sweeps.aws.faults([])
    lease.renew()
    lease.check()


def test_a_renewal_whose_answer_was_lost_is_its_own(sweeps: Sweeps) -> None:
    clock, place = FakeClock(), Place(sweeps.aws)
    lease = sweeps.lease("run-1", place, clock=clock)
    lease.acquire()
    clock.sleep(_LIFE - _MARGIN)
    place.after_put = conflict
    place.later = 20  # it was written 20 s ago
    lease.renew()
    lease.check()
    clock.sleep(_LIFE - _MARGIN - 25)
    lease.check()
    clock.sleep(10)
    assert refused(lease.check).reason is Reason.LEASE_LOST
    lease.release()
    assert sweeps.holder()["released"] is True


def test_a_conflict_that_cannot_be_looked_into_is_tried_again(sweeps: Sweeps) -> None:
    clock, place = FakeClock(), Place(sweeps.aws)
    lease = sweeps.lease("run-1", place, clock=clock)
    lease.acquire()
    sweeps.aws.faults([Fault("access_denied", operation="GetObject", service="s3")])
    place.after_put = conflict
    lease.renew()
    lease.check()
    sweeps.aws.faults([])
    clock.sleep(_LIFE)
    lease.renew()
    lease.check()


def test_where_it_cannot_be_had_nothing_may_be_written(sweeps: Sweeps) -> None:
    sweeps.aws.faults(REFUSED)
    place = Place(sweeps.aws)
    lease = sweeps.lease("run-1", place)
    error = refused(lease.acquire)
    assert error.reason is Reason.LEASE_UNAVAILABLE
    assert error.error_code == "AccessDenied"
    assert error.message.startswith(f"{place.at(_NAME)}: denied: ")
    assert refused(lease.check).reason is Reason.LEASE_UNAVAILABLE
    sweeps.aws.faults([])
    lease.release()
    assert sweeps.aws.objects() == []


def test_a_takeover_that_fails_is_unavailable(sweeps: Sweeps) -> None:
    first = sweeps.lease("run-1")
    first.acquire()
    first.release()
    place = Place(sweeps.aws)
    place.after_get = lambda: sweeps.aws.faults(REFUSED)
    assert refused(sweeps.lease("run-2", place).acquire).reason is Reason.LEASE_UNAVAILABLE


def test_a_release_that_fails_is_left_to_time(sweeps: Sweeps) -> None:
    lease = sweeps.lease("run-1")
    lease.acquire()
    sweeps.aws.faults(REFUSED)
    lease.release()
    assert sweeps.holder()["released"] is False


GOOD = {"run_id": "r", "host": "h", "since": "s", "token": "t", "seconds": 300}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 5000,
        json.dumps({**GOOD, "seconds": 10**9}).encode(),
        json.dumps({**GOOD, "seconds": 0}).encode(),
        json.dumps({**GOOD, "host": "h" * 201}).encode(),
        json.dumps({**GOOD, "run_id": None}).encode(),
        json.dumps({**GOOD, "token": ["t"]}).encode(),
    ],
)
def test_what_cannot_be_read_holds_as_long_as_any_other(sweeps: Sweeps, body: bytes) -> None:
    place = Place(sweeps.aws)
    place.put(_NAME, (body,), "application/json")
    place.later = _LIFE - 10
    error = refused(sweeps.lease("run-1", place).acquire)
    assert error.reason is Reason.LEASE_HELD
    assert "run unknown on unknown, since unknown" in error.message
    place.later = _LIFE
    sweeps.lease("run-2", place).acquire()
    assert sweeps.holder()["run_id"] == "run-2"


def test_a_holder_says_itself_how_long_it_holds_within_an_hour(sweeps: Sweeps) -> None:
    place = Place(sweeps.aws)
    place.put(_NAME, (json.dumps({**GOOD, "seconds": 3600}).encode(),), "application/json")
    place.later = 3590
    assert "run r on h, since s" in refused(sweeps.lease("run-1", place).acquire).message
    place.later = 3600
    sweeps.lease("run-1", place).acquire()


def test_an_object_that_is_too_large_is_not_read(sweeps: Sweeps) -> None:
    place = Place(sweeps.aws)
    place.put(_NAME, (b" " * (_MAX_BYTES + 1),), "application/json")
    error = refused(sweeps.lease("run-1", place).acquire)
    assert error.reason is Reason.LEASE_UNAVAILABLE
    assert "more than 10,000 bytes" in error.message


def test_it_is_renewed_by_itself_until_it_is_released(
    sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RENEW_EVERY", 0.0)
    renewed = threading.Semaphore(0)
    place = Place(sweeps.aws)
    lease = sweeps.lease("run-1", place)
    renew = lease.renew

    def counted() -> None:
        renew()
        renewed.release()

    monkeypatch.setattr(lease, "renew", counted)
    lease.acquire()
    for _ in range(3):
        assert renewed.acquire(timeout=60)
    lease.release()
    puts = place.puts
    assert puts >= 5
    assert sweeps.holder()["released"] is True
    assert not [thread for thread in threading.enumerate() if thread.name == "lease"]
    assert place.puts == puts


def test_a_take_over_whose_answer_was_lost_is_its_own(sweeps: Sweeps) -> None:
    before = sweeps.lease("run-1")
    before.acquire()
    before.release()
    place = Place(sweeps.aws)
    lease = sweeps.lease("run-2", place)
    lost = iter([True])  # the first that is written: the one before it is refused

    def lose(*_: Any, **__: Any) -> str:
        etag = Bucket.put(place, *_, **__)
        if next(lost, False):
            conflict()
        return etag

    place.put = lose  # type: ignore[method-assign]
    lease.acquire()
    lease.check()
    assert sweeps.holder()["run_id"] == "run-2"


def test_a_lease_that_was_renewed_meanwhile_is_not_taken_over(sweeps: Sweeps) -> None:
    """Two renewals are different objects, or a condition could not tell them apart."""
    first = sweeps.lease("run-1")
    first.acquire()
    place = Place(sweeps.aws)
    place.later = _LIFE + 1
    place.after_get = first.renew
    error = refused(sweeps.lease("run-2", place).acquire)
    assert error.reason is Reason.LEASE_HELD
    first.check()


def test_it_ends_by_whichever_clock_is_ahead(sweeps: Sweeps) -> None:
    """One of them stands still while the machine, or the virtual machine, is paused."""
    for late in (0, 1):
        clocks = FakeClock(), FakeClock()
        lease = sweeps.lease(f"run-{late}", clock=clocks[0], wall=clocks[1])
        lease.acquire()
        clocks[late].now += _LIFE - _MARGIN - 1
        lease.check()
        clocks[late].now += 1
        assert refused(lease.check).reason is Reason.LEASE_LOST
        lease.release()


@pytest.mark.parametrize(
    "ignored", [("IfNoneMatch", "IfMatch"), ("IfNoneMatch",), ("IfMatch",)], ids=" and ".join
)
def test_a_store_that_ignores_conditions_is_refused(
    sweeps: Sweeps, ignored: tuple[str, ...]
) -> None:
    """Every sweep would hold the lease, or every one that finds it has ended."""

    for _ in range(2):  # the second at once: the first did not leave a lease for five minutes
        lease = sweeps.lease("run-1", Ignorant(sweeps.aws, ignored))
        error = refused(lease.acquire)
        assert error.reason is Reason.LEASE_UNAVAILABLE
        assert "ignores conditional writes" in error.message
        assert refused(lease.check).reason is Reason.LEASE_UNAVAILABLE
        holder = sweeps.holder()
        assert (holder["token"], holder["released"]) == (lease.token, True)


def test_of_what_others_wrote_to_such_a_store_nothing_is_released(sweeps: Sweeps) -> None:
    """The object is read again before it is released: another sweep may have replaced it."""
    place = Ignorant(sweeps.aws, ("IfNoneMatch", "IfMatch"))
    lease = sweeps.lease("run-1", place)
    other = json.dumps({**GOOD, "token": "of-another"}).encode()

    def replaced(name: str, most: int) -> Stored:
        Bucket.put(place, _NAME, (other,), "application/json")
        return Bucket.get(place, name, most)

    place.get = replaced  # type: ignore[method-assign]
    assert refused(lease.acquire).reason is Reason.LEASE_UNAVAILABLE
    (stored,) = sweeps.aws.objects()
    assert stored.body == other


def test_a_release_that_such_a_store_refuses_is_left_to_time(sweeps: Sweeps) -> None:
    place = Ignorant(sweeps.aws, ("IfNoneMatch", "IfMatch"))
    place.after_get = lambda: sweeps.aws.faults(REFUSED)
    error = refused(sweeps.lease("run-1", place).acquire)
    assert "ignores conditional writes" in error.message
    assert sweeps.holder()["released"] is False


def test_a_conflict_where_there_is_no_lease_is_tried_once_more(sweeps: Sweeps) -> None:
    """S3 answers 409 while another write is under way, which may come to nothing."""

    class Conflicting(Place):
        def put(self, name: str, pieces: Iterable[bytes], media_type: str, **more: Any) -> str:
            self.puts += 1
            if self.puts <= self.conflicts:
                raise OperationFailed(Reason.CONCURRENT_MODIFICATION, "conflict", "409")
            return super().put(name, pieces, media_type, **more)

        conflicts = 1

    place = Conflicting(sweeps.aws)
    lease = sweeps.lease("run-1", place)
    lease.acquire()
    lease.check()
    sweeps.aws.load(sweeps.aws.world)
    place.conflicts, place.puts = 2, 0
    assert refused(sweeps.lease("run-2", place).acquire).reason is Reason.LEASE_UNAVAILABLE


def test_a_lease_that_was_deleted_is_lost(sweeps: Sweeps) -> None:
    lease = sweeps.lease("run-1")
    lease.acquire()
    sweeps.aws.load(sweeps.aws.world)  # with empty buckets
    lease.renew()
    error = refused(lease.check)
    assert (error.reason, "was deleted" in error.message) == (Reason.LEASE_LOST, True)


# --- the processes of one run --------------------------------------------------------------------


def begun_by_another(sweeps: Sweeps) -> str:
    """Let a process of run-1 take the lease and leave it to the next; the token."""
    first = sweeps.lease("run-1")
    first.acquire()
    first.leave()
    return first.token


def test_processes_of_a_run_hold_one_lease(sweeps: Sweeps) -> None:
    token = begun_by_another(sweeps)
    workers = [sweeps.lease("run-1", token=token) for _ in range(3)]
    for worker in workers:
        worker.join()
    for worker in (*workers, *workers):
        worker.renew()  # each meets what another one wrote
        worker.check()
    assert refused(sweeps.lease("run-2").acquire).reason is Reason.LEASE_HELD


def test_a_run_goes_on_with_an_expired_lease_that_nobody_took(sweeps: Sweeps) -> None:
    token = begun_by_another(sweeps)
    place = Place(sweeps.aws)
    place.later = _LIFE + 10
    worker = sweeps.lease("run-1", place, token=token)
    worker.join()
    worker.check()


def test_an_expired_lease_is_taken_from_a_run_that_was_stopped(sweeps: Sweeps) -> None:
    token = begun_by_another(sweeps)
    place = Place(sweeps.aws)
    place.later = _LIFE + 10
    sweeps.lease("run-2", place).acquire()
    worker = sweeps.lease("run-1", token=token)
    assert "is held by run run-2" in refused(worker.join).message
    assert refused(worker.check).reason is Reason.LEASE_LOST


def test_a_worker_that_is_late_does_not_hold_what_was_released(sweeps: Sweeps) -> None:
    token = begun_by_another(sweeps)
    late, last = (sweeps.lease("run-1", token=token) for _ in range(2))
    late.join()
    last.join()
    last.release()
    late.renew()
    assert refused(late.check).reason is Reason.LEASE_LOST
    assert refused(sweeps.lease("run-1", token=token).join).reason is Reason.LEASE_LOST


def test_without_an_answer_a_worker_writes_nothing(sweeps: Sweeps) -> None:
    token = begun_by_another(sweeps)
    sweeps.aws.faults([Fault("access_denied", operation="GetObject", service="s3")])
    worker = sweeps.lease("run-1", token=token)
    assert refused(worker.join).reason is Reason.LEASE_UNAVAILABLE
    assert refused(worker.check).reason is Reason.LEASE_UNAVAILABLE
