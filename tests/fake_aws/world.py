"""What the fake AWS contains, as plain values that load from and dump to JSON.

Every class here is also the schema of the world file: a key is a field, an unknown key is refused,
a missing one takes the field's default.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tests.fake_aws import load

if TYPE_CHECKING:
    from pathlib import Path

AccountState = Literal["PENDING_ACTIVATION", "ACTIVE", "SUSPENDED", "PENDING_CLOSURE", "CLOSED"]
CallerMode = Literal["management", "delegated", "not_allowed", "not_in_organization"]
DenyKind = Literal["scp", "rcp", "permissions_boundary", "identity_policy", "session_policy"]
EventAction = Literal[
    "delete_role",
    "close_account",
    "move_account",
    "remove_account",
    "disable_region",
    "delete_repository",
    "expire_sessions",
    "shift_clock",
]
FaultAction = Literal[
    "throttle",
    "server_error",
    "access_denied",
    "reset",
    "hang",
    "hold",
    "error",
    "empty",
    "garbage",
    "truncate",
    "malformed",
    "leak",
    "trickle",
]
AnswerPart = Literal["head", "body"]
Mutability = Literal["MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION"]
Partition = Literal["aws", "aws-cn", "aws-us-gov"]
RegionStatus = Literal["ENABLED", "ENABLED_BY_DEFAULT", "DISABLED", "ENABLING", "DISABLING"]

AppliedFor = Literal["PULL_THROUGH_CACHE", "REPLICATION", "CREATE_ON_PUSH"]

SWEEPER_ACTIONS = (
    "account:ListRegions",
    "ecr:DescribeRepositories",
    "ecr:DescribePullThroughCacheRules",
    "ecr:DescribeImages",
    "ecr:PutImageTagMutability",
    "ecr:DescribeRepositoryCreationTemplates",
    "ecr:UpdateRepositoryCreationTemplate",
    "ecr:CreateRepositoryCreationTemplate",
    "ecr:DeleteRepositoryCreationTemplate",
    "ecr:CreateRepository",
    "ecr:PutLifecyclePolicy",
    "ecr:SetRepositoryPolicy",
)


@dataclass(frozen=True, slots=True)
class Unit:
    """An organizational unit; `parent` is the root's id or another unit's."""

    id: str
    name: str
    parent: str


@dataclass(frozen=True, slots=True)
class Role:
    """A role to assume; `session_seconds` caps a session's life (0: born expired)."""

    name: str = "ecr-immutability-sweeper"
    path: str = "/"
    external_id: str | None = None
    exists: bool = True
    actions: tuple[str, ...] = SWEEPER_ACTIONS
    session_seconds: int = 3600


@dataclass(frozen=True, slots=True)
class Account:
    """A member account; `regions` overrides the world's region states, `role` the world's role.

    An empty `parent` is the root.  `role` replaces the whole role: nothing is inherited from the
    world's.
    """

    id: str
    name: str = ""
    email: str = ""
    state: AccountState = "ACTIVE"
    parent: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    regions: dict[str, RegionStatus] = field(default_factory=dict)
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom the central key belongs to; an assumed-role ARN limits its sessions to an hour."""

    account: str
    principal_arn: str
    access_key_id: str = "AKIAFAKECENTRALKEY00"
    secret_access_key: str = "central-secret-of-the-fake"
    session_token: str | None = None
    actions: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True)
class Deny:
    """A policy above the role that denies matching calls; the tuples hold globs.

    `implicit` words the refusal "because no … allows", not "with an explicit deny".  As in AWS,
    `scp` and `rcp` do not bind the management account.
    """

    accounts: tuple[str, ...] = ("*",)
    except_accounts: tuple[str, ...] = ()
    regions: tuple[str, ...] = ("*",)
    except_regions: tuple[str, ...] = ()
    actions: tuple[str, ...] = ("*",)
    except_actions: tuple[str, ...] = ()
    kind: DenyKind = "scp"
    implicit: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a repository; `pushed_at` is seconds since the epoch."""

    digest: str
    tags: tuple[str, ...] = ()
    pushed_at: float = 1_750_000_000.0


@dataclass(frozen=True, slots=True)
class Repository:
    """An ECR repository's setting; the filters are wildcard patterns."""

    name: str
    mutability: Mutability = "MUTABLE"
    exclusion_filters: tuple[str, ...] = ()
    images: tuple[Image, ...] = ()
    scan_on_push: bool = False


@dataclass(frozen=True, slots=True)
class PullThroughRule:
    """A pull-through cache rule of a registry."""

    prefix: str
    upstream: str = "public.ecr.aws"


@dataclass(frozen=True, slots=True)
class CreationTemplate:
    """A repository creation template; an empty text is a field that it does not have."""

    prefix: str
    mutability: Mutability = "MUTABLE"
    exclusion_filters: tuple[str, ...] = ()
    applied_for: tuple[AppliedFor, ...] = ("REPLICATION",)
    description: str = ""
    lifecycle_policy: str = ""
    repository_policy: str = ""
    custom_role_arn: str = ""
    resource_tags: dict[str, str] = field(default_factory=dict)
    kms_key: str = ""


@dataclass(frozen=True, slots=True)
class Registry:
    """The registries that match both globs; the first match of `World.registries` counts.

    `repositories` lists them, else `count` of them are generated, else as many as the world says.
    """

    account: str = "*"
    region: str = "*"
    repositories: tuple[Repository, ...] | None = None
    count: int | None = None
    pull_through_rules: tuple[PullThroughRule, ...] | None = None
    creation_templates: tuple[CreationTemplate, ...] = ()


@dataclass(frozen=True, slots=True)
class Bucket:
    """An S3 bucket; an empty `account` is the caller's."""

    name: str
    region: str
    account: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """A KMS key; one for use `via_service` is refused to whoever calls KMS itself."""

    arn: str
    enabled: bool = True
    via_service: bool = False


@dataclass(frozen=True, slots=True)
class RecordedRepository:
    """A repository that AWS Config has recorded and that no registry has."""

    account: str
    region: str
    name: str
    mutability: str = "MUTABLE"
    captured: float = 1_750_000_000.0


@dataclass(frozen=True, slots=True)
class Aggregator:
    """An aggregator of AWS Config; it has what the registries have, and `others`.

    `unrecorded`, `failed` and `outdated` are globs of ``account/region``. `captured` is when all
    was recorded. With `nested_text` an item's configuration is a JSON text in the JSON text.
    """

    name: str
    region: str
    unrecorded: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    others: tuple[RecordedRepository, ...] = ()
    captured: float = 1_750_000_000.0
    nested_text: bool = False
    error: str = "The configuration recorder is not available."


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault for matching calls: after `skip` calls, `times` times (null: for ever).

    `account` is matched against the account acted upon: for AssumeRole the role's.  `only_page`
    counts a listing's pages from 1.  A `hang` is answered after `seconds`, a `hold` when the faults
    or the world are replaced: a barrier for tests.

    With a `share` below 1 only that share of the matching calls is faulty.  Which ones follows from
    `seed`, the rule's place in the list, what is asked of whom, and how often that was asked
    before, so that the order in which threads come changes nothing; `skip` and `times` count the
    chosen ones.

    `trickle` sends `rate` bytes a second, one at a time: from the head of the answer on, or from
    its body on, which is where it begins for `part`.
    """

    action: FaultAction
    service: str = "*"
    operation: str = "*"
    account: str = "*"
    region: str = "*"
    times: int | None = None
    skip: int = 0
    seconds: float = 1.0
    status: int = 400
    code: str = "InjectedError"
    message: str | None = None
    only_page: int | None = None
    share: float = 1.0
    seed: int = 1
    part: AnswerPart = "body"
    rate: float = 1.0


@dataclass(frozen=True, slots=True)
class Event:
    """What happens once, behind the clients' backs: see `events.NEEDED` for what each is about.

    It happens when `after` calls of `operation` upon `caller` were answered; 0 is at once.
    """

    action: EventAction
    account: str = ""
    region: str = ""
    parent: str = ""
    repository: str = ""
    seconds: float = 0.0
    after: int = 0
    operation: str = "*"
    caller: str = "*"


@dataclass(frozen=True, slots=True)
class World:
    """An organization, its registries, where a report may go, and how slow and faulty it all is.

    `regions` are every region that the partition offers and its state unless an account overrides
    it. Latencies are seconds for each call; `service_latency` replaces `latency` for a named
    service.
    """

    caller: Caller
    accounts: tuple[Account, ...]
    regions: dict[str, RegionStatus]
    management_account: str
    delegated_administrators: tuple[str, ...] = ()
    caller_mode: CallerMode = "management"
    seed: int = 1
    partition: Partition = "aws"
    organization_id: str = "o-fakeorg0001"
    root_id: str = "r-fake"
    units: tuple[Unit, ...] = ()
    give_state: bool = True
    give_paths: bool = True
    paths_end_in_account: bool = True
    list_accounts_page_size: int = 20
    empty_pages: bool = False
    strict_global_region: bool = True
    sts_needs_target_region: bool = False
    role: Role = field(default_factory=Role)
    extra_roles: tuple[Role, ...] = ()
    denies: tuple[Deny, ...] = ()
    repositories_per_target: int = 5
    non_compliant_share: float = 0.4
    registries: tuple[Registry, ...] = ()
    pull_through_rules: tuple[PullThroughRule, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    topics: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    security_hub_regions: tuple[str, ...] = ()
    aggregators: tuple[Aggregator, ...] = ()
    event_buses: tuple[str, ...] = ()
    throttled_entries: int = 0  # so many entries of PutEvents are refused first
    latency: float = 0.0
    service_latency: dict[str, float] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    @staticmethod
    def generate(
        accounts: int = 100,
        regions: int = 17,
        repositories_per_target: int = 5,
        seed: int = 1,
        *,
        hostile_names: bool = False,
        **changes: object,
    ) -> World:
        """Make an organization from a seed; `changes` are fields, as values or as JSON."""
        from tests.fake_aws import generate

        return generate.world(
            accounts,
            regions,
            repositories_per_target,
            seed,
            hostile_names=hostile_names,
            changes=changes,
        )

    @staticmethod
    def from_json(data: object) -> World:
        """Read the JSON form; raises `load.WorldError` naming the key and what is allowed there."""
        world: World = load.decode(World, data, "world")
        load.check(world)
        return world

    @staticmethod
    def read(path: Path) -> World:
        """Read a world file; raises `load.WorldError` also when it cannot be read."""
        return World.from_json(load.read(path))

    def to_json(self) -> dict[str, Any]:
        """Give the JSON form; `from_json` of it is an equal world."""
        encoded: dict[str, Any] = load.encode(self)
        return encoded
