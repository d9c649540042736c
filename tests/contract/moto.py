"""Run moto's server on 127.0.0.1 in a process of its own: `python -m tests.contract.moto`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from moto.moto_server.threaded_moto_server import ThreadedMotoServer

HOST = "127.0.0.1"


def serve() -> None:
    """Print the endpoint, and serve until standard input ends."""
    server = ThreadedMotoServer(HOST, 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(json.dumps(f"http://{host}:{port}"), flush=True)  # noqa: T201 - the interface
    sys.stdin.read()
    os._exit(0)


def moto() -> AbstractContextManager[str]:
    """Start the server and give its endpoint."""
    return serving(__name__)


@contextmanager
def serving(module: str) -> Iterator[str]:
    """Run a module that calls `serve`, and give its endpoint.

    Raises:
        RuntimeError: When it ends before it listens.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # one line for each request
        text=True,
    )
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"moto ended with {process.wait()} before it listened")
        yield json.loads(line)


if __name__ == "__main__":
    serve()
