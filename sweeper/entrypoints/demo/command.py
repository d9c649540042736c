"""`sweeper demo`: the real sweep, through the real SDK, against an organization in memory."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from sweeper.config.loader import LEGACY_VARIABLES
from sweeper.config.schema import ENVIRONMENT_PREFIX, Config
from sweeper.domain.report import ExitStatus, exit_status
from sweeper.domain.report_model import Report
from sweeper.engine.pool import or_defect
from sweeper.entrypoints.demo import demo_organization
from sweeper.entrypoints.runner import run_interactive

_MEANING = {
    ExitStatus.CLEAN: "all examined, nothing remains",
    ExitStatus.FINDINGS_REMAIN: "findings remain",
    ExitStatus.COVERAGE_INCOMPLETE: "coverage is not complete",
    ExitStatus.NOT_DELIVERED: "a report was not delivered",
}


def run_demo() -> int:
    """Sweep the embedded organization twice: its repositories become immutable, and stay it.

    The exit status: 0 where both sweeps ended as they do in a real organization, with a report,
    and the second had nothing left to change. Raises ConfigurationError where moto is missing.
    """
    with _without_settings():
        _say("Building an organization in memory (moto): no AWS account, no network …")
        with demo_organization() as options:
            first = Config(**options)
            directory = first.report.directory or Path("sweeper-demo")
            # A person's own journals are not the demo's business.
            state = first.state.model_copy(update={"directory": directory / "state"})
            first = first.model_copy(update={"state": state})
            one = _sweep("First sweep: find mutable repositories, and make them immutable", first)
            _remember(directory, directory / "second")
            later = first.report.model_copy(update={"directory": directory / "second"})
            second = first.model_copy(update={"report": later})
            two = _sweep("Second sweep: what is immutable stays immutable", second)
            if not (_ended_well(one) and _ended_well(two)) or two.totals.changes.planned:
                _say("\nThe demo failed: please report it as a defect.")
                return ExitStatus.INTERNAL_ERROR
            _say(
                "\nThe account that could not be opened has no member role, as it happens in every "
                "real\norganization: it is named, and the sweep does not say that all is well."
                f"\nThe reports are in {directory.resolve()}: open report.html in a browser;\n"
                "report.txt, report.json and report.csv say the same. The second sweep's are in "
                "its folder second."
            )
    return ExitStatus.CLEAN


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
    report, status = run_interactive(config, dry_run=False, ask=False, terminal=True)
    seconds = time.monotonic() - started
    meaning = _MEANING.get(ExitStatus(status), "it could not be done")
    _say(f"\nThe sweep took {seconds:.1f} s; `sweeper run` would exit with {status}: {meaning}.")
    return report


def _say(text: str) -> None:
    or_defect(lambda: click.echo(text, err=True))


@contextmanager
def _without_settings() -> Iterator[None]:
    """The demo is the same for everybody: a person's own settings do not reach it."""
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
