from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from sweeper.aws.bucket import Bucket
from sweeper.config import S3Config
from sweeper.errors import OperationFailed
from sweeper.formats import Format, formats
from sweeper.model import Delivery, Reason
from sweeper.sinks.s3 import S3Sink
from tests.factories import hostile_report, report, run

BUCKET = "reports-of-the-organization"
RUN_ID = run().id
FORMATS = tuple(formats()[name] for name in ("json", "csv", "text"))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


def sink(client: Any, names: tuple[Format, ...] = FORMATS, **config: Any) -> S3Sink:
    def central(service: str, region: str | None) -> Any:
        assert (service, region) == ("s3", None)
        return client

    place = S3Config(**({"bucket": BUCKET, "prefix": "ecr/sweeps"} | config))
    return S3Sink(Bucket(place, central), names)


def keys(client: Any) -> list[str]:
    return [item["Key"] for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def test_each_format_and_latest(client: Any) -> None:
    item = hostile_report()
    result = sink(client).deliver(item, ())
    folder = f"ecr/sweeps/2026-11-24/{RUN_ID}"
    assert result == Delivery("s3", f"s3://{BUCKET}/{folder}/report.json", "delivered")
    assert keys(client) == [
        f"{folder}/report.csv",
        f"{folder}/report.json",
        f"{folder}/report.txt",
        "ecr/sweeps/latest.json",
    ]
    for format_ in FORMATS:
        stored = client.get_object(Bucket=BUCKET, Key=f"{folder}/report.{format_.extension}")
        assert stored["Body"].read() == format_.render(item)
        assert stored["ContentType"] == format_.media_type
    latest = client.get_object(Bucket=BUCKET, Key="ecr/sweeps/latest.json")
    assert latest["Body"].read() == formats()["json"].render(item)
    assert latest["ContentType"] == "application/json"


def test_without_a_prefix_and_without_json(client: Any) -> None:
    result = sink(client, FORMATS[1:], prefix="").deliver(report(), ())
    folder = f"2026-11-24/{RUN_ID}"
    assert result.location == f"s3://{BUCKET}/{folder}/report.csv"
    assert keys(client) == [f"{folder}/report.csv", f"{folder}/report.txt", "latest.json"]


def test_a_dry_run_does_not_move_latest(client: Any) -> None:
    sink(client).deliver(report(dry_run=True), ())
    assert [key for key in keys(client) if key.endswith("latest.json")] == []


def test_the_key_is_used_for_every_object(client: Any) -> None:
    sink(client, kms_key_id="alias/reports").deliver(report(), ())
    for key in keys(client):
        stored = client.head_object(Bucket=BUCKET, Key=key)
        assert stored["ServerSideEncryption"] == "aws:kms"
        assert stored["SSEKMSKeyId"] == "alias/reports"


def test_a_bucket_that_is_not_there(client: Any) -> None:
    missing = sink(client, bucket="not-there")
    assert missing.location == "s3://not-there/ecr/sweeps"
    with pytest.raises(OperationFailed) as caught:
        missing.deliver(report(), ())
    assert caught.value.reason is Reason.DESTINATION_MISSING
    assert caught.value.error_code == "NoSuchBucket"
