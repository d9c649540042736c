"""`sweeper undo`."""

from __future__ import annotations

from typing import Any

import click

from sweeper.entrypoints.cli.recorded import recorded_options, run_recorded


@click.command()
@recorded_options()
def undo(**options: Any) -> int:
    """Revert the changes recorded in REPORT.

    REPORT is that run's report.json, which lies under its run id: a path, or s3://BUCKET/KEY. Each
    repository is read first, and is left as it is where it is not as the run left it. The filters
    and the write scope of the configuration do not apply to an undo.

    \b
    Exit status, the highest of 3 to 5 that applies:
      0  every repository has its earlier setting, or there is nothing to revert
      1  internal error
      2  usage, configuration, or a report that cannot be used
      3  a change was not reverted: changed since, failed, withheld
      4  an account or a region could not be checked
      5  the report was not delivered
      6  another run uses the same S3 prefix

    \b
    Examples:
      sweeper undo ./report/RUN/report.json --dry-run
      sweeper undo ./report/RUN/report.json --account 111122223333
      sweeper undo s3://BUCKET/PREFIX/DAY/RUN/report.json --repository "payments/*"
    """  # noqa: D301 (click's mark for lines to keep)
    return run_recorded("undo", **options)
