"""Functions that several commands use."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from sweeper.entrypoints.log_style import AUTO, LogStyle

if TYPE_CHECKING:
    from sweeper.config.loader import Loaded
    from sweeper.domain.report_model import Report


def read_config(
    path: str | None,
    options: Mapping[str, Any],
    *,
    profile: str | None = None,
    style: LogStyle = AUTO,
) -> Loaded:
    """Read the configuration of the file, the environment and the options, with its origins."""
    from functools import partial

    from sweeper.aws.client.session import read_remote
    from sweeper.config.loader import load
    from sweeper.entrypoints import logs

    logs.configure(style=style)
    return load(path, dict(options), read_remote=partial(read_remote, profile=profile))


def print_report_if_wanted(
    report: Report, form: str | None, status: int, *, dry_run: bool, fail_on: Collection[int]
) -> int:
    """Print the report if `form` asks for it, or stderr shows no summary of a dry run.

    Return the exit status.
    """
    from sweeper.domain.errors import ExitStatus
    from sweeper.entrypoints.logs import is_terminal
    from sweeper.reporting.formats import load_format

    if not (form or (dry_run and not is_terminal(sys.stderr))):
        return status
    printed = print_pieces(load_format(form or "text").render(report), status)
    return printed if printed != ExitStatus.NOT_DELIVERED or printed in fail_on else status


def print_pieces(pieces: Iterable[bytes], status: int) -> int:
    """Print what is rendered; return the exit status.

    A reader who leaves early does not change it.
    """
    from sweeper.domain.errors import ExitStatus
    from sweeper.domain.masking import mask

    try:
        sys.stdout.buffer.writelines(map(mask, pieces))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        return status
    except OSError as error:
        say(f"the report could not be printed: {error.strerror}")
        return status if status == ExitStatus.INTERNAL_ERROR else ExitStatus.NOT_DELIVERED
    return status


def text_table(rows: Sequence[Sequence[str]]) -> Iterator[bytes]:
    """Yield the lines of a table, of which the first row is the header."""
    from sweeper.domain.escaping import plain

    shown = [tuple(map(plain, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        padded = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield f"{'  '.join(padded).rstrip()}\n".encode()


def say(text: str) -> None:
    """Print a message to stderr; go on where that fails."""
    from sweeper.domain.masking import mask_message
    from sweeper.engine.defects import or_defect

    or_defect(lambda: click.echo(f"sweeper: {mask_message(text)}", err=True))
