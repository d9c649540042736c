"""A bucket for the reports."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

BUCKET = "reports-of-the-organization"


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    with mock_aws():
        session = boto3.Session("testing", "testing", region_name="us-east-1")
        client = session.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def client(bucket: Any) -> Any:
    """The client of a bucket that is empty."""
    for key in keys(bucket):
        bucket.delete_object(Bucket=BUCKET, Key=key)
    return bucket


def keys(client: Any) -> list[str]:
    return [item["Key"] for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
