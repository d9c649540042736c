"""The Lambda as Lambda runs it: AWS's runtime interface client under AWS's emulator."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

BINARY = Path(__file__).parents[2] / ".tools" / "aws-lambda-rie"
RUNTIME = ("-m", "awslambdaric")
COMMAND = (*RUNTIME, "sweeper.lambda_handler.handler")
EVENTS_COMMAND = (*RUNTIME, "sweeper.lambda_handler.handle_events")
PATH = "/2015-03-31/functions/function/invocations"
_PATIENCE_SECONDS = 120


class Emulator:
    """A context manager around an emulator that listens; `command` starts the emulator."""

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        *,
        directory: Path,
        environment: Mapping[str, str],
    ) -> None:
        self._command = command
        self._port = port
        self._directory = directory
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the emulator)

    def __enter__(self) -> Self:
        """Start it; raises RuntimeError with what it said when it does not listen."""
        self._process = subprocess.Popen(
            self._command,
            cwd=self._directory,
            env=dict(self._environment),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        until = time.monotonic() + _PATIENCE_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return self
            time.sleep(0.05)
        self._end()
        raise RuntimeError(f"the emulator does not listen: {self.said}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it, and the runtime that it started."""
        self._end()
        self._log.close()

    def invoke(self, event: object) -> Any:
        """What the function answers; raises RuntimeError with the log where it does not."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE_SECONDS)
        try:
            connection.request("POST", PATH, json.dumps(event))
            answer = connection.getresponse().read()
        finally:
            connection.close()
        if not answer:
            raise RuntimeError(f"no answer: {self.said}")
        return json.loads(answer)

    @property
    def said(self) -> str:
        """What emulator and function wrote so far: the function's log."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The structured lines of it."""
        return [json.loads(line) for line in self.said.splitlines() if line.startswith("{")]

    def _end(self) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()  # which ends the runtime, too
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def options(port: int) -> tuple[str, ...]:
    """The emulator's addresses: the one to invoke at, and the one of the runtime's API."""
    return (
        "--runtime-interface-emulator-address",
        f"127.0.0.1:{port}",
        "--runtime-api-address",
        f"127.0.0.1:{free_port()}",
    )


def binary() -> Path:
    """The emulator; raises RuntimeError where it was not fetched."""
    if not BINARY.exists():
        raise RuntimeError(f"{BINARY.name} is missing: `make test-all` fetches it")
    return BINARY
