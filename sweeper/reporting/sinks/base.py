"""What a sink is, and how a report is delivered to several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from pydantic import BaseModel

from sweeper.domain.model import Failed, Stage
from sweeper.domain.reasons import PASSING_REASONS
from sweeper.domain.report_model import Delivery, Report
from sweeper.engine.pool import attempt
from sweeper.engine.probe import DestinationProbe, failed_probe
from sweeper.reporting.formats.base import Format
from sweeper.storage.evidence.file import EvidenceFile

if TYPE_CHECKING:
    from sweeper.config.schema import Config


# How long to wait before a delivery is tried again, on top of the retries of each of its calls.
FIRST_WAIT = 5.0  # seconds
LONGEST_WAIT = 30.0  # seconds
# What a destination needs that a KMS key of the caller's encrypts.
KEY_ACTIONS = frozenset({"kms:Decrypt", "kms:GenerateDataKey"})


class NoSettings(BaseModel, extra="forbid"):
    """What a plugin may be given that needs no settings."""


class Sink:
    """A destination of reports; a subclass says what is different of it."""

    name: str  # in `deliveries`
    location: str  # where the report would go, for messages
    keeps = False  # whether the whole report lies there afterwards
    content = "report"  # what is delivered, in a word
    is_local = False  # whether a dry run is delivered there, too
    is_message = False  # whether it says where the report is, and so comes last
    takes_events = False  # whether reports about events go there, too
    actions: frozenset[str] = frozenset()  # IAM's, that the caller needs
    settings: type[BaseModel] = NoSettings  # the model of a plugin's own

    @classmethod
    def make(cls, context: SinkContext) -> Self | None:
        """Return the sink, where the configuration names it. Calls nothing."""
        raise NotImplementedError

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """Deliver, knowing what became of the sinks before; raises OperationFailed."""
        raise NotImplementedError

    def probe(self) -> Iterable[DestinationProbe]:
        """Ask whether the destination would accept the report, and write nothing."""
        return ()


@runtime_checkable
class Storing(Protocol):
    """A sink that can store the report before it is whole."""

    def store(self, report: Report) -> None:
        """Put the report where it stays should the process end; raises OperationFailed."""

    def file(self, report: Report, location: str) -> str | None:
        """Where report.json lies of a delivery to `location`; None where there is none."""


def store(report: Report, sinks: Iterable[object], fallback: Storing | None) -> None:
    """Store the report in every sink that can, or else in `fallback`. Raises nothing.

    What earlier sweeps left is read after that: reading it must never cost the report. What cannot
    be stored is told by its delivery.
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
    must_keep: bool = False,
) -> Report:
    """The report with what became of it at each sink, in their order. Raises nothing.

    No sink depends on another: where one fails, the next still gets the report. What may pass is
    tried again as long as `wait` waits so many seconds, and answers True. Where no sink keeps the
    report, though one should have or it is one of `must_keep`, it goes to `fallback`, before the
    messages that say where it is.
    """
    report = replace(report, deliveries=())  # a copy cannot tell what became of itself
    done: list[Delivery] = []
    kept = False

    def keep() -> None:
        nonlocal fallback
        failed = any(item.status == "failed" for item in done)
        if fallback and not kept and (must_keep or failed):
            done.append(_delivered(report, fallback, tuple(done), wait))
            fallback = None

    for sink in sinks:
        if not sink.keeps:
            keep()
        done.append(_delivered(report, sink, tuple(done), wait))
        kept = kept or (sink.keeps and done[-1].status == "delivered")
    keep()
    return replace(report, deliveries=tuple(done))


def _delivered(
    report: Report, sink: Sink, so_far: tuple[Delivery, ...], wait: Callable[[float], bool]
) -> Delivery:
    seconds = FIRST_WAIT
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
        seconds = min(2 * seconds, LONGEST_WAIT)


def probe_sink(sink: Sink) -> list[DestinationProbe]:
    """Return what the destination answers when it is asked. Raises nothing."""
    answers = attempt(Stage.DELIVER, lambda _: list(sink.probe()), None)
    if isinstance(answers, Failed):
        return [DestinationProbe(sink.name, sink.location, "probe", failed_probe(answers))]
    return answers


def is_kept(deliveries: Sequence[Delivery], sinks: Iterable[Sink | None]) -> bool:
    """Whether the whole report lies somewhere that keeps it, wherever it could not be delivered."""
    keepers = {sink.name for sink in sinks if sink and sink.keeps}
    delivered = {each.sink for each in deliveries if each.status == "delivered"}
    failed = any(each.status == "failed" for each in deliveries)
    return not failed or not keepers.isdisjoint(delivered)
