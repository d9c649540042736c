"""One contender, one run, one measurement."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.worlds import Truth
from tests.fake_aws.process import FakeAws, Statistics

_LAUNCHER = Path(__file__).with_name("launcher.py")
RESULTS = Path(__file__).with_name("results")
_FOREIGN = ("AWS_", "SWEEPER_")
_LEGACY = ("SNS_TOPIC_ARN", "AUTO_REMEDIATE")


class ContenderFailed(Exception):
    """A contender ended with a status that is none of its own, or without an answer."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A program to measure.

    `prepare` gets the endpoint and an empty directory, in which the program then runs, and gives
    its command. `answer` reads that directory, stdout.txt in it included. `statuses` are the exit
    statuses of a sweep that was done. `tree`: it starts processes of its own.
    """

    name: str
    prepare: Callable[[FakeAws, Path], list[str]]
    answer: Callable[[Path], Truth]
    statuses: tuple[int, ...] = (0,)
    tree: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What a command used; seconds, MB (10^6 bytes)."""

    status: int
    wall: float
    cpu: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run: what it used, what it asked for, what it was refused, what it found."""

    usage: Usage
    calls: int
    connections: int
    errors: dict[str, int]
    found: Truth


def compiled() -> dict[str, str]:
    """Return the machine's variables; byte code is kept, as where a package is installed."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return own | {"PYTHONPYCACHEPREFIX": str(RESULTS / "bytecode")}


def environment(aws: FakeAws) -> dict[str, str]:
    """Return the machine's variables but for those of AWS and sweeper, and the fake's."""
    own = {
        name: value
        for name, value in compiled().items()
        if not name.upper().startswith(_FOREIGN) and name not in _LEGACY
    }
    return own | aws.environment


def launch(
    command: list[str], directory: Path, variables: dict[str, str], *, tree: bool = False
) -> Usage:
    """Run a command in a directory; what it prints is in stdout.txt and stderr.txt there."""
    result = directory / "usage.json"
    flags = ["--tree"] if tree else []
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(result), *flags, *command]
    with (directory / "stdout.txt").open("wb") as out, (directory / "stderr.txt").open("wb") as err:
        subprocess.run(
            launcher,
            cwd=directory,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            check=True,
        )
    measured: dict[str, Any] = json.loads(result.read_text(encoding="ascii"))
    return Usage(
        measured["status"],
        measured["wall_seconds"],
        measured["cpu_seconds"],
        measured["peak_kb"] * 1024 / 1e6,
    )


def measure(contender: Contender, aws: FakeAws, directory: Path) -> tuple[Measurement, Statistics]:
    """Run a contender once in an empty directory; raises ContenderFailed."""
    command = contender.prepare(aws, directory)
    aws.reset_statistics()
    own = environment(aws) | {"XDG_STATE_HOME": str(directory / "state")}  # a journal is kept
    usage = launch(command, directory, own, tree=contender.tree)
    statistics = aws.statistics()
    said = (directory / "stderr.txt").read_text(encoding="utf-8", errors="replace")[-2000:]
    if usage.status not in contender.statuses:
        raise ContenderFailed(f"{contender.name}: exit status {usage.status}\n{said}")
    try:
        found = contender.answer(directory)
    except (OSError, ValueError, KeyError) as error:
        raise ContenderFailed(f"{contender.name}: no answer: {error!r}\n{said}") from error
    return Measurement(
        usage=usage,
        calls=int(statistics.total_calls),
        connections=int(statistics.connections),
        errors=statistics.errors,
        found=found,
    ), statistics
