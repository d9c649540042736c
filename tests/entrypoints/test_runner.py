"""Signals: the first asks the sweep to end, a second one later ends the process. An undo warns."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import Stop
from sweeper.entrypoints.runner import (
    _ONE_SIGNAL,
    _Interrupt,
    _is_remediation_still_enabled,
    _stopped_by_signals,
)
from tests.cases import case
from tests.fakes import FakeClock, account_id, make_config, make_target
from tests.recorded_support import applied_finding, recorded

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Process:
    """Where signals end: what this process would have done with them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.killed: list[int] = []
        self.left: list[int] = []
        patch.setattr(os, "kill", self._kill)
        patch.setattr(os, "_exit", self.left.append)
        self.stop = Stop()
        self.clock = FakeClock()
        self.interrupt = _Interrupt(self.stop, self.clock)

    def _kill(self, pid: int, signum: int) -> None:
        assert pid == os.getpid()
        assert signal.getsignal(signum) is signal.SIG_DFL  # else it would come here again
        self.killed.append(signum)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    before = {number: signal.getsignal(number) for number in HANDLED}
    yield Process(monkeypatch)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("signum", HANDLED)
def test_the_first_asks_the_sweep_to_end(process: Process, signum: int) -> None:
    process.interrupt(signum, None)
    assert process.stop.reason is Reason.INTERRUPTED
    assert process.killed == []


def test_one_that_is_passed_on_by_wrappers_is_one(process: Process) -> None:
    process.interrupt(signal.SIGINT, None)
    process.clock.sleep(_ONE_SIGNAL - 0.01)
    for signum in HANDLED:
        process.interrupt(signum, None)
    assert process.killed == []


@pytest.mark.parametrize("signum", HANDLED)
def test_a_second_one_ends_the_process(process: Process, signum: int) -> None:
    process.interrupt(signal.SIGTERM, None)
    process.clock.sleep(_ONE_SIGNAL)
    process.interrupt(signum, None)
    assert process.killed == [signum]
    assert process.left == [128 + signum]  # the first process of a container is not killed


def test_a_signal_answers_a_question(process: Process) -> None:
    with process.interrupt.raising(), pytest.raises(KeyboardInterrupt):
        process.interrupt(signal.SIGINT, None)
    assert process.stop.reason is Reason.INTERRUPTED
    process.interrupt(signal.SIGINT, None)  # nothing is asked any more
    assert process.killed == []


def test_the_handlers_are_there_while_the_sweep_is(process: Process) -> None:
    own = {number: signal.getsignal(number) for number in HANDLED}
    with _stopped_by_signals(process.stop) as interrupt:
        assert {signal.getsignal(number) for number in HANDLED} == {interrupt}
        signal.raise_signal(signal.SIGHUP)
        assert process.stop.reason is Reason.INTERRUPTED
    assert {number: signal.getsignal(number) for number in HANDLED} == own


def test_what_is_ignored_stays_ignored(process: Process) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup has it
    with _stopped_by_signals(process.stop):
        signal.raise_signal(signal.SIGHUP)
        assert process.stop.reason is None
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_what_is_done_about_the_next_sweep_ends_the_warning() -> None:
    cases: list[tuple[dict[str, Any], bool]] = [
        ({}, True),
        ({"auto_remediate": "DISABLED"}, False),
        ({"exclude_accounts": [account_id(1)]}, True),
        ({"exclude_accounts": [account_id(1), account_id(2)]}, False),
    ]
    findings = (applied_finding("a", make_target(1)), applied_finding("a", make_target(2)))
    for remediation, closes in cases:
        with case(remediation, closes):
            config = make_config(remediation=remediation)
            assert _is_remediation_still_enabled(config, recorded(findings)) is closes
            assert not _is_remediation_still_enabled(config, None)
