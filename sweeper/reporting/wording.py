"""Words for one finding, change or failure, the same in every format and message for people.

Text that is returned is plain: one line, without anything hidden.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

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
from sweeper.domain.report_model import EarlierFinding, FailedItem, Run

# The permissions of these stages differ from those of the stage that reads.
_ADVICE_ON_DENIAL = {
    Stage.ASSESS: "let the member role call ecr:DescribeImages there",
    Stage.CHANGE: "let the member role write there (Allow… among its stack's parameters), or leave "
    "the account out with remediation.exclude_accounts",
    Stage.DELIVER: "let the caller write there",
}


def advice(stage: Stage, reason: Reason, run: Run | None = None) -> str | None:
    """Return what to do about a failure for this reason in this stage, where there is something.

    An undo ignores the configuration of a sweep: advice that names such keys is left out.
    """
    text = reason.advice
    if stage in _ADVICE_ON_DENIAL and (reason.is_denial or reason is Reason.WRITE_NOT_PERMITTED):
        text = _ADVICE_ON_DENIAL[stage]
    if text and run and run.kind == "undo" and any(key in text for key in _SWEEP_KEYS):
        return None
    return text


_SWEEP_KEYS = ("coverage.", "regions.", "remediation")


def number(count: int, singular: str, plural: str | None = None) -> str:
    """Return the count and its noun: "1 account", "1,204 accounts", "2 repositories"."""
    plural = plural or re.sub(r"(?<=[^aeiou])y$", "ie", singular) + "s"
    return f"{count:,} {singular if count == 1 else plural}"


def percent(share: float) -> str:
    """Return the share in percent; never 100 % where something is missing."""
    return f"{min(share * 100, 99.9 if share < 1 else 100):.4g} %"


RESOURCE_KINDS: dict[Resource, str] = {
    "repository": "repository",
    "repository_creation_template": "creation template",
    REGISTRY: "registry default",
}


def resource_kind(item: Finding | EarlierFinding) -> str:
    """Return the kind of the resource in a word or two."""
    return RESOURCE_KINDS.get(item.resource) or plain(item.resource.replace("_", " "))


def resource_name(item: Finding | EarlierFinding) -> str:
    """Return the name of a repository alone, and the kind and name of anything else."""
    names = {"repository": plain(item.repository), REGISTRY: resource_kind(item)}
    return names.get(item.resource) or f"{resource_kind(item)} {plain(item.repository)}"


def setting_words(mutability: str, filters: Sequence[str]) -> str:
    """Return a mutability with its exclusion filters."""
    return plain(f"{mutability} ({', '.join(filters)})" if filters else mutability)


def exclusion_reason(finding: Finding) -> str:
    """Return why an IMMUTABLE_WITH_EXCLUSION is a finding; other settings explain themselves."""
    is_open = finding.compliance in (Compliance.NON_COMPLIANT, Compliance.UNDETERMINED)
    is_unclear = is_open and finding.mutability == "IMMUTABLE_WITH_EXCLUSION"
    return plain(finding.reason) if is_unclear else ""


def exemption_words(exemption: Exemption) -> str:
    """Return the reason of an exemption, and when it ends or ended."""
    if exemption.source == "pull_through_cache":
        return plain(exemption.reason)
    until = ""
    if exemption.expires:
        until = f"{'expired on' if exemption.expired else 'until'} {exemption.expires}: "
    return plain(f"{until}{exemption.reason} (rule {exemption.rule})")


def outcome_words(finding: Finding, run: Run) -> str:
    """Return what was done about the finding, or why nothing was done."""
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


def since_last_state(finding: Finding) -> str | None:
    """Return how the finding compares with the last sweep; None without a comparison."""
    if finding.since_last is None:
        return None
    words = finding.since_last.replace("_", " ")
    if finding.since_last is Since.REOPENED:
        return words if finding.reopened == 1 else f"{words} {finding.reopened:,} times by now"
    return f"{words}, reopened before" if finding.reopened else words


def earlier_state(item: EarlierFinding) -> str:
    """Return the setting that the finding had, and whether that sweep fixed it."""
    state = plain(item.mutability) + ("" if item.was_open else ", fixed by then")
    return f"{state}, last seen {plain(item.last_seen)}" if item.last_seen else state


def _change_outcome(change: Change, run: Run) -> str:
    to = setting_words(change.to_mutability, change.to_exclusion_filters)
    error = f": {shorten(change.error, 600)}" if change.error else ""
    match change.status:
        case ChangeStatus.APPLIED:
            return f"set to {to}"
        case ChangeStatus.PLANNED:
            return f"would be set to {to}" + (" (dry run)" if run.dry_run else "")
        case ChangeStatus.FAILED:
            return f"could NOT be set to {to} ({change.reason}{error})"
        case ChangeStatus.WITHHELD if change.due:
            return (
                f"will be set to {to} from {change.due} on: {_reason_meaning(change.reason)}{error}"
            )
        case ChangeStatus.WITHHELD:
            return f"not set to {to}: {_reason_meaning(change.reason)}{error}"
        case ChangeStatus.SUPERSEDED:  # pragma: no branch (the last of them)
            return f"left as it is: {_reason_meaning(change.reason)}"


def _reason_meaning(reason: Reason | None) -> str:
    return reason.meaning if reason else "for a reason that was not recorded"


def failure_target(failure: FailedItem, names: dict[str, str]) -> str:
    """Return the account and region of a failure."""
    if failure.account_id is None:
        return "the whole run"
    every = f", all {number(failure.targets, 'region')}" if failure.targets else ""
    return target_words(failure.account_id, failure.region, names) + every


def target_words(account_id: str, region: str | None, names: dict[str, str]) -> str:
    """Return the account, with its name if known, and the region if there is one."""
    account = account_words(account_id, names.get(account_id))
    return f"{account} {plain(region)}" if region else account


def account_words(account_id: str, name: str | None, limit: int = 60) -> str:
    """Return the account's id, and at most `limit` characters of its name if that is known."""
    return plain(account_id) + (f" ({shorten(name, limit)})" if name else "")


def explanation(failure: FailedItem, limit: int = 600) -> str:
    """Return the service's error code and message."""
    message = shorten(failure.message, limit)
    return f"{shorten(failure.error_code, 100)}: {message}" if failure.error_code else message
