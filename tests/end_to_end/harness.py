"""Runs the real command line as a process against the fake AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from sweeper.domain.report_model import Report
from sweeper.entrypoints.cli import main as cli
from sweeper.storage.report_store import read_report
from tests.end_to_end.processes import Process
from tests.fake_aws.process import FakeAws, RepositoryState
from tests.fake_aws.world import World

TIMEOUT_SECONDS = 300  # a run that hangs must not hang the tests
_FOREIGN = ("AWS_", "SWEEPER_")
_LEGACY = ("SNS_TOPIC_ARN", "AUTO_REMEDIATE")

SWEEPER = (sys.executable, "-m", "sweeper")
COMMAND = (*SWEEPER, "run")
RUN = (*COMMAND, "--output", "out", "--yes")
UNDO = (*SWEEPER, "undo", "--output", "out")
AnyProcess = Process | subprocess.Popen[str]
Key = tuple[str, str, str]  # account, region, repository


class Aws(Protocol):
    """What stands for AWS: `FakeAws`, or a peer."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make any client its caller."""


@dataclass(frozen=True)
class Ended:
    """A run that ended: its exit status, what it printed, and where it ran."""

    status: int
    stdout: str
    stderr: str
    directory: Path

    @property
    def report(self) -> Any:
        """The newest report.json in the directory that `--output out` names."""
        return newest_report(self.directory / "out")

    @property
    def logs(self) -> list[dict[str, Any]]:
        """The structured log lines: every line of stderr."""
        return [json.loads(line) for line in self.stderr.splitlines()]


def _read_nothing(location: str, _: object) -> Report:
    raise AssertionError(f"{location} is a file")


def newest_report(directory: Path) -> Any:
    """The report.json that was written last, in the directory or below a run's id."""
    written = [*directory.glob("report.json"), *directory.glob("*/report.json")]
    newest = max(written, key=lambda path: path.stat().st_mtime_ns)
    read_report(str(newest), _read_nothing)  # what a run writes is never refused
    return json.loads(newest.read_text(encoding="utf-8"))


def environment(aws: Aws, **extra: str | None) -> dict[str, str]:
    """The machine's variables but for those of AWS and sweeper, and its own; None removes."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(_FOREIGN) and name not in _LEGACY
    }
    own["SWEEPER_LIMITS__DELIVERY_SECONDS"] = "0"  # the wait before the next try is tested alone
    own["XDG_STATE_HOME"] = os.devnull  # not the person's own who runs the tests
    given = {**own, **aws.environment, **extra}
    return {name: value for name, value in given.items() if value is not None}


def write_config(directory: Path, sections: Mapping[str, Any]) -> None:
    """Write config.yaml; JSON is YAML."""
    text = json.dumps(sections)
    (directory / "config.yaml").write_text(text, encoding="utf-8")


def start(
    aws: Aws,
    directory: Path,
    *options: str,
    config: Mapping[str, Any] | None = None,
    **extra: str | None,
) -> Process:
    """Start `sweeper run --output out --yes` in the directory."""
    return start_command(aws, directory, (*RUN, *options), config, **extra)


def start_command(
    aws: Aws,
    directory: Path,
    command: Sequence[str],
    config: Mapping[str, Any] | None = None,
    **extra: str | None,
) -> Process:
    """Start a command in the directory; it begins as COMMAND does."""
    assert tuple(command[: len(SWEEPER)]) == SWEEPER
    directory.mkdir(parents=True, exist_ok=True)
    if config is not None:
        write_config(directory, config)
    variables = environment(aws, **{"XDG_STATE_HOME": str(directory / "state"), **extra})
    return Process(command[len(SWEEPER) :], directory, variables)


def start_interpreter(
    aws: Aws, directory: Path, *options: str, config: Mapping[str, Any] | None = None
) -> subprocess.Popen[str]:
    """As `start`, with an interpreter of its own, as a user starts it, and pipes."""
    if config is not None:
        write_config(directory, config)
    return subprocess.Popen(
        (*RUN, *options),
        cwd=directory,
        env=environment(aws, XDG_STATE_HOME=str(directory / "state")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def end(process: AnyProcess, directory: Path) -> Ended:
    """Wait for a run that was started."""
    try:
        stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
    finally:
        process.kill()
    assert process.returncode is not None
    return Ended(process.returncode, stdout, stderr, directory)


def run(
    aws: Aws,
    directory: Path,
    *options: str,
    config: Mapping[str, Any] | None = None,
    **extra: str | None,
) -> Ended:
    """Run `sweeper run --output out --yes` in the directory to its end."""
    return end(start(aws, directory, *options, config=config, **extra), directory)


def undo(
    aws: Aws, directory: Path, *options: str, config: Mapping[str, Any] | None = None
) -> Ended:
    """Run `sweeper undo --output out` in the directory to its end; `options` name the report."""
    return end(start_command(aws, directory, (*UNDO, *options), config), directory)


class Here:
    """Runs the command in this process, which is quicker; as a process it is only started anew."""

    def __init__(
        self, directory: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
    ) -> None:
        self._directory = directory
        self._patch = patch
        self._capture = capture

    def run(
        self,
        aws: FakeAws,
        *options: str,
        config: Mapping[str, Any] | None = None,
        **extra: str | None,
    ) -> Ended:
        """As `run`, in the test's own directory."""
        return self.command(aws, *RUN[len(SWEEPER) :], *options, config=config, **extra)

    def command(
        self,
        aws: FakeAws,
        *arguments: str,
        config: Mapping[str, Any] | None = None,
        **extra: str | None,
    ) -> Ended:
        """Run any command of sweeper in the test's own directory to its end."""
        if config is not None:
            write_config(self._directory, config)
        extra = {"XDG_STATE_HOME": str(self._directory / "state"), **extra}
        with self._patch.context() as patch:
            for name in set(os.environ) - set(environment(aws, **extra)):
                patch.delenv(name)
            for name, value in environment(aws, **extra).items():
                patch.setenv(name, value)
            patch.chdir(self._directory)
            patch.setattr(sys, "argv", ["sweeper", *arguments])
            with pytest.raises(SystemExit) as ended:
                cli.main()
        captured = self._capture.readouterr()
        status = ended.value.code
        assert isinstance(status, int)
        return Ended(status, captured.out, captured.err, self._directory)


def small_world(accounts: int = 12, regions: int = 5, **changes: Any) -> World:
    """An organization in which a sweep is quick."""
    return World.generate(accounts=accounts, regions=regions, **changes)


def open_repositories(aws: FakeAws, allowed: Collection[str] = ()) -> dict[Key, RepositoryState]:
    """The ground truth: every repository whose tags can be overwritten."""
    return {
        (each.account, each.region, each.name): each
        for each in aws.repositories()
        if not (
            each.mutability == "IMMUTABLE"
            or (
                each.mutability == "IMMUTABLE_WITH_EXCLUSION"
                and set(each.exclusion_filters) <= set(allowed)
            )
        )
    }


def found(report: Any, compliance: str = "non_compliant") -> set[Key]:
    """The findings' keys."""
    return {
        (finding["account_id"], finding["region"], finding["repository"])
        for finding in report["findings"]
        if finding["compliance"] == compliance
    }


def changes(report: Any) -> set[tuple[str, str | None]]:
    """The status and the reason of every change."""
    return {
        (finding["change"]["status"], finding["change"]["reason"])
        for finding in report["findings"]
        if finding["change"]
    }


def failures(report: Any) -> set[tuple[str | None, str | None, str]]:
    """Account, region and reason of every failure."""
    return {(item["account_id"], item["region"], item["reason"]) for item in report["failures"]}


def writes(aws: FakeAws) -> list[dict[str, Any]]:
    """Every PutImageTagMutability that the fake was asked for."""
    made: list[dict[str, Any]] = aws.statistics().writes
    return made


def calls(aws: FakeAws) -> dict[str, int]:
    """How often each operation was called: ``service:Operation``."""
    made: dict[str, int] = aws.statistics().calls
    return made
