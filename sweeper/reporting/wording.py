"""What a report says in words, the same in every format and message for people.

Text that is returned is plain: one line, without anything hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from sweeper.domain.escaping import plain, shorten
from sweeper.domain.model import (
    Change,
    ChangeStatus,
    Compliance,
    Exemption,
    Finding,
    Resource,
    Since,
    Stage,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report import count_findings
from sweeper.domain.report_model import EarlierFinding, FailedItem, Report, Run

# What to do about a failure; a reason that says it itself has no line here.
_ADVICE = {
    Reason.NO_CREDENTIALS: "give this process AWS credentials: a task role, a profile, or SSO",
    Reason.NOT_IN_ORGANIZATION: "run in the management account or a delegated administrator of "
    "an organization, or set organization.enumerate: false",
    Reason.NOT_ALLOWED_TO_LIST: "run in the management account or a delegated administrator, "
    "with organizations:ListAccounts",
    Reason.AWS_CONFIGURATION_INVALID: "correct the AWS settings of this process: profile, region, "
    "endpoint URLs",
    Reason.UNKNOWN_ACCOUNT: "correct the account ids: --account, or those under organization "
    "and remediation",
    Reason.UNKNOWN_OU: "correct the OU ids under organization and remediation",
    Reason.ACCOUNT_STATE_UNKNOWN: "update sweeper: AWS has a state that this version does not know",
    Reason.ACCOUNT_OU_UNKNOWN: "run again",
    Reason.ASSUME_ROLE_DENIED: "the member role is missing there, or its trust policy or "
    "ExternalId does not admit this caller: deploy the StackSet to the account; where the message "
    "names sts:TagSession or sts:SetSourceIdentity, with AllowSessionTags=true",
    Reason.PACKED_POLICY_TOO_LARGE: "pass on fewer or shorter session tags: for EKS Pod Identity, "
    "set disableSessionTags on the association (docs/kubernetes.md)",
    Reason.ACCESS_LOST: "look whether the member role was deleted or changed while the sweep was "
    "running, or the account closed",
    Reason.ACCOUNT_LEFT: "nothing, if it is meant: the account left the organization",
    Reason.ACCOUNT_MOVED: "nothing, if it is meant: the account is outside the scope of "
    "remediation now",
    Reason.STS_REGION_DISABLED: "set organization.sts_region to a region that the account has "
    "enabled",
    Reason.REGIONS_UNREADABLE: "except account:ListRegions from the region-deny SCP; until then "
    "the regions that regions.include names are examined, and coverage.accept can accept that "
    "nobody knows the others",
    Reason.REGION_STATUS_UNKNOWN: "update sweeper: AWS has a region status that this version "
    "does not know",
    Reason.REGION_NOT_ENABLED: "run again, if the account disabled it just now; accept the reason "
    "under coverage.accept where the account's regions cannot be read and it has not this one",
    Reason.DENIED: "let the member role read ECR there, or accept the reason under coverage.accept",
    Reason.DENIED_BY_SCP: "except the member role from the SCP, leave the region out with "
    "regions.exclude, or accept the reason under coverage.accept",
    Reason.DENIED_BY_RCP: "except the member role from the resource control policy",
    Reason.DENIED_BY_PERMISSIONS_BOUNDARY: "let the member role's permissions boundary allow "
    "what its policy allows",
    Reason.DENIED_BY_SESSION_POLICY: "the session policy is sweeper's own: report this as a defect",
    Reason.DENIED_BY_IDENTITY_POLICY: "update the member role's policy: deploy the StackSet again",
    Reason.DENIED_BY_RESOURCE_POLICY: "let the resource's own policy admit the member role",
    Reason.DENIED_BY_VPC_ENDPOINT_POLICY: "let the VPC endpoint's policy admit the member role",
    Reason.THROTTLED: "run again, at another time or with a lower limits.max_workers",
    Reason.TIMED_OUT: "run again; if it stays, look at the network between here and the region",
    Reason.CONNECTION_FAILED: "run again; if it stays, look at the proxy, the DNS and the VPC "
    "endpoints here",
    Reason.ENDPOINT_UNREACHABLE: "run again; if it stays, look at the network between here and "
    "the region, leave the region out with regions.exclude, or accept the reason for it under "
    "coverage.accept",
    Reason.CREDENTIALS_EXPIRED: "run again with credentials that outlast the sweep",
    Reason.SIGNATURE_REFUSED: "correct the secret key of the caller",
    Reason.CLOCK_SKEW: "correct the clock of this machine: AWS allows five minutes",
    Reason.SERVICE_ERROR: "run again; the AWS Health Dashboard tells of a known disturbance",
    Reason.UNEXPECTED_RESPONSE: "something between here and AWS may change the answers: look at "
    "the proxy and the endpoint URLs",
    Reason.INTERNAL_ERROR: "report this as a defect of sweeper, with its message",
    Reason.DEADLINE: "raise limits.deadline_seconds, or sweep fewer accounts at a time; --resume "
    "goes on with the run",
    Reason.INTERRUPTED: "run again, or go on with the run: the same command with --resume",
    Reason.MAX_CHANGES: "raise remediation.max_changes if so many changes are meant",
    Reason.MIN_COVERAGE: "cure the failures, or lower remediation.min_coverage",
    Reason.TOO_MANY_FILTERS: "name fewer remediation.exclusions or policy.allowed_exclusions",
    Reason.LEFT_TO_A_PERSON: "close it by hand once what its error says is settled, or exempt it",
    Reason.PULL_THROUGH_RULES_UNREADABLE: "let the member role call "
    "ecr:DescribePullThroughCacheRules",
    Reason.WRITE_NOT_GRANTED: "let the member role write there (Allow… among its stack's "
    "parameters), or leave the account out with remediation.exclude_accounts",
    Reason.NOT_RECORDED: "let state.directory be written, or set report.s3: nothing is changed "
    "without a record of what it was",
    Reason.FACTS_TOO_OLD: "begin a new sweep",
    Reason.OTHER_ORGANIZATION: "sign in to the organization that the report is of",
    Reason.CHANGED_SINCE_APPLIED: "set it by hand if it is to be as it was",
    Reason.LEASE_HELD: "wait until that sweep has ended; the lease of one that was killed ends by "
    "itself",
    Reason.LEASE_UNAVAILABLE: "let the caller read and write lease.json below report.s3: "
    "s3:GetObject, s3:PutObject, and the use of the KMS key",
    Reason.LEASE_LOST: "run again; if it stays, look for a second sweep of the same place",
    Reason.WRITE_FAILED: "look at the path, its permissions and the space left",
    Reason.EARLIER_REPORT_KEPT: "keep both reports: to revert the run, pass each of them to "
    "sweeper undo",
    Reason.DESTINATION_MISSING: "create the bucket or topic, enable Security Hub, or correct its "
    "name or region under report",
}
# A denial of a write: what is to be allowed is not what was asked for when looking.
_ADVICE_ON_DENIAL = {
    Stage.ASSESS: "let the member role call ecr:DescribeImages there",
    Stage.CHANGE: "let the member role write there (Allow… among its stack's parameters), or leave "
    "the account out with remediation.exclude_accounts",
    Stage.DELIVER: "let the caller write there: s3:PutObject, sns:Publish or "
    "securityhub:BatchImportFindings, and the use of the KMS key",
}

_WITHHELD = {
    Reason.UNKNOWN_ACCOUNT: "an account that is excluded is not in the organization",
    Reason.MAX_CHANGES: "the plan has more changes than remediation.max_changes",
    Reason.MIN_COVERAGE: "less was seen than remediation.min_coverage asks for",
    Reason.TOO_MANY_FILTERS: "more exclusion filters would remain than ECR allows",
    Reason.LEFT_TO_A_PERSON: "it is left to a person",
    Reason.PULL_THROUGH_RULES_UNREADABLE: "the pull-through cache rules could not be read",
    Reason.NOT_CONFIRMED: "not confirmed",
    Reason.WRITE_NOT_GRANTED: "the member role is not granted such changes in this account",
    Reason.NOT_RECORDED: "it could not be put on record before",
    Reason.FACTS_TOO_OLD: "the run began too long ago to act on what it saw",
    Reason.LEASE_UNAVAILABLE: "it could not be made sure that no other sweep is at work",
}
SUPERSEDED = {
    Reason.NOW_COMPLIANT: "it was closed by others meanwhile",
    Reason.REPOSITORY_DELETED: "it was deleted meanwhile",
    Reason.ALREADY_RESTORED: "it is as it was before the run",
    Reason.CHANGED_SINCE_APPLIED: "its setting was changed by others after the run",
    Reason.CHANGED_SINCE_EXAMINED: "its setting was changed by others meanwhile",
    Reason.ACCOUNT_LEFT: "its account left the organization meanwhile",
    Reason.ACCOUNT_MOVED: "its account left the scope of remediation meanwhile",
}


def advice(stage: Stage, reason: Reason) -> str | None:
    """What to do about a failure for this reason in this stage, where there is something."""
    if stage in _ADVICE_ON_DENIAL and (reason.is_denial or reason is Reason.WRITE_NOT_PERMITTED):
        return _ADVICE_ON_DENIAL[stage]
    return _ADVICE.get(reason)


def number(count: int, singular: str, plural: str | None = None) -> str:
    """The count and what is counted: "1 account", "1,204 accounts"."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def percent(share: float) -> str:
    """Never 100 % where something is missing."""
    return f"{min(share * 100, 99.9 if share < 1 else 100):.4g} %"


_KINDS: dict[Resource, str] = {
    "repository": "repository",
    "repository_creation_template": "creation template",
}


class About(Protocol):
    """What is about one thing: a finding, or a change."""

    @property
    def resource(self) -> Resource:
        """What it is."""

    @property
    def repository(self) -> str:
        """Its name."""


def kind(item: About) -> str:
    """What the finding is about, in a word or two."""
    return _KINDS[item.resource]


def named(item: About) -> str:
    """What the finding is about, by name: that of a repository alone, else with what it is."""
    name = plain(item.repository)
    return name if item.resource == "repository" else f"{kind(item)} {name}"


def setting(mutability: str, filters: Sequence[str]) -> str:
    """A mutability with its exclusion filters."""
    return plain(f"{mutability} ({', '.join(filters)})" if filters else mutability)


def account_names(report: Report) -> dict[str, str]:
    """Account id -> name, as far as the report knows it: of accounts that were examined."""
    return {account.id: account.name for account in report.accounts}


def account_tags(report: Report) -> dict[str, str]:
    """Account id -> its tags in words, "owner: payments, cost: 12", of accounts that have some."""
    return {
        account.id: ", ".join(
            f"{shorten(key, 128)}: {shorten(value, 256)}" for key, value in account.tags.items()
        )
        for account in report.accounts
        if account.tags
    }


def tags_unavailable(report: Report) -> str | None:
    """A sentence that says of which accounts no tags could be read, if there are such."""
    why = report.account_tags_unavailable
    return f"The account tags could not be read {shorten(why, 600)}." if why else None


def exemption_text(exemption: Exemption) -> str:
    """Why a repository may stay as it is, until when, and whether that is over."""
    if exemption.source == "pull_through_cache":
        return plain(exemption.reason)
    until = ""
    if exemption.expires:
        until = f"{'expired on' if exemption.expired else 'until'} {exemption.expires}: "
    return plain(f"{until}{exemption.reason} (rule {exemption.rule})")


def outcome(finding: Finding, run: Run) -> str:
    """What was done about the finding, or why nothing was."""
    if finding.change is not None:
        return _change_outcome(finding.change, run)
    match finding.compliance:
        case Compliance.EXEMPT:
            return "left as it is: exempt"
        case Compliance.UNDETERMINED:
            return f"left as it is: {plain(finding.reason)}"
    if run.auto_remediate == "DISABLED":
        return "left as it is: Auto-Remediation is DISABLED"
    return "left as it is: outside the scope of remediation"


def since_last(report: Report) -> str | None:
    """What changed since the last sweep, in figures, or why that is not known."""
    since = report.since_last
    if since is None:
        return None
    if since.unavailable:
        return f"not known: {shorten(since.unavailable, 600)}"
    return plain(
        f"{since.new:,} new, {since.still_open:,} still open, {since.reopened:,} reopened, "
        f"{len(since.resolved):,} resolved, {len(since.not_visible):,} not seen this time"
    )


def known_as(finding: Finding) -> str | None:
    """What the last sweep knew of the finding; None where there was nothing to compare with."""
    if finding.since_last is None:
        return None
    words = finding.since_last.replace("_", " ")
    if finding.since_last is Since.REOPENED:
        return words if finding.reopened == 1 else f"{words} {finding.reopened:,} times by now"
    return f"{words}, reopened before" if finding.reopened else words


def as_last_seen(item: EarlierFinding) -> str:
    """The setting of what is no finding any more, and whether it was left open."""
    state = plain(item.mutability) + ("" if item.was_open else ", closed by then")
    return f"{state}, last seen {plain(item.last_seen)}" if item.last_seen else state


def _change_outcome(change: Change, run: Run) -> str:
    to = setting(change.to_mutability, change.to_exclusion_filters)
    error = f": {shorten(change.error, 600)}" if change.error else ""
    match change.status:
        case ChangeStatus.APPLIED:
            return f"set to {to}"
        case ChangeStatus.PLANNED:
            return f"would be set to {to}" + (" (dry run)" if run.dry_run else "")
        case ChangeStatus.FAILED:
            return f"could NOT be set to {to} ({change.reason}{error})"
        case ChangeStatus.WITHHELD:
            return f"not set to {to}: {_words(_WITHHELD, change.reason)}{error}"
        case ChangeStatus.SUPERSEDED:  # pragma: no branch (the last of them)
            return f"left as it is: {_words(SUPERSEDED, change.reason)}"


def _words(table: dict[Reason, str], reason: Reason | None) -> str:
    return table.get(reason, str(reason)) if reason else "for a reason that was not recorded"


def ended_early(report: Report) -> FailedItem | None:
    """The failure that ended the sweep before it saw an account, if one did."""
    return next(
        (
            failure
            for failure in report.failures
            if failure.stage is Stage.ENUMERATE and failure.account_id is None
        ),
        None,
    )


def scope(report: Report) -> str | None:
    """What was to be examined, and what narrows it: "4 accounts, 1 of 3 regions: regions.include".

    None where that is not known.
    """
    of = report.run.scope
    if of is None:
        return None
    accounts = _part(of.accounts, of.accounts_listed, "account")
    regions = _part(len(of.regions), of.regions_enabled, "region")
    by = f": {', '.join(of.narrowed_by)}" if of.narrowed_by else ""
    return plain(f"{accounts}, {regions}{by}")


def _part(count: int, whole: int, what: str) -> str:
    return number(whole, what) if count == whole else f"{count:,} of {number(whole, what)}"


def unseen(report: Report) -> str:
    """A sentence that says what was not seen, or that all was that was to be."""
    if report.coverage.complete:
        if not report.skipped:
            return "All accounts and regions were checked."
        left_out = skipped_counts(report)
        return f"All accounts and regions in scope were checked; skipped: {left_out}."
    if failure := ended_early(report):
        if failure.reason is Reason.LEASE_HELD:
            return "NOTHING WAS CHECKED: another sweep uses the same S3 prefix."
        return "NOTHING WAS CHECKED: which accounts to sweep could not be determined."
    clauses = list(_gaps(report))
    if not report.totals.targets.examined:
        clauses = clauses or ["no account-region was left to examine"]
        return f"NOTHING WAS CHECKED: {'; '.join(clauses)}."
    return f"COVERAGE IS INCOMPLETE: {'; '.join(clauses)}."


def _gaps(report: Report) -> Iterator[str]:
    totals = report.totals
    chosen = number(totals.accounts.planned - totals.accounts.skipped, "account")
    names = account_names(report)
    partly = sum(item.region is None and item.account_id in names for item in report.failures)
    parts = []
    if failed := totals.accounts.failed - partly:
        parts.append(f"{failed:,} of {chosen}")
    if totals.targets.failed:
        planned = totals.targets.planned - totals.targets.skipped
        parts.append(f"{totals.targets.failed:,} of {number(planned, 'account-region')}")
    if parts:
        yield f"{' and '.join(parts)} could not be checked"
    if partly:
        yield f"of {partly:,} of {chosen} only the named regions were examined, others are unknown"
    if count := totals.repositories.undetermined:
        yield f"{number(count, 'repository', 'repositories')} could not be determined"
    if count := count_findings(report, Compliance.UNDETERMINED):
        yield f"{number(count, 'creation template')} could not be determined"


def seen(report: Report) -> str:
    """A sentence that says how much was seen."""
    totals = report.totals
    return (
        f"Checked: {number(totals.repositories.examined, 'repository', 'repositories')} in "
        f"{number(totals.targets.examined, 'account-region')} of "
        f"{number(len(report.accounts), 'account')}."
    )


def skipped_counts(report: Report) -> str:
    """How many accounts, and regions of others, were skipped on purpose."""
    accounts = sum(item.region is None for item in report.skipped)
    regions = len(report.skipped) - accounts
    counts = ((accounts, "account"), (regions, "account-region"))
    return ", ".join(number(count, what) for count, what in counts if count)


def where(failure: FailedItem, names: dict[str, str]) -> str:
    """The place of a failure: account, its name where it is known, and region."""
    if failure.account_id is None:
        return "the whole sweep"
    name = names.get(failure.account_id)
    account = plain(failure.account_id) + (f" ({shorten(name, 60)})" if name else "")
    if failure.targets:
        return f"{account}, all {number(failure.targets, 'region')}"
    return f"{account} {plain(failure.region)}" if failure.region else account


def explanation(failure: FailedItem, limit: int = 600) -> str:
    """The service's code and message."""
    message = shorten(failure.message, limit)
    return f"{shorten(failure.error_code, 100)}: {message}" if failure.error_code else message
