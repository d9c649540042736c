"""What a report says in words, the same in every format and message for people.

Text that is returned is plain: one line, without anything hidden.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

from sweeper.domain.escaping import plain, shorten
from sweeper.domain.model import (
    REGISTRY,
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
from sweeper.domain.report_model import (
    EarlierFinding,
    FailedItem,
    Report,
    Run,
)

# A denial of a write: what is to be allowed is not what was asked for when looking.
_ADVICE_ON_DENIAL = {
    Stage.ASSESS: "let the member role call ecr:DescribeImages there",
    Stage.CHANGE: "let the member role write there (Allow… among its stack's parameters), or leave "
    "the account out with remediation.exclude_accounts",
    Stage.DELIVER: "let the caller write there",
}


def advice(stage: Stage, reason: Reason, run: Run | None = None) -> str | None:
    """Return what to do about a failure for this reason in this stage, where there is something.

    An undo does not use the keys of a sweep: what names them is no advice there.
    """
    text = reason.advice
    if stage in _ADVICE_ON_DENIAL and (reason.is_denial or reason is Reason.WRITE_NOT_PERMITTED):
        text = _ADVICE_ON_DENIAL[stage]
    if text and run and run.kind == "undo" and any(key in text for key in _KEYS_OF_SWEEPS):
        return None
    return text


_KEYS_OF_SWEEPS = ("coverage.", "regions.", "remediation")


def number(count: int, singular: str, plural: str | None = None) -> str:
    """The count and what is counted: "1 account", "1,204 accounts"."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def percent(share: float) -> str:
    """Never 100 % where something is missing."""
    return f"{min(share * 100, 99.9 if share < 1 else 100):.4g} %"


_KINDS: dict[Resource, str] = {
    "repository": "repository",
    "repository_creation_template": "creation template",
    REGISTRY: "registry default",
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
    return _KINDS.get(item.resource) or plain(item.resource.replace("_", " "))


def named(item: About) -> str:
    """What the finding is about, by name: that of a repository alone, else with what it is."""
    names = {"repository": plain(item.repository), REGISTRY: kind(item)}
    return names.get(item.resource) or f"{kind(item)} {plain(item.repository)}"


def setting(mutability: str, filters: Sequence[str]) -> str:
    """A mutability with its exclusion filters."""
    return plain(f"{mutability} ({', '.join(filters)})" if filters else mutability)


def why(finding: Finding) -> str:
    """Return why an IMMUTABLE_WITH_EXCLUSION is a finding; every other setting says it itself."""
    is_open = finding.compliance in (Compliance.NON_COMPLIANT, Compliance.UNDETERMINED)
    is_unclear = is_open and finding.mutability == "IMMUTABLE_WITH_EXCLUSION"
    return plain(finding.reason) if is_unclear else ""


def account_names(report: Report) -> dict[str, str]:
    """Account id -> name, of the accounts in scope."""
    return {account.id: account.name for account in report.accounts}


def account_details(report: Report) -> dict[str, str]:
    """Account id -> its OU and its tags, "OU: Workloads, owner: payments", where there are some."""
    found = {}
    for account in report.accounts:
        parts = [f"OU: {shorten(account.ou_names, 256)}"] if account.ou_names else []
        parts += (
            f"{shorten(key, 128)}: {shorten(value, 256)}" for key, value in account.tags.items()
        )
        if parts:
            found[account.id] = ", ".join(parts)
    return found


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
    if run.kind == "apply" and finding.compliance is Compliance.NON_COMPLIANT:
        return "left as it is: not among the reviewed changes"
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
        f"{len(since.resolved):,} resolved, {len(since.not_visible):,} not checked this time"
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
    """The setting of what is no finding any more, and whether that sweep fixed it."""
    state = plain(item.mutability) + ("" if item.was_open else ", fixed by then")
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
        case ChangeStatus.WITHHELD if change.due:
            return f"will be set to {to} from {change.due} on: {_meaning(change.reason)}{error}"
        case ChangeStatus.WITHHELD:
            return f"not set to {to}: {_meaning(change.reason)}{error}"
        case ChangeStatus.SUPERSEDED:  # pragma: no branch (the last of them)
            return f"left as it is: {_meaning(change.reason)}"


def _meaning(reason: Reason | None) -> str:
    return reason.meaning if reason else "for a reason that was not recorded"


def ended_early(report: Report) -> FailedItem | None:
    """The failure that ended the sweep before it checked an account, if one did."""
    return next(
        (
            failure
            for failure in report.failures
            if failure.stage is Stage.ENUMERATE and failure.account_id is None
        ),
        None,
    )


def told_findings(report: Report) -> Sequence[Finding]:
    """Return the findings, without those of which only what ended the run early can be said."""
    failure = ended_early(report)
    if failure is None:
        return report.findings
    return [
        finding
        for finding in report.findings
        if finding.change is None
        or (finding.change.status, finding.change.reason) != (ChangeStatus.FAILED, failure.reason)
    ]


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


def remaining(report: Report) -> str:
    """Return how much is left to do."""
    count = report.totals.remaining
    return (
        number(count, "change not reverted", "changes not reverted")
        if (report.run.kind == "undo")
        else number(count, "finding")
    )


def exempt_verdict(report: Report, where: str = "") -> str:
    """Return "No finding remains; 27 exempt repositories are mutable"; empty if no exempt one is.

    It is for a report without open findings in repositories. Others may remain.
    """
    exempt: Counter[Resource] = Counter(
        finding.resource
        for finding in report.findings
        if finding.compliance is Compliance.EXEMPT and finding.mutability != "IMMUTABLE"
    )
    parts = [
        number(exempt[what], f"exempt {one}", f"exempt {many}")
        for what, one, many in _EXEMPT
        if exempt[what]
    ]
    if not parts:
        return ""
    none = "No finding remains"
    if report.totals.remaining:
        none = "No repository is mutable without an exemption"
    verb = "is" if exempt.total() == 1 else "are"
    return f"{none}{where}; {' and '.join(parts)} {verb} mutable"


_EXEMPT: tuple[tuple[Resource, str, str], ...] = (
    ("repository", "repository", "repositories"),
    ("repository_creation_template", "creation template", "creation templates"),
    (REGISTRY, "registry default", "registry defaults"),
)


def coverage_sentence(report: Report) -> str:
    """A sentence that says what was not checked, or that all was that was to be."""
    if report.coverage.complete:
        if report.run.kind == "events":
            return "Everything that the events name was checked, and nothing else."
        if not report.skipped:
            return "All accounts and regions were checked."
        left_out = skipped_counts(report)
        return f"All accounts and regions in scope were checked; skipped: {left_out}."
    if failure := ended_early(report):
        why = "which accounts to sweep could not be determined"
        if failure.reason is Reason.LEASE_HELD:
            why = "another sweep uses the same S3 prefix"
        elif failure.reason is Reason.OTHER_ORGANIZATION:
            why = failure.reason.meaning
        return f"NOTHING WAS CHECKED: {why}."
    clauses = list(_gaps(report))
    if not report.totals.targets.examined:
        clauses = clauses or ["no account-region was left to examine"]
        return f"NOTHING WAS CHECKED: {'; '.join(clauses)}."
    return f"COVERAGE IS INCOMPLETE: {'; '.join(clauses)}."


def _gaps(report: Report) -> Iterator[str]:
    totals = report.totals
    chosen = number(totals.accounts.planned - totals.accounts.skipped, "account")
    examined = {account.id for account in report.accounts if account.regions}
    partly = sum(item.region is None and item.account_id in examined for item in report.failures)
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
    if report.config_inventory and (places := report.config_inventory.not_planned):
        yield f"AWS Config knows of repositories in {number(len(places), 'other account-region')}"


def checked_sentence(report: Report) -> str:
    """A sentence that says how much was checked."""
    totals = report.totals
    where_ = (
        f"{number(totals.targets.examined, 'account-region')} of "
        f"{number(sum(bool(each.regions) for each in report.accounts), 'account')}"
    )
    if report.run.kind == "undo":
        return f"Checked: {where_}."
    repositories = number(totals.repositories.examined, "repository", "repositories")
    return f"Checked: {repositories} in {where_}."


def skipped_counts(report: Report) -> str:
    """How many accounts, and regions of others, were skipped on purpose."""
    accounts = sum(item.region is None for item in report.skipped)
    regions = len(report.skipped) - accounts
    counts = ((accounts, "account"), (regions, "account-region"))
    return ", ".join(number(count, what) for count, what in counts if count)


def where(failure: FailedItem, names: dict[str, str]) -> str:
    """The place of a failure."""
    if failure.account_id is None:
        return "the whole run"
    every = f", all {number(failure.targets, 'region')}" if failure.targets else ""
    return place(failure.account_id, failure.region, names) + every


def place(account_id: str, region: str | None, names: dict[str, str]) -> str:
    """An account, its name where it is known, and the region, if it is about one."""
    name = names.get(account_id)
    account = plain(account_id) + (f" ({shorten(name, 60)})" if name else "")
    return f"{account} {plain(region)}" if region else account


def explanation(failure: FailedItem, limit: int = 600) -> str:
    """The service's code and message."""
    message = shorten(failure.message, limit)
    return f"{shorten(failure.error_code, 100)}: {message}" if failure.error_code else message
