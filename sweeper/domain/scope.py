"""What a sweep was to examine, and where it may write, in figures: pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from sweeper.domain.model import (
    ACCOUNT_EXCLUDED,
    REGION_EXCLUDED,
    Account,
    ChangeStatus,
    Examined,
    Finding,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report import AccountOutcome, TargetOutcome
from sweeper.domain.report_model import Scope, WaveSummary, WriteScope
from sweeper.domain.selection import INACTIVE_STATES
from sweeper.domain.write_scope import in_write_scope, opening_day

if TYPE_CHECKING:
    from sweeper.config.schema import RemediationConfig

_WRITE_FILTERS = ("include_ous", "include_accounts", "exclude_accounts", "rollout")
# A check withheld the change: no day makes it due.
_LEFT_TO_A_PERSON = (
    Reason.TOO_MANY_FILTERS,
    Reason.MANUAL_REVIEW_REQUIRED,
    Reason.PULL_THROUGH_RULES_UNREADABLE,
    Reason.EXEMPTION_UNDECIDED,
)


def scope_of(
    accounts: Sequence[AccountOutcome],
    targets: Iterable[TargetOutcome],
    narrowed_by: tuple[str, ...],
) -> Scope:
    """The scope of a sweep with these outcomes."""
    listed = [outcome for account, outcome in accounts if account.state not in INACTIVE_STATES]
    enabled: set[str] = set()
    chosen: set[str] = set()
    for target, outcome in targets:
        enabled.add(target.region)
        if outcome != REGION_EXCLUDED:
            chosen.add(target.region)
    return Scope(
        accounts=sum(outcome != ACCOUNT_EXCLUDED for outcome in listed),
        accounts_listed=len(listed),
        regions=tuple(sorted(chosen)),
        regions_enabled=len(enabled),
        narrowed_by=narrowed_by,
    )


def write_scope_of(
    accounts: Sequence[AccountOutcome],
    targets: Iterable[TargetOutcome],
    remediation: RemediationConfig,
) -> WriteScope:
    """Where a sweep of these accounts may write, now or on a later day."""
    writable = [
        account
        for account, outcome in accounts
        if account.state == "ACTIVE"
        and outcome != ACCOUNT_EXCLUDED
        and in_write_scope(account, remediation)
    ]
    return WriteScope(
        accounts=len(writable),
        checks=tuple(remediation.checks),
        narrowed_by=write_filters(remediation),
        waves=_waves(writable, targets, remediation) if remediation.rollout else (),
        root_template_applied_for=remediation.root_template_applied_for,
    )


def _waves(
    writable: Iterable[Account],
    targets: Iterable[TargetOutcome],
    remediation: RemediationConfig,
) -> tuple[WaveSummary, ...]:
    days = {account.id: opening_day(account, remediation) for account in writable}
    accounts = Counter(days.values())
    changes = Counter[date | None]()
    for target, outcome in targets:
        if isinstance(outcome, Examined) and target.account.id in days:
            changes[days[target.account.id]] += sum(map(_needs_no_person, outcome.findings))
    return tuple(
        WaveSummary(day, accounts[day], changes[day])
        for day in sorted({wave.start for wave in remediation.rollout})
    )


def _needs_no_person(finding: Finding) -> bool:
    change = finding.change
    return (
        change is not None
        and change.status is not ChangeStatus.SUPERSEDED
        and change.reason not in _LEFT_TO_A_PERSON
    )


def write_filters(remediation: RemediationConfig) -> tuple[str, ...]:
    """The keys that leave accounts out of the write scope."""
    return tuple(f"remediation.{key}" for key in _WRITE_FILTERS if getattr(remediation, key))
