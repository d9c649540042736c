"""Run ministack, an independent emulator of AWS, on 127.0.0.1 with its IAM enforcement on.

It pins a version of botocore, so it has an environment of its own, which `make test-all` makes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PYTHON = Path(__file__).parents[2] / ".tools" / "ministack" / "bin" / "python"
HOST = "127.0.0.1"
_START_SECONDS = 120
_STOP_SECONDS = 10

needed = pytest.mark.skipif(
    "CI" not in os.environ and not PYTHON.exists(), reason="make .tools/ministack/.installed"
)


def root_keys(account: str) -> dict[str, str]:
    """Give the credentials of an account's root user; no policy limits them."""
    return {"aws_access_key_id": account, "aws_secret_access_key": "test"}


@contextmanager
def ministack(account: str) -> Iterator[str]:
    """Start ministack and give its endpoint; `account` is the management account.

    The socket is opened here, on the loopback interface: ministack itself would listen everywhere.

    Raises:
        RuntimeError: When it ends before it answers; the end of its log says why.
    """
    with (
        tempfile.TemporaryDirectory(prefix="ministack-") as folder,
        socket.create_server((HOST, 0), backlog=128) as listener,
        Path(folder, "log").open("wb") as log,
    ):
        port = listener.getsockname()[1]
        endpoint = f"http://{HOST}:{port}"
        command = [str(PYTHON), "-m", "hypercorn", "ministack.app:app", "--workers", "0"]
        process = subprocess.Popen(
            [*command, "--bind", f"fd://{listener.fileno()}"],
            pass_fds=[listener.fileno()],
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": folder,
                "TMPDIR": folder,
                "AUTH": "true",
                "BIND_HOST": HOST,  # for whatever else it may open
                "GATEWAY_PORT": str(port),
                "IOT_MTLS_ENABLED": "0",
                "MINISTACK_ACCOUNT_ID": account,
                "MINISTACK_HOST": HOST,
                "AWS_ACCESS_KEY_ID": account,
                "AWS_SECRET_ACCESS_KEY": "test",
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(process, endpoint, Path(log.name))
            yield endpoint
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], endpoint: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=_START_SECONDS):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError(f"ministack does not answer:\n{log.read_text(errors='replace')[-2000:]}")
