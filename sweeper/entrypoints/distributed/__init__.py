"""The stages of a distributed sweep: start, scan, plan, apply and finish.

Each is a process of its own, and can be run again. `stages` has them, `open_stage` what they begin
with, `run_stage` runs one for whoever started it. See docs/decisions/0048-distributed-sweep.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.domain.errors import ConfigurationError
from sweeper.engine.attempts import Stop
from sweeper.engine.ports import Observer
from sweeper.entrypoints.distributed import stages
from sweeper.entrypoints.distributed.answers import Answer
from sweeper.entrypoints.distributed.open_stage import StageSettings
from sweeper.entrypoints.log_style import AUTO, LogStyle
from sweeper.entrypoints.runner import run_supervised
from sweeper.storage.journal.kinds import RUN_ID
from sweeper.storage.work import Options

if TYPE_CHECKING:
    from sweeper.config.loader import Loaded


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
) -> Answer:
    """Run a stage, and return its answer.

    `load` reads the configuration, narrowed by the options of the run. Raises OperationFailed where
    the stage should be run again, and ConfigurationError.
    """
    options = options or {}
    config = load(options).config

    def work(*, stop: Stop, observer: Observer, **_: object) -> Answer:
        settings = StageSettings(load, directory, profile, stop, observer)
        if stage == "start":
            return stages.start(settings, options, dry_run=dry_run, deliver_dry_run=deliver_dry_run)
        run_id = _require_run(stage, run)
        if stage == "plan":
            return stages.plan(settings, run_id)
        if stage == "finish":
            return stages.finish(settings, run_id)
        if shard is None:
            raise ConfigurationError(f"{stage}: it needs the number of a shard")
        mapped = stages.scan if stage == "scan" else stages.apply
        return mapped(settings, run_id, shard)

    return run_supervised(config, work, at_most_seconds=at_most_seconds, style=style)


def _require_run(stage: str, run: str | None) -> str:
    if run is None or not re.fullmatch(RUN_ID, run):
        raise ConfigurationError(f"{stage}: {run!r} is no run; allowed: the run that start printed")
    return run
