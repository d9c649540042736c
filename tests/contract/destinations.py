"""Where reports go: S3, SNS, KMS and Security Hub; and the regions of an account."""

from __future__ import annotations

import json
from typing import Any

from tests.contract.calls import BUCKET, FAR_BUCKET, TOPIC, Scenario, Step, get, put

WRONG = '"00000000000000000000000000000000"'
ONE = '"f97c5d29941bfb1b2fdab0874906ab82"'  # the MD5 of b"one"


def _publish(name: str, **params: Any) -> Step:
    return Step(name, "sns", "publish", {"TopicArn": TOPIC, "Message": "m", **params})


def _attribute(kind: str, value: str, name: str = "severity") -> dict[str, dict[str, str]]:
    return {name: {"DataType": kind, "StringValue": value}}


def _finding(**changes: Any) -> dict[str, Any]:
    return {
        "SchemaVersion": "2018-10-08",
        "Id": "one",
        "ProductArn": "arn:aws:securityhub:us-east-1:{management}:product/{management}/default",
        "GeneratorId": "check",
        "AwsAccountId": "{management}",
        "CreatedAt": "2026-11-24T01:00:00Z",
        "UpdatedAt": "2026-11-24T01:00:00Z",
        "Title": "title",
        "Description": "description",
        "Resources": [{"Type": "Other", "Id": "thing"}],
        "FindingProviderFields": {"Severity": {"Label": "LOW"}},
        **changes,
    }


def _import(name: str, *findings: dict[str, Any], region: str = "us-east-1") -> Step:
    given = {"Findings": list(findings)}
    return Step(name, "securityhub", "batch_import_findings", given, region=region)


S3 = (
    Scenario(
        "an object is written and read",
        (
            put(
                "put",
                Key="a/é 1.json",
                ContentType="application/json",
                Metadata={"run": "7"},
                ServerSideEncryption="AES256",
            ),
            get("get", Key="a/é 1.json"),
            get("head", "head_object", Key="a/é 1.json"),
            put("put without a type", Key="a/2"),
            get("get without a type", Key="a/2"),
            get("list", "list_objects_v2", Prefix="a/"),
            get("list nothing", "list_objects_v2", Prefix="nothing/"),
            Step(
                *("list one", "s3", "list_objects_v2"),
                {"Bucket": BUCKET, "Prefix": "a/", "MaxKeys": 1},
                keep={"token": "NextContinuationToken"},
            ),
            get("list the next", "list_objects_v2", Prefix="a/", ContinuationToken="{token}"),
            get("an invented continuation", "list_objects_v2", ContinuationToken="invented"),
            get("head a bucket", "head_bucket"),
        ),
    ),
    Scenario(
        "conditional writes",
        (
            put("if it matches, where nothing is", Key="c", IfMatch=WRONG),
            put("if nothing is there, where nothing is", Key="c", IfNoneMatch="*"),
            put("if nothing is there, where something is", Key="c", IfNoneMatch="*"),
            put("if it matches, and it does not", Key="c", IfMatch=WRONG),
            put("if it matches, and it does", Key="c", IfMatch=ONE, Body=b"two"),
            put("if it matches, and it no longer does", Key="c", IfMatch=ONE),
            get("what the last write left", Key="c"),
            get("read if it matches, and it does not", Key="c", IfMatch=WRONG),
            get("read if it is another, and it is", Key="c", IfNoneMatch=WRONG),
            put("a write unless it matches an ETag", Key="c", IfNoneMatch=WRONG),
            put("put one", Key="d"),
            get("read if it is another, and it is not", Key="d", IfNoneMatch=ONE),
        ),
    ),
    Scenario(
        "S3 refuses",
        (
            get("no key", Key="none"),
            get("no key of a head", "head_object", Key="none"),
            put("no bucket", Bucket="contract-none", Key="k"),
            Step("no bucket of a head", "s3", "head_bucket", {"Bucket": "contract-none"}),
            put("a wrong MD5", Key="k", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA=="),
            put("a wrong SHA-256", Key="k", ChecksumSHA256="A" * 43 + "="),
            put("another owner", Key="k", ExpectedBucketOwner="111111111111"),
            get("another account", who="owner", Key="k"),
            put("a bucket of another region", Bucket=FAR_BUCKET, Key="k"),
        ),
    ),
    Scenario(
        "a customer's key",
        (
            put("with the key", Key="k", ServerSideEncryption="aws:kms", SSEKMSKeyId="{key}"),
            get("get with the key", Key="k"),
            put(
                "with no key of that name",
                Key="k",
                ServerSideEncryption="aws:kms",
                SSEKMSKeyId="arn:aws:kms:us-east-1:{management}:key/00000000-0000-0000-0000-000000000000",
            ),
        ),
    ),
)

SNS = (
    Scenario(
        "messages are published",
        (
            Step("a topic", "sns", "get_topic_attributes", {"TopicArn": TOPIC}),
            Step("no topic", "sns", "get_topic_attributes", {"TopicArn": f"{TOPIC}-none"}),
            _publish("a message", Subject="3 open", MessageAttributes=_attribute("String", "high")),
            _publish("the largest message", Message="x" * 262_144, Subject="x" * 99),
            _publish(
                "a message for each protocol",
                Message=json.dumps({"default": "for people", "sqs": "{}"}),
                MessageStructure="json",
            ),
        ),
    ),
    Scenario(
        "messages are refused",
        (
            _publish("a subject too long", Subject="x" * 101),
            _publish("a subject of 100", Subject="x" * 100),
            _publish("a subject of two lines", Subject="two\nlines"),
            _publish("a subject beyond ASCII", Subject="é"),
            _publish("no subject", Subject=""),
            _publish("no message", Message=""),
            _publish("a message too long", Message="x" * 262_145),
            _publish(
                "attributes that make it too long",
                Message="x" * 262_140,
                MessageAttributes=_attribute("String", "high"),
            ),
            _publish("no JSON", Message="no json", MessageStructure="json"),
            _publish("no default", Message='{"sqs": "x"}', MessageStructure="json"),
            _publish("no text", Message='{"default": "x", "sqs": {}}', MessageStructure="json"),
            _publish("no structure", MessageStructure="xml"),
            _publish("no number", MessageAttributes=_attribute("Number", "two")),
            _publish("no type", MessageAttributes=_attribute("Boolean", "true")),
            _publish("a reserved name", MessageAttributes=_attribute("String", "x", "AWS.x")),
            _publish("no value", MessageAttributes=_attribute("String", "")),
            _publish("a topic of another region", TopicArn=TOPIC.replace("us-east-1", "us-east-2")),
            _publish("no such topic", TopicArn=f"{TOPIC}-none"),
        ),
    ),
)

OTHERS = (
    Scenario(
        "a dry run of a key",
        (
            Step(
                *("the key may be used", "kms", "generate_data_key"),
                {"KeyId": "{key}", "KeySpec": "AES_256", "DryRun": True},
            ),
            Step(
                *("no such key", "kms", "generate_data_key"),
                {"KeyId": "{key}-and-a-half", "KeySpec": "AES_256", "DryRun": True},
            ),
        ),
    ),
    Scenario(
        "findings are imported",
        (
            Step("the hub", "securityhub", "describe_hub"),
            Step("no hub", "securityhub", "describe_hub", region="us-west-2"),
            _import("a finding", _finding()),
            _import("a finding of another account", _finding(AwsAccountId="{member}")),
            _import("a finding of another product", _finding(ProductArn="arn:aws:x")),
            _import("a title too long", _finding(Title="x" * 257)),
            _import("no findings"),
            _import("101 findings", *[_finding()] * 101),
            _import(
                "a finding where no hub is",
                _finding(ProductArn=_finding()["ProductArn"].replace("us-east-1", "us-west-2")),
                region="us-west-2",
            ),
        ),
    ),
    Scenario(
        "regions of an account",
        (
            Step(
                *("regions that are on", "account", "list_regions"),
                {"RegionOptStatusContains": ["ENABLED_BY_DEFAULT"], "MaxResults": 2},
                "auditor",
                keep={"token": "NextToken"},
            ),
            Step(
                *("the next regions", "account", "list_regions"),
                {
                    "RegionOptStatusContains": ["ENABLED_BY_DEFAULT"],
                    "MaxResults": 2,
                    "NextToken": "{token}",
                },
                "auditor",
            ),
            Step(
                *("no such state of regions", "account", "list_regions"),
                {"RegionOptStatusContains": ["ASLEEP"]},
                "auditor",
            ),
            Step(*("too many regions", "account", "list_regions"), {"MaxResults": 51}, "auditor"),
            Step(
                *("regions of another account", "account", "list_regions"),
                {"AccountId": "{management}"},
                "auditor",
            ),
            Step("a role without regions", "account", "list_regions", who="reader"),
        ),
    ),
)
