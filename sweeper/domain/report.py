"""Outcomes -> one Report, its coverage and the exit status: pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain, groupby
from operator import attrgetter

from sweeper.domain.model import (
    ACCOUNT_EXCLUDED,
    Account,
    ChangeStatus,
    Compliance,
    Examined,
    Failed,
    Finding,
    OpenedAccount,
    Resource,
    Skipped,
    Target,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import (
    SCHEMA_VERSION,
    AccountSummary,
    AccountTotals,
    ChangeTotals,
    Coverage,
    FailedItem,
    Report,
    RepositoryTotals,
    Run,
    RunKind,
    SkippedItem,
    TargetTotals,
    Totals,
)

AccountOutcome = tuple[Account, OpenedAccount | Skipped | Failed]
TargetOutcome = tuple[Target, Examined | Skipped | Failed]

# Stands in a failure's message for its target's region: no service says it.
_REGION = "\ue000"


def is_remaining(finding: Finding) -> bool:
    """Tell whether the finding is left when the run ends; see `is_unrestored` for an undo."""
    change = finding.change
    match finding.compliance:
        case Compliance.EXEMPT | Compliance.COMPLIANT:
            return False
    return change is None or not (
        change.status is ChangeStatus.APPLIED
        or (change.status is ChangeStatus.SUPERSEDED and change.reason in _GONE)
    )


_GONE = (Reason.NOW_COMPLIANT, Reason.REPOSITORY_DELETED)


def is_unrestored(finding: Finding) -> bool:
    """Tell whether an undo did not restore the repository; what a dry run plans counts as done."""
    change = finding.change
    return change is None or not (
        change.status in (ChangeStatus.APPLIED, ChangeStatus.PLANNED)
        or change.reason in (Reason.ALREADY_RESTORED, Reason.REPOSITORY_DELETED)
    )


def remaining_rule(kind: RunKind) -> Callable[[Finding], bool]:
    """Return what says whether a finding remains at the end of such a run."""
    return is_unrestored if kind == "undo" else is_remaining


def count_non_compliant(report: Report, resource: Resource | None = "repository") -> int:
    """Count the repositories that are mutable after the sweep; or what makes such ones.

    None: whatever any check found.
    """
    return sum(
        finding.compliance is Compliance.NON_COMPLIANT
        and resource in (None, finding.resource)
        and is_remaining(finding)
        for finding in report.findings
    )


def count_applied(report: Report, resource: Resource = "repository") -> int:
    """Count the repositories that this sweep made immutable; or what makes such ones."""
    return sum(
        finding.change is not None
        and finding.change.status is ChangeStatus.APPLIED
        and finding.resource == resource
        for finding in report.findings
    )


def count_findings(
    report: Report, compliance: Compliance, resource: Resource = "repository_creation_template"
) -> int:
    """Return the findings of that verdict; totals count repositories alone."""
    return sum(
        finding.compliance is compliance and finding.resource == resource
        for finding in report.findings
    )


def measure_coverage(
    accounts: Iterable[AccountOutcome], targets: Iterable[TargetOutcome]
) -> Coverage:
    """Measure how much was checked of what was to be checked; a skip was not to be checked."""
    opened = chosen = examined = planned = 0
    complete = True
    seen: set[str] = set()
    for target, outcome in targets:
        match outcome:
            case Examined(findings=findings):
                seen.add(target.account.id)
                examined += 1
                planned += 1
                complete = complete and not any(
                    finding.compliance is Compliance.UNDETERMINED for finding in findings
                )
            case Failed():
                planned += 1
                complete = False
            case _:  # Skipped
                continue
    for account, account_outcome in accounts:
        # Examined where its regions were named; those that could not be read are accepted.
        partly = isinstance(account_outcome, Skipped) and account.id in seen
        chosen += partly or not isinstance(account_outcome, Skipped)
        opened += partly or isinstance(account_outcome, OpenedAccount)
        complete = complete and not isinstance(account_outcome, Failed)
    return Coverage(
        accounts=_share(opened, chosen),
        targets=_share(examined, planned),
        # Where all is an accepted gap or left out, nothing was checked: that is not complete.
        complete=complete and examined > 0,
    )


def _share(part: int, whole: int) -> float:
    """Return the share; that of nothing is 0: nothing was checked."""
    return part / whole if whole else 0.0


def aggregate(
    run: Run,
    accounts: Sequence[AccountOutcome],
    targets: Iterable[TargetOutcome],
    unreached: Iterable[Finding] = (),
) -> Report:
    """Return the report on these outcomes, each account and each target exactly once among them.

    `unreached` are findings of an earlier report whose targets were not examined.
    """
    targets = sorted(targets, key=lambda pair: pair[0].region)
    targets.sort(key=lambda pair: pair[0].account.id)  # stable, and without a key for each
    accounts = sorted(accounts, key=lambda pair: pair[0].id)
    findings = sorted(
        chain(
            unreached,
            (
                finding
                for _, outcome in targets
                if isinstance(outcome, Examined)
                for finding in outcome.findings
            ),
        ),
        key=attrgetter("account_id", "region", "repository", "check"),
    )
    return Report(
        schema_version=SCHEMA_VERSION,
        run=run,
        totals=_totals(run, accounts, targets, findings),
        coverage=measure_coverage(accounts, targets),
        accounts=_summaries(accounts, targets),
        findings=findings,
        skipped=_skipped_items(accounts, targets),
        failures=_failures(accounts, targets),
    )


def ended_early(run: Run, failure: Failed, unreached: Iterable[Finding] = ()) -> Report:
    """Return the report of a run that could not list the accounts; see `aggregate`."""
    findings = tuple(unreached)
    return Report(
        schema_version=SCHEMA_VERSION,
        run=run,
        totals=_totals(run, (), (), findings),
        coverage=Coverage(accounts=0.0, targets=0.0, complete=False),
        accounts=(),
        findings=findings,
        skipped=(),
        failures=(_failed_item(None, None, failure),),
    )


def cut_short(report: Report) -> bool:
    """Tell whether the sweep, or a worker, was stopped before its end: it can be resumed."""
    reasons: list[Reason | None] = [failure.reason for failure in report.failures]
    reasons += [finding.change.reason for finding in report.findings if finding.change]
    return any(
        reason is Reason.WORKER_FAILED or (reason is not None and reason.is_stop)
        for reason in reasons
    )


def nothing_listed(report: Report) -> bool:
    """Tell whether the sweep ended before it knew which accounts there are."""
    return any(failure.account_id is None for failure in report.failures)


def replaces_last(report: Report) -> bool:
    """Tell whether the report takes the place of the last sweep's.

    Only a sweep that examined something does: a start that failed must not cost a good report.
    """
    return report.run.kind == "sweep" and report.totals.targets.examined > 0


def may_have_changed(report: Report) -> bool:
    """Tell whether the sweep changed anything, or may have: its report is what an undo needs."""
    return any(finding.change and finding.change.may_be_made for finding in report.findings)


def _totals(
    run: Run,
    accounts: Sequence[AccountOutcome],
    targets: Sequence[TargetOutcome],
    findings: Sequence[Finding],
) -> Totals:
    by_account = Counter(type(outcome) for _, outcome in accounts)
    by_target = Counter(type(outcome) for _, outcome in targets)
    compliant = non_compliant = exempt = 0
    for _, outcome in targets:
        if isinstance(outcome, Examined):
            compliant += outcome.counts.compliant
            non_compliant += outcome.counts.non_compliant
            exempt += outcome.counts.exempt
    undetermined = sum(
        finding.compliance is Compliance.UNDETERMINED and finding.resource == "repository"
        for finding in findings
    )
    changes = Counter(finding.change.status for finding in findings if finding.change)
    return Totals(
        accounts=AccountTotals(
            planned=len(accounts),
            opened=by_account[OpenedAccount],
            skipped=by_account[Skipped],
            failed=by_account[Failed],
        ),
        targets=TargetTotals(
            planned=len(targets),
            examined=by_target[Examined],
            skipped=by_target[Skipped],
            failed=by_target[Failed],
        ),
        repositories=RepositoryTotals(
            examined=compliant + non_compliant + exempt + undetermined,
            compliant=compliant,
            non_compliant=non_compliant,
            exempt=exempt,
            undetermined=undetermined,
        ),
        changes=ChangeTotals(
            planned=changes.total(),
            applied=changes[ChangeStatus.APPLIED],
            failed=changes[ChangeStatus.FAILED],
            withheld=changes[ChangeStatus.WITHHELD],
            superseded=changes[ChangeStatus.SUPERSEDED],
        ),
        remaining=sum(map(remaining_rule(run.kind), findings)),
    )


def _summaries(
    accounts: Sequence[AccountOutcome], targets: Sequence[TargetOutcome]
) -> tuple[AccountSummary, ...]:
    """Return a summary of each account in scope, whatever became of it."""
    regions: dict[str, dict[str, tuple[int, int, int]]] = {}
    for target, outcome in targets:
        if isinstance(outcome, Examined):
            regions.setdefault(target.account.id, {})[target.region] = outcome.counts
    return tuple(
        AccountSummary(
            account.id,
            account.name,
            None if account.ou_path is None else "/".join(account.ou_path),
            account.state,
            regions.get(account.id, _NO_REGIONS),
        )
        for account, outcome in accounts
        if outcome != ACCOUNT_EXCLUDED
    )


_NO_REGIONS: Mapping[str, tuple[int, int, int]] = {}


def _skipped_items(
    accounts: Sequence[AccountOutcome], targets: Sequence[TargetOutcome]
) -> tuple[SkippedItem, ...]:
    items = [
        SkippedItem(account.id, None, outcome.reason)
        for account, outcome in accounts
        if isinstance(outcome, Skipped)
    ]
    items += [
        SkippedItem(target.account.id, target.region, skipped.reason)
        for target, skipped in targets
        if isinstance(skipped, Skipped)
    ]
    return tuple(sorted(items, key=lambda item: (item.account_id, item.region or "")))


def _failures(
    accounts: Sequence[AccountOutcome], targets: Sequence[TargetOutcome]
) -> tuple[FailedItem, ...]:
    items = [_failed_item(account.id, None, f) for account, f in accounts if isinstance(f, Failed)]
    for account_id, of_account in groupby(targets, key=lambda pair: pair[0].account.id):
        planned = [(target, f) for target, f in of_account if not isinstance(f, Skipped)]
        failed = [(target.region, f) for target, f in planned if isinstance(f, Failed)]
        if len(failed) > 1 and len(failed) == len(planned) and len({f for _, f in failed}) == 1:
            items.append(_failed_item(account_id, None, failed[0][1], len(failed)))
        else:
            items += [_failed_item(account_id, region, f) for region, f in failed]
    return tuple(sorted(items, key=lambda item: (item.account_id or "", item.region or "")))


def _failed_item(
    account_id: str | None, region: str | None, f: Failed, targets: int | None = None
) -> FailedItem:
    message = f.message.replace(_REGION, region or "*")
    return FailedItem(f.stage, account_id, region, f.reason, f.error_code, message, targets)


def with_region(failure: Failed, region: str) -> Failed:
    """Return the failure with the region's name in its message again; see `without_region`."""
    return replace(failure, message=failure.message.replace(_REGION, region))


def without_region(target: Target, outcome: Examined | Failed) -> Examined | Failed:
    """Return the outcome of a target; a failure's message names no region.

    So those of an account are alike where the regions are all that differs, and are one value in
    memory: an organization that is denied has hundred thousands. `aggregate` puts the name back.
    """
    if not isinstance(outcome, Failed):
        return outcome
    return _share_equal(replace(outcome, message=outcome.message.replace(target.region, _REGION)))


# Targets come account by account, so those that are alike are near each other.
@lru_cache(maxsize=4096)
def _share_equal(failure: Failed) -> Failed:
    return failure
