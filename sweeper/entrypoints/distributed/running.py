"""A stage run for whoever started it: its logs, its signals and deadline, and its answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.domain.errors import ConfigurationError
from sweeper.engine.pool import Stop
from sweeper.engine.ports import Observer
from sweeper.entrypoints.distributed import stages
from sweeper.entrypoints.distributed.finishing import Finished
from sweeper.entrypoints.distributed.opening import StageSettings
from sweeper.entrypoints.log_style import AUTO, LogStyle
from sweeper.entrypoints.runner import run_supervised, tell_machine
from sweeper.storage.journal.kinds import RUN_ID
from sweeper.storage.work import Options

if TYPE_CHECKING:
    from sweeper.config.loader import Loaded

_LOCATION = "s3://"


def run_stage(
    stage: str,
    *,
    load: Callable[[Options], Loaded],
    run: str | None = None,
    shard: int | None = None,
    options: Options | None = None,
    dry_run: bool = False,
    deliver_dry_run: bool = False,
    directory: Path | None = None,
    profile: str | None = None,
    style: LogStyle = AUTO,
    at_most_seconds: float | None = None,
) -> dict[str, Any]:
    """Run a stage, and return its answer.

    `load` reads the configuration, narrowed by the options of the run. Raises OperationFailed where
    the stage should be run again, and ConfigurationError.
    """
    options = options or {}
    config = load(options).config

    def work(*, stop: Stop, observer: Observer, **_: object) -> dict[str, Any]:
        settings = StageSettings(load, directory, profile, stop, observer)
        if stage == "start":
            begun = stages.start(
                settings, options, dry_run=dry_run, deliver_dry_run=deliver_dry_run
            )
            return _shards(begun)
        run_id = _required(stage, run)
        if stage == "plan":
            return _shards(stages.plan(settings, run_id))
        if stage == "finish":
            return _finished(stages.finish(settings, run_id))
        if shard is None:
            raise ConfigurationError(f"{stage}: it needs the number of a shard")
        mapped = stages.scan if stage == "scan" else stages.apply
        done = mapped(settings, run_id, shard)
        return {"run": done.run, "shard": done.shard, "done": done.done, "failed": done.failed}

    return run_supervised(
        config,
        work,
        terminal=False,
        ask=None,
        show=lambda *_: None,
        at_most_seconds=at_most_seconds,
        style=style,
    )


def _required(stage: str, run: str | None) -> str:
    if run is None or not re.fullmatch(RUN_ID, run):
        raise ConfigurationError(f"{stage}: {run!r} is no run; allowed: the run that start printed")
    return run


def _shards(shards: stages.Shards) -> dict[str, Any]:
    answer: dict[str, Any] = {"run": shards.run, "shards": shards.count}
    if shards.location.startswith(_LOCATION):
        bucket, _, key = shards.location.removeprefix(_LOCATION).partition("/")
        answer["items"] = {"bucket": bucket, "key": key}
    return answer


def _finished(finished: Finished) -> dict[str, Any]:
    """Tell logs and metrics of the run, the first time; return the answer."""
    result = finished.result
    if ended := finished.ended:
        started = datetime.fromisoformat(ended.report.run.started_at)
        seconds = (datetime.now(UTC) - started).total_seconds()
        is_whole = not (ended.report.run.dry_run or finished.narrowed)
        tell_machine(ended, result.exit_status, seconds, metrics_count=is_whole)
    return {"run": result.run, "exit_status": result.exit_status, "report": result.report}
