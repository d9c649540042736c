"""The shape of config.yaml: its keys, their types, defaults and limits.

`sweeper.config.loader` makes a Config of the file, the environment and the options.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sweeper.config.field_types import (
    FROM_TEXT,
    IS_NUMBER,
    AcceptableReason,
    AccountGlob,
    AccountGlobs,
    AccountId,
    AggregatorName,
    BucketName,
    CheckName,
    Day,
    Directory,
    EventBusArn,
    ExclusionFilter,
    ExclusionsByRepository,
    Expiry,
    Feature,
    FormatName,
    KmsKey,
    ObjectPrefix,
    OuId,
    Processes,
    RegionGlob,
    RegionGlobs,
    RegionName,
    RepositoryGlob,
    RoleName,
    SinkName,
    TagKey,
    Tags,
    Text,
    TopicArn,
    UniqueList,
)
from sweeper.domain.model import MAX_EXCLUSION_FILTERS
from sweeper.domain.reasons import Reason

ENVIRONMENT_PREFIX = "SWEEPER_"
_MAX_ACCOUNT_TAGS = 10  # they are shown beside each finding
_MAX_GRACE_DAYS = 366
_MAX_WAVES = 100  # each is a row of every report
SECRET_KEYS = (("organization", "external_id"),)  # whose values are never shown
Notify = Literal["when_needed", "on_change", "always"]
CHECKS = ("ecr-tag-immutability",)  # the default of those that run, and of those that may write


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OrganizationConfig(_Section):
    """Which accounts to sweep, and how their role is assumed."""

    role_name: RoleName | None = "ecr-immutability-sweeper"
    enumerate: bool = True
    external_id: Annotated[
        str | None, Field(min_length=2, max_length=1224, pattern=r"^[0-9A-Za-z_+=,.@:/-]*$")
    ] = None
    sts_region: RegionName | None = None
    include_ous: UniqueList[OuId] = ()
    within_ous: UniqueList[OuId] = ()
    exclude_ous: UniqueList[OuId] = ()
    include_accounts: UniqueList[AccountId] = ()
    exclude_accounts: UniqueList[AccountId] = ()
    include_tags: Tags = {}
    exclude_tags: Tags = {}

    @property
    def lists_accounts(self) -> bool:
        """Whether Organizations is called; else the accounts are named, or it is the caller's."""
        return self.enumerate and self.role_name is not None

    @property
    def named_ous(self) -> tuple[str, ...]:
        """The OUs of all filters; if there are any, each account's OU is needed."""
        return (*self.include_ous, *self.within_ous, *self.exclude_ous)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        keys = ("include_ous", "within_ous", "exclude_ous", "include_tags", "exclude_tags")
        asks = [key for key in keys if getattr(self, key)]
        if self.role_name is None and (asks or self.include_accounts or self.exclude_accounts):
            raise ValueError(
                "role_name null looks at the caller's own account only: "
                "remove the filters (include_…, exclude_…) or name a role"
            )
        if not self.enumerate and asks:
            raise ValueError(
                f"{', '.join(asks)} cannot be used with enumerate: false, "
                "which does not call Organizations"
            )
        if not self.enumerate and self.role_name is not None and not self.include_accounts:
            raise ValueError("enumerate: false needs include_accounts: exactly these are swept")
        return self


class RegionsConfig(_Section):
    """Which regions of each account to sweep."""

    include: UniqueList[RegionName] = ()
    exclude: UniqueList[RegionName] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if both := sorted(set(self.include).intersection(self.exclude)):
            raise ValueError(f"{', '.join(both)}: both included and excluded; allowed: one of them")
        return self


_NAMED_REGION = {
    "if": {
        "properties": {"reason": {"const": Reason.ENDPOINT_UNREACHABLE}},
        "required": ["reason"],
    },
    "then": {
        "properties": {
            "region": {"pattern": r"^[^*?\[]+$", "items": {"pattern": r"^[^*?\[]+$"}},
        },
        "required": ["region"],
    },
}


class AcceptedGap(_Section, json_schema_extra=_NAMED_REGION):
    """A gap that does not make coverage incomplete."""

    reason: AcceptableReason
    account: AccountGlobs = ("*",)
    region: Annotated[RegionGlobs, Field(validate_default=True)] = ("*",)

    @field_validator("region")
    @classmethod
    def _check_names(cls, regions: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        reason = info.data.get("reason")
        for region in regions:
            if reason is Reason.ENDPOINT_UNREACHABLE and set("*?[") & set(region):
                raise ValueError(
                    f"{region!r} is not allowed for {reason}; allowed: the name of a region"
                )
        return regions


class CoverageConfig(_Section):
    """Gaps that are accepted."""

    accept: Annotated[tuple[AcceptedGap, ...], FROM_TEXT] = ()


class PolicyConfig(_Section):
    """What counts as compliant."""

    allowed_exclusions: UniqueList[ExclusionFilter] = ()
    exempt_pull_through_cache: bool = True


class ExemptionRule(_Section):
    """Repositories that may stay mutable, why, and until when (inclusive, UTC)."""

    account: AccountGlob = "*"
    ous: UniqueList[OuId] = ()
    account_tags: Tags = {}
    region: RegionGlob = "*"
    repository: RepositoryGlob
    reason: Text
    expires: Expiry


class Wave(_Section, serialize_by_alias=True):
    """Accounts in which repositories may be changed from a day on."""

    include_ous: UniqueList[OuId] = ()
    include_accounts: UniqueList[AccountId] = ()
    start: Annotated[Day, Field(alias="from")]


class RemediationConfig(_Section):
    """Whether, where, when and how much may be changed."""

    auto_remediate: Literal["ENABLED", "DISABLED"] = "ENABLED"
    checks: UniqueList[CheckName] = CHECKS
    include_ous: UniqueList[OuId] = ()
    include_accounts: UniqueList[AccountId] = ()
    exclude_accounts: UniqueList[AccountId] = ()
    rollout: Annotated[tuple[Wave, ...], FROM_TEXT, Field(max_length=_MAX_WAVES)] = ()
    grace_days: Annotated[int, IS_NUMBER, Field(ge=0, le=_MAX_GRACE_DAYS)] = 0
    exclusions: Annotated[UniqueList[ExclusionFilter], Field(max_length=MAX_EXCLUSION_FILTERS)] = ()
    exclusions_by_repository: ExclusionsByRepository = {}
    ignore_root_cache_rule: bool = False
    assess_impact: bool = False
    root_template_applied_for: UniqueList[Feature] = ()
    max_changes: Annotated[int, IS_NUMBER, Field(ge=0)] = 500
    max_changes_per_account: Annotated[Annotated[int, Field(ge=0)] | None, IS_NUMBER] = None
    min_coverage: Annotated[float, IS_NUMBER, Field(ge=0, le=1)] = 0.0
    max_reopened: Annotated[int, IS_NUMBER, Field(ge=1, le=100)] = 3

    @property
    def named_ous(self) -> tuple[str, ...]:
        """The OUs of the write scope and its waves; with any, each account's OU is needed."""
        return (*self.include_ous, *(ou for wave in self.rollout for ou in wave.include_ous))

    @property
    def named_accounts(self) -> tuple[str, ...]:
        """The accounts of the write scope and its waves."""
        of_waves = (account for wave in self.rollout for account in wave.include_accounts)
        return (*self.include_accounts, *of_waves)


class ConfigAggregatorConfig(_Section):
    """The aggregator of AWS Config: of the caller's account, in one region."""

    name: AggregatorName
    region: RegionName


class InventoryConfig(_Section):
    """Other lists of the repositories, to compare with what was checked."""

    config_aggregator: ConfigAggregatorConfig | None = None


class S3Config(_Section):
    """Where in S3 the report goes; the prefix has no slash at either end."""

    bucket: BucketName
    prefix: ObjectPrefix = ""
    kms_key_id: KmsKey | None = None
    lease: bool = True


class SecurityHubConfig(_Section):
    """Where findings are imported: into Security Hub of the caller's account, in one region."""

    region: RegionName


class ReportConfig(_Section):
    """Where the report goes, in which formats, and when people are notified."""

    directory: Directory | None = None
    s3: S3Config | None = None
    sns_topic_arn: TopicArn | None = None
    chat_topic_arn: TopicArn | None = None
    event_bus: EventBusArn | None = None
    security_hub: SecurityHubConfig | None = None
    formats: Annotated[UniqueList[FormatName], Field(min_length=1)] = ("json", "csv")
    notify: Notify = "when_needed"
    account_tags: Annotated[UniqueList[TagKey], Field(max_length=_MAX_ACCOUNT_TAGS)] = ()
    owner_tag: TagKey | None = None
    evidence: bool = False
    plugins: Annotated[dict[SinkName, dict[str, Any] | None], FROM_TEXT] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.evidence and not (self.directory or self.s3):
            raise ValueError("evidence: true needs report.directory or report.s3")
        if self.notify == "on_change" and not (self.directory or self.s3):
            raise ValueError(
                "notify: on_change needs report.directory or report.s3, where the last report is"
            )
        if self.event_bus and not (self.directory or self.s3):
            raise ValueError(
                "event_bus needs report.directory or report.s3, where the last report is: it "
                "tells which findings are new"
            )
        if self.owner_tag and (
            self.owner_tag not in self.account_tags or self.sns_topic_arn is None
        ):
            raise ValueError(
                "owner_tag must be one of report.account_tags, and needs report.sns_topic_arn"
            )
        if self.chat_topic_arn and self.chat_topic_arn == self.sns_topic_arn:
            raise ValueError(
                "chat_topic_arn must be another topic than report.sns_topic_arn: a chat channel "
                "shows no message but its own"
            )
        return self


class StateConfig(_Section):
    """What a run stores on this machine until it has finished."""

    directory: Directory | None = None


class LimitsConfig(_Section):
    """Concurrency and time limits."""

    max_workers: Annotated[int, IS_NUMBER, Field(ge=1, le=1024)] = 64
    processes: Processes = 1
    deadline_seconds: Annotated[
        Annotated[float, Field(gt=0, allow_inf_nan=False)] | None, IS_NUMBER
    ] = None
    delivery_seconds: Annotated[float, IS_NUMBER, Field(ge=0, le=3600)] = 120.0
    http_sender: Literal["own", "botocore"] = "own"


class DistributedConfig(_Section):
    """How a distributed sweep is divided."""

    accounts_per_shard: Annotated[int, IS_NUMBER, Field(ge=1, le=10_000)] = 100


class Config(_Section):
    """The whole configuration, validated and frozen, except for names of checks and formats."""

    checks: Annotated[UniqueList[CheckName], Field(min_length=1)] = CHECKS
    organization: OrganizationConfig = OrganizationConfig()
    regions: RegionsConfig = RegionsConfig()
    coverage: CoverageConfig = CoverageConfig()
    policy: PolicyConfig = PolicyConfig()
    exemptions: Annotated[tuple[ExemptionRule, ...], FROM_TEXT] = ()
    remediation: RemediationConfig = RemediationConfig()
    inventory: InventoryConfig = InventoryConfig()
    report: ReportConfig = ReportConfig()
    state: StateConfig = StateConfig()
    limits: LimitsConfig = LimitsConfig()
    distributed: DistributedConfig = DistributedConfig()

    @property
    def exempt_ous(self) -> tuple[str, ...]:
        """The OUs that exemptions name."""
        return tuple(ou for rule in self.exemptions for ou in rule.ous)

    @property
    def tag_exemptions(self) -> tuple[ExemptionRule, ...]:
        """The exemptions that depend on tags of the account."""
        return tuple(rule for rule in self.exemptions if rule.account_tags)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for key, value in (
            ("remediation.include_ous", self.remediation.include_ous),
            ("remediation.rollout: include_ous", self.remediation.named_ous),
            ("report.account_tags", self.report.account_tags),
            ("exemptions: ous", self.exempt_ous),
            ("exemptions: account_tags", self.tag_exemptions),
        ):
            if value and not self.organization.lists_accounts:
                raise ValueError(
                    f"{key} needs Organizations: "
                    "it cannot be used with enumerate: false or role_name: null"
                )
        if self.report.evidence and self.limits.processes != 1:
            raise ValueError(
                "report.evidence: one process stores it: set limits.processes to 1, or "
                "report.evidence to false"
            )
        stored = self.report.s3 or (self.report.directory and "json" in self.report.formats)
        if self.remediation.grace_days and not stored:
            raise ValueError(
                "remediation.grace_days needs the earlier report: set report.s3, or "
                "report.directory with json among report.formats"
            )
        if "PULL_THROUGH_CACHE" in self.remediation.root_template_applied_for and (
            self.policy.exempt_pull_through_cache
        ):
            raise ValueError(
                "remediation.root_template_applied_for: PULL_THROUGH_CACHE: tags of caches have to "
                "move; leave it out, or set policy.exempt_pull_through_cache: false"
            )
        others = [name for name in self.remediation.checks if name not in self.checks]
        if others and "checks" in self.remediation.model_fields_set:
            raise ValueError(
                f"remediation.checks: {', '.join(others)}: not among the checks that run; "
                f"allowed: {', '.join(self.checks)}"
            )
        return self
