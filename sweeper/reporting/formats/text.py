"""report.txt: the whole report for a person, plain text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from textwrap import wrap
from typing import TypeVar

from sweeper.domain.escaping import plain, shorten
from sweeper.domain.masking import in_pieces
from sweeper.domain.model import ChangeStatus, Compliance, Finding, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import (
    EarlierFinding,
    FailedItem,
    Report,
    Run,
    SkippedItem,
)
from sweeper.reporting.formats.base import Format
from sweeper.reporting.impact_wording import impact_sentence, impact_sentences, suggested_config
from sweeper.reporting.report_wording import (
    account_details,
    account_names,
    aggregator_name,
    change_counts,
    checked_sentence,
    coverage_sentence,
    due_changes_sentence,
    group_by_reason,
    inventory_sentences,
    recorded_words,
    recording_words,
    remaining_words,
    reported_findings,
    repository_counts,
    run_words,
    scope_words,
    since_last_words,
    tags_unavailable_sentence,
    undo_words,
    wave_rows,
)
from sweeper.reporting.wording import (
    advice,
    earlier_state,
    exclusion_reason,
    exemption_words,
    explanation,
    failure_target,
    number,
    outcome_words,
    resource_name,
    setting_words,
    since_last_state,
    target_words,
)

_WIDTH = 100
_MAX_SKIPS = 3  # of each reason; the others are counted
_MAX_FAILURES = 5  # that say the same but for the account; more are one paragraph
_NOT_MADE = (ChangeStatus.FAILED, ChangeStatus.WITHHELD, ChangeStatus.SUPERSEDED)
_Found = TypeVar("_Found", Finding, EarlierFinding)


def _render(report: Report) -> Iterator[bytes]:
    """Yield the report as UTF-8 text, without empty sections."""
    sections: tuple[Iterable[str], ...] = (
        _heading(report),
        _totals(report),
        _waves(report),
        _findings(report),
        _impact(report),
        _exempt(report),
        *_earlier(report),
        _failures(report),
        _config_inventory(report),
        _skipped_section(report),
        _deliveries(report),
    )
    return in_pieces(_lines(sections))


def _lines(sections: Iterable[Iterable[str]]) -> Iterator[bytes]:
    """Yield the lines of all sections, with an empty line between two sections."""
    between = b""
    for section in sections:
        before = between
        for line in section:
            yield before + f"{line}\n".encode()
            before, between = b"", b"\n"


def _heading(report: Report) -> list[str]:
    run = report.run
    dry_run = " (dry run)" if run.dry_run else ""
    organization = f"organization {run.organization_id}" if run.organization_id else ""
    caller = f"from account {run.account_id}" if run.account_id else ""
    words = scope_words(report)
    times = f"{run.started_at} to {run.finished_at}"
    return [
        "ECR image tag mutability" + (f" in {words}" if words else ""),
        plain(f"{run.kind.capitalize()} {run.id}{dry_run}"),
        *_wrap(run_words(run), ""),
        plain(", ".join(filter(None, (times, organization, caller)))),
        plain(f"Auto-Remediation: {run.auto_remediate}, sweeper {run.version}"),
        "",
        *_wrap(f"{coverage_sentence(report)} {checked_sentence(report)}", ""),
    ]


def _totals(report: Report) -> list[str]:
    totals, undo, words = report.totals, report.run.kind == "undo", due_changes_sentence(report)
    accounts, targets = totals.accounts, totals.targets
    return [
        f"Accounts         {accounts.planned:,}: {accounts.opened:,} opened, "
        f"{accounts.skipped:,} skipped, {accounts.failed:,} failed",
        f"Account-regions  {targets.planned:,}: {targets.examined:,} examined, "
        f"{targets.skipped:,} skipped, {targets.failed:,} failed",
        *([] if undo else [f"Repositories     {repository_counts(report)}"]),
        f"Changes          {change_counts(report)}",
        f"Remaining        {remaining_words(report)}",
        *(_wrap(f"Announced        {words}", "", " " * 17) if words else ()),
        *(_wrap(f"Undo             {undo_words(report)}", "", " " * 17) if undo else ()),
        *_since_last(report),
    ]


def _since_last(report: Report) -> list[str]:
    since, words = report.since_last, since_last_words(report)
    if since is None or words is None:
        return []
    if since.run_id:
        words += f"; compared with sweep {plain(since.run_id)}"
    return [*_wrap(f"Since last       {words}", "", " " * 17)]


def _waves(report: Report) -> Iterator[str]:
    found = list(wave_rows(report))
    if found:
        yield from (f"WAVES ({len(found):,})", "")
    for day, state, accounts, changes in found:
        yield f"  {day}  {state:<5}  {accounts}, {changes}"


def _findings(report: Report) -> Iterator[str]:
    findings = [
        item for item in reported_findings(report) if item.compliance is not Compliance.EXEMPT
    ]
    if not findings:
        return
    yield f"FINDINGS ({len(findings):,}; {report.totals.remaining:,} remain)"
    if sentence := tags_unavailable_sentence(report):
        yield ""
        yield from _wrap(sentence, "  ")
    for account, group in _by_account(findings, account_details(report)):
        yield from ("", f"  {account}")
        for finding in group:
            yield from _finding(finding, report)
    yield from _advice_on_changes(findings, report.run)


def _finding(finding: Finding, report: Report) -> Iterator[str]:
    yield f"    {plain(finding.region)}  {resource_name(finding)}"
    current = setting_words(finding.mutability, finding.exclusion_filters)
    state = ", ".join(filter(None, (current, finding.compliance, since_last_state(finding))))
    yield from _wrap(f"{state}: {outcome_words(finding, report.run)}", "      ")
    if finding.compliance is Compliance.NON_COMPLIANT:  # else the outcome says it
        yield from _wrap(exclusion_reason(finding), "      ")
    if finding.exemption:
        yield from _wrap(f"its exemption {exemption_words(finding.exemption)}", "      ")


def _advice_on_changes(findings: Iterable[Finding], run: Run) -> Iterator[str]:
    """Yield what to do about the changes that were not made, by reason."""
    not_made = Counter(
        finding.change.reason
        for finding in findings
        if finding.change and finding.change.status in _NOT_MADE and finding.change.reason
    )
    for reason, count in sorted(not_made.items()):
        if text := advice(Stage.CHANGE, reason, run):
            yield ""
            yield from _wrap(f"{number(count, 'change')} not made ({reason}): {text}.", "  ")


def _impact(report: Report) -> Iterator[str]:
    """Yield which tags the planned changes may break, and how to prevent it."""
    findings = [item for item in report.findings if item.impact]
    if not findings:
        return
    of = number(len(findings), "repository")
    yield from (f"WHAT MAY BREAK ({of})", "")
    yield from _wrap(f"{impact_sentence(findings)} A name is no proof: see docs/impact.md.", "  ")
    for account, group in _by_account(findings, {}):
        yield from ("", f"  {account}")
        for finding in group:
            yield f"    {plain(finding.region)}  {plain(finding.repository)}"
            for sentence in impact_sentences(finding):
                yield from _wrap(sentence, "      ")
    denied = {item.impact.unavailable for item in findings if item.impact} - {None}
    for reason in sorted(reason for reason in denied if reason):
        if text := advice(Stage.ASSESS, reason):
            yield from ("", *_wrap(f"What to do about {reason}: {text}.", "  "))
    yield from suggested_config(findings)


def _exempt(report: Report) -> Iterator[str]:
    findings = [item for item in report.findings if item.compliance is Compliance.EXEMPT]
    if not findings:
        return
    yield f"EXEMPT ({len(findings):,})"
    for account, group in _by_account(findings, {}):
        yield from ("", f"  {account}")
        for finding in group:
            current = setting_words(finding.mutability, finding.exclusion_filters)
            yield f"    {plain(finding.region)}  {resource_name(finding)}  {current}"
            if finding.exemption:
                yield from _wrap(exemption_words(finding.exemption), "      ")


def _earlier(report: Report) -> Iterator[Iterator[str]]:
    """Yield the sections of findings that only the last report has."""
    since = report.since_last
    for title, items in (
        ("RESOLVED SINCE THE LAST SWEEP", since.resolved if since else ()),
        ("NOT CHECKED THIS TIME", since.not_visible if since else ()),
    ):
        yield _as_last_seen(title, items)


def _as_last_seen(title: str, items: Sequence[EarlierFinding]) -> Iterator[str]:
    if items:
        yield f"{title} ({len(items):,})"
    for account, group in _by_account(items, {}):
        yield from ("", f"  {account}")
        for item in group:
            yield f"    {plain(item.region)}  {resource_name(item)}  {earlier_state(item)}"


def _by_account(
    findings: Iterable[_Found], tags: Mapping[str, str]
) -> Iterator[tuple[str, list[_Found]]]:
    for account_id, group in groupby(findings, key=lambda finding: finding.account_id):
        of_account = list(group)
        name = shorten(of_account[0].account_name, 60)
        shown_tags = f"({tags[account_id]})" if account_id in tags else ""
        yield " ".join(filter(None, (plain(account_id), name, shown_tags))), of_account


def _failures(report: Report) -> list[str]:
    if not report.failures:
        return []
    names = account_names(report)
    lines = ["COULD NOT BE CHECKED"]
    for reason, failures in group_by_reason(report.failures):
        lines.append("")
        lines += _failures_alike(reason, failures, names)
        if text := advice(Stage.EXAMINE, reason, report.run):
            lines += _wrap(f"What to do: {text}.", "    ")
    return lines


def _failures_alike(
    reason: Reason, failures: Sequence[FailedItem], names: dict[str, str]
) -> Iterator[str]:
    """Yield a line for each failure, or one for many that differ only in the account."""
    alike: dict[str, list[FailedItem]] = {}
    for item in failures:
        message = explanation(item)
        general = message.replace(item.account_id or message, "*")
        alike.setdefault(general, []).append(item)
    for message, items in alike.items():
        if len(items) <= _MAX_FAILURES:
            yield from (
                f"  {failure_target(item, names)}: {reason}, {explanation(item)}" for item in items
            )
        else:
            yield f"  {len(items):,} times {reason}, {message}:"
            yield from _wrap(", ".join(failure_target(item, names) for item in items), "    ")


def _config_inventory(report: Report) -> Iterator[str]:
    inventory = report.config_inventory
    if inventory is None:
        return
    names = account_names(report)
    yield f"AWS CONFIG ({aggregator_name(inventory)})"
    yield ""
    for sentence in inventory_sentences(inventory):
        yield from _wrap(sentence, "  ")
    for title, targets in (
        ("Recorded, and not known to this sweep", inventory.not_planned),
        ("Last recorded where this sweep could not check", inventory.not_checked),
    ):
        if targets:
            yield from ("", f"  {title} ({len(targets):,})")
        for each in targets:
            where_ = target_words(each.account_id, each.region, names)
            yield from _wrap(f"{where_}: {recorded_words(each)}", "    ")
        if targets and targets is inventory.not_planned:
            yield from _wrap(f"What to do: {Reason.RECORDED_NOT_PLANNED.advice}.", "    ")
    if inventory.not_recorded:
        yield from ("", f"  Not recorded, or not up to date ({len(inventory.not_recorded):,})")
    for gap in inventory.not_recorded:
        where_ = target_words(gap.account_id, None, names)
        yield from _wrap(f"{where_}: {recording_words(gap)}", "    ")


def _skipped_section(report: Report) -> list[str]:
    if not report.skipped:
        return []
    lines = [f"SKIPPED ON PURPOSE ({len(report.skipped):,})", ""]
    for reason, items in group_by_reason(report.skipped):
        shown = ", ".join(map(_skipped_place, items[:_MAX_SKIPS]))
        more = ", …" if len(items) > _MAX_SKIPS else ""
        lines.append(f"  {reason}: {len(items):,} ({shown}{more})")
    return lines


def _skipped_place(item: SkippedItem) -> str:
    return plain(f"{item.account_id} {item.region}" if item.region else item.account_id)


def _deliveries(report: Report) -> list[str]:
    if not report.deliveries:
        return []
    lines = ["DELIVERIES", ""]
    for item in report.deliveries:
        detail = "" if item.status == "delivered" else f": {item.status.replace('_', ' ')}"
        if item.status == "failed":
            explained = ", ".join(filter(None, (item.reason, item.error_code, item.message)))
            detail = f": FAILED ({plain(explained)})"
        elif item.message:
            detail += f" ({plain(item.message)})"
        lines.append(f"  {item.sink}: {plain(item.location)}{detail}")
        if text := item.advice or (item.reason and advice(Stage.DELIVER, item.reason)):
            lines += _wrap(f"What to do: {text}.", "    ")
    return lines


@lru_cache(maxsize=1024)  # most findings have the same few lines
def _wrap(text: str, indent: str, hanging: str | None = None) -> tuple[str, ...]:
    """Return the text in lines of `_WIDTH`; `hanging` indents all but the first line."""
    lines = wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return tuple(lines)


FORMAT = Format("text", "txt", "text/plain; charset=utf-8", _render)
