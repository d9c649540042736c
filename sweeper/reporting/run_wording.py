"""Which run a report is of, and what an undo did, in words."""

from __future__ import annotations

from sweeper.domain.escaping import plain
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report, Run, RunSource


def source_words(kind: str, source: RunSource) -> str:
    """Return whose changes a run makes or reverts: "undo of run … (report …)"."""
    return plain(f"{kind} of run {source.run_id} of {source.started_at}, report {source.location}")


def run_words(run: Run) -> str:
    """Return which run this is, and of which report, where it is no sweep."""
    return source_words(f"{run.kind.capitalize()} {run.id}", run.source) if run.source else ""


def undo_words(report: Report) -> str:
    """Return what became of the changes that an undo was about, in figures."""
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
