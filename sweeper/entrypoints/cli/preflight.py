"""`sweeper preflight`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from sweeper.entrypoints.cli.common import loaded, print_pieces
from sweeper.entrypoints.cli.options import (
    SCOPE,
    config_option,
    log_options,
    profile_option,
    value_options,
)
from sweeper.entrypoints.log_style import LogStyle

if TYPE_CHECKING:
    from sweeper.config.loader import Loaded
    from sweeper.engine.pool import Stop
    from sweeper.engine.ports import Observer
    from sweeper.engine.preflight.facts import Facts


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
def preflight(  # noqa: PLR0917 (click passes them by name)
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
    not work is grouped by what mends it.

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
    """  # noqa: D301 (click's mark for lines to keep)
    from sweeper.engine.preflight.problems import judge
    from sweeper.entrypoints.preflight_text import rendered
    from sweeper.reporting.preflight.document import document

    if impact:
        values["remediation"] = {"assess_impact": True}
    read = loaded(path, values, profile=profile, style=style)
    facts = _look(read, profile, style, write_probe=not no_write_probe)
    verdict = judge(facts, read.config)
    render = document if form == "json" else rendered
    return print_pieces((render(facts, verdict, read.config),), int(verdict.status))


def _look(read: Loaded, profile: str | None, style: LogStyle, *, write_probe: bool) -> Facts:
    """Ask, with progress for a person at stderr and logs for a machine."""
    import secrets
    from contextlib import ExitStack

    from sweeper.aws.client.session import callers_session, refuse_unknown_regions
    from sweeper.engine.preflight.look import run_preflight
    from sweeper.entrypoints import logs
    from sweeper.entrypoints.app import unfinished
    from sweeper.entrypoints.bootstrap import questions
    from sweeper.entrypoints.runner import run_supervised
    from sweeper.reporting.formats import chosen_formats

    config, session = read.config, callers_session(profile)
    chosen_formats(config)
    refuse_unknown_regions(config, session, read.provenance.regions_from)

    def work(*, stop: Stop, observer: Observer, **_: object) -> Facts:
        run_id = f"preflight-{secrets.token_hex(3)}"
        logs.bind_run(run_id)
        logs.log_unfinished(unfinished(config))
        with ExitStack() as at_the_end:
            cloud, asked = questions(
                config,
                session=session,
                stop=stop,
                run_id=run_id,
                write_probe=write_probe,
                at_the_end=at_the_end,
            )
            return run_preflight(cloud, asked, config, stop=stop, observer=observer)

    return run_supervised(
        config,
        work,
        terminal=logs.is_terminal(sys.stderr),
        ask=None,
        show=lambda *_: None,
        style=style,
    )
