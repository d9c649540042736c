"""The command line. What a sweep needs is imported when one starts, so that --help is quick."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from sweeper import __version__

if TYPE_CHECKING:
    from sweeper.model import Report

INTERRUPTED = 130  # the shell's own for SIGINT, before any sweep has begun


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Say which ECR image tags of an AWS organization can be overwritten, and close them."""


@cli.command()
@click.option(
    "--config", "path", metavar="FILE", help="config.yaml: a path, ssm:NAME or s3://BUCKET/KEY."
)
@click.option("--dry-run", is_flag=True, help="Look and plan; write nothing.")
@click.option("--impact", is_flag=True, help="Say which tags look moved by design.")
@click.option("--deliver", is_flag=True, help="Deliver a dry run beyond the directory, too.")
@click.option("--resume", metavar="RUN", help="Go on with a run: its id, or its journal's path.")
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
    impact: bool,
    deliver: bool,
    resume: str | None,
    yes: bool,
    accounts: tuple[str, ...],
    regions: tuple[str, ...],
    ous: tuple[str, ...],
    output: str | None,
    form: str | None,
) -> int:
    """Sweep the organization.

    \b
    Exit status, the highest of 3 to 5 that applies:
      0  all was examined, and no finding remains
      1  internal error
      2  usage, configuration, or nothing to sweep
      3  findings remain
      4  coverage is not complete
      5  a report was not delivered
      6  another sweep is at work on the same place in S3
    """  # noqa: D301 (click's mark for lines to keep)
    from sweeper.app import read_remote
    from sweeper.config_loading import load_config
    from sweeper.runner import conduct, is_terminal

    options: dict[str, Any] = {}
    for section, key, value in (
        ("organization", "include_accounts", accounts),
        ("organization", "include_ous", ous),
        ("regions", "include", regions),
        ("report", "directory", output),
        ("remediation", "assess_impact", impact or None),
    ):
        if value not in (None, ()):
            options.setdefault(section, {})[key] = value
    config = load_config(path, options, read_remote=read_remote)
    report, status = conduct(
        config,
        dry_run=dry_run,
        deliver_dry_run=deliver,
        resume=resume,
        narrowed=bool(accounts or regions or ous),
        ask=not yes,
    )
    if form or (dry_run and not is_terminal(sys.stderr)):
        status = _print(report, form or "text", status)
    return status


@cli.command()
def demo() -> int:
    """Sweep an organization embedded with moto: no AWS account, no network."""
    from sweeper.demo.command import run_demo

    return run_demo()


def _print(report: Report, form: str, status: int) -> int:
    """Print the report; the exit status, which a reader who leaves early does not change."""
    from sweeper.formats import formats
    from sweeper.report import ExitStatus

    try:
        sys.stdout.buffer.write(formats()[form].render(report))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        return status
    except OSError as error:
        _say(f"the report could not be printed: {error.strerror}")
        return status if status == ExitStatus.INTERNAL_ERROR else ExitStatus.NOT_DELIVERED
    return status


def main() -> None:
    """The console script: every end of a run has its exit status and no stack trace."""
    from sweeper.concurrency import or_defect
    from sweeper.escaping import plain
    from sweeper.report import ExitStatus

    result = or_defect(_main)
    if isinstance(result, str):
        _say(f"internal error, please report it: {plain(result)}")
        result = ExitStatus.INTERNAL_ERROR
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # it is broken: the interpreter would fail on it again, with its own status
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(result)


def _say(text: str) -> None:
    from sweeper.concurrency import or_defect

    or_defect(lambda: click.echo(f"sweeper: {text}", err=True))


def _main() -> int:
    from sweeper.errors import ConfigurationError
    from sweeper.escaping import plain
    from sweeper.report import ExitStatus

    try:
        result = cli.main(prog_name="sweeper", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        _say("interrupted")
        return INTERRUPTED
    except ConfigurationError as error:
        for line in str(error).splitlines():
            _say(plain(line))
        return ExitStatus.UNUSABLE
    return result if isinstance(result, int) else 0
