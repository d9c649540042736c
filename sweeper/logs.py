"""Structured logs on stderr: stable dotted events with fields, JSON where no person reads."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

import structlog

from sweeper.escaping import plain
from sweeper.model import ChangeStatus, Examined, Failed, Finding, Report, Stage, Target

log: Any = structlog.get_logger()

_FAILED_EVENTS = {
    Stage.OPEN_ACCOUNT: "account.failed",
    Stage.EXAMINE: "target.failed",
    Stage.CHANGE: "target.not_changed",
}


def configure(*, terminal: bool) -> None:
    """JSON for machines; on a terminal, where progress is shown, warnings only."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _escaped,
            structlog.dev.ConsoleRenderer(colors=False)
            if terminal
            else structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.WARNING if terminal else logging.INFO
        ),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def _escaped(_logger: Any, _method: str, event: Any) -> Any:
    return {key: plain(value) if isinstance(value, str) else value for key, value in event.items()}


class LogObserver:
    """Logs the stages, and what fails in them, as it happens."""

    def begin(self, stage: Stage, total: int) -> None:
        """`stage.started`."""
        log.info("stage.started", stage=str(stage), total=total)

    def done(self, stage: Stage, outcomes: Sequence[tuple[Any, Any]]) -> None:
        """`account.failed`, `target.failed` or `.not_changed`, `change.applied` or `.failed`."""
        for item, outcome in outcomes:
            if isinstance(outcome, Failed):
                # A change's item is its target and what was found there.
                place = item[0] if stage is Stage.CHANGE else item
                account = place.account if isinstance(place, Target) else place
                log.warning(
                    _FAILED_EVENTS[stage],
                    account_id=account.id,
                    region=place.region if isinstance(place, Target) else None,
                    stage=str(outcome.stage),
                    reason=str(outcome.reason),
                    error_code=outcome.error_code,
                    message=outcome.message,
                )
            if stage is Stage.CHANGE and isinstance(outcome, Examined):
                for finding in outcome.findings:
                    _log_change(finding)


def _log_change(finding: Finding) -> None:
    change = finding.change
    if change is None or change.status not in (ChangeStatus.APPLIED, ChangeStatus.FAILED):
        return
    applied = change.status is ChangeStatus.APPLIED
    emit = log.info if applied else log.warning
    emit(
        "change.applied" if applied else "change.failed",
        account_id=finding.account_id,
        region=finding.region,
        repository=finding.repository,
        from_mutability=finding.mutability,
        to_mutability=change.to_mutability,
        to_exclusion_filters=list(change.to_exclusion_filters),
        reason=change.reason and str(change.reason),
        error=change.error,
    )


def log_finished(report: Report, exit_status: int) -> None:
    """`enumerate.failed`, `delivery.failed`, and `sweep.finished` with the totals."""
    for failure in report.failures:
        if failure.stage is Stage.ENUMERATE and failure.account_id is None:
            log.error(
                "enumerate.failed",
                reason=str(failure.reason),
                error_code=failure.error_code,
                message=failure.message,
            )
    for delivery in report.deliveries:
        if delivery.status == "failed":
            log.error(
                "delivery.failed",
                sink=delivery.sink,
                location=delivery.location,
                reason=delivery.reason and str(delivery.reason),
                message=delivery.message,
            )
    totals = report.totals
    log.info(
        "sweep.finished",
        run_id=report.run.id,
        dry_run=report.run.dry_run,
        exit_status=exit_status,
        accounts_opened=totals.accounts.opened,
        accounts_failed=totals.accounts.failed,
        targets_examined=totals.targets.examined,
        targets_failed=totals.targets.failed,
        repositories_examined=totals.repositories.examined,
        non_compliant=totals.repositories.non_compliant,
        changes_applied=totals.changes.applied,
        changes_failed=totals.changes.failed,
        remaining=totals.remaining,
        coverage_complete=report.coverage.complete,
    )
