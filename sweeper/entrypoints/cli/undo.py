"""`sweeper undo`."""

from __future__ import annotations

import sys
from typing import Any

import click

from sweeper.entrypoints.cli.common import config_option, configuration, print_pieces, say


@click.command()
@click.argument("report", metavar="REPORT")
@config_option
@click.option("--dry-run", is_flag=True, help="Check and plan; change nothing.")
@click.option("--resume", metavar="RUN", help="Resume an interrupted undo (ID or journal path).")
@click.option("--yes", is_flag=True, help="Do not ask before changing repositories.")
@click.option("--account", "accounts", multiple=True, metavar="ID", help="Only this account.")
@click.option(
    "--repository",
    "repositories",
    multiple=True,
    metavar="GLOB",
    help="Only repositories whose name matches.",
)
@click.option("--output", metavar="DIR", help="Write undo.json into this directory.")
@click.option(
    "--format", "form", type=click.Choice(["json", "text"]), help="Print undo.json, or its text."
)
def undo(  # noqa: PLR0917 (click passes them by name)
    report: str,
    path: str | None,
    dry_run: bool,
    resume: str | None,
    yes: bool,
    accounts: tuple[str, ...],
    repositories: tuple[str, ...],
    output: str | None,
    form: str | None,
) -> int:
    """Revert the changes recorded in REPORT.

    REPORT is that run's report.json, which lies under its run id: a path, or s3://BUCKET/KEY. Each
    repository is read first, and is left alone where it is not as the run left it. remediation, and
    the filters of the configuration, say nothing about an undo.

    \b
    Exit status, the highest of 3 to 5 that applies:
      0  all is as it was before, or there is nothing to undo
      1  internal error
      2  usage, configuration, or a report that cannot be used
      3  something was not reverted: changed since, failed, withheld
      4  an account or a region could not be checked
      5  undo.json was not delivered
      6  a sweep uses the same S3 prefix

    \b
    Examples:
      sweeper undo ./report/report.json --dry-run
      sweeper undo ./report/report.json --account 111122223333
      sweeper undo s3://BUCKET/PREFIX/DAY/RUN/report.json --repository "payments/*"
    """  # noqa: D301 (click's mark for lines to keep)
    from sweeper.domain.escaping import plain
    from sweeper.domain.json_encoding import document
    from sweeper.entrypoints.logs import is_terminal
    from sweeper.entrypoints.undo_runner import run_interactive_undo
    from sweeper.reporting.undo_text import render

    options: dict[str, Any] = {"report": {"directory": output}} if output is not None else {}
    config = configuration(path, options)
    undone, status = run_interactive_undo(
        config,
        report,
        accounts=accounts,
        repositories=repositories,
        dry_run=dry_run,
        resume=resume,
        ask=not yes,
    )
    if not undone.totals.changes and not undone.failures:
        of = undone.undoes
        say(
            plain(
                f"nothing to undo: {report} has no change that was applied; it is of sweep "
                f"{of.run_id} ({of.started_at}), and an earlier one may have changed something: "
                "name its own report, which lies under its run id"
            )
        )
    if form == "json":
        return print_pieces(document(undone), status)
    if form or (dry_run and not is_terminal(sys.stderr)):
        return print_pieces(render(undone), status)
    return status
