"""Verification of AWS Signature Version 4, from the server's side."""

from __future__ import annotations

import calendar
import hmac
import re
import time
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from tests.fake_aws.wire import Request

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,]+)/(\d{8})/([^/,]+)/([^/,]+)/aws4_request, *"
    r"SignedHeaders=([^,]+), *Signature=([0-9a-f]{64})"
)
_SAFE = "-_.~"
_EMPTY_HASH = sha256(b"").hexdigest()
_UNHASHED = ("UNSIGNED-PAYLOAD", "STREAMING-")
MOST_SKEW_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Authorization:
    """What the Authorization header claims."""

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: str
    signature: str


def parse(header: str | None) -> Authorization | None:
    """Read an Authorization header; None when there is none or it is not Signature Version 4."""
    match = _AUTHORIZATION.fullmatch(header) if header else None
    return Authorization(*match.groups()) if match else None


@lru_cache(maxsize=65536)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = hmac.digest(f"AWS4{secret}".encode(), date.encode(), "sha256")
    for part in (region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


@lru_cache(maxsize=256)
def timestamp(text: str) -> float | None:
    """Read an X-Amz-Date as seconds since the epoch; None when it is not one."""
    try:
        return float(calendar.timegm(time.strptime(text, "%Y%m%dT%H%M%SZ")))
    except ValueError:
        return None


@lru_cache(maxsize=256)
def _canonical_path(path: str, service: str) -> str:
    # S3 signs the path as it is sent; every other service signs it encoded once more.
    return (
        quote(unquote(path), safe="/" + _SAFE) if service == "s3" else quote(path, safe="/" + _SAFE)
    )


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        pairs.append((quote(unquote(name), safe=_SAFE), quote(unquote(value), safe=_SAFE)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _payload_hash(request: Request) -> str | None:
    actual = sha256(request.body).hexdigest() if request.body else _EMPTY_HASH
    declared = request.headers.get("x-amz-content-sha256")
    if declared is None:
        return actual
    return declared if declared.startswith(_UNHASHED) or declared == actual else None


def skew(request: Request, now: float) -> str | None:
    """Say, as AWS does, that a request's date is too far from `now`; None when it is not."""
    date = request.headers.get("x-amz-date", "")
    when = timestamp(date)
    if when is None or abs(now - when) <= MOST_SKEW_SECONDS:
        return None  # a date that is none is another problem
    if when < now:
        how, least, sign = "expired", now - MOST_SKEW_SECONDS, "-"
        than = "is now earlier than"
    else:
        how, least, sign = "not yet current", now + MOST_SKEW_SECONDS, "+"
        than = "is still later than"
    return f"Signature {how}: {date} {than} {_stamp(least)} ({_stamp(now)} {sign} 15 min.)"


def _stamp(seconds: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def problem(request: Request, claim: Authorization, secret: str) -> str | None:
    """Say what is wrong with a request's signature; None when it is right.

    `request.body` must be the body as signed, that is before an aws-chunked encoding is removed.
    """
    headers = request.headers
    date = headers.get("x-amz-date", "")
    when = timestamp(date)
    names = claim.signed_headers.split(";")
    if when is None or not date.startswith(claim.date):
        return (
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
            f"HTTP: {date!r}"
        )
    if "host" not in names:
        return "'Host' must be a 'SignedHeader' in the AWS Authorization."
    payload = _payload_hash(request)
    if payload is None:
        return "The provided 'x-amz-content-sha256' header does not match what was computed."
    lines = [f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names]
    canonical = (
        f"{request.method}\n{_canonical_path(request.path, claim.service)}\n"
        f"{_canonical_query(request.query)}\n"
        f"{''.join(lines)}\n{claim.signed_headers}\n{payload}"
    )
    to_sign = (
        f"AWS4-HMAC-SHA256\n{date}\n{claim.date}/{claim.region}/{claim.service}/aws4_request\n"
        f"{sha256(canonical.encode()).hexdigest()}"
    )
    key = _signing_key(secret, claim.date, claim.region, claim.service)
    if hmac.compare_digest(hmac.digest(key, to_sign.encode(), "sha256").hex(), claim.signature):
        return None
    return "The request signature we calculated does not match the signature you provided."
