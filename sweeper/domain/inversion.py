"""What an undo would write, and what it says in the end: pure functions.

A claim is a finding of a report whose change was applied. Turned around it is a finding whose
setting is what the run wrote, and whose change is back to what the run found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sweeper.domain.model import (
    Account,
    Change,
    ChangeStatus,
    Compliance,
    Examined,
    Failed,
    Finding,
    OpenedAccount,
    Organization,
    Stage,
    Target,
)
from sweeper.domain.planning import INACTIVE_STATES, Outcome
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ExitStatus, enumeration_status
from sweeper.domain.report_model import FailedItem, Run
from sweeper.domain.resume import ResumeState
from sweeper.domain.undo_report import (
    UNDO_SCHEMA_VERSION,
    OriginalRun,
    UndoChange,
    UndoReport,
    UndoRun,
    UndoTotals,
)

if TYPE_CHECKING:
    from sweeper.config.schema import Config

MatchesDesired = Callable[[Finding, Change], bool | None]
# What a write's own re-read says of what differs: here it differs from what the run wrote.
_CHANGED = (Reason.CHANGED_SINCE_EXAMINED, Reason.NOW_COMPLIANT)


def invert(claim: Finding) -> Finding:
    """The claim as what is to be undone; it must have a change."""
    if claim.change is None:
        raise ValueError(f"{claim.key}: nothing was changed")
    return replace(
        claim,
        compliance=Compliance.COMPLIANT,
        mutability=claim.change.to_mutability,
        exclusion_filters=claim.change.to_exclusion_filters,
        reason="set by the run that is undone",
        exemption=None,
        change=Change(ChangeStatus.PLANNED, claim.mutability, claim.exclusion_filters),
        since_last=None,
        reopened=0,
        impact=None,
    )


def select_changes(
    claims: Iterable[Finding], accounts: Collection[str], repositories: Collection[str]
) -> tuple[Finding, ...]:
    """The claims of `accounts` that match one of the globs; what is empty narrows nothing."""
    return tuple(
        claim
        for claim in claims
        if (not accounts or claim.account_id in accounts)
        and (not repositories or any(fnmatchcase(claim.repository, glob) for glob in repositories))
    )


def undo_config(config: Config, claims: Collection[Finding]) -> Config:
    """The configuration of an undo: it may write in the accounts of the claims, and nowhere else.

    Whom a sweep looks at, and where it may write, says nothing about an undo: people turn
    remediation off first. Which accounts there are is still told by Organizations, or by
    `organization.include_accounts` where that is not asked.
    """
    nowhere: dict[str, tuple[str, ...]] = {"include_ous": (), "exclude_accounts": ()}
    organization: dict[str, object] = {
        **nowhere,
        "within_ous": (),
        "exclude_ous": (),
        "include_tags": {},
        "exclude_tags": {},
    }
    if config.organization.enumerate:
        organization["include_accounts"] = ()
    accounts = tuple(sorted({claim.account_id for claim in claims}))
    checks = tuple(sorted({claim.check for claim in claims}))
    remediation = {
        **nowhere,
        "auto_remediate": "ENABLED",
        "checks": checks,
        "include_accounts": accounts,
        "assess_impact": False,
    }
    return config.model_copy(
        update={
            "checks": checks,
            "organization": config.organization.model_copy(update=organization),
            "regions": config.regions.model_copy(update={"include": (), "exclude": ()}),
            "remediation": config.remediation.model_copy(update=remediation),
        }
    )


def organization_mismatch(claimed: Run, organization: Organization) -> Failed | None:
    """Why the report is none of this organization's, if it is another's.

    Where Organizations is not called, what is undone belongs to the caller.
    """
    if organization.id:
        if claimed.organization_id == organization.id:
            return None
        whose = f"organization {claimed.organization_id}; this is {organization.id}"
    else:
        if claimed.account_id == organization.account_id:
            return None
        whose = f"account {claimed.account_id}; this is {organization.account_id}"
    message = f"the report is of another organization: it is of {whose}"
    return Failed(Stage.ENUMERATE, Reason.OTHER_ORGANIZATION, message)


def accounts_to_open(
    claims: Iterable[Finding], organization: Organization, config: Config
) -> tuple[tuple[Account, ...], dict[str, Failed]]:
    """The accounts of the claims to open, and why each of the others cannot be, by its id."""
    there = {account.id: account for account in organization.accounts}
    chosen: list[Account] = []
    others: dict[str, Failed] = {}
    for account_id in sorted({claim.account_id for claim in claims}):
        account = there.get(account_id)
        if account is None:
            others[account_id] = _not_there(config)
        elif account.state == "ACTIVE":
            chosen.append(account)
        else:
            reason = INACTIVE_STATES.get(account.state, Reason.ACCOUNT_STATE_UNKNOWN)
            message = f"the account's state is {account.state!r}"
            others[account_id] = Failed(Stage.ENUMERATE, reason, message)
    return tuple(chosen), others


def _not_there(config: Config) -> Failed:
    if config.organization.role_name is None or not config.organization.enumerate:
        message = "the account is not among those that the configuration names"
        return Failed(Stage.ENUMERATE, Reason.ACCOUNT_EXCLUDED, message)
    message = "the account is no longer among those of the organization"
    return Failed(Stage.ENUMERATE, Reason.ACCOUNT_LEFT, message)


def targets_of(
    turned: Iterable[Finding], opened: Iterable[OpenedAccount]
) -> dict[tuple[str, str], tuple[Target, tuple[Finding, ...]]]:
    """By account id and region: the targets, in accounts that were opened, with what is undone."""
    accounts = {each.account.id: each.account for each in opened}
    found: dict[tuple[str, str], list[Finding]] = {}
    for finding in turned:
        if account := accounts.get(finding.account_id):
            named = replace(finding, account_name=account.name or finding.account_name)
            found.setdefault((account.id, finding.region), []).append(named)
    return {
        place: (Target(accounts[place[0]], place[1]), tuple(findings))
        for place, findings in found.items()
    }


def check_unchanged(finding: Finding, is_made: MatchesDesired) -> Finding:
    """What is to be undone, its change planned only where all still is as the run left it.

    `is_made` reads whether a finding's repository is as a change would make it, and raises
    OperationFailed.
    """
    back = finding.change
    if back is None:
        raise ValueError(f"{finding.key}: there is nothing to put back")
    written = Change(ChangeStatus.APPLIED, finding.mutability, finding.exclusion_filters)
    match is_made(finding, written):
        case True:
            return finding
        case None:
            reason = Reason.REPOSITORY_DELETED
        case False:
            restored = is_made(finding, back)
            reason = Reason.ALREADY_RESTORED if restored else Reason.CHANGED_SINCE_APPLIED
            reason = Reason.REPOSITORY_DELETED if restored is None else reason
    return replace(finding, change=replace(back, status=ChangeStatus.SUPERSEDED, reason=reason))


def aggregate(
    run: UndoRun,
    undoes: OriginalRun,
    turned: Iterable[Finding],
    *,
    accounts: Mapping[str, Failed],
    targets: Sequence[tuple[Target, Outcome]],
    past: ResumeState,
    ended_early: Failed | None = None,
) -> UndoReport:
    """The report: each of `turned` exactly once, as it is in the outcome of its account or target.

    `accounts` are those that could not be opened, `targets` the outcomes in the others;
    `ended_early` is why there are neither. What an earlier process of the undo had made of a change
    stands, whatever became of its account.
    """
    ended = {
        finding.key: finding
        for _, outcome in targets
        if isinstance(outcome, Examined)
        for finding in outcome.findings
    }
    unseen = {target.place: each for target, each in targets if isinstance(each, Failed)}

    otherwise = ended_early or Failed(
        Stage.EXAMINE, Reason.INTERNAL_ERROR, "no outcome was recorded"
    )

    def change_of(finding: Finding) -> Change:
        known = past.completed.get(finding.key)
        if known is None and finding.key in ended:
            known = ended[finding.key].change
        place = finding.account_id, finding.region
        why = accounts.get(finding.account_id) or unseen.get(place) or otherwise
        return known or _unknown(finding, why, past)

    changes = [_described(ended.get(each.key, each), each, change_of(each)) for each in turned]
    failures = [
        *((_item(ended_early, None, None),) if ended_early else ()),
        *(_item(failed, account_id, None) for account_id, failed in accounts.items()),
        *(_item(failed, *place) for place, failed in unseen.items()),
    ]
    return UndoReport(
        UNDO_SCHEMA_VERSION,
        run,
        undoes,
        _totals(changes),
        tuple(sorted(changes, key=lambda item: (item.account_id, item.region, item.repository))),
        tuple(sorted(failures, key=lambda item: (item.account_id or "", item.region or ""))),
    )


def cause(why: Failed | FailedItem) -> str:
    """The error of a change that `why` kept from being looked at."""
    return f"{why.error_code}: {why.message}" if why.error_code else why.message


def _unknown(finding: Finding, why: Failed, past: ResumeState) -> Change:
    """The change of what could not be looked at."""
    error = cause(why)
    if finding.key in past.in_doubt:
        error = f"begun when the undo last ended, it may have taken effect: {error}"
    return Change(
        ChangeStatus.FAILED,
        finding.change.to_mutability if finding.change else "",
        finding.change.to_exclusion_filters if finding.change else (),
        why.reason,
        error,
    )


def _described(named: Finding, finding: Finding, change: Change) -> UndoChange:
    """`named` has the account's name as it is now, `finding` what was to be undone."""
    reason = Reason.CHANGED_SINCE_APPLIED if change.reason in _CHANGED else change.reason
    return UndoChange(
        check=finding.check,
        account_id=finding.account_id,
        account_name=named.account_name,
        region=finding.region,
        repository=finding.repository,
        arn=finding.arn,
        resource=finding.resource,
        from_mutability=finding.mutability,
        from_exclusion_filters=finding.exclusion_filters,
        to_mutability=change.to_mutability,
        to_exclusion_filters=change.to_exclusion_filters,
        status=change.status,
        reason=reason,
        error=change.error,
    )


def _item(failed: Failed, account_id: str | None, region: str | None) -> FailedItem:
    return FailedItem(
        failed.stage, account_id, region, failed.reason, failed.error_code, failed.message
    )


def _totals(changes: Sequence[UndoChange]) -> UndoTotals:
    count = Counter(change.status for change in changes)
    already = sum(change.reason is Reason.ALREADY_RESTORED for change in changes)
    return UndoTotals(
        changes=len(changes),
        planned=count[ChangeStatus.PLANNED],
        restored=count[ChangeStatus.APPLIED],
        already_restored=already,
        left_alone=count[ChangeStatus.SUPERSEDED] - already,
        failed=count[ChangeStatus.FAILED],
        withheld=count[ChangeStatus.WITHHELD],
    )


def cut_short(report: UndoReport) -> bool:
    """Whether the undo was stopped before its end, so that there is something to go on with."""
    reasons: list[Reason | None] = [item.reason for item in report.failures]
    reasons += [item.reason for item in report.changes]
    return any(reason is not None and reason.is_stop for reason in reasons)


def must_be_kept(report: UndoReport) -> bool:
    """Whether the undo put something back, or tried to and failed."""
    told = (ChangeStatus.APPLIED, ChangeStatus.FAILED)
    return not report.run.dry_run and any(change.status in told for change in report.changes)


def exit_status(report: UndoReport) -> ExitStatus:
    """What the report, deliveries included, says to whoever started the undo.

    What is deleted needs no undo, and what a dry run plans would be put back.
    """
    if (status := enumeration_status(report.failures)) is not None:
        return status
    if any(delivery.status == "failed" for delivery in report.deliveries):
        return ExitStatus.NOT_DELIVERED
    if report.failures:
        return ExitStatus.COVERAGE_INCOMPLETE
    done = (ChangeStatus.APPLIED, ChangeStatus.PLANNED)
    fine = (Reason.ALREADY_RESTORED, Reason.REPOSITORY_DELETED)
    if any(change.status not in done and change.reason not in fine for change in report.changes):
        return ExitStatus.FINDINGS_REMAIN
    return ExitStatus.CLEAN
