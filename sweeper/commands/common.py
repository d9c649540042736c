"""What several commands have in common."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sweeper.config import Config
    from sweeper.model import Report

config_option = click.option(
    "--config", "path", metavar="FILE", help="config.yaml: a path, ssm:NAME or s3://BUCKET/KEY."
)


def configuration(path: str | None, options: Mapping[str, Any]) -> Config:
    """The configuration of the file, the environment and the options; see `load_config`."""
    from sweeper.aws.session import read_remote
    from sweeper.config_loading import load_config

    return load_config(path, dict(options), read_remote=read_remote)


def print_report(report: Report, form: str, status: int) -> int:
    """Print the report; the exit status, which a reader who leaves early does not change."""
    from sweeper.formats import formats

    return print_bytes(formats()[form].render(report), status)


def print_bytes(content: bytes, status: int) -> int:
    """Print a report as it was rendered; see `print_report`."""
    from sweeper.report import ExitStatus

    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        return status
    except OSError as error:
        say(f"the report could not be printed: {error.strerror}")
        return status if status == ExitStatus.INTERNAL_ERROR else ExitStatus.NOT_DELIVERED
    return status


def say(text: str) -> None:
    """Tell the person; that they cannot be told ends nothing."""
    from sweeper.concurrency import or_defect

    or_defect(lambda: click.echo(f"sweeper: {text}", err=True))
