"""`sweeper report`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING

import click

from sweeper.entrypoints.cli.common import print_pieces, say
from sweeper.entrypoints.cli.options import profile_option
from sweeper.reporting.formats import FORMATS

if TYPE_CHECKING:
    from sweeper.domain.report_model import Report
    from sweeper.engine.ports import Source

# The formats of file name extensions that are not names of formats.
_ENDINGS = {"htm": "html", "md": "markdown", "txt": "text", "xml": "junit", "jsonl": "ocsf"}
_MAX_REPORTS = 2


@click.command()
@click.argument("locations", nargs=-1, required=True, metavar="REPORT...", type=click.Path())
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="How to show it. Default: as the name of --output ends, else text.",
)
@click.option("--output", type=click.Path(), metavar="FILE", help="Write it there, not to stdout.")
@profile_option
@click.option("--exit-status", "as_run", is_flag=True, help="Exit as the report's run did.")
def report(
    locations: tuple[str, ...],
    form: str | None,
    output: str | None,
    profile: str | None,
    as_run: bool,
) -> int:
    """Show a report again, or what changed between two.

    REPORT is a report.json: a path, or s3://BUCKET/KEY. Of two, the earlier comes first. The later
    is shown with what is new, still open, reopened, resolved and not checked since the earlier.

    \b
    Exit status: 0; with --exit-status that of the report's run, but for 5: a report
    cannot record its own delivery. 2 where a report is not valid, 5 where it cannot be written.

    \b
    Examples:
      sweeper report ./report/report.json
      sweeper report s3://my-reports/ecr/latest.json --output report.html
      sweeper report monday.json friday.json
      sweeper report report.json --output report.xml --exit-status
    """
    from sweeper.domain.errors import ConfigurationError
    from sweeper.domain.exit_status import exit_status
    from sweeper.reporting.formats import load_format
    from sweeper.storage.report_store import compare

    if len(locations) > _MAX_REPORTS:
        raise ConfigurationError(
            f"{len(locations)} reports are named; allowed: one, to show it, or two, to compare them"
        )
    if output is not None and output.rstrip("/") in ("", ".", ".."):
        raise ConfigurationError(f"--output: {output!r} is no file; needed: a file's path")
    form = form or _format_of(output or "")
    reports = [_read(location, profile) for location in locations]
    shown = compare(*reports) if len(reports) == _MAX_REPORTS else reports[0]
    pieces: Iterable[bytes] = load_format(form).render(shown)
    if form == "text" and len(reports) == _MAX_REPORTS:
        pieces = chain((_head(locations, reports),), pieces)
    status = int(exit_status(shown)) if as_run else 0
    return _write(output, pieces, status) if output else print_pieces(pieces, status)


def _format_of(name: str) -> str:
    """Return the format of a file name's extension; text where it has none."""
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    form = _ENDINGS.get(ending, ending)
    return form if form in FORMATS else "text"


def _read(location: str, profile: str | None) -> Report:
    from sweeper.storage.report_store import read_report

    def read_object(location: str, use: Callable[[Source], Report]) -> Report:
        from sweeper.aws.client import session
        from sweeper.entrypoints import logs

        logs.configure()
        return session.read_object(location, use, profile=profile)

    return read_report(location, read_object)


def _head(locations: tuple[str, ...], reports: list[Report]) -> bytes:
    from sweeper.domain.escaping import plain

    lines = ["Two sweeps compared: what changed from the earlier to the later"]
    for name, location, each in zip(("earlier", "later"), locations, reports, strict=True):
        run = each.run
        dry_run = " (dry run)" if run.dry_run else ""
        lines.append(f"{name:<8} {run.finished_at}  sweep {run.id}{dry_run}, {location}")
    return "".join(f"{plain(line)}\n" for line in (*lines, "")).encode()


def _write(name: str, pieces: Iterable[bytes], status: int) -> int:
    from pathlib import Path

    from sweeper.domain.errors import ExitStatus, OperationFailed
    from sweeper.domain.escaping import plain
    from sweeper.storage.files import write

    try:
        write(Path(name), pieces)
    except OperationFailed as error:
        say(plain(f"the report could not be written: {error.message}"))
        return ExitStatus.NOT_DELIVERED
    return status
