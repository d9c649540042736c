"""`sweeper config`: its commands look at the configuration, and sweep nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sweeper.entrypoints.cli.common import loaded, print_pieces
from sweeper.entrypoints.cli.config_init import init
from sweeper.entrypoints.cli.options import SWEEP, config_option, profile_option, value_options

if TYPE_CHECKING:
    from sweeper.config.loader import Loaded


@click.group()
def config() -> None:
    """Write a configuration, check it, show it, or print its schema.

    \b
    Examples:
      sweeper config init
      sweeper config check
      sweeper config show --format json
    """  # noqa: D301 (click's mark for lines to keep)


config.add_command(init)


@config.command()
@click.argument("path", required=False, metavar="[FILE]", type=click.Path())
@profile_option
def check(path: str | None, profile: str | None) -> int:
    """Check FILE and the environment, as a sweep would read them.

    FILE is a config.yaml: a path, ssm:NAME or s3://BUCKET/KEY; without it, that of a sweep.
    Exit status: 0, or 2 and what is wrong.

    \b
    Examples:
      sweeper config check
      sweeper config check deployed.yaml
      sweeper config check ssm:/sweeper/config
    """  # noqa: D301 (click's mark for lines to keep)
    from datetime import UTC, datetime

    from sweeper.aws.client.session import callers_session, refuse_unknown_regions
    from sweeper.checks import chosen_checks
    from sweeper.domain.errors import ConfigurationError
    from sweeper.domain.escaping import plain
    from sweeper.domain.exemptions import has_expired
    from sweeper.reporting.formats import chosen_formats
    from sweeper.reporting.sinks import chosen_plugins
    from sweeper.reporting.wording import number

    read = loaded(path, {}, profile=profile)
    problems = []
    for check_ in (
        lambda: chosen_formats(read.config),
        lambda: chosen_checks(read.config),
        lambda: chosen_plugins(read.config),
        lambda: refuse_unknown_regions(read.config, callers_session(profile)),
    ):
        try:
            check_()
        except ConfigurationError as error:
            problems.append(f"{read.file or 'the configuration'}: {error}")
    if problems:
        raise ConfigurationError("\n".join(problems))
    expired = "".join(
        f"The exemption of {plain(each.repository)} has expired on {each.expires}.\n"
        for each in read.config.exemptions
        if has_expired(each, datetime.now(UTC).date())
    )
    needs = ""
    if rules := read.config.tag_exemptions:
        needs = (
            f"{number(len(rules), 'exemption')} by account tag: the caller needs "
            "organizations:ListTagsForResource.\n"
        )
    return _print(f"read: {_what_was_read(read)}\n{expired}{needs}The configuration can be used.\n")


@config.command()
@config_option
@profile_option
@value_options(*SWEEP)
@click.option(
    "--format",
    "form",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="How to show it.",
)
def show(path: str | None, profile: str | None, form: str, values: dict[str, Any]) -> int:
    """Show every key, its value, and where that came from.

    The YAML is a config.yaml that says the same. The options are those of a sweep.

    \b
    Examples:
      sweeper config show
      sweeper config show --config deployed.yaml --region eu-central-1 --format json
    """  # noqa: D301 (click's mark for lines to keep)
    from sweeper.config.rendering import as_json, as_yaml

    read = loaded(path, values, profile=profile)
    return _print(as_json(read) if form == "json" else as_yaml(read))


@config.command()
def schema() -> int:
    """Print the JSON Schema of config.yaml.

    \b
    Examples:
      sweeper config schema > config.schema.json
    """  # noqa: D301 (click's mark for lines to keep)
    import json

    from sweeper.checks import checks
    from sweeper.config import json_schema
    from sweeper.reporting.formats import FORMATS

    content = json_schema.schema(checks(), FORMATS)
    return _print(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _what_was_read(read: Loaded) -> str:
    from sweeper.domain.escaping import plain

    names = {str(each) for each in read.layers.origins.values() if each.kind == "environment"}
    return ", ".join([plain(read.file) if read.file else "no file", *sorted(names)])


def _print(text: str) -> int:
    return print_pieces((text.encode(),), 0)
