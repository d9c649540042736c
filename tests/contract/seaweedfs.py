"""Run SeaweedFS, an independent object store with the interface of S3, on 127.0.0.1."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BINARY = Path(__file__).parents[2] / ".tools" / "seaweedfs" / "bin" / "weed"
HOST = "127.0.0.1"
_SERVERS = ("master", "volume", "filer", "s3")
_START_SECONDS = 120
# Below those that Linux gives to whoever asks for any.
_PORTS = range(20_000, 32_000, 2 * len(_SERVERS))

needed = pytest.mark.skipif(
    "CI" not in os.environ and not BINARY.exists(), reason="make .tools/seaweedfs/bin/weed"
)


@contextmanager
def seaweedfs(bucket: str, access_key_id: str, secret_access_key: str) -> Iterator[Any]:
    """Start it with an empty bucket of the owner of these keys, and give a client of theirs.

    Raises:
        RuntimeError: When it ends, or takes no object; the end of its log says why.
    """
    with tempfile.TemporaryDirectory(prefix="seaweedfs-") as name:
        folder = Path(name)
        keys = {"accessKey": access_key_id, "secretKey": secret_access_key}
        owner = {"name": "owner", "credentials": [keys], "actions": ["Admin"]}
        (folder / "s3.json").write_text(json.dumps({"identities": [owner]}))
        ports = _free_ports()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                _command(folder, ports),
                cwd=folder,
                env={"PATH": os.environ["PATH"], "HOME": name, "TMPDIR": name},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        client: Any = boto3.client(
            "s3",
            endpoint_url=f"http://{HOST}:{ports[-2]}",
            region_name="us-east-1",
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
            config=Config(retries={"total_max_attempts": 1}),
        )
        try:
            _wait(process, client, bucket, folder / "log")
            yield client
        finally:
            process.kill()  # it keeps nothing that is needed, and takes its time to end by itself
            process.wait()
            for port in ports:
                for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):
                    left.unlink(missing_ok=True)


def _command(folder: Path, ports: Sequence[int]) -> list[str]:
    pairs = zip(_SERVERS, ports[::2], ports[1::2], strict=True)
    listen = [
        option
        for server, http, grpc in pairs
        for option in (f"-{server}.port={http}", f"-{server}.port.grpc={grpc}")
    ]
    return [
        *(str(BINARY), "server", f"-ip={HOST}", f"-ip.bind={HOST}", *listen, f"-dir={folder}"),
        *("-master.telemetry=false", "-master.volumeSizeLimitMB=16"),
        *("-volume.max=16", "-volume.minFreeSpace=1MiB"),
        *("-filer", f"-filer.localSocket={folder}/filer.sock"),
        *("-s3", f"-s3.config={folder}/s3.json", f"-s3.localSocket={folder}/s3.sock"),
        *("-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
    ]


def _free_ports() -> Sequence[int]:
    for first in random.sample(_PORTS, len(_PORTS)):
        ports = range(first, first + _PORTS.step)
        with ExitStack() as held:
            try:
                for port in ports:
                    held.enter_context(socket.create_server((HOST, port)))
            except OSError:
                continue
            return ports
    raise RuntimeError(f"no {_PORTS.step} neighboring ports are free")


def _wait(process: subprocess.Popen[bytes], client: Any, bucket: str, log: Path) -> None:
    """Wait until the bucket is there and takes an object."""
    deadline = time.monotonic() + _START_SECONDS
    last: Exception | None = None
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client.create_bucket(Bucket=bucket)  # again and again, as the owner may
            client.put_object(Bucket=bucket, Key="ready", Body=b"1")
        except (BotoCoreError, ClientError) as error:
            last = error
            time.sleep(0.1)
        else:
            client.delete_object(Bucket=bucket, Key="ready")
            return
    said = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"SeaweedFS takes no object ({last}):\n{said}")
