"""Where something may be written, and from which day on: pure functions."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from sweeper.domain.model import Account
from sweeper.domain.reasons import Reason
from sweeper.domain.selection import (
    INACTIVE_STATES,
    excluding_filter,
    has_no_place,
    has_no_tags,
    is_below,
)

if TYPE_CHECKING:
    from datetime import date

    from sweeper.config.schema import Config, RemediationConfig


def in_write_scope(account: Account, remediation: RemediationConfig) -> bool:
    """Whether `remediation` lets anything be written in the account, on whatever day."""
    return (
        remediation.auto_remediate == "ENABLED"
        and _in_scope(account, remediation.include_ous, remediation.include_accounts)
        and account.id not in remediation.exclude_accounts
        and (not remediation.rollout or opening_day(account, remediation) is not None)
    )


def opening_day(account: Account, remediation: RemediationConfig) -> date | None:
    """The day on which the rollout opens the account: of its waves the first. None: it has none."""
    days = (
        wave.start
        for wave in remediation.rollout
        if _in_scope(account, wave.include_ous, wave.include_accounts)
    )
    return min(days, default=None)


def may_write_on(account: Account, remediation: RemediationConfig, today: date) -> bool:
    """Whether `remediation` lets anything be written in the account today."""
    day = opening_day(account, remediation)
    return in_write_scope(account, remediation) and (day is None or day <= today)


def no_longer_writable(account: Account | None, config: Config, today: date) -> Reason | None:
    """Why nothing may be written in an account any more that was planned to be; `account` is as it
    is now, None where it is not there.
    """
    if account is None:
        return Reason.ACCOUNT_LEFT
    if account.state != "ACTIVE":
        return INACTIVE_STATES.get(account.state, Reason.ACCOUNT_STATE_UNKNOWN)
    organization = config.organization
    if has_no_place(account, *organization.named_ous, *config.remediation.named_ous):
        return Reason.ACCOUNT_OU_UNKNOWN
    if has_no_tags(account, organization):
        return Reason.ACCOUNT_LEFT
    selected = excluding_filter(account, organization) is None
    if not (selected and may_write_on(account, config.remediation, today)):
        return Reason.ACCOUNT_MOVED
    return None


def _in_scope(
    account: Account, include_ous: Collection[str], include_accounts: Collection[str]
) -> bool:
    return (not include_ous or is_below(account, include_ous)) and (
        not include_accounts or account.id in include_accounts
    )
