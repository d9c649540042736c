"""`sweeper apply`."""

from __future__ import annotations

from typing import Any

import click

from sweeper.entrypoints.cli.recorded import recorded_options, run_recorded


@click.command()
@recorded_options("max_changes")
def apply(**options: Any) -> int:
    """Make the changes that a reviewed dry run planned.

    REPORT is the report.json of the dry run: a path, or s3://BUCKET/KEY. Its accounts and regions
    are checked again. A change is made where the repository still has the setting that was
    reviewed, and the configuration still asks for the same change. Nothing else is changed.

    \b
    Exit status, the highest of 3 to 5 that applies:
      0  no finding remains in the accounts and regions of REPORT
      1  internal error
      2  usage, configuration, or a report that cannot be used
      3  findings remain
      4  coverage is not complete
      5  the report was not delivered
      6  another run uses the same S3 prefix

    \b
    Examples:
      sweeper apply ./review/report.json --dry-run
      sweeper apply ./review/report.json --account 111122223333
    """  # noqa: D301 (click's mark for lines to keep)
    return run_recorded("apply", **options)
