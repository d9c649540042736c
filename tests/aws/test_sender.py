"""The sender against real sockets: what fails is what the SDK raises, proxies and CAs count."""

from __future__ import annotations

import base64
import contextlib
import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions as sdk
from botocore.config import Config as ClientConfig
from botocore.parsers import ResponseParserError
from botocore.session import Session
from urllib3 import Timeout

from sweeper.aws.client import shared_http as sender
from sweeper.aws.client import total_time
from sweeper.aws.client.credentials import bound_to
from sweeper.aws.client.shared_http import SharedHttpSession
from tests.authority import Authority
from tests.aws.conftest import Enter
from tests.aws.support import REGION, opened
from tests.fake_aws.world import World

ANSWER = b'{"repositories": []}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\n"
WHOLE = HEAD + b"content-length: %d\r\n\r\n" % len(ANSWER) + ANSWER
TIMEOUT = 30  # seconds: a test that hangs must not hang the others
SHORT = 0.2  # seconds: a time-out that is meant to pass

Serve = Callable[[socket.socket], None]


class Listener:
    """A server that does `serve` with each connection, one after another, and ends with it."""

    def __init__(self, serve: Serve, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.closed = threading.Semaphore(0)  # released for each connection that was closed
        self._serve = serve
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._tls is None:
                self._serve(connection)
            else:
                with self._tls.wrap_socket(connection, server_side=True) as secured:
                    self._serve(secured)
        self.closed.release()

    def close(self) -> None:
        self._socket.close()


Listen = Callable[..., Listener]


@pytest.fixture
def listen() -> Iterator[Listen]:
    made: list[Listener] = []

    def make(serve: Serve, tls: ssl.SSLContext | None = None) -> Listener:
        made.append(Listener(serve, tls))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def read_request(connection: socket.socket) -> bytes:
    """One request with its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65536)
        if not received:
            raise OSError("the client left")
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(data: bytes, seen: list[bytes] | None = None) -> Serve:
    """Every request of a connection is answered with `data`."""

    def serve(connection: socket.socket) -> None:
        while True:
            request = read_request(connection)
            if seen is not None:
                seen.append(request)
            connection.sendall(data)

    return serve


def answer_and_close(data: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(data)

    return serve


def hang(connection: socket.socket) -> None:
    read_request(connection)
    connection.recv(1)  # until the client gives up


def make_client(
    url: str, *, own: bool = True, ca: str | None = None, tries: int = 1, wait: float = SHORT
) -> Any:
    session = Session()
    client = session.create_client(
        "ecr",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id="AKIATEST",
        aws_secret_access_key="secret",
        verify=ca,
        config=ClientConfig(
            connect_timeout=wait,
            read_timeout=wait,
            retries={"total_max_attempts": tries, "mode": "standard"},
        ),
    )
    if own:
        SharedHttpSession(
            ca or session.get_config_variable("ca_bundle"),
            connections=4,
            timeout=Timeout(connect=wait, read=wait),
        ).register(client)
    return client


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def raised(call: Callable[[], object]) -> type[BaseException]:
    with pytest.raises(sdk.BotoCoreError) as caught:
        call()
    return caught.type


both = pytest.mark.parametrize("own", [True, False], ids=["own", "botocore"])


@both
@pytest.mark.parametrize(
    ("serve", "kind"),
    [
        (hang, sdk.ReadTimeoutError),
        (lambda connection: None, sdk.ConnectionClosedError),
        (answer_and_close(b"HTTP/1.1 2"), sdk.ConnectionClosedError),
        (answer_and_close(b"nonsense\r\n\r\n"), sdk.ConnectionClosedError),
        (
            answer_and_close(HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nab"),
            sdk.ConnectionClosedError,
        ),
    ],
    ids=["hangs", "closes", "breaks off in the head", "no HTTP", "breaks off in the body"],
)
def test_what_fails_raises_what_the_sdk_raises(
    listen: Listen, own: bool, serve: Serve, kind: type[Exception]
) -> None:
    client = make_client(f"http://127.0.0.1:{listen(serve).port}", own=own)
    assert raised(client.describe_repositories) is kind


def test_an_answer_that_is_shorter_than_it_says_is_no_answer(listen: Listen) -> None:
    url = f"http://127.0.0.1:{listen(answer_and_close(WHOLE[:-1])).port}"
    client = make_client(url, wait=TIMEOUT)
    assert raised(client.describe_repositories) is sdk.ConnectionClosedError


def test_an_answer_without_end_is_not_read_to_it(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "MAX_ANSWER", len(ANSWER))
    server = listen(answer(WHOLE))
    client = make_client(f"http://127.0.0.1:{server.port}")
    assert client.describe_repositories()["repositories"] == []
    monkeypatch.setattr(sender, "MAX_ANSWER", len(ANSWER) - 2)
    with pytest.raises(ResponseParserError, match=f"more than {len(ANSWER) - 2} bytes"):
        client.describe_repositories()
    # The rest of the answer is not taken for the next one.
    assert server.closed.acquire(timeout=TIMEOUT)


def test_of_images_less_is_read_and_it_is_not_asked_again(listen: Listen) -> None:
    limit = sender.MAX_ANSWERS["DescribeImages"]

    def images(more: int) -> Serve:
        body = b'{"imageDetails": []}'.ljust(limit + more)
        return answer(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)

    def client(server: Listener) -> Any:
        return make_client(f"http://127.0.0.1:{server.port}", tries=3)

    whole = client(listen(images(0))).describe_images(repositoryName="app")
    assert whole["imageDetails"] == []
    longer = listen(images(2))
    with pytest.raises(ResponseParserError, match="more than 2,000,000 bytes"):
        client(longer).describe_images(repositoryName="app")
    assert longer.connections == 1
    assert longer.closed.acquire(timeout=TIMEOUT)


def test_closed_it_keeps_no_connection(listen: Listen) -> None:
    server = listen(answer(WHOLE))
    client = make_client(f"http://127.0.0.1:{server.port}", own=False)
    shared = SharedHttpSession(None, connections=4, timeout=Timeout(SHORT))
    shared.register(client)
    client.describe_repositories()
    shared.close()
    assert server.closed.acquire(timeout=TIMEOUT)


@both
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}", "http://nowhere.invalid"], ids=["refused", "no such host"]
)
def test_no_connection(own: bool, url: str) -> None:
    client = make_client(url.format(port=unused_port()), own=own)
    assert raised(client.describe_repositories) is sdk.EndpointConnectionError


@both
def test_a_connection_that_is_not_accepted_in_time(own: bool) -> None:
    # A full backlog: the kernel answers nobody any more.
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        client = make_client(f"http://127.0.0.1:{full.getsockname()[1]}", own=own)
        assert raised(client.describe_repositories) is sdk.ConnectTimeoutError


def test_a_broken_connection_is_tried_again(listen: Listen) -> None:
    turns: Iterator[Serve] = iter([lambda _: None, answer(WHOLE)])

    def serve(connection: socket.socket) -> None:
        next(turns)(connection)

    server = listen(serve)
    client = make_client(f"http://127.0.0.1:{server.port}", tries=2)
    assert client.describe_repositories()["repositories"] == []
    assert server.connections == 2


def test_a_kept_connection_that_the_server_closed_meanwhile_is_replaced(listen: Listen) -> None:
    server = listen(answer_and_close(WHOLE))
    client = make_client(f"http://127.0.0.1:{server.port}")
    for _ in range(3):
        assert client.describe_repositories()["repositories"] == []
        server.closed.acquire(timeout=TIMEOUT)
    assert server.connections == 3


def test_an_error_keeps_its_code_and_its_headers(listen: Listen) -> None:
    body = b'{"__type": "ThrottlingException", "message": "slow"}'
    head = b"HTTP/1.1 400 Bad\r\nx-amzn-RequestId: id-1\r\ncontent-length: %d\r\n\r\n" % len(body)
    client = make_client(f"http://127.0.0.1:{listen(answer(head + body)).port}")
    with pytest.raises(sdk.ClientError) as caught:
        client.describe_repositories()
    response = caught.value.response
    assert response["Error"]["Code"] == "ThrottlingException"
    assert response["ResponseMetadata"]["RequestId"] == "id-1"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_redirect_is_not_followed(listen: Listen) -> None:
    seen: list[bytes] = []
    other = listen(answer(WHOLE, seen))
    moved = f"HTTP/1.1 307 Moved\r\nlocation: http://127.0.0.1:{other.port}/\r\n"
    server = listen(answer(moved.encode() + b"content-length: 0\r\n\r\n"))
    url = f"http://127.0.0.1:{server.port}"
    with pytest.raises(sdk.ClientError):
        make_client(url).describe_repositories()
    assert seen == []


def test_clients_share_connections_and_one_is_used_again(listen: Listen) -> None:
    server = listen(answer(WHOLE))
    url = f"http://127.0.0.1:{server.port}"
    first, second = make_client(url, own=False), make_client(url, own=False)
    shared = SharedHttpSession(None, connections=4, timeout=Timeout(SHORT))
    for client in (first, second):
        shared.register(client)
    for client in (first, second, first):
        client.describe_repositories()
    assert server.connections == 1


# --- proxies ----------------------------------------------------------------------------------


def forwarding(seen: list[bytes]) -> Serve:
    """A proxy that joins a CONNECT with where it asks for, and answers anything else itself."""

    def serve(connection: socket.socket) -> None:
        request = read_request(connection)
        seen.append(request)
        if not request.startswith(b"CONNECT "):
            connection.sendall(WHOLE)
            return
        host, port = request.split(b" ")[1].decode().split(":")
        with socket.create_connection((host, int(port))) as upstream:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_copy, args=(upstream, connection), daemon=True)
            back.start()
            _copy(connection, upstream)

    return serve


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


@both
def test_plain_http_goes_through_the_proxy(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    seen: list[bytes] = []
    proxy = listen(forwarding(seen))
    monkeypatch.setenv("HTTP_PROXY", f"http://user:word@127.0.0.1:{proxy.port}")
    make_client("http://ecr.invalid", own=own).describe_repositories()
    (request,) = seen
    assert request.startswith(b"POST http://ecr.invalid/ HTTP/1.1\r\n")
    credentials = base64.b64encode(b"user:word")
    assert b"proxy-authorization: basic " + credentials.lower() in request.lower()


@both
def test_no_proxy_is_honoured(listen: Listen, monkeypatch: pytest.MonkeyPatch, own: bool) -> None:
    seen: list[bytes] = []
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{listen(forwarding(seen)).port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = listen(answer(WHOLE))
    make_client(f"http://127.0.0.1:{server.port}", own=own).describe_repositories()
    assert (server.connections, seen) == (1, [])


@both
@pytest.mark.parametrize("url", ["http://ecr.invalid", "https://ecr.invalid"])
def test_a_proxy_that_is_not_there_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, own: bool, url: str
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://user:hidden@127.0.0.1:{unused_port()}")
    with pytest.raises(sdk.ProxyConnectionError) as caught:
        make_client(url, own=own).describe_repositories()
    assert "127.0.0.1" in str(caught.value)
    assert "hidden" not in str(caught.value)


# --- what is sent -----------------------------------------------------------------------------

BODIES: dict[str, tuple[Any, int]] = {
    "none": (b"", 1),
    "a short one goes with its head": (b"x" * 1_000, 1),
    "a long one is not copied": (b"x" * 20_000, 2),
    "a stream is sent as it is read": (io.BytesIO(b"x" * 1_000), 2),
}


@pytest.mark.parametrize(("body", "count"), BODIES.values(), ids=BODIES)
def test_in_how_many_pieces_a_request_is_sent(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, body: Any, count: int
) -> None:
    requests: list[bytes] = []
    server = listen(answer(WHOLE, requests))
    pieces: list[bytes] = []
    send = total_time._Socket.sendall

    def sendall(self: total_time._Socket, data: bytes) -> None:
        pieces.append(data)
        send(self, data)

    monkeypatch.setattr(total_time._Socket, "sendall", sendall)
    content = body.getvalue() if isinstance(body, io.BytesIO) else body
    headers = {"content-length": str(len(content))}
    pool = total_time.POOLS["http"]("127.0.0.1", server.port, timeout=TIMEOUT)
    for _ in range(2):  # the second by the same connection
        if isinstance(body, io.BytesIO):
            body.seek(0)
        pool.urlopen("POST", "/", body=body or None, headers=headers)
    pool.close()
    assert server.connections == 1
    assert len(pieces) == 2 * count
    assert b"".join(pieces) == b"".join(requests)
    assert [each.partition(b"\r\n\r\n")[2] for each in requests] == [content] * 2


# --- TLS --------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


def trust(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str, bundle: Path) -> None:
    """Name the bundle in one of the ways that botocore knows."""
    if way == "profile":
        profile = tmp_path / "config"
        profile.write_text(f"[default]\nca_bundle = {bundle}\n", encoding="utf-8")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(profile))
    else:
        monkeypatch.setenv(way, str(bundle))


@both
@pytest.mark.parametrize("way", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "profile"])
def test_an_own_authority_is_trusted_where_it_is_named(  # noqa: PLR0917 (fixtures)
    listen: Listen,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    own: bool,
    way: str,
) -> None:
    server = listen(answer(WHOLE), authority.server("127.0.0.1"))
    trust(monkeypatch, tmp_path, way, authority.bundle)
    client = make_client(f"https://127.0.0.1:{server.port}", own=own)
    assert client.describe_repositories()["repositories"] == []


@both
@pytest.mark.parametrize("case", ["public", "another", "another name", "no file"])
def test_what_cannot_be_verified_is_not_talked_to(  # noqa: PLR0917 (fixtures)
    listen: Listen,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    own: bool,
    case: str,
) -> None:
    seen: list[bytes] = []
    name = "elsewhere.invalid" if case == "another name" else "127.0.0.1"
    server = listen(answer(WHOLE, seen), authority.server(name))
    bundles = {
        "another": Authority(tmp_path, "theirs").bundle,
        "another name": authority.bundle,
        "no file": tmp_path / "missing.pem",
    }
    if case in bundles:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundles[case]))
    client = make_client(f"https://127.0.0.1:{server.port}", own=own)
    assert raised(client.describe_repositories) is sdk.SSLError
    assert seen == []


@both
def test_tls_goes_through_a_tunnel_and_the_proxy_sees_nothing_of_it(
    listen: Listen, authority: Authority, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    seen: list[bytes] = []
    inside: list[bytes] = []
    server = listen(answer(WHOLE, inside), authority.server("127.0.0.1"))
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listen(forwarding(seen)).port}")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    make_client(f"https://127.0.0.1:{server.port}", own=own).describe_repositories()
    (request,) = seen
    assert request.startswith(f"CONNECT 127.0.0.1:{server.port} ".encode())
    (asked,) = inside
    assert asked.startswith(b"POST / HTTP/1.1\r\n")
    assert b"authorization" in asked.lower()
    assert b"authorization" not in request.lower()


def test_fips_endpoints_are_reached(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listen(refusing(seen)).port}")
    client: Any = Session().create_client(
        "ecr",
        region_name=REGION,
        aws_access_key_id="AKIATEST",
        aws_secret_access_key="secret",
        config=ClientConfig(retries={"total_max_attempts": 1}),
    )
    SharedHttpSession(None, connections=1, timeout=Timeout(SHORT)).register(client)
    assert raised(client.describe_repositories) is sdk.ProxyConnectionError
    assert b"ecr-fips.us-east-1." in seen[0].splitlines()[0]


def refusing(seen: list[bytes]) -> Serve:
    def serve(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")

    return serve


# --- which clients have it --------------------------------------------------------------------


@pytest.mark.parametrize(("http_sender", "connections"), [("own", 0), ("botocore", 2)])
def test_the_switch_gives_the_clients_back_their_own_sessions(
    enter: Enter, http_sender: str, connections: int
) -> None:
    aws = enter(World.generate(accounts=1, regions=2))
    cloud = opened(aws, limits={"http_sender": http_sender})
    before = aws.statistics().connections
    with bound_to(aws.world.accounts[0].id):
        for region in ("us-east-1", "us-east-2"):
            cloud.clients.member("ecr", region).describe_repositories()
    assert aws.statistics().connections - before == connections
