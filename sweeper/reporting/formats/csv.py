"""report.csv: findings, failures and what was skipped in one flat table, safe in a spreadsheet.

Each account tag that the report has is a column, ``tag:owner``, after the others.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping

from sweeper.domain.escaping import csv_cell
from sweeper.domain.masking import in_pieces
from sweeper.domain.model import Finding
from sweeper.domain.report_model import EarlierFinding, FailedItem, Report, SkippedItem
from sweeper.reporting.formats.base import Format
from sweeper.reporting.impact_wording import moved_tags
from sweeper.reporting.wording import exemption_words, setting_words

_COLUMNS = (
    "record",
    "account_id",
    "account_name",
    "region",
    "repository",
    "arn",
    "mutability",
    "exclusion_filters",
    "compliance",
    "reason",
    "exemption",
    "change_status",
    "change_reason",
    "change_to",
    "error_code",
    "message",
    "stage",
    "since_last",
    "reopened",
    "last_seen",
    "check",
    "resource",
    "moved_tags",
    "suggested_exclusions",
    "ou",
    "change_due",
    "announced",
)


class _Line:
    """A file for the csv module that returns each row instead of writing it."""

    def write(self, text: str) -> bytes:
        """Return the row."""
        return text.encode()


def _render(report: Report) -> Iterator[bytes]:
    """Yield a header, then one row for each finding, failure and skipped item.

    Findings that only the last report has follow, as `resolved` or `not_visible`.
    """
    return in_pieces(_lines(report))


def _lines(report: Report) -> Iterator[bytes]:
    details = _details(report)
    more = {column for cells in details.values() for column in cells} - set(_COLUMNS)
    columns = (*_COLUMNS, *sorted(more))
    writer = csv.writer(_Line(), lineterminator="\n")
    write: Callable[[Iterable[str | None]], bytes] = writer.writerow
    yield write(map(csv_cell, columns))
    for row in _rows(report, details):
        yield write([value and csv_cell(value) for value in map(row.get, columns)])


def _details(report: Report) -> dict[str, dict[str, str | None]]:
    """Return the cells that describe an account by its id: name, OU and tags."""
    return {
        account.id: {
            "account_name": account.name,
            "ou": account.ou_names or account.ou_path,
            **{f"tag:{key}": value for key, value in account.tags.items()},
        }
        for account in report.accounts
    }


def _rows(
    report: Report, details: Mapping[str, Mapping[str, str | None]]
) -> Iterator[dict[str, str | None]]:
    for finding in report.findings:
        yield {**details.get(finding.account_id, {}), **_finding(finding)}
    for failure in report.failures:
        yield {**details.get(failure.account_id or "", {}), **_failure(failure)}
    for skipped in report.skipped:
        yield {**details.get(skipped.account_id, {}), **_skipped_row(skipped)}
    if since := report.since_last:
        for item in since.resolved:
            yield _earlier("resolved", item)
        for item in since.not_visible:
            yield _earlier("not_visible", item)


def _finding(finding: Finding) -> dict[str, str | None]:
    row: dict[str, str | None] = {
        "record": "finding",
        "account_id": finding.account_id,
        "account_name": finding.account_name,
        "region": finding.region,
        "repository": finding.repository,
        "arn": finding.arn,
        "mutability": finding.mutability,
        "exclusion_filters": " ".join(finding.exclusion_filters),
        "compliance": finding.compliance,
        "reason": finding.reason,
        "since_last": finding.since_last,
        "reopened": str(finding.reopened or ""),
        "check": finding.check,
        "resource": finding.resource,
        "announced": str(finding.announced or ""),
    }
    if finding.exemption:
        row["exemption"] = exemption_words(finding.exemption)
    if change := finding.change:
        row["change_status"] = change.status
        row["change_reason"] = change.reason
        row["change_to"] = setting_words(change.to_mutability, change.to_exclusion_filters)
        row["message"] = change.error
        row["change_due"] = str(change.due or "")
    if impact := finding.impact:
        row["moved_tags"] = moved_tags(impact)
        row["suggested_exclusions"] = " ".join(impact.exclusions)
    return row


def _failure(failure: FailedItem) -> dict[str, str | None]:
    return {
        "record": "failure",
        "account_id": failure.account_id,
        "region": failure.region,
        "reason": failure.reason,
        "error_code": failure.error_code,
        "message": failure.message,
        "stage": failure.stage,
    }


def _skipped_row(skipped: SkippedItem) -> dict[str, str | None]:
    return {
        "record": "skipped",
        "account_id": skipped.account_id,
        "region": skipped.region,
        "reason": skipped.reason,
    }


def _earlier(record: str, item: EarlierFinding) -> dict[str, str | None]:
    return {
        "record": record,
        "account_id": item.account_id,
        "account_name": item.account_name,
        "region": item.region,
        "repository": item.repository,
        "mutability": item.mutability,
        "reason": "open when last seen" if item.was_open else "fixed by then",
        "reopened": str(item.reopened or ""),
        "last_seen": item.last_seen,
        "check": item.check,
        "resource": item.resource,
    }


FORMAT = Format("csv", "csv", "text/csv; charset=utf-8", _render)
