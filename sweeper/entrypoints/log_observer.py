"""The observer of an unattended run: it logs stages, failures and changes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

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
from sweeper.entrypoints.logs import NAME, FailureLog, log

_FAILED_EVENTS = {
    Stage.OPEN_ACCOUNT: "account.failed",
    Stage.EXAMINE: "target.failed",
    Stage.ASSESS: "target.not_assessed",
    Stage.CHANGE: "target.not_changed",
}


class LogObserver:
    """Logs the stages, and what fails in them, as it happens."""

    def __init__(self) -> None:
        self._failures = FailureLog()

    def begin(self, stage: Stage, total: int) -> None:
        """Log `stage.started`."""
        log(logging.INFO, "stage.started", stage=str(stage), total=total)

    def done(self, stage: Stage, outcomes: Sequence[tuple[Any, Any]]) -> None:
        """Log each failure, that to read an account's regions too, and each change.

        The events are `account.failed`, `target.failed`, `.not_assessed`, `.not_changed`,
        `impact.unavailable`, `change.applied`, `.failed` and `.withheld`; at level debug also
        `account.opened` and `target.examined`; `failures.not_logged` where there are more failures
        than are logged.
        """
        in_detail = logging.getLogger(NAME).isEnabledFor(logging.DEBUG)
        for item, outcome in outcomes:
            failed = outcome.unread if isinstance(outcome, OpenedAccount) else outcome
            if isinstance(failed, Failed):
                # A change's item is its target and what was found there.
                where = item[0] if stage in (Stage.ASSESS, Stage.CHANGE) else item
                account = where.account if isinstance(where, Target) else where
                region = where.region if isinstance(where, Target) else None
                self._failures.add(_FAILED_EVENTS[stage], failed, account.id, region)
            if in_detail:
                _log_done(item, outcome)
            if stage is Stage.ASSESS and isinstance(outcome, Examined):
                _log_unavailable(item[0], outcome)
            if stage is Stage.CHANGE and isinstance(outcome, Examined):
                before = item[1].findings
                for finding in outcome.findings:
                    if finding not in before:  # an earlier process logged its own changes
                        _log_change(finding)


def _log_done(item: Account | Target, outcome: object) -> None:
    """Log `account.opened` or `target.examined`."""
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
    """Log each reason once: a role that may not read images may not in any repository."""
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
    logged = (ChangeStatus.APPLIED, ChangeStatus.FAILED, ChangeStatus.WITHHELD)
    if change is None or change.status not in logged:
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
