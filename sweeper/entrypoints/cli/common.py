"""What several commands have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sweeper.config.loader import Loaded
    from sweeper.config.schema import Config
    from sweeper.domain.report_model import Report

config_option = click.option(
    "--config",
    "path",
    type=click.Path(),
    metavar="FILE",
    help="config.yaml: a path, ssm:NAME or s3://BUCKET/KEY.",
)
_SWEEP_OPTIONS = (
    click.option("--account", "accounts", multiple=True, metavar="ID", help="Only this account."),
    click.option("--region", "regions", multiple=True, metavar="REGION", help="Only this region."),
    click.option("--ou", "ous", multiple=True, metavar="ID", help="Only accounts below this OU."),
    click.option(
        "--output", type=click.Path(), metavar="DIR", help="Write the report into this directory."
    ),
)


def sweep_options(command: Callable[..., int]) -> Callable[..., int]:
    """The options that stand for keys of the configuration: what `sweep_values` takes."""
    for option in reversed(_SWEEP_OPTIONS):
        command = option(command)
    return command


def sweep_values(
    accounts: tuple[str, ...], regions: tuple[str, ...], ous: tuple[str, ...], output: str | None
) -> dict[str, Any]:
    """What the options say, nested like the file."""
    options: dict[str, Any] = {}
    for section, key, value in (
        ("organization", "include_accounts", accounts),
        ("organization", "within_ous", ous),
        ("regions", "include", regions),
        ("report", "directory", output),
    ):
        if value not in (None, ()):
            options.setdefault(section, {})[key] = value
    return options


def configuration(path: str | None, options: Mapping[str, Any]) -> Config:
    """The configuration of the file, the environment and the options."""
    return loaded(path, options).config


def loaded(path: str | None, options: Mapping[str, Any]) -> Loaded:
    """As `configuration`, with where it came from."""
    from sweeper.aws.client.session import read_remote
    from sweeper.config.loader import load
    from sweeper.entrypoints import logs

    logs.configure()
    return load(path, dict(options), read_remote=read_remote)


def print_report(report: Report, form: str, status: int) -> int:
    """Print the report; the exit status, which a reader who leaves early does not change."""
    from sweeper.reporting.formats import load_format

    return print_pieces(load_format(form).render(report), status)


def print_pieces(pieces: Iterable[bytes], status: int) -> int:
    """As `print_report`, of what is rendered."""
    from sweeper.domain.masking import mask
    from sweeper.domain.report import ExitStatus

    try:
        sys.stdout.buffer.writelines(map(mask, pieces))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        return status
    except OSError as error:
        say(f"the report could not be printed: {error.strerror}")
        return status if status == ExitStatus.INTERNAL_ERROR else ExitStatus.NOT_DELIVERED
    return status


def say(text: str) -> None:
    """Tell the person; that they cannot be told ends nothing."""
    from sweeper.domain.masking import mask_message
    from sweeper.engine.pool import or_defect

    or_defect(lambda: click.echo(f"sweeper: {mask_message(text)}", err=True))


def scope_options(command: Callable[..., int]) -> Callable[..., int]:
    """Of `sweep_options` those that say what is looked at, and not where the report goes."""
    for option in reversed(_SWEEP_OPTIONS[:-1]):
        command = option(command)
    return command
