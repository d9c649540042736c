"""Start the command as a process that already has its imports.

An interpreter that imports all of sweeper anew costs most of a short run. A server imports it once
and forks for each start. What it forks is a process as any other: with its own directory,
environment, streams, signals and exit status. Tests of how an interpreter starts use the command.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import TimeoutExpired
from types import TracebackType
from typing import Self

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.end_to_end.preload"])
# A process says its exit status once, through a pipe. When two threads read it at a time, one gets
# 255. A start reads, too: the statuses of all earlier processes.
_STATUS = threading.RLock()


def start(process: BaseProcess) -> None:
    """Start a process of a server, from any thread."""
    with _STATUS:
        process.start()


def status(process: BaseProcess) -> int | None:
    """Return a process's exit status, from any thread; None while it runs."""
    with _STATUS:
        return process.exitcode


def wait_for(process: BaseProcess, timeout: float | None = None) -> int | None:
    """Wait for a process's end, from any thread; return its exit status, None after `timeout`."""
    wait([process.sentinel], timeout)
    return status(process)


class Process:
    """A running `sweeper`, with the methods of subprocess.Popen that tests use."""

    def __init__(
        self, arguments: Sequence[str], directory: Path, environment: Mapping[str, str]
    ) -> None:
        self._arguments = tuple(arguments)
        # Files, and not pipes: nobody has to read them while the process runs.
        streams = tempfile.mkdtemp(prefix="sweeper-streams-")
        self._stdout = Path(streams, "stdout")
        self._stderr = Path(streams, "stderr")
        self._process = _SERVER.Process(
            target=_run,
            args=(
                self._arguments,
                str(directory),
                dict(environment),
                str(self._stdout),
                str(self._stderr),
            ),
        )
        start(self._process)
        # A test that fails may leave it stopped, and the end of the tests waits for its processes.
        weakref.finalize(self, _forget, self._process, streams)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        self.wait()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, the signal that ended it as a negative number, or None."""
        return status(self._process)

    def poll(self) -> int | None:
        """Return `returncode`."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end.

        Raises TimeoutExpired after `timeout` seconds.
        """
        found = wait_for(self._process, timeout)
        if found is None:
            assert timeout is not None
            raise TimeoutExpired(self._arguments, timeout)
        return found

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end; return what was printed to stdout and stderr.

        Raises TimeoutExpired after `timeout` seconds.
        """
        self.wait(timeout)
        return self._stdout.read_text(encoding="utf-8"), self._stderr.read_text(encoding="utf-8")

    def send_signal(self, number: int) -> None:
        """Send a signal, if the process still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _forget(process: BaseProcess, streams: str) -> None:
    if status(process) is None:
        process.kill()
    shutil.rmtree(streams, ignore_errors=True)


def _run(
    arguments: Sequence[str],
    directory: str,
    environment: Mapping[str, str],
    stdout: str,
    stderr: str,
) -> None:
    """Be the command: runs in the forked process."""
    flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
    for number, path, flag in (
        (0, os.devnull, os.O_RDONLY),
        (1, stdout, flags),
        (2, stderr, flags),
    ):
        opened = os.open(path, flag, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (the interpreter's)
    sys.stderr = open(  # noqa: SIM115
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.argv = ["sweeper", *arguments]

    from sweeper.entrypoints.cli.main import main

    main()
