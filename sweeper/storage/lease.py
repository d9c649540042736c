"""Let only one sweep use an S3 prefix at a time: a lease that is taken by conditional writes.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html. The clock of S3 alone
decides whether a lease has expired, from when the object was last written. A sweep that was killed
does not renew its lease, which then expires.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import Field

from sweeper.aws.s3 import NONEXISTENT_ETAG, Bucket, Stored
from sweeper.domain.errors import Invalid, OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.storage.record_reader import parse

_NAME = "lease.json"
_LIFE = 300  # seconds until a lease expires that is not renewed
_RENEW_EVERY = 60.0  # seconds
# Seconds before it expires in which no write begins: a write may wait for a silent endpoint, and be
# sent five times.
_MARGIN = 150.0
_JOIN_TIMEOUT = 5.0  # seconds for a renewal that is in progress when the sweep ends
_MAX_BYTES = 10_000

_Text = Annotated[str, Field(max_length=200)]


@dataclass(frozen=True, slots=True)
class _Holder:
    """The content of the object: who holds the lease.

    `token` is new for each process, or shared by the processes of one run. `renewal` is new for
    each write: equal objects would have equal ETags, which a condition cannot tell apart.
    """

    run_id: _Text
    host: _Text
    since: _Text
    token: _Text
    seconds: Annotated[int, Field(ge=1, le=3600)] = _LIFE
    released: bool = False
    renewal: Annotated[int, Field(ge=0)] = 0


def _clock() -> float:
    """Return monotonic seconds, with the time that the machine was suspended where it is known."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


_UNREADABLE = _Holder("unknown", "unknown", "unknown", "")


class Lease:
    """A lease on the prefix of `bucket`.

    `clock` is monotonic. `wall` is the time of day, which also runs while a virtual machine is
    paused.
    """

    def __init__(
        self,
        bucket: Bucket,
        *,
        run_id: str,
        host: str,
        since: str,
        token: str | None = None,
        clock: Callable[[], float] = _clock,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Call nothing. `token` is the one with which the run holds the lease already."""
        self._bucket = bucket
        self._me = _Holder(run_id, host[:200], since, token or secrets.token_hex(8))
        self._clocks = (clock, wall)
        self._etag = ""
        self._renewal = 0
        self._until = (0.0, 0.0)  # by each clock
        self._over = threading.Event()
        self._renewer: threading.Thread | None = None
        self._problem: OperationFailed | None = None

    @property
    def token(self) -> str:
        """The text that identifies this process as the holder."""
        return self._me.token

    def acquire(self, *, ended: Collection[str] = ()) -> None:
        """Take the lease, and renew it until it is released.

        A lease with one of the tokens `ended`, whose processes are known to have ended, is taken
        over at once. Raises OperationFailed: lease_held, which names the holder, or
        lease_unavailable.
        """
        try:
            self._take(ended)
            self._require_conditions()
        except OperationFailed as error:
            if error.reason is Reason.LEASE_HELD:
                raise
            self._problem = self._unavailable(error)
            if self._etag:
                self._release_own()
            raise self._problem from None
        self._begin_renewing()

    def join(self) -> None:
        """Hold the lease that another process of the run took with this token, and renew it.

        Raises OperationFailed: lease_lost, where the run no longer holds it, or lease_unavailable.
        """
        try:
            self._adopt()
        except OperationFailed as error:
            self._problem = self._unavailable(error)
        if self._problem is None:
            self.renew()
        if self._problem:
            raise self._problem
        self._begin_renewing()

    def _begin_renewing(self) -> None:
        self._renewer = threading.Thread(target=self._renew_until_over, name="lease", daemon=True)
        self._renewer.start()

    def _unavailable(self, error: OperationFailed) -> OperationFailed:
        message = f"{self._bucket.at(_NAME)}: {error.reason}: {error.message}"
        return OperationFailed(Reason.LEASE_UNAVAILABLE, message, error.error_code)

    def check(self) -> None:
        """Raise OperationFailed unless the lease is held, long enough for a write."""
        if self._problem:
            raise self._problem
        if any(now >= until - _MARGIN for now, until in zip(self._now(), self._until, strict=True)):
            raise OperationFailed(
                Reason.LEASE_LOST, f"{self._bucket.at(_NAME)} could not be renewed in time"
            )

    def leave(self) -> None:
        """Stop renewing, and leave the lease to the next process of the run. Raises nothing."""
        self._over.set()
        if self._renewer:
            self._renewer.join(_JOIN_TIMEOUT)

    def release(self) -> None:
        """Let the next sweep take the lease. Raises nothing: without that the lease expires."""
        self.leave()
        if self._renewer is not None and self._problem is None:
            with suppress(OperationFailed):
                self._write({"IfMatch": self._etag}, released=True)

    def renew(self) -> None:
        """Hold the lease for another 300 s. Raises nothing: `check` raises if it was lost."""
        with suppress(OperationFailed):  # it is tried again; `check` knows when it expires
            try:
                self._write({"IfMatch": self._etag})
            except OperationFailed as error:
                if error.reason not in (Reason.CONCURRENT_MODIFICATION, Reason.DESTINATION_MISSING):
                    raise
                # The object is another one: our own, whose answer was lost, or another sweep's.
                self._adopt()

    def _take(self, ended: Collection[str]) -> None:
        if (stored := self._create()) is None:
            return
        holder = _parse_holder(stored)
        if holder.token == self._me.token:  # the first write took effect, and its answer was lost
            self._hold(stored.etag, self._now(), stored.age)
            return
        if not (holder.released or holder.token in ended or stored.age >= holder.seconds):
            raise self._lease_held(holder, stored)
        try:
            self._write({"IfMatch": stored.etag})
        except OperationFailed as error:
            if error.reason is not Reason.CONCURRENT_MODIFICATION:
                raise
            stored = self._bucket.get(_NAME, _MAX_BYTES)
            holder = _parse_holder(stored)
            if holder.token != self._me.token:
                raise self._lease_held(holder, stored) from None
            self._hold(stored.etag, self._now(), stored.age)

    def _create(self, *, again: bool = True) -> Stored | None:
        """Write the object where there is none; return the one that is there.

        S3 also refuses while another write is in progress. That one may fail, so this tries once
        more.
        """
        try:
            self._write({"IfNoneMatch": "*"})
        except OperationFailed as error:
            if error.reason is not Reason.CONCURRENT_MODIFICATION:
                raise
        else:
            return None
        try:
            return self._bucket.get(_NAME, _MAX_BYTES)
        except OperationFailed as missing:
            if not again or missing.reason is not Reason.DESTINATION_MISSING:
                raise
        return self._create(again=False)

    def _require_conditions(self) -> None:
        """Raise OperationFailed if the store ignores a condition: every sweep would get the lease.

        Some stores know If-None-Match only: there, two sweeps could take over one expired lease.
        """
        for name, value in (("If-None-Match", "*"), ("If-Match", NONEXISTENT_ETAG)):
            condition = {name.replace("-", ""): value}
            try:
                self._bucket.put(_NAME, (self._body(),), "application/json", **condition)
            except OperationFailed as error:
                if error.reason is not Reason.CONCURRENT_MODIFICATION:
                    raise
            else:
                raise OperationFailed(
                    Reason.UNEXPECTED_RESPONSE,
                    f"the store replaced an object in spite of {name}: it ignores conditional "
                    "writes",
                )

    def _release_own(self) -> None:
        """Release a lease that was written and cannot be used, if it still has this token.

        Raises nothing: without that the lease expires.
        """
        with suppress(OperationFailed):
            stored = self._bucket.get(_NAME, _MAX_BYTES)
            if _parse_holder(stored).token == self._me.token:
                self._write({"IfMatch": stored.etag}, released=True)

    def _now(self) -> tuple[float, float]:
        clock, wall = self._clocks
        return clock(), wall()

    def _write(self, condition: dict[str, str], *, released: bool = False) -> None:
        begun = self._now()
        self._renewal += 1
        body = self._body(released=released)
        self._hold(self._bucket.put(_NAME, (body,), "application/json", **condition), begun)

    def _body(self, *, released: bool = False) -> bytes:
        value = asdict(self._me) | {"released": released, "renewal": self._renewal}
        return json.dumps(value).encode()

    def _hold(self, etag: str, begun: tuple[float, float], age: float = 0.0) -> None:
        clock, wall = begun
        life = _LIFE - max(0.0, age)
        self._etag, self._until = etag, (clock + life, wall + life)

    def _adopt(self) -> None:
        """Take over the lease if this run wrote it; else record that the run has lost it.

        Raises OperationFailed where it cannot be read.
        """
        location = self._bucket.at(_NAME)
        try:
            stored = self._bucket.get(_NAME, _MAX_BYTES)
        except OperationFailed as error:
            if error.reason is not Reason.DESTINATION_MISSING:
                raise
            self._problem = OperationFailed(Reason.LEASE_LOST, f"{location} was deleted")
            return
        holder = _parse_holder(stored)
        if holder.token != self._me.token:
            problem = f"{location} is held by {_describe(holder)} now"
        elif holder.released:
            problem = f"{location} was released when the run finished"
        else:
            self._renewal = max(self._renewal, holder.renewal)
            self._hold(stored.etag, self._now(), stored.age)
            return
        self._problem = OperationFailed(Reason.LEASE_LOST, problem)

    def _renew_until_over(self) -> None:
        while not self._over.wait(_RENEW_EVERY) and self._problem is None:
            self.renew()

    def _lease_held(self, holder: _Holder, stored: Stored) -> OperationFailed:
        left = holder.seconds - stored.age
        return OperationFailed(
            Reason.LEASE_HELD,
            f"another sweep holds {self._bucket.at(_NAME)}: {_describe(holder)}; "
            f"it ends in {left:.0f} s unless it is renewed",
        )


def _describe(holder: _Holder) -> str:
    return f"run {holder.run_id} on {holder.host}, since {holder.since}"


def _parse_holder(stored: Stored) -> _Holder:
    """Parse the object; one that cannot be parsed is held as long as any other."""
    try:
        holder: _Holder = parse(_Holder, stored.body)
    except Invalid:
        return _UNREADABLE
    return holder
