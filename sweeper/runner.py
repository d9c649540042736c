"""One run for whoever started it: progress and a question, or logs; and how it is stopped."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from sweeper import app, logs, metrics
from sweeper.concurrency import Stop
from sweeper.model import Finding, Report
from sweeper.report import exit_status

if TYPE_CHECKING:
    from rich.console import Console

    from sweeper.config import Config
    from sweeper.terminal import ProgressObserver


def conduct(
    config: Config,
    *,
    dry_run: bool,
    deliver_dry_run: bool = False,
    ask: bool = True,
    terminal: bool | None = None,
    at_most_seconds: float | None = None,
) -> tuple[Report, int]:
    """One sweep, for a person (`terminal`; None: where stderr is one) or for a machine.

    A person gets progress, one question before anything is written and a summary; a machine
    gets logs and, for CloudWatch, a line of metrics. No new work starts after `at_most_seconds`
    or limits.deadline_seconds, the smaller of both. The report, and the exit status.
    """
    began = time.monotonic()
    terminal = sys.stderr.isatty() if terminal is None else terminal
    logs.configure(terminal=terminal)
    deadlines = (config.limits.deadline_seconds, at_most_seconds)
    stop = Stop(min((each for each in deadlines if each is not None), default=None))
    with _stopped_by_signals(stop) as interrupt:
        arguments: dict[str, Any] = {
            "dry_run": dry_run,
            "deliver_dry_run": deliver_dry_run,
            "stop": stop,
        }
        if terminal:
            report = _run_for_a_person(config, arguments, interrupt, ask=ask)
            return report, int(exit_status(report))
        report = app.run(config, observer=logs.LogObserver(), **arguments)
    status = exit_status(report)
    metrics.emit(report, time.monotonic() - began, sys.stderr)
    logs.log_finished(report, status)
    return report, int(status)


def _run_for_a_person(
    config: Config, arguments: dict[str, Any], interrupt: Interrupt, *, ask: bool
) -> Report:
    from rich.console import Console

    from sweeper.terminal import ProgressObserver, show

    width = None if sys.stderr.isatty() else 120
    console = Console(stderr=True, highlight=False, width=width)
    with ProgressObserver(console) as progress:

        def approve(findings: Sequence[Finding]) -> bool:
            if not ask or not sys.stdin.isatty():
                return True
            return _confirmed(findings, console, progress, interrupt)

        report = app.run(config, observer=progress, approve=approve, **arguments)
    show(report, console)
    return report


def _confirmed(
    findings: Sequence[Finding], console: Console, progress: ProgressObserver, interrupt: Interrupt
) -> bool:
    from sweeper.terminal import question

    progress.pause()
    with interrupt.raising():
        try:
            return click.confirm(question(findings), default=False, err=True)
        except (click.Abort, KeyboardInterrupt):
            console.print()
            return False


class Interrupt:
    """What SIGINT and SIGTERM do: ask the sweep to end; a second SIGINT ends the process."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._raising = False

    def __call__(self, signum: int, _frame: object) -> None:
        """Handle the signal; see the class."""
        self._stop.request()
        signal.signal(signum, signal.SIG_DFL)
        if self._raising:
            raise KeyboardInterrupt

    @contextmanager
    def raising(self) -> Iterator[None]:
        """A question waits for an answer inside: a signal is one."""
        self._raising = True
        try:
            yield
        finally:
            self._raising = False


@contextmanager
def _stopped_by_signals(stop: Stop) -> Iterator[Interrupt]:
    interrupt = Interrupt(stop)
    previous = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield interrupt
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
