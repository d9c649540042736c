"""`sweeper preflight`."""

from __future__ import annotations

import sys
from typing import Any

import click

from sweeper.entrypoints.cli.common import print_pieces, read_config
from sweeper.entrypoints.cli.options import (
    SCOPE,
    config_option,
    log_options,
    profile_option,
    value_options,
)
from sweeper.entrypoints.log_style import LogStyle


@click.command(short_help="Check access and destinations before a sweep.")
@config_option
@profile_option
@value_options(*SCOPE)
@click.option("--impact", is_flag=True, help="Ask for what `sweeper run --impact` reads, too.")
@click.option(
    "--no-write-probe",
    is_flag=True,
    help="Do not test write access, which CloudTrail shows as failed writes.",
)
@click.option(
    "--format", "form", type=click.Choice(["json", "text"]), default="text", help="Default: text."
)
@log_options
def preflight(
    path: str | None,
    profile: str | None,
    values: dict[str, Any],
    impact: bool,
    no_write_probe: bool,
    form: str,
    style: LogStyle,
) -> int:
    """Check access and destinations before a sweep.

    Asks as a sweep would, and changes nothing: who runs it and may list the organization, the
    member role in each account, each action in each region, the report's destinations. What does
    not work is grouped by its fix.

    \b
    Exit status, the highest that applies:
      0  everything that was checked works
      1  internal error
      2  usage, configuration, or nothing to sweep
      4  an account, region or action would not work
      5  a destination would not accept the report

    \b
    Examples:
      sweeper preflight --impact
      sweeper preflight --ou ou-ab12-11111111 --no-write-probe
      sweeper preflight --format json | jq .accounts.without_role
    """
    from sweeper.engine.preflight.problems import judge
    from sweeper.entrypoints.logs import is_terminal
    from sweeper.entrypoints.preflight import check_access
    from sweeper.entrypoints.preflight_text import render_preflight
    from sweeper.reporting.preflight import preflight_document

    if impact:
        values["remediation"] = {"assess_impact": True}
    read = read_config(path, values, profile=profile, style=style)
    facts = check_access(
        read,
        write_probe=not no_write_probe,
        terminal=is_terminal(sys.stderr),
        profile=profile,
        style=style,
    )
    verdict = judge(facts, read.config)
    render = preflight_document if form == "json" else render_preflight
    return print_pieces((render(facts, verdict, read.config),), int(verdict.status))
