"""Which changes of a plan wait, and why: pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from sweeper.domain.model import Change, ChangeStatus, Key
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Coverage

if TYPE_CHECKING:
    from sweeper.config.schema import RemediationConfig


@dataclass(frozen=True, slots=True)
class Announced:
    """The day on which a report first named the day of a change, by finding.

    `unavailable` says why an earlier report could not be used; None where it could, or there is
    none.
    """

    days: Mapping[Key, date] = field(default_factory=dict)
    unavailable: str | None = None


def withhold_until_due(
    change: Change,
    key: Key,
    opens: date | None,
    *,
    remediation: RemediationConfig,
    today: date,
    announced: Announced,
) -> Change:
    """Return the change, withheld where its day has not come yet.

    It is due when its grace period has passed and its account is open; `opens` is the day of its
    account's wave. A change that no report is known to have announced is announced today.
    """
    if change.status is not ChangeStatus.PLANNED:
        return change
    # A report cannot have announced it tomorrow, whatever it says.
    notice = min(announced.days.get(key, today), today) + timedelta(days=remediation.grace_days)
    day, reason = max((notice, Reason.IN_GRACE_PERIOD), (opens or today, Reason.IN_LATER_WAVE))
    if day <= today:
        return change
    is_new = reason is Reason.IN_GRACE_PERIOD and key not in announced.days
    error = announced.unavailable if is_new else None
    return replace(change, status=ChangeStatus.WITHHELD, reason=reason, error=error, due=day)


def reason_to_withhold_account(count: int, remediation: RemediationConfig) -> Reason | None:
    """Why all changes of an account with so many of them are withheld; None if they are not."""
    most = remediation.max_changes_per_account
    return Reason.MAX_CHANGES_PER_ACCOUNT if most is not None and count > most else None


def reason_to_withhold_all(
    count: int,
    remediation: RemediationConfig,
    coverage: Coverage,
    unknown_exclusions: str,
) -> Reason | None:
    """Why all changes of a plan with so many of them are withheld; None if they are not."""
    if unknown_exclusions:
        return Reason.UNKNOWN_ACCOUNT
    if count > remediation.max_changes:
        return Reason.MAX_CHANGES
    if min(coverage.accounts, coverage.targets) < remediation.min_coverage:
        return Reason.MIN_COVERAGE
    return None
