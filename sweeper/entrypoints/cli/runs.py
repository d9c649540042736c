"""`sweeper runs`: the interrupted runs on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sweeper.entrypoints.cli.common import print_pieces, read_config, say, text_table
from sweeper.entrypoints.cli.options import config_option, profile_option

if TYPE_CHECKING:
    from pathlib import Path

_NOT_READABLE = "its journal is damaged: see `sweeper runs discard`"


@click.group(invoke_without_command=True)
@config_option
@profile_option
@click.pass_context
def runs(context: click.Context, path: str | None, profile: str | None) -> int:
    """List the interrupted runs on this machine, or discard one.

    An interrupted run leaves its journal in state.directory. Each is listed with its id, its kind,
    when it started, and the command that resumes it. Add to this command the options that the run
    was started with. A run that is still going on is not listed.

    \b
    Exit status: 0, or 2 where the configuration is not valid.

    \b
    Examples:
      sweeper runs
      sweeper runs --config deployed.yaml
      sweeper runs discard 20261124T021708Z-e9a4f1
    """
    context.obj = path, profile
    if context.invoked_subcommand is not None:
        return 0
    from sweeper.domain.escaping import plain
    from sweeper.storage.run_state import read_header, resume_command

    directory, journals = _journals(path, profile)
    if not journals:
        say(plain(f"no interrupted run in {directory}"))
        return 0
    rows = [("RUN", "KIND", "STARTED", "RESUME WITH")]
    for journal in journals:
        header = read_header(journal)
        if header is None:
            rows.append((journal.stem, "?", "?", _NOT_READABLE))
            continue
        kind = header.run_kind + (" (dry run)" if header.dry_run else "")
        started = f"{header.started_at:%Y-%m-%d %H:%M} UTC"
        rows.append((header.run_id, kind, started, resume_command(header)))
    return print_pieces(text_table(rows), 0)


@runs.command()
@click.argument("run", metavar="RUN")
@click.option("--yes", is_flag=True, help="Do not ask before removing it.")
@click.pass_obj
def discard(origin: tuple[str | None, str | None], run: str, yes: bool) -> int:
    """Remove the journal of an interrupted run from this machine.

    RUN is its id. The run cannot be resumed from this machine any more. Its reports stay, and so
    does its plan in S3. Resume a run that was making changes: only so they all get into a report.

    \b
    Exit status: 0; 2 where there is no such run, it is still going on, or nobody can be asked.

    \b
    Examples:
      sweeper runs discard 20261124T021708Z-e9a4f1
      sweeper runs discard 20261124T021708Z-e9a4f1 --yes
    """
    import sys

    from sweeper.domain.errors import ConfigurationError
    from sweeper.domain.escaping import plain
    from sweeper.entrypoints.logs import is_terminal
    from sweeper.storage.run_state import discard_run

    directory, journals = _journals(*origin)
    journal = next((each for each in journals if each.stem == run), None)
    if journal is None:
        raise ConfigurationError(
            f"{run}: no interrupted run in {directory}; `sweeper runs` lists them"
        )
    if not yes:
        if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
            raise ConfigurationError(
                "cannot ask before the run is discarded: there is no terminal. Pass --yes"
            )
        question = f"{plain(run)} cannot be resumed any more. {_lost_changes(journal)}Discard it?"
        if not click.confirm(question, default=False, err=True):
            say("nothing was discarded")
            return 0
    discard_run(journal)
    say(plain(f"{run} was discarded"))
    return 0


def _journals(path: str | None, profile: str | None) -> tuple[Path | str, list[Path]]:
    """Return the state directory, and the journals in it of interrupted runs."""
    from sweeper.storage.run_state import state_directory, unfinished_journals

    directory = state_directory(read_config(path, {}, profile=profile).config)
    return directory or "state.directory", unfinished_journals(directory)


def _lost_changes(journal: Path) -> str:
    """Return, as a sentence, what would be lost with the journal."""
    from sweeper.domain.errors import ConfigurationError
    from sweeper.reporting.wording import number
    from sweeper.storage.journal import lines

    try:
        with journal.open("rb") as stream:
            _, past, _ = lines.read(stream, str(journal))
    except (OSError, ConfigurationError):
        return ""
    made, doubtful = len(past.completed), len(past.in_doubt)
    if not made and not doubtful:
        return "It changed nothing. "
    return f"Its journal records {number(made, 'change')}, and {doubtful:,} that it may have made. "
