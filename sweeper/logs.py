"""Structured logs on stderr: stable dotted events with fields, JSON where no person reads."""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from sweeper.escaping import plain
from sweeper.model import ChangeStatus, Delivery, Examined, Failed, Finding, Report, Stage, Target

MOST_UNFINISHED = 3  # runs that are told one by one

_logger = logging.getLogger("sweeper")

_FAILED_EVENTS = {
    Stage.OPEN_ACCOUNT: "account.failed",
    Stage.EXAMINE: "target.failed",
    Stage.ASSESS: "target.not_assessed",
    Stage.CHANGE: "target.not_changed",
}


def configure(*, terminal: bool) -> None:
    """JSON for machines; on a terminal, where progress is shown, warnings only."""
    handler = _Handler(sys.stderr)
    handler.setFormatter(_Lines() if terminal else _Json())
    _logger.handlers = [handler]
    _logger.setLevel(logging.WARNING if terminal else logging.INFO)
    _logger.propagate = False


def log(level: int, event: str, *, sentence: str = "", **fields: object) -> None:
    """One event, with its dotted name; text in its fields is untrusted, and escaped.

    A person at a terminal reads the `sentence`, where there is one, in the place of both.
    """
    safe = {
        name: plain(value) if isinstance(value, str) else value for name, value in fields.items()
    }
    _logger.log(level, event, extra={"fields": safe, "sentence": plain(sentence)})


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Say nothing: where a log cannot be written, neither can a complaint about it."""


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        common = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "timestamp": moment.replace("+00:00", "Z"),
        }
        return json.dumps({**common, **_fields(record)}, sort_keys=True)


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        if sentence := getattr(record, "sentence", ""):
            return f"{record.levelname.lower()}: {sentence}"
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        return f"{record.levelname.lower()}: {record.getMessage()} {fields}"


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields: dict[str, object] = getattr(record, "fields", {})
    return fields


class LogObserver:
    """Logs the stages, and what fails in them, as it happens."""

    def begin(self, stage: Stage, total: int) -> None:
        """`stage.started`."""
        log(logging.INFO, "stage.started", stage=str(stage), total=total)

    def done(self, stage: Stage, outcomes: Sequence[tuple[Any, Any]]) -> None:
        """`account.failed`, `target.failed` or `.not_changed`, `change.applied`, `.failed` or
        `.withheld`.

        And `target.not_assessed` or `impact.unavailable`.
        """
        for item, outcome in outcomes:
            if isinstance(outcome, Failed):
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
            if stage is Stage.ASSESS and isinstance(outcome, Examined):
                _log_unavailable(item[0], outcome)
            if stage is Stage.CHANGE and isinstance(outcome, Examined):
                before = item[1].findings
                for finding in outcome.findings:
                    if finding not in before:  # what was made by an earlier process was told then
                        _log_change(finding)


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

    Each with the command that goes on with it, where its journal tells what it is of. Of more than
    MOST_UNFINISHED there is one event, with how many they are and the newest.
    """
    count = len(journals)
    for journal, command in journals[-1:] if count > MOST_UNFINISHED else journals:
        fields: dict[str, object] = {"run_id": journal.stem, "path": str(journal)}
        sentence = ""
        if count > MOST_UNFINISHED:
            fields["runs"] = count
            sentence = f"{count:,} unfinished runs, the newest {journal.stem}"
            sentence += f": `{command}` goes on with it" if command else f", {journal}"
        log(
            logging.WARNING,
            "journal.unfinished",
            sentence=sentence,
            **fields,
            go_on_with=command,
        )


def log_deliveries(deliveries: Sequence[Delivery]) -> None:
    """`delivery.failed`, `delivery.incomplete` and `delivery.fallback`."""
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
            log(
                logging.WARNING,
                "delivery.incomplete",
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


def log_finished(report: Report, exit_status: int, *, resumable: bool = False) -> None:
    """What did not go well, one event each, and `sweep.finished` with the totals.

    `enumerate.failed`, `delivery.failed`, `delivery.fallback`, and `delivery.incomplete` where what
    the next sweep needs could not be kept; the sweep is `resumable` where `--resume` can go on
    with it.
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
        new=since.new if since and not since.unavailable else None,
        reopened=since.reopened if since and not since.unavailable else None,
        not_compared=since and since.unavailable,
        coverage_complete=report.coverage.complete,
        resumable=resumable,
    )
