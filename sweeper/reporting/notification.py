"""The message to people: its subject and its text, pure.

The shape is that of the single-account tool before this one: a sentence, a numbered list of
repositories, and whether Auto-Remediation is on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from sweeper.reporting.report_wording import (
    account_details,
    account_names,
    checked_sentence,
    coverage_sentence,
    due_changes_sentence,
    earlier_findings,
    early_failure,
    exempt_lines,
    exempt_verdict,
    group_by_reason,
    not_checked_words,
    reported_findings,
    run_words,
    scope_words,
    since_last_words,
    skipped_words,
    tags_unavailable_sentence,
    undo_words,
    wave_rows,
)
from sweeper.reporting.wording import (
    account_words,
    advice,
    earlier_state,
    exemption_words,
    explanation,
    failure_target,
    number,
    outcome_words,
    resource_kind,
    resource_name,
    setting_words,
    since_last_state,
)

if TYPE_CHECKING:
    from sweeper.config.schema import Notify

# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html: a message has at most 256 KiB, which
# includes the envelope that a subscriber gets. A subject has less than 100 ASCII characters.
MAX_BYTES = 250_000
_MAX_SUBJECT = 99
UNCHANGED = "nothing changed since the last sweep (report.notify: on_change)"
_MAX_FAILURES = 2  # of each reason; the others are counted
_MAX_EARLIER = 10  # resolved, and not checked; the others are counted
_MAX_MESSAGE = 160  # characters of a service's message
_TEMPLATE: Resource = "repository_creation_template"


def subject(report: Report) -> str:
    """Return the result on one line, the most important clause first; the last ones may not fit."""
    name = "sweeper" if report.run.kind == "sweep" else f"sweeper {report.run.kind}"
    name += " (dry run)" if report.run.dry_run else ""
    first, *others = _clauses(report)
    text = f"{name}: {first}"
    for clause in others:
        if len(text) + len(clause) + 2 > _MAX_SUBJECT:
            break
        text += f", {clause}"
    return text


def _clauses(report: Report) -> list[str]:
    """Return the clauses of the subject, the most important first; there is at least one."""
    changes, since, undo = report.totals.changes, report.since_last, report.run.kind == "undo"
    failure = early_failure(report)
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
        (mutable, number(mutable, "mutable repository")),
        (templates, number(templates, "mutable creation template")),
        (registries, number(registries, "mutable registry default")),
        (others, number(others, "other finding")),
        (left, f"{left:,} not reverted"),
        (changes.failed, f"{number(changes.failed, 'change')} failed"),
        (contested, f"{contested:,} contested"),
        (not report.coverage.complete, _coverage_clause(report)),
        (not_checked_words(report.run.source), "more in the reviewed report"),
        (changes.applied, f"{changes.applied:,} {'reverted' if undo else 'fixed'}"),
        (since and since.reopened, f"{since.reopened if since else 0:,} reopened"),
    )
    where_ = " in scope" if report.skipped else ""
    nothing = exempt_verdict(report, where_) or f"No mutable repository{where_}"
    applicable = [text for applies, text in clauses if applies]
    if undo:
        return applicable or ["nothing reverted"]
    return applicable or (nothing[0].lower() + nothing[1:]).split("; ")


def _coverage_clause(report: Report) -> str:
    return "coverage incomplete" if report.totals.targets.examined else "nothing was checked"


def is_needed(report: Report, notify: Notify) -> bool:
    """Tell whether people need a message: a thing remains, was changed, failed or was unchecked.

    With `on_change` it must be new since the last sweep. A run about events reports only findings
    and changes: the next sweep reports what could not be checked.
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
        or not_checked_words(report.run.source)
    )


def message(report: Report, so_far: Sequence[Delivery], limit: int = MAX_BYTES) -> str:
    """Return the text, at most `limit` by `json_size`; it counts the findings it leaves out."""
    opening, closing = _opening(report), _closing(report, so_far)
    return list_findings(findings_by_urgency(report), report, opening, closing, limit)


def list_findings(
    findings: Sequence[Finding],
    report: Report,
    opening: Iterable[str],
    closing: Iterable[str],
    limit: int,
) -> str:
    """Return a numbered list between lines of text, and how many findings it leaves out.

    It has at most `limit` by `json_size`.
    """
    head, tail = "\n".join(opening) + "\n", "\n" + "\n".join(closing) + "\n"
    left = limit - sum(map(json_size, (head, tail, _left_out_line(len(findings)))))
    made = list(_entries(findings, report, left, linked=True))
    if len(made) < len(findings):  # a finding is worth more than an address
        made = list(_entries(findings, report, left, linked=False))
    more = _left_out_line(len(findings) - len(made)) if len(made) < len(findings) else ""
    return "".join((head, *made, more, tail))


def _entries(
    findings: Sequence[Finding], report: Report, left: int, *, linked: bool
) -> Iterator[str]:
    """Yield the entries of the findings, until `left` is used."""
    details = account_details(report)
    for position, finding in enumerate(findings, 1):
        entry = _entry(position, finding, report, details.get(finding.account_id))
        if linked and (address := console_url(finding, report.run.partition)):
            entry += f"   {address}\n"
        left -= json_size(entry)
        if left < 0:
            return
        yield entry


def json_size(text: str) -> int:
    """Return the bytes that the text takes in a JSON string in UTF-8."""
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


def _opening(report: Report) -> Iterator[str]:
    changes = report.totals.changes
    if source := run_words(report.run):
        yield f"{source}."
    if words := scope_words(report):
        yield f"Scope: {words}."
    if report.run.kind == "undo":
        yield f"Changes: {undo_words(report)}."
    else:
        yield from verdict_sentences(report)
    if report.run.dry_run:
        yield "This was a dry run: nothing was changed."
    if changes.failed:
        yield f"{number(changes.failed, 'change')} FAILED: they come first, each with its cause."
    if changes.withheld:
        yield f"{number(changes.withheld, 'change')} not made: each has its reason."
    yield from _schedule(report)
    if not report.coverage.complete:
        yield coverage_sentence(report)
    if words := since_last_words(report):
        yield f"Since the last sweep: {words}."
    yield ""


def _schedule(report: Report) -> Iterator[str]:
    if words := due_changes_sentence(report):
        yield f"{words}."
    for day, state, accounts, changes in wave_rows(report):
        yield f"Wave of {day} ({state}): {accounts}, {changes}."


def verdict_sentences(report: Report) -> Iterator[str]:
    """Yield what was found, and what was done about it, a sentence each."""
    repositories = report.totals.repositories
    owner = report.run.organization_id or report.run.account_id
    of = f" of {plain(owner)}" if owner else ""
    where_ = " in this scope" if report.skipped else ""
    if report.run.kind == "events":
        where_ = " among what the events name"
    if repositories.non_compliant:
        found = number(repositories.non_compliant, "ECR repository")
        yield (
            f"Image tags could be overwritten in {found}{of}: {count_applied(report):,} made "
            f"immutable by this run, {count_non_compliant(report):,} still mutable."
        )
    elif exempt := exempt_verdict(report, f"{of}{where_}"):
        yield f"{exempt}."
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


def findings_by_urgency(report: Report) -> list[Finding]:
    """Return failed changes, then other remaining findings, then the rest; no exempt ones."""
    findings = [
        item for item in reported_findings(report) if item.compliance is not Compliance.EXEMPT
    ]
    remains = remaining_rule(report.run.kind)
    return sorted(findings, key=lambda finding: _urgency(finding, remains))


def _urgency(finding: Finding, remains: Callable[[Finding], bool]) -> int:
    if finding.change and finding.change.status is ChangeStatus.FAILED:
        return 0
    return 1 if remains(finding) else 2


def _entry(position: int, finding: Finding, report: Report, details: str | None) -> str:
    account = account_words(finding.account_id, finding.account_name)
    current = setting_words(finding.mutability, finding.exclusion_filters)
    state = ", ".join(filter(None, (current, since_last_state(finding))))
    exemption = exemption_words(finding.exemption) if finding.exemption else ""
    return (
        f"{position}. {resource_kind(finding).capitalize()}: "
        f"{shorten(finding.repository, _MAX_MESSAGE)}\n"
        f"   Account: {account}, region: {plain(finding.region)}\n"
        + (f"   {details}\n" if details else "")
        + f"   {state}: {outcome_words(finding, report.run)}\n"
        + (f"   Its exemption {exemption}\n" if exemption else "")
    )


def _left_out_line(count: int) -> str:
    return (
        f"… and {number(count, 'more finding')} for which this message has no room: see the full "
        "report.\n"
    )


def _closing(report: Report, so_far: Sequence[Delivery]) -> Iterator[str]:
    yield f"Auto-Remediation: {report.run.auto_remediate}"
    yield from exempt_lines(report)
    if sentence := tags_unavailable_sentence(report):
        yield sentence
    yield ""
    yield from _coverage(report)
    yield from _earlier(report)
    yield ""
    yield from delivery_lines(so_far)
    run = report.run
    times = f"{run.started_at} to {run.finished_at}"
    yield plain(f"{run.kind.capitalize()} {run.id}, {times}, sweeper {run.version}")


def _coverage(report: Report) -> Iterator[str]:
    state = "complete" if report.coverage.complete else "INCOMPLETE"
    yield f"Coverage: {state}. {checked_sentence(report)}"
    # There may be some for every reason: a short name leaves room for the findings.
    names = {key: shorten(name, 20) for key, name in account_names(report).items()}
    for reason, items in group_by_reason(report.failures):
        yield f"- {reason}: {len(items):,}"
        for item in items[:_MAX_FAILURES]:
            yield f"    {failure_target(item, names)}: {explanation(item, _MAX_MESSAGE)}"
        if len(items) > _MAX_FAILURES:
            yield f"    … and {len(items) - _MAX_FAILURES:,} more"
        if text := advice(items[0].stage, reason, report.run):
            yield f"    What to do: {text}."
    if report.skipped:
        yield f"Skipped on purpose: {skipped_words(report)}."


def _earlier(report: Report) -> Iterator[str]:
    for title, items in earlier_findings(report):
        if items:
            yield ""
            yield f"{title}: {len(items):,}"
        for item in items[:_MAX_EARLIER]:
            name = shorten(resource_name(item), _MAX_MESSAGE)
            target = f"{plain(item.account_id)} {plain(item.region)}"
            yield f"- {name} in {target}: {earlier_state(item)}"
        if len(items) > _MAX_EARLIER:
            yield f"  … and {len(items) - _MAX_EARLIER:,} more"


def delivery_lines(so_far: Sequence[Delivery]) -> Iterator[str]:
    """Yield where the report is, and where it could not be delivered."""
    for delivery in so_far:
        location = shorten(delivery.location, 1100)
        what = "The full report" if _is_report(delivery) else f"The {plain(delivery.content)}"
        if delivery.status == "delivered":
            yield f"{what}: {location}"
            if delivery.message:
                yield f"  {shorten(delivery.message, 600)}"
        elif delivery.status == "failed":
            why = ": ".join(filter(None, (delivery.reason, delivery.error_code, delivery.message)))
            yield f"{what} could NOT be delivered to {location} ({shorten(why, 600)})"
    if not any(map(_is_report, so_far)):
        yield "The full report is kept nowhere else: set report.s3 to keep it."


def _is_report(delivery: Delivery) -> bool:
    return delivery.content == "report"
