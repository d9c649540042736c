"""What the page says before its tables: the verdict and the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Literal

from sweeper.domain.model import REGISTRY, ChangeStatus, Stage
from sweeper.domain.report import count_applied, count_non_compliant
from sweeper.domain.report_model import ChangeTotals, Report, SinceLast
from sweeper.reporting.formats.html.bars import Bar, by_ou, by_region
from sweeper.reporting.inventory_wording import inventory_sentences
from sweeper.reporting.run_wording import undo_words
from sweeper.reporting.schedule_wording import due_changes, waves
from sweeper.reporting.wording import (
    advice,
    checked_sentence,
    coverage_sentence,
    ended_early,
    exempt_verdict,
    explanation,
    number,
    percent,
    scope,
)

Level = Literal["bad", "unsure", "good", "plain"]
_NOT_MADE = (ChangeStatus.FAILED, ChangeStatus.WITHHELD)
_SOON = 30  # days in which an exemption's end is worth a word


@dataclass(frozen=True, slots=True)
class Banner:
    """A sentence of the verdict."""

    level: Level
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with what it counts."""

    value: str
    label: str
    level: Level = "plain"


@dataclass(frozen=True, slots=True)
class Card:
    """A few figures on one question."""

    title: str
    figures: tuple[Figure, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """What happened for one reason, and what to do about it."""

    reason: str
    count: int
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the template shows beside the report itself."""

    banners: tuple[Banner, ...]
    cards: tuple[Card, ...]
    not_made: tuple[Group, ...]
    not_checked: tuple[Group, ...]
    skipped: tuple[Group, ...]
    by_ou: tuple[Bar, ...]
    by_region: tuple[Bar, ...]
    exemptions: str
    title: str
    scope: str | None
    config_inventory: tuple[str, ...]
    everything: bool  # nothing was skipped, and all else was checked
    waves: tuple[tuple[str, str, str, str], ...]


def facts(report: Report) -> Facts:
    """What the report says, the most urgent first."""
    banners = (_verdict(report), _coverage_banner(report))
    return Facts(
        banners=banners,
        cards=tuple(_cards(report)),
        not_made=tuple(_not_made(report)),
        not_checked=tuple(_not_checked(report)),
        skipped=tuple(_by_reason(Counter(item.reason.value for item in report.skipped))),
        by_ou=by_ou(report),
        by_region=by_region(report),
        exemptions=_exemptions(report),
        title=banners[0].title,
        scope=scope(report),
        config_inventory=tuple(
            inventory_sentences(report.config_inventory) if report.config_inventory else ()
        ),
        everything=_everything(report),
        waves=tuple(waves(report)),
    )


def _cards(report: Report) -> Iterator[Card]:
    if report.run.kind != "undo":  # it does not decide what is compliant
        yield _repositories(report)
    yield _coverage(report)
    if report.run.kind == "sweep":
        yield _since(report)
    yield _changes(report)


def _everything(report: Report) -> bool:
    return report.coverage.complete and not report.skipped


def _verdict(report: Report) -> Banner:
    if report.run.kind == "undo" and not ended_early(report):
        left = report.totals.remaining
        verb = "would be reverted" if report.run.dry_run else "reverted"
        all_ = f"All changes {verb}"
        title = number(left, "change is", "changes are") + " not reverted" if left else all_
        return Banner("bad" if left else "good", title, f"{undo_words(report)}.")
    if failure := ended_early(report):
        what = advice(failure.stage, failure.reason, report.run)
        why = f"{failure.reason}: {explanation(failure)}."
        return Banner(
            "bad",
            f"The {report.run.kind} ended early",
            f"{why} What to do: {what}." if what else why,
        )
    examined = report.totals.repositories.examined
    repositories = number(examined, "repository", "repositories")
    done = count_applied(report)
    more = f"; {done:,} {'was' if done == 1 else 'were'} made immutable by this run" if done else ""
    templates = count_non_compliant(report, "repository_creation_template")
    registries = count_non_compliant(report, REGISTRY)
    make = number(templates, "creation template makes", "creation templates make")
    if templates:
        more += f"; {make} more of them"
    if count := count_non_compliant(report):
        have = "repository has" if count == 1 else "repositories have"
        return Banner(
            "bad",
            f"{count:,} {have} image tags that can be overwritten",
            f"Of {repositories} checked{more}.",
        )
    if templates:
        return Banner(
            "bad",
            f"{make} repositories whose image tags can be overwritten",
            f"Of {repositories} checked, none mutable.",
        )
    level: Level = "good" if report.coverage.complete else "unsure"
    if registries:
        default = number(registries, "registry has", "registries have")
        level, more = "unsure", f"{more}; {default} no creation template for ROOT"
    if others := count_non_compliant(report, None) - registries:
        level, more = "bad", f"{more}; {number(others, 'finding')} of plugins"
    if not examined:
        return Banner(level, "No repository was found", "There was none in what was checked.")
    where_ = "" if _everything(report) else ", in what was checked"
    exempt = exempt_verdict(report, where_)
    return Banner(
        level,
        exempt or f"No image tag can be overwritten{where_}",
        f"Of {repositories} checked, {'no other is' if exempt else 'none'} mutable{more}.",
    )


def _coverage_banner(report: Report) -> Banner:
    if report.coverage.complete:
        return Banner("good", coverage_sentence(report).removesuffix("."), checked_sentence(report))
    title, _, text = coverage_sentence(report).partition(": ")
    return Banner(
        "bad", title.capitalize(), f"{text[:1].upper()}{text[1:]} {checked_sentence(report)}"
    )


def _repositories(report: Report) -> Card:
    totals, left = report.totals.repositories, count_non_compliant(report)
    none_left: Level = "good" if totals.examined else "plain"
    figures: tuple[Figure, ...] = (
        Figure(f"{totals.examined:,}", "checked"),
        Figure(f"{totals.compliant:,}", "compliant"),
        _count(totals.non_compliant, "found mutable", "bad"),
        Figure(f"{left:,}", "still mutable", "bad" if left else none_left),
        Figure(f"{totals.exempt:,}", "exempt"),
    )
    if totals.undetermined:
        figures += (Figure(f"{totals.undetermined:,}", "undetermined", "unsure"),)
    return Card("Repositories", figures)


def _coverage(report: Report) -> Card:
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
    return Card(
        "Coverage",
        (
            _share("of accounts", report.coverage.accounts),
            _share("of their regions", report.coverage.targets),
            _count(accounts.failed, "accounts not checked", "bad"),
            _count(targets.failed, "regions not checked", "bad"),
        ),
        note,
    )


def _share(label: str, share: float) -> Figure:
    return Figure(percent(share), label, "plain" if share == 1 else "bad")


def _count(count: int, label: str, level: Level) -> Figure:
    return Figure(f"{count:,}", label, level if count else "plain")


def _since(report: Report) -> Card:
    title, since = "Since the last sweep", report.since_last
    if since is None:
        return Card(title, (), "This sweep was not compared with an earlier one.")
    if since.unavailable is not None:
        return Card(title, (), f"What changed cannot be told: {since.unavailable}")
    return Card(title, _since_figures(since), f"The last one: {since.run_id}, {since.finished_at}.")


def _since_figures(since: SinceLast) -> tuple[Figure, ...]:
    return (
        _count(since.new, "new", "bad"),
        _count(since.reopened, "reopened", "bad"),
        _count(since.still_open, "still open", "plain"),
        _count(len(since.resolved), "resolved", "good"),
        _count(len(since.not_visible), "no longer visible", "unsure"),
    )


def _changes(report: Report) -> Card:
    changes, run = report.totals.changes, report.run
    note = f"Auto-Remediation is {run.auto_remediate}."
    if words := due_changes(report):
        note += f" {words}."
    if run.dry_run:
        planned = _count(changes.planned - changes.withheld, "would be made", "plain")
        withheld = _count(changes.withheld, "withheld", "unsure")
        return Card("Remediation", (planned, withheld), f"A dry run: nothing was changed. {note}")
    return Card("Remediation", _change_figures(changes), note)


def _change_figures(changes: ChangeTotals) -> tuple[Figure, ...]:
    figures: tuple[Figure, ...] = (
        _count(changes.applied, "applied", "good"),
        _count(changes.failed, "failed", "bad"),
        _count(changes.withheld, "withheld", "unsure"),
    )
    if changes.superseded:
        figures += (_count(changes.superseded, "superseded", "plain"),)
    return figures


def _not_made(report: Report) -> Iterable[Group]:
    """The changes that were not made, once for each reason."""
    reasons = Counter(
        finding.change.reason
        for finding in report.findings
        if finding.change and finding.change.status in _NOT_MADE and finding.change.reason
    )
    for reason, count in reasons.most_common():
        yield Group(reason, count, advice(Stage.CHANGE, reason, report.run))


def _not_checked(report: Report) -> Iterable[Group]:
    failures = sorted(report.failures, key=lambda failure: failure.reason)
    groups = [
        (reason, list(items)) for reason, items in groupby(failures, lambda failure: failure.reason)
    ]
    groups.sort(key=lambda group: -len(group[1]))
    for reason, items in groups:
        yield Group(reason, len(items), advice(items[0].stage, reason, report.run))


def _by_reason(counted: Counter[str]) -> Iterable[Group]:
    return (Group(reason, count) for reason, count in counted.most_common())


def _exemptions(report: Report) -> str:
    """A sentence on how long the exemptions last."""
    today = date.fromisoformat(report.run.finished_at[:10])
    expired = soon = 0
    for finding in report.findings:
        if exemption := finding.exemption:
            expired += exemption.expired
            soon += (
                not exemption.expired
                and exemption.expires is not None
                and (exemption.expires - today).days <= _SOON
            )
    parts = []
    if expired:
        parts.append(f"{number(expired, 'finding has', 'findings have')} an expired one")
    if soon:
        parts.append(f"{soon:,} end within {_SOON} days")
    return f"{'; '.join(parts)}." if parts else ""
