"""The exit status of a run: pure functions of its report."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from sweeper.domain.errors import ExitStatus
from sweeper.domain.model import Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import FailedItem, Report, RunSource


def exit_status(report: Report, fail_on: Collection[int] = tuple(ExitStatus)) -> ExitStatus:
    """Return what the report, deliveries included, means for the command's exit status.

    Of what does not end a sweep, only the statuses in `fail_on` are used.
    """
    if (status := _enumeration_status(report.failures)) is not None:
        return status
    found = set(_statuses_of(report.totals.remaining, complete=report.coverage.complete))
    if any(each.status == "failed" for each in report.deliveries):
        found.add(ExitStatus.NOT_DELIVERED)
    if report.run.source:
        found.update(_statuses_of_source(report.run.source))
    return _highest(found, fail_on)


def source_status(source: RunSource, fail_on: Collection[int] = tuple(ExitStatus)) -> ExitStatus:
    """Return the exit status of an apply that has nothing to apply: REPORT alone decides."""
    return _highest(_statuses_of_source(source), fail_on)


def _enumeration_status(failures: Sequence[FailedItem]) -> ExitStatus | None:
    """Return the exit status of a failure that left nothing to check; None where there is none."""
    reasons = {item.reason for item in failures if item.stage is Stage.ENUMERATE}
    if any(reason.ends_run for reason in reasons):
        return ExitStatus.UNUSABLE
    if Reason.INTERNAL_ERROR in reasons:
        return ExitStatus.INTERNAL_ERROR
    if any(failure.reason is Reason.LEASE_HELD for failure in failures):
        return ExitStatus.LEASE_HELD
    return None


def _statuses_of_source(source: RunSource) -> Iterator[ExitStatus]:
    """Yield what REPORT says that the run did not check again; of an undo nothing is known."""
    return _statuses_of(source.remaining or 0, complete=source.coverage_complete is not False)


def _statuses_of(remaining: int, *, complete: bool) -> Iterator[ExitStatus]:
    if remaining:
        yield ExitStatus.FINDINGS_REMAIN
    if not complete:
        yield ExitStatus.COVERAGE_INCOMPLETE


def _highest(found: Iterable[ExitStatus], fail_on: Collection[int]) -> ExitStatus:
    return max((each for each in found if each in fail_on), default=ExitStatus.CLEAN)
