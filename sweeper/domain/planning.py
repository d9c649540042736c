"""What to change, and which of these changes wait: pure functions of findings and configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from sweeper.domain.model import (
    REGISTRY,
    Change,
    ChangeStatus,
    Compliance,
    Examined,
    Failed,
    Finding,
    Key,
    Skipped,
    Target,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Coverage
from sweeper.domain.selection import in_write_scope, opening_day

if TYPE_CHECKING:
    from sweeper.config.schema import Config, RemediationConfig


@dataclass(frozen=True, slots=True)
class Announced:
    """The day on which a report first announced a change, by finding.

    `unavailable` says why an earlier report could not be used; None if it could, or there is none.
    """

    days: Mapping[Key, date] = field(default_factory=dict)
    unavailable: str | None = None


def _withhold_until_due(
    change: Change,
    key: Key,
    opens: date | None,
    *,
    remediation: RemediationConfig,
    today: date,
    announced: Announced,
) -> Change:
    """Return the change, withheld if its day has not come yet.

    It is due when its grace period has passed and its account's wave has begun, on the day `opens`.
    A change that no known report has announced is announced today.
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


def _reason_to_withhold_all(
    count: int,
    remediation: RemediationConfig,
    coverage: Coverage,
    unknown_exclusions: str,
) -> Reason | None:
    """Return why all `count` changes of a plan are withheld; None if they are not."""
    if unknown_exclusions:
        return Reason.UNKNOWN_ACCOUNT
    if count > remediation.max_changes:
        return Reason.MAX_CHANGES
    if min(coverage.accounts, coverage.targets) < remediation.min_coverage:
        return Reason.MIN_COVERAGE
    return None


def acting_day(started: datetime, now: datetime) -> date:
    """Return the day by which a run that began at `started` may write: by both clocks.

    Exemptions end, and waves begin, on a day: the earlier one lets a run write less.
    """
    return min(started, now).date()


Outcome = Examined | Skipped | Failed
Remedy = Callable[[Finding], Change | None]


def plan_changes(
    targets: Sequence[Target],
    outcomes: Sequence[Outcome],
    *,
    config: Config,
    coverage: Coverage,
    unknown_exclusions: str,
    announced: Announced,
    today: date,
    remedies: Mapping[str, Remedy],
) -> list[Outcome]:
    """Return the outcomes with each finding's change: planned, or withheld with a reason.

    `remedies` maps a check's name to its remedy. A change waits until it is due. Above
    `max_changes_per_account` an account's changes are withheld. Above `max_changes`, below
    `min_coverage`, or where an excluded account does not exist, all changes are withheld together.
    """
    remediation = config.remediation

    def timely(target: Target, outcome: Outcome) -> list[Change | None]:
        changes = _due_changes(target, outcome, remediation, remedies)
        if not (remediation.grace_days or remediation.rollout) or not any(changes):
            return changes
        opens = opening_day(target.account, remediation)
        return [
            change
            and _withhold_until_due(
                change,
                finding.key,
                opens,
                remediation=remediation,
                today=today,
                announced=announced,
            )
            for finding, change in zip(findings_of((outcome,)), changes, strict=True)
        ]

    due = [timely(*pair) for pair in zip(targets, outcomes, strict=True)]
    counts = Counter[str]()
    for target, changes in zip(targets, due, strict=True):
        counts[target.account.id] += sum(map(_is_planned, changes))
    most = remediation.max_changes_per_account
    held = {account_id for account_id, count in counts.items() if most is not None and count > most}
    count = counts.total() - sum(counts[account_id] for account_id in held)
    hold = _reason_to_withhold_all(count, remediation, coverage, unknown_exclusions)
    error = unknown_exclusions if hold is Reason.UNKNOWN_ACCOUNT else None

    @cache  # most of thousands of changes are equal
    def withhold(change: Change | None, is_held: bool) -> Change | None:
        reason = hold or (Reason.MAX_CHANGES_PER_ACCOUNT if is_held else None)
        if reason and change and _is_planned(change):
            return replace(change, status=ChangeStatus.WITHHELD, reason=reason, error=error)
        return change

    planned = [
        _with_changes(outcome, (withhold(change, target.account.id in held) for change in changes))
        for target, outcome, changes in zip(targets, outcomes, due, strict=True)
    ]
    return [_with_announcements(outcome, announced, today) for outcome in planned]


def _is_planned(change: Change | None) -> bool:
    return change is not None and change.status is ChangeStatus.PLANNED


def _with_announcements(outcome: Outcome, announced: Announced, today: date) -> Outcome:
    def known(finding: Finding) -> Finding:
        day = announced.days.get(finding.key)
        # A future day is a mistake, or forged: stored again, it would never pass.
        return replace(finding, announced=min(day, today)) if day and finding.change else finding

    return map_findings(outcome, known) if announced.days else outcome


def restore_plan(
    targets: Sequence[Target],
    outcomes: Sequence[Outcome],
    planned: Collection[Key],
    *,
    config: Config,
    remedies: Mapping[str, Remedy],
) -> list[Outcome]:
    """Return the outcomes with those changes that a plan of all targets has: `planned`.

    Each is derived from its finding again. The limits held for that plan: they are not applied.
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

    def edit_finding(finding: Finding) -> Finding:
        change = finding.change
        if change is None or change.status is not ChangeStatus.PLANNED:
            return finding
        return replace(finding, change=edit(finding, change))

    return map_findings(outcome, edit_finding)


def _due_changes(
    target: Target,
    outcome: Outcome,
    remediation: RemediationConfig,
    remedies: Mapping[str, Remedy],
) -> list[Change | None]:
    """Return the change of each finding, before limits and days are applied."""
    writable = in_write_scope(target.account, remediation)
    return [
        # A check may have withheld the change itself, for manual review.
        finding.change or remedies[finding.check](finding)
        if writable
        and _is_switched_on(finding, remediation)
        and finding.compliance is Compliance.NON_COMPLIANT
        else None
        for finding in findings_of((outcome,))
    ]


def _is_switched_on(finding: Finding, remediation: RemediationConfig) -> bool:
    """Tell whether the configuration asks for such changes: creating a template has its own key."""
    if finding.resource == REGISTRY:
        return bool(remediation.root_template_applied_for)
    return finding.check in remediation.checks


def _with_changes(outcome: Outcome, changes: Iterator[Change | None]) -> Outcome:
    def set_change(finding: Finding) -> Finding:
        change = next(changes)  # a copy costs as much as a line of the report
        return finding if change is finding.change else replace(finding, change=change)

    return map_findings(outcome, set_change)


def apply_completed(outcomes: Iterable[Outcome], completed: Mapping[Key, Change]) -> list[Outcome]:
    """Return the outcomes with the changes that an earlier process of the run had completed."""

    def edit(finding: Finding) -> Finding:
        return replace(finding, change=completed.get(finding.key, finding.change))

    return [map_findings(outcome, edit) if completed else outcome for outcome in outcomes]


def map_findings(outcome: Outcome, edit: Callable[[Finding], Finding]) -> Outcome:
    """Return the outcome with each finding as `edit` returns it."""
    if not isinstance(outcome, Examined) or not outcome.findings:
        return outcome
    return replace(outcome, findings=tuple(map(edit, outcome.findings)))


def findings_of(outcomes: Iterable[Outcome]) -> Iterator[Finding]:
    """Yield each finding."""
    for outcome in outcomes:
        if isinstance(outcome, Examined):
            yield from outcome.findings


def changes_of(outcomes: Iterable[Outcome]) -> Iterator[tuple[Finding, Change]]:
    """Yield each finding that has a change."""
    for finding in findings_of(outcomes):
        if finding.change:
            yield finding, finding.change


def planned_findings(outcomes: Iterable[Outcome]) -> Iterator[Finding]:
    """Yield the findings whose change is still planned."""
    return (finding for finding, change in changes_of(outcomes) if _is_planned(change))
