"""A run, and its findings that changed, as events for EventBridge: pure.

docs/events.schema.json is made of these values: what a consumer may rely on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sweeper.domain.escaping import plain, shorten
from sweeper.domain.model import Finding, Since
from sweeper.domain.report_model import Coverage, Delivery, Report, RunKind, Totals
from sweeper.reporting.console import console_url
from sweeper.reporting.notification import subject
from sweeper.reporting.records import State, items, recorder

SOURCE = "sweeper"
RUN_FINISHED = "Sweeper Run Finished"
FINDING_CHANGED = "Sweeper Finding Changed"
_LONGEST = 2000  # characters of a text

_STATES: dict[State, Literal["open", "undetermined", "fixed"]] = {
    State.OPEN: "open",
    State.UNDETERMINED: "undetermined",
    State.FIXED: "fixed",
}

Kind = Literal["new", "reopened", "resolved"]


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
    change: Kind
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


def run_finished(report: Report, so_far: Sequence[Delivery]) -> RunFinished:
    """Return the event of the run; `so_far` says where its report lies."""
    run, since = report.run, report.since_last
    compared = since is not None and since.unavailable is None
    kept = (item for item in so_far if item.status == "delivered" and item.content == "report")
    stored = next(kept, None)
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
        if since and compared
        else None,
        report=shorten(stored.location, _LONGEST) if stored else None,
    )


def findings_changed(report: Report) -> Iterator[FindingChanged]:
    """Yield an event for each finding of a sweep that is new, reopened or resolved."""
    if report.run.kind != "sweep":
        return
    make = recorder(report)
    run = report.run
    for state, item in items(report):
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
            account_name=shorten(record.account_name, _LONGEST),
            region=record.region,
            resource=record.resource,
            resource_id=shorten(record.resource_id, _LONGEST),
            repository=shorten(record.repository, _LONGEST),
            setting=shorten(record.setting, _LONGEST),
            title=shorten(record.title, _LONGEST),
            description=shorten(record.description, _LONGEST),
            advice=record.advice,
            console_url=console_url(item, run.partition),
            tags={shorten(key, 128): shorten(plain(tag), 256) for key, tag in record.tags.items()},
        )


def _change(since: Since | None, state: State) -> Kind | None:
    match since:
        case Since.NEW:
            return "new"
        case Since.REOPENED:
            return "reopened"
        case None if state in (State.OPEN, State.UNDETERMINED):
            return "new"  # nobody knows what was sent before
    return None
