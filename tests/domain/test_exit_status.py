"""The exit status of an apply: never better than what the reviewed report says of the rest."""

from __future__ import annotations

from dataclasses import replace

from sweeper.domain.errors import ExitStatus
from sweeper.domain.exit_status import exit_status, source_status
from sweeper.domain.report_model import Delivery, RunSource
from tests import factories
from tests.cases import case

LOST = Delivery("s3", "s3://bucket", "failed")
# What an apply did not check again, findings and coverage, and what is known of what it did check.
CASES: tuple[tuple[tuple[int | None, bool | None], tuple[int, bool], int], ...] = (
    ((None, None), (0, True), 0),  # an undo: nothing else is known
    ((0, True), (0, True), 0),
    ((1, True), (0, True), 3),
    ((0, False), (0, True), 4),
    ((1, False), (0, True), 4),
    ((0, True), (1, True), 3),
    ((0, True), (0, False), 4),
    ((1, True), (0, False), 4),
    ((0, False), (1, True), 4),
)


def source(remaining: int | None, complete: bool | None) -> RunSource:
    return RunSource("run", "then", "report.json", remaining, complete)


def test_the_rest_of_the_reviewed_report_counts_too() -> None:
    for before, (remaining, complete), status in CASES:
        with case(before, remaining, complete):
            report = factories.report([])
            report = replace(
                report,
                run=replace(report.run, kind="apply", source=source(*before)),
                totals=replace(report.totals, remaining=remaining),
                coverage=replace(report.coverage, complete=complete),
            )
            assert exit_status(report) == status
            assert exit_status(replace(report, deliveries=(LOST,))) == 5
            assert exit_status(report, ()) == 0


def test_where_nothing_is_to_be_applied_the_reviewed_report_alone_decides() -> None:
    for before, now, status in CASES:
        if now == (0, True):
            with case(before):
                assert source_status(source(*before)) == status
    both = source(2, complete=False)
    for fail_on, status in (((3, 4), 4), ((3,), 3), ((4,), 4), ((5,), 0), ((), 0)):
        with case(fail_on):
            assert source_status(both, fail_on) == ExitStatus(status)
