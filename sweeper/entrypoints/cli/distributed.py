"""`sweeper distributed`: the stages of a sweep by many workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sweeper.entrypoints.cli.common import print_pieces, read_config, say
from sweeper.entrypoints.cli.options import (
    config_option,
    deliver_option,
    dry_run_option,
    log_options,
    profile_option,
    refuse_empty,
    require_dry_run,
    value_options,
)
from sweeper.entrypoints.log_style import LogStyle

if TYPE_CHECKING:
    from sweeper.config.loader import Loaded
    from sweeper.storage.work import Options

# The options that narrow a run: all its stages must know them.
_NARROWING = ("accounts", "excluded", "regions", "ous")
_run_option = click.option("--run", "run_id", metavar="ID", required=True, help="The run.")
_shard_option = click.option(
    "--shard", metavar="N", type=click.IntRange(min=0), required=True, help="The shard, from 0."
)
_work_option = click.option(
    "--work",
    type=click.Path(file_okay=False),
    metavar="DIR",
    callback=refuse_empty,
    help="Keep the work of the run below DIR instead of report.s3.",
)


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every stage."""
    for option in (log_options, _work_option, profile_option, config_option):
        command = option(command)
    return command


@click.group()
def distributed() -> None:
    """Sweep with many workers: one stage a command.

    Run start, then scan for each shard, plan, apply for each shard that plan has, and finish. Each
    stage can be run again: what it has done is not done twice. apply makes the planned changes and
    does not ask. docs/scale.md says when to use this.

    \b
    Exit status of a stage:
      0  done
      1  not done: run it again
      2  usage or configuration
      6  start only: another sweep uses the same S3 prefix
    finish has the exit status of `sweeper run`.

    \b
    Examples:
      sweeper distributed start --dry-run --work ./work
      sweeper distributed scan --run 20261124T021708Z-e9a4f1 --shard 0 --work ./work
    """


@distributed.command()
@_common
@dry_run_option
@deliver_option
@value_options(*_NARROWING)
def start(dry_run: bool, deliver: bool, values: dict[str, Any], **common: Any) -> int:
    """Begin a run: list the accounts, and cut them into shards.

    Prints the run and how many shards there are to scan.

    \b
    Examples:
      sweeper distributed start
      sweeper distributed start --dry-run --region eu-central-1 --work ./work
    """
    require_dry_run(deliver=deliver, dry_run=dry_run)
    options = {
        section: {key: tuple(value) for key, value in keys.items()}
        for section, keys in values.items()
    }
    return _stage("start", options=options, dry_run=dry_run, deliver_dry_run=deliver, **common)


@distributed.command()
@_common
@_run_option
@_shard_option
def scan(run_id: str, shard: int, **common: Any) -> int:
    """Open and check the accounts of one shard.

    \b
    Examples:
      sweeper distributed scan --run 20261124T021708Z-e9a4f1 --shard 0
    """
    return _stage("scan", run=run_id, shard=shard, **common)


@distributed.command()
@_common
@_run_option
def plan(run_id: str, **common: Any) -> int:
    """Plan the changes from what all workers found.

    Prints the run and how many shards have changes; shards/apply.json lists them.

    \b
    Examples:
      sweeper distributed plan --run 20261124T021708Z-e9a4f1
    """
    return _stage("plan", run=run_id, **common)


@distributed.command()
@_common
@_run_option
@_shard_option
def apply(run_id: str, shard: int, **common: Any) -> int:
    """Make the planned changes of one shard. Does not ask.

    \b
    Examples:
      sweeper distributed apply --run 20261124T021708Z-e9a4f1 --shard 0
    """
    return _stage("apply", run=run_id, shard=shard, **common)


@distributed.command()
@_common
@_run_option
def finish(run_id: str, **common: Any) -> int:
    """Deliver the report of the run, whatever its workers left.

    \b
    Examples:
      sweeper distributed finish --run 20261124T021708Z-e9a4f1
    """
    return _stage("finish", run=run_id, **common)


def _stage(
    stage: str,
    *,
    path: str | None,
    profile: str | None,
    work: str | None,
    style: LogStyle,
    **arguments: Any,
) -> int:
    """Run a stage and print its answer; return the exit status."""
    import json

    from sweeper.domain.errors import ExitStatus, OperationFailed
    from sweeper.domain.escaping import plain
    from sweeper.domain.reasons import Reason
    from sweeper.entrypoints.distributed import run_stage

    def load(options: Options) -> Loaded:
        return read_config(path, options, profile=profile, style=style)

    directory = Path(work) if work else None
    try:
        answer = run_stage(
            stage, load=load, directory=directory, profile=profile, style=style, **arguments
        )
    except OperationFailed as error:
        say(plain(f"{stage}: {error.reason}: {error.message}"))
        held = error.reason is Reason.LEASE_HELD
        return ExitStatus.LEASE_HELD if held else ExitStatus.INTERNAL_ERROR
    shown = {name: value for name, value in answer.items() if name != "items"}
    status: Any = answer.get("exit_status", ExitStatus.CLEAN)
    return print_pieces([json.dumps(shown).encode() + b"\n"], status)
