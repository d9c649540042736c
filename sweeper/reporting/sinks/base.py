"""A destination of reports, and the delivery of a report to several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from pydantic import BaseModel

from sweeper.domain.model import Failed, Stage
from sweeper.domain.reasons import PASSING_REASONS
from sweeper.domain.report_model import Delivery, Report
from sweeper.engine.attempts import attempt
from sweeper.engine.probe import DestinationProbe, failed_probe
from sweeper.reporting.formats.base import Format
from sweeper.storage.evidence.file import EvidenceFile

if TYPE_CHECKING:
    from sweeper.config.schema import Config


# The wait before a delivery is tried again, on top of the retries of each of its calls.
_FIRST_WAIT = 5.0  # seconds
_MAX_WAIT = 30.0  # seconds
# Needed by a destination that is encrypted with a customer managed KMS key.
KEY_ACTIONS = frozenset({"kms:Decrypt", "kms:GenerateDataKey"})


class _NoSettings(BaseModel, extra="forbid"):
    """The settings of a plugin that needs none."""


class Sink:
    """A destination of reports, and the base class of a plugin. Making one calls nothing."""

    name: str  # in `deliveries`
    location: str  # where the report would go, for messages
    keeps = False  # whether it stores the whole report
    content = "report"  # the name of the delivered content
    is_local = False  # whether it gets dry runs, too
    is_message = False  # whether it says where the report is, and so comes last
    takes_events = False  # whether it gets reports about events, too
    actions: frozenset[str] = frozenset()  # IAM's, that the caller needs
    settings: type[BaseModel] = _NoSettings  # of a plugin

    @classmethod
    def make(cls, context: SinkContext) -> Self | None:
        """Return the sink, where the configuration names it. Calls nothing."""
        raise NotImplementedError

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """Deliver the report; `so_far` are the deliveries before. Raises OperationFailed."""
        raise NotImplementedError

    def probe(self) -> Iterable[DestinationProbe]:
        """Check whether the destination would accept the report, and write nothing."""
        return ()


@runtime_checkable
class Storing(Protocol):
    """A sink that can store the report before it is complete."""

    def store(self, report: Report) -> None:
        """Store the report where it survives the process; raises OperationFailed."""

    def file(self, report: Report, location: str) -> str | None:
        """Return where report.json of a delivery to `location` is; None without one."""


def store(report: Report, sinks: Iterable[object], fallback: Storing | None) -> None:
    """Store the report in every sink that can, or else in `fallback`. Raises nothing.

    Earlier reports are read only after that: reading them must never cost this one. If a sink
    cannot store the report, its delivery reports that.
    """
    done = [
        attempt(Stage.DELIVER, lambda sink: sink.store(report), sink)
        for sink in sinks
        if isinstance(sink, Storing)
    ]
    if fallback and all(isinstance(each, Failed) for each in done):
        attempt(Stage.DELIVER, lambda sink: sink.store(report), fallback)


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What sinks are made of; `central` makes a boto3 client: (service, region or None).

    `evidence` is None where none is stored. `settings` are those of a plugin.
    """

    config: Config
    formats: tuple[Format, ...]
    central: Callable[[str, str | None], Any]
    evidence: EvidenceFile | None = None
    settings: Any = None


def deliver(
    report: Report,
    sinks: Iterable[Sink],
    wait: Callable[[float], bool] = lambda _: False,
    fallback: Sink | None = None,
    *,
    must_store: bool = False,
) -> Report:
    """Deliver the report to each sink, and return it with the deliveries. Raises nothing.

    Sinks are independent: if one fails, the next still gets the report. A passing failure is tried
    again as long as `wait`, called with seconds, returns True. If no sink stores the report, though
    one failed or it is `must_store`, it goes to `fallback`, before the messages that say where it
    is.
    """
    report = replace(report, deliveries=())  # a copy cannot record its own delivery
    done: list[Delivery] = []
    stored = False

    def use_fallback() -> None:
        nonlocal fallback
        failed = any(item.status == "failed" for item in done)
        if fallback and not stored and (must_store or failed):
            done.append(_deliver_to(report, fallback, tuple(done), wait))
            fallback = None

    for sink in sinks:
        if not sink.keeps:
            use_fallback()
        done.append(_deliver_to(report, sink, tuple(done), wait))
        stored = stored or (sink.keeps and done[-1].status == "delivered")
    use_fallback()
    return replace(report, deliveries=tuple(done))


def _deliver_to(
    report: Report, sink: Sink, so_far: tuple[Delivery, ...], wait: Callable[[float], bool]
) -> Delivery:
    seconds = _FIRST_WAIT
    while True:
        result = attempt(
            Stage.DELIVER,
            lambda _: replace(sink.deliver(report, so_far), sink=sink.name, content=sink.content),
            None,
        )
        if not isinstance(result, Failed):
            return result
        if result.reason not in PASSING_REASONS or not wait(seconds):
            needed = ", ".join(sorted(sink.actions)) if result.reason.is_denial else None
            return Delivery(
                sink.name,
                sink.location,
                "failed",
                result.reason,
                result.error_code,
                result.message,
                sink.content,
                f"grant the caller what delivery there needs: {needed}" if needed else None,
            )
        seconds = min(2 * seconds, _MAX_WAIT)


def probe_sink(sink: Sink) -> list[DestinationProbe]:
    """Return the results of the probe of the sink. Raises nothing."""
    answers = attempt(Stage.DELIVER, lambda _: list(sink.probe()), None)
    if isinstance(answers, Failed):
        return [DestinationProbe(sink.name, sink.location, "probe", failed_probe(answers))]
    return answers


def is_stored(deliveries: Sequence[Delivery], sinks: Iterable[Sink]) -> bool:
    """Tell whether no delivery failed, or the whole report is stored in spite of it."""
    stores = {sink.name for sink in sinks if sink.keeps}
    delivered_to = {each.sink for each in deliveries if each.status == "delivered"}
    failed = any(each.status == "failed" for each in deliveries)
    return not failed or not stores.isdisjoint(delivered_to)
