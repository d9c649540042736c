"""What to look at and what to change: pure functions of what was seen and the configuration."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from sweeper.domain.errors import NothingToSweep
from sweeper.domain.model import (
    ACCOUNT_EXCLUDED,
    REGION_EXCLUDED,
    Account,
    Change,
    ChangeStatus,
    Compliance,
    Examined,
    Failed,
    Finding,
    Key,
    OpenedAccount,
    Skipped,
    Stage,
    Target,
)
from sweeper.domain.reasons import UNREACHABLE_REASONS, Reason
from sweeper.domain.report_model import Coverage

if TYPE_CHECKING:
    from sweeper.config.schema import AcceptedGap, Config, OrganizationConfig, RemediationConfig

R = TypeVar("R")
Outcome = Examined | Skipped | Failed
Remedy = Callable[[Finding], Change | None]

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
    """The accounts to open, and each of the others with why not; both sorted by id.

    Filters of different kinds narrow each other: an account is chosen when it passes all that
    are given. Raises NothingToSweep when an included account is not there, or none is chosen.
    """
    organization, remediation = config.organization, config.remediation
    wanted = (*organization.include_accounts, *remediation.include_accounts)
    if missing := _unknown(accounts, wanted, config):
        raise NothingToSweep(
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
        raise NothingToSweep(
            Reason.NO_ACCOUNT_CHOSEN,
            f"no account is left to sweep: of {len(accounts)}, {excluded} are excluded by the "
            f"filters under organization and {len(accounts) - excluded} are not active",
        )
    return tuple(chosen), tuple(left_out)


def why_left_out(account: Account, organization: OrganizationConfig) -> Skipped | Failed | None:
    """Why an account is not to be opened; None where it is."""
    if _has_no_place(account, *organization.named_ous):
        message = "the account is in no OU of the tree as it was read: it moved, or just came"
        return Failed(Stage.ENUMERATE, Reason.ACCOUNT_OU_UNKNOWN, message)
    if _has_no_tags(account, organization):
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
    """Accounts that are excluded but not there, in text: a slip would let another be written."""
    excluded = (*config.organization.exclude_accounts, *config.remediation.exclude_accounts)
    return _unknown(accounts, excluded, config)


def _unknown(accounts: Sequence[Account], named: Iterable[str], config: Config) -> str:
    """The named ids that are no account's; where Organizations is not asked, none is known."""
    if config.organization.role_name is None or not config.organization.enumerate:
        return ""
    return ", ".join(sorted(set(named) - {account.id for account in accounts}))


def plan_targets(
    opened: Iterable[OpenedAccount], config: Config
) -> tuple[tuple[Target, ...], tuple[tuple[Target, Skipped | Failed], ...]]:
    """The targets to examine, in working order, and each of the others with why not.

    Every region that an account has enabled is a target; the filters of the configuration leave
    some out. The order is account by account, each account beginning at another region: so that the
    calls under way at one moment spread over regions, and few connections serve each.
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


# A region that the account did not enable holds nothing: it is no target.
_DISABLED = Skipped(Reason.REGION_NOT_ENABLED)


def named_regions(config: Config) -> tuple[tuple[str, str], ...]:
    """The regions that `regions.include` names, for an account whose own could not be read."""
    return tuple((region, "ENABLED") for region in config.regions.include)


def account_outcome(
    opened: OpenedAccount | Failed, account: Account, rules: Sequence[AcceptedGap]
) -> OpenedAccount | Skipped | Failed:
    """The one outcome of an account that was to be opened.

    Where its regions could not be read it is not opened, though those that are named are examined:
    nobody knows what else it has.
    """
    unread = opened.unread if isinstance(opened, OpenedAccount) else opened
    return accept_known_gaps(unread or opened, account.id, None, rules)


def _region_outcome(region: str, status: str, config: Config) -> Skipped | Failed | None:
    match status:  # AWS Account Management, RegionOptStatus
        case "DISABLED":
            return _DISABLED
        case _ if not _is_region_selected(region, config):
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


def _is_region_selected(region: str, config: Config) -> bool:
    regions = config.regions
    return region not in regions.exclude and (not regions.include or region in regions.include)


def accept_known_gaps(
    outcome: R | Failed, account_id: str, region: str | None, rules: Sequence[AcceptedGap]
) -> R | Failed | Skipped:
    """The outcome, or a skip where `coverage.accept` knows such a failure.

    A rule for particular regions does not accept an account that could not be opened. Where a
    region's endpoint is known to be out of reach, calls without an answer are accepted too.
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
    return UNREACHABLE_REASONS if unreachable else (rule.reason,)


def excluding_filter(account: Account, organization: OrganizationConfig) -> str | None:
    """The key under organization of the first filter that the account does not pass.

    None where it passes all. The filters by tag come last: tags are the dearest to read.
    """
    tags = account.tags or {}
    passed = {
        "include_ous": not organization.include_ous or _below(account, organization.include_ous),
        "within_ous": not organization.within_ous or _below(account, organization.within_ous),
        "exclude_ous": not _below(account, organization.exclude_ous),
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


def _has_no_tags(account: Account, organization: OrganizationConfig) -> bool:
    """Whether it matters which tags an active account has, and nobody knows."""
    return (
        bool(organization.include_tags or organization.exclude_tags)
        and account.tags is None
        and account.state not in INACTIVE_STATES
        and excluding_filter(account, organization) in (None, "include_tags", "exclude_tags")
    )


def in_write_scope(account: Account, remediation: RemediationConfig) -> bool:
    """Whether `remediation` lets anything be written in the account."""
    return remediation.auto_remediate == "ENABLED" and _in_scope(
        account,
        remediation.include_ous,
        remediation.include_accounts,
        remediation.exclude_accounts,
    )


def no_longer_writable(account: Account | None, config: Config) -> Reason | None:
    """Why nothing may be written in an account any more that was planned to be; `account` is as it
    is now, None where it is not there.
    """
    if account is None:
        return Reason.ACCOUNT_LEFT
    if account.state != "ACTIVE":
        return INACTIVE_STATES.get(account.state, Reason.ACCOUNT_STATE_UNKNOWN)
    organization = config.organization
    if _has_no_place(account, *organization.named_ous, *config.remediation.include_ous):
        return Reason.ACCOUNT_OU_UNKNOWN
    if _has_no_tags(account, organization):
        return Reason.ACCOUNT_LEFT
    selected = excluding_filter(account, organization) is None
    if not (selected and in_write_scope(account, config.remediation)):
        return Reason.ACCOUNT_MOVED
    return None


def _has_no_place(account: Account, *named_ous: str) -> bool:
    """Whether it matters which OU an active account is in, and nobody knows."""
    return bool(named_ous) and account.ou_path is None and account.state not in INACTIVE_STATES


def _in_scope(
    account: Account,
    include_ous: Collection[str],
    include_accounts: Collection[str],
    exclude_accounts: Collection[str],
) -> bool:
    return (
        (not include_ous or _below(account, include_ous))
        and (not include_accounts or account.id in include_accounts)
        and account.id not in exclude_accounts
    )


def _below(account: Account, ous: Collection[str]) -> bool:
    return any(ou in ous for ou in account.ou_path or ())


def plan_changes(
    targets: Sequence[Target],
    outcomes: Sequence[Outcome],
    *,
    config: Config,
    coverage: Coverage,
    unknown_exclusions: str,
    remedies: Mapping[str, Remedy],
) -> list[Outcome]:
    """The outcomes, with each finding's change: what would be written, or why it is withheld.

    `remedies` maps a check's name to its remedy. Above `max_changes`, below `min_coverage`, or
    where an excluded account is not known, all changes are withheld together: half a plan is
    nobody's plan.
    """
    due = [
        _due_changes(target, outcome, config.remediation, remedies)
        for target, outcome in zip(targets, outcomes, strict=True)
    ]
    statuses = (change and change.status for change in chain.from_iterable(due))
    count = sum(status is ChangeStatus.PLANNED for status in statuses)
    hold = _held_back(count, config.remediation, coverage, unknown_exclusions)
    error = unknown_exclusions if hold is Reason.UNKNOWN_ACCOUNT else None

    @cache  # of thousands of changes most are alike
    def withhold(change: Change | None) -> Change | None:
        if hold and change and change.status is ChangeStatus.PLANNED:
            return replace(change, status=ChangeStatus.WITHHELD, reason=hold, error=error)
        return change

    return [
        _with_changes(outcome, map(withhold, changes))
        for outcome, changes in zip(outcomes, due, strict=True)
    ]


def restore_plan(
    targets: Sequence[Target],
    outcomes: Sequence[Outcome],
    planned: Collection[Key],
    *,
    config: Config,
    remedies: Mapping[str, Remedy],
) -> list[Outcome]:
    """Return the outcomes with the changes that a plan of all targets has: those `planned`.

    Each is made anew from its finding. Limits held when all was planned, and are not applied again.
    """

    def only(remedy: Remedy) -> Remedy:
        return lambda finding: remedy(finding) if finding.key in planned else None

    remedies = {name: only(remedy) for name, remedy in remedies.items()}
    return [
        _with_changes(outcome, iter(_due_changes(target, outcome, config.remediation, remedies)))
        for target, outcome in zip(targets, outcomes, strict=True)
    ]


def map_changes(outcome: Outcome, edit: Callable[[Finding, Change], Change]) -> Outcome:
    """Return the outcome with each planned change replaced by `edit` of it."""

    def edited(finding: Finding) -> Finding:
        change = finding.change
        if change is None or change.status is not ChangeStatus.PLANNED:
            return finding
        return replace(finding, change=edit(finding, change))

    return outcome.map_findings(edited) if isinstance(outcome, Examined) else outcome


def _due_changes(
    target: Target,
    outcome: Outcome,
    remediation: RemediationConfig,
    remedies: Mapping[str, Remedy],
) -> list[Change | None]:
    """The change of each finding, before it is known whether all are withheld."""
    if not isinstance(outcome, Examined):
        return []
    writable = in_write_scope(target.account, remediation)
    return [
        # A check may have withheld the change itself: it could not tell whether it is due.
        finding.change or remedies[finding.check](finding)
        if writable
        and finding.check in remediation.checks
        and finding.compliance is Compliance.NON_COMPLIANT
        else None
        for finding in outcome.findings
    ]


def _with_changes(outcome: Outcome, changes: Iterator[Change | None]) -> Outcome:
    def planned(finding: Finding) -> Finding:
        change = next(changes)  # a copy costs as much as a line of the report
        return finding if change is finding.change else replace(finding, change=change)

    return outcome.map_findings(planned) if isinstance(outcome, Examined) else outcome


def _held_back(
    count: int,
    remediation: RemediationConfig,
    coverage: Coverage,
    unknown_exclusions: str,
) -> Reason | None:
    if unknown_exclusions:
        return Reason.UNKNOWN_ACCOUNT
    if count > remediation.max_changes:
        return Reason.MAX_CHANGES
    if min(coverage.accounts, coverage.targets) < remediation.min_coverage:
        return Reason.MIN_COVERAGE
    return None


def apply_completed(outcomes: Iterable[Outcome], completed: Mapping[Key, Change]) -> list[Outcome]:
    """Return the outcomes with the changes that an earlier process of the run had completed."""

    def edit(finding: Finding) -> Finding:
        return replace(finding, change=completed.get(finding.key, finding.change))

    return [
        outcome.map_findings(edit) if completed and isinstance(outcome, Examined) else outcome
        for outcome in outcomes
    ]


def planned_findings(
    outcomes: Iterable[Outcome],
) -> Iterable[Finding]:
    """The findings whose change is still planned."""
    for outcome in outcomes:
        if isinstance(outcome, Examined):
            for finding in outcome.findings:
                if finding.change and finding.change.status is ChangeStatus.PLANNED:
                    yield finding
