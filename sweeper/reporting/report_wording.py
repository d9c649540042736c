"""Sentences about a whole report, the same in every format and message for people.

Text that is returned is plain: one line, without anything hidden.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import TypeVar

from sweeper.domain.escaping import plain, shorten
from sweeper.domain.model import (
    ChangeStatus,
    Compliance,
    Finding,
    Resource,
    Stage,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report import count_findings
from sweeper.domain.report_model import (
    ConfigInventory,
    EarlierFinding,
    FailedItem,
    RecordedTarget,
    RecordingGap,
    Report,
    Run,
    RunSource,
    SkippedItem,
)
from sweeper.reporting.wording import RESOURCE_KINDS, number

_Item = TypeVar("_Item", FailedItem, SkippedItem)


def account_names(report: Report) -> dict[str, str]:
    """Return the names of the accounts in scope by their ids."""
    return {account.id: account.name for account in report.accounts}


def account_details(report: Report) -> dict[str, str]:
    """Return the OU and tags by account id, as "OU: Workloads, owner: payments"."""
    found = {}
    for account in report.accounts:
        parts = [f"OU: {shorten(account.ou_names, 256)}"] if account.ou_names else []
        parts += (
            f"{shorten(key, 128)}: {shorten(value, 256)}" for key, value in account.tags.items()
        )
        if parts:
            found[account.id] = ", ".join(parts)
    return found


def tags_unavailable_sentence(report: Report) -> str | None:
    """Return why the tags of some accounts could not be read; None if all were read."""
    why = report.account_tags_unavailable
    return f"The account tags could not be read {shorten(why, 600)}." if why else None


def since_last_words(report: Report) -> str | None:
    """Return how many findings changed since the last sweep, or why that is not known."""
    since = report.since_last
    if since is None:
        return None
    if since.unavailable:
        return f"not known: {shorten(since.unavailable, 600)}"
    return plain(
        f"{since.new:,} new, {since.still_open:,} still open, {since.reopened:,} reopened, "
        f"{len(since.resolved):,} resolved, {len(since.not_visible):,} not checked this time"
    )


def early_failure(report: Report) -> FailedItem | None:
    """Return the failure that ended the sweep before it checked an account, if one did."""
    return next(
        (
            failure
            for failure in report.failures
            if failure.stage is Stage.ENUMERATE and failure.account_id is None
        ),
        None,
    )


def reported_findings(report: Report) -> Sequence[Finding]:
    """Return the findings without those that failed only because the run ended early."""
    failure = early_failure(report)
    if failure is None:
        return report.findings
    return [
        finding
        for finding in report.findings
        if finding.change is None
        or (finding.change.status, finding.change.reason) != (ChangeStatus.FAILED, failure.reason)
    ]


def scope_words(report: Report) -> str | None:
    """Return the scope and what narrows it: "4 accounts, 1 of 3 regions: regions.include".

    None where it is not known.
    """
    of = report.run.scope
    if of is None:
        return None
    accounts = _part_words(of.accounts, of.accounts_listed, "account")
    regions = _part_words(len(of.regions), of.regions_enabled, "region")
    by = f": {', '.join(of.narrowed_by)}" if of.narrowed_by else ""
    return plain(f"{accounts}, {regions}{by}")


def _part_words(count: int, whole: int, what: str) -> str:
    return number(whole, what) if count == whole else f"{count:,} of {number(whole, what)}"


def remaining_words(report: Report) -> str:
    """Return how many findings remain, or how many changes an undo did not revert."""
    count = report.totals.remaining
    return (
        number(count, "change not reverted", "changes not reverted")
        if (report.run.kind == "undo")
        else number(count, "finding")
    )


def exempt_verdict(report: Report, where: str = "") -> str:
    """Return "No finding remains; 27 exempt repositories are mutable"; "" without exempt ones.

    It is for a report in which no repository is mutable without an exemption.
    """
    exempt: Counter[Resource] = Counter(
        finding.resource
        for finding in report.findings
        if finding.compliance is Compliance.EXEMPT and finding.mutability != "IMMUTABLE"
    )
    parts = [
        number(exempt[what], f"exempt {noun}")
        for what, noun in RESOURCE_KINDS.items()
        if exempt[what]
    ]
    if not parts:
        return ""
    none = "No finding remains"
    if report.totals.remaining:
        none = "No repository is mutable without an exemption"
    verb = "is" if exempt.total() == 1 else "are"
    return f"{none}{where}; {' and '.join(parts)} {verb} mutable"


def coverage_sentence(report: Report) -> str:
    """Return a sentence that says what was not checked, or that everything was."""
    if report.coverage.complete:
        if report.run.kind == "events":
            return "Everything that the events name was checked, and nothing else."
        if not report.skipped:
            return "All accounts and regions were checked."
        left_out = skipped_words(report)
        return f"All accounts and regions in scope were checked; skipped: {left_out}."
    if failure := early_failure(report):
        why = "which accounts to sweep could not be determined"
        if failure.reason is Reason.LEASE_HELD:
            why = "another sweep uses the same S3 prefix"
        elif failure.reason is Reason.OTHER_ORGANIZATION:
            why = failure.reason.meaning
        return f"NOTHING WAS CHECKED: {why}."
    clauses = list(_coverage_gaps(report))
    if not report.totals.targets.examined:
        clauses = clauses or ["no account-region was left to examine"]
        return f"NOTHING WAS CHECKED: {'; '.join(clauses)}."
    return f"COVERAGE IS INCOMPLETE: {'; '.join(clauses)}."


def _coverage_gaps(report: Report) -> Iterator[str]:
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
        yield f"{number(count, 'repository')} could not be determined"
    if count := count_findings(report, Compliance.UNDETERMINED):
        yield f"{number(count, 'creation template')} could not be determined"
    if report.config_inventory and (targets := report.config_inventory.not_planned):
        yield f"AWS Config knows of repositories in {number(len(targets), 'other account-region')}"


def checked_sentence(report: Report) -> str:
    """Return a sentence that says how much was checked."""
    totals = report.totals
    where_ = (
        f"{number(totals.targets.examined, 'account-region')} of "
        f"{number(sum(bool(each.regions) for each in report.accounts), 'account')}"
    )
    if report.run.kind == "undo":
        return f"Checked: {where_}."
    repositories = number(totals.repositories.examined, "repository")
    return f"Checked: {repositories} in {where_}."


def skipped_words(report: Report) -> str:
    """Return how many accounts, and how many regions of other accounts, were skipped."""
    accounts = sum(item.region is None for item in report.skipped)
    regions = len(report.skipped) - accounts
    counts = ((accounts, "account"), (regions, "account-region"))
    return ", ".join(number(count, what) for count, what in counts if count)


def source_words(kind: str, source: RunSource) -> str:
    """Return which run and report a run takes its changes from: "Undo of run …, report …"."""
    return plain(f"{kind} of run {source.run_id} of {source.started_at}, report {source.location}")


def not_checked_words(source: RunSource | None) -> str:
    """Return what an apply leaves open of the reviewed report, unchecked; "" if nothing."""
    if source is None:
        return ""
    clauses = []
    if remaining := source.remaining:
        were = "was" if remaining == 1 else "were"
        clauses.append(f"has {number(remaining, 'finding')} that {were} not checked again")
    if source.coverage_complete is False:
        clauses.append("could not check everything")
    return f"The reviewed report {' and '.join(clauses)}" if clauses else ""


def run_words(run: Run) -> str:
    """Return the kind and id of a run and its source; "" for a sweep, which has no source."""
    if run.source is None:
        return ""
    words = source_words(f"{run.kind.capitalize()} {run.id}", run.source)
    return ". ".join(filter(None, (words, not_checked_words(run.source))))


def undo_words(report: Report) -> str:
    """Return how many changes were reverted, and how many were not."""
    changes = report.totals.changes
    already = sum(
        finding.change is not None and finding.change.reason is Reason.ALREADY_RESTORED
        for finding in report.findings
    )
    ended = changes.applied + changes.failed + changes.withheld + changes.superseded
    to_do = f"{changes.planned - ended:,} would be reverted, " if report.run.dry_run else ""
    return (
        f"{to_do}{changes.applied:,} reverted, {already:,} had been reverted already, "
        f"{changes.superseded - already:,} left as they are, {changes.failed:,} failed, "
        f"{changes.withheld:,} withheld"
    )


_MAX_DAYS = 3  # that are named; the others are counted


def due_changes_sentence(report: Report) -> str | None:
    """Return how many changes wait for which day; None where none waits."""
    days = Counter(item.change.due for item in report.findings if item.change and item.change.due)
    if not days:
        return None
    first = sorted(day for day in days if day)
    parts = [f"{days[day]:,} from {day} on" for day in first[:_MAX_DAYS]]
    if more := sum(days[day] for day in first[_MAX_DAYS:]):
        parts.append(f"{more:,} later")
    return f"{number(days.total(), 'change')} announced: {', '.join(parts)}"


def wave_rows(report: Report) -> Iterator[tuple[str, str, str, str]]:
    """Yield the day, the state, the accounts and the changes of each wave of a rollout."""
    scope = report.run.write_scope
    today = date.fromisoformat(report.run.started_at[:10])
    for wave in scope.waves if scope else ():
        is_open = "open" if wave.day <= today else "later"
        accounts, changes = number(wave.accounts, "account"), number(wave.changes, "change")
        yield str(wave.day), is_open, accounts, changes


_STATUSES = {
    "failed": "the aggregator does not get the data of",
    "outdated": "the aggregator has old data of",
    "no_record": "no repository is recorded, though the sweep found some, in",
}


def aggregator_name(inventory: ConfigInventory) -> str:
    """Return the name and region of the aggregator."""
    return plain(f"aggregator {inventory.aggregator} in {inventory.region}")


def inventory_sentences(inventory: ConfigInventory) -> Iterator[str]:
    """Yield what the aggregator has recorded, and how that differs from the sweep."""
    if inventory.unavailable:
        yield f"AWS Config could not be read ({shorten(inventory.unavailable, 600)})."
        return
    repositories = number(inventory.repositories, "repository")
    yield (
        f"AWS Config has recorded {repositories} in the scope of this sweep, "
        f"{inventory.mutable:,} mutable. What it recorded does not count as checked."
    )
    if count := inventory.deleted_since:
        was = number(count, "recorded repository was", "recorded repositories were")
        yield f"{was} not there any more when the sweep read the region: deleted since then."
    if count := inventory.recorded_since:
        was = number(count, "repository was", "repositories were")
        yield f"{was} recorded after the sweep began, in regions that it did not know of."
    if why := inventory.sources_unavailable:
        yield f"Which accounts are not recorded is not known ({shorten(why, 600)})."


def recorded_words(target: RecordedTarget) -> str:
    """Return what AWS Config last recorded in the account and region."""
    if not target.repositories:
        return "no repository recorded"
    undetermined = f", {target.undetermined:,} undetermined" if target.undetermined else ""
    repositories = number(target.repositories, "repository")
    return (
        f"{repositories}, {target.mutable:,} mutable{undetermined}, last recorded "
        f"{plain(target.captured_at or 'at an unknown time')}"
    )


def recording_words(gap: RecordingGap) -> str:
    """Return why AWS Config has no recent data of the account."""
    words = f"{_STATUSES[gap.status]} {number(gap.regions, 'region')}"
    if gap.updated_at:
        words += f", last updated {plain(gap.updated_at)}"
    return f"{words} ({shorten(gap.error, 200)})" if gap.error else words


def repository_counts(report: Report) -> str:
    """Return how many repositories were examined, and how many have which verdict."""
    totals = report.totals.repositories
    return (
        f"{totals.examined:,} examined: {totals.compliant:,} compliant, "
        f"{totals.non_compliant:,} non-compliant, {totals.exempt:,} exempt, "
        f"{totals.undetermined:,} undetermined"
    )


def change_counts(report: Report) -> str:
    """Return how many changes were planned, and how many have which status."""
    changes = report.totals.changes
    return (
        f"{changes.planned:,} planned: {changes.applied:,} applied, {changes.failed:,} failed, "
        f"{changes.withheld:,} withheld, {changes.superseded:,} superseded"
    )


def exempt_lines(report: Report) -> Iterator[str]:
    """Yield how many exempt findings of each kind a message leaves out."""
    for resource, noun in RESOURCE_KINDS.items():
        count = report.totals.repositories.exempt
        if resource != "repository":
            count = count_findings(report, Compliance.EXEMPT, resource)
        if count:
            yield f"Exempt, and not listed: {number(count, noun)}"


def group_by_reason(items: Sequence[_Item]) -> list[tuple[Reason, list[_Item]]]:
    """Return the items of each reason, in the order of the reasons."""
    ordered = sorted(items, key=lambda item: item.reason)
    return [(reason, list(group)) for reason, group in groupby(ordered, lambda item: item.reason)]


def earlier_findings(report: Report) -> tuple[tuple[str, Sequence[EarlierFinding]], ...]:
    """Return the findings that only the last report has, in lists with their titles."""
    since = report.since_last
    return (
        ("Resolved since the last sweep", since.resolved if since else ()),
        ("Not checked this time, and not resolved", since.not_visible if since else ()),
    )
