"""`sweeper run`."""

from __future__ import annotations

import sys

import click

from sweeper.entrypoints.cli.common import (
    config_option,
    loaded,
    print_report,
    sweep_options,
    sweep_values,
)


@click.command()
@config_option
@click.option("--dry-run", is_flag=True, help="Check and plan; change nothing.")
@click.option(
    "--deliver", is_flag=True, help="Also send a dry-run report to S3, SNS and Security Hub."
)
@click.option("--resume", metavar="RUN", help="Resume an interrupted run (ID or journal path).")
@click.option("--impact", is_flag=True, help="Report tags that appear intentionally mutable.")
@click.option("--yes", is_flag=True, help="Do not ask before changing repositories.")
@sweep_options
@click.option(
    "--format", "form", type=click.Choice(["json", "text"]), help="Print the report to stdout."
)
def run(  # noqa: PLR0917 (click passes them by name)
    path: str | None,
    dry_run: bool,
    deliver: bool,
    resume: str | None,
    impact: bool,
    yes: bool,
    accounts: tuple[str, ...],
    regions: tuple[str, ...],
    ous: tuple[str, ...],
    output: str | None,
    form: str | None,
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
      sweeper run --account 111122223333 --region eu-central-1
    """  # noqa: D301 (click's mark for lines to keep)
    from sweeper.entrypoints.logs import is_terminal
    from sweeper.entrypoints.runner import run_interactive

    if deliver and not dry_run:
        raise click.UsageError(
            "--deliver is about a dry run: add --dry-run, or leave it out; what is no dry run is "
            "delivered everywhere"
        )
    options = sweep_values(accounts, regions, ous, output)
    if impact:
        options["remediation"] = {"assess_impact": True}
    read = loaded(path, options)
    report, status = run_interactive(
        read.config,
        read.provenance,
        dry_run=dry_run,
        deliver_dry_run=deliver,
        resume=resume,
        ask=not yes,
    )
    if form or (dry_run and not is_terminal(sys.stderr)):
        status = print_report(report, form or "text", status)
    return status
