"""Requests, replies and errors, and the four protocols in which AWS words them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUEST_ID = "00000000-0000-4000-8000-00000000fa4e"
_SERVER_ERROR = 500


@dataclass(slots=True)
class Request:
    """One HTTP request; header names are lower case, `path` is as sent (percent-encoded)."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Reply:
    """One HTTP answer; `length` replaces Content-Length where there is no body (HEAD)."""

    status: int
    content_type: str = ""
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None


class ApiError(Exception):
    """An AWS error answer; `extra` are further members (JSON) or elements (XML) of the error."""

    def __init__(self, code: str, message: str, status: int = 400, **extra: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status, self.extra = code, message, status, extra


@dataclass(frozen=True, slots=True)
class Codes:
    """How one service words the errors that every service has: (code, HTTP status)."""

    unknown_key: tuple[str, int] = ("UnrecognizedClientException", 400)
    expired: tuple[str, int] = ("ExpiredTokenException", 400)
    bad_signature: tuple[str, int] = ("InvalidSignatureException", 400)
    bad_scope: tuple[str, int] = ("InvalidSignatureException", 400)
    skewed: tuple[str, int] | None = None  # where a wrong clock is not worded as a bad signature
    missing_authentication: tuple[str, int] = ("MissingAuthenticationTokenException", 400)
    denied: tuple[str, int] = ("AccessDeniedException", 400)
    throttle: tuple[str, int] = ("ThrottlingException", 400)
    server_error: tuple[str, int] = ("ServerException", 500)
    invalid: tuple[str, int] = ("InvalidParameterException", 400)
    unknown_operation: tuple[str, int] = ("UnknownOperationException", 400)


QUERY_CODES = Codes(
    unknown_key=("InvalidClientTokenId", 403),
    expired=("ExpiredToken", 403),
    bad_signature=("SignatureDoesNotMatch", 403),
    bad_scope=("SignatureDoesNotMatch", 403),
    missing_authentication=("MissingAuthenticationToken", 403),
    denied=("AccessDenied", 403),
    throttle=("Throttling", 400),
    server_error=("InternalFailure", 500),
    invalid=("ValidationError", 400),
    unknown_operation=("InvalidAction", 400),
)


class Wire(Protocol):
    """A protocol: how parameters arrive, results leave and errors look."""

    def params(self, request: Request) -> dict[str, Any]:
        """Read the parameters; raises `ValueError` for a body that is not of this protocol."""

    def render(self, operation: str, result: Any) -> Reply:
        """Word a result."""

    def error(self, error: ApiError) -> Reply:
        """Word an error."""


@dataclass(frozen=True, slots=True)
class Json:
    """AWS JSON 1.1 and, with `rest`, REST-JSON: results and parameters are objects."""

    rest: bool = False

    def params(self, request: Request) -> dict[str, Any]:
        """Read the body as a JSON object; an empty one has no members."""
        data = json.loads(request.body) if request.body else {}
        if not isinstance(data, dict):
            raise ValueError("a JSON object is expected")  # noqa: TRY004 - as documented
        return data

    def render(self, operation: str, result: Mapping[str, Any]) -> Reply:
        """Dump a mapping."""
        del operation
        return Reply(200, self._type, json.dumps(result, separators=(",", ":")).encode())

    def error(self, error: ApiError) -> Reply:
        """Name the code in the body, and for REST in the header, as botocore reads it."""
        body: dict[str, str] = {"message": error.message, **error.extra}
        if not self.rest:
            body["__type"] = error.code
        return Reply(
            error.status, self._type, json.dumps(body).encode(), (("x-amzn-ErrorType", error.code),)
        )

    @property
    def _type(self) -> str:
        return "application/json" if self.rest else "application/x-amz-json-1.1"


@dataclass(frozen=True, slots=True)
class Query:
    """The AWS query protocol, and EC2's dialect of it: form parameters in, XML out."""

    namespace: str
    ec2: bool = False

    def params(self, request: Request) -> dict[str, Any]:
        """Read the form of the body."""
        return dict(parse_qsl(request.body.decode(), keep_blank_values=True))

    def render(self, operation: str, result: str) -> Reply:
        """Wrap the XML of a result."""
        if self.ec2:
            inner = f"<requestId>{REQUEST_ID}</requestId>{result}"
        else:
            inner = (
                f"<{operation}Result>{result}</{operation}Result>"
                f"<ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>"
            )
        text = f'<{operation}Response xmlns="{self.namespace}">{inner}</{operation}Response>'
        return Reply(200, "text/xml", text.encode())

    def error(self, error: ApiError) -> Reply:
        """Word the error as Query or EC2 do."""
        what = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
        if self.ec2:
            text = (
                f"<Response><Errors><Error>{what}</Error></Errors>"
                f"<RequestID>{REQUEST_ID}</RequestID></Response>"
            )
        else:
            side = "Receiver" if error.status >= _SERVER_ERROR else "Sender"
            text = (
                f'<ErrorResponse xmlns="{self.namespace}"><Error><Type>{side}</Type>{what}</Error>'
                f"<RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
            )
        return Reply(error.status, "text/xml", text.encode())


@dataclass(frozen=True, slots=True)
class RestXml:
    """S3's protocol: operations read the request and make whole replies themselves."""

    def params(self, request: Request) -> dict[str, Any]:
        """Read the query string."""
        return dict(parse_qsl(request.query, keep_blank_values=True))

    def render(self, operation: str, result: Reply) -> Reply:
        """Pass the reply on."""
        del operation
        return result

    def error(self, error: ApiError) -> Reply:
        """Word the error, further elements included."""
        extra = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in error.extra.items())
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{escape(error.code)}</Code>'
            f"<Message>{escape(error.message)}</Message>{extra}"
            f"<RequestId>{REQUEST_ID}</RequestId></Error>"
        )
        where = error.extra.get("Region")
        headers = (("x-amz-bucket-region", where),) if where else ()
        return Reply(error.status, "application/xml", text.encode(), headers)


def elements(**members: object) -> str:
    """Give `<Name>value</Name>` for every member."""
    return "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in members.items())
