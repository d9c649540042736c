"""The message to people: its subject and its text, pure.

The shape is that of the single-account tool before this one: a sentence, a numbered list of
repositories, and whether Auto-Remediation is on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from sweeper.domain.comparison import is_changed
from sweeper.domain.escaping import plain, shorten
from sweeper.domain.model import REGISTRY, ChangeStatus, Compliance, Finding, Resource
from sweeper.domain.reasons import Reason
from sweeper.domain.report import (
    count_applied,
    count_findings,
    count_non_compliant,
    may_have_changed,
    remaining_rule,
)
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.console import console_url
from sweeper.reporting.run_wording import run_words, undo_words
from sweeper.reporting.schedule_wording import due_changes, waves
from sweeper.reporting.wording import (
    account_details,
    account_names,
    advice,
    as_last_seen,
    checked_sentence,
    coverage_sentence,
    ended_early,
    exempt_verdict,
    exemption_text,
    explanation,
    kind,
    known_as,
    named,
    number,
    outcome,
    scope,
    setting,
    since_last,
    skipped_counts,
    tags_unavailable,
    told_findings,
    where,
)

if TYPE_CHECKING:
    from sweeper.config.schema import Notify

# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html: 256 KiB for all of it; what is
# left is for the envelope that a subscriber gets. The subject: under 100 ASCII characters.
LIMIT = 250_000
_SUBJECT_LIMIT = 99
UNCHANGED = "nothing changed since the last sweep (report.notify: on_change)"
_NAMED_FAILURES = 2  # of each reason; the others are counted
_NAMED_EARLIER = 10  # resolved, and not checked; the others are counted
_MESSAGE_LIMIT = 160  # characters of a service's message
_TEMPLATE: Resource = "repository_creation_template"


def subject(report: Report) -> str:
    """Return the result on one line, the most important clause first; the last ones may not fit."""
    name = "sweeper" if report.run.kind == "sweep" else f"sweeper {report.run.kind}"
    name += " (dry run)" if report.run.dry_run else ""
    first, *others = _clauses(report)
    text = f"{name}: {first}"
    for clause in others:
        if len(text) + len(clause) + 2 > _SUBJECT_LIMIT:
            break
        text += f", {clause}"
    return text


def _clauses(report: Report) -> list[str]:
    """Return what the subject says, the most important first; there is at least one."""
    changes, since, undo = report.totals.changes, report.since_last, report.run.kind == "undo"
    failure = ended_early(report)
    contested = sum(
        item.change is not None and item.change.reason is Reason.CONTESTED
        for item in report.findings
    )
    mutable = count_non_compliant(report)
    templates = count_non_compliant(report, _TEMPLATE)
    registries = count_non_compliant(report, REGISTRY)
    others = count_non_compliant(report, None) - mutable - templates - registries
    left = report.totals.remaining if undo else 0
    clauses = (
        (failure, f"{report.run.kind} ended early ({failure.reason if failure else ''})"),
        (mutable, number(mutable, "mutable repository", "mutable repositories")),
        (templates, number(templates, "mutable creation template")),
        (registries, number(registries, "mutable registry default")),
        (others, number(others, "other finding")),
        (left, f"{left:,} not reverted"),
        (changes.failed, f"{number(changes.failed, 'change')} failed"),
        (contested, f"{contested:,} contested"),
        (not report.coverage.complete, _gap(report)),
        (changes.applied, f"{changes.applied:,} {'reverted' if undo else 'fixed'}"),
        (since and since.reopened, f"{since.reopened if since else 0:,} reopened"),
    )
    where_ = " in scope" if report.skipped else ""
    nothing = exempt_verdict(report, where_) or f"No mutable repository{where_}"
    said = [text for applies, text in clauses if applies]
    if undo:
        return said or ["nothing reverted"]
    return said or (nothing[0].lower() + nothing[1:]).split("; ")


def _gap(report: Report) -> str:
    return "coverage incomplete" if report.totals.targets.examined else "nothing was checked"


def needed(report: Report, notify: Notify) -> bool:
    """Whether people are to be told: of what remains, was changed, failed or was not checked.

    With `on_change`, only of what the sweep before did not have. What could not be checked because
    of an event, the next sweep tells.
    """
    if report.run.kind == "events":
        return bool(report.totals.remaining or may_have_changed(report))
    if notify == "on_change":
        return is_changed(report)
    changes = report.totals.changes
    return bool(
        notify == "always"
        or report.totals.remaining
        or changes.applied
        or changes.failed
        or not report.coverage.complete
    )


def message(report: Report, so_far: Sequence[Delivery], limit: int = LIMIT) -> str:
    """The text, at most `limit` by `size`; it says how many findings it leaves out."""
    head = "\n".join(_opening(report)) + "\n"
    tail = "\n" + "\n".join(_closing(report, so_far)) + "\n"
    return head + entries(listed(report), report, limit - size(head) - size(tail)) + tail


def entries(findings: Sequence[Finding], report: Report, limit: int) -> str:
    """The findings as a numbered list of at most `limit` by `size`, and how many are left out."""
    left = limit - size(_left_out(len(findings)))
    made = list(_entries(findings, report, left, linked=True))
    if len(made) < len(findings):  # a finding is worth more than an address
        made = list(_entries(findings, report, left, linked=False))
    more = _left_out(len(findings) - len(made)) if len(made) < len(findings) else ""
    return "".join(made) + more


def _entries(
    findings: Sequence[Finding], report: Report, left: int, *, linked: bool
) -> Iterator[str]:
    """The entries of the findings, until `left` is used."""
    details = account_details(report)
    for position, finding in enumerate(findings, 1):
        entry = _entry(position, finding, report, details.get(finding.account_id))
        if linked and (address := console_url(finding, report.run.partition)):
            entry += f"   {address}\n"
        left -= size(entry)
        if left < 0:
            return
        yield entry


def size(text: str) -> int:
    """The bytes that the text takes in a JSON string in UTF-8."""
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


def _opening(report: Report) -> Iterator[str]:
    changes = report.totals.changes
    if source := run_words(report.run):
        yield f"{source}."
    if words := scope(report):
        yield f"Scope: {words}."
    if report.run.kind == "undo":
        yield f"Changes: {undo_words(report)}."
    else:
        yield from verdict(report)
    if report.run.dry_run:
        yield "This was a dry run: nothing was changed."
    if changes.failed:
        yield f"{number(changes.failed, 'change')} FAILED: they come first, each with its cause."
    if changes.withheld:
        yield f"{number(changes.withheld, 'change')} not made: each has its reason."
    yield from _schedule(report)
    if not report.coverage.complete:
        yield coverage_sentence(report)
    if words := since_last(report):
        yield f"Since the last sweep: {words}."
    yield ""


def _schedule(report: Report) -> Iterator[str]:
    if words := due_changes(report):
        yield f"{words}."
    for day, state, accounts, changes in waves(report):
        yield f"Wave of {day} ({state}): {accounts}, {changes}."


def verdict(report: Report) -> Iterator[str]:
    """Yield what was found, and what was done about it, a sentence each."""
    repositories = report.totals.repositories
    place = report.run.organization_id or report.run.account_id
    of = f" of {plain(place)}" if place else ""
    where_ = " in this scope" if report.skipped else ""
    if report.run.kind == "events":
        where_ = " among what the events name"
    if repositories.non_compliant:
        found = number(repositories.non_compliant, "ECR repository", "ECR repositories")
        yield (
            f"Image tags could be overwritten in {found}{of}: {count_applied(report):,} made "
            f"immutable by this run, {count_non_compliant(report):,} still mutable."
        )
    elif verdict := exempt_verdict(report, f"{of}{where_}"):
        yield f"{verdict}."
    elif repositories.examined:
        yield f"No ECR repository{of} was found{where_} whose image tags can be overwritten."
    else:
        yield f"No ECR repository{of} was found."
    if count := count_findings(report, Compliance.NON_COMPLIANT):
        yield (
            f"{number(count, 'creation template makes', 'creation templates make')} repositories "
            f"whose image tags can be overwritten: {count_applied(report, _TEMPLATE):,} made "
            f"immutable by this run, {count_non_compliant(report, _TEMPLATE):,} still mutable."
        )

    if count := count_findings(report, Compliance.NON_COMPLIANT, REGISTRY):
        yield (
            f"{number(count, 'registry has', 'registries have')} no creation template for ROOT, so "
            f"that new repositories may be mutable: {count_applied(report, REGISTRY):,} got one by "
            f"this run, {count_non_compliant(report, REGISTRY):,} still without one."
        )


def listed(report: Report) -> list[Finding]:
    """Failed changes, then what else remains, then what was dealt with; exempt ones are not."""
    findings = [item for item in told_findings(report) if item.compliance is not Compliance.EXEMPT]
    remains = remaining_rule(report.run.kind)
    return sorted(findings, key=lambda finding: _urgency(finding, remains))


def _urgency(finding: Finding, remains: Callable[[Finding], bool]) -> int:
    if finding.change and finding.change.status is ChangeStatus.FAILED:
        return 0
    return 1 if remains(finding) else 2


def _entry(position: int, finding: Finding, report: Report, details: str | None) -> str:
    name = shorten(finding.account_name, 60)
    account = plain(finding.account_id) + (f" ({name})" if name else "")
    current = setting(finding.mutability, finding.exclusion_filters)
    state = ", ".join(filter(None, (current, known_as(finding))))
    exemption = exemption_text(finding.exemption) if finding.exemption else ""
    return (
        f"{position}. {kind(finding).capitalize()}: "
        f"{shorten(finding.repository, _MESSAGE_LIMIT)}\n"
        f"   Account: {account}, region: {plain(finding.region)}\n"
        + (f"   {details}\n" if details else "")
        + f"   {state}: {outcome(finding, report.run)}\n"
        + (f"   Its exemption {exemption}\n" if exemption else "")
    )


def _left_out(count: int) -> str:
    return (
        f"… and {number(count, 'more finding')} for which this message has no room: see the full "
        "report.\n"
    )


def _closing(report: Report, so_far: Sequence[Delivery]) -> Iterator[str]:
    yield f"Auto-Remediation: {report.run.auto_remediate}"
    if exempt := report.totals.repositories.exempt:
        yield f"Exempt, and not listed: {number(exempt, 'repository', 'repositories')}"
    if exempt := count_findings(report, Compliance.EXEMPT):
        yield f"Exempt, and not listed: {number(exempt, 'creation template')}"
    if exempt := count_findings(report, Compliance.EXEMPT, REGISTRY):
        yield f"Exempt, and not listed: {number(exempt, 'registry default')}"
    if sentence := tags_unavailable(report):
        yield sentence
    yield ""
    yield from _coverage(report)
    yield from _earlier(report)
    yield ""
    yield from whereabouts(so_far)
    run = report.run
    times = f"{run.started_at} to {run.finished_at}"
    yield plain(f"{run.kind.capitalize()} {run.id}, {times}, sweeper {run.version}")


def _coverage(report: Report) -> Iterator[str]:
    state = "complete" if report.coverage.complete else "INCOMPLETE"
    yield f"Coverage: {state}. {checked_sentence(report)}"
    # There may be some for every reason: a short name leaves room for the findings.
    names = {key: shorten(name, 20) for key, name in account_names(report).items()}
    failures = sorted(report.failures, key=lambda failure: failure.reason)
    for reason, group in groupby(failures, key=lambda failure: failure.reason):
        items = list(group)
        yield f"- {reason}: {len(items):,}"
        for item in items[:_NAMED_FAILURES]:
            yield f"    {where(item, names)}: {explanation(item, _MESSAGE_LIMIT)}"
        if len(items) > _NAMED_FAILURES:
            yield f"    … and {len(items) - _NAMED_FAILURES:,} more"
        if text := advice(items[0].stage, reason, report.run):
            yield f"    What to do: {text}."
    if report.skipped:
        yield f"Skipped on purpose: {skipped_counts(report)}."


def _earlier(report: Report) -> Iterator[str]:
    """What the last report had and this one has not: some of each, and how many there are."""
    since = report.since_last
    for title, items in (
        ("Resolved since the last sweep", since.resolved if since else ()),
        ("Not checked this time, and not resolved", since.not_visible if since else ()),
    ):
        if items:
            yield ""
            yield f"{title}: {len(items):,}"
        for item in items[:_NAMED_EARLIER]:
            name = shorten(named(item), _MESSAGE_LIMIT)
            place = f"{plain(item.account_id)} {plain(item.region)}"
            yield f"- {name} in {place}: {as_last_seen(item)}"
        if len(items) > _NAMED_EARLIER:
            yield f"  … and {len(items) - _NAMED_EARLIER:,} more"


def whereabouts(so_far: Sequence[Delivery]) -> Iterator[str]:
    """Where the report is, and where it could not be delivered."""
    for delivery in so_far:
        location = shorten(delivery.location, 1100)
        what = "The full report" if _is_whole(delivery) else f"The {plain(delivery.content)}"
        if delivery.status == "delivered":
            yield f"{what}: {location}"
            if delivery.message:
                yield f"  {shorten(delivery.message, 600)}"
        elif delivery.status == "failed":
            why = ": ".join(filter(None, (delivery.reason, delivery.error_code, delivery.message)))
            yield f"{what} could NOT be delivered to {location} ({shorten(why, 600)})"
    if not any(map(_is_whole, so_far)):
        yield "The full report is kept nowhere else: set report.s3 to keep it."


def _is_whole(delivery: Delivery) -> bool:
    return delivery.content == "report"
