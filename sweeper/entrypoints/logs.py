"""Structured logs on stderr: stable dotted events with fields, JSON where no person reads.

Warnings of libraries are logged as `library.message`. In a run each line has its `run_id`; a line
that a thread logs at work has the `account_id` and `region` that it works on.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, TextIO

if "rich" not in sys.modules:
    # structlog's development tools import rich where they find it: 7 MB and 0.05 s that neither a
    # machine's log nor the line renderer below has a use for.
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog
    finally:
        del sys.modules["rich"]

import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars, merge_contextvars
from structlog.stdlib import ExtraAdder, ProcessorFormatter

from sweeper.domain.escaping import plain
from sweeper.domain.masking import mask, mask_message
from sweeper.domain.model import (
    Account,
    ChangeStatus,
    Examined,
    Failed,
    Finding,
    OpenedAccount,
    Stage,
    Target,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Delivery, Report
from sweeper.entrypoints.log_style import AUTO, LogStyle

MOST_ALIKE = 100  # failures of a stage with the same reason

_NAME = "sweeper"  # of this program's loggers in the standard library

_FAILED_EVENTS = {
    Stage.OPEN_ACCOUNT: "account.failed",
    Stage.EXAMINE: "target.failed",
    Stage.ASSESS: "target.not_assessed",
    Stage.CHANGE: "target.not_changed",
}


_Event = MutableMapping[str, Any]


def configure(*, terminal: bool | None = None, style: LogStyle = AUTO) -> None:
    """Log JSON for machines; on a terminal, where progress is shown, warnings as lines.

    Args:
        terminal: Whether a person reads stderr; None to find out. What an earlier run bound is
            forgotten.
        style: What the command's options say.

    """
    if terminal is None:
        terminal = is_terminal(sys.stderr)
    clear_contextvars()
    as_lines = (_line,) if terminal else (_dated_line,)
    handler = _Handler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*_COMMON, ExtraAdder(), _described_library, _safe],
            processors=[
                ProcessorFormatter.remove_processors_meta,
                *(_JSON if style.is_json(terminal=terminal) else as_lines),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.ERROR if style.quiet else logging.WARNING)
    logging.getLogger(_NAME).setLevel(style.level(terminal=terminal))
    logging.captureWarnings(capture=True)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a person reads or writes the stream; one that is closed is none."""
    return stream is not None and not stream.closed and stream.isatty()


def bind_run(run_id: str) -> None:
    """Give each line from now on the run's id, until `configure` is called again."""
    bind_contextvars(run_id=run_id)


def log(level: int, event: str, *, sentence: str = "", **fields: object) -> None:
    """Log one event, with its dotted name; text in its fields is untrusted, and escaped.

    A person at a terminal reads the `sentence`, where there is one, in the place of both.
    """
    _logger.log(level, event, sentence=sentence, **fields)


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Say nothing: where a log cannot be written, neither can a complaint about it."""


def _described_library(_: object, __: str, event: _Event) -> _Event:
    """Name an event of the standard library's logging that is not this program's."""
    record: logging.LogRecord | None = event.get("_record")
    if record is None:
        return event
    if error := (event.pop("exc_info", None) or (None, None))[1]:
        event["exception"] = mask_message(f"{type(error).__name__}: {error}")
    event.pop("stack_info", None)
    if record.name.partition(".")[0] != _NAME:
        event["message"] = mask_message(event["event"])
        event.update(event="library.message", logger=record.name)
    return event


def _safe(_: object, __: str, event: _Event) -> _Event:
    return {
        name: value if name.startswith("_") else _made_safe(value) for name, value in event.items()
    }


def _made_safe(value: object) -> object:
    """Return the value as JSON has it, without secrets and what a terminal would obey."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_made_safe(str(key)): _made_safe(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_made_safe(each) for each in value]
    return plain(mask(str(value)))


def _line(_: object, __: str, event: _Event) -> str:
    level, name, sentence = event.pop("level"), event.pop("event"), event.pop("sentence", "")
    del event["timestamp"]
    if sentence:
        return f"{level}: {sentence}"
    return f"{level}: {name} " + " ".join(f"{key}={value}" for key, value in event.items())


def _dated_line(logger: object, method: str, event: _Event) -> str:
    """As `_line`, for a file: it says when."""
    return f"{event['timestamp']} {_line(logger, method, event)}"


def _without_sentence(_: object, __: str, event: _Event) -> _Event:
    event.pop("sentence", None)
    return event


_COMMON: list[structlog.typing.Processor] = [
    merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_JSON: tuple[structlog.typing.Processor, ...] = (
    _without_sentence,
    structlog.processors.JSONRenderer(sort_keys=True),
)
_logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
    logging.getLogger(_NAME),
    processors=[
        structlog.stdlib.filter_by_level,
        *_COMMON,
        _safe,
        ProcessorFormatter.wrap_for_formatter,
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
)


class LogObserver:
    """Logs the stages, and what fails in them, as it happens.

    Of failures with the same reason the first MOST_ALIKE are logged: an organization that is
    denied would write a hundred megabytes. The report has them all.
    """

    def __init__(self) -> None:
        self._alike: Counter[tuple[Stage, Reason]] = Counter()

    def begin(self, stage: Stage, total: int) -> None:
        """`stage.started`."""
        log(logging.INFO, "stage.started", stage=str(stage), total=total)

    def done(self, stage: Stage, outcomes: Sequence[tuple[Any, Any]]) -> None:
        """`account.failed`, `target.failed` or `.not_changed`, `change.applied`, `.failed` or
        `.withheld`.

        At level debug `account.opened` and `target.examined`, too.
        And `target.not_assessed` or `impact.unavailable`; `failures.not_logged` where there are
        more failures than are logged.
        """
        in_detail = logging.getLogger(_NAME).isEnabledFor(logging.DEBUG)
        for item, outcome in outcomes:
            if isinstance(outcome, Failed):
                if not self._is_due(stage, outcome.reason):
                    continue
                # A change's item is its target and what was found there.
                place = item[0] if stage in (Stage.ASSESS, Stage.CHANGE) else item
                account = place.account if isinstance(place, Target) else place
                log(
                    logging.WARNING,
                    _FAILED_EVENTS[stage],
                    account_id=account.id,
                    region=place.region if isinstance(place, Target) else None,
                    stage=str(outcome.stage),
                    reason=str(outcome.reason),
                    error_code=outcome.error_code,
                    message=outcome.message,
                )
            elif in_detail and stage in (Stage.OPEN_ACCOUNT, Stage.EXAMINE):
                _log_done(item, outcome)
            if stage is Stage.ASSESS and isinstance(outcome, Examined):
                _log_unavailable(item[0], outcome)
            if stage is Stage.CHANGE and isinstance(outcome, Examined):
                before = item[1].findings
                for finding in outcome.findings:
                    if finding not in before:  # what was made by an earlier process was told then
                        _log_change(finding)

    def _is_due(self, stage: Stage, reason: Reason) -> bool:
        self._alike[stage, reason] += 1
        count = self._alike[stage, reason]
        if count == MOST_ALIKE + 1:
            log(
                logging.WARNING,
                "failures.not_logged",
                stage=str(stage),
                reason=str(reason),
                logged=MOST_ALIKE,
                message="there are more, which are in the report",
            )
        return count <= MOST_ALIKE


def _log_done(item: Account | Target, outcome: object) -> None:
    """`account.opened` and `target.examined`, for who asked for every step."""
    match item, outcome:
        case Target(account, region), Examined(counts=counts, findings=findings):
            log(
                logging.DEBUG,
                "target.examined",
                account_id=account.id,
                region=region,
                compliant=counts.compliant,
                non_compliant=counts.non_compliant,
                exempt=counts.exempt,
                findings=len(findings),
            )
        case Account(), OpenedAccount(regions=regions):
            log(logging.DEBUG, "account.opened", account_id=item.id, regions=len(regions))


def _log_unavailable(target: Target, outcome: Examined) -> None:
    """Once for each reason: a role that may not read images may not in any repository."""
    impacts = [finding.impact for finding in outcome.findings if finding.impact]
    for reason, count in Counter(each.unavailable for each in impacts).items():
        if reason is not None:
            log(
                logging.WARNING,
                "impact.unavailable",
                account_id=target.account.id,
                region=target.region,
                repositories=count,
                reason=str(reason),
                message=next(each.error for each in impacts if each.unavailable is reason),
            )


def _log_change(finding: Finding) -> None:
    change = finding.change
    told = (ChangeStatus.APPLIED, ChangeStatus.FAILED, ChangeStatus.WITHHELD)
    if change is None or change.status not in told:
        return
    log(
        logging.INFO if change.status is ChangeStatus.APPLIED else logging.WARNING,
        f"change.{change.status}",
        account_id=finding.account_id,
        region=finding.region,
        resource=finding.resource,
        repository=finding.repository,
        from_mutability=finding.mutability,
        to_mutability=change.to_mutability,
        to_exclusion_filters=list(change.to_exclusion_filters),
        reason=change.reason and str(change.reason),
        error=change.error,
    )


def log_unfinished(journals: Sequence[tuple[Path, str | None]]) -> None:
    """`journal.unfinished`: earlier runs on this machine ended before they had finished.

    One event, with how many they are, the newest, and the command that resumes it, where its
    journal tells what it is of.
    """
    if not journals:
        return
    journal, command = journals[-1]
    count = len(journals)
    runs = "One interrupted run" if count == 1 else f"{count:,} interrupted runs"
    log(
        logging.WARNING,
        "journal.unfinished",
        sentence=f"{runs}: see `sweeper runs`.",
        runs=count,
        unfinished_run_id=journal.stem,
        path=str(journal),
        go_on_with=command,
    )


def log_deliveries(deliveries: Sequence[Delivery]) -> None:
    """`delivery.failed`, `delivery.incomplete`, `delivery.not_needed` and `delivery.fallback`."""
    failed = any(each.status == "failed" for each in deliveries)
    for delivery in deliveries:
        if delivery.status == "failed":
            log(
                logging.ERROR,
                "delivery.failed",
                sink=delivery.sink,
                location=delivery.location,
                reason=delivery.reason and str(delivery.reason),
                message=delivery.message,
            )
        elif delivery.message:
            is_needed = delivery.status == "delivered"
            log(
                logging.WARNING if is_needed else logging.INFO,
                "delivery.incomplete" if is_needed else "delivery.not_needed",
                sink=delivery.sink,
                location=delivery.location,
                message=delivery.message,
            )
        if delivery.sink == "fallback" and delivery.status == "delivered":
            # Where no place is configured, it is the place.
            log(
                logging.WARNING if failed else logging.INFO,
                "delivery.fallback",
                location=delivery.location,
            )


def _withheld_because(report: Report) -> list[str]:
    """Return the reasons for which changes were withheld, the most frequent first."""
    changes = (finding.change for finding in report.findings if finding.change)
    reasons = Counter(
        str(change.reason) for change in changes if change.status is ChangeStatus.WITHHELD
    )
    return [reason for reason, _ in reasons.most_common()]


def log_finished(
    report: Report, exit_status: int, file: str | None = None, *, resumable: bool = False
) -> None:
    """Log what did not go well, one event each, and `sweep.finished` with the totals.

    `file` is the stored report.json. A `resumable` sweep was stopped: `--resume` finishes it.
    """
    for failure in report.failures:
        if failure.stage is Stage.ENUMERATE and failure.account_id is None:
            log(
                logging.ERROR,
                "enumerate.failed",
                reason=str(failure.reason),
                error_code=failure.error_code,
                message=failure.message,
            )
    log_deliveries(report.deliveries)
    totals, since = report.totals, report.since_last
    log(
        logging.INFO,
        f"{report.run.kind}.finished",
        run_id=report.run.id,
        source=report.run.source and report.run.source.run_id,
        dry_run=report.run.dry_run,
        exit_status=exit_status,
        report=file,
        accounts_opened=totals.accounts.opened,
        accounts_failed=totals.accounts.failed,
        targets_examined=totals.targets.examined,
        targets_failed=totals.targets.failed,
        repositories_examined=totals.repositories.examined,
        non_compliant=totals.repositories.non_compliant,
        changes_planned=totals.changes.planned,
        changes_applied=totals.changes.applied,
        changes_failed=totals.changes.failed,
        changes_withheld=totals.changes.withheld,
        withheld_because=_withheld_because(report),
        remaining=totals.remaining,
        new=since.new if since and not since.unavailable else None,
        reopened=since.reopened if since and not since.unavailable else None,
        not_compared=since and since.unavailable,
        coverage_complete=report.coverage.complete,
        resumable=resumable,
    )
