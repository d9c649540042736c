"""The values that the sweep computes with: frozen, without behaviour beyond what they are.

Text that came from AWS (names, messages, tags) is kept as it came; what shows it escapes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

SCHEMA_VERSION: Literal["1"] = "1"
MAX_EXCLUSION_FILTERS = 5  # ECR: ImageTagMutabilityExclusionFilters, 1 to 5


class Compliance(StrEnum):
    """The verdict on a repository."""

    COMPLIANT = "compliant"
    NON_COMPLIANT = "non_compliant"
    EXEMPT = "exempt"
    UNDETERMINED = "undetermined"


class Stage(StrEnum):
    """Where in the sweep a failure happened."""

    ENUMERATE = "enumerate"
    OPEN_ACCOUNT = "open_account"
    EXAMINE = "examine"
    ASSESS = "assess"
    CHANGE = "change"
    DELIVER = "deliver"


class Reason(StrEnum):
    """Why something was skipped, failed, withheld or superseded: a closed list."""

    # Nothing to sweep
    AWS_CONFIGURATION_INVALID = "aws_configuration_invalid"
    NO_CREDENTIALS = "no_credentials"
    NOT_IN_ORGANIZATION = "not_in_organization"
    NOT_ALLOWED_TO_LIST = "not_allowed_to_list"
    NO_ACCOUNT_CHOSEN = "no_account_chosen"
    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_OU = "unknown_ou"
    LEASE_HELD = "lease_held"
    OTHER_ORGANIZATION = "other_organization"
    # Accounts
    ACCOUNT_PENDING_ACTIVATION = "account_pending_activation"
    ACCOUNT_SUSPENDED = "account_suspended"
    ACCOUNT_PENDING_CLOSURE = "account_pending_closure"
    ACCOUNT_CLOSED = "account_closed"
    ACCOUNT_STATE_UNKNOWN = "account_state_unknown"
    ACCOUNT_OU_UNKNOWN = "account_ou_unknown"
    ACCOUNT_EXCLUDED = "account_excluded"
    ASSUME_ROLE_DENIED = "assume_role_denied"
    PACKED_POLICY_TOO_LARGE = "packed_policy_too_large"
    ACCESS_LOST = "access_lost"
    ACCOUNT_LEFT = "account_left"
    ACCOUNT_MOVED = "account_moved"
    STS_REGION_DISABLED = "sts_region_disabled"
    REGIONS_UNREADABLE = "regions_unreadable"
    # Regions
    REGION_EXCLUDED = "region_excluded"
    REGION_ENABLING = "region_enabling"
    REGION_DISABLING = "region_disabling"
    REGION_STATUS_UNKNOWN = "region_status_unknown"
    REGION_NOT_ENABLED = "region_not_enabled"
    # Denied: by what, where AWS says it
    DENIED = "denied"
    DENIED_BY_SCP = "denied_by_scp"
    DENIED_BY_RCP = "denied_by_rcp"
    DENIED_BY_PERMISSIONS_BOUNDARY = "denied_by_permissions_boundary"
    DENIED_BY_SESSION_POLICY = "denied_by_session_policy"
    DENIED_BY_IDENTITY_POLICY = "denied_by_identity_policy"
    DENIED_BY_RESOURCE_POLICY = "denied_by_resource_policy"
    DENIED_BY_VPC_ENDPOINT_POLICY = "denied_by_vpc_endpoint_policy"
    # Passing trouble
    THROTTLED = "throttled"
    TIMED_OUT = "timed_out"
    CONNECTION_FAILED = "connection_failed"
    ENDPOINT_UNREACHABLE = "endpoint_unreachable"
    CREDENTIALS_EXPIRED = "credentials_expired"
    SIGNATURE_REFUSED = "signature_refused"
    CLOCK_SKEW = "clock_skew"
    SERVICE_ERROR = "service_error"
    REQUEST_REFUSED = "request_refused"
    UNEXPECTED_RESPONSE = "unexpected_response"
    INTERNAL_ERROR = "internal_error"
    DEADLINE = "deadline"
    INTERRUPTED = "interrupted"
    # Changes
    MAX_CHANGES = "max_changes"
    MIN_COVERAGE = "min_coverage"
    TOO_MANY_FILTERS = "too_many_filters"
    LEFT_TO_A_PERSON = "left_to_a_person"
    PULL_THROUGH_RULES_UNREADABLE = "pull_through_rules_unreadable"
    NOT_CONFIRMED = "not_confirmed"
    WRITE_NOT_GRANTED = "write_not_granted"
    WRITE_NOT_PERMITTED = "write_not_permitted"
    NOT_RECORDED = "not_recorded"
    FACTS_TOO_OLD = "facts_too_old"
    LEASE_UNAVAILABLE = "lease_unavailable"
    LEASE_LOST = "lease_lost"
    CHANGED_SINCE_EXAMINED = "changed_since_examined"
    NOW_COMPLIANT = "now_compliant"
    REPOSITORY_DELETED = "repository_deleted"
    ALREADY_RESTORED = "already_restored"
    CHANGED_SINCE_APPLIED = "changed_since_applied"
    # Deliveries
    WRITE_FAILED = "write_failed"
    DESTINATION_MISSING = "destination_missing"
    CHANGED_MEANWHILE = "changed_meanwhile"
    EARLIER_REPORT_KEPT = "earlier_report_kept"

    @property
    def is_denial(self) -> bool:
        """True for the reasons that say: not permitted."""
        return self.value == "denied" or self.value.startswith("denied_by_")

    @property
    def is_stop(self) -> bool:
        """True for the reasons of what was not reached before the sweep was stopped."""
        return self in (Reason.DEADLINE, Reason.INTERRUPTED)


# What coverage.accept may name: lasting conditions that a person can know and accept. Passing
# trouble, and anything that says nothing about the target, is not acceptable in advance.
# An endpoint that is out of reach is, for a region that is named: a network that leads nowhere
# there lasts, and whoever names the region knows it.
ACCEPTABLE_REASONS = (
    Reason.ENDPOINT_UNREACHABLE,
    Reason.ASSUME_ROLE_DENIED,
    Reason.STS_REGION_DISABLED,
    Reason.REGIONS_UNREADABLE,
    Reason.REGION_NOT_ENABLED,
    Reason.DENIED,
    Reason.DENIED_BY_SCP,
    Reason.DENIED_BY_RCP,
    Reason.DENIED_BY_PERMISSIONS_BOUNDARY,
    Reason.DENIED_BY_IDENTITY_POLICY,
    Reason.DENIED_BY_RESOURCE_POLICY,
    Reason.DENIED_BY_VPC_ENDPOINT_POLICY,
)

# What the first calls have, before an endpoint is known to be out of reach.
UNREACHABLE_REASONS = (
    Reason.ENDPOINT_UNREACHABLE,
    Reason.TIMED_OUT,
    Reason.CONNECTION_FAILED,
)


class ChangeStatus(StrEnum):
    """What became of a planned change."""

    PLANNED = "planned"
    APPLIED = "applied"
    FAILED = "failed"
    WITHHELD = "withheld"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the organization.

    `state` is AWS's word (``ACTIVE``); `ou_path` the ids from the root down to the account's
    OU, None where it was not asked for; `tags` are None where they were not read.
    """

    id: str
    name: str
    state: str
    ou_path: tuple[str, ...] | None = None
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Organization:
    """What the enumeration saw; `id` is None where Organizations was not called."""

    id: str | None
    partition: str
    account_id: str
    accounts: tuple[Account, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """One account in one region: the unit that is examined."""

    account: Account
    region: str

    @property
    def place(self) -> tuple[str, str]:
        """Account id and region."""
        return self.account.id, self.region


@dataclass(frozen=True, slots=True)
class Repository:
    """An ECR repository's facts; `mutability` is AWS's word, known to this version or not."""

    name: str
    arn: str
    mutability: str
    exclusion_filters: tuple[str, ...] = ()
    unknown_filter_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """An image's tags, and when it was pushed last, where ECR says it."""

    tags: tuple[str, ...]
    pushed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Exemption:
    """Why a finding is exempt, or would be had the exemption not expired."""

    source: Literal["config", "pull_through_cache"]
    rule: str
    reason: str
    expires: date | None
    expired: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What would be, was, or could not be written for a finding.

    One that failed is `uncertain` where its write may have taken effect all the same.
    """

    status: ChangeStatus
    to_mutability: str
    to_exclusion_filters: tuple[str, ...]
    reason: Reason | None = None
    error: str | None = None
    uncertain: bool = False

    @property
    def may_be_made(self) -> bool:
        """Whether its write took effect, or may have: what an undo is about."""
        failed = self.status is ChangeStatus.FAILED
        return self.status is ChangeStatus.APPLIED or (failed and self.uncertain)


MovedKind = Literal["latest", "cache", "branch", "environment", "signature"]


@dataclass(frozen=True, slots=True)
class MovedTag:
    """A tag whose name looks as if it is moved by design; `pushed_at` is its image's last push.

    `kept_by` is the exclusion filter, of the change or of those suggested, with which it could
    still be overwritten.
    """

    tag: str
    kind: MovedKind
    pushed_at: str | None
    kept_by: str | None


@dataclass(frozen=True, slots=True)
class Impact:
    """What closing a repository may break, judged by the names of its tags: a guess, no fact.

    `moved` are those of the `moved_count` tags that are told, what no filter keeps first;
    `other_tags` do not look moved, or cannot be overwritten today. Untagged images may be what
    overwritten tags left behind. `exclusions` are the filters suggested beyond those of the change;
    `conflicts` those that would also match other tags here, ``*`` for more than are told.
    `truncated`: not all tags were read, so a filter may match others. `unavailable` says why
    nothing is known.
    """

    images: int = 0
    truncated: bool = False
    moved: tuple[MovedTag, ...] = ()
    moved_count: int = 0
    not_kept: int = 0
    other_tags: int = 0
    untagged: int = 0
    untagged_pushed_at: str | None = None
    exclusions: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    unavailable: Reason | None = None
    error: str | None = None


Key = tuple[str, str, str, str]  # check, account id, region, repository
Resource = Literal["repository", "repository_creation_template"]  # AWS's own words


class Since(StrEnum):
    """What the previous sweep knew of a finding that remains."""

    NEW = "new"
    STILL_OPEN = "still_open"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class Finding:
    """A repository that is not simply compliant. `reason` is a sentence for people.

    Where `resource` is a creation template, `repository` is its prefix as AWS gives it (``ROOT``
    for the root template), and `arn` is empty: it has none.

    `since_last` is None where there is nothing to compare with, and for what is exempt. `reopened`
    counts how often the repository was found open again after a sweep had closed it. `impact` is
    None where it was not assessed.
    """

    check: str
    account_id: str
    account_name: str
    region: str
    repository: str
    arn: str
    compliance: Compliance
    mutability: str
    exclusion_filters: tuple[str, ...]
    reason: str
    exemption: Exemption | None = None
    change: Change | None = None
    since_last: Since | None = None
    reopened: int = 0
    resource: Resource = "repository"
    impact: Impact | None = None

    @property
    def key(self) -> Key:
        """What names the finding among all those of a sweep."""
        return self.check, self.account_id, self.region, self.repository


@dataclass(frozen=True, slots=True)
class Examined:
    """A target that was seen whole. `counts` are (compliant, non-compliant, exempt) repositories;
    of whatever else a check looks at there are findings alone.
    """

    counts: tuple[int, int, int]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """An account or target that was left out on purpose."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Failed:
    """An account, target, change or delivery that could not be done; `uncertain` as a Change is."""

    stage: Stage
    reason: Reason
    message: str
    error_code: str | None = None
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class OpenedAccount:
    """An account whose member role was assumed, with its regions as (name, RegionOptStatus).

    `unread` is why the regions could not be read, None where they could: `regions` are then those
    that the configuration names, and the account has others that nobody knows.
    """

    account: Account
    regions: tuple[tuple[str, str], ...]
    unread: Failed | None = None


# --- the report: these values, as they stand, are report.json ---------------------------------


@dataclass(frozen=True, slots=True)
class Scope:
    """What the sweep was to examine.

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
class WriteScope:
    """Where the sweep may change something: in so many of its accounts, for findings of `checks`.

    There are none where `auto_remediate` is DISABLED. A dry run has the scope of a run.
    `narrowed_by` names the keys that leave accounts out.
    """

    accounts: int
    checks: tuple[str, ...]
    narrowed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigurationSource:
    """Where some of the configuration came from: a file's location, a variable's name, an option.

    `sha256` is that of a file's content.
    """

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


@dataclass(frozen=True, slots=True)
class Run:
    """Which sweep this was. Times are UTC, ISO 8601.

    `scope` and `write_scope` are None where the sweep ended before it knew its accounts.
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


@dataclass(frozen=True, slots=True)
class AccountTotals:
    """planned = opened + skipped + failed.

    An account whose regions could not be read is not opened, even where those that the
    configuration names were examined.
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
    """Shares from 0 to 1: accounts opened of those chosen, targets examined of those planned
    and not skipped; `complete` when nothing failed and nothing is undetermined. Regions that could
    not be read, which `coverage.accept` accepts, do not lower the share of accounts.
    """

    accounts: float
    targets: float
    complete: bool


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """What was examined in an account: region -> (compliant, non-compliant, exempt).

    `tags` are those that `report.account_tags` names, of accounts with findings that are not
    exempt.
    """

    id: str
    name: str
    ou_path: str | None
    state: str
    regions: Mapping[str, tuple[int, int, int]]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SkippedItem:
    """An account (`region` None) or a target that was left out on purpose."""

    account_id: str
    region: str | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class FailedItem:
    """The enumeration (no account), an account (no region) or a target that could not be seen.

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
    """What became of the report at one sink; `location` is where it lies when it was delivered.

    The `message` of one that was delivered says what could not be kept for the next sweep.
    """

    sink: str
    location: str
    status: Literal["delivered", "not_needed", "failed"]
    reason: Reason | None = None
    error_code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class EarlierFinding:
    """A finding of an earlier report that is none now, as it was when it was last seen.

    `was_open` is false where the sweep that saw it closed it, or found it closed by others;
    `last_seen` is when that sweep ended.
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


@dataclass(frozen=True, slots=True)
class SinceLast:
    """What changed since the previous sweep; `unavailable` says why that cannot be told.

    `new`, `still_open` and `reopened` part the findings that are not exempt, as they were found.
    `resolved` are gone; `not_visible` are those whose place was not examined this time, which is
    never resolved: what was open is kept here from report to report until its place is seen.
    """

    run_id: str | None
    finished_at: str | None
    unavailable: str | None
    new: int
    still_open: int
    reopened: int
    resolved: Sequence[EarlierFinding] = ()
    not_visible: Sequence[EarlierFinding] = ()


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
    """One sweep, whole. Sequences are sorted by account, region, repository.

    `account_tags_unavailable` says, where `report.account_tags` asks for them, of how many accounts
    the tags could not be read, and why.
    """

    schema_version: Literal["1"]
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
