"""Two processes of one run: neither loses a change that the other reported."""

from typing import Any
from unittest import mock

import pytest

from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import ChangeStatus
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report
from sweeper.reporting.sinks.s3 import S3Sink
from sweeper.storage.history import ATTEMPTS
from tests.cases import case
from tests.factories import change, finding, report
from tests.rendering import as_json, rendered
from tests.reporting.sinks.conftest import BUCKET, keys
from tests.reporting.sinks.test_s3 import FORMATS, RUN_ID, Meanwhile, WithoutAnswer, refusal, sink

APPLIED = finding("a", change=change())
OTHER = finding("b", change=change())
UNCERTAIN = finding("b", change=change(ChangeStatus.FAILED, uncertain=True))
FAILED = finding("b", change=change(ChangeStatus.FAILED))
SUPERSEDED = finding("b", change=change(ChangeStatus.SUPERSEDED, reason=Reason.NOW_COMPLIANT))
STEMS = ("report", "report-2")
FOLDER = f"ecr/sweeps/2026-11-24/{RUN_ID}"


def body(client: Any, name: str) -> bytes:
    content: bytes = client.get_object(Bucket=BUCKET, Key=f"{FOLDER}/{name}")["Body"].read()
    return content


def names(client: Any) -> list[str]:
    return [key.rpartition("/")[2] for key in keys(client) if key.startswith(f"{FOLDER}/")]


def deliver_older(target: S3Sink, item: Report) -> OperationFailed:
    with pytest.raises(OperationFailed) as caught:
        target.deliver(item, ())
    assert caught.value.reason is Reason.EARLIER_REPORT_KEPT
    return caught.value


def test_a_report_that_lacks_changes_of_the_one_that_is_there_lies_beside_it(client: Any) -> None:
    for before, after, replaced in [
        ([APPLIED], [APPLIED], True),
        ([APPLIED], [APPLIED, OTHER], True),
        ([APPLIED, FAILED], [APPLIED], True),
        ([UNCERTAIN], [OTHER], True),
        ([], [APPLIED], True),
        ([APPLIED, OTHER], [APPLIED], False),
        ([APPLIED, OTHER], [APPLIED, SUPERSEDED], False),
        ([APPLIED, UNCERTAIN], [APPLIED, FAILED], False),
        ([APPLIED], [], False),
    ]:
        with case(before, after):
            for key in keys(client):
                client.delete_object(Bucket=BUCKET, Key=key)
            earlier, later = report(before), report(after)
            sink(client).deliver(earlier, ())
            target = sink(client)
            target.store(later)
            if replaced:
                target.deliver(later, ())
                assert body(client, "report.json") == as_json(later)
                assert names(client) == ["report.csv", "report.json", "report.txt"]
            else:
                message = deliver_older(target, later).message
                for format_ in FORMATS:
                    there = (body(client, f"{stem}.{format_.extension}") for stem in STEMS)
                    assert tuple(there) == (
                        rendered(format_.name, earlier),
                        rendered(format_.name, later),
                    )
                assert "has changes that this report lacks: 1." in message
                assert f"2026-11-24/{RUN_ID}/report-2.json" in message


def test_each_process_has_a_report_of_its_own(client: Any) -> None:
    """The third lacks what the first and the second have; the fourth lacks nothing of the first."""
    first, second, third = (report([finding(name, change=change())]) for name in "abc")
    sink(client).deliver(first, ())
    for later in (second, third):
        deliver_older(sink(client), later)
    assert [body(client, f"report{n}.json") for n in ("", "-2", "-3")] == [
        as_json(each) for each in (first, second, third)
    ]
    fourth = report([*first.findings, *third.findings])
    sink(client).deliver(fourth, ())
    assert body(client, "report.json") == as_json(fourth)


def test_what_was_stored_early_is_replaced_by_its_own_process(client: Any) -> None:
    """The report of a run is written twice: before what earlier sweeps left is read, and after."""
    target = sink(client)
    target.store(report([APPLIED]))
    after = report([APPLIED], version="2")
    with mock.patch.object(target.records, "read", side_effect=AssertionError("nothing to read")):
        target._put(after, FORMATS)
    assert body(client, "report.json") == as_json(after)


def test_a_process_that_stores_meanwhile_loses_nothing(client: Any) -> None:
    """Between the two writes of the first, another one resumed the run and wrote."""
    target = sink(client)
    target.store(report([APPLIED]))
    sink(client).deliver(report([APPLIED, OTHER]), ())
    deliver_older(target, report([APPLIED]))
    assert body(client, "report.json") == as_json(report([APPLIED, OTHER]))
    assert body(client, "report-2.json") == as_json(report([APPLIED]))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema_version": "2"}', b"{}"])
def test_what_is_no_report_may_have_changes(client: Any, content: bytes) -> None:
    client.put_object(Bucket=BUCKET, Key=f"{FOLDER}/report.json", Body=content)
    deliver_older(sink(client), report([APPLIED]))
    assert body(client, "report.json") == content
    assert body(client, "report-2.json") == as_json(report([APPLIED]))


def test_with_put_object_alone(client: Any) -> None:
    """S3 takes no If-Match then: its own report is replaced all the same, that of others is not."""

    class WriteOnly(WithoutAnswer):
        def put_object(self, **arguments: Any) -> Any:
            if "IfMatch" in arguments:
                raise refusal("AccessDenied", "PutObject")
            return super().put_object(**arguments)

    blind = WriteOnly(client, reads=False)
    target = sink(blind)
    target.store(report([APPLIED]))
    after = report([APPLIED], version="2")
    assert target.deliver(after, ()).status == "delivered"
    assert body(client, "report.json") == as_json(after)
    assert "s3:GetObject" in deliver_older(sink(blind), report([APPLIED, OTHER])).message
    assert body(client, "report.json") == as_json(after)
    assert body(client, "report-2.json") == as_json(report([APPLIED, OTHER]))


def test_one_that_others_never_stop_replacing_stays(client: Any) -> None:
    sink(client).deliver(report(), ())
    others = [report(version=str(number)) for number in range(99)]
    overlapped = Meanwhile(client, f"2026-11-24/{RUN_ID}/report.json", others)
    assert "again and again" in deliver_older(sink(overlapped), report([APPLIED])).message
    assert len(others) == 99 - ATTEMPTS
    assert body(client, "report-2.json") == as_json(report([APPLIED]))


def test_one_that_was_deleted_meanwhile_is_written_again(client: Any) -> None:
    target = sink(client)
    target.store(report([APPLIED]))
    client.delete_object(Bucket=BUCKET, Key=f"{FOLDER}/report.json")
    target.deliver(report([APPLIED]), ())
    assert body(client, "report.json") == as_json(report([APPLIED]))
    assert "report-2.json" not in names(client)
