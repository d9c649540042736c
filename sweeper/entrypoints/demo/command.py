"""`sweeper demo`: the real sweep, through the real SDK, against an organization in memory."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Literal

import click

from sweeper.aws.client.session import read_object
from sweeper.checks import checks, resources_by_check
from sweeper.config.loader import LEGACY_VARIABLES
from sweeper.config.schema import ENVIRONMENT_PREFIX, Config
from sweeper.domain.errors import ExitStatus
from sweeper.domain.exit_status import exit_status
from sweeper.domain.recorded_changes import RecordedChanges
from sweeper.domain.report_model import Report
from sweeper.engine.attempts import Stop
from sweeper.engine.defects import or_defect
from sweeper.engine.ports import Observers
from sweeper.entrypoints.app import RunOptions, run_sweep
from sweeper.entrypoints.demo import demo_organization
from sweeper.entrypoints.runner import run_interactive
from sweeper.reporting.report_wording import undo_words
from sweeper.storage.change_reader import read_recorded_changes

_MEANING = {
    ExitStatus.CLEAN: "all examined, nothing remains",
    ExitStatus.FINDINGS_REMAIN: "findings remain",
    ExitStatus.COVERAGE_INCOMPLETE: "coverage is not complete",
    ExitStatus.NOT_DELIVERED: "a report was not delivered",
}


def run_demo() -> int:
    """Sweep the embedded organization twice, revert the changes, and apply a reviewed dry run.

    The exit status: 0 where each run ended as it does in a real organization, with a report, the
    second sweep had nothing left to change, and as much was reverted and applied as was changed.
    Raises ConfigurationError where moto is missing.
    """
    with _without_settings():
        _say("Building an organization in memory (moto): no AWS account, no network …")
        with demo_organization() as options:
            first = Config(**options)
            directory = _make_directory(first.report.directory or Path("sweeper-demo"))
            # A person's own journals are not the demo's business.
            state = first.state.model_copy(update={"directory": directory / "state"})
            first = _in(first.model_copy(update={"state": state}), directory)
            one = _sweep("First sweep: find mutable repositories, and make them immutable", first)
            _remember(directory, directory / "second")
            second = _in(first, directory / "second")
            two = _sweep("Second sweep: what is immutable stays immutable", second)
            _say("\n=== Undo, dry run and apply\n")
            own = directory / one.run.id / "report.json"
            undone = _run(first, recorded=_read_changes("undo", own))
            _say(f"sweeper undo: the first sweep's changes: {undo_words(undone)}.")
            planned = _run(_in(first, directory / "review"), dry_run=True)
            _say(f"sweeper run --dry-run: {planned.totals.changes.planned} changes planned.")
            review = directory / "review" / "report.json"
            applied = _run(first, recorded=_read_changes("apply", review))
            _say(f"sweeper apply: {applied.totals.changes.applied} reviewed changes made.")
            changed = one.totals.changes.applied
            counts = {changed, undone.totals.changes.applied, applied.totals.changes.applied}
            ended_well = all(map(_ended_well, (one, two, undone, planned, applied)))
            if not ended_well or two.totals.changes.planned or counts != {changed}:
                _say("\nThe demo failed: please report it as a defect.")
                return ExitStatus.INTERNAL_ERROR
            _say(
                "\nThe account that could not be opened has no member role, as it happens in every "
                "real\norganization: it is named, and the sweep does not say that all is well."
                f"\nThe reports are in {directory.resolve()}: open report.html in a browser;\n"
                "report.txt, report.json and report.csv say the same. Folders: second has those of "
                "the\nsecond sweep, review those of the dry run; the others are named by run ids."
            )
    return ExitStatus.CLEAN


def _make_directory(path: Path) -> Path:
    """Make a directory that was not there, so that nothing of an earlier demo is read or lost."""
    for number in count(1):
        directory = path if number == 1 else path.with_name(f"{path.name}-{number}")
        with suppress(FileExistsError):
            directory.mkdir(parents=True)
            return directory
    raise AssertionError  # count has no end


def _in(config: Config, directory: Path) -> Config:
    report = config.report.model_copy(update={"directory": directory})
    return config.model_copy(update={"report": report})


def _read_changes(kind: Literal["apply", "undo"], report: Path) -> RecordedChanges:
    about = resources_by_check(checks().values())
    return read_recorded_changes(kind, str(report), read_object, about)


def _run(
    config: Config, *, dry_run: bool = False, recorded: RecordedChanges | None = None
) -> Report:
    """Run once without a word."""
    options = RunOptions(dry_run=dry_run, recorded=recorded)
    ended = run_sweep(config, options, stop=Stop(), observer=Observers(()))
    return ended.report


def _remember(directory: Path, later: Path) -> None:
    """Give the second sweep what it is compared with: the first one's report and history."""
    later.mkdir(exist_ok=True)
    for name in ("report.json", "history.json"):
        shutil.copy(directory / name, later / name)


def _ended_well(report: Report) -> bool:
    return exit_status(report) in {
        ExitStatus.CLEAN,
        ExitStatus.FINDINGS_REMAIN,
        ExitStatus.COVERAGE_INCOMPLETE,
    }


def _sweep(title: str, config: Config) -> Report:
    _say(f"\n=== {title}\n")
    started = time.monotonic()
    report, status = run_interactive(
        config, RunOptions(dry_run=False), ask=False, terminal=True, show_commands=False
    )
    seconds = time.monotonic() - started
    meaning = _MEANING.get(ExitStatus(status), "it could not be done")
    _say(f"\nThe sweep took {seconds:.1f} s; `sweeper run` would exit with {status}: {meaning}.")
    return report


def _say(text: str) -> None:
    or_defect(lambda: click.echo(text, err=True))


@contextmanager
def _without_settings() -> Iterator[None]:
    """Keep a person's own settings from the demo: it is the same for everybody."""
    own = {
        name: value
        for name, value in os.environ.items()
        if name.upper().startswith(ENVIRONMENT_PREFIX) or name in LEGACY_VARIABLES
    }
    for name in own:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(own)
