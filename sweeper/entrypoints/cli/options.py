"""The options that several commands take: a group of them reaches its command as one argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar

import click

from sweeper.entrypoints.log_style import LogStyle

_F = TypeVar("_F", bound=Callable[..., Any])
_Option = Callable[[_F], _F]

# The exit statuses that --fail-on chooses from, by its names for them.
_FAIL_ON: Mapping[str, int] = {"findings": 3, "coverage": 4, "delivery": 5}
_EMPTY = "an empty value; give it one, or leave the option out"


def _split(
    _context: click.Context, _parameter: click.Parameter, values: Sequence[str]
) -> tuple[str, ...]:
    """Return each value of an option that may be repeated, and that takes several with commas."""
    parts = tuple(part.strip() for value in values for part in value.split(","))
    if "" in parts:
        raise click.BadParameter(_EMPTY)
    return parts


def refuse_empty(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> str | None:
    """Return the value; raise BadParameter for an empty one, as of a variable that is not set."""
    if value is not None and not value.strip():
        raise click.BadParameter(_EMPTY)
    return value


def several(flag: str, name: str, *, metavar: str, help: str) -> _Option[Any]:  # noqa: A002
    """Make an option that may be repeated and takes commas, and says so."""
    return click.option(
        flag,
        name,
        multiple=True,
        metavar=metavar,
        callback=_split,
        help=f"{help} May be repeated; commas too.",
    )


config_option = click.option(
    "--config",
    "path",
    type=click.Path(),
    metavar="FILE",
    help="config.yaml: a path, ssm:NAME or s3://BUCKET/KEY; default: ./config.yaml, if it exists.",
)
profile_option = click.option(
    "--profile", metavar="NAME", help="Call AWS with this profile of the AWS configuration."
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Check and plan; change nothing.")
deliver_option = click.option(
    "--deliver", is_flag=True, help="Also send a dry-run report to S3, SNS and Security Hub."
)
resume_option = click.option(
    "--resume",
    metavar="RUN",
    callback=refuse_empty,
    help="Resume an interrupted run (ID or journal path).",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask before changing repositories.")
form_option = click.option(
    "--format",
    "form",
    type=click.Choice(["json", "markdown", "text"]),
    help="Print the report to stdout.",
)
account_option = several("--account", "accounts", metavar="ID", help="Only this account.")
exclude_account_option = several(
    "--exclude-account", "excluded", metavar="ID", help="Leave out this account."
)

# The options that stand for keys of the configuration, by the name of their argument.
_VALUES: Mapping[str, tuple[tuple[str, str], _Option[Any]]] = {
    "impact": (
        ("remediation", "assess_impact"),
        click.option(
            "--impact", is_flag=True, help="Report tags that appear intentionally mutable."
        ),
    ),
    "accounts": (("organization", "include_accounts"), account_option),
    "excluded": (("organization", "exclude_accounts"), exclude_account_option),
    "regions": (
        ("regions", "include"),
        several("--region", "regions", metavar="REGION", help="Only this region."),
    ),
    "ous": (
        ("organization", "within_ous"),
        several("--ou", "ous", metavar="ID", help="Only accounts below this OU."),
    ),
    "role_name": (
        ("organization", "role_name"),
        click.option("--role-name", metavar="NAME", help="The role to assume in each account."),
    ),
    "output": (
        ("report", "directory"),
        click.option(
            "--output",
            type=click.Path(),
            metavar="DIR",
            help="Write the report into this directory.",
        ),
    ),
    "formats": (
        ("report", "formats"),
        several(
            "--formats", "formats", metavar="LIST", help="The formats of its files: html, csv, …."
        ),
    ),
    "max_changes": (
        ("remediation", "max_changes"),
        click.option(
            "--max-changes",
            type=int,
            metavar="N",
            help="Make no change where more than N are due; replaces the configured number.",
        ),
    ),
}
SCOPE = ("accounts", "excluded", "regions", "ous", "role_name")
SWEEP = ("impact", *SCOPE, "output", "formats", "max_changes")


def require_dry_run(*, deliver: bool, dry_run: bool) -> None:
    """Raise UsageError where --deliver stands without --dry-run."""
    if deliver and not dry_run:
        raise click.UsageError("--deliver works only with --dry-run; other runs always deliver")


def _gather(
    command: _F, options: Sequence[_Option[Any]], names: Sequence[str], into: str, make: Any
) -> _F:
    """Add the options; the command gets what `make` makes of them as its argument `into`."""

    @wraps(command)
    def call(**given: Any) -> Any:
        own = {name: given.pop(name) for name in names}
        return command(**given, **{into: make(**own)})

    for option in reversed(options):
        call = option(call)
    return call  # type: ignore[return-value]  # it takes other arguments, which Click knows


def value_options(*names: str) -> _Option[Any]:
    """Add options that stand for keys: the argument `values`, nested like the file."""

    def make(**given: Any) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, value in given.items():
            section, key = _VALUES[name][0]
            if value is not None and value is not False and value != ():
                values.setdefault(section, {})[key] = value
        return values

    return lambda command: _gather(
        command, [_VALUES[name][1] for name in names], names, "values", make
    )


def _log_style(**style: Any) -> LogStyle:
    if style["quiet"] and style["verbose"]:
        raise click.UsageError("--quiet and --verbose contradict each other; use one of them")
    return LogStyle(**style)


def log_options(command: _F) -> _F:
    """Add --quiet, --verbose and --log-format: the argument `style`."""
    options = (
        click.option("--quiet", is_flag=True, help="No progress and no summary; only errors."),
        click.option("--verbose", is_flag=True, help="Log each account and region, too."),
        click.option(
            "--log-format",
            type=click.Choice(["auto", "json", "text"]),
            default="auto",
            show_default=True,
            help="How to log; auto: text at a terminal, else JSON.",
        ),
    )
    return _gather(command, options, ("quiet", "verbose", "log_format"), "style", _log_style)


def _statuses(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> frozenset[int]:
    names = _split(context, parameter, values)
    if unknown := sorted(set(names) - {*_FAIL_ON, "never"}):
        raise click.BadParameter(f"{unknown[0]!r}; allowed: {', '.join(_FAIL_ON)}, never")
    if "never" in names and len(names) > 1:
        raise click.BadParameter("never stands alone")
    return frozenset(_FAIL_ON[name] for name in names or _FAIL_ON if name != "never")


fail_on_option = click.option(
    "--fail-on",
    multiple=True,
    metavar="LIST",
    callback=_statuses,
    help="Of exit statuses 3, 4 and 5 use only these: findings, coverage, delivery; or never. "
    "May be repeated; commas too.",
)
