"""What AWS asks of a finding: the SDK's model, and the limits that only its documentation words."""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.session import Session
from botocore.validate import ParamValidator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from botocore.model import Shape

LARGEST_FINDING = 240_000  # bytes
_MOST_PAIRS, _LONGEST_KEY, _LONGEST_VALUE = 50, 128, 2048  # ProductFields
_LENGTHS = re.compile(
    r"Minimum(?: length)? of (\d+)(?: length)?\. Maximum(?: length)? of (\d+)", re.IGNORECASE
)
_TIMES = {"CreatedAt", "UpdatedAt", "FirstObservedAt", "LastObservedAt"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)")
_NAMESPACES = (
    "Software and Configuration Checks",
    "TTPs",
    "Effects",
    "Unusual Behaviors",
    "Sensitive Data Identifications",
)


def problems(finding: Mapping[str, Any]) -> list[str]:
    """What AWS would not take of a finding; nothing where it would take it."""
    shape = _model()
    report: Any = ParamValidator().validate(finding, shape)
    if report.has_errors():
        return [report.generate_report()]
    found = [*_limits(finding, shape, ""), *_rules(finding)]
    size = len(json.dumps(finding, ensure_ascii=False).encode())
    if size > LARGEST_FINDING:
        found.append(f"{size} bytes: larger than 240 KB")
    return found


@cache
def _model() -> Shape:
    return Session().get_service_model("securityhub").shape_for("AwsSecurityFinding")


def _limits(value: Any, shape: Any, path: str) -> Iterator[str]:
    """Patterns, enumerations and documented lengths, at every depth."""
    match shape.type_name:
        case "structure":
            for name, each in value.items():
                yield from _length(each, shape.members[name], f"{path}/{name}")
                yield from _limits(each, shape.members[name], f"{path}/{name}")
        case "list":
            for index, each in enumerate(value):
                yield from _limits(each, shape.member, f"{path}/{index}")
        case "map":
            for key, each in value.items():
                yield from _limits(each, shape.value, f"{path}/{key}")
        case "string":
            pattern = shape.metadata.get("pattern")
            if pattern and not re.search(pattern, value):
                yield f"{path}: {value!r} does not match {pattern}"
            if shape.enum and value not in shape.enum:
                yield f"{path}: {value!r} is none of {shape.enum}"


def _length(value: Any, member: Any, path: str) -> Iterator[str]:
    bounds = _LENGTHS.search(re.sub("<[^>]+>", "", member.documentation))
    if bounds and isinstance(value, str):
        least, most = map(int, bounds.groups())
        if not least <= len(value) <= most:
            yield f"{path}: {len(value)} characters, not {least} to {most}"


def _rules(finding: Mapping[str, Any]) -> Iterator[str]:
    """What is said of single members."""
    if finding["SchemaVersion"] != "2018-10-08":
        yield "SchemaVersion must be 2018-10-08"
    for name in sorted(_TIMES & finding.keys()):
        if not _TIME.fullmatch(finding[name]) or not datetime.fromisoformat(finding[name]):
            yield f"{name}: {finding[name]!r} is no timestamp"
    fields = finding.get("ProductFields", {})
    if len(fields) > _MOST_PAIRS:
        yield f"ProductFields: {len(fields)} pairs"
    for key, value in fields.items():
        if len(key) > _LONGEST_KEY or len(value) > _LONGEST_VALUE:
            yield f"ProductFields/{key}: too long"
    for kind in finding.get("FindingProviderFields", {}).get("Types", finding.get("Types", ())):
        namespace, *rest = kind.split("/")
        if namespace not in _NAMESPACES or len(rest) > 2:  # namespace/category/classifier
            yield f"Types: {kind!r}"
    if "Severity" not in finding and "Severity" not in finding.get("FindingProviderFields", {}):
        yield "Severity, or FindingProviderFields/Severity, is required"
