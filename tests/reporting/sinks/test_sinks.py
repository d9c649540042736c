from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sweeper.config.schema import Config, ReportConfig, S3Config
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Delivery, Report
from sweeper.engine.probe import DestinationProbe
from sweeper.reporting.sinks import SINKS, make_sinks
from sweeper.reporting.sinks.base import Sink, SinkContext, deliver, probe_sink
from sweeper.reporting.sinks.directory import DirectorySink
from tests.cases import case
from tests.factories import report
from tests.rendering import formats, rendered


@dataclass
class FakeSink(Sink):
    """Remembers what it was told; fails where it is given an error."""

    name: str
    error: Exception | None = None
    received: list[tuple[Delivery, ...]] = field(default_factory=list)
    location: str = "somewhere"
    keeps: bool = True
    times: int | None = None  # how often the error comes; None: for ever

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """As told."""
        assert report.deliveries == ()
        self.received.append(tuple(so_far))
        if self.error and (self.times is None or len(self.received) <= self.times):
            raise self.error
        return Delivery(self.name, "there", "delivered")


def test_no_sink_depends_on_another() -> None:
    sinks = [
        FakeSink("a", OperationFailed(Reason.WRITE_FAILED, "full", "ENOSPC")),
        FakeSink("b", KeyError("defect")),
        FakeSink("c"),
    ]
    delivered = deliver(replace(report(), deliveries=(Delivery("x", "y", "failed"),)), sinks)
    first, second, third = delivered.deliveries
    assert first == Delivery("a", "somewhere", "failed", Reason.WRITE_FAILED, "ENOSPC", "full")
    assert (second.status, second.reason, second.error_code) == (
        "failed",
        Reason.INTERNAL_ERROR,
        "KeyError",
    )
    assert third == Delivery("c", "there", "delivered")
    assert sinks[2].received == [(first, second)]
    assert replace(delivered, deliveries=()) == report()


def down(reason: Reason = Reason.SERVICE_ERROR) -> OperationFailed:
    return OperationFailed(reason, "it is down")


class Waits:
    """So many waits and no more; remembers how long they were."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return len(self.seconds) <= self._most


def test_what_may_pass_is_tried_again() -> None:
    sink, wait = FakeSink("a", down(), times=4), Waits(10)
    (delivery,) = deliver(report(), [sink], wait).deliveries
    assert delivery.status == "delivered"
    assert wait.seconds == [5, 10, 20, 30]


def test_as_long_as_there_is_time() -> None:
    sink, wait = FakeSink("a", down()), Waits(2)
    (delivery,) = deliver(report(), [sink], wait).deliveries
    assert (delivery.status, delivery.reason) == ("failed", Reason.SERVICE_ERROR)
    assert len(sink.received) == 3


def test_what_does_not_pass_is_not() -> None:
    for reason in [Reason.DENIED, Reason.DESTINATION_MISSING, Reason.WRITE_FAILED]:
        with case(reason):
            sink = FakeSink("a", down(reason))
            (delivery,) = deliver(report(), [sink], Waits(10)).deliveries
            assert delivery.reason is reason
            assert len(sink.received) == 1


def test_a_denied_delivery_names_the_actions_that_its_sink_needs() -> None:
    for kind in SINKS:
        for error in (down(Reason.DENIED_BY_SCP), down(Reason.DESTINATION_MISSING)):
            with case(kind, error.reason):
                sink = FakeSink("a", error)
                sink.actions, sink.content = kind.actions, kind.content
                item = deliver(report(), [sink])
                (delivery,) = item.deliveries
                assert delivery.content == kind.content
                advised = error.reason.is_denial and bool(kind.actions)
                assert (delivery.advice is not None) is advised
                if delivery.advice:
                    assert all(action in delivery.advice for action in kind.actions)
                    words = " ".join(rendered("text", item).decode().split())
                    assert f"What to do: {delivery.advice}." in words


def test_a_probe_that_is_broken_is_an_answer() -> None:
    class Broken(FakeSink):
        def probe(self) -> list[DestinationProbe]:
            raise KeyError("defect")

    (answer,) = probe_sink(Broken("a"))
    assert (answer.location, answer.probed.reason) == ("somewhere", Reason.INTERNAL_ERROR)


def test_a_report_that_lies_nowhere_goes_to_the_fallback() -> None:
    cases: list[tuple[list[FakeSink], list[str]]] = [
        # kept by another: no need
        ([FakeSink("a"), FakeSink("b", down())], ["a", "b"]),
        # nowhere: before the message, which then says where it is
        (
            [FakeSink("b", down()), FakeSink("sns", keeps=False)],
            ["b", "fallback", "sns"],
        ),
        # a message alone is no place, and without it nobody knows
        ([FakeSink("sns", down(), keeps=False)], ["sns", "fallback"]),
        ([FakeSink("sns", keeps=False)], ["sns"]),
        ([FakeSink("a"), FakeSink("sns", down(), keeps=False)], ["a", "sns"]),
        ([], []),
    ]
    for sinks, expected in cases:
        with case(sinks, expected):
            fallback = FakeSink("fallback")
            delivered = deliver(report(), sinks, fallback=fallback).deliveries
            assert [each.sink for each in delivered] == expected
            if "sns" in expected[-1:] and "fallback" in expected:
                assert [each.sink for each in sinks[-1].received[0]] == ["b", "fallback"]


def test_a_report_that_must_be_kept_is_kept_where_no_place_is_configured() -> None:
    cases: list[tuple[list[FakeSink], list[str]]] = [
        ([], ["fallback"]),
        ([FakeSink("sns", keeps=False)], ["fallback", "sns"]),
        ([FakeSink("a"), FakeSink("sns", keeps=False)], ["a", "sns"]),
        ([FakeSink("a", down())], ["a", "fallback"]),
    ]
    for sinks, expected in cases:
        with case(sinks, expected):
            fallback = FakeSink("fallback")
            delivered = deliver(report(), sinks, fallback=fallback, must_store=True).deliveries
            assert [each.sink for each in delivered] == expected


def test_a_fallback_that_fails_is_one_more_failed_delivery() -> None:
    fallback = FakeSink("fallback", down(Reason.WRITE_FAILED))
    delivered = deliver(report(), [FakeSink("b", down())], fallback=fallback).deliveries
    assert [each.status for each in delivered] == ["failed", "failed"]


def test_a_copy_does_not_tell_of_deliveries(tmp_path: Path) -> None:
    item = report()
    deliver(
        replace(item, deliveries=(Delivery("x", "y", "failed"),)),
        [DirectorySink(tmp_path, tuple(formats().values()))],
    )
    for name, format_ in formats().items():
        written = (tmp_path / f"report.{format_.extension}").read_bytes()
        assert written == rendered(name, item), name


def no_client(service: str, region: str | None) -> Any:
    raise AssertionError("making the sinks must call nothing")


def test_the_sinks_of_a_configuration_in_their_order() -> None:
    cases: list[tuple[ReportConfig, list[str]]] = [
        (ReportConfig(), []),
        (ReportConfig(directory=Path("out")), ["directory"]),
        (
            ReportConfig(
                sns_topic_arn="arn:aws:sns:eu-central-1:123456789012:topic",
                s3=S3Config(bucket="bucket"),
                directory=Path("out"),
            ),
            ["directory", "s3", "sns"],
        ),
    ]
    for config, names in cases:
        with case(config, names):
            context = SinkContext(Config(report=config), tuple(formats().values()), no_client)
            assert [sink.name for sink in make_sinks(context)] == names


def test_the_history_has_one_place() -> None:
    cases: list[tuple[S3Config | None, bool]] = [(None, True), (S3Config(bucket="bucket"), False)]
    for s3, keeps_history in cases:
        with case(s3, keeps_history):
            config = ReportConfig(directory=Path("out"), s3=s3)
            context = SinkContext(Config(report=config), tuple(formats().values()), no_client)
            directory, *_ = make_sinks(context)
            assert isinstance(directory, DirectorySink)
            assert directory.keeps_history is keeps_history
