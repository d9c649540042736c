"""Trouble that passes is waited for, also where the SDK takes it for final."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from types import SimpleNamespace

import pytest
from boto3 import Session
from botocore import exceptions as sdk

from sweeper.aws.client.documents import read_document
from sweeper.aws.client.errors import translate_errors
from sweeper.aws.ecr import EcrRegistry
from sweeper.aws.s3 import Bucket, Objects, read_at_most, read_through
from sweeper.config.schema import S3Config
from sweeper.domain.errors import Invalid, OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.engine.ports import Source
from sweeper.reporting.sinks.security_hub import SecurityHubSink
from sweeper.storage.record_reader import parse
from tests.aws.support import make_cloud, opened, target
from tests.factories import finding, report
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault

WRITE = "PutImageTagMutability"
CONTENT = b"a plan of some length" * 100


def bucket_of(aws: FakeAws) -> Bucket:
    config = S3Config(bucket=aws.world.buckets[0].name, prefix="sweeps")
    return Bucket(config, make_cloud().clients.central)


def coded(operation: str, code: str, times: int | None) -> Fault:
    return Fault("error", operation=operation, code=code, status=400, times=times)


def publish(aws: FakeAws) -> None:
    with translate_errors():
        topic = aws.world.topics[0]
        make_cloud().clients.central("sns", topic.split(":")[3]).publish(
            TopicArn=topic, Message="a report"
        )


@pytest.mark.parametrize(
    ("operation", "code", "reason"),
    [
        ("Publish", "KMSThrottling", Reason.THROTTLED),
        ("Publish", "KMSThrottlingException", Reason.THROTTLED),
        ("PutObject", "RequestTimeout", Reason.TIMED_OUT),
        ("PutObject", "RequestTimeoutException", Reason.TIMED_OUT),
    ],
)
def test_a_code_that_passes_is_waited_for_and_has_its_reason(
    aws: FakeAws, operation: str, code: str, reason: Reason
) -> None:
    def call() -> None:
        if operation == "Publish":
            publish(aws)
        else:
            bucket_of(aws).put("report.json", (b"{}",), "application/json")

    aws.faults([coded(operation, code, times=2)])
    call()
    assert aws.statistics().faults["error"] == 2
    aws.faults([coded(operation, code, times=None)])
    with pytest.raises(OperationFailed) as caught:
        call()
    assert caught.value.reason is reason
    # A connection that was too slow says nothing of what became of the write.
    assert caught.value.uncertain is (reason is Reason.TIMED_OUT)


@pytest.mark.parametrize("code", ["RequestTimeout", "RequestTimeoutException"])
def test_a_write_that_timed_out_and_then_was_refused_is_uncertain(aws: FakeAws, code: str) -> None:
    registry = EcrRegistry(opened(aws, may_write=True).clients)
    here = target(aws)
    name = aws.repositories(here.account.id, here.region)[0].name
    aws.faults([coded(WRITE, code, times=1), coded(WRITE, "ValidationException", times=None)])
    with pytest.raises(OperationFailed) as caught:
        registry.put_image_tag_mutability(here, name, "IMMUTABLE", ())
    assert (caught.value.error_code, caught.value.uncertain) == ("ValidationException", True)


READERS: dict[str, Callable[[FakeAws], bytes | None]] = {
    "bucket": lambda aws: bucket_of(aws).get("plan.jsonl", len(CONTENT)).body,
    "objects": lambda aws: Objects(bucket_of(aws)).read(
        "plan.jsonl", lambda source: read_at_most(source, len(CONTENT))
    ),
    "document": lambda aws: read_document(
        Session(), f"s3://{aws.world.buckets[0].name}/sweeps/plan.jsonl"
    ).encode(),
}


@pytest.mark.parametrize("reader", READERS)
def test_an_object_that_broke_off_is_read_once_more(aws: FakeAws, reader: str) -> None:
    bucket_of(aws).put("plan.jsonl", (CONTENT,), "application/jsonl")
    aws.faults([Fault("truncate", operation="GetObject", times=1)])
    assert READERS[reader](aws) == CONTENT
    assert aws.statistics().faults["truncate"] == 1


@pytest.mark.parametrize("reader", ["bucket", "objects"])
def test_an_object_that_breaks_off_again_is_not_taken_for_whole(aws: FakeAws, reader: str) -> None:
    bucket_of(aws).put("plan.jsonl", (CONTENT,), "application/jsonl")
    aws.faults([Fault("truncate", operation="GetObject")])
    with pytest.raises(OperationFailed) as caught:
        READERS[reader](aws)
    assert caught.value.reason is Reason.CONNECTION_FAILED


class _Body(BytesIO):
    """A body with another content than its checksum says."""

    def read(self, size: int | None = -1) -> bytes:
        chunk = super().read(size)
        if not chunk:
            raise sdk.FlexibleChecksumError(error_msg="Expected checksum A, calculated B")
        return chunk


def test_a_checksum_is_compared_and_what_differs_is_read_once_more() -> None:
    def up_to_ten(source: Source) -> bytes:
        return read_at_most(source, 10)

    bodies = [_Body(b"abd"), BytesIO(b"abc")]
    assert read_through(lambda: {"Body": bodies.pop(0)}, up_to_ten)[1] == b"abc"
    with pytest.raises(OperationFailed) as caught:
        read_through(lambda: {"Body": _Body(b"abd")}, up_to_ten)
    assert caught.value.reason is Reason.CONNECTION_FAILED
    # What is longer than is wanted is not read to its end.
    assert read_through(lambda: {"Body": _Body(b"a" * 12)}, up_to_ten)[1] == b"a" * 11


def test_what_cannot_be_used_may_not_be_what_was_stored() -> None:
    """Its end tells: a body with another checksum is read once more before it is refused."""

    def parsed(source: Source) -> int:
        value: int = parse(int, source.read(2))
        return value

    bodies = [_Body(b"x1"), BytesIO(b"41")]
    assert read_through(lambda: {"Body": bodies.pop(0)}, parsed)[1] == 41
    with pytest.raises(Invalid):
        read_through(lambda: {"Body": BytesIO(b"x1")}, parsed)


@pytest.mark.parametrize(
    "error",
    [
        sdk.IncompleteReadError(actual_bytes=1, expected_bytes=2),
        sdk.ChecksumError(checksum_type="crc32", expected_checksum="a", actual_checksum="b"),
        sdk.FlexibleChecksumError(error_msg="no"),
        sdk.ResponseStreamingError(error="no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_broke_off_is_passing_trouble_and_no_word_on_a_write(error: Exception) -> None:
    with pytest.raises(OperationFailed) as caught, translate_errors():
        raise error
    assert (caught.value.reason, caught.value.uncertain) == (Reason.CONNECTION_FAILED, True)


def test_the_findings_that_security_hub_refuses_are_said_in_few_words() -> None:
    huge = "x" * 1_000_000
    refused = [
        {"Id": huge, "ErrorCode": f"{huge}{number}", "ErrorMessage": huge} for number in range(3)
    ]
    hub = SimpleNamespace(
        batch_import_findings=lambda **_: {"SuccessCount": 0, "FailedFindings": refused}
    )
    sink = SecurityHubSink("us-east-1", lambda *_: hub)
    with pytest.raises(OperationFailed) as caught:
        sink.deliver(report([finding()]), ())
    assert len(f"{caught.value.message}{caught.value.error_code}") < 1000
