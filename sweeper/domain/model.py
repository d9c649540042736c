"""The values that the sweep computes with: frozen dataclasses.

Text from AWS (names, messages, tags) is stored unchanged; formats and logs escape it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Literal, NamedTuple, TypeVar

from sweeper.domain.reasons import Reason

MAX_EXCLUSION_FILTERS = 5  # ECR: ImageTagMutabilityExclusionFilters, 1 to 5
# What ECR allows, or more than that.
EXCLUSION_FILTER = r"[0-9a-zA-Z._*-]{1,128}"
REPOSITORY_NAME = r"[a-z0-9][a-z0-9._/-]{1,255}"
TEMPLATE_PREFIX = r"ROOT|[a-z0-9][a-z0-9._/-]{0,255}"

_K = TypeVar("_K")
_V = TypeVar("_V")


def utc_text(moment: datetime) -> str:
    """Return a time in UTC as a report has it: such texts compare as the times do."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


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


class ChangeStatus(StrEnum):
    """The result of a planned change."""

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
    """The accounts that were listed; `id` is None where Organizations was not called."""

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
    def key(self) -> tuple[str, str]:
        """Account id and region."""
        return self.account.id, self.region


@dataclass(frozen=True, slots=True)
class Repository:
    """An ECR repository's facts; `mutability` is AWS's word, known to this version or not.

    `filter_types` are the types of the `exclusion_filters`, in the same order.
    """

    name: str
    arn: str
    mutability: str
    exclusion_filters: tuple[str, ...] = ()
    filter_types: tuple[str, ...] = ()


def is_arn_of(arn: str, account_id: str, region: str, name: str) -> bool:
    """Tell whether the ARN is that of the repository."""
    service, _, rest = arn.partition(":ecr:")
    is_ecr = re.fullmatch(r"arn:aws[a-z-]*", service) is not None
    return is_ecr and rest == f"{region}:{account_id}:repository/{name}"


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
    """A setting that would be, was, or could not be written for a finding.

    A failed change is `uncertain` if its write may have taken effect nevertheless. A change that
    waits is `due` on a day.
    """

    status: ChangeStatus
    to_mutability: str
    to_exclusion_filters: tuple[str, ...]
    reason: Reason | None = None
    error: str | None = None
    uncertain: bool = False
    due: date | None = None

    @property
    def may_be_made(self) -> bool:
        """Tell whether its write took effect, or may have: an undo reverts such changes."""
        failed = self.status is ChangeStatus.FAILED
        return self.status is ChangeStatus.APPLIED or (failed and self.uncertain)


MovedKind = Literal["latest", "cache", "branch", "environment", "signature"]


@dataclass(frozen=True, slots=True)
class MovedTag:
    """A tag that seems to be moved by design; `pushed_at` is its image's last push.

    `kept_by` is the exclusion filter, of the change or of those suggested, with which it could
    still be overwritten.
    """

    tag: str
    kind: MovedKind
    pushed_at: str | None
    kept_by: str | None


@dataclass(frozen=True, slots=True)
class Impact:
    """What making a repository immutable may break: a guess from the names of its tags, no fact.

    `moved` lists some of the `moved_count` tags, first those that no filter matches; `other_tags`
    do not seem moved, or cannot be overwritten today. Untagged images may be left over from
    overwritten tags. `exclusions` are the filters suggested beyond those of the change; `conflicts`
    those that would also match other tags here, ``*`` for more than can be listed. `truncated`: not
    all tags were read, so a filter may match others. `unavailable` says why nothing is known.
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
# "repository", "repository_creation_template" and "registry", which are AWS's own words, or a
# plugin's.
Resource = str
# A finding about a registry is about what ECR creates in it where no creation template matches.
REGISTRY: Resource = "registry"


class Since(StrEnum):
    """How a finding compares with the previous sweep."""

    NEW = "new"
    STILL_OPEN = "still_open"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class Finding:
    """A repository that is not simply compliant. `reason` is a sentence for people.

    Where `resource` is a creation template, `repository` is its prefix as AWS gives it (``ROOT``
    for the root template), and `arn` is empty: it has none.

    `since_last` is None where there is nothing to compare with, and for what is exempt. `reopened`
    counts how often the repository was found mutable again after a sweep had fixed it. `announced`
    is the day of the first report that named the day of its change. `impact` is None where it was
    not assessed.
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
    announced: date | None = None

    @property
    def key(self) -> Key:
        """The finding's identity in a sweep.

        A missing template for ROOT and a finding about such a template share a key: they are never
        in one report.
        """
        return self.check, self.account_id, self.region, self.repository


class Counts(NamedTuple):
    """How many repositories of a target there are by verdict; undetermined ones are findings."""

    compliant: int
    non_compliant: int
    exempt: int


@dataclass(frozen=True, slots=True)
class Examined:
    """A completely examined target; `counts` has its repositories, and no other resources."""

    counts: Counts
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """An account or target that was left out on purpose."""

    reason: Reason


# One value for everything that the filters leave out.
ACCOUNT_EXCLUDED = Skipped(Reason.ACCOUNT_EXCLUDED)
REGION_EXCLUDED = Skipped(Reason.REGION_EXCLUDED)


@dataclass(frozen=True, slots=True)
class Failed:
    """An account, target, change or delivery that failed; `uncertain` as a Change is."""

    stage: Stage
    reason: Reason
    message: str
    error_code: str | None = None
    uncertain: bool = False

    @property
    def error(self) -> str:
        """The error code, where there is one, and the message."""
        return f"{self.error_code}: {self.message}" if self.error_code else self.message


@dataclass(frozen=True, slots=True)
class OpenedAccount:
    """An account whose member role was assumed, with its regions as (name, RegionOptStatus).

    `unread` is why the regions could not be read, None if they could. `regions` are then those that
    the configuration names; the others are not known.
    """

    account: Account
    regions: tuple[tuple[str, str], ...]
    unread: Failed | None = None


@dataclass(frozen=True, slots=True)
class ResumeState:
    """The work of other processes of the same run, read from its journal or its parts.

    `examined` is by account id and region. `completed` are changes that were applied or superseded;
    `in_doubt` those that were about to be written when the process ended. `leases` are the tokens
    with which its processes took the lease.

    The rest comes from parts alone, whose facts are final: a run that is resumed tries failures
    again. `failures` are by account id and region, None for the account; `impacts` of findings;
    `decided` has each change that was planned or ended.
    """

    opened: Mapping[str, OpenedAccount] = field(default_factory=dict)
    examined: Mapping[tuple[str, str], Examined] = field(default_factory=dict)
    completed: Mapping[Key, Change] = field(default_factory=dict)
    in_doubt: AbstractSet[Key] = frozenset()
    leases: AbstractSet[str] = frozenset()
    failures: Mapping[tuple[str, str | None], Failed] = field(default_factory=dict)
    impacts: Mapping[Key, Impact] = field(default_factory=dict)
    decided: Mapping[Key, Change] = field(default_factory=dict)

    def merge(self, other: ResumeState) -> ResumeState:
        """Return both records of one run as one; a change that is applied in either is applied."""
        applied = {
            key: change
            for key, change in self.completed.items()
            if change.status is ChangeStatus.APPLIED
        }
        completed = {**self.completed, **other.completed, **applied}
        return ResumeState(
            {**other.opened, **self.opened},
            {**other.examined, **self.examined},
            completed,
            (self.in_doubt | other.in_doubt) - completed.keys(),
            self.leases,
            {**other.failures, **self.failures},
            {**other.impacts, **self.impacts},
            {**other.decided, **self.decided},
        )

    def to_resume(self) -> ResumeState:
        """Return the work that one process that resumes the run need not do again."""
        return replace(self, failures={}, impacts={}, decided={})

    def merge_accounts(self, organization: Organization) -> Organization:
        """Return the organization with the opened accounts as they were when they were opened.

        So what was examined and changed there stays in the report. Before a write the accounts are
        listed again.
        """
        now = {account.id: account for account in organization.accounts}
        then = {opened.account.id: opened.account for opened in self.opened.values()}
        return replace(organization, accounts=tuple({**now, **then}.values()))


def join_parts(parts: Iterable[ResumeState]) -> ResumeState:
    """Return the work of workers of which no two had the same account."""
    parts = tuple(parts)
    return ResumeState(
        _join(part.opened for part in parts),
        _join(part.examined for part in parts),
        _join(part.completed for part in parts),
        frozenset[Key]().union(*(part.in_doubt for part in parts)),
        failures=_join(part.failures for part in parts),
        impacts=_join(part.impacts for part in parts),
        decided=_join(part.decided for part in parts),
    )


def _join(mappings: Iterable[Mapping[_K, _V]]) -> dict[_K, _V]:
    return {key: value for each in mappings for key, value in each.items()}
