"""An object store with the interface of S3 that ignores conditions of writes, as some do."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = "127.0.0.1"
_ABSENT = b"<Error><Code>NoSuchKey</Code><Message>It is not there.</Message></Error>"
_FAILED = b"<Error><Code>PreconditionFailed</Code><Message>It is otherwise.</Message></Error>"


class Store(ThreadingHTTPServer):
    """Objects by path; `ignored` are headers of writes, in lower case."""

    daemon_threads = True

    def __init__(self, ignored: Collection[str]) -> None:
        super().__init__((HOST, 0), _Handler)
        self.ignored = ignored
        self.objects: dict[str, tuple[bytes, str]] = {}  # and when they were written
        self.lock = threading.Lock()

    def write(self, path: str, body: bytes) -> None:
        """Replace an object."""
        self.objects[path] = body, formatdate(usegmt=True)

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://{HOST}:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Store

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = self.path.partition("?")[0]
        with self.server.lock:
            there = self.server.objects.get(path)
            if self._fails(there[0] if there else None):
                self._answer(HTTPStatus.PRECONDITION_FAILED, _FAILED)
                return
            self.server.write(path, body)
        self._answer(HTTPStatus.OK, b"", ETag=_etag(body))

    def do_GET(self) -> None:
        there = self.server.objects.get(self.path.partition("?")[0])
        if there is None:
            self._answer(HTTPStatus.NOT_FOUND, _ABSENT)
        else:
            body, written = there
            self._answer(HTTPStatus.OK, body, ETag=_etag(body), **{"Last-Modified": written})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _fails(self, there: bytes | None) -> bool:
        """Whether a condition that is not ignored does not hold."""
        conditions = {
            name: self.headers[name]
            for name in ("if-match", "if-none-match")
            if name in self.headers and name not in self.server.ignored
        }
        return ("if-none-match" in conditions and there is not None) or (
            "if-match" in conditions and (there is None or _etag(there) != conditions["if-match"])
        )

    def _answer(self, status: HTTPStatus, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body).hexdigest()}"'


@contextmanager
def careless(*ignored: str) -> Iterator[Store]:
    """Run a store that ignores these headers of writes."""
    with Store(ignored) as store:
        thread = threading.Thread(target=store.serve_forever)
        thread.start()
        try:
            yield store
        finally:
            store.shutdown()
            thread.join()
