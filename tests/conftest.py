"""Every test starts without the machine's environment, in an empty directory."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from unittest import mock

import botocore.session
import pytest
from hypothesis import settings
from structlog.contextvars import clear_contextvars

from sweeper.domain import masking

# `make test` draws the same few examples each time; `make test-all` draws more (EXAMPLES), other
# ones at each run unless CI is set. No deadline: an example that takes long is no failure.
settings.register_profile("default", deadline=None, max_examples=15, derandomize=True)
settings.register_profile(
    "thorough",
    deadline=None,
    max_examples=int(os.environ.get("EXAMPLES", "30")),
    derandomize=bool(os.environ.get("CI")),
    print_blob=True,
)
settings.load_profile("default")

# Where the tests are started by nohup or in the background signals are ignored, and so they would
# be by what the tests start.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What the tests start is not measured, which costs time at each start: what no test runs in its own
# process counts as not covered.
if "PYTEST_XDIST_WORKER" in os.environ:
    for _name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        os.environ.pop(_name, None)

_FOREIGN = ("SWEEPER_", "AWS_")
_LEGACY = ("SNS_TOPIC_ARN", "AUTO_REMEDIATE")
_HARMLESS = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@pytest.fixture(scope="session", autouse=True)
def _models_are_read_once() -> Iterator[None]:
    """Share the SDK's loader: each session would read the same models from disk anew."""
    shared = cache(botocore.session.create_loader)
    with mock.patch.object(botocore.session, "create_loader", shared):
        yield


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in os.environ:
        if variable.upper().startswith(_FOREIGN) or variable in _LEGACY:
            monkeypatch.delenv(variable)
    for variable, value in _HARMLESS.items():
        monkeypatch.setenv(variable, value)
    # Journals are nobody's business who runs the tests.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "own-state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _own_process() -> Iterator[None]:
    """Secrets and logs are the process's: what a test leaves there reaches no other test."""
    yield
    masking._secrets = masking._Secrets()
    masking._of_run.clear()
    root = logging.getLogger()
    for handler in [*root.handlers]:
        if type(handler).__module__ == "sweeper.entrypoints.logs":
            root.removeHandler(handler)
    logging.captureWarnings(capture=False)
    clear_contextvars()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest, so that none of them is left alone at the end."""
    items.sort(key=lambda item: "reliability" not in item.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests recorded for people: seeds and counts of what happens by chance."""
    reports = [
        each for kind in ("passed", "failed") for each in terminalreporter.stats.get(kind, ())
    ]
    for report in reports:
        for name, text in report.user_properties:
            if name == "summary" and report.when == "call":
                terminalreporter.write_line(text)
