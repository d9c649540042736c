"""Which accounts and targets to examine, and where to write: pure functions.

First the selection, with the reason for everything that is left out; then the write scope; then
both in figures, for the report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import (
    ACCOUNT_EXCLUDED,
    REGION_EXCLUDED,
    Account,
    ChangeStatus,
    Examined,
    Failed,
    Finding,
    OpenedAccount,
    Skipped,
    Stage,
    Target,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report import AccountOutcome, TargetOutcome
from sweeper.domain.report_model import Scope, WaveSummary, WriteScope

if TYPE_CHECKING:
    from sweeper.config.schema import AcceptedGap, Config, OrganizationConfig, RemediationConfig


_R = TypeVar("_R")

# AWS Organizations, Account.State; the older Status has a subset of the words.
INACTIVE_STATES = {
    "PENDING_ACTIVATION": Reason.ACCOUNT_PENDING_ACTIVATION,
    "SUSPENDED": Reason.ACCOUNT_SUSPENDED,
    "PENDING_CLOSURE": Reason.ACCOUNT_PENDING_CLOSURE,
    "CLOSED": Reason.ACCOUNT_CLOSED,
}


def select_accounts(
    accounts: Sequence[Account], config: Config
) -> tuple[tuple[Account, ...], tuple[tuple[Account, Skipped | Failed], ...]]:
    """Return the accounts to open, and each of the others with why not; both sorted by id.

    Filters of different kinds narrow each other: an account is chosen when it passes all that
    are given. Raises OperationFailed if an included account does not exist, or none is chosen.
    """
    organization, remediation = config.organization, config.remediation
    wanted = (*organization.include_accounts, *remediation.named_accounts)
    if missing := _unknown(accounts, wanted, config):
        raise OperationFailed(
            Reason.UNKNOWN_ACCOUNT,
            f"not in this organization ({len(accounts)} accounts): {missing}",
        )
    chosen: list[Account] = []
    left_out: list[tuple[Account, Skipped | Failed]] = []
    for account in sorted(accounts, key=lambda account: account.id):
        if outcome := why_left_out(account, organization):
            left_out.append((account, outcome))
        else:
            chosen.append(account)
    if not chosen:
        excluded = sum(outcome.reason is Reason.ACCOUNT_EXCLUDED for _, outcome in left_out)
        raise OperationFailed(
            Reason.NO_ACCOUNT_CHOSEN,
            f"no account is left to sweep: of {len(accounts)}, {excluded} are excluded by the "
            f"filters under organization and {len(accounts) - excluded} are not active",
        )
    return tuple(chosen), tuple(left_out)


def why_left_out(account: Account, organization: OrganizationConfig) -> Skipped | Failed | None:
    """Return why an account is not to be opened; None if it is to be opened."""
    if _is_ou_unknown(account, *organization.named_ous):
        message = "the account is in no OU of the tree as it was read: it moved, or just came"
        return Failed(Stage.ENUMERATE, Reason.ACCOUNT_OU_UNKNOWN, message)
    if _are_tags_unknown(account, organization):
        message = "the account was listed, and unknown when Organizations was asked for its tags"
        return Failed(Stage.ENUMERATE, Reason.ACCOUNT_LEFT, message)
    if excluding_filter(account, organization):
        return ACCOUNT_EXCLUDED
    if account.state == "ACTIVE":
        return None
    if account.state in INACTIVE_STATES:
        return Skipped(INACTIVE_STATES[account.state])
    message = f"the account's state {account.state!r} is unknown to this version"
    return Failed(Stage.ENUMERATE, Reason.ACCOUNT_STATE_UNKNOWN, message)


def unknown_exclusions(accounts: Sequence[Account], config: Config) -> str:
    """Return the excluded accounts that do not exist, as text: a mistyped id excludes nothing."""
    excluded = (*config.organization.exclude_accounts, *config.remediation.exclude_accounts)
    return _unknown(accounts, excluded, config)


def _unknown(accounts: Sequence[Account], named: Iterable[str], config: Config) -> str:
    """Return the named ids that are no account's; empty where Organizations is not called."""
    if not config.organization.lists_accounts:
        return ""
    return ", ".join(sorted(set(named) - {account.id for account in accounts}))


def plan_targets(
    opened: Iterable[OpenedAccount], config: Config
) -> tuple[tuple[Target, ...], tuple[tuple[Target, Skipped | Failed], ...]]:
    """Return the targets to examine, in working order, and each of the others with why not.

    Every region that an account has enabled is a target; the filters of the configuration leave
    some out. The order is account by account, and each account begins at another region, so that
    concurrent calls spread over the regions.
    """
    targets: list[Target] = []
    left_out: list[tuple[Target, Skipped | Failed]] = []
    for position, account in enumerate(opened):
        enabled: list[str] = []
        for region, status in sorted(account.regions):
            outcome = _region_outcome(region, status, config)
            if outcome is None:
                enabled.append(region)
            elif outcome != _DISABLED:
                left_out.append((Target(account.account, region), outcome))
        start = position % len(enabled) if enabled else 0
        targets += [
            Target(account.account, region) for region in (*enabled[start:], *enabled[:start])
        ]
    return tuple(targets), tuple(left_out)


# A region that the account did not enable is empty: it is no target.
_DISABLED = Skipped(Reason.REGION_NOT_ENABLED)


def named_regions(config: Config) -> tuple[tuple[str, str], ...]:
    """Return the regions of `regions.include`, for an account whose own could not be read."""
    return tuple((region, "ENABLED") for region in config.regions.include)


def account_outcome(
    opened: OpenedAccount | Failed, account: Account, rules: Sequence[AcceptedGap]
) -> OpenedAccount | Skipped | Failed:
    """Return the one outcome of an account that was to be opened.

    An account whose regions could not be read does not count as opened, though those that are named
    are examined: its other regions are not known.
    """
    unread = opened.unread if isinstance(opened, OpenedAccount) else opened
    return accept_known_gaps(unread or opened, account.id, None, rules)


def _region_outcome(region: str, status: str, config: Config) -> Skipped | Failed | None:
    match status:  # AWS Account Management, RegionOptStatus
        case "DISABLED":
            return _DISABLED
        case _ if not is_region_selected(region, config):
            return REGION_EXCLUDED
        case "ENABLED" | "ENABLED_BY_DEFAULT":
            return None
        case "ENABLING":
            return Skipped(Reason.REGION_ENABLING)
        case "DISABLING":
            return Skipped(Reason.REGION_DISABLING)
        case _:
            message = f"the region's status {status!r} is unknown to this version"
            return Failed(Stage.OPEN_ACCOUNT, Reason.REGION_STATUS_UNKNOWN, message)


def is_region_selected(region: str, config: Config) -> bool:
    """Tell whether the filters under regions choose the region."""
    regions = config.regions
    return region not in regions.exclude and (not regions.include or region in regions.include)


# The reasons of the first calls, before an endpoint is known to be out of reach, are among them.
_UNREACHABLE_REASONS = (
    Reason.ENDPOINT_UNREACHABLE,
    Reason.TIMED_OUT,
    Reason.CONNECTION_FAILED,
)


def accept_known_gaps(
    outcome: _R | Failed, account_id: str, region: str | None, rules: Sequence[AcceptedGap]
) -> _R | Failed | Skipped:
    """Return the outcome, or a skip where `coverage.accept` accepts the failure.

    A rule for particular regions does not accept an account that could not be opened. A rule for an
    unreachable endpoint also accepts calls without an answer.
    """
    if isinstance(outcome, Failed) and any(
        outcome.reason in _accepted_reasons(rule)
        and any(fnmatchcase(account_id, each) for each in rule.account)
        and any(
            each == "*" if region is None else fnmatchcase(region, each) for each in rule.region
        )
        for rule in rules
    ):
        return Skipped(outcome.reason)
    return outcome


def _accepted_reasons(rule: AcceptedGap) -> Sequence[Reason]:
    unreachable = rule.reason is Reason.ENDPOINT_UNREACHABLE
    return _UNREACHABLE_REASONS if unreachable else (rule.reason,)


def excluding_filter(account: Account, organization: OrganizationConfig) -> str | None:
    """Return the key under organization of the first filter that leaves the account out, or None.

    The filters by tag come last: tags are the most expensive to read.
    """
    tags = account.tags or {}
    passed = {
        "include_ous": not organization.include_ous or _is_below(account, organization.include_ous),
        "within_ous": not organization.within_ous or _is_below(account, organization.within_ous),
        "exclude_ous": not _is_below(account, organization.exclude_ous),
        "include_accounts": (
            not organization.include_accounts or account.id in organization.include_accounts
        ),
        "exclude_accounts": account.id not in organization.exclude_accounts,
        "include_tags": all(
            tags.get(key) in values for key, values in organization.include_tags.items()
        ),
        "exclude_tags": not any(
            tags.get(key) in values for key, values in organization.exclude_tags.items()
        ),
    }
    return next((key for key, is_passed in passed.items() if not is_passed), None)


def _are_tags_unknown(account: Account, organization: OrganizationConfig) -> bool:
    """Tell whether the filters need an active account's tags, and these were not read."""
    return (
        bool(organization.include_tags or organization.exclude_tags)
        and account.tags is None
        and account.state not in INACTIVE_STATES
        and excluding_filter(account, organization) in (None, "include_tags", "exclude_tags")
    )


def _is_ou_unknown(account: Account, *named_ous: str) -> bool:
    """Tell whether the filters need an active account's OU, and it is not known."""
    return bool(named_ous) and account.ou_path is None and account.state not in INACTIVE_STATES


def _is_below(account: Account, ous: Collection[str]) -> bool:
    """Tell whether the account is in one of the OUs, or below it."""
    return any(ou in ous for ou in account.ou_path or ())


def in_write_scope(account: Account, remediation: RemediationConfig) -> bool:
    """Tell whether `remediation` permits changes in the account, now or on a later day."""
    return (
        remediation.auto_remediate == "ENABLED"
        and _in_scope(account, remediation.include_ous, remediation.include_accounts)
        and account.id not in remediation.exclude_accounts
        and (not remediation.rollout or opening_day(account, remediation) is not None)
    )


def opening_day(account: Account, remediation: RemediationConfig) -> date | None:
    """Return the first day on which a wave of the rollout has the account; None if none has it."""
    days = (
        wave.start
        for wave in remediation.rollout
        if _in_scope(account, wave.include_ous, wave.include_accounts)
    )
    return min(days, default=None)


def may_write_on(account: Account, remediation: RemediationConfig, today: date) -> bool:
    """Tell whether `remediation` permits changes in the account today."""
    day = opening_day(account, remediation)
    return in_write_scope(account, remediation) and (day is None or day <= today)


def no_longer_writable(account: Account | None, config: Config, today: date) -> Reason | None:
    """Return why nothing may be written any more in an account with planned changes, or None.

    `account` is as it is now, None if it left.
    """
    if account is None:
        return Reason.ACCOUNT_LEFT
    if account.state != "ACTIVE":
        return INACTIVE_STATES.get(account.state, Reason.ACCOUNT_STATE_UNKNOWN)
    organization = config.organization
    if _is_ou_unknown(account, *organization.named_ous, *config.remediation.named_ous):
        return Reason.ACCOUNT_OU_UNKNOWN
    if _are_tags_unknown(account, organization):
        return Reason.ACCOUNT_LEFT
    selected = excluding_filter(account, organization) is None
    if not (selected and may_write_on(account, config.remediation, today)):
        return Reason.ACCOUNT_MOVED
    return None


def _in_scope(
    account: Account, include_ous: Collection[str], include_accounts: Collection[str]
) -> bool:
    return (not include_ous or _is_below(account, include_ous)) and (
        not include_accounts or account.id in include_accounts
    )


_WRITE_FILTERS = ("include_ous", "include_accounts", "exclude_accounts", "rollout")


def scope_of(
    accounts: Sequence[AccountOutcome],
    targets: Iterable[TargetOutcome],
    narrowed_by: tuple[str, ...],
) -> Scope:
    """Return the scope of a sweep with these outcomes."""
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
    """Return where a sweep of these accounts may write, now or on a later day."""
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
            changes[days[target.account.id]] += sum(map(_needs_no_review, outcome.findings))
    return tuple(
        WaveSummary(day, accounts[day], changes[day])
        for day in sorted({wave.start for wave in remediation.rollout})
    )


def _needs_no_review(finding: Finding) -> bool:
    change = finding.change
    return (
        change is not None
        and change.status is not ChangeStatus.SUPERSEDED
        and not (change.reason and change.reason.needs_review)
    )


def write_filters(remediation: RemediationConfig) -> tuple[str, ...]:
    """Return the keys that leave accounts out of the write scope."""
    return tuple(f"remediation.{key}" for key in _WRITE_FILTERS if getattr(remediation, key))
