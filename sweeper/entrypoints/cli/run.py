"""`sweeper run`."""

from __future__ import annotations

from typing import Any

import click

from sweeper.entrypoints.cli.common import print_report_if_wanted, read_config
from sweeper.entrypoints.cli.options import (
    SWEEP,
    config_option,
    deliver_option,
    dry_run_option,
    fail_on_option,
    form_option,
    log_options,
    profile_option,
    require_dry_run,
    resume_option,
    value_options,
    yes_option,
)
from sweeper.entrypoints.log_style import LogStyle


@click.command()
@config_option
@profile_option
@dry_run_option
@deliver_option
@resume_option
@yes_option
@value_options(*SWEEP)
@form_option
@fail_on_option
@log_options
def run(
    path: str | None,
    profile: str | None,
    dry_run: bool,
    deliver: bool,
    resume: str | None,
    yes: bool,
    values: dict[str, Any],
    form: str | None,
    fail_on: frozenset[int],
    style: LogStyle,
) -> int:
    """Sweep the organization.

    \b
    Exit status, the highest of 3 to 5 that applies:
      0  all was checked, and no finding remains
      1  internal error
      2  usage, configuration, or nothing to sweep
      3  findings remain
      4  coverage is not complete
      5  a report was not delivered
      6  another sweep uses the same S3 prefix

    \b
    Examples:
      sweeper run --dry-run --output ./report
      sweeper run --dry-run --impact
      sweeper run --config ssm:/sweeper/config --yes
      sweeper run --account 111122223333 --region eu-central-1,eu-west-1
      sweeper run --dry-run --fail-on coverage,delivery --formats html,csv --output ./report
    """
    from sweeper.entrypoints.app import RunOptions
    from sweeper.entrypoints.runner import run_interactive

    require_dry_run(deliver=deliver, dry_run=dry_run)
    read = read_config(path, values, profile=profile, style=style)
    report, status = run_interactive(
        read.config,
        RunOptions(
            dry_run=dry_run, deliver_dry_run=deliver, resume=resume, profile=profile, style=style
        ),
        read.provenance,
        ask=not yes,
        fail_on=fail_on,
    )
    return print_report_if_wanted(report, form, status, dry_run=dry_run, fail_on=fail_on)
