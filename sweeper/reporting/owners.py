"""What one owner of accounts needs to know of a sweep: the message to a team, pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeper.domain.escaping import plain, shorten
from sweeper.domain.model import ChangeStatus, Finding, Since
from sweeper.domain.report import remaining_rule
from sweeper.domain.report_model import Delivery, FailedItem, Report
from sweeper.reporting.notification import LIMIT, entries, listed, size, whereabouts
from sweeper.reporting.notification_json import by_protocol, fitted
from sweeper.reporting.wording import account_names, explanation, number, tags_unavailable, where

if TYPE_CHECKING:
    from sweeper.config.schema import Notify

UNOWNED = "unowned"  # of accounts without the tag
MAX_OWNERS = 100  # that are notified by one run
_LONGEST = 256  # characters of an owner: Organizations' limit of a tag's value
_NAMED_FAILURES = 20
_LARGEST_EVENT = 24_000
_MESSAGE_LIMIT = 160


@dataclass(frozen=True, slots=True)
class Owned:
    """The findings and the failures in the accounts of one owner, the most urgent first."""

    owner: str
    accounts: int
    findings: Sequence[Finding]
    failures: Sequence[FailedItem]
    remaining: int


def owners(report: Report, tag: str, notify: Notify) -> list[Owned]:
    """Return the owners who need to know something, those with the most open findings first."""
    of = {each.id: shorten(each.tags.get(tag) or UNOWNED, _LONGEST) for each in report.accounts}
    findings: dict[str, list[Finding]] = {}
    for finding in listed(report):
        findings.setdefault(of.get(finding.account_id, UNOWNED), []).append(finding)
    failures: dict[str, list[FailedItem]] = {}
    for failure in report.failures:
        if failure.account_id:
            failures.setdefault(of.get(failure.account_id, UNOWNED), []).append(failure)
    resolved = {
        of.get(item.account_id, UNOWNED)
        for item in (report.since_last.resolved if report.since_last else ())
        if item.was_open
    }
    remains = remaining_rule(report.run.kind)
    made = []
    for owner in sorted(findings.keys() | failures.keys()):
        of_owner, unchecked = findings.get(owner, []), failures.get(owner, [])
        is_news = owner in resolved or any(map(_is_new, of_owner)) or _are_new(report, unchecked)
        if notify != "on_change" or is_news:
            ids = {item.account_id for item in of_owner}
            ids |= {item.account_id for item in unchecked if item.account_id}
            left = sum(map(remains, of_owner))
            made.append(Owned(owner, len(ids), of_owner, unchecked, left))
    return sorted(made, key=lambda each: (-each.remaining, -len(each.findings), each.owner))


def _is_new(finding: Finding) -> bool:
    """Whether the sweep before did not have it, or something was done about it."""
    status = finding.change.status if finding.change else None
    done = status in (ChangeStatus.APPLIED, ChangeStatus.FAILED)
    return done or finding.since_last is not Since.STILL_OPEN


def _are_new(report: Report, failures: Sequence[FailedItem]) -> bool:
    since = report.since_last
    return bool(failures) and (since is None or since.coverage_changed is not False)


def owner_subject(owned: Owned, report: Report) -> str:
    """Return the subject: ASCII, and under 100 characters, as SNS asks for."""
    name = shorten(owned.owner, 40) if owned.owner.isascii() else ""
    dry_run = " (dry run)" if report.run.dry_run else ""
    of = f" of {name}" if name else ""
    return f"sweeper{dry_run}: {number(owned.remaining, 'finding')} in accounts{of}"


def owner_message(owned: Owned, tag: str, report: Report, so_far: Sequence[Delivery]) -> str:
    """Return what Publish takes with ``MessageStructure: json``: text for people, JSON else."""
    head: dict[str, Any] = {
        "schema_version": report.schema_version,
        "run": report.run,
        "owner_tag": tag,
        "owner": owned.owner,
        "remaining": owned.remaining,
        "failures": owned.failures[:_NAMED_FAILURES],
        "failures_left_out": max(0, len(owned.failures) - _NAMED_FAILURES),
    }
    one = fitted(head, owned.findings, _LARGEST_EVENT)
    return by_protocol(one, lambda limit: _text(owned, tag, report, so_far, limit), LIMIT)


def owner_attributes(owned: Owned, report: Report) -> dict[str, dict[str, str]]:
    """Return what a subscription's filter policy may ask for."""
    return {
        "owner": {"DataType": "String", "StringValue": owned.owner},
        "remaining": {"DataType": "Number", "StringValue": str(owned.remaining)},
        "run_id": {"DataType": "String", "StringValue": report.run.id},
    }


def _text(owned: Owned, tag: str, report: Report, so_far: Sequence[Delivery], limit: int) -> str:
    head = "\n".join(_opening(owned, tag, report)) + "\n"
    tail = "\n" + "\n".join(_closing(owned, report, so_far)) + "\n"
    return head + entries(owned.findings, report, limit - size(head) - size(tail)) + tail


def _opening(owned: Owned, tag: str, report: Report) -> Iterator[str]:
    whose = f'with {plain(tag)} "{plain(owned.owner)}"'
    if owned.owner == UNOWNED:
        whose = f"without the tag {plain(tag)}"
    yield (
        f"ECR image tag mutability in {number(owned.accounts, 'account')} {whose}: "
        f"{number(owned.remaining, 'finding')} open."
    )
    if report.run.dry_run:
        yield "This was a dry run: nothing was changed."
    if sentence := tags_unavailable(report):
        yield sentence
    yield ""


def _closing(owned: Owned, report: Report, so_far: Sequence[Delivery]) -> Iterator[str]:
    names = account_names(report)
    if owned.failures:
        yield f"Could not be checked: {len(owned.failures):,}"
    for item in owned.failures[:_NAMED_FAILURES]:
        yield f"- {where(item, names)}: {item.reason}, {explanation(item, _MESSAGE_LIMIT)}"
    if len(owned.failures) > _NAMED_FAILURES:
        yield f"  … and {len(owned.failures) - _NAMED_FAILURES:,} more"
    yield ""
    yield from whereabouts(so_far)
    yield plain(f"{report.run.kind.capitalize()} {report.run.id}, sweeper {report.run.version}")
