"""Objects below a prefix, through the real SDK against the fake AWS."""

from __future__ import annotations

import pytest

from sweeper.aws.s3 import Bucket
from sweeper.aws.s3_objects import Objects
from sweeper.config.schema import S3Config
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.engine.ports import Source
from tests.aws.support import make_cloud
from tests.fake_aws.process import FakeAws

BUCKET = "sweeper-reports"
NAME = "latest.json"


def objects(prefix: str = "ecr", bucket: str = BUCKET) -> Objects:
    return Objects(Bucket(S3Config(bucket=bucket, prefix=prefix), make_cloud().clients.central))


def whole(body: Source) -> bytes:
    return body.read(1_000)


def reason(caught: pytest.ExceptionInfo[OperationFailed]) -> Reason:
    return caught.value.reason


@pytest.mark.parametrize(("prefix", "key"), [("ecr/x", f"ecr/x/{NAME}"), ("", NAME)])
def test_what_is_written_is_read(aws: FakeAws, prefix: str, key: str) -> None:
    place = objects(prefix)
    assert place.read(NAME, whole) is None
    place.replace(NAME, (b"0123456789",), "text/plain", {"run-id": "a"})
    assert place.read(NAME, whole) == b"0123456789"
    assert place.read(NAME, lambda body: body.read(4)) == b"0123"
    (stored,) = aws.objects()
    assert (stored.key, stored.headers["content-type"]) == (key, "text/plain")
    assert place.bucket.at(NAME) == f"s3://{BUCKET}/{key}"
    seen = place.look(NAME)
    assert seen == place.seen(NAME)
    assert dict(seen.metadata) == {"run-id": "a"}


def test_only_what_was_seen_is_replaced(aws: FakeAws) -> None:
    one, two = objects(), objects()
    one.replace(NAME, (b"1",))  # nobody looked, and nothing is there
    with pytest.raises(OperationFailed) as caught:
        two.replace(NAME, (b"2",))
    assert reason(caught) is Reason.CONCURRENT_MODIFICATION
    two.read(NAME, whole)
    two.replace(NAME, (b"2",))
    one.look(NAME)
    two.look(NAME)
    two.replace(NAME, (b"3",))
    with pytest.raises(OperationFailed) as caught:
        one.replace(NAME, (b"4",))
    assert reason(caught) is Reason.CONCURRENT_MODIFICATION
    (stored,) = aws.objects()
    assert stored.body == b"3"
    one.bucket.put(NAME, (b"5",), "application/json")
    (stored,) = aws.objects()
    assert stored.body == b"5"


def test_what_was_deleted_meanwhile_has_changed(aws: FakeAws) -> None:
    place = objects()
    place.replace(NAME, (b"1",))
    place.look(NAME)
    aws.load(aws.world)
    with pytest.raises(OperationFailed) as caught:
        place.replace(NAME, (b"2",))
    assert reason(caught) is Reason.CONCURRENT_MODIFICATION
    assert place.look(NAME).etag is None
    place.replace(NAME, (b"2",))


@pytest.mark.parametrize(
    ("action", "expected", "attempts"),
    [
        ("access_denied", Reason.DENIED, 1),
        ("server_error", Reason.SERVICE_ERROR, 2),
        ("throttle", Reason.THROTTLED, 2),
        ("reset", Reason.CONNECTION_FAILED, 2),
    ],
)
def test_what_cannot_be_read_is_given_up_soon_and_not_seen(
    aws: FakeAws, action: str, expected: Reason, attempts: int
) -> None:
    place = objects()
    place.replace(NAME, (b"1",))
    place.look(NAME)
    aws.faults([{"action": action, "operation": "GetObject"}])
    aws.reset_statistics()
    with pytest.raises(OperationFailed) as caught:
        place.read(NAME, whole)
    assert reason(caught) is expected
    assert aws.statistics().calls["s3:GetObject"] == attempts
    assert place.seen(NAME) is None


def test_a_missing_bucket_is_no_missing_object(aws: FakeAws) -> None:
    place = objects(bucket="no-such-bucket")
    with pytest.raises(OperationFailed) as caught:
        place.read(NAME, whole)
    assert reason(caught) is Reason.DESTINATION_MISSING
    with pytest.raises(OperationFailed) as caught:
        place.replace(NAME, (b"1",))
    assert reason(caught) is Reason.DESTINATION_MISSING
