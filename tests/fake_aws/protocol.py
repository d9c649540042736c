"""HTTP/1.1 with keep-alive, by hand: one connection is one `Connection`."""

from __future__ import annotations

import asyncio
import time
import traceback
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from tests.fake_aws import control, dispatch
from tests.fake_aws.wire import REQUEST_ID, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fake_aws.state import State
    from tests.fake_aws.world import Fault

_LARGEST_HEAD = 65536
# While an answer is held, an interim one goes out this often: no time-out of the client ends it.
_INTERIM_SECONDS = 0.5
_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


class Server:
    """What all connections share; a control request may replace the state as a whole."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.held: dict[Connection, Callable[[], None]] = {}

    def release(self) -> None:
        """Send every answer that is held."""
        held, self.held = self.held, {}
        for answer in held.values():
            answer()


@lru_cache(maxsize=4)
def _date(second: int) -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second))


@lru_cache(maxsize=64)
def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Injected"


def encode(reply: Reply, now: float) -> bytes:
    """Give the bytes of an answer, dated `now`, in seconds since the epoch."""
    length = len(reply.body) if reply.length is None else reply.length
    first = f"HTTP/1.1 {reply.status} {_reason(reply.status)}\r\nDate: {_date(int(now))}\r\n"
    lines = [first, f"x-amzn-RequestId: {REQUEST_ID}\r\nContent-Length: {length}\r\n"]
    if reply.content_type:
        lines.append(f"Content-Type: {reply.content_type}\r\n")
    lines.extend(f"{name}: {value}\r\n" for name, value in reply.headers)
    lines.append("\r\n")
    return "".join(lines).encode("latin-1") + reply.body


class Connection(asyncio.Protocol):
    """Reads requests one after the other and answers each before it looks at the next."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._head: Request | None = None
        self._missing = 0
        self._counted = False
        self._answering = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; the connection is counted with its first AWS call."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget an answer that nobody waits for."""
        del exc
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self._server.held.pop(self, None)
        self._done()
        if self._counted:
            self._server.state.counters.open_connections -= 1

    def data_received(self, data: bytes) -> None:
        """Take bytes; handles a request as soon as it is whole."""
        self._buffer += data
        self._advance()

    def _advance(self) -> None:
        while not self._answering and self._transport is not None:
            if self._head is None and not self._read_head():
                return
            assert self._head is not None
            if len(self._buffer) < self._missing:
                return
            request, self._head = self._head, None
            request.body = bytes(self._buffer[: self._missing])
            del self._buffer[: self._missing]
            self._handle(request)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _LARGEST_HEAD:
                self._refuse(431)
            return False
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        words = first.split(" ")
        length = headers.get("content-length", "0")
        if len(words) != 3 or not length.isdecimal():
            self._refuse(400)
            return False
        if "transfer-encoding" in headers:
            self._refuse(411)
            return False
        path, _, query = words[1].partition("?")
        self._head, self._missing = Request(words[0], path, query, headers, b""), int(length)
        waits = headers.get("expect", "").lower() == "100-continue"
        if waits and len(self._buffer) < self._missing and self._transport is not None:
            self._transport.write(_INTERIM)
        return True

    def _refuse(self, status: int) -> None:
        if self._transport is not None:
            self._send(Reply(status, headers=(("Connection", "close"),)))
            self._transport.close()
            self._transport = None

    def _handle(self, request: Request) -> None:
        if request.path.startswith(control.PREFIX):
            self._send(control.handle(self._server, request))
            return
        state = self._server.state
        if not self._counted:
            self._counted = True
            state.counters.connection_opened()
        state.counters.began()
        self._answering = True
        try:
            answer = dispatch.handle(state, request)
        except Exception:  # noqa: BLE001 - a bug of the fake must show
            traceback.print_exc()
            state.counters.errors["BugInTheFake"] += 1
            answer = dispatch.Answer(
                Reply(500, "text/plain", b"a bug in the fake: see its standard error"), 0
            )
        if answer.trickle and answer.reply:
            self._trickle(answer.reply, answer.trickle)
            return
        close = answer.breaks_off or request.headers.get("connection", "").lower() == "close"
        if answer.held:
            self._server.held[self] = partial(self._finish, answer.reply, close)
            self._hold()
        elif answer.delay > 0:
            self._timer = asyncio.get_running_loop().call_later(
                answer.delay, self._finish, answer.reply, close
            )
        else:
            self._answer(answer.reply, close=close)

    def _hold(self) -> None:
        if self._transport is not None:
            self._transport.write(_INTERIM)
        self._timer = asyncio.get_running_loop().call_later(_INTERIM_SECONDS, self._hold)

    def _trickle(self, reply: Reply, fault: Fault) -> None:
        """Send what the fault leaves at once, and the rest byte by byte."""
        data = encode(reply, self._server.state.now())
        at_once = len(data) - len(reply.body) if fault.part == "body" else 0
        if self._transport is not None:
            self._transport.write(data[:at_once])
        self._one_more(data[at_once:], 1 / fault.rate)

    def _one_more(self, rest: bytes, wait: float) -> None:
        if self._transport is None:
            return
        self._transport.write(rest[:1])
        if len(rest) > 1:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(wait, self._one_more, rest[1:], wait)
            return
        self._timer = None
        self._done()
        self._advance()

    def _finish(self, reply: Reply | None, close: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._answer(reply, close=close)
        self._advance()

    def _answer(self, reply: Reply | None, *, close: bool) -> None:
        self._done()
        if self._transport is None:
            return
        if reply is None:
            self._transport.abort()
            return
        self._send(reply)
        if close:
            self._transport.close()

    def _done(self) -> None:
        if self._answering:
            # Not the state that the request met: counts are carried over when the world is
            # replaced.
            self._server.state.counters.in_flight -= 1
            self._answering = False

    def _send(self, reply: Reply) -> None:
        if self._transport is not None:
            self._transport.write(encode(reply, self._server.state.now()))
