import json
from collections.abc import Sequence
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from sweeper.aws.s3 import Bucket
from sweeper.config.schema import S3Config
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Finding
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.formats.base import Format
from sweeper.reporting.sinks.s3 import _LATEST, S3Sink
from sweeper.storage.history import ATTEMPTS, _read_history, attach_comparison
from tests.factories import change, finding, hostile_report, report, run
from tests.rendering import formats, rendered
from tests.reporting.sinks.conftest import BUCKET, keys

RUN_ID = run().id
FORMATS = tuple(formats()[name] for name in ("json", "csv", "text"))


def sink(client: Any, names: tuple[Format, ...] = FORMATS, **config: Any) -> S3Sink:
    def central(service: str, region: str | None) -> Any:
        assert (service, region) == ("s3", None)
        return client

    target = S3Config(**({"bucket": BUCKET, "prefix": "ecr/sweeps"} | config))
    return S3Sink(Bucket(target, central), names)


def at(time: str, found: Sequence[Finding] = (finding(),), **changes: Any) -> Report:
    """The report of a sweep that started then."""
    when = f"2026-11-24T{time}:00Z"
    return report(found, id=f"run-{time}", started_at=when, finished_at=when, **changes)


def deliver(client: Any, item: Report) -> Delivery:
    """Compare and deliver, as a run does."""
    target = sink(client)
    return target.deliver(attach_comparison(item, target, {finding().check}, narrowed=False), ())


def latest(client: Any) -> Any:
    return json.load(client.get_object(Bucket=BUCKET, Key=f"ecr/sweeps/{_LATEST}")["Body"])


def points(client: Any) -> list[str]:
    return [point.run_id for point in _read_history(sink(client).records, run()).points]


def refusal(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


class Meanwhile:
    """The client, and other sweeps that finish just before each write of `name`."""

    def __init__(self, client: Any, name: str, others: list[Report]) -> None:
        self._client = client
        self._key = f"ecr/sweeps/{name}"
        self.others = others

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_object(self, **arguments: Any) -> Any:
        if arguments["Key"] == self._key and self.others:
            deliver(self._client, self.others.pop(0))
        return self._client.put_object(**arguments)


class WithoutAnswer:
    """The client whose reads fail, or whose first write of latest.json loses its answer."""

    def __init__(self, client: Any, *, reads: bool = True) -> None:
        self._client = client
        self._lost = [f"ecr/sweeps/{_LATEST}"] if reads else []
        self._reads = reads

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_object(self, **arguments: Any) -> Any:
        if not self._reads:
            raise refusal("AccessDenied", "GetObject")
        return self._client.get_object(**arguments)

    def put_object(self, **arguments: Any) -> Any:
        answer = self._client.put_object(**arguments)
        if arguments["Key"] in self._lost:  # as the SDK's own second attempt then fares
            self._lost.remove(arguments["Key"])
            return self._client.put_object(**arguments)
        return answer


def test_each_format_and_latest(client: Any) -> None:
    item = hostile_report()
    result = sink(client).deliver(item, ())
    folder = f"ecr/sweeps/2026-11-24/{RUN_ID}"
    assert result == Delivery("s3", f"s3://{BUCKET}/{folder}/report.json", "delivered")
    assert keys(client) == [
        f"{folder}/report.csv",
        f"{folder}/report.json",
        f"{folder}/report.txt",
        "ecr/sweeps/history.json",
        "ecr/sweeps/latest.json",
    ]
    for format_ in FORMATS:
        stored = client.get_object(Bucket=BUCKET, Key=f"{folder}/report.{format_.extension}")
        assert stored["Body"].read() == rendered(format_.name, item)
        assert stored["ContentType"] == format_.media_type
    for name in ("latest.json", "history.json"):
        stored = client.get_object(Bucket=BUCKET, Key=f"ecr/sweeps/{name}")
        assert stored["ContentType"] == "application/json"
    stored = client.get_object(Bucket=BUCKET, Key="ecr/sweeps/latest.json")
    assert stored["Body"].read() == rendered("json", item)


def test_without_a_prefix_and_without_json(client: Any) -> None:
    result = sink(client, FORMATS[1:], prefix="").deliver(report(), ())
    folder = f"2026-11-24/{RUN_ID}"
    assert result.location == f"s3://{BUCKET}/{folder}/report.csv"
    assert keys(client) == [
        f"{folder}/report.csv",
        f"{folder}/report.txt",
        "history.json",
        "latest.json",
    ]


def test_what_changed_something_is_kept_as_json_whatever_is_chosen(client: Any) -> None:
    item = report([finding(change=change())])
    result = sink(client, FORMATS[1:]).deliver(item, ())
    name = f"ecr/sweeps/2026-11-24/{RUN_ID}/report.json"
    assert result.location == f"s3://{BUCKET}/{name}"
    assert client.get_object(Bucket=BUCKET, Key=name)["Body"].read() == rendered("json", item)


def test_a_dry_run_is_compared_and_moves_neither_latest_nor_the_history(client: Any) -> None:
    deliver(client, at("01:00"))
    before = keys(client)
    result = deliver(client, at("02:00", dry_run=True))
    assert result.message is None
    assert set(keys(client)) - set(before) == {
        f"ecr/sweeps/2026-11-24/run-02:00/report.{format_.extension}" for format_ in FORMATS
    }
    written = client.get_object(Bucket=BUCKET, Key=result.location.split("/", 3)[3])
    assert json.load(written["Body"])["since_last"]["still_open"] == 1
    assert latest(client)["run"]["id"] == "run-01:00"
    assert points(client) == ["run-01:00"]


def test_an_earlier_report_in_place_of_the_last_one_is_compared(client: Any) -> None:
    """As docs/notifications.md says, so that the events of a failed delivery are sent again."""
    first = deliver(client, at("01:00", found=[]))
    deliver(client, at("02:00"))
    source = {"Bucket": BUCKET, "Key": first.location.split("/", 3)[3]}
    client.copy_object(Bucket=BUCKET, Key="ecr/sweeps/latest.json", CopySource=source)
    deliver(client, at("03:00"))
    assert latest(client)["run"]["id"] == "run-03:00"
    assert latest(client)["since_last"]["run_id"] == "run-01:00"
    assert latest(client)["since_last"]["new"] == 1


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


def test_latest_moves_forward_with_the_history(client: Any) -> None:
    for time in ("01:00", "02:00", "03:00"):
        assert deliver(client, at(time)).message is None
    assert latest(client)["run"]["id"] == "run-03:00"
    assert latest(client)["since_last"]["run_id"] == "run-02:00"
    assert points(client) == ["run-01:00", "run-02:00", "run-03:00"]


def test_latest_never_moves_to_a_sweep_that_started_earlier(client: Any) -> None:
    """An old run that is resumed."""
    deliver(client, at("02:00"))
    result = deliver(client, at("01:00"))
    assert result.status == "delivered"
    assert result.message is not None
    assert result.message.startswith("latest.json ")
    assert latest(client)["run"]["id"] == "run-02:00"
    assert points(client) == ["run-01:00", "run-02:00"]


@pytest.mark.parametrize(
    ("name", "other", "moved"),
    [(_LATEST, "01:00", True), (_LATEST, "03:00", False), ("history.json", "01:00", True)],
)
def test_a_sweep_that_overlaps_and_ends_first(
    client: Any, name: str, other: str, moved: bool
) -> None:
    deliver(client, at("00:00"))
    overlapped = Meanwhile(client, name, [at(other)])
    result = deliver(overlapped, at("02:00"))
    assert not overlapped.others
    assert (result.message is None) is moved
    assert latest(client)["run"]["id"] == ("run-02:00" if moved else f"run-{other}")
    assert points(client) == sorted(["run-00:00", f"run-{other}", "run-02:00"])


def test_others_that_never_stop_moving_latest(client: Any) -> None:
    others = [at(f"01:{minute:02}") for minute in range(99)]
    result = deliver(Meanwhile(client, _LATEST, others), at("02:00"))
    assert result.message is not None
    assert result.message.startswith("latest.json ")
    assert len(others) == 99 - ATTEMPTS


def test_a_write_whose_answer_was_lost_is_no_other_sweep(client: Any) -> None:
    assert deliver(WithoutAnswer(client), at("01:00")).message is None
    assert deliver(WithoutAnswer(client), at("02:00")).message is None
    assert latest(client)["run"]["id"] == "run-02:00"


def test_what_cannot_be_read_is_made_and_not_replaced(client: Any) -> None:
    """With s3:PutObject alone: there may be a later report, or one that knows more."""
    blind = WithoutAnswer(client, reads=False)
    first = deliver(blind, at("01:00"))
    assert latest(client)["run"]["id"] == "run-01:00"
    assert first.message is not None
    assert "latest.json" not in first.message
    assert "history.json" in first.message
    second = deliver(blind, at("02:00"))
    assert latest(client)["run"]["id"] == "run-01:00"
    assert second.status == "delivered"
    assert second.message is not None
    assert "latest.json" in second.message
    assert len([key for key in keys(client) if "run-02:00" in key]) == len(FORMATS)


@pytest.mark.parametrize("metadata", [{}, {"started-at": "zzz"}])
def test_what_does_not_say_when_it_started_is_replaced(
    client: Any, metadata: dict[str, str]
) -> None:
    """It was written by an earlier version, or by hand."""
    client.put_object(
        Bucket=BUCKET, Key=f"ecr/sweeps/{_LATEST}", Body=b"damaged", Metadata=metadata
    )
    assert deliver(client, at("01:00")).message is None
    stored = latest(client)
    assert "latest.json" in stored["since_last"]["unavailable"]
    assert stored["run"]["id"] == "run-01:00"


@pytest.mark.parametrize(("time", "moved"), [("00:30", True), ("01:00", True), ("01:30", False)])
def test_what_others_put_there_says_itself_when_it_started(
    client: Any, time: str, moved: bool
) -> None:
    """A copy of a report, or one of an earlier version: nothing is said beside it."""
    body = rendered("json", at(time))
    client.put_object(Bucket=BUCKET, Key=f"ecr/sweeps/{_LATEST}", Body=body)
    result = deliver(client, at("01:00", account_id="999988887777"))
    assert (result.message is None) is moved
    assert latest(client)["run"]["id"] == ("run-01:00" if moved else f"run-{time}")


def test_a_latest_that_is_deleted_meanwhile_is_made_anew(client: Any) -> None:
    deliver(client, at("01:00"))
    target = sink(client)
    item = attach_comparison(at("02:00"), target, (), narrowed=False)
    client.delete_object(Bucket=BUCKET, Key=f"ecr/sweeps/{_LATEST}")
    assert target.deliver(item, ()).message is None
    assert latest(client)["run"]["id"] == "run-02:00"


def test_what_breaks_off_is_not_replaced(client: Any) -> None:
    deliver(client, at("01:00"))
    target = sink(client)

    def stall(body: Any, amt: int) -> bytes:
        raise ReadTimeoutError(endpoint_url="s3")

    stalled = mock.patch("botocore.response.StreamingBody.read", stall)
    with stalled, pytest.raises(OperationFailed) as caught:
        target.records.read(_LATEST, lambda body: body.read(9))
    assert caught.value.reason is Reason.TIMED_OUT
    assert target.records.last_version(_LATEST) is None


def test_other_refusals_of_latest_are_failures(client: Any) -> None:
    class Full(WithoutAnswer):
        def put_object(self, **arguments: Any) -> Any:
            if arguments["Key"].endswith(_LATEST):
                raise refusal("SlowDown", "PutObject")
            return super().put_object(**arguments)

    with pytest.raises(OperationFailed) as caught:
        deliver(Full(client), at("01:00"))
    assert caught.value.reason is Reason.THROTTLED
