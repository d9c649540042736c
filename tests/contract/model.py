"""Holds raw answers against botocore's service models.

botocore itself reads of an answer what its model knows, and says nothing of the rest.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree as ET

from botocore.model import OperationModel, Shape

# What any operation of a service may answer, and what no model declares.
_COMMON = {
    *("AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthFailure"),
    *("UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"),
    *("InvalidSignatureException", "SignatureDoesNotMatch", "AuthorizationHeaderMalformed"),
    *("ValidationError", "UnknownOperationException"),
}
# What S3's model leaves out of its operations' errors, and KMS's in S3.
_OF_S3 = {
    *("BadDigest", "InvalidArgument", "NoSuchBucket", "NoSuchKey", "NotImplemented"),
    *("PreconditionFailed", "KMS.NotFoundException", "404", "304"),
}
_SCALARS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("string", "character", "blob"), str),
    **dict.fromkeys(("integer", "long"), int),
    **dict.fromkeys(("float", "double", "timestamp"), (int, float)),
    "boolean": bool,
}


def problems(
    model: OperationModel, status: int, body: bytes, parsed: Mapping[str, Any]
) -> list[str]:
    """Say what the model does not allow of an answer."""
    if status >= 300:
        found = _of_error(model, status, body, parsed)
    elif model.has_streaming_output or model.output_shape is None:
        found = iter(())
    elif model.metadata["protocol"].endswith("json"):
        found = _of_json(json.loads(body or b"{}"), model.output_shape, model.name)
    else:
        found = _of_result(model.name, model.output_shape, body)
    return list(found)


def _of_error(
    model: OperationModel, status: int, body: bytes, parsed: Mapping[str, Any]
) -> Iterator[str]:
    code = parsed["Error"]["Code"]
    is_json = model.metadata["protocol"].endswith("json")
    declared_errors: list[Any] = model.error_shapes
    shape = next((each for each in declared_errors if each.error_code == code), None)
    if shape is None:
        known = _COMMON | (_OF_S3 if model.service_model.service_name == "s3" else set())
        if code not in known:
            yield f"{model.name}: {code} is no error of the operation"
        return
    declared = shape.metadata.get("error", {}).get("httpStatusCode")
    # AWS JSON answers 400, or 500, whatever the model says of HTTP.
    if declared and model.metadata["protocol"] != "json" and declared != status:
        yield f"{model.name}: {code} has status {declared}, not {status}"
    if is_json:
        content = {name: value for name, value in json.loads(body).items() if name != "__type"}
        if "Message" in shape.members and "message" in content:
            content["Message"] = content.pop("message")
        yield from _of_json(content, shape, f"{model.name}: {code}")


def _of_json(value: Any, shape: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    match kind:
        case "structure" if isinstance(value, dict):
            members = {
                member.serialization.get("name", name): member
                for name, member in shape.members.items()
            }
            yield from _keys(set(value), shape, path)
            for name in set(value) & set(members):
                yield from _of_json(value[name], members[name], f"{path}.{name}")
        case "list" if isinstance(value, list):
            for each in value:
                yield from _of_json(each, shape.member, f"{path}[]")
        case "map" if isinstance(value, dict):
            for each in value.values():
                yield from _of_json(each, shape.value, f"{path}{{}}")
        case _ if kind in _SCALARS and isinstance(value, _SCALARS[kind]):
            yield from _of_text(str(value), shape, path)
        case _:
            yield f"{path}: {value!r} is no {kind}"


def _keys(given: set[str], shape: Any, path: str) -> Iterator[str]:
    in_body = {
        member.serialization.get("name", name): name
        for name, member in shape.members.items()
        if "location" not in member.serialization
    }
    for name in sorted(given - set(in_body)):
        yield f"{path}.{name} is not in the model"
    for name, member in in_body.items():
        if member in shape.required_members and name not in given:
            yield f"{path}.{name} is required"


def _of_text(text: str, shape: Shape, path: str) -> Iterator[str]:
    enum = getattr(shape, "enum", None)
    if enum and text not in enum:
        yield f"{path}: {text!r} is none of {enum}"


def _of_result(name: str, shape: Any, body: bytes) -> Iterator[str]:
    """Check XML: a list has an element around its items, unless it is flattened."""
    in_body = [each for each in shape.members.values() if "location" not in each.serialization]
    if not in_body:
        return
    root = ET.fromstring(body)
    wrapper = shape.serialization.get("resultWrapper")
    node = next((each for each in root if _tag(each) == wrapper), root)
    skipped = {"requestId", "ResponseMetadata"}
    yield from _of_xml([each for each in node if _tag(each) not in skipped], shape, name)


def _of_xml(nodes: list[ET.Element], shape: Any, path: str) -> Iterator[str]:
    given: dict[str, list[ET.Element]] = defaultdict(list)
    for node in nodes:
        given[_tag(node)].append(node)
    yield from _keys(set(given), shape, path)
    for name, member in shape.members.items():
        for node in given.get(member.serialization.get("name", name), ()):
            yield from _of_element(node, member, f"{path}.{name}")


def _of_element(node: ET.Element, shape: Any, path: str) -> Iterator[str]:
    match shape.type_name:
        case "structure":
            yield from _of_xml(list(node), shape, path)
        case "list":
            for each in [node] if shape.serialization.get("flattened") else node:
                yield from _of_element(each, shape.member, f"{path}[]")
        case "map":
            for entry in node:
                if [_tag(each) for each in entry] != ["key", "value"]:
                    yield f"{path}: {[_tag(each) for each in entry]} is no entry"
        case _:
            yield from _of_text(node.text or "", shape, path)


def _tag(node: ET.Element) -> str:
    return node.tag.partition("}")[2] or node.tag
