"""One light HTTP session for all of the SDK's clients, in the place of one heavy session for each.

It stands in through the public `before-send` event: retries, endpoints, signatures and parsing stay
botocore's. Proxies and CA bundles are read as botocore reads them, certificates are always
verified, and what fails raises what botocore's own session raises, on which its retries depend.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import urllib3
from botocore import exceptions as sdk
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.httpsession import (
    ProxyConfiguration,
    create_urllib3_context,
    get_cert_path,
    mask_proxy_url,
)
from botocore.parsers import ResponseParserError
from botocore.utils import get_environ_proxies
from urllib3 import exceptions as http

from sweeper.aws.client.total_time import POOLS

_NO_RETRIES = urllib3.Retry(False)  # urllib3's word for: raise what happened, as it is
MAX_ANSWER = 64_000_000  # bytes; a page of a thousand repositories has less than one million
# Bytes, by operation. Whoever may push images can give each a thousand tags of 300 characters; and
# what is read is several times as large once it is parsed, in as many threads as there are.
MAX_ANSWERS = {"DescribeImages": 2_000_000}
_MOST_HOSTS = 1000  # more than there are endpoints: a pool that is forgotten loses its connections
# In order: the first class that fits.
_ERRORS: tuple[tuple[type[Exception], type[sdk.BotoCoreError]], ...] = (
    (http.SSLError, sdk.SSLError),
    (http.NewConnectionError, sdk.EndpointConnectionError),
    (http.ProxyError, sdk.ProxyConnectionError),
    (http.ConnectTimeoutError, sdk.ConnectTimeoutError),
    (http.ReadTimeoutError, sdk.ReadTimeoutError),
    (http.ProtocolError, sdk.ConnectionClosedError),
    (Exception, sdk.HTTPClientError),
)


class _Read:
    """What was read, as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        """Yield all of it at once."""
        yield self._body


def _whole(response: urllib3.BaseHTTPResponse, limit: int) -> bytes:
    """Read all of the answer, which also frees the connection; raise HTTPError.

    One that is too long is ResponseParserError, as what else AWS does not send: it is not asked
    for again.
    """
    body = response.read(limit + 1)
    if len(body) > limit:
        response.close()
        raise ResponseParserError(f"the answer has more than {limit:,} bytes: it was not read")
    if missing := response.length_remaining:  # a read of a given size does not tell
        response.close()
        raise http.ProtocolError(f"the answer ended {missing:,} bytes before its end")
    return body


class SharedHttpSession:
    """Sends for the clients that are registered; shared by all threads.

    `ca_bundle` is the session's setting, None where there is none; `timeout` is in seconds.
    """

    def __init__(
        self, ca_bundle: str | None, *, connections: int, timeout: urllib3.Timeout
    ) -> None:
        self._ca_bundle = ca_bundle or os.environ.get("REQUESTS_CA_BUNDLE")
        self._options: dict[str, Any] = {
            "num_pools": _MOST_HOSTS,
            "maxsize": connections,
            "timeout": timeout,
        }
        self._lock = threading.Lock()
        self._managers: dict[str | None, urllib3.PoolManager] = {}
        self._routes: dict[str, tuple[urllib3.HTTPConnectionPool, str | None]] = {}

    def register(self, client: BaseClient) -> None:
        """Let `client` send through this."""
        service = client.meta.service_model.service_id.hyphenize()
        handler: Any = self._send  # botocore-stubs: handlers that answer are not known
        client.meta.events.register(f"before-send.{service}", handler)

    def close(self) -> None:
        """Close every connection that is idle; one in use is closed when its call ends."""
        for pool, _ in self._routes.values():
            pool.close()

    def _send(self, request: Any, event_name: str, **_: Any) -> AWSResponse:
        limit = MAX_ANSWERS.get(event_name.rpartition(".")[2], MAX_ANSWER)
        scheme, netloc, path, query, _fragment = urlsplit(request.url)
        proxy = None
        try:
            pool, proxy = self._route(f"{scheme}://{netloc}")
            target = f"{path or '/'}?{query}" if query else path or "/"
            response = pool.urlopen(
                request.method,
                request.url if proxy and scheme == "http" else target,
                body=request.body,
                headers=dict(request.headers.items()),
                retries=_NO_RETRIES,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
            )
            headers: Any = response.headers  # botocore-stubs: AWSResponse takes any mapping
            body = _Read(_whole(response, limit))
            answer = AWSResponse(request.url, response.status, headers, body)
        except (http.HTTPError, OSError) as error:
            raise next(kind for cause, kind in _ERRORS if isinstance(error, cause))(
                endpoint_url=request.url, proxy_url=mask_proxy_url(proxy or ""), error=error
            ) from error
        return answer

    def _route(self, origin: str) -> tuple[urllib3.HTTPConnectionPool, str | None]:
        """Return the connections to `origin`, and the proxy that they go through."""
        route = self._routes.get(origin)
        if route is None:
            with self._lock:
                proxies = ProxyConfiguration(get_environ_proxies(origin))
                proxy = proxies.proxy_url_for(origin)
                if proxy not in self._managers:
                    self._managers[proxy] = self._manager(proxies, proxy)
                pool = self._managers[proxy].connection_from_url(origin)
                route = self._routes[origin] = (pool, proxy)
        return route

    def _manager(self, proxies: ProxyConfiguration, proxy: str | None) -> urllib3.PoolManager:
        context = create_urllib3_context()
        context.check_hostname = True
        try:
            context.load_verify_locations(self._ca_bundle or get_cert_path(verify=True))
        except OSError as error:
            raise http.SSLError(error) from error
        options = {**self._options, "ssl_context": context}
        manager: urllib3.PoolManager
        if proxy is None:
            manager = urllib3.PoolManager(**options)
        else:
            headers = proxies.proxy_headers_for(proxy)
            # A proxy that is itself reached by TLS is verified as an endpoint is.
            manager = urllib3.ProxyManager(
                proxy, proxy_headers=headers, proxy_ssl_context=context, **options
            )
        manager.pool_classes_by_scheme = POOLS
        return manager
