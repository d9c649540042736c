"""Waiting for what a run does, never for a time: see the fault `hold` of the fake."""

from __future__ import annotations

import time

from tests.end_to_end.harness import AnyProcess
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault

_POLL = 0.02  # seconds
_SLOW = 0.3  # seconds a call


def hold(aws: FakeAws, operation: str, *, skip: int = 0) -> None:
    """Hold the calls of the operation after the first `skip`, in the place of all other faults."""
    aws.faults([Fault("hold", operation=operation, skip=skip)])


def wait_until_held(aws: FakeAws, process: AnyProcess) -> None:
    """Wait until a call of the process is held; it cannot end by itself then."""
    while not aws.statistics().held:
        assert process.poll() is None, "the run ended before a call was held"
        time.sleep(_POLL)


def release_slowly(aws: FakeAws, operation: str, *faults: Fault) -> None:
    """Release what is held, and let each further call take so long that not all are made at once.

    For a run that was sent a signal: it notices while calls are left.
    """
    aws.faults([Fault("hang", operation=operation, seconds=_SLOW), *faults])


def wait_for_call(aws: FakeAws, operation: str, process: AnyProcess, times: int = 1) -> None:
    """Wait until the fake was asked for it so often, or the run ended without."""
    while process.poll() is None and aws.statistics().calls.get(operation, 0) < times:
        time.sleep(_POLL)
