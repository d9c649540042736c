"""The report: these values, as they are, become report.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from sweeper.domain.model import Finding, Resource, Stage
from sweeper.domain.reasons import Reason


@dataclass(frozen=True, slots=True)
class RecordedTarget:
    """What AWS Config last recorded in a region of an account; `region` None: in several of them.

    `mutable` counts MUTABLE and MUTABLE_WITH_EXCLUSION, `undetermined` repositories whose setting
    is not recorded. `captured_at` is the last capture, None where no repository is recorded.
    """

    account_id: str
    region: str | None
    repositories: int
    mutable: int
    undetermined: int
    captured_at: str | None


@dataclass(frozen=True, slots=True)
class RecordingGap:
    """An account that AWS Config does not record, or of which the aggregator has old data.

    `failed` and `outdated` are the aggregator's words for `regions` of the account; `no_record`:
    the sweep found repositories there, and AWS Config has recorded none. `updated_at` is the oldest
    last update of these regions, `error` the aggregator's first error.
    """

    account_id: str
    status: Literal["failed", "outdated", "no_record"]
    regions: int
    updated_at: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigInventory:
    """What an aggregator of AWS Config has recorded, beside what the sweep checked.

    It never counts as checked. `not_checked` are the accounts and regions that could not be
    checked. `not_planned` are those that the sweep did not know of, in which repositories were
    recorded before it began: they make coverage incomplete. `deleted_since` counts repositories
    recorded before the sweep began that it did not find. `recorded_since` counts those that were
    recorded, in accounts and regions that were not read, only after it began.

    `unavailable` says why nothing could be read, `sources_unavailable` why it is not known which
    accounts are not recorded.
    """

    aggregator: str
    region: str
    unavailable: str | None = None
    sources_unavailable: str | None = None
    repositories: int = 0
    mutable: int = 0
    deleted_since: int = 0
    recorded_since: int = 0
    not_checked: Sequence[RecordedTarget] = ()
    not_planned: Sequence[RecordedTarget] = ()
    not_recorded: Sequence[RecordingGap] = ()


SCHEMA_VERSION: Literal["2"] = "2"


@dataclass(frozen=True, slots=True)
class Scope:
    """The accounts and regions that the sweep was to examine.

    `accounts` were chosen of `accounts_listed`, those that can be swept: inactive ones are not
    counted. `regions` were chosen of `regions_enabled`, each region that one of those accounts is
    known to have. `narrowed_by` names the keys, options and event keys that leave something out.
    """

    accounts: int
    accounts_listed: int
    regions: tuple[str, ...]
    regions_enabled: int
    narrowed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WaveSummary:
    """The accounts that a rollout opens on a day, and the changes in them without manual review.

    These are changes that were, would be, or could not be made, and those that wait.
    """

    day: date
    accounts: int
    changes: int


@dataclass(frozen=True, slots=True)
class WriteScope:
    """In how many accounts the sweep may change something, for findings of `checks`.

    There are none where `auto_remediate` is DISABLED. A dry run has the scope of a run.
    `narrowed_by` names the keys that leave accounts out. The `waves` of a rollout are in the order
    of their days; accounts whose day has not come are counted, too. Templates for ROOT are created
    for the features of `root_template_applied_for`, whatever `checks` has.
    """

    accounts: int
    checks: tuple[str, ...]
    narrowed_by: tuple[str, ...]
    waves: Sequence[WaveSummary] = ()
    root_template_applied_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigurationSource:
    """A file's location, a variable or an option; `sha256` is that of a file's content."""

    kind: Literal["file", "environment", "option", "event"]
    name: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """Which configuration was in effect; equal digests mean equal values of every key.

    `digest` is the SHA-256 of all keys and values, the external id left out.
    """

    digest: str
    sources: tuple[ConfigurationSource, ...] = ()


RunKind = Literal["sweep", "apply", "undo", "events"]


@dataclass(frozen=True, slots=True)
class RunSource:
    """The report whose changes a run takes. An apply does not check `remaining` of its findings."""

    run_id: str
    started_at: str
    location: str
    remaining: int | None = None
    coverage_complete: bool | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """Which run this was. Times are UTC, ISO 8601.

    A sweep and a run about events have no `source`. `scope` and `write_scope` are None where the
    run ended before it knew its accounts, and for an undo.
    """

    id: str
    started_at: str
    finished_at: str
    version: str
    partition: str | None
    organization_id: str | None
    account_id: str | None
    auto_remediate: Literal["ENABLED", "DISABLED"]
    dry_run: bool
    scope: Scope | None = None
    write_scope: WriteScope | None = None
    configuration: Configuration | None = None
    kind: RunKind = "sweep"
    source: RunSource | None = None


@dataclass(frozen=True, slots=True)
class AccountTotals:
    """planned = opened + skipped + failed.

    An account whose regions could not be read is not opened, even if named ones were examined.
    """

    planned: int
    opened: int
    skipped: int
    failed: int


@dataclass(frozen=True, slots=True)
class TargetTotals:
    """planned = examined + skipped + failed."""

    planned: int
    examined: int
    skipped: int
    failed: int


@dataclass(frozen=True, slots=True)
class RepositoryTotals:
    """examined = compliant + non_compliant + exempt + undetermined, as they were found."""

    examined: int
    compliant: int
    non_compliant: int
    exempt: int
    undetermined: int


@dataclass(frozen=True, slots=True)
class ChangeTotals:
    """`planned` counts every change; the others part it, but for what a dry run leaves planned."""

    planned: int
    applied: int
    failed: int
    withheld: int
    superseded: int


@dataclass(frozen=True, slots=True)
class Totals:
    """`remaining`: findings, undetermined ones included, that are left when the sweep ends."""

    accounts: AccountTotals
    targets: TargetTotals
    repositories: RepositoryTotals
    changes: ChangeTotals
    remaining: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much was checked.

    Shares from 0 to 1: accounts opened of those chosen, targets examined of those planned
    and not skipped; `complete` when nothing failed, nothing is undetermined and AWS Config knows
    of nothing that was not planned. Regions that could not be read, which `coverage.accept`
    accepts, do not lower the share of accounts.
    """

    accounts: float
    targets: float
    complete: bool


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """An account in scope.

    `regions` has what was examined: (compliant, non-compliant, exempt). `ou_path` has the ids from
    the root down to its OU, `ou_names` the names of these OUs, as far as they are known. `tags` are
    those that `report.account_tags` names, of accounts with findings that are not exempt, and of
    those that could not be checked.
    """

    id: str
    name: str
    ou_path: str | None
    state: str
    regions: Mapping[str, tuple[int, int, int]]
    tags: Mapping[str, str] = field(default_factory=dict)
    ou_names: str | None = None


@dataclass(frozen=True, slots=True)
class SkippedItem:
    """An account (`region` None) or a target that was left out on purpose."""

    account_id: str
    region: str | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class FailedItem:
    """The enumeration (no account), an account (no region) or a target that could not be checked.

    An account whose regions all failed alike, but for those that were skipped, is one item without
    a region: `targets` says how many they are, and each stands as ``*`` in the message.
    """

    stage: Stage
    account_id: str | None
    region: str | None
    reason: Reason
    error_code: str | None
    message: str
    targets: int | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """The result of one delivery; `location` is where the report is stored once delivered.

    The `message` of one that was delivered says what could not be stored for the next sweep, that
    of one that was not needed says why. `content` names what was delivered: the report, the
    findings, the evidence. `advice` is for one that failed, where the sink itself has some.
    """

    sink: str
    location: str
    status: Literal["delivered", "not_needed", "failed"]
    reason: Reason | None = None
    error_code: str | None = None
    message: str | None = None
    content: str = "report"
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class EarlierFinding:
    """A finding of an earlier report that is none now, as it was when it was last checked.

    `was_open` is false where the sweep that found it fixed it, or found it fixed by others;
    `last_seen` is when that sweep ended. `announced` is as a Finding has it.
    """

    check: str
    account_id: str
    account_name: str
    region: str
    repository: str
    mutability: str
    was_open: bool = True
    reopened: int = 0
    last_seen: str | None = None
    resource: Resource = "repository"
    announced: date | None = None


@dataclass(frozen=True, slots=True)
class SinceLast:
    """What changed since the previous sweep; `unavailable` says why that is not known.

    `new`, `still_open` and `reopened` add up to the findings that are not exempt, as they were
    found. `resolved` are gone. `not_visible` are those whose account or region was not examined
    this time: what was mutable stays here from report to report until it is examined. `announced`
    counts the findings whose change this report is the first to announce.

    `gaps` is a digest of what could not be checked this time, and why. `coverage_changed` says
    whether it differs from the last one; None where that is not known, as after a dry run, which
    notifies nobody. `of_dry_run`: a dry run was compared with another one, for want of a sweep.
    """

    run_id: str | None
    finished_at: str | None
    unavailable: str | None
    new: int
    still_open: int
    reopened: int
    resolved: Sequence[EarlierFinding] = ()
    not_visible: Sequence[EarlierFinding] = ()
    gaps: str | None = None
    coverage_changed: bool | None = None
    announced: int = 0
    of_dry_run: bool = False


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One earlier sweep, or this one, in a few figures; the oldest comes first."""

    run_id: str
    finished_at: str
    repositories: int
    non_compliant: int
    exempt: int
    remaining: int
    changes_applied: int
    accounts: float
    targets: float
    complete: bool


@dataclass(frozen=True, slots=True)
class Report:
    """One sweep. Sequences are sorted by account, region, repository.

    `account_tags_unavailable` says, where `report.account_tags` asks for them, of how many accounts
    the tags could not be read, and why. `config_inventory` is None where no aggregator of AWS
    Config is configured, and for a run that is no sweep.
    """

    schema_version: Literal["2"]
    run: Run
    totals: Totals
    coverage: Coverage
    accounts: Sequence[AccountSummary]
    findings: Sequence[Finding]
    skipped: Sequence[SkippedItem]
    failures: Sequence[FailedItem]
    deliveries: Sequence[Delivery] = ()
    since_last: SinceLast | None = None
    trend: Sequence[TrendPoint] = ()
    account_tags_unavailable: str | None = None
    config_inventory: ConfigInventory | None = None
