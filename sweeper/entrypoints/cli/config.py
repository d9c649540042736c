"""`sweeper config`: commands about the configuration, which sweep nothing."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import sweeper
from sweeper.entrypoints.cli.common import print_pieces, read_config, say
from sweeper.entrypoints.cli.options import (
    SWEEP,
    config_option,
    profile_option,
    several,
    value_options,
)

if TYPE_CHECKING:
    from sweeper.config.loader import Loaded


_Values = dict[str, dict[str, Any]]

_HEADER = """\
# Every key of the configuration: what was answered, and the defaults of the others.
# The environment overrides this file (SWEEPER_REMEDIATION__AUTO_REMEDIATE=DISABLED), options on
# the command line override both. But --account, --region and --ou only narrow.
# `sweeper config check` checks it, `sweeper config schema` prints its JSON Schema.

"""
_SWITCH = click.Choice(["ENABLED", "DISABLED"])
_OPTION_NAMES: Mapping[tuple[str, ...], str] = {
    ("organization", "role_name"): "--role-name",
    ("organization", "include_ous"): "--include-ou",
    ("report", "s3"): "--s3-bucket",
    ("report", "sns_topic_arn"): "--sns-topic-arn",
}


@click.group()
def config() -> None:
    """Write a configuration, check it, show it, or print its schema.

    \b
    Examples:
      sweeper config init
      sweeper config check
      sweeper config show --format json
    """


@config.command()
@click.argument("path", default="config.yaml", metavar="[FILE]", type=click.Path(path_type=Path))
@click.option("--role-name", metavar="NAME", help="The role to assume in each account.")
@several("--include-ou", "ous", metavar="ID", help="Sweep only accounts below this OU.")
@click.option(
    "--auto-remediate",
    type=_SWITCH,
    help="Whether mutable repositories are made immutable.",
)
@click.option("--s3-bucket", metavar="NAME", help="Store the reports in this bucket.")
@click.option("--sns-topic-arn", metavar="ARN", help="Notify this topic.")
def init(
    path: Path,
    role_name: str | None,
    ous: Sequence[str],
    auto_remediate: str | None,
    s3_bucket: str | None,
    sns_topic_arn: str | None,
) -> int:
    """Write FILE, a config.yaml with a comment for every key.

    At a terminal it asks for what no option says; elsewhere the default is taken. An existing FILE
    is never replaced.

    \b
    Examples:
      sweeper config init
      sweeper config init deployed.yaml --auto-remediate DISABLED --s3-bucket reports
    """
    from sweeper.config.loader import load

    if path.exists():
        raise click.UsageError(f"{path} is there already; name another FILE, or remove it")
    values = _values(
        _ask("Role to assume in each account", role_name, "ecr-immutability-sweeper"),
        ous or _ask("OUs to sweep, with commas (empty: the whole organization)", None).split(","),
        _ask("Make mutable repositories immutable", auto_remediate, "DISABLED", _SWITCH),
        _ask("S3 bucket for the reports (empty: the directory report)", s3_bucket),
        _ask("SNS topic to notify, its ARN (empty: none)", sns_topic_arn),
    )
    load("/dev/null", values, option_names=_OPTION_NAMES)  # refuses what is not allowed
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_HEADER + _fill(_template(), values))
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}") from None
    say(f"{path} is written; next: sweeper preflight --config {path}")
    return 0


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
    """
    from datetime import UTC, datetime

    from sweeper.aws.client.session import callers_session, refuse_unknown_regions
    from sweeper.checks import chosen_checks
    from sweeper.domain.errors import ConfigurationError
    from sweeper.domain.escaping import plain
    from sweeper.domain.exemptions import has_expired
    from sweeper.reporting.formats import chosen_formats
    from sweeper.reporting.sinks import chosen_plugins
    from sweeper.reporting.wording import number

    read = read_config(path, {}, profile=profile)
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
    """
    from sweeper.config.rendering import as_json, as_yaml

    read = read_config(path, values, profile=profile)
    return _print(as_json(read) if form == "json" else as_yaml(read))


@config.command()
def schema() -> int:
    """Print the JSON Schema of config.yaml.

    \b
    Examples:
      sweeper config schema > config.schema.json
    """
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


def _fill(template: str, values: Mapping[str, Mapping[str, object]]) -> str:
    """Return the text of a config.yaml with these values, and its comments where they were."""
    section: Mapping[str, object] = {}

    def fill(line: str) -> str:
        nonlocal section
        if top := re.match(r"(\w+):", line):
            section = values.get(top[1], {})
        key = re.match(r"  (\w+): ", line)
        if not key or key[1] not in section:
            return line
        before, mark, comment = line.partition("  #")
        value = f"  {key[1]}: {json.dumps(section[key[1]])}"
        return f"{value:<{len(before)}}{mark}{comment}"

    return "".join(f"{fill(line)}\n" for line in template.splitlines())


def _values(role: str, ous: Sequence[str], remediate: str, bucket: str, topic: str) -> _Values:
    report: dict[str, Any] = {"s3": {"bucket": bucket}} if bucket else {"directory": "report"}
    return {
        "organization": {
            "role_name": role,
            "include_ous": [ou.strip() for ou in ous if ou.strip()],
        },
        "remediation": {"auto_remediate": remediate},
        "report": report | ({"sns_topic_arn": topic} if topic else {}),
    }


def _ask(
    question: str, given: str | None, default: str = "", allowed: click.Choice[str] | None = None
) -> str:
    if given is not None:
        return given
    if not (sys.stdin and sys.stdin.isatty()):
        return default
    answer: str = click.prompt(
        question, default=default, type=allowed, show_default=bool(default), err=True
    )
    return answer


def _template() -> str:
    """Read the config.yaml with all defaults: in the package, or beside it in a checkout."""
    package = Path(sweeper.__file__).parent
    paths = (package / "config.yaml", package.parent / "config.yaml")
    text = next(filter(Path.is_file, paths)).read_text(encoding="utf-8")
    return text[text.index("checks:") :]
