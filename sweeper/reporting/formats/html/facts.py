"""The verdict and the figures, which come before the tables of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sweeper.domain.model import REGISTRY, ChangeStatus, Stage
from sweeper.domain.report import count_applied, count_non_compliant
from sweeper.domain.report_model import Report
from sweeper.reporting.formats.html.breakdown import Bar, by_ou, by_region
from sweeper.reporting.report_wording import (
    checked_sentence,
    coverage_sentence,
    due_changes_sentence,
    early_failure,
    exempt_verdict,
    group_by_reason,
    inventory_sentences,
    not_checked_words,
    remaining_words,
    run_words,
    scope_words,
    undo_words,
    wave_rows,
)
from sweeper.reporting.wording import advice, explanation, number, percent

_Level = Literal["bad", "unsure", "good", "plain"]
_NOT_MADE = (ChangeStatus.FAILED, ChangeStatus.WITHHELD)
_SOON_DAYS = 30  # an exemption that ends within so many days is announced


@dataclass(frozen=True, slots=True)
class _Banner:
    """A sentence of the verdict."""

    level: _Level
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class _Figure:
    """A number with what it counts."""

    value: str
    label: str
    level: _Level = "plain"


@dataclass(frozen=True, slots=True)
class _Card:
    """A few figures on one question."""

    title: str
    figures: tuple[_Figure, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Group:
    """The number of failures, changes or skipped items with one reason, and what to do."""

    reason: str
    count: int
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class _Facts:
    """Everything that the template shows beside the report itself."""

    banners: tuple[_Banner, ...]
    cards: tuple[_Card, ...]
    not_made: tuple[_Group, ...]
    not_checked: tuple[_Group, ...]
    skipped: tuple[_Group, ...]
    by_ou: tuple[Bar, ...]
    by_region: tuple[Bar, ...]
    exemptions: str
    title: str
    source: str  # of an apply and an undo
    remaining: str
    scope: str | None
    config_inventory: tuple[str, ...]
    everything: bool  # nothing was skipped, and everything else was checked
    waves: tuple[tuple[str, str, str, str], ...]


def facts(report: Report) -> _Facts:
    """Return the facts of the page, the most urgent first."""
    banners = (_verdict_banner(report), _coverage_banner(report))
    skipped = Counter(item.reason.value for item in report.skipped)
    return _Facts(
        banners=banners,
        cards=tuple(_cards(report)),
        not_made=tuple(_not_made(report)),
        not_checked=tuple(_not_checked(report)),
        skipped=tuple(_Group(reason, count) for reason, count in skipped.most_common()),
        by_ou=by_ou(report),
        by_region=by_region(report),
        exemptions=_exemptions_sentence(report),
        title=banners[0].title,
        source=run_words(report.run),
        remaining=remaining_words(report),
        scope=scope_words(report),
        config_inventory=tuple(
            inventory_sentences(report.config_inventory) if report.config_inventory else ()
        ),
        everything=_is_everything_checked(report),
        waves=tuple(wave_rows(report)),
    )


def _cards(report: Report) -> Iterator[_Card]:
    if report.run.kind != "undo":  # it does not decide what is compliant
        yield _repositories_card(report)
    yield _coverage_card(report)
    if report.run.kind == "sweep":
        yield _since_last_card(report)
    yield _changes_card(report)


def _is_everything_checked(report: Report) -> bool:
    return _is_scope_checked(report) and not report.skipped


def _is_scope_checked(report: Report) -> bool:
    return report.coverage.complete and not not_checked_words(report.run.source)


def _verdict_banner(report: Report) -> _Banner:
    if report.run.kind == "undo" and not early_failure(report):
        left = report.totals.remaining
        verb = "would be reverted" if report.run.dry_run else "reverted"
        all_ = f"All changes {verb}"
        title = number(left, "change is", "changes are") + " not reverted" if left else all_
        return _Banner("bad" if left else "good", title, f"{undo_words(report)}.")
    if failure := early_failure(report):
        what = advice(failure.stage, failure.reason, report.run)
        why = f"{failure.reason}: {explanation(failure)}."
        return _Banner(
            "bad",
            f"The {report.run.kind} ended early",
            f"{why} What to do: {what}." if what else why,
        )
    examined = report.totals.repositories.examined
    repositories = number(examined, "repository")
    done = count_applied(report)
    more = f"; {done:,} {'was' if done == 1 else 'were'} made immutable by this run" if done else ""
    templates = count_non_compliant(report, "repository_creation_template")
    registries = count_non_compliant(report, REGISTRY)
    make = number(templates, "creation template makes", "creation templates make")
    if templates:
        more += f"; {make} more of them"
    if count := count_non_compliant(report):
        have = "repository has" if count == 1 else "repositories have"
        return _Banner(
            "bad",
            f"{count:,} {have} image tags that can be overwritten",
            f"Of {repositories} checked{more}.",
        )
    if templates:
        return _Banner(
            "bad",
            f"{make} repositories whose image tags can be overwritten",
            f"Of {repositories} checked, none mutable.",
        )
    level: _Level = "good" if _is_scope_checked(report) else "unsure"
    if registries:
        default = number(registries, "registry has", "registries have")
        level, more = "unsure", f"{more}; {default} no creation template for ROOT"
    if others := count_non_compliant(report, None) - registries:
        level, more = "bad", f"{more}; {number(others, 'finding')} of plugins"
    if not examined:
        return _Banner(level, "No repository was found", "There was none in what was checked.")
    where_ = "" if _is_everything_checked(report) else ", in what was checked"
    exempt = exempt_verdict(report, where_)
    return _Banner(
        level,
        exempt or f"No image tag can be overwritten{where_}",
        f"Of {repositories} checked, {'no other is' if exempt else 'none'} mutable{more}.",
    )


def _coverage_banner(report: Report) -> _Banner:
    if report.coverage.complete and (words := not_checked_words(report.run.source)):
        text = f"{coverage_sentence(report)} {checked_sentence(report)}"
        return _Banner("bad", words, text)
    if report.coverage.complete:
        return _Banner(
            "good", coverage_sentence(report).removesuffix("."), checked_sentence(report)
        )
    title, _, text = coverage_sentence(report).partition(": ")
    return _Banner(
        "bad", title.capitalize(), f"{text[:1].upper()}{text[1:]} {checked_sentence(report)}"
    )


def _repositories_card(report: Report) -> _Card:
    totals, left = report.totals.repositories, count_non_compliant(report)
    none_left: _Level = "good" if totals.examined else "plain"
    figures: tuple[_Figure, ...] = (
        _Figure(f"{totals.examined:,}", "checked"),
        _Figure(f"{totals.compliant:,}", "compliant"),
        _count_figure(totals.non_compliant, "found mutable", "bad"),
        _Figure(f"{left:,}", "still mutable", "bad" if left else none_left),
        _Figure(f"{totals.exempt:,}", "exempt"),
    )
    if totals.undetermined:
        figures += (_Figure(f"{totals.undetermined:,}", "undetermined", "unsure"),)
    return _Card("Repositories", figures)


def _coverage_card(report: Report) -> _Card:
    accounts, targets = report.totals.accounts, report.totals.targets
    note = (
        f"{accounts.opened:,} of {number(accounts.planned - accounts.skipped, 'account')}, "
        f"{targets.examined:,} of {number(targets.planned - targets.skipped, 'account-region')}."
    )
    if accounts.skipped or targets.skipped:
        note += (
            f" Skipped on purpose: {number(accounts.skipped, 'account')}, "
            f"{number(targets.skipped, 'account-region')}."
        )
    return _Card(
        "Coverage",
        (
            _share_figure("of accounts", report.coverage.accounts),
            _share_figure("of their regions", report.coverage.targets),
            _count_figure(accounts.failed, "accounts not checked", "bad"),
            _count_figure(targets.failed, "regions not checked", "bad"),
        ),
        note,
    )


def _share_figure(label: str, share: float) -> _Figure:
    return _Figure(percent(share), label, "plain" if share == 1 else "bad")


def _count_figure(count: int, label: str, level: _Level) -> _Figure:
    return _Figure(f"{count:,}", label, level if count else "plain")


def _since_last_card(report: Report) -> _Card:
    title, since = "Since the last sweep", report.since_last
    if since is None:
        return _Card(title, (), "This sweep was not compared with an earlier one.")
    if since.unavailable is not None:
        return _Card(title, (), f"Not compared: {since.unavailable}")
    figures = (
        _count_figure(since.new, "new", "bad"),
        _count_figure(since.reopened, "reopened", "bad"),
        _count_figure(since.still_open, "still open", "plain"),
        _count_figure(len(since.resolved), "resolved", "good"),
        _count_figure(len(since.not_visible), "no longer visible", "unsure"),
    )
    return _Card(title, figures, f"The last one: {since.run_id}, {since.finished_at}.")


def _changes_card(report: Report) -> _Card:
    changes, run = report.totals.changes, report.run
    note = f"Auto-Remediation is {run.auto_remediate}."
    if words := due_changes_sentence(report):
        note += f" {words}."
    if run.dry_run:
        note = f"A dry run: nothing was changed. {note}"
        others = changes.failed + changes.withheld + changes.superseded
        figures = [_count_figure(changes.planned - others, "would be made", "plain")]
    else:
        figures = [_count_figure(changes.applied, "applied", "good")]
    if changes.failed or not run.dry_run:
        figures.append(_count_figure(changes.failed, "failed", "bad"))
    figures.append(_count_figure(changes.withheld, "withheld", "unsure"))
    if changes.superseded:
        figures.append(_count_figure(changes.superseded, "superseded", "plain"))
    return _Card("Remediation", tuple(figures), note)


def _not_made(report: Report) -> Iterable[_Group]:
    """Yield the changes that were not made, by reason."""
    reasons = Counter(
        finding.change.reason
        for finding in report.findings
        if finding.change and finding.change.status in _NOT_MADE and finding.change.reason
    )
    for reason, count in reasons.most_common():
        yield _Group(reason, count, advice(Stage.CHANGE, reason, report.run))


def _not_checked(report: Report) -> Iterable[_Group]:
    for reason, items in sorted(group_by_reason(report.failures), key=lambda group: -len(group[1])):
        yield _Group(reason, len(items), advice(items[0].stage, reason, report.run))


def _exemptions_sentence(report: Report) -> str:
    """Return how many exemptions have expired or expire soon; "" without any."""
    today = date.fromisoformat(report.run.finished_at[:10])
    expired = soon = 0
    for finding in report.findings:
        if exemption := finding.exemption:
            expired += exemption.expired
            soon += (
                not exemption.expired
                and exemption.expires is not None
                and (exemption.expires - today).days <= _SOON_DAYS
            )
    parts = []
    if expired:
        parts.append(f"{number(expired, 'finding has', 'findings have')} an expired one")
    if soon:
        parts.append(f"{number(soon, 'ends', 'end')} within {_SOON_DAYS} days")
    return f"{'; '.join(parts)}." if parts else ""
