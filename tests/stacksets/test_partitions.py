"""The central templates in every partition that the SDK knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore
import pytest

from tests.stacksets import templates

PARTITIONS: dict[str, Any] = {
    partition["id"]: partition
    for partition in json.loads(
        Path(botocore.__file__).with_name("data").joinpath("partitions.json").read_text("utf-8")
    )["partitions"]
}
# Where the principal of CloudWatch Logs has the partition's own suffix.
# https://github.com/aws/aws-cdk/blob/main/packages/aws-cdk-lib/region-info/lib/default.ts
OWN_SUFFIX = {"aws-cn", "aws-iso", "aws-iso-b"}


def _region(partition: str) -> str:
    regions: list[str] = sorted(PARTITIONS[partition]["regions"])
    return next(region for region in regions if not region.endswith("-global"))


def resolved(value: Any, template: Any, references: dict[str, str]) -> Any:
    """The value with Ref, Fn::FindInMap and Fn::Sub resolved."""
    match value:
        case {"Ref": name}:
            return references[name]
        case {"Fn::FindInMap": [name, *keys]}:
            found = template["Mappings"][name]
            for key in keys:
                found = found[resolved(key, template, references)]
            return found
        case {"Fn::Sub": str(text)}:
            return resolved({"Fn::Sub": [text, {}]}, template, references)
        case {"Fn::Sub": [text, values]}:
            known = references | {
                key: resolved(each, template, references) for key, each in values.items()
            }
            for key, each in known.items():
                text = text.replace(f"${{{key}}}", each)
            return text
    return value


@pytest.mark.parametrize("name", templates.CENTRAL)
@pytest.mark.parametrize("partition", PARTITIONS)
def test_logs_may_use_the_key_in_every_partition(name: str, partition: str) -> None:
    region = _region(partition)
    references = {"AWS::Partition": partition, "AWS::Region": region}
    statements = templates.resource(name, "Key")["KeyPolicy"]["Statement"]
    (logs,) = (each for each in statements if each["Sid"] == "Logs")
    principal = resolved(logs["Principal"]["Service"], templates.load(name), references)
    own = PARTITIONS[partition]["outputs"]["dnsSuffix"]
    assert principal == f"logs.{region}.{own if partition in OWN_SUFFIX else 'amazonaws.com'}"


@pytest.mark.parametrize("name", templates.NAMES)
def test_no_suffix_or_partition_is_written_down_otherwise(name: str) -> None:
    text = templates.text(name)
    assert "${AWS::URLSuffix}" not in text
    assert "!Ref AWS::URLSuffix" not in text
    assert "!Sub arn:aws:" not in text
