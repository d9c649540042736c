"""What `apply` and `undo` have in common: changes that a report recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import click

from sweeper.entrypoints.cli.common import loaded, print_wanted, say
from sweeper.entrypoints.cli.options import (
    account_option,
    config_option,
    exclude_account_option,
    fail_on_option,
    form_option,
    log_options,
    profile_option,
    several,
    value_options,
)
from sweeper.entrypoints.log_style import LogStyle

if TYPE_CHECKING:
    from sweeper.domain.recorded_changes import RecordedChanges

_BEFORE = (
    click.argument("report", metavar="REPORT"),
    config_option,
    profile_option,
    click.option("--dry-run", is_flag=True, help="Check and plan; change nothing."),
    click.option("--resume", metavar="RUN", help="Resume an interrupted run (ID or journal path)."),
    click.option("--yes", is_flag=True, help="Do not ask before changing repositories."),
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
    "apply": "has no planned change; name the report of a dry run",
    "undo": "has no change that was applied; an earlier run may have changed something: name the "
    "report that lies under its run id",
}


def recorded_options(*values: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Add the options that `run_recorded` takes; of those that stand for keys also `values`."""
    keys = value_options("role_name", "output", "formats", *values)

    def add(command: Callable[..., int]) -> Callable[..., int]:
        for option in reversed((*_BEFORE, keys, form_option, fail_on_option, log_options)):
            command = option(command)
        return command

    return add


def run_recorded(
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
    from sweeper.entrypoints.runner import require_prompt, run_interactive
    from sweeper.storage.change_reader import read_recorded_changes

    if not (yes or dry_run):
        require_prompt(kind)  # REPORT may be in S3, and nothing is called before
    read = loaded(path, values, profile=profile, style=style)
    recorded = read_recorded_changes(
        kind,
        report,
        partial(read_object, profile=profile),
        resources_by_check((*CHECKS, *chosen_checks(read.config))),
        accounts=accounts,
        repositories=repositories,
    )
    if not recorded.findings:
        of = f"it is of run {recorded.source.run_id} ({recorded.source.started_at})"
        say(plain(f"nothing to {kind}: {report} {_NOTHING[kind]}; {of}"))
        return 0
    done, status = run_interactive(
        read.config,
        read.provenance,
        dry_run=dry_run,
        recorded=_without(recorded, excluded),
        resume=resume,
        ask=not yes,
        profile=profile,
        style=style,
        fail_on=fail_on,
    )
    return print_wanted(done, form, status, dry_run=dry_run, fail_on=fail_on)


def _without(recorded: RecordedChanges, excluded: Sequence[str]) -> RecordedChanges:
    """The changes but for those in the excluded accounts.

    Raises ConfigurationError where an account has none, as after a typing error, or none is left.
    """
    from sweeper.domain.errors import ConfigurationError

    there = {finding.account_id for finding in recorded.findings}
    for account_id in excluded:
        if account_id not in there:
            raise ConfigurationError(
                f"--exclude-account {account_id}: the report has no such change there"
            )
    left = tuple(each for each in recorded.findings if each.account_id not in excluded)
    if not left:
        raise ConfigurationError("--exclude-account leaves none of the report's changes")
    return replace(recorded, findings=left)
