"""Compare what AWS Config recorded with what the sweep checked: pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from sweeper.domain.model import Compliance, Failed, Skipped, Stage, utc_text
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import ConfigInventory, RecordedTarget, RecordingGap, Report
from sweeper.domain.selection import accept_known_gaps, is_region_selected

if TYPE_CHECKING:
    from sweeper.config.schema import Config

_MUTABLE = ("MUTABLE", "MUTABLE_WITH_EXCLUSION")
_IMMUTABLE = ("IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION")
_LEFT_OUT = (Reason.ACCOUNT_EXCLUDED, Reason.REGION_EXCLUDED)


class Recorded(NamedTuple):
    """The repositories that are recorded in an account and region; `since`: after the run began.

    `captured` is the last capture, in seconds since 1970; 0 where there is none.
    """

    repositories: int = 0
    mutable: int = 0
    undetermined: int = 0
    since: int = 0
    captured: float = 0.0

    def with_repository(self, mutability: str, captured: float, *, since: bool) -> Recorded:
        """Return it with one more repository."""
        is_mutable, is_known = mutability in _MUTABLE, mutability in (*_MUTABLE, *_IMMUTABLE)
        return self.with_all_of(Recorded(1, is_mutable, not is_known, since, captured))

    def with_all_of(self, other: Recorded) -> Recorded:
        """Return the sum of both."""
        return Recorded(
            self.repositories + other.repositories,
            self.mutable + other.mutable,
            self.undetermined + other.undetermined,
            self.since + other.since,
            max(self.captured, other.captured),
        )


@dataclass(frozen=True, slots=True)
class Source:
    """A region of an account whose data the aggregator does not have, or not as it is now."""

    account_id: str
    region: str
    status: Literal["failed", "outdated"]
    updated: float | None
    error: str | None


# Account id -> region -> what is recorded there.
Inventory = Mapping[str, Mapping[str, Recorded]]


def compare_inventory(
    report: Report,
    recorded: Inventory,
    sources: Iterable[Source],
    config: Config,
    *,
    lists_repositories: bool,
) -> Report:
    """Return the report of a sweep with what AWS Config recorded, and the gaps that it shows.

    The newer information counts: in an account and region that was read, a recorded repository that
    was not found was deleted, if a check of the sweep `lists_repositories`. One that was not
    planned is a gap if a repository was recorded there before the run began.
    """
    aggregator = config.inventory.config_aggregator
    if aggregator is None:
        raise ValueError("no aggregator is configured")
    outcomes = _Outcomes(report, config)
    not_checked: dict[tuple[str, str | None], Recorded] = dict.fromkeys(outcomes.failed, Recorded())
    not_planned: dict[tuple[str, str | None], Recorded] = {}
    deleted = since = repositories = mutable = 0
    for account_id, regions in recorded.items():
        for region, item in regions.items():
            if not outcomes.is_in_scope(account_id, region):
                continue
            repositories += item.repositories
            mutable += item.mutable
            target = account_id, region
            if target in outcomes.examined:
                if lists_repositories:
                    deleted += max(0, item.repositories - item.since - outcomes.examined[target])
            elif key := outcomes.find_unchecked(*target):
                not_checked[key] = not_checked.get(key, Recorded()).with_all_of(item)
            elif item.repositories == item.since:
                since += item.since
            else:
                not_planned[target] = item
    accepted = [target for target in not_planned if _is_accepted(target, config)]
    not_checked |= {target: not_planned.pop(target) for target in accepted}
    inventory = ConfigInventory(
        aggregator=aggregator.name,
        region=aggregator.region,
        repositories=repositories,
        mutable=mutable,
        deleted_since=deleted,
        recorded_since=since,
        not_checked=_sort_recorded(not_checked),
        not_planned=_sort_recorded(not_planned),
        not_recorded=tuple(_not_recorded(report, outcomes, recorded, sources)),
    )
    complete = report.coverage.complete and not not_planned
    coverage = replace(report.coverage, complete=complete)
    return replace(report, coverage=coverage, config_inventory=inventory)


class _Outcomes:
    """The outcome of each account and region, from the report."""

    def __init__(self, report: Report, config: Config) -> None:
        self._config = config
        self._included = config.organization.include_accounts
        # Only a list of the organization shows that an account is not part of it.
        self._lists_all = report.run.organization_id is not None
        self._known = {account.id for account in report.accounts}
        self.failed: set[tuple[str, str | None]] = {
            (each.account_id, each.region) for each in report.failures if each.account_id
        }
        skipped = {(each.account_id, each.region): each.reason for each in report.skipped}
        self._left_out = {target for target, reason in skipped.items() if reason in _LEFT_OUT}
        self._unchecked = self.failed | (skipped.keys() - self._left_out)
        self.examined: dict[tuple[str, str], int] = {
            (account.id, region): sum(counts)
            for account in report.accounts
            for region, counts in account.regions.items()
        }
        for finding in report.findings:
            target = finding.account_id, finding.region
            is_counted = finding.compliance is not Compliance.UNDETERMINED
            if finding.resource == "repository" and not is_counted and target in self.examined:
                self.examined[target] += 1

    def is_in_scope(self, account_id: str, region: str) -> bool:
        """Tell whether the sweep would have checked it, had it known of it."""
        if not self._left_out.isdisjoint(((account_id, None), (account_id, region))):
            return False
        may_be_meant = self._lists_all and (not self._included or account_id in self._included)
        is_known = may_be_meant or account_id in self._known
        return is_known and is_region_selected(region, self._config)

    def find_unchecked(self, account_id: str, region: str) -> tuple[str, str | None] | None:
        """Return the region or the account that could not be checked; None if it was checked."""
        keys: tuple[tuple[str, str | None], ...] = ((account_id, region), (account_id, None))
        return next((key for key in keys if key in self._unchecked), None)

    @property
    def accounts(self) -> Mapping[str, int]:
        """The number of repositories found, by account."""
        found = dict.fromkeys(self._known, 0)
        for (account_id, _), count in self.examined.items():
            found[account_id] += count
        return found


def _is_accepted(target: tuple[str, str | None], config: Config) -> bool:
    gap = Failed(Stage.EXAMINE, Reason.RECORDED_NOT_PLANNED, "")
    return isinstance(accept_known_gaps(gap, *target, config.coverage.accept), Skipped)


def _sort_recorded(targets: Mapping[tuple[str, str | None], Recorded]) -> Sequence[RecordedTarget]:
    ordered = sorted(targets.items(), key=lambda pair: (pair[0][0], pair[0][1] or ""))
    return tuple(
        RecordedTarget(
            *target,
            item.repositories,
            item.mutable,
            item.undetermined,
            _utc(item.captured) if item.captured else None,
        )
        for target, item in ordered
    )


def _not_recorded(
    report: Report, outcomes: _Outcomes, recorded: Inventory, sources: Iterable[Source]
) -> Iterable[RecordingGap]:
    """Yield one gap for each account in scope, sorted."""
    by_account: dict[str, list[Source]] = {}
    for source in sources:
        if outcomes.is_in_scope(source.account_id, source.region):
            by_account.setdefault(source.account_id, []).append(source)
    found = outcomes.accounts
    regions = {each.id: len(each.regions) for each in report.accounts}
    for account_id in sorted(by_account.keys() | regions.keys()):
        if of_account := by_account.get(account_id):
            failed = [each for each in of_account if each.status == "failed"]
            updates = [each.updated for each in of_account if each.updated is not None]
            yield RecordingGap(
                account_id,
                "failed" if failed else "outdated",
                len(failed or of_account),
                _utc(min(updates)) if updates else None,
                next((each.error for each in (*failed, *of_account) if each.error), None),
            )
        elif found.get(account_id) and not recorded.get(account_id):
            yield RecordingGap(account_id, "no_record", regions[account_id])


def _utc(seconds: float) -> str:
    return utc_text(datetime.fromtimestamp(seconds, UTC))
