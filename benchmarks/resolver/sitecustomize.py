"""Resolve AWS's names to the fake AWS of this machine, where this folder is in PYTHONPATH.

Real names need a resolver and port 443; this costs each contender the same, and next to nothing.
"""

# ruff: noqa: INP001 (Python imports this name when it starts, and no package around it)

import os
import socket
from typing import Any

_PORT = int(os.environ["FAKE_AWS_TLS_PORT"])
_resolve = socket.getaddrinfo


def _getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
    if isinstance(host, str) and host.endswith(".amazonaws.com"):
        host, port = "127.0.0.1", _PORT
    return _resolve(host, port, *arguments, **options)


socket.getaddrinfo = _getaddrinfo
