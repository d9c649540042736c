"""Events on an EventBridge bus: one for the run, one for each finding that changed.

docs/events.schema.json is made of `RunFinished` and `FindingChanged`: what a consumer may rely on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from sweeper.aws.client.errors import MAX_CODE, reason_for, shortened_message, translate_errors
from sweeper.domain.errors import OperationFailed
from sweeper.domain.escaping import plain, shorten
from sweeper.domain.json_encoding import encode_value
from sweeper.domain.masking import mask
from sweeper.domain.model import Finding, Since
from sweeper.domain.reasons import PASSING_REASONS
from sweeper.domain.report_model import Coverage, Delivery, Report, RunKind, Totals
from sweeper.engine.probe import DestinationProbe, Hints, run_probe
from sweeper.reporting.console import console_url
from sweeper.reporting.notification import subject
from sweeper.reporting.records import State, list_items, record_maker
from sweeper.reporting.sinks.base import Sink, SinkContext

_SOURCE = "sweeper"
_RUN_FINISHED = "Sweeper Run Finished"
_FINDING_CHANGED = "Sweeper Finding Changed"
_MAX_TEXT = 2000  # characters of a text
_STATES: dict[State, Literal["open", "undetermined", "fixed"]] = {
    State.OPEN: "open",
    State.UNDETERMINED: "undetermined",
    State.FIXED: "fixed",
}
_ChangeKind = Literal["new", "reopened", "resolved"]
_KEY = "report.event_bus"
_MAX_BATCH = 10  # PutEvents: Entries
# PutEvents: 256 KB for all entries of a call (1 MB by now, not in every region).
_MAX_SIZE = 250_000
_HINTS = Hints(
    missing="create the event bus, or correct report.event_bus",
    unknown="nothing to do: the first event shows it. To check the bus, allow the "
    "caller events:DescribeEventBus",
)


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The detail of "Sweeper Run Finished": one event for each run.

    `since_last` counts what changed; it is None where there is nothing to compare with, and every
    open finding is then sent as new. `report` is where the full report lies, None where it was
    stored nowhere.
    """

    schema_version: Literal["1"]
    run_id: str
    kind: RunKind
    dry_run: bool
    started_at: str
    finished_at: str
    version: str
    organization_id: str | None
    account_id: str | None
    summary: str
    coverage: Coverage
    totals: Totals
    since_last: Mapping[Literal["new", "reopened", "resolved", "still_open"], int] | None
    report: str | None


@dataclass(frozen=True, slots=True)
class FindingChanged:
    """The detail of "Sweeper Finding Changed": one event for each finding that changed in a sweep.

    `id` stays the same from sweep to sweep. An event may come twice: the same `id`, `run_id` and
    `change` are the same event. `change` compares with the last sweep; `state` is how the finding
    stands when the run ends: one that is new may have been fixed by this run (``fixed``). `tags`
    are those of the account that `report.account_tags` names.
    """

    schema_version: Literal["1"]
    id: str
    change: _ChangeKind
    state: Literal["open", "undetermined", "fixed"]
    run_id: str
    dry_run: bool
    observed_at: str
    organization_id: str | None
    check: str
    account_id: str
    account_name: str
    region: str
    resource: str
    resource_id: str
    repository: str
    setting: str
    title: str
    description: str
    advice: str
    console_url: str | None
    tags: Mapping[str, str] = field(default_factory=dict)


class EventBusSink(Sink):
    """A sink that puts events; a second delivery puts only those that were refused."""

    name = "event_bus"
    content = "events"
    is_message = True
    actions = frozenset({"events:PutEvents"})

    def __init__(self, arn: str, central: Callable[[str, str | None], Any]) -> None:
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
                raise self._explain(error) from None
            for (key, _), answer in zip(batch, answers, strict=True):
                if answer.get("ErrorCode"):
                    refused.append(answer)
                else:
                    self._put.add(key)
        if refused:
            raise self._explain(_of_refused(refused))
        return Delivery(self.name, self.location, "delivered")

    def probe(self) -> list[DestinationProbe]:
        """Probe whether the bus exists."""

        @translate_errors()
        def describe() -> None:
            self._client().describe_event_bus(Name=self.location)

        answer = run_probe(
            describe, if_denied="the caller may not describe the bus; a delivery does not need it"
        )
        return [DestinationProbe(_KEY, self.location, "exists", answer, _HINTS)]

    def _entries(
        self, report: Report, so_far: Sequence[Delivery]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each event that is still to be put, with its key; the run's comes last."""
        for finding in _findings_changed(report):
            key = f"{finding.change} {finding.id}"
            if key not in self._put:
                arn = finding.resource_id if finding.resource_id.startswith("arn:") else None
                yield key, self._entry(_FINDING_CHANGED, finding, arn)
        if "run" not in self._put:
            yield "run", self._entry(_RUN_FINISHED, _run_finished(report, so_far), None)

    def _entry(
        self, detail_type: str, detail: RunFinished | FindingChanged, arn: str | None
    ) -> dict[str, Any]:
        return {
            "EventBusName": self.location,
            "Source": _SOURCE,
            "DetailType": detail_type,
            "Detail": mask(encode_value(detail)),
            "Resources": [mask(arn)] if arn else [],
        }

    def _call(self, entries: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        with translate_errors():
            answer = self._client().put_events(Entries=entries)
        results: Sequence[Mapping[str, Any]] = answer["Entries"]
        return results

    def _client(self) -> Any:
        return self._central("events", self.location.split(":")[3])

    def _explain(self, error: OperationFailed) -> OperationFailed:
        message = f"{error.message}; {len(self._put):,} events were put"
        return OperationFailed(error.reason, message, error.error_code)


def _run_finished(report: Report, so_far: Sequence[Delivery]) -> RunFinished:
    """Return the event of the run; `so_far` says where its report lies."""
    run, since = report.run, report.since_last
    locations = (
        item.location for item in so_far if item.status == "delivered" and item.content == "report"
    )
    location = next(locations, None)
    return RunFinished(
        schema_version="1",
        run_id=run.id,
        kind=run.kind,
        dry_run=run.dry_run,
        started_at=run.started_at,
        finished_at=run.finished_at,
        version=run.version,
        organization_id=run.organization_id,
        account_id=run.account_id,
        summary=subject(report),
        coverage=report.coverage,
        totals=report.totals,
        since_last={
            "new": since.new,
            "reopened": since.reopened,
            "resolved": len(since.resolved),
            "still_open": since.still_open,
        }
        if since and since.unavailable is None
        else None,
        report=shorten(location, _MAX_TEXT) if location else None,
    )


def _findings_changed(report: Report) -> Iterator[FindingChanged]:
    """Yield an event for each finding of a sweep that is new, reopened or resolved."""
    if report.run.kind != "sweep":
        return
    make = record_maker(report)
    run = report.run
    for state, item in list_items(report):
        change = _change(item.since_last, state) if isinstance(item, Finding) else "resolved"
        if change is None or state not in _STATES:
            continue
        record = make(state, item)
        yield FindingChanged(
            schema_version="1",
            id=record.id,
            change=change,
            state=_STATES[state],
            run_id=run.id,
            dry_run=run.dry_run,
            observed_at=run.finished_at,
            organization_id=run.organization_id,
            check=record.check,
            account_id=record.account_id,
            account_name=shorten(record.account_name, _MAX_TEXT),
            region=record.region,
            resource=record.resource,
            resource_id=shorten(record.resource_id, _MAX_TEXT),
            repository=shorten(record.repository, _MAX_TEXT),
            setting=shorten(record.setting, _MAX_TEXT),
            title=shorten(record.title, _MAX_TEXT),
            description=shorten(record.description, _MAX_TEXT),
            advice=record.advice,
            console_url=console_url(item, run.partition),
            tags={shorten(key, 128): shorten(plain(tag), 256) for key, tag in record.tags.items()},
        )


def _change(since: Since | None, state: State) -> _ChangeKind | None:
    match since:
        case Since.NEW:
            return "new"
        case Since.REOPENED:
            return "reopened"
        case None if state in (State.OPEN, State.UNDETERMINED):
            return "new"  # without a comparison every remaining finding is new
    return None


def _of_refused(refused: Sequence[Mapping[str, Any]]) -> OperationFailed:
    """Return an error for refused events, with a passing reason if one of them has one."""
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
        if batch and (len(batch) == _MAX_BATCH or size + own > _MAX_SIZE):
            yield batch
            batch, size = [], 0
        batch.append((key, entry))
        size += own
    if batch:
        yield batch


def _size(entry: Mapping[str, Any]) -> int:
    """Return the size as EventBridge counts it, with the name of the bus besides."""
    texts = (*(text for text in entry.values() if isinstance(text, str)), *entry["Resources"])
    return sum(len(text.encode()) for text in texts)
