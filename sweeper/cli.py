"""The command line. What a sweep needs is imported when one starts, so that --help is quick."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from sweeper import __version__

if TYPE_CHECKING:
    from rich.console import Console

    from sweeper.concurrency import Stop
    from sweeper.config import Config
    from sweeper.model import Finding, Report
    from sweeper.terminal import ProgressObserver

INTERNAL_ERROR = 1
UNUSABLE = 2
INTERRUPTED = 130  # the shell's own for SIGINT, before any sweep has begun


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Say which ECR image tags of an AWS organization can be overwritten, and close them."""


@cli.command()
@click.option("--config", "path", metavar="FILE", help="config.yaml to read.")
@click.option("--dry-run", is_flag=True, help="Look and plan; write nothing.")
@click.option("--deliver", is_flag=True, help="Deliver a dry run to S3 and SNS too.")
@click.option("--yes", is_flag=True, help="Do not ask before changing repositories.")
@click.option("--account", "accounts", multiple=True, metavar="ID", help="Only this account.")
@click.option("--region", "regions", multiple=True, metavar="REGION", help="Only this region.")
@click.option("--ou", "ous", multiple=True, metavar="ID", help="Only accounts below this OU.")
@click.option("--output", metavar="DIR", help="Write the report into this directory.")
@click.option(
    "--format", "form", type=click.Choice(["json", "text"]), help="Print the report to stdout."
)
def run(  # noqa: PLR0917 (click passes them by name)
    path: str | None,
    dry_run: bool,
    deliver: bool,
    yes: bool,
    accounts: tuple[str, ...],
    regions: tuple[str, ...],
    ous: tuple[str, ...],
    output: str | None,
    form: str | None,
) -> int:
    r"""Sweep the organization.

    \b
    Exit status: 0 all examined, no finding remains; 1 internal error; 2 usage, configuration,
    or nothing to sweep; 3 findings remain; 4 coverage not complete; 5 a report was not
    delivered. The highest of 3 to 5 that applies.
    """
    from sweeper.config_loading import load_config

    options: dict[str, Any] = {}
    for section, key, value in (
        ("organization", "include_accounts", accounts),
        ("organization", "include_ous", ous),
        ("regions", "include", regions),
        ("report", "directory", output),
    ):
        if value:
            options.setdefault(section, {})[key] = value
    config = load_config(path, options)
    report, status = conduct(config, dry_run=dry_run, deliver_dry_run=deliver, ask=not yes)
    terminal = sys.stderr.isatty()
    if form or (dry_run and not terminal):
        _print(report, form or "text")
    return status


@cli.command()
def demo() -> int:
    """Sweep an organization embedded with moto: no AWS account, no network."""
    from sweeper.demo.command import run_demo

    run_demo()
    return 0


def conduct(
    config: Config,
    *,
    dry_run: bool,
    deliver_dry_run: bool = False,
    ask: bool = True,
    terminal: bool | None = None,
) -> tuple[Report, int]:
    """One sweep, for a person (`terminal`; None: where stderr is one) or for a machine.

    A person gets progress, one question before anything is written and a summary; a machine
    gets logs. The report, and the exit status.
    """
    from sweeper import logs
    from sweeper.concurrency import Stop
    from sweeper.report import exit_status

    terminal = sys.stderr.isatty() if terminal is None else terminal
    logs.configure(terminal=terminal)
    stop = Stop(config.limits.deadline_seconds)
    with _stopped_by_signals(stop) as interrupt:
        arguments: dict[str, Any] = {
            "dry_run": dry_run,
            "deliver_dry_run": deliver_dry_run,
            "stop": stop,
        }
        if terminal:
            report = _run_for_a_person(config, arguments, interrupt, ask=ask)
            return report, int(exit_status(report))
        from sweeper import app

        report = app.run(config, observer=logs.LogObserver(), **arguments)
    status = exit_status(report)
    logs.log_finished(report, status)
    return report, int(status)


def _run_for_a_person(
    config: Config, arguments: dict[str, Any], interrupt: Interrupt, *, ask: bool
) -> Report:
    from rich.console import Console

    from sweeper import app
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


def _print(report: Report, form: str) -> None:
    from sweeper.formats import formats

    sys.stdout.buffer.write(formats()[form].render(report))
    sys.stdout.buffer.flush()


def main() -> None:
    """The console script: every end of a run has its exit status and no stack trace."""
    from sweeper.concurrency import or_defect
    from sweeper.escaping import plain

    result = or_defect(_main)
    if isinstance(result, str):
        click.echo(f"sweeper: internal error, please report it: {plain(result)}", err=True)
        sys.exit(INTERNAL_ERROR)
    sys.exit(result)


def _main() -> int:
    from sweeper.errors import ConfigurationError
    from sweeper.escaping import plain

    try:
        result = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("sweeper: interrupted", err=True)
        return INTERRUPTED
    except ConfigurationError as error:
        for line in str(error).splitlines():
            click.echo(f"sweeper: {plain(line)}", err=True)
        return UNUSABLE
    return result if isinstance(result, int) else 0
