"""What `apply` and `undo` have in common: changes that a report recorded."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal

import click

from sweeper.entrypoints.cli.common import config_option, loaded, print_report, say

_OPTIONS = (
    click.argument("report", metavar="REPORT"),
    config_option,
    click.option("--dry-run", is_flag=True, help="Check and plan; change nothing."),
    click.option("--resume", metavar="RUN", help="Resume an interrupted run (ID or journal path)."),
    click.option("--yes", is_flag=True, help="Do not ask before changing repositories."),
    click.option("--account", "accounts", multiple=True, metavar="ID", help="Only this account."),
    click.option(
        "--repository",
        "repositories",
        multiple=True,
        metavar="GLOB",
        help="Only repositories whose name matches.",
    ),
    click.option("--output", metavar="DIR", help="Write the report into this directory."),
    click.option(
        "--format", "form", type=click.Choice(["json", "text"]), help="Print the report to stdout."
    ),
)
_NOTHING = {
    "apply": "has no planned change; name the report of a dry run",
    "undo": "has no change that was applied; an earlier run may have changed something: name the "
    "report that lies under its run id",
}


def recorded_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that `run_recorded` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def run_recorded(
    kind: Literal["apply", "undo"],
    *,
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
    """Make or revert the changes of REPORT; return the exit status."""
    from sweeper.aws.client.session import read_object
    from sweeper.checks import CHECKS, chosen_checks
    from sweeper.domain.escaping import plain
    from sweeper.entrypoints.logs import is_terminal
    from sweeper.entrypoints.runner import require_prompt, run_interactive
    from sweeper.storage.change_reader import read_recorded_changes

    if not (yes or dry_run):
        require_prompt(kind)  # REPORT may be in S3, and nothing is called before
    options: dict[str, Any] = {"report": {"directory": output}} if output is not None else {}
    read = loaded(path, options)
    recorded = read_recorded_changes(
        kind,
        report,
        read_object,
        {kind.name: kind.resource for kind in (*CHECKS, *chosen_checks(read.config))},
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
        recorded=recorded,
        resume=resume,
        ask=not yes,
    )
    if form or (dry_run and not is_terminal(sys.stderr)):
        return print_report(done, form or "text", status)
    return status
