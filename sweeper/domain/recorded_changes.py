"""The changes that a report recorded, as the changes of another run: pure functions.

`apply` makes what a dry run planned; `undo` reverts what a run applied.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import (
    REGISTRY,
    Account,
    Change,
    ChangeStatus,
    Compliance,
    Examined,
    Failed,
    Finding,
    Key,
    OpenedAccount,
    Organization,
    Skipped,
    Stage,
    Target,
)
from sweeper.domain.mutability import desired_setting, setting_of
from sweeper.domain.planning import Remedy
from sweeper.domain.reasons import Reason
from sweeper.domain.report import remaining_rule
from sweeper.domain.report_model import Report, RunSource
from sweeper.domain.selection import INACTIVE_STATES

if TYPE_CHECKING:
    from sweeper.config.schema import Config
    from sweeper.domain.model import ResumeState
    from sweeper.domain.report import AccountOutcome, TargetOutcome

_MatchesDesired = Callable[[Finding, Change], bool | None]


@dataclass(frozen=True, slots=True)
class RecordedChanges:
    """The changes of one report that another run is to make or to revert.

    `organization_id` and `account_id` are those of the report's run. Each of `findings` has the
    setting that its repository must still have, and its change; see `invert`. Templates for ROOT
    were planned for the features of `root_template_applied_for`.
    """

    kind: Literal["apply", "undo"]
    source: RunSource
    organization_id: str | None
    account_id: str | None
    findings: tuple[Finding, ...]
    root_template_applied_for: tuple[str, ...] = ()

    @property
    def by_key(self) -> dict[Key, Finding]:
        """The findings by their keys."""
        return {finding.key: finding for finding in self.findings}

    @property
    def digest(self) -> str:
        """A digest of the changes; equal changes have equal digests."""
        values = [asdict(finding) for finding in self.findings]
        return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def invert(finding: Finding) -> Finding:
    """Return the finding of an applied change as what reverts it; it must have a change."""
    if finding.change is None:
        raise ValueError(f"{finding.key}: nothing was changed")
    return replace(
        finding,
        compliance=Compliance.COMPLIANT,
        mutability=finding.change.to_mutability,
        exclusion_filters=finding.change.to_exclusion_filters,
        reason="set by the run that is undone",
        exemption=None,
        change=Change(ChangeStatus.PLANNED, finding.mutability, finding.exclusion_filters),
        since_last=None,
        reopened=0,
        impact=None,
    )


def select_findings(
    findings: Iterable[Finding], accounts: Collection[str], repositories: Collection[str]
) -> tuple[Finding, ...]:
    """Return the findings of `accounts` that match a glob; an empty filter excludes nothing."""
    return tuple(
        finding
        for finding in findings
        if (not accounts or finding.account_id in accounts)
        and (
            not repositories or any(fnmatchcase(finding.repository, glob) for glob in repositories)
        )
    )


def reviewed_source(
    report: Report,
    location: str,
    changes: Collection[Finding],
    checks: Collection[str],
    *,
    accounts: Collection[str] = (),
    excluded: Collection[str] = (),
) -> RunSource:
    """Return the report as the source of an apply, with what that does not check again.

    An apply runs its `checks` in the accounts and regions of its `changes`. Findings in accounts
    that it is not to deal with do not count, but the report's coverage counts as a whole.
    """
    if not changes:  # the filters were compared with no account: none may hide a finding
        accounts = excluded = ()
    checked = {(finding.account_id, finding.region) for finding in changes}
    is_remaining, source = remaining_rule(report.run.kind), report.run.source
    remaining = sum(
        is_remaining(finding)
        and not (finding.check in checks and (finding.account_id, finding.region) in checked)
        and (not accounts or finding.account_id in accounts)
        and finding.account_id not in excluded
        for finding in report.findings
    )
    complete = report.coverage.complete
    if source:  # it is the dry run of an apply itself
        remaining += source.remaining or 0
        complete = complete and source.coverage_complete is not False
    return RunSource(report.run.id, report.run.started_at, location, remaining, complete)


def undo_config(config: Config, findings: Collection[Finding]) -> Config:
    """Return the configuration of an undo: it may write in the accounts of the findings only.

    The filters of a sweep do not apply: people turn remediation off before they revert a change.
    Organizations still lists the accounts, or `organization.include_accounts` where
    `organization.enumerate` is off.
    """
    no_filters: dict[str, tuple[str, ...]] = {"include_ous": (), "exclude_accounts": ()}
    organization: dict[str, object] = {
        **no_filters,
        "within_ous": (),
        "exclude_ous": (),
        "include_tags": {},
        "exclude_tags": {},
    }
    if config.organization.enumerate:
        organization["include_accounts"] = ()
    checks = tuple(sorted({finding.check for finding in findings}))
    creates = any(finding.resource == REGISTRY for finding in findings)
    remediation = {
        **no_filters,
        "auto_remediate": "ENABLED",
        "checks": tuple(
            sorted({finding.check for finding in findings if finding.resource != REGISTRY})
        ),
        # For the permission to delete what was created.
        "root_template_applied_for": ("REPLICATION",) if creates else (),
        "include_accounts": tuple(sorted({finding.account_id for finding in findings})),
        "assess_impact": False,
        "rollout": (),
    }
    return config.model_copy(
        update={
            "checks": checks,
            "coverage": config.coverage.model_copy(update={"accept": ()}),
            # An undo reads neither OUs nor tags.
            "exemptions": tuple(
                rule for rule in config.exemptions if not (rule.ous or rule.account_tags)
            ),
            "organization": config.organization.model_copy(update=organization),
            "regions": config.regions.model_copy(update={"include": (), "exclude": ()}),
            "remediation": config.remediation.model_copy(update=remediation),
        }
    )


def refuse_other_organization(recorded: RecordedChanges, organization: Organization) -> None:
    """Raise OperationFailed where the report is of another organization.

    Where Organizations is not called, the caller's account decides.
    """
    if organization.id:
        what, theirs, ours = "organization", recorded.organization_id, organization.id
    else:
        what, theirs, ours = "account", recorded.account_id, organization.account_id
    if theirs != ours:
        message = f"the report is of another organization: it is of {what} {theirs}; this is {ours}"
        raise OperationFailed(Reason.OTHER_ORGANIZATION, message)


def select_recorded_accounts(
    findings: Iterable[Finding], organization: Organization, config: Config
) -> tuple[tuple[Account, ...], tuple[tuple[Account, Failed], ...]]:
    """Return the accounts of the findings to open, and each of the others with why not."""
    listed = {account.id: account for account in organization.accounts}
    names = {finding.account_id: finding.account_name for finding in findings}
    chosen: list[Account] = []
    others: list[tuple[Account, Failed]] = []
    for account_id in sorted(names):
        account = listed.get(account_id)
        if account is None:
            others.append((Account(account_id, names[account_id], ""), _not_listed(config)))
        elif account.state == "ACTIVE":
            chosen.append(account)
        else:
            reason = INACTIVE_STATES.get(account.state, Reason.ACCOUNT_STATE_UNKNOWN)
            message = f"the account's state is {account.state!r}"
            others.append((account, Failed(Stage.ENUMERATE, reason, message)))
    return tuple(chosen), tuple(others)


def _not_listed(config: Config) -> Failed:
    if not config.organization.lists_accounts:
        message = "the account is not among those that the configuration names"
        return Failed(Stage.ENUMERATE, Reason.ACCOUNT_EXCLUDED, message)
    message = "the account is no longer among those of the organization"
    return Failed(Stage.ENUMERATE, Reason.ACCOUNT_LEFT, message)


def recorded_targets(
    findings: Iterable[Finding], opened: Iterable[OpenedAccount]
) -> tuple[Target, ...]:
    """Return the targets of the findings in the accounts that were opened."""
    accounts = {each.account.id: each.account for each in opened}
    targets = dict.fromkeys((finding.account_id, finding.region) for finding in findings)
    return tuple(
        Target(accounts[account_id], region)
        for account_id, region in targets
        if account_id in accounts
    )


def revert_if_unchanged(finding: Finding, matches_desired: _MatchesDesired) -> Finding:
    """Return the finding, its change still planned only where the run's setting still holds.

    `matches_desired` reads whether a finding's repository is as a change would make it, and raises
    OperationFailed.
    """
    back = finding.change
    if back is None:
        raise ValueError(f"{finding.key}: there is nothing to revert to")
    written = Change(ChangeStatus.APPLIED, finding.mutability, finding.exclusion_filters)
    match matches_desired(finding, written):
        case True:
            return finding
        case None:
            reason = Reason.REPOSITORY_DELETED
        case False:
            restored = matches_desired(finding, back)
            reason = Reason.ALREADY_RESTORED if restored else Reason.CHANGED_SINCE_APPLIED
            reason = Reason.REPOSITORY_DELETED if restored is None else reason
    if reason is Reason.ALREADY_RESTORED:
        finding = replace(
            finding, mutability=back.to_mutability, exclusion_filters=back.to_exclusion_filters
        )
    return replace(finding, change=replace(back, status=ChangeStatus.SUPERSEDED, reason=reason))


def without_finding(finding: Finding, exists: bool | None) -> Finding:
    """Return a reviewed finding whose repository is no finding now; `exists` is None if deleted."""
    reason = Reason.REPOSITORY_DELETED if exists is None else Reason.NOW_COMPLIANT
    return replace(
        finding, compliance=Compliance.COMPLIANT, reason=reason, change=None, impact=None
    )


def reviewed_remedies(
    reviewed: Mapping[Key, Finding], remedies: Mapping[str, Remedy]
) -> dict[str, Remedy]:
    """Return the remedies, narrowed to the reviewed changes that still hold.

    A finding that was not reviewed gets no change. A change that differs from the reviewed one is
    superseded.
    """

    def narrow(remedy: Remedy) -> Remedy:
        def remedy_if_reviewed(finding: Finding) -> Change | None:
            before = reviewed.get(finding.key)
            change = remedy(finding) if before else None
            if before is None or before.change is None or change is None:
                return None
            reviewed_change = before.resource, setting_of(before), desired_setting(before.change)
            if reviewed_change == (finding.resource, setting_of(finding), desired_setting(change)):
                return change
            reason = Reason.CHANGED_SINCE_REVIEWED
            return replace(before.change, status=ChangeStatus.SUPERSEDED, reason=reason)

        return remedy_if_reviewed

    return {name: narrow(remedy) for name, remedy in remedies.items()}


def supersede_unplanned(reviewed: Mapping[Key, Finding], finding: Finding) -> Finding:
    """Return the finding; a reviewed change that is not planned now is superseded, and says why."""
    before = reviewed.get(finding.key)
    if before is None or before.change is None:
        # What its check withheld is part of no plan, either.
        return replace(finding, change=None)
    if finding.change is not None:
        return finding
    match finding.compliance:
        case Compliance.COMPLIANT:
            deleted = finding.reason == Reason.REPOSITORY_DELETED  # see `without_finding`
            reason = Reason.REPOSITORY_DELETED if deleted else Reason.NOW_COMPLIANT
        case Compliance.EXEMPT:
            reason = Reason.NOW_EXEMPT
        case Compliance.UNDETERMINED:
            reason = Reason.CHANGED_SINCE_REVIEWED
        case Compliance.NON_COMPLIANT:
            reason = Reason.OUTSIDE_WRITE_SCOPE
    change = replace(before.change, status=ChangeStatus.SUPERSEDED, reason=reason)
    return replace(finding, change=change)


def unreached_findings(
    findings: Iterable[Finding],
    accounts: Iterable[AccountOutcome],
    targets: Iterable[TargetOutcome],
    past: ResumeState,
) -> Iterator[Finding]:
    """Yield each finding whose account or region was not examined, with what ended its change.

    What an earlier process of the run completed stays as it was recorded.
    """
    found: set[Key] = set()
    causes: dict[str | tuple[str, str], Skipped | Failed] = {
        account.id: outcome
        for account, outcome in accounts
        if not isinstance(outcome, OpenedAccount)
    }
    for target, outcome in targets:
        if isinstance(outcome, Examined):
            found.update(finding.key for finding in outcome.findings)
        else:
            causes[target.key] = outcome
    not_enabled = Failed(Stage.EXAMINE, Reason.REGION_NOT_ENABLED, "the region is not enabled now")
    for finding in findings:
        if finding.key not in found:
            target_key = finding.account_id, finding.region
            cause = causes.get(finding.account_id) or causes.get(target_key) or not_enabled
            yield end_change(finding, cause, past)


def end_change(finding: Finding, cause: Skipped | Failed, past: ResumeState) -> Finding:
    """Return the finding with its change failed, or superseded where its target was left out."""
    if finding.change is None:
        raise ValueError(f"{finding.key}: there is no change")
    if known := past.completed.get(finding.key):
        return replace(finding, change=known)
    change = replace(finding.change, status=ChangeStatus.SUPERSEDED, reason=cause.reason)
    if isinstance(cause, Failed):
        error = cause.error
        if in_doubt := finding.key in past.in_doubt:
            error = f"begun when the run last ended, it may have taken effect: {error}"
        change = replace(change, status=ChangeStatus.FAILED, error=error, uncertain=in_doubt)
    return replace(finding, change=change)
