"""What several commands have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from sweeper.config import Config
    from sweeper.model import Report

config_option = click.option(
    "--config", "path", metavar="FILE", help="config.yaml: a path, ssm:NAME or s3://BUCKET/KEY."
)

_Command = TypeVar("_Command", bound=Callable[..., Any])


def scope_options(command: _Command) -> _Command:
    """--account, --region and --ou, each as often as wanted; see `scope`."""
    for option in (  # the last is shown first
        click.option(
            "--ou", "ous", multiple=True, metavar="ID", help="Only accounts below this OU."
        ),
        click.option(
            "--region", "regions", multiple=True, metavar="REGION", help="Only this region."
        ),
        click.option(
            "--account", "accounts", multiple=True, metavar="ID", help="Only this account."
        ),
    ):
        command = option(command)
    return command


def scope(
    accounts: tuple[str, ...], regions: tuple[str, ...], ous: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """What these options set in the configuration."""
    options: dict[str, dict[str, Any]] = {}
    for section, key, value in (
        ("organization", "include_accounts", accounts),
        ("organization", "include_ous", ous),
        ("regions", "include", regions),
    ):
        if value:
            options.setdefault(section, {})[key] = value
    return options


def configuration(path: str | None, options: Mapping[str, Any]) -> Config:
    """The configuration of the file, the environment and the options; see `load_config`."""
    from sweeper.aws.session import read_remote
    from sweeper.config_loading import load_config

    return load_config(path, dict(options), read_remote=read_remote)


def print_report(report: Report, form: str, status: int) -> int:
    """Print the report; see `print_bytes`."""
    from sweeper.formats import formats

    return print_bytes(formats()[form].render(report), status)


def print_bytes(content: bytes, status: int) -> int:
    """Print it; the exit status, which a reader who leaves early does not change."""
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
