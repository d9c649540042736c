"""The time that a call may take on the network in total, whoever sends it.

The SDK's time-outs count anew with each byte: a peer that sends one every five seconds never lets a
call end. Here each wait of a socket counts against one budget of the call, and against the stop of
the sweep: in an answer's head and body, in a stream that is read later, in a request that nobody
takes, and in a proxy's answer to CONNECT. A TLS handshake has a total time of its own: the connect
time-out. What runs out of time raises what a socket's time-out raises.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.client import BaseClient
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context

from sweeper.engine.attempts import Grace

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection as _Plain
    from urllib3.connection import HTTPSConnection as _Tls

    _AnySocket = socket.socket
else:
    _AnySocket = _Plain = _Tls = object  # of what is mixed in

TOTAL_TIMEOUT = 30.0  # seconds of waiting; what is transferred gives time back
_SHORT_BODY = 16_384  # bytes; it is copied behind its head
SLOWEST = 50_000  # bytes a second: at this rate a call of any size ends in its own time

R = TypeVar("R")


class CallTime:
    """What is left of one attempt's time; `stop` ends it at once."""

    def __init__(self, stop: Grace, seconds: float) -> None:
        self._stop = stop
        self._seconds = self._left = seconds

    def waits(self, sock: socket.socket, work: Callable[..., R], *arguments: Any) -> R:
        """Do `work`, which waits for the socket; raises TimeoutError where no time is left."""
        left = min(self._left, self._stop.left())
        if left <= 0:
            raise TimeoutError("the call's total time is over")
        usual = sock.gettimeout()
        if shorter := usual is None or left < usual:
            sock.settimeout(left)
        began = self._stop.now()
        try:
            result = work(*arguments)
        finally:
            self._left -= self._stop.now() - began
            if shorter and sock.fileno() >= 0:
                sock.settimeout(usual)
        moved = result if isinstance(result, int) else _length(result, *arguments)
        self._left = min(self._seconds, self._left + moved / SLOWEST)
        return result


def _length(received: object, first: Any, *_: Any) -> int:
    """Count the bytes that were received, or sent where none were meant to be."""
    return len(received if isinstance(received, bytes) else first)


# The time of the call that this thread sends now: its connection takes it over.
_current: ContextVar[CallTime | None] = ContextVar("call_time", default=None)


class TotalTime:
    """Gives each attempt of the registered clients its time.

    All end when `stop` comes, that of a sweep with the grace that calls under way have.
    """

    def __init__(self, stop: Grace, seconds: float | None = None) -> None:
        self._stop = stop
        self._seconds = TOTAL_TIMEOUT if seconds is None else seconds

    def register(self, client: BaseClient) -> None:
        """Let the calls of `client` have a total time."""
        # The SDK has no other way to say which connections its sessions use.
        AWSHTTPConnectionPool.ConnectionCls = _SdkConnection
        AWSHTTPSConnectionPool.ConnectionCls = _SdkTlsConnection
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register_first(f"before-send.{service}", self._begin)
        client.meta.events.register(f"response-received.{service}", self._end)

    def _begin(self, **_: Any) -> None:
        _current.set(CallTime(self._stop, self._seconds))

    @staticmethod
    def _end(**_: Any) -> None:
        _current.set(None)  # a stream's connection has it


class _TimedSocket(_AnySocket):
    time: CallTime | None = None

    def settimeout(self, value: float | None) -> None:
        """Set it where it changes: the socket's is a system call even where nothing changes."""
        if value != self.gettimeout():
            super().settimeout(value)

    def recv_into(self, *arguments: Any) -> int:
        """Receive as the socket does, in time."""
        return _in_time(self, super().recv_into, *arguments)


class _Socket(_TimedSocket, socket.socket):
    def sendall(self, *arguments: Any) -> None:
        """Send as the socket does, in time."""
        return _in_time(self, super().sendall, *arguments)


class _TlsSocket(_TimedSocket, ssl.SSLSocket):
    def recv(self, *arguments: Any) -> bytes:
        """Receive as the socket does, in time: TLS within TLS receives this way."""
        return _in_time(self, super().recv, *arguments)

    def send(self, *arguments: Any) -> int:
        """Send as the socket does, in time; `sendall` sends this way."""
        return _in_time(self, super().send, *arguments)


def _in_time(sock: _TimedSocket, work: Callable[..., R], *arguments: Any) -> R:
    return work(*arguments) if sock.time is None else sock.time.waits(sock, work, *arguments)


class _Timed(_Plain):
    """A connection whose sockets know the time of the call that uses it."""

    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        sock = _Socket(made.family, made.type, made.proto, made.detach())
        sock.settimeout(made.gettimeout())
        _takes_over(sock)
        return sock

    def request(self, *arguments: Any, **options: Any) -> None:
        """Do as the connection does, in the time of the call.

        Over a connection that is used again, a request has the time-out of its answer: setting
        another for it and back would be two system calls, at each of which the GIL is given up.
        """
        _takes_over(self.sock)
        if self.sock is not None:
            self.timeout = self.sock.gettimeout()
        super().request(*arguments, **options)


class _TimedTls(_Tls):
    def connect(self) -> None:
        """Do as the connection does, in the time of the call."""
        if self.ssl_context is None:
            self.ssl_context = _context(self.ca_certs)
        self.ssl_context.sslsocket_class = _TlsSocket
        super().connect()
        _takes_over(self.sock)

    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> ssl.SSLSocket:
        """Do as the connection does: the proxy's answer to CONNECT is in the time of the call."""
        config: Any = self.proxy_config
        if config.ssl_context is None and not self.proxy_is_forwarding:
            self.proxy_config = config = config._replace(ssl_context=_context(self.ca_certs))
        if config.ssl_context is not None:
            config.ssl_context.sslsocket_class = _TlsSocket
        secured: ssl.SSLSocket = super()._connect_tls_proxy(hostname, sock)
        _takes_over(secured)
        return secured


def _takes_over(sock: Any) -> None:
    """Let the socket, that of a proxy where it is TLS within TLS, have the call's time."""
    sock = getattr(sock, "socket", sock)
    if isinstance(sock, _TimedSocket):
        sock.time = _current.get()


def _context(ca_certs: str | None) -> ssl.SSLContext:
    """Build what urllib3 makes where it is given none."""
    context = create_urllib3_context()
    if ca_certs:
        context.load_verify_locations(ca_certs)
    else:
        context.load_default_certs()
    return context


class _OneWrite(_Plain):
    """A connection that sends a short request as one piece.

    urllib3 sends the head and the body one after the other: a system call more, a TLS record more,
    and the GIL is given up and waited for once more.
    """

    _holds_head = False
    _head = b""

    def request(self, method: str, url: str, body: Any = None, *rest: Any, **options: Any) -> None:
        """Do as the connection does; the head waits for a body that is short."""
        self._holds_head = isinstance(body, bytes) and 0 < len(body) <= _SHORT_BODY
        self._head = b""
        super().request(method, url, body, *rest, **options)

    def send(self, data: Any) -> None:
        """Send as the connection does, behind the head that was held."""
        if self._holds_head:
            self._holds_head = False
            self._head = data
            return
        if self._head:
            data, self._head = self._head + data, b""
        super().send(data)


class _Connection(_OneWrite, _Timed, HTTPConnection):
    pass


class _TlsConnection(_OneWrite, _TimedTls, _Timed, HTTPSConnection):
    pass


class _SdkConnection(_Timed, AWSHTTPConnection):  # type: ignore[misc]
    pass


class _SdkTlsConnection(_TimedTls, _Timed, AWSHTTPSConnection):  # type: ignore[misc]
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _Pool, "https": _TlsPool}
