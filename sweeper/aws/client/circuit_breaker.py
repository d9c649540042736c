"""An endpoint that never answers costs one wait in total, not one for each account.

Of an endpoint that stays silent several times in a row, new calls wait until it answers those
that are under way, and not for longer than PATIENCE since it fell silent. Then they fail at once;
now and then one is let through, to see whether it answers again.
"""

from __future__ import annotations

import threading

from botocore import exceptions as sdk

from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import Stop

SILENT_CALLS = 5  # attempts in a row, over all accounts and threads, without any answer
PATIENCE = 30.0  # seconds since the first of them
PROBE_AFTER = 30.0  # seconds between two calls that are let through after that
POLL = 0.5  # seconds between two looks of a call that waits

# What an endpoint that is not there does; one that resets connections is there.
_SILENCE = (sdk.ConnectTimeoutError, sdk.ReadTimeoutError, sdk.EndpointConnectionError)


class CircuitBreaker:
    """Of one endpoint; shared by all threads. Its time is that of `stop`."""

    def __init__(self, endpoint: str, stop: Stop) -> None:
        self._endpoint = endpoint
        self._stop = stop
        self._lock = threading.Lock()
        self._silent = 0
        self._since = 0.0
        self._next_probe = 0.0

    def saw(self, failure: Exception | None) -> None:
        """Record that an attempt ended with an answer of any kind, or with the SDK's `failure`."""
        if not isinstance(failure, _SILENCE):
            if self._silent and failure is None:
                self._silent = 0
            return
        with self._lock:
            if self._silent == 0:
                self._since = self._stop.now()
                self._next_probe = self._since + PATIENCE + PROBE_AFTER
            self._silent += 1

    def enter(self) -> None:
        """Let a new call through, as soon as one may; raises OperationFailed where none may."""
        while self._silent >= SILENT_CALLS:
            if self._gave_up():
                self._refuse()
                return
            if not self._stop.wait(POLL):
                self._stop.check()

    def check(self) -> None:
        """Raise OperationFailed unless a call that got no answer may be made again."""
        if self._silent >= SILENT_CALLS and self._gave_up():
            self._refuse()

    def _gave_up(self) -> bool:
        return self._stop.now() - self._since >= PATIENCE

    def _refuse(self) -> None:
        """Raise OperationFailed, but for one call in PROBE_AFTER."""
        with self._lock:
            now = self._stop.now()
            if now >= self._next_probe:
                self._next_probe = now + PROBE_AFTER
                return
        raise OperationFailed(
            Reason.ENDPOINT_UNREACHABLE,
            f"{self._endpoint} has not answered {self._silent} calls in a row, for "
            f"{now - self._since:.0f} s: it was not called again for this",
        )
