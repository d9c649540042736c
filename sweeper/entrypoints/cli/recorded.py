"""`sweeper apply` and `sweeper undo`: the changes that a report recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import click

from sweeper.entrypoints.cli.common import print_report_if_wanted, read_config, say
from sweeper.entrypoints.cli.options import (
    account_option,
    config_option,
    dry_run_option,
    exclude_account_option,
    fail_on_option,
    form_option,
    log_options,
    profile_option,
    resume_option,
    several,
    value_options,
    yes_option,
)
from sweeper.entrypoints.log_style import LogStyle

_BEFORE = (
    click.argument("report", metavar="REPORT"),
    config_option,
    profile_option,
    dry_run_option,
    resume_option,
    yes_option,
    account_option,
    exclude_account_option,
    several(
        "--repository",
        "repositories",
        metavar="GLOB",
        help="Only repositories whose name matches.",
    ),
)
_NOTHING = {
    "apply": "has no planned change; name the report of a dry run in which changes are planned, "
    "not withheld",
    "undo": "has no change that was applied; an earlier run may have changed something: name the "
    "report that lies under its run id",
}


def _recorded_options(*values: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Add the options that `_run_recorded` takes; of those that stand for keys also `values`."""
    keys = value_options("role_name", "output", "formats", *values)

    def add(command: Callable[..., int]) -> Callable[..., int]:
        for option in reversed((*_BEFORE, keys, form_option, fail_on_option, log_options)):
            command = option(command)
        return command

    return add


@click.command()
@_recorded_options("max_changes")
def apply(**options: Any) -> int:
    """Make the changes that a reviewed dry run planned.

    REPORT is the report.json of the dry run: a path, or s3://BUCKET/KEY. The accounts and regions
    of its planned changes are checked again, and no others. A change is made where the repository
    still has the setting that was reviewed, and the configuration still asks for the same change.
    Nothing else is changed. A finding of REPORT that is not checked again counts as remaining,
    unless --account or --exclude-account leaves its account out.

    \b
    Exit status, the highest of 3 to 5 that applies:
      0  no finding remains, and REPORT and this run checked everything
      1  internal error
      2  usage, configuration, or a report that cannot be used
      3  findings remain
      4  coverage is not complete, of REPORT or of this run
      5  the report was not delivered
      6  another run uses the same S3 prefix

    \b
    Examples:
      sweeper apply ./review/report.json --dry-run
      sweeper apply ./review/report.json --account 111122223333
    """
    return _run_recorded("apply", **options)


@click.command()
@_recorded_options()
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
    """
    return _run_recorded("undo", **options)


def _run_recorded(
    kind: Literal["apply", "undo"],
    *,
    report: str,
    path: str | None,
    profile: str | None,
    dry_run: bool,
    resume: str | None,
    yes: bool,
    accounts: tuple[str, ...],
    excluded: tuple[str, ...],
    repositories: tuple[str, ...],
    values: dict[str, Any],
    form: str | None,
    fail_on: frozenset[int],
    style: LogStyle,
) -> int:
    """Make or revert the changes of REPORT; return the exit status."""
    from functools import partial

    from sweeper.aws.client.session import read_object
    from sweeper.checks import CHECKS, chosen_checks, resources_by_check
    from sweeper.domain.escaping import plain
    from sweeper.domain.exit_status import source_status
    from sweeper.entrypoints.app import RunOptions
    from sweeper.entrypoints.runner import require_prompt, run_interactive
    from sweeper.reporting.report_wording import not_checked_words
    from sweeper.storage.change_reader import read_recorded_changes

    if not (yes or dry_run):
        require_prompt(kind)  # REPORT may be in S3, and nothing is called before
    read = read_config(path, values, profile=profile, style=style)
    recorded = read_recorded_changes(
        kind,
        report,
        partial(read_object, profile=profile),
        resources_by_check((*CHECKS, *chosen_checks(read.config))),
        configured=read.config.checks,
        accounts=accounts,
        excluded=excluded,
        repositories=repositories,
    )
    if not recorded.findings:
        of = f"it is of run {recorded.source.run_id} ({recorded.source.started_at})"
        say(plain(f"nothing to {kind}: {report} {_NOTHING[kind]}; {of}"))
        if words := not_checked_words(recorded.source):
            say(words)
        return source_status(recorded.source, fail_on)
    options = RunOptions(
        dry_run=dry_run,
        recorded=recorded,
        resume=resume,
        profile=profile,
        style=style,
    )
    done, status = run_interactive(
        read.config, options, read.provenance, ask=not yes, fail_on=fail_on
    )
    return print_report_if_wanted(done, form, status, dry_run=dry_run, fail_on=fail_on)
