"""What changed since the previous sweep, and the trend over the last ones: pure functions.

Two things are stored between sweeps. The previous report has its findings, and those of accounts
and regions that could not be checked since. The history has a point for each sweep, and the
repositories that a sweep made immutable: these are in no report while they stay immutable, and are
reopened when they are found mutable, even years later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from sweeper.domain.model import ChangeStatus, Compliance, Finding, Key, Since
from sweeper.domain.reasons import Reason
from sweeper.domain.report import is_remaining
from sweeper.domain.report_model import (
    SCHEMA_VERSION,
    AccountSummary,
    EarlierFinding,
    Report,
    Run,
    SinceLast,
    TrendPoint,
)

_MAX_POINTS = 60  # of the trend: two months of daily sweeps
_NO_FINDING = (Compliance.EXEMPT, Compliance.COMPLIANT)
_MAX_CLOSURES = 50_000  # the latest; 10 MB


@dataclass(frozen=True, slots=True)
class RemediationRecord:
    """A repository that a sweep made immutable; `reopened` counts how often it was mutable later.

    `announced` is as its finding had it: a change that was announced once needs no second notice.
    """

    check: str
    account_id: str
    region: str
    repository: str
    closed_at: str
    reopened: int
    announced: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The content of history.json, about all sweeps. The oldest point comes first."""

    schema_version: Literal["2"] = SCHEMA_VERSION
    organization_id: str | None
    account_id: str | None
    points: tuple[TrendPoint, ...]
    closures: tuple[RemediationRecord, ...]


NO_HISTORY = History(organization_id=None, account_id=None, points=(), closures=())


def same_organization(one: Run | History, other: Run | History) -> bool:
    """Tell whether both are about one organization, as far as that is known.

    Where Organizations was not called, the caller's account decides.
    """
    if one.organization_id and other.organization_id:
        return one.organization_id == other.organization_id
    if one.account_id and other.account_id:
        return one.account_id == other.account_id
    return True  # one of them ended before it knew


def compare_reports(
    report: Report, previous: Report, history: History, checks: Collection[str]
) -> Report:
    """Return the report with what changed since `previous`; `checks` names those that ran.

    If `previous` is of this very run, before it was resumed, the comparison of then is continued.
    So is that of a dry run, which notified nobody: what was new in it is still new. A dry run that
    was compared with no sweep is compared only with another dry run.
    """
    since = previous.since_last
    run_id, finished_at = previous.run.id, previous.run.finished_at
    judged: dict[Key, Finding] = {}
    closures = _closures(previous, history)
    is_same = run_id == report.run.id
    of_dry_run = is_same and bool(since and since.of_dry_run)
    if not is_same and not previous.run.dry_run:
        earlier = _earlier_findings(previous)
    elif not is_same and (since is None or since.run_id is None or since.of_dry_run):
        if not report.run.dry_run:
            why = "the last report is of a dry run, which was compared with no sweep"
            return comparison_unavailable(report, why)
        earlier, of_dry_run = _earlier_findings(previous), True
    elif since is None or since.unavailable or since.run_id is None:
        why = (since and since.unavailable) or "the run did not tell before"
        return comparison_unavailable(report, why)
    else:
        judged = _judged(previous, report.run, closures)
        run_id, finished_at = since.run_id, since.finished_at or ""
        # Add what the comparison of then had, and this report does not.
        compared = {key_of(item): item for item in (*since.resolved, *since.not_visible)}
        earlier = {**_earlier_findings(previous), **compared}
    findings = [
        replace(finding, since_last=before.since_last, reopened=before.reopened)
        if (before := judged.get(finding.key)) and finding.compliance not in _NO_FINDING
        else _compare(finding, earlier.get(finding.key), closures.get(finding.key), previous)
        for finding in report.findings
    ]
    known: list[EarlierFinding | RemediationRecord] = [*closures.values(), *earlier.values()]
    before_now = {key_of(item): item.announced for item in known if item.announced}
    announced = [_with_announcement(finding, before_now, report.run) for finding in findings]
    found = {finding.key for finding in findings if finding.compliance is not Compliance.COMPLIANT}
    accounts = {account.id: account for account in report.accounts}
    resolved: list[EarlierFinding] = []
    not_visible: list[EarlierFinding] = []
    for item in sorted(earlier.values(), key=_order):
        if key_of(item) not in found:
            gone = item.check in checks and _was_examined(item, accounts)
            (resolved if gone else not_visible).append(item)
    kinds = [finding.since_last for finding in findings]
    return replace(
        report,
        findings=announced,
        since_last=SinceLast(
            run_id=run_id,
            finished_at=finished_at,
            unavailable=None,
            new=kinds.count(Since.NEW),
            still_open=kinds.count(Since.STILL_OPEN),
            reopened=kinds.count(Since.REOPENED),
            resolved=tuple(resolved),
            not_visible=tuple(not_visible),
            gaps=_gaps(report),
            coverage_changed=_coverage_changed(report, previous),
            announced=_count_new(announced, before_now),
            of_dry_run=of_dry_run,
        ),
    )


def comparison_unavailable(report: Report, why: str) -> Report:
    """Return the report with why it has no comparison."""
    findings = [_with_announcement(finding, {}, report.run) for finding in report.findings]
    since = SinceLast(
        None, None, why, 0, 0, 0, gaps=_gaps(report), announced=_count_new(findings, {})
    )
    return replace(report, findings=findings, since_last=since)


def _with_announcement(finding: Finding, before: Mapping[Key, date], run: Run) -> Finding:
    """Return the finding with the day on which its change was announced: today, if that is new.

    A report that plans no change of a finding ends its notice.
    """
    if finding.compliance in _NO_FINDING:
        return finding
    if finding.compliance is Compliance.NON_COMPLIANT and finding.change is None:
        return finding
    known = finding.announced or before.get(finding.key)
    if known is None and finding.change and finding.change.due:
        known = date.fromisoformat(run.started_at[:10])
    return finding if known == finding.announced else replace(finding, announced=known)


def _count_new(findings: Iterable[Finding], before: Mapping[Key, date]) -> int:
    return sum(finding.announced is not None and finding.key not in before for finding in findings)


def _gaps(report: Report) -> str:
    gaps = sorted(
        (failure.account_id or "", failure.region or "", failure.reason, failure.targets or 0)
        for failure in report.failures
    )
    if inventory := report.config_inventory:
        gaps += sorted(
            (target.account_id, target.region or "", Reason.RECORDED_NOT_PLANNED, 0)
            for target in inventory.not_planned
        )
    return hashlib.sha256(repr(gaps).encode()).hexdigest()


def _coverage_changed(report: Report, previous: Report) -> bool | None:
    """Tell whether other things could not be checked than before; None where that is not known."""
    before = previous.since_last.gaps if previous.since_last else None
    if before is None or previous.run.dry_run or previous.run.id == report.run.id:
        return None
    return before != _gaps(report)


def is_changed(report: Report) -> bool:
    """Tell whether the sweep has news compared with the one before, or may have.

    Changes of that sweep are no news, nor are gaps that it had, too. A sweep that checked nothing
    always is.
    """
    since, changes = report.since_last, report.totals.changes
    return bool(
        since is None
        or since.unavailable
        or since.coverage_changed is not False
        or since.new
        or since.announced
        or since.reopened
        or any(item.was_open for item in since.resolved)
        or changes.applied
        or changes.failed
        or not report.totals.targets.examined
    )


def add_trend(report: Report, history: History, *, narrowed: bool) -> Report:
    """Return the report with the history's points and its own.

    A sweep that an option narrowed to some accounts or regions, or that examined nothing, is no
    point: its figures would be read as those of the organization.
    """
    own = () if narrowed or not report.totals.targets.examined else (_point(report),)
    return replace(report, trend=_join_points(history.points, own))


def update_history(history: History, report: Report) -> History:
    """Return the history with the sweep of `report`; adding it twice changes nothing."""
    run = report.run
    own = [point for point in report.trend if point.run_id == run.id]
    closures = {key_of(closure): closure for closure in history.closures}
    for finding in report.findings:
        _record_remediation(finding, run, closures)
    latest = sorted(closures.values(), key=lambda closure: closure.closed_at)[-_MAX_CLOSURES:]
    return History(
        organization_id=run.organization_id or history.organization_id,
        account_id=run.account_id or history.account_id,
        points=_join_points(history.points, own),
        closures=tuple(sorted(latest, key=_order)),
    )


def _record_remediation(finding: Finding, run: Run, closures: dict[Key, RemediationRecord]) -> None:
    key = finding.key
    if finding.compliance is Compliance.EXEMPT:
        closures.pop(key, None)  # it may be mutable: a later finding about it is new
        return
    if finding.compliance is Compliance.COMPLIANT:
        return
    known = closures.get(key)
    if _is_applied(finding):
        closures[key] = _remediation_record(finding, known, run)
    elif known:
        count = max(finding.reopened, known.reopened)
        closures[key] = replace(known, reopened=count)


def _is_applied(finding: Finding) -> bool:
    return finding.change is not None and finding.change.status is ChangeStatus.APPLIED


def _remediation_record(
    finding: Finding, known: RemediationRecord | None, run: Run
) -> RemediationRecord:
    count = max(finding.reopened, known.reopened if known else 0)
    announced = finding.announced or (known.announced if known else None)
    return RemediationRecord(*finding.key, run.finished_at, count, announced)


def _earlier_findings(previous: Report) -> dict[Key, EarlierFinding]:
    """Return the findings of the previous sweep, and mutable ones that it could not check.

    A fixed one that could not be checked is reported once: its record in the history suffices.
    """
    not_visible = previous.since_last.not_visible if previous.since_last else ()
    earlier = {key_of(item): item for item in not_visible if item.was_open}
    for finding in previous.findings:
        if finding.compliance in _NO_FINDING:
            continue
        earlier[finding.key] = EarlierFinding(
            check=finding.check,
            account_id=finding.account_id,
            account_name=finding.account_name,
            region=finding.region,
            repository=finding.repository,
            mutability=finding.mutability,
            was_open=is_remaining(finding),
            reopened=finding.reopened,
            last_seen=previous.run.finished_at,
            resource=finding.resource,
            announced=finding.announced,
        )
    return earlier


def count_lost_changes(stored: Report, report: Report) -> int:
    """Count the changes that were applied, or may have been, and that only `stored` has."""
    kept, there = (
        {item.key for item in each.findings if item.change and item.change.may_be_made}
        for each in (report, stored)
    )
    return len(there - kept)


def _closures(previous: Report, history: History) -> dict[Key, RemediationRecord]:
    """Return what sweeps fixed. The previous one's history may not have been written."""
    closures = {key_of(closure): closure for closure in history.closures}
    for finding in previous.findings:
        if _is_applied(finding):
            known = closures.get(finding.key)
            closures[finding.key] = _remediation_record(finding, known, previous.run)
    return closures


def _judged(
    previous: Report, run: Run, closures: Mapping[Key, RemediationRecord]
) -> dict[Key, Finding]:
    """Return the findings that `previous` compared, without what was fixed after a dry run."""
    judged = {finding.key: finding for finding in previous.findings if finding.since_last}
    if previous.run.id == run.id:
        return judged
    return {
        key: finding
        for key, finding in judged.items()
        if key not in closures or closures[key].closed_at <= previous.run.finished_at
    }


def _compare(
    finding: Finding,
    earlier: EarlierFinding | None,
    closure: RemediationRecord | None,
    previous: Report,
) -> Finding:
    """Return the finding compared with what was known of it."""
    if finding.compliance in _NO_FINDING:
        return finding
    count = max(earlier.reopened if earlier else 0, closure.reopened if closure else 0)
    # A later record is of a sweep whose report did not become the latest.
    if (
        closure
        and finding.compliance is Compliance.NON_COMPLIANT
        and (
            earlier is None or not earlier.was_open or closure.closed_at > previous.run.finished_at
        )
    ):
        return replace(finding, since_last=Since.REOPENED, reopened=count + 1)
    was_open = earlier is not None and earlier.was_open
    return replace(finding, since_last=Since.STILL_OPEN if was_open else Since.NEW, reopened=count)


def _was_examined(item: EarlierFinding, accounts: Mapping[str, AccountSummary]) -> bool:
    account = accounts.get(item.account_id)
    return account is not None and item.region in account.regions


def _point(report: Report) -> TrendPoint:
    totals, coverage = report.totals, report.coverage
    return TrendPoint(
        run_id=report.run.id,
        finished_at=report.run.finished_at,
        repositories=totals.repositories.examined,
        non_compliant=totals.repositories.non_compliant,
        exempt=totals.repositories.exempt,
        remaining=totals.remaining,
        changes_applied=totals.changes.applied,
        accounts=coverage.accounts,
        targets=coverage.targets,
        complete=coverage.complete,
    )


def _join_points(points: Iterable[TrendPoint], own: Iterable[TrendPoint]) -> tuple[TrendPoint, ...]:
    by_run = {point.run_id: point for point in (*points, *own)}
    # A stable sort: points of the same second stay in order.
    ordered = sorted(by_run.values(), key=lambda point: point.finished_at)
    return tuple(ordered[-_MAX_POINTS:])


def key_of(item: Finding | EarlierFinding | RemediationRecord) -> Key:
    """Return the identity of a finding, in whichever record it is."""
    return item.check, item.account_id, item.region, item.repository


def _order(item: EarlierFinding | RemediationRecord) -> tuple[str, str, str, str]:
    return item.account_id, item.region, item.repository, item.check
