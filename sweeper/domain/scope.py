"""What a sweep was to examine, and where it may write, in figures: pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sweeper.domain.model import ACCOUNT_EXCLUDED, REGION_EXCLUDED
from sweeper.domain.planning import INACTIVE_STATES, in_write_scope
from sweeper.domain.report import AccountOutcome, TargetOutcome
from sweeper.domain.report_model import Scope, WriteScope

if TYPE_CHECKING:
    from sweeper.config.schema import RemediationConfig

_WRITE_FILTERS = ("include_ous", "include_accounts", "exclude_accounts")


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
    accounts: Sequence[AccountOutcome], remediation: RemediationConfig
) -> WriteScope:
    """Where a sweep of these accounts may write."""
    writable = sum(
        account.state == "ACTIVE"
        and outcome != ACCOUNT_EXCLUDED
        and in_write_scope(account, remediation)
        for account, outcome in accounts
    )
    return WriteScope(
        accounts=writable,
        checks=tuple(remediation.checks),
        narrowed_by=write_filters(remediation),
    )


def write_filters(remediation: RemediationConfig) -> tuple[str, ...]:
    """The keys that leave accounts out of the write scope."""
    return tuple(f"remediation.{key}" for key in _WRITE_FILTERS if getattr(remediation, key))
