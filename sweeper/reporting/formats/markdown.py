"""report.md: a summary for a pull request or the summary of a pipeline's job.

Short by intent: verdict and coverage first, then the findings that there is room for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from sweeper.domain.escaping import plain, shorten
from sweeper.domain.masking import MASK, mask
from sweeper.domain.model import REGISTRY, Compliance, Finding
from sweeper.domain.pieces import in_pieces
from sweeper.domain.reasons import Reason
from sweeper.domain.report import count_findings
from sweeper.domain.report_model import FailedItem, Report, Run
from sweeper.reporting.console import console_url
from sweeper.reporting.formats.base import Format
from sweeper.reporting.inventory_wording import (
    inventory_name,
    inventory_sentences,
    recorded_words,
)
from sweeper.reporting.notification import listed, subject, verdict
from sweeper.reporting.run_wording import run_words, undo_words
from sweeper.reporting.schedule_wording import due_changes, waves
from sweeper.reporting.wording import (
    account_details,
    account_names,
    advice,
    as_last_seen,
    checked_sentence,
    coverage_sentence,
    explanation,
    known_as,
    named,
    number,
    outcome,
    place,
    remaining,
    scope,
    setting,
    since_last,
    skipped_counts,
    where,
    why,
)

# GitHub takes 65,536 characters in a comment and 1 MiB in a job's summary, which steps share.
LIMIT = 60_000  # bytes
_NAMED_FAILURES = 3  # of each reason; the others are counted
_NOTE = 100  # bytes of the sentence that counts the others
_LONGEST = 200  # characters of a name or a message
# Emphasis, code, links, HTML, references, cells, formulas; and what begins a link without brackets.
_OBEYED = re.compile(
    r"[\\`*\[\]<>&|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=//)|(?<=www)\.", re.IGNORECASE
)


def render(report: Report) -> Iterator[bytes]:
    """The summary as UTF-8 text, at most `LIMIT` bytes; it says how much it leaves out."""
    return in_pieces(text.encode() for text in _sections(report))


def _sections(report: Report) -> Iterator[str]:
    head = "".join(_lines((*_head(report), *_waves(report))))
    coverage = "".join((*_coverage(report), *_config_inventory(report)))
    tail = "".join((*_earlier(report), *_lines(_closing(report))))
    room = LIMIT - sum(len(text.encode()) for text in (head, coverage, tail))
    yield from (head, coverage, *_table(report, room), tail)


def _lines(texts: Iterable[str]) -> Iterator[str]:
    return (f"{text}\n" for text in texts)


def _fitting(entries: Iterable[str], count: int, room: int, what: str) -> Iterator[str]:
    """Those of the entries that fit into `room` bytes, and how many of the `count` do not."""
    room -= _NOTE
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
        yield " ".join(map(_text, verdict(report)))
    if report.run.dry_run:
        yield "This was a dry run: nothing was changed."
    yield ""
    yield from _totals(report)


def _totals(report: Report) -> Iterator[str]:
    changes, repositories = report.totals.changes, report.totals.repositories
    rows = [
        ("Scope", scope(report)),
        (
            "Repositories",
            f"{repositories.examined:,}: {repositories.compliant:,} compliant, "
            f"{repositories.non_compliant:,} non-compliant, {repositories.exempt:,} exempt, "
            f"{repositories.undetermined:,} undetermined",
        ),
        (
            "Changes",
            f"{changes.planned:,} planned: {changes.applied:,} applied, {changes.failed:,} failed, "
            f"{changes.withheld:,} withheld, {changes.superseded:,} superseded",
        ),
        ("Announced", due_changes(report)),
        ("Remaining", remaining(report)),
        ("Since the last sweep", since_last(report)),
        ("Skipped on purpose", skipped_counts(report)),
    ]
    yield from ("| | |", "|---|---|")
    for name, value in rows:
        if value and not (name == "Repositories" and report.run.kind == "undo"):
            yield f"| {name} | {_text(value)} |"


def _waves(report: Report) -> Iterator[str]:
    """What a rollout opens on which day."""
    rows = list(waves(report))
    if rows:
        yield from ("", f"### Waves ({len(rows):,})", "")
        yield from ("| From | State | Accounts | Changes |", "|---|---|---|---|")
        yield from (f"| {' | '.join(row)} |" for row in rows)


def _table(report: Report, room: int) -> Iterator[str]:
    """A row for each finding, the most urgent first."""
    if findings := listed(report):
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
    current = _code(setting(finding.mutability, finding.exclusion_filters))
    state = ", ".join(filter(None, (current, known_as(finding))))
    result = outcome(finding, report.run)
    if finding.compliance is Compliance.NON_COMPLIANT and (cause := why(finding)):
        result += f"; {cause}"
    repository = _code(named(finding))
    if address := console_url(finding, report.run.partition):
        repository = f"[{repository}]({address})"
    cells = (account, _code(finding.region), repository, state, _text(result))
    return f"| {' | '.join(cells)} |\n"


def _coverage(report: Report) -> Iterator[str]:
    """What could not be checked, by reason."""
    if not report.failures:
        return
    yield f"\n### Could not be checked ({len(report.failures):,})\n\n"
    names = account_names(report)
    by_reason: dict[Reason, list[FailedItem]] = {}
    for item in sorted(report.failures, key=lambda failure: failure.reason):
        by_reason.setdefault(item.reason, []).append(item)
    blocks = ("".join(_lines(_gap(items, names, report.run))) for items in by_reason.values())
    yield from _fitting(blocks, len(by_reason), LIMIT // 4, "reason")


def _gap(items: Sequence[FailedItem], names: dict[str, str], run: Run) -> Iterator[str]:
    """Some places of one reason, how many there are, and what to do."""
    reason = items[0].reason
    yield f"- **{_text(reason)}**: {len(items):,}"
    for item in items[:_NAMED_FAILURES]:
        yield f"    - {_code(where(item, names))}: {_text(explanation(item, _LONGEST))}"
    if len(items) > _NAMED_FAILURES:
        yield f"    - … and {len(items) - _NAMED_FAILURES:,} more"
    if text := advice(items[0].stage, reason, run):
        yield f"    - What to do: {_text(text)}."


def _config_inventory(report: Report) -> Iterator[str]:
    """What AWS Config recorded where this sweep did not look, shortly."""
    inventory = report.config_inventory
    if inventory is None:
        return
    yield f"\n### AWS Config, {_text(inventory_name(inventory))}\n\n"
    yield f"{' '.join(map(_text, inventory_sentences(inventory)))}\n\n"
    names = account_names(report)
    for title, places in (
        ("not known to this sweep", inventory.not_planned),
        ("not checked", inventory.not_checked),
    ):
        lines = (
            f"- {title}: {_code(place(each.account_id, each.region, names))}: "
            f"{_text(recorded_words(each))}\n"
            for each in places
        )
        yield from _fitting(lines, len(places), LIMIT // 12, "account-region")
    if count := len(inventory.not_recorded):
        yield f"- {number(count, 'account')} not recorded, or not up to date: see report.json\n"


def _earlier(report: Report) -> Iterator[str]:
    """What the last report had and this one has not."""
    since = report.since_last
    for title, items in (
        ("Resolved since the last sweep", since.resolved if since else ()),
        ("Not checked this time, and not resolved", since.not_visible if since else ()),
    ):
        if items:
            yield f"\n### {title} ({len(items):,})\n\n"
            lines = (
                f"- {_code(named(item))} in {_code(item.account_id)} {_code(item.region)}: "
                f"{_text(as_last_seen(item))}\n"
                for item in items
            )
            yield from _fitting(lines, len(items), LIMIT // 12, "finding")


def _closing(report: Report) -> Iterator[str]:
    exempt = report.totals.repositories.exempt
    templates = count_findings(report, Compliance.EXEMPT)
    yield ""
    if exempt:
        yield f"Exempt, and not listed: {number(exempt, 'repository', 'repositories')}."
    if templates:
        yield f"Exempt, and not listed: {number(templates, 'creation template')}."
    if registries := count_findings(report, Compliance.EXEMPT, REGISTRY):
        yield f"Exempt, and not listed: {number(registries, 'registry default')}."
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
    r"""The text as a code span, where no name is taken for a link, a mention or markup.

    What would end the span or the cell of a table is spelled as other hidden characters are.
    """
    shown = shorten(text, _LONGEST).replace("`", "\\x60").replace("|", "\\x7c").strip()
    return f"`{shown}`" if shown else ""


def _text(text: str) -> str:
    """The text of a sentence: whatever Markdown obeys is a character reference.

    References are resolved before GitHub looks for mentions, addresses and numbers of issues:
    these have their sign in a code span, and so has a mask. No secret is found any more in what is
    escaped.
    """
    shown = mask(shorten(text, 3 * _LONGEST))
    escaped = f"`{MASK}`".join(
        _OBEYED.sub(lambda sign: f"&#{ord(sign[0])};", part) for part in shown.split(MASK)
    )
    return re.sub(r"(?:@|(?<!&)#)+", r"`\g<0>`", escaped)


FORMAT = Format("markdown", "md", "text/markdown; charset=utf-8", render)
