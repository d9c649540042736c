"""report.md: a summary for a pull request or the summary of a pipeline's job.

Short by intent: verdict and coverage first, then the findings that there is room for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from sweeper.domain.escaping import plain, shorten
from sweeper.domain.masking import MASK, in_pieces, mask
from sweeper.domain.model import Compliance, Finding
from sweeper.domain.report_model import FailedItem, Report, Run
from sweeper.reporting.console import console_url
from sweeper.reporting.formats.base import Format
from sweeper.reporting.notification import findings_by_urgency, subject, verdict_sentences
from sweeper.reporting.report_wording import (
    account_details,
    account_names,
    aggregator_name,
    change_counts,
    checked_sentence,
    coverage_sentence,
    due_changes_sentence,
    earlier_findings,
    exempt_lines,
    group_by_reason,
    inventory_sentences,
    recorded_words,
    remaining_words,
    repository_counts,
    run_words,
    scope_words,
    since_last_words,
    skipped_words,
    undo_words,
    wave_rows,
)
from sweeper.reporting.wording import (
    advice,
    earlier_state,
    exclusion_reason,
    explanation,
    failure_target,
    number,
    outcome_words,
    resource_name,
    setting_words,
    since_last_state,
    target_words,
)

# GitHub takes 65,536 characters in a comment and 1 MiB in a job's summary, which steps share.
_MAX_BYTES = 60_000  # bytes
_MAX_FAILURES = 3  # of each reason; the others are counted
_NOTE_BYTES = 100  # bytes of the sentence that counts the others
_MAX_TEXT = 200  # characters of a name or a message
# Emphasis, code, links, HTML, references, cells, formulas; and what begins a link without brackets.
_MARKUP = re.compile(
    r"[\\`*\[\]<>&|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=//)|(?<=www)\.", re.IGNORECASE
)


def _render(report: Report) -> Iterator[bytes]:
    """Yield the summary as UTF-8, at most `_MAX_BYTES`; it counts what it leaves out."""
    return in_pieces(text.encode() for text in _sections(report))


def _sections(report: Report) -> Iterator[str]:
    head = "".join(_lines((*_head(report), *_waves(report))))
    coverage = "".join((*_coverage(report), *_config_inventory(report)))
    tail = "".join((*_earlier(report), *_lines(_closing(report))))
    room = _MAX_BYTES - sum(len(text.encode()) for text in (head, coverage, tail))
    yield from (head, coverage, *_table(report, room), tail)


def _lines(texts: Iterable[str]) -> Iterator[str]:
    return (f"{text}\n" for text in texts)


def _fitting(entries: Iterable[str], count: int, room: int, what: str) -> Iterator[str]:
    """Yield the entries that fit into `room` bytes, and how many of `count` do not."""
    room -= _NOTE_BYTES
    for position, entry in enumerate(entries):
        room -= len(entry.encode())
        if room < 0:
            more = number(count - position, f"more {what}")
            yield f"\n… and {more} for which there is no room: see report.json.\n"
            return
        yield entry


def _head(report: Report) -> Iterator[str]:
    yield f"## {_text(subject(report))}"
    yield ""
    yield f"**{_text(coverage_sentence(report))}** {_text(checked_sentence(report))}"
    yield ""
    if report.run.kind == "undo":
        yield _text(f"Changes: {undo_words(report)}.")
    else:
        yield " ".join(map(_text, verdict_sentences(report)))
    if report.run.dry_run:
        yield "This was a dry run: nothing was changed."
    yield ""
    yield from _totals(report)


def _totals(report: Report) -> Iterator[str]:
    rows = [
        ("Scope", scope_words(report)),
        ("Repositories", None if report.run.kind == "undo" else repository_counts(report)),
        ("Changes", change_counts(report)),
        ("Announced", due_changes_sentence(report)),
        ("Remaining", remaining_words(report)),
        ("Since the last sweep", since_last_words(report)),
        ("Skipped on purpose", skipped_words(report)),
    ]
    yield from ("| | |", "|---|---|")
    for name, value in rows:
        if value:
            yield f"| {name} | {_text(value)} |"


def _waves(report: Report) -> Iterator[str]:
    rows = list(wave_rows(report))
    if rows:
        yield from ("", f"### Waves ({len(rows):,})", "")
        yield from ("| From | State | Accounts | Changes |", "|---|---|---|---|")
        yield from (f"| {' | '.join(row)} |" for row in rows)


def _table(report: Report, room: int) -> Iterator[str]:
    if findings := findings_by_urgency(report):
        title = (
            f"\n### Findings ({len(findings):,})\n\n"
            "| Account | Region | Repository | Setting | Result |\n|---|---|---|---|---|\n"
        )
        yield title
        details = account_details(report)
        rows = (_row(each, report, details.get(each.account_id)) for each in findings)
        yield from _fitting(rows, len(findings), room - len(title.encode()), "finding")


def _row(finding: Finding, report: Report, details: str | None) -> str:
    parts = (finding.account_id, finding.account_name, details or "")
    account = " ".join(filter(None, map(_code, parts)))
    current = _code(setting_words(finding.mutability, finding.exclusion_filters))
    state = ", ".join(filter(None, (current, since_last_state(finding))))
    result = outcome_words(finding, report.run)
    if finding.compliance is Compliance.NON_COMPLIANT and (cause := exclusion_reason(finding)):
        result += f"; {cause}"
    repository = _code(resource_name(finding))
    if address := console_url(finding, report.run.partition):
        repository = f"[{repository}]({address})"
    cells = (account, _code(finding.region), repository, state, _text(result))
    return f"| {' | '.join(cells)} |\n"


def _coverage(report: Report) -> Iterator[str]:
    if not report.failures:
        return
    yield f"\n### Could not be checked ({len(report.failures):,})\n\n"
    names = account_names(report)
    groups = group_by_reason(report.failures)
    blocks = ("".join(_lines(_gap(items, names, report.run))) for _, items in groups)
    yield from _fitting(blocks, len(groups), _MAX_BYTES // 4, "reason")


def _gap(items: Sequence[FailedItem], names: dict[str, str], run: Run) -> Iterator[str]:
    """Yield some failures of one reason, how many there are, and what to do."""
    reason = items[0].reason
    yield f"- **{_text(reason)}**: {len(items):,}"
    for item in items[:_MAX_FAILURES]:
        yield f"    - {_code(failure_target(item, names))}: {_text(explanation(item, _MAX_TEXT))}"
    if len(items) > _MAX_FAILURES:
        yield f"    - … and {len(items) - _MAX_FAILURES:,} more"
    if text := advice(items[0].stage, reason, run):
        yield f"    - What to do: {_text(text)}."


def _config_inventory(report: Report) -> Iterator[str]:
    """Yield a short list of what AWS Config recorded outside this sweep."""
    inventory = report.config_inventory
    if inventory is None:
        return
    yield f"\n### AWS Config, {_text(aggregator_name(inventory))}\n\n"
    yield f"{' '.join(map(_text, inventory_sentences(inventory)))}\n\n"
    names = account_names(report)
    for title, targets in (
        ("not known to this sweep", inventory.not_planned),
        ("not checked", inventory.not_checked),
    ):
        lines = (
            f"- {title}: {_code(target_words(each.account_id, each.region, names))}: "
            f"{_text(recorded_words(each))}\n"
            for each in targets
        )
        yield from _fitting(lines, len(targets), _MAX_BYTES // 12, "account-region")
    if count := len(inventory.not_recorded):
        yield f"- {number(count, 'account')} not recorded, or not up to date: see report.json\n"


def _earlier(report: Report) -> Iterator[str]:
    for title, items in earlier_findings(report):
        if items:
            yield f"\n### {title} ({len(items):,})\n\n"
            lines = (
                f"- {_code(resource_name(item))} in {_code(item.account_id)} {_code(item.region)}: "
                f"{_text(earlier_state(item))}\n"
                for item in items
            )
            yield from _fitting(lines, len(items), _MAX_BYTES // 12, "finding")


def _closing(report: Report) -> Iterator[str]:
    yield ""
    yield from (f"{line}." for line in exempt_lines(report))
    run = report.run
    if source := run_words(run):
        yield f"{_text(source)}."
    of = f", organization {_code(run.organization_id)}" if run.organization_id else ""
    times = plain(f"{run.started_at} to {run.finished_at}")
    yield (
        f"{run.kind.capitalize()} {_code(run.id)}, {_text(times)}{of}. "
        f"Auto-Remediation: {run.auto_remediate}, sweeper {_text(run.version)}."
    )


def _code(text: str) -> str:
    """Return the text as a code span, in which no name becomes a link, a mention or markup.

    Signs that would end the span or the table's cell are spelled like hidden characters.
    """
    shown = shorten(text, _MAX_TEXT).replace("`", "\\x60").replace("|", "\\x7c").strip()
    return f"`{shown}`" if shown else ""


def _text(text: str) -> str:
    """Return the text of a sentence, with character references for Markdown's markup.

    GitHub resolves references before it looks for mentions, addresses and numbers of issues: those
    signs are in a code span, and so is a mask. Secrets are masked before the text is escaped,
    because no secret is found afterwards.
    """
    shown = mask(shorten(text, 3 * _MAX_TEXT))
    escaped = f"`{MASK}`".join(
        _MARKUP.sub(lambda sign: f"&#{ord(sign[0])};", part) for part in shown.split(MASK)
    )
    return re.sub(r"(?:@|(?<!&)#)+", r"`\g<0>`", escaped)


FORMAT = Format("markdown", "md", "text/markdown; charset=utf-8", _render)
