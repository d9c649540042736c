"""One run for a person (progress, a question) or for a machine (logs); and how it is stopped."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sweeper.config import loader as config_loading
from sweeper.domain.errors import ConfigurationError, ExitStatus
from sweeper.domain.escaping import plain
from sweeper.domain.exit_status import exit_status
from sweeper.domain.model import Finding
from sweeper.domain.recorded_changes import RecordedChanges
from sweeper.domain.report_model import Report
from sweeper.engine.defects import or_defect
from sweeper.engine.pool import DELIVERY_SECONDS, Stop
from sweeper.entrypoints import app, logs, metrics
from sweeper.entrypoints.cli.common import say
from sweeper.entrypoints.log_observer import LogObserver
from sweeper.entrypoints.log_style import AUTO, LogStyle
from sweeper.entrypoints.logs import is_terminal

if TYPE_CHECKING:
    from rich.console import Console

    from sweeper.config.provenance import Provenance
    from sweeper.config.schema import Config

_E = TypeVar("_E")

# How long a report may be delivered where the process is ended soon after `at_most_seconds`.
_DELIVERY_BEFORE_THE_END = 60.0


def run_interactive(
    config: Config,
    options: app.RunOptions,
    provenance: Provenance | None = None,
    *,
    ask: bool = True,
    terminal: bool | None = None,
    at_most_seconds: float | None = None,
    show_commands: bool = True,
    fail_on: Collection[int] = tuple(ExitStatus),
) -> tuple[Report, int]:
    """Run once, for a person (`terminal`; None: where stderr is one) or for a machine.

    A person gets progress, one question before anything is written (unless `ask` is false) and a
    summary; `options.style` may leave them with logs, too. A machine gets logs and, of a run that
    is neither dry nor narrowed, a line of metrics for CloudWatch.

    Args:
        config: Of the run.
        options: How this run differs from it.
        provenance: Where the configuration came from; None: from nowhere else.
        ask: Whether to ask the person.
        terminal: Whether a person reads stderr.
        at_most_seconds: No new work starts after these, or after limits.deadline_seconds.
        show_commands: Whether the summary has commands for the next step.
        fail_on: The exit statuses that are used, of those that a whole sweep can have.

    Returns:
        The report, and the exit status.

    Raises:
        ConfigurationError: Before anything is called, if a run that may write has to ask and
            cannot.

    """
    began = time.monotonic()
    config_loading.deployment()  # an error of the configuration, if it has one
    recorded, style = options.recorded, options.style
    may_write = not options.dry_run and (recorded or config.remediation.auto_remediate == "ENABLED")
    if ask and may_write:
        require_prompt(recorded.kind if recorded else "run")
    terminal = is_terminal(sys.stderr) if terminal is None else terminal
    shows_summary = style.shows_summary(terminal=terminal)
    _say_configuration(provenance, shown=shows_summary)
    warn = _is_remediation_still_enabled(config, recorded)

    def sweep(**guards: Any) -> app.RunResult:
        if warn:
            logs.log(
                logging.WARNING,
                "remediation.enabled",
                sentence=_REMEDIATION_STILL_ENABLED,
                message=_REMEDIATION_STILL_ENABLED,
            )
        return app.run_sweep(config, options, provenance, **guards)

    def question(findings: Sequence[Finding], console: Console) -> str:
        from sweeper.entrypoints.terminal import question

        lines, asked = question(findings, recorded)
        console.print(lines, markup=False, emoji=False, soft_wrap=True)
        return asked

    def show(ended: app.RunResult, console: Console) -> None:
        from sweeper.entrypoints.terminal import show_summary

        show_summary(
            ended.report,
            console,
            resumable=ended.resumable,
            file=ended.file,
            show_commands=show_commands,
        )
        if warn and ended.report.totals.changes.applied:
            console.print(f"\nRemember: {_REMEDIATION_STILL_ENABLED}", markup=False, soft_wrap=True)

    ended = run_supervised(
        config,
        sweep,
        terminal=terminal,
        ask=question if ask else None,
        show=show,
        at_most_seconds=at_most_seconds,
        style=style,
    )
    report = ended.report
    status = exit_status(report, fail_on)
    # Alarms wait for whole sweeps, quiet ones too; one that met another's lease was no sweep.
    narrowed = recorded is not None or (provenance is not None and provenance.once)
    counts = not (terminal or options.dry_run or narrowed or status is ExitStatus.LEASE_HELD)
    seconds = time.monotonic() - began
    log_result(ended, status, seconds, metrics_count=counts, logged=not shows_summary)
    return report, int(status)


def log_result(
    ended: app.RunResult, status: int, seconds: float, *, metrics_count: bool, logged: bool = True
) -> None:
    """Write the metrics of a run, where they count for the deployment, and log how it ended."""
    report, deployment = ended.report, config_loading.deployment()
    if metrics_count:
        or_defect(lambda: metrics.emit(report, seconds, sys.stderr, deployment=deployment))
    if logged:
        or_defect(lambda: logs.log_finished(report, status, ended.file, resumable=ended.resumable))


def _say_configuration(provenance: Provenance | None, *, shown: bool) -> None:
    """Name the file of the configuration: ./config.yaml is read without an option."""
    if provenance and shown:
        files = [each.name for each in provenance.configuration.sources if each.kind == "file"]
        say(f"configuration: {plain(', '.join(files)) or 'no file; all defaults'}")


_REMEDIATION_STILL_ENABLED = (
    "the next sweep makes these immutable again where it may write; first set "
    "remediation.auto_remediate: DISABLED, or put the accounts under remediation.exclude_accounts"
)


def _is_remediation_still_enabled(config: Config, recorded: RecordedChanges | None) -> bool:
    """Tell whether the next sweep may make immutable what an undo reverts."""
    if recorded is None or recorded.kind != "undo":
        return False
    left_out = set(config.remediation.exclude_accounts)
    accounts = {finding.account_id for finding in recorded.findings}
    return config.remediation.auto_remediate == "ENABLED" and not accounts <= left_out


def require_prompt(command: str) -> None:
    """Raise ConfigurationError unless stdin and stderr are terminals: a person must be asked."""
    streams = {"stdin": sys.stdin, "stderr": sys.stderr}
    if missing := [name for name, stream in streams.items() if not is_terminal(stream)]:
        raise ConfigurationError(
            f"this {command} may change repositories, and cannot ask first: {missing[0]} is not a "
            "terminal. Pass --yes to make the changes unasked, or --dry-run to make none"
        )


def run_supervised(
    config: Config,
    work: Callable[..., _E],
    *,
    terminal: bool = False,
    ask: Callable[[Sequence[Finding], Console], str] | None = None,
    show: Callable[[_E, Console], None] | None = None,
    at_most_seconds: float | None = None,
    style: LogStyle = AUTO,
) -> _E:
    """Return the result of `work(stop=…, observer=…, approve=…)`.

    A deadline or a signal stops it. A person at a `terminal` sees progress, answers the question
    that `ask` makes of the changes that are due, and is shown the result; `style` may leave them
    with logs and the question. Else there are logs.
    """
    logs.configure(terminal=terminal, style=style)
    deadlines = (config.limits.deadline_seconds, at_most_seconds)
    stop = Stop(
        min((each for each in deadlines if each is not None), default=None),
        delivery_seconds=DELIVERY_SECONDS if at_most_seconds is None else _DELIVERY_BEFORE_THE_END,
    )
    with _stopped_by_signals(stop) as interrupt:
        if terminal:
            return _for_a_person(work, stop, interrupt, ask=ask, show=show, style=style)
        return work(stop=stop, observer=LogObserver(), approve=lambda _: True)


def _for_a_person(
    work: Callable[..., _E],
    stop: Stop,
    interrupt: _Interrupt,
    *,
    ask: Callable[[Sequence[Finding], Console], str] | None,
    show: Callable[[_E, Console], None] | None,
    style: LogStyle,
) -> _E:
    from rich.console import Console

    from sweeper.entrypoints.terminal import ProgressObserver

    width = None if is_terminal(sys.stderr) else 120
    console = Console(stderr=True, highlight=False, width=width)
    progress = ProgressObserver(console) if style.shows_progress else None

    def approve(findings: Sequence[Finding]) -> bool:
        if ask is None:
            return True
        if progress:
            progress.stop()
        with interrupt.raising():
            try:
                return click.confirm(ask(findings, console), default=False, err=True)
            except (click.Abort, KeyboardInterrupt):
                console.print()
                return False

    # The terminal may break; the sweep and its exit status do not depend on it.
    if progress:
        or_defect(progress.start)
    try:
        ended = work(stop=stop, observer=progress or LogObserver(), approve=approve)
    finally:
        if progress:
            or_defect(progress.stop)
    if show and style.shows_summary(terminal=True):
        or_defect(lambda: show(ended, console))
    return ended


# Seconds from the first signal in which another is taken for the same: of a terminal's process
# group, each wrapper that passes it on sends it once more.
_ONE_SIGNAL = 1.0


class _Interrupt:
    """Handler of SIGINT, SIGTERM and SIGHUP: ends the sweep; a second signal ends the process.

    Nothing is lost then: a change is in the journal before it is written.
    """

    def __init__(self, stop: Stop, clock: Callable[[], float] = time.monotonic) -> None:
        self._stop = stop
        self._clock = clock
        self._first: float | None = None
        self._raising = False

    def __call__(self, signum: int, _frame: object) -> None:
        """Handle the signal; see the class."""
        if self._first is None:
            self._first = self._clock()
        elif self._clock() - self._first >= _ONE_SIGNAL:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
            os._exit(
                128 + signum
            )  # a container's first process outlives a signal that is not handled
        self._stop.request()
        if self._raising:
            raise KeyboardInterrupt

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Inside, a signal answers the question that waits for an answer."""
        self._raising = True
        try:
            yield
        finally:
            self._raising = False


@contextmanager
def _stopped_by_signals(stop: Stop) -> Iterator[_Interrupt]:
    """Handle SIGINT, SIGTERM and SIGHUP inside with an _Interrupt of `stop`."""
    interrupt = _Interrupt(stop)
    previous = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN  # as nohup has it
    }
    try:
        yield interrupt
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
