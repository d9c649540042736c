"""`sweeper demo`: the real sweep, through the real SDK, against an organization in memory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from sweeper.cli import conduct
from sweeper.config import ENVIRONMENT_PREFIX, Config
from sweeper.config_loading import LEGACY_VARIABLES
from sweeper.demo import demo_organization
from sweeper.report import ExitStatus

_MEANING = {
    ExitStatus.CLEAN: "all examined, nothing remains",
    ExitStatus.FINDINGS_REMAIN: "findings remain",
    ExitStatus.COVERAGE_INCOMPLETE: "coverage is not complete",
    ExitStatus.NOT_DELIVERED: "a report was not delivered",
}


def run_demo() -> None:
    """Sweep the embedded organization twice: it is closed, and it stays closed.

    Raises ConfigurationError where moto is not installed.
    """
    with _without_settings():
        _say("Building an organization in memory (moto): no AWS account, no network …")
        with demo_organization() as options:
            config = Config(**options)
            _sweep("First sweep: find what can be overwritten, and close it", config)
            _sweep("Second sweep: it stays clean", config)
            directory = Path(config.report.directory or ".").resolve()
            names = ", ".join(sorted(path.name for path in directory.iterdir()))
            _say(f"The second sweep's report is in {directory}: {names}")


def _sweep(title: str, config: Config) -> None:
    _say(f"\n=== {title}\n")
    started = time.monotonic()
    _, status = conduct(config, dry_run=False, ask=False, terminal=True)
    seconds = time.monotonic() - started
    meaning = _MEANING.get(ExitStatus(status), "it could not be done")
    _say(f"\nThe sweep took {seconds:.1f} s; `sweeper run` would exit with {status}: {meaning}.")


def _say(text: str) -> None:
    click.echo(text, err=True)


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
