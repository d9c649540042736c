"""The command line: its commands are COMMANDS."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from sweeper import __version__
from sweeper.entrypoints.cli.accounts import accounts
from sweeper.entrypoints.cli.common import say
from sweeper.entrypoints.cli.completion import completion
from sweeper.entrypoints.cli.config import config
from sweeper.entrypoints.cli.demo import demo
from sweeper.entrypoints.cli.distributed import distributed
from sweeper.entrypoints.cli.preflight import preflight
from sweeper.entrypoints.cli.recorded import apply, undo
from sweeper.entrypoints.cli.report import report
from sweeper.entrypoints.cli.run import run
from sweeper.entrypoints.cli.runs import runs
from sweeper.entrypoints.cli.template import template
from sweeper.entrypoints.interpreter import collect_garbage_rarely

COMMANDS = (
    accounts,
    apply,
    completion,
    config,
    demo,
    distributed,
    preflight,
    report,
    run,
    runs,
    template,
    undo,
)
_INTERRUPTED = 130  # the shell's own for SIGINT, before any sweep has begun


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Find mutable ECR tags across an AWS organization and make them immutable.

    \b
    Examples:
      sweeper demo
      sweeper run --dry-run --output ./report
      sweeper report ./report/report.json --format html --output report.html
    """


def _guard(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Return the callback, with an OSError as a defect.

    Click exits silently if a pipe breaks, and `_main` takes any other OSError for a stdout that
    cannot be written. That is right only for the help, which Click prints itself.
    """

    @wraps(callback)
    def run(*arguments: Any, **options: Any) -> Any:
        try:
            return callback(*arguments, **options)
        except OSError as error:
            raise RuntimeError(f"a command did not handle: {error}") from error

    return run


def _add(group: click.Group, command: click.Command) -> None:
    group.add_command(command)
    if command.callback:
        command.callback = _guard(command.callback)
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _add(command, inner)


for _command in COMMANDS:
    _add(cli, _command)


def main() -> None:
    """Run the console script: every end of a run has its exit status and no stack trace."""
    collect_garbage_rarely()  # before the imports, which leave most of the objects
    from sweeper.domain import masking
    from sweeper.domain.errors import ExitStatus
    from sweeper.domain.escaping import plain
    from sweeper.engine.defects import or_defect

    _replace_closed_streams()
    masking.register_environment()
    result = or_defect(_main)
    if isinstance(result, str):
        say(f"internal error, please report it: {plain(result)}")
        result = ExitStatus.INTERNAL_ERROR
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # it is broken: the interpreter would fail on it again, with its own status
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(result)


def _replace_closed_streams() -> None:
    """Write nowhere what is meant for a closed stream; else another file would get its number."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def _main() -> int:
    from sweeper.domain.errors import ConfigurationError, ExitStatus
    from sweeper.domain.escaping import plain
    from sweeper.domain.masking import mask_message
    from sweeper.engine.defects import or_defect

    stdout = sys.stdout
    try:
        result = cli.main(prog_name="sweeper", standalone_mode=False)
    except click.ClickException as error:
        error.message = mask_message(error.message)  # type: ignore[misc]  # final for subclasses
        or_defect(error.show)
        return error.exit_code
    except click.Abort:
        say("interrupted")
        return _INTERRUPTED
    except ConfigurationError as error:
        for line in str(error).splitlines():
            say(plain(line))
        return ExitStatus.UNUSABLE
    except OSError as error:  # of a command's own it is a defect: see `_guard`
        say(f"the text could not be printed: {error.strerror}")
        return ExitStatus.NOT_DELIVERED
    except SystemExit:
        if sys.stdout is stdout:
            raise
        return ExitStatus.CLEAN  # Click replaced the broken stdout: the reader of its help has left
    return result if isinstance(result, int) else 0
