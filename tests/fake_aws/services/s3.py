"""Amazon S3, path style: objects of the world's buckets."""

from __future__ import annotations

import base64
import hashlib
import time
import zlib
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from tests.fake_aws.services import kms
from tests.fake_aws.services.base import Call, Service
from tests.fake_aws.state import StoredObject
from tests.fake_aws.wire import ApiError, Codes, Reply, RestXml, elements

if TYPE_CHECKING:
    from tests.fake_aws.wire import Request
    from tests.fake_aws.world import Bucket

SERVICE = Service(
    "s3",
    RestXml(),
    Codes(
        unknown_key=("InvalidAccessKeyId", 403),
        expired=("ExpiredToken", 400),
        bad_signature=("SignatureDoesNotMatch", 403),
        bad_scope=("AuthorizationHeaderMalformed", 400),
        skewed=("RequestTimeTooSkewed", 403),
        missing_authentication=("AccessDenied", 403),
        denied=("AccessDenied", 403),
        throttle=("SlowDown", 503),
        server_error=("InternalError", 500),
        invalid=("InvalidArgument", 400),
        unknown_operation=("NotImplemented", 501),
    ),
)
_KEPT = (
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
    "expires",
)
_KEPT_PREFIXES = (
    "x-amz-meta-",
    "x-amz-server-side-encryption",
    "x-amz-checksum-",
    "x-amz-storage-class",
)
_SUBRESOURCES = (
    "acl",
    "policy",
    "tagging",
    "uploads",
    "uploadId",
    "versioning",
    "location",
    "encryption",
)


def operation_of(request: Request) -> str:
    """Name the operation that a method and path ask for; an unknown name when it is not offered."""
    bucket, _, key = request.path.lstrip("/").partition("/")
    query = SERVICE.wire.params(request)
    strange = [name for name in _SUBRESOURCES if name in query]
    if strange or not bucket:
        return f"{request.method}{strange or ''}"
    if key:
        return {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject"}.get(
            request.method, request.method
        )
    if request.method == "GET" and query.get("list-type") == "2":
        return "ListObjectsV2"
    return "HeadBucket" if request.method == "HEAD" else f"{request.method}Bucket"


def _located(call: Call, action: str, *, with_key: bool = True) -> tuple[Bucket, str]:
    """Give bucket and key, authorised; raises for no bucket, another region, another owner."""
    name, _, raw = call.request.path.lstrip("/").partition("/")
    key = unquote(raw)
    bucket = call.state.buckets.get(name)
    if bucket is None:
        raise ApiError("NoSuchBucket", "The specified bucket does not exist", 404, BucketName=name)
    if bucket.region != call.region:
        call.state.counters.bad_scopes += 1
        message = f"The authorization header is malformed; the region '{call.region}' is wrong; "
        raise ApiError(
            "AuthorizationHeaderMalformed",
            f"{message}expecting '{bucket.region}'",
            400,
            Region=bucket.region,
        )
    owner = bucket.account or call.state.world.caller.account
    if (
        call.principal.account != owner
        or call.request.headers.get("x-amz-expected-bucket-owner", owner) != owner
    ):
        raise ApiError("AccessDenied", "Access Denied", 403)
    call.allow(action, _arn(call, name, key if with_key else ""), owner)
    return bucket, key


def _arn(call: Call, bucket: str, key: str = "") -> str:
    return f"arn:{call.partition}:s3:::{bucket}" + (f"/{key}" if key else "")


def decode_aws_chunked(body: bytes) -> tuple[bytes, dict[str, str]]:
    """Remove the aws-chunked encoding; give the content and the trailing headers."""
    content, position = bytearray(), 0
    while True:
        end = body.index(b"\r\n", position)
        size = int(body[position:end].split(b";", 1)[0], 16)
        position = end + 2
        if size == 0:
            break
        content += body[position : position + size]
        position += size + 2
    trailers = {}
    for line in body[position:].decode().split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            trailers[name.strip().lower()] = value.strip()
    return bytes(content), trailers


def _content(call: Call) -> tuple[bytes, dict[str, str]]:
    """Give body and headers, trailing ones included; raises BadDigest for a wrong checksum."""
    body, headers = call.request.body, dict(call.request.headers)
    if headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
        try:
            body, trailers = decode_aws_chunked(body)
        except ValueError as error:
            raise ApiError("IncompleteBody", "The aws-chunked body is malformed") from error
        headers |= trailers
        encodings = [each.strip() for each in headers.get("content-encoding", "").split(",")]
        headers["content-encoding"] = ",".join(
            each for each in encodings if each not in ("", "aws-chunked")
        )
    digests = {
        "content-md5": hashlib.md5(body, usedforsecurity=False).digest(),
        "x-amz-checksum-sha256": hashlib.sha256(body).digest(),
        "x-amz-checksum-crc32": zlib.crc32(body).to_bytes(4, "big"),
    }
    for name, digest in digests.items():
        if headers.get(name, "") not in ("", base64.b64encode(digest).decode()):
            raise ApiError("BadDigest", f"The {name} you specified did not match what we received.")
    return body, headers


def _precondition(call: Call, existing: StoredObject | None) -> None:
    """Honour If-Match and If-None-Match of a write."""
    headers = call.request.headers
    wanted, unwanted = headers.get("if-match"), headers.get("if-none-match")
    if wanted is not None and existing is None:
        raise ApiError("NoSuchKey", "The specified key does not exist.", 404)
    wrong = (
        existing is not None
        and wanted is not None
        and wanted.strip('"') not in ("*", existing.etag)
    )
    if unwanted not in (None, "*"):
        raise ApiError("NotImplemented", "If-None-Match of a write must be *", 501)
    if wrong or (unwanted == "*" and existing is not None):
        raise _failed("If-Match" if wrong else "If-None-Match")


def _failed(condition: str) -> ApiError:
    return ApiError(
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        412,
        Condition=condition,
    )


def _use_of_the_key(call: Call) -> None:
    """Pass where the caller may use the key by way of S3; a world without keys has every key."""
    key_id = call.request.headers.get("x-amz-server-side-encryption-aws-kms-key-id")
    if key_id is None or not call.state.world.keys:
        return
    key = kms.find(call, key_id)
    if key is None:
        raise ApiError("KMS.NotFoundException", f"Key '{key_id}' does not exist")
    call.allow("kms:GenerateDataKey", key_id)
    if not key.enabled:
        raise ApiError("KMS.DisabledException", f"{key_id} is disabled.")


@SERVICE.operation("PutObject")
def put_object(call: Call) -> Reply:
    """Store an object with its type, metadata, checksums and encryption."""
    bucket, key = _located(call, "s3:PutObject")
    if "if-match" in call.request.headers:
        call.allow("s3:GetObject", _arn(call, bucket.name, key), call.principal.account)
    _use_of_the_key(call)
    _precondition(call, call.state.objects[bucket.name].get(key))
    body, headers = _content(call)
    kept = {
        name: value
        for name, value in headers.items()
        if value
        and (
            name in _KEPT
            or (name.startswith(_KEPT_PREFIXES) and name != "x-amz-checksum-algorithm")
        )
    }
    kept.setdefault("content-type", "binary/octet-stream")
    kept.setdefault("x-amz-server-side-encryption", "AES256")
    if any(name.startswith("x-amz-checksum-") for name in kept):
        kept["x-amz-checksum-type"] = "FULL_OBJECT"
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
    call.state.objects[bucket.name][key] = StoredObject(body, etag, call.state.now(), kept)
    echoed = [
        (name, value)
        for name, value in kept.items()
        if name.startswith(("x-amz-server", "x-amz-check"))
    ]
    return Reply(200, headers=(("ETag", f'"{etag}"'), *echoed))


def _read(call: Call) -> Reply:
    bucket, key = _located(call, "s3:GetObject")
    found = call.state.objects[bucket.name].get(key)
    if found is None:
        # Without ListBucket AWS does not even say that the key is missing.
        call.allow("s3:ListBucket", _arn(call, bucket.name), call.principal.account)
        raise ApiError("NoSuchKey", "The specified key does not exist.", 404, Key=key)
    headers = call.request.headers
    if headers.get("if-match", found.etag).strip('"') not in ("*", found.etag):
        raise _failed("If-Match")
    if headers.get("if-none-match", "").strip('"') in ("*", found.etag):
        return Reply(304, headers=(("ETag", f'"{found.etag}"'),))
    modified = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(found.modified))
    kept = [
        (name, value)
        for name, value in found.headers.items()
        if name != "content-type"
        and (
            not name.startswith("x-amz-checksum-")
            or headers.get("x-amz-checksum-mode") == "ENABLED"
        )
    ]
    given = (("ETag", f'"{found.etag}"'), ("Last-Modified", modified), *kept)
    return Reply(200, found.headers["content-type"], found.body, given)


@SERVICE.operation("GetObject")
def get_object(call: Call) -> Reply:
    """Give an object; ranges are not offered and the whole is given, as HTTP permits."""
    return _read(call)


@SERVICE.operation("HeadObject")
def head_object(call: Call) -> Reply:
    """Give an object's headers."""
    reply = _read(call)
    reply.length, reply.body = len(reply.body), b""
    return reply


@SERVICE.operation("HeadBucket")
def head_bucket(call: Call) -> Reply:
    """Say whether the bucket exists and where."""
    bucket, _ = _located(call, "s3:ListBucket", with_key=False)
    return Reply(200, headers=(("x-amz-bucket-region", bucket.region),))


@SERVICE.operation("ListObjectsV2")
def list_objects_v2(call: Call) -> Reply:
    """List keys in order, by prefix; a delimiter is refused rather than ignored."""
    bucket, _ = _located(call, "s3:ListBucket", with_key=False)
    params = call.params
    if params.get("delimiter"):
        raise ApiError("NotImplemented", "A delimiter is not offered", 501)
    prefix, after = params.get("prefix", ""), params.get("start-after", "")
    objects = call.state.objects[bucket.name]
    keys = sorted(key for key in objects if key.startswith(prefix) and key > after)
    size = params.get("max-keys", "1000")
    if not size.isdecimal() or not int(size):
        raise call.invalid("max-keys must be 1 to 1000")
    found, more = call.page(
        lambda start, stop: keys[start:stop],
        len(keys),
        min(int(size), 1000),
        token="continuation-token",
        about=f"{bucket.name}/{prefix}/{after}",
    )
    url = params.get("encoding-type") == "url"
    contents = []
    for key in found:
        each = objects[key]
        modified = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(each.modified))
        shown = quote(key) if url else key
        entry = elements(
            Key=shown,
            LastModified=modified,
            ETag=f'"{each.etag}"',
            Size=len(each.body),
            StorageClass="STANDARD",
        )
        contents.append(f"<Contents>{entry}</Contents>")
    head = elements(
        Name=bucket.name, Prefix=quote(prefix) if url else prefix, KeyCount=len(found), MaxKeys=size
    )
    encoding = elements(EncodingType="url") if url else ""
    asked = params.get("continuation-token")
    next_page = elements(ContinuationToken=asked) if asked else ""
    next_page += elements(NextContinuationToken=more["continuation-token"]) if more else ""
    truncated = elements(IsTruncated="true" if more else "false")
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"{head}{encoding}{truncated}{next_page}{''.join(contents)}</ListBucketResult>"
    )
    return Reply(200, "application/xml", text.encode())
