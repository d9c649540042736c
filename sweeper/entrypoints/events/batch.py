"""A batch of SQS whose messages are events of EventBridge: which of them to deliver again."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sweeper.aws.client.partitions import regions_of_partition
from sweeper.aws.client.session import callers_session
from sweeper.config.loader import Loaded
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.escaping import shorten
from sweeper.domain.events import Hint, join_hints, read_hint
from sweeper.domain.exit_status import exit_status
from sweeper.domain.reasons import PASSING_REASONS, Reason
from sweeper.domain.report_model import Report
from sweeper.engine.attempts import Stop
from sweeper.engine.ports import Observer
from sweeper.entrypoints import logs
from sweeper.entrypoints.events.run import EventsRun, WarmState, require_bucket, run_hints
from sweeper.entrypoints.runner import run_supervised

_NOT_HERE = "its account is not in the organization"
_GONE = "the repository is gone"
_NO_BATCH = "event: it is not a batch of SQS; allowed: Records, each with messageId and body"
# Reasons that a later delivery may not meet. A defect ends among the dead letters, not unnoticed.
_TRIED_AGAIN = frozenset(
    {
        *PASSING_REASONS,
        Reason.DEADLINE,
        Reason.INTERRUPTED,
        Reason.ACCOUNT_OU_UNKNOWN,
        Reason.CONCURRENT_MODIFICATION,
        Reason.JOURNAL_UNAVAILABLE,
        Reason.INTERNAL_ERROR,
        # Why something could not be read is only in their text: it may have been throttled.
        Reason.PULL_THROUGH_RULES_UNREADABLE,
        Reason.EXEMPTION_UNDECIDED,
    }
)
_warm = WarmState()


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The ids of the messages to deliver again, and why the whole batch has failed, if it has."""

    redeliver: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


def handle_batch(event: object, load: Callable[[], Loaded], seconds: float) -> BatchResult:
    """Handle each event of the batch once; raises ConfigurationError.

    `seconds` are those after which no new work begins.
    """
    messages = _messages(event)
    loaded = load()
    require_bucket(loaded.config)
    session = callers_session()
    regions = regions_of_partition(session)
    role_name = loaded.config.organization.role_name
    hints: dict[str, Hint] = {}
    for message_id, body in messages.items():
        hint = read_hint(_decode(body), role_name, regions.__contains__)
        if isinstance(hint, Hint):
            hints[message_id] = hint
        else:
            _log_ignored(message_id, hint)
    if not hints:
        return BatchResult()
    due = join_hints(hints.values())

    def work(*, stop: Stop, observer: Observer, **_: object) -> EventsRun:
        return run_hints(loaded, due, session=session, warm=_warm, stop=stop, observer=observer)

    handled = run_supervised(loaded.config, work, at_most_seconds=seconds)
    report = handled.report
    again = tuple(name for name, hint in hints.items() if _is_due_again(hint, report))
    _log_end(handled, hints, again)
    return BatchResult(again, _failures(report))


def _messages(event: object) -> Mapping[str, str]:
    """Return the bodies by message id. Raises ConfigurationError for what is no batch of SQS."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    found: dict[str, str] = {}
    for record in records if isinstance(records, list) else ():
        match record:
            case {"messageId": str(name), "body": str(body)} if name:
                found[name] = body
            case _:
                raise ConfigurationError(_NO_BATCH)
    if not found:
        raise ConfigurationError(_NO_BATCH)
    return found


def _decode(body: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _is_due_again(hint: Hint, report: Report) -> bool:
    """Tell whether a later delivery of the event may find what this one could not."""
    passing = [failure for failure in report.failures if failure.reason in _TRIED_AGAIN]
    target = (hint.account_id, hint.region)
    if any(
        (failure.account_id, failure.region) in ((None, None), (hint.account_id, None), target)
        for failure in passing
    ):
        return True
    # Coverage is that of the batch: what lowered it may pass.
    reasons = _TRIED_AGAIN | ({Reason.MIN_COVERAGE} if passing else set())
    return any(
        finding.change is not None
        and finding.change.reason in reasons
        and (finding.account_id, finding.region) == target
        and (finding.repository if finding.resource == "repository" else None) == hint.repository
        for finding in report.findings
    )


def _log_end(handled: EventsRun, hints: Mapping[str, Hint], again: Collection[str]) -> None:
    report = handled.report
    planned = {
        *(account.id for account in report.accounts),
        *(item.account_id for item in report.skipped),
        *(item.account_id for item in report.failures),
    }
    listed = not any(failure.account_id is None for failure in report.failures)
    for message_id, hint in hints.items():
        if message_id in again:
            continue
        if listed and hint.account_id not in planned:
            _log_ignored(message_id, _NOT_HERE, hint)
        elif hint.key in handled.absent:
            _log_ignored(message_id, _GONE, hint)
    logs.log_finished(report, int(exit_status(report)), handled.file)
    logs.log(
        logging.INFO,
        "events.handled",
        hints=len(hints),
        resources=len({hint.key for hint in hints.values()}),
        gone=len(handled.absent),
        again=len(again),
        contested=sum(
            finding.change is not None and finding.change.reason is Reason.CONTESTED
            for finding in report.findings
        ),
    )


def _log_ignored(message_id: str, why: str, hint: Hint | None = None) -> None:
    logs.log(
        logging.INFO,
        "event.ignored",
        message_id=shorten(message_id, 100),
        reason=why,
        account=hint and hint.account_id,
        region=hint and hint.region,
        repository=hint and hint.repository,
    )


def _failures(report: Report) -> tuple[str, ...]:
    """Return why the function must fail: no list of accounts, or a report was not stored."""
    unlisted = tuple(
        f"{failure.reason}: {failure.message}"
        for failure in report.failures
        if failure.account_id is None and failure.reason not in _TRIED_AGAIN
    )
    return unlisted or tuple(
        f"{each.sink}: {each.reason}: {each.message}"
        for each in report.deliveries
        if each.status == "failed"
    )
