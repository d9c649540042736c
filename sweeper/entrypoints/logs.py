"""Structured logs on stderr: stable dotted events with fields, JSON where no person reads.

Warnings of libraries are logged as `library.message`. In a run each line has its `run_id`; a line
that a thread logs at work has the `account_id` and `region` that it works on.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence
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
from sweeper.domain.model import ChangeStatus, Compliance, Failed, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Delivery, FailedItem, Report
from sweeper.entrypoints.log_style import AUTO, LogStyle

NAME = "sweeper"  # of this program's loggers in the standard library
MAX_ALIKE = 100  # failures of a stage with the same reason


_Event = MutableMapping[str, Any]


def configure(*, terminal: bool | None = None, style: LogStyle = AUTO) -> None:
    """Log JSON for machines; on a terminal, where progress is shown, warnings as lines.

    Args:
        terminal: Whether a person reads stderr; None to find out. What an earlier run bound is
            forgotten.
        style: That of the command's options.

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
    logging.getLogger(NAME).setLevel(style.level(terminal=terminal))
    logging.captureWarnings(capture=True)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a person reads or writes the stream; one that is closed is none."""
    return stream is not None and not stream.closed and stream.isatty()


def bind_run(run_id: str) -> None:
    """Give each line from now on the run's id, until `configure` is called again."""
    bind_contextvars(run_id=run_id)


def log(level: int, event: str, *, sentence: str = "", **fields: object) -> None:
    """Log one event, with its dotted name; text in its fields is untrusted, and escaped.

    A person at a terminal reads the `sentence`, where there is one, instead of both.
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
    if record.name.partition(".")[0] != NAME:
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
    """Return the line with its time, for a file."""
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
    logging.getLogger(NAME),
    processors=[
        structlog.stdlib.filter_by_level,
        *_COMMON,
        _safe,
        ProcessorFormatter.wrap_for_formatter,
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
)


def _log_deliveries(deliveries: Sequence[Delivery]) -> None:
    """Log `delivery.failed`, `.incomplete`, `.not_needed` and `.fallback`."""
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
            # Where no destination is configured, it is the destination.
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


class FailureLog:
    """Logs failures, of each stage and reason the first MAX_ALIKE, then `failures.not_logged`.

    An organization that is denied would write a hundred megabytes. The report has them all.
    """

    def __init__(self) -> None:
        self._alike: Counter[tuple[Stage, Reason]] = Counter()

    def add(
        self, event: str, failure: Failed | FailedItem, account_id: str, region: str | None
    ) -> None:
        """Log `event` about the account, or its region."""
        alike = failure.stage, failure.reason
        self._alike[alike] += 1
        if self._alike[alike] > MAX_ALIKE + 1:
            return
        fields: dict[str, Any] = {"stage": str(failure.stage), "reason": str(failure.reason)}
        if self._alike[alike] == MAX_ALIKE + 1:
            event = "failures.not_logged"
            fields |= {"logged": MAX_ALIKE, "message": "there are more, which are in the report"}
        else:
            fields |= {"account_id": account_id, "region": region}
            fields |= {"error_code": failure.error_code, "message": failure.message}
        log(logging.WARNING, event, **fields)


def _log_left_out(report: Report) -> None:
    """Log the accounts and regions that failed before a stage began."""
    failures = FailureLog()
    for each in report.failures:
        of_region = each.stage is Stage.OPEN_ACCOUNT and each.region
        if each.account_id and (each.stage is Stage.ENUMERATE or of_region):
            event = "target.failed" if each.region else "account.failed"
            failures.add(event, each, each.account_id, each.region)


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
    _log_left_out(report)
    _log_deliveries(report.deliveries)
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
        undetermined=sum(each.compliance is Compliance.UNDETERMINED for each in report.findings),
        changes_planned=totals.changes.planned,
        changes_applied=totals.changes.applied,
        changes_failed=totals.changes.failed,
        changes_withheld=totals.changes.withheld,
        withheld_because=_withheld_because(report),
        remaining=totals.remaining,
        source_remaining=report.run.source and report.run.source.remaining,
        new=since.new if since and not since.unavailable else None,
        reopened=since.reopened if since and not since.unavailable else None,
        not_compared=since and since.unavailable,
        coverage_complete=report.coverage.complete,
        source_coverage_complete=report.run.source and report.run.source.coverage_complete,
        resumable=resumable,
    )
