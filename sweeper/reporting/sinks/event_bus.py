"""Events on an EventBridge bus: one for the run, one for each finding that changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Self

from sweeper.aws.client.errors import MAX_CODE, reason_for, shortened_message, translate_errors
from sweeper.domain.errors import OperationFailed
from sweeper.domain.json_encoding import encoded
from sweeper.domain.masking import mask
from sweeper.domain.reasons import PASSING_REASONS
from sweeper.domain.report_model import Delivery, Report
from sweeper.engine.probe import DestinationProbe, Hints, run_probe
from sweeper.reporting.events import (
    FINDING_CHANGED,
    RUN_FINISHED,
    SOURCE,
    FindingChanged,
    findings_changed,
    run_finished,
)
from sweeper.reporting.sinks.base import Sink, SinkContext

KEY = "report.event_bus"
MAX_BATCH = 10  # PutEvents: Entries
# PutEvents: 256 KB for all entries of a call (1 MB by now, not in every region).
MAX_SIZE = 250_000
HINTS = Hints(
    missing="create the event bus, or correct report.event_bus",
    unknown="nothing need be done: the first event tells. To have the bus looked for, allow the "
    "caller events:DescribeEventBus",
)


class EventBusSink(Sink):
    """Puts events; what a call before has put is not put again."""

    name = "event_bus"
    content = "events"
    is_message = True
    actions = frozenset({"events:PutEvents"})

    def __init__(self, arn: str, central: Callable[[str, str | None], Any]) -> None:
        """Calls nothing."""
        self.location = arn
        self._central = central
        self._put: set[str] = set()  # the keys of the events that the bus has

    @classmethod
    def make(cls, context: SinkContext) -> Self | None:
        """Return the sink, where report.event_bus is set."""
        arn = context.config.report.event_bus
        return cls(arn, context.central) if arn else None

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """Put the events in batches, all of them where only some are refused.

        Raises OperationFailed where a call fails, which ends it, or an event was refused. What was
        refused is put when the delivery is tried again; a resumed run puts all again, under the
        same ids.
        """
        refused: list[Mapping[str, Any]] = []
        for batch in _batches(self._entries(report, so_far)):
            try:
                answers = self._call([entry for _, entry in batch])
            except OperationFailed as error:
                raise self._explained(error) from None
            for (key, _), answer in zip(batch, answers, strict=True):
                if answer.get("ErrorCode"):
                    refused.append(answer)
                else:
                    self._put.add(key)
        if refused:
            raise self._explained(_of_refused(refused))
        return Delivery(self.name, self.location, "delivered")

    def probe(self) -> list[DestinationProbe]:
        """Ask whether the bus exists."""

        @translate_errors()
        def describe() -> None:
            self._client().describe_event_bus(Name=self.location)

        answer = run_probe(
            describe, if_denied="the bus may not be looked at, which putting events does not need"
        )
        return [DestinationProbe(KEY, self.location, "exists", answer, HINTS)]

    def _entries(
        self, report: Report, so_far: Sequence[Delivery]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each event that is to be put with its key; the run's comes last."""
        details = chain(findings_changed(report), [run_finished(report, so_far)])
        for detail in details:
            is_finding = isinstance(detail, FindingChanged)
            key = f"{detail.change} {detail.id}" if isinstance(detail, FindingChanged) else "run"
            resources = [detail.resource_id] if isinstance(detail, FindingChanged) else []
            if key in self._put:
                continue
            yield (
                key,
                {
                    "EventBusName": self.location,
                    "Source": SOURCE,
                    "DetailType": FINDING_CHANGED if is_finding else RUN_FINISHED,
                    "Detail": mask(encoded(detail)),
                    "Resources": [mask(each) for each in resources if each.startswith("arn:")],
                },
            )

    def _call(self, entries: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        with translate_errors():
            answer = self._client().put_events(Entries=entries)
        results: Sequence[Mapping[str, Any]] = answer["Entries"]
        return results

    def _client(self) -> Any:
        return self._central("events", self.location.split(":")[3])

    def _explained(self, error: OperationFailed) -> OperationFailed:
        message = f"{error.message}; {len(self._put):,} events were put"
        return OperationFailed(error.reason, message, error.error_code)


def _of_refused(refused: Sequence[Mapping[str, Any]]) -> OperationFailed:
    """Return why, of several reasons one that may pass: then the delivery is tried again."""
    codes = [str(each["ErrorCode"])[:MAX_CODE] for each in refused]
    passing = (code for code in codes if reason_for(code) in PASSING_REASONS)
    code = next(passing, codes[0])
    why = refused[codes.index(code)].get("ErrorMessage")
    message = shortened_message(f"{len(refused):,} events were refused, such as: {why}")
    return OperationFailed(reason_for(code), message, code)


def _batches(
    entries: Iterator[tuple[str, dict[str, Any]]],
) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    batch: list[tuple[str, dict[str, Any]]] = []
    size = 0
    for key, entry in entries:
        own = _size(entry)
        if batch and (len(batch) == MAX_BATCH or size + own > MAX_SIZE):
            yield batch
            batch, size = [], 0
        batch.append((key, entry))
        size += own
    if batch:
        yield batch


def _size(entry: Mapping[str, Any]) -> int:
    """Count as EventBridge does, and the name of the bus besides."""
    texts = (*(text for text in entry.values() if isinstance(text, str)), *entry["Resources"])
    return sum(len(text.encode()) for text in texts)
