"""The shape of config.yaml: its keys, their types, defaults and limits.

`sweeper.config.loader` makes a Config of the file, the environment and the options.
"""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from sweeper.domain.model import MAX_EXCLUSION_FILTERS
from sweeper.domain.reasons import ACCEPTABLE_REASONS, Reason

ENVIRONMENT_PREFIX = "SWEEPER_"
MAX_WILDCARDS = 2  # ECR: in one filter
MAX_ACCOUNT_TAGS = 10  # they stand beside each finding
SECRET_KEYS = (("organization", "external_id"),)  # whose values are never shown
CHECKS = ("ecr-tag-immutability",)  # those that run, and that may write, where nothing else is said


def _decoded(value: object) -> object:
    """An environment variable is text: lists and mappings are JSON there, or comma-separated."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith(("[", "{")):
        try:
            return json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"not valid JSON: {error}") from None
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if not parts:  # a template's empty parameter must not widen what is swept or written
        raise ValueError("empty text is not allowed; allowed: [] for none, or leave it out")
    return parts


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    """Without what was said before: a region named twice is still one target."""
    return tuple(dict.fromkeys(values))


def _matching(pattern: str, allowed: str) -> BeforeValidator:
    """Text that matches the whole pattern; an unquoted number in YAML is not text.

    The pattern is published in the JSON Schema: without flags, and without what means more than
    ASCII to some engines.
    """
    compiled = re.compile(pattern)

    def check(value: object) -> object:
        if isinstance(value, int) and not isinstance(value, bool):
            raise ValueError(  # noqa: TRY004 (pydantic takes it for the message)
                f"{value} is not quoted: write it in quotes, because YAML reads "
                "012345670123 as another number"
            )
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise ValueError(f"{value!r} is not allowed; allowed: {allowed}")
        return value

    published = WithJsonSchema({"type": "string", "pattern": f"^(?:{pattern})$"})
    return BeforeValidator(check, json_schema_input_type=Annotated[str, published])


def _not_only_wildcards(value: str) -> str:
    if not value.strip("*"):
        raise ValueError(f"{value!r} matches every tag, so nothing would be immutable")
    if value.count("*") > MAX_WILDCARDS:
        raise ValueError(f"{value!r} has more than 2 '*', which ECR refuses")
    return value


def _expiry(value: object) -> object:
    if isinstance(value, str) and value != "never":
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    elif value == "never" or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    raise ValueError(f"{value!r} is not allowed; allowed: a date such as 2027-01-31, or never")


def _number(value: object) -> object:
    if isinstance(value, bool):  # which Python takes for a number
        raise ValueError(f"{value!r} is not allowed; allowed: a number")  # noqa: TRY004
    return value


def _directory(value: object) -> object:
    if value == "":  # which a Path takes for the working directory
        raise ValueError("empty text is not allowed; allowed: a directory's path, or null for none")
    return value


def _acceptable(value: object) -> object:
    if value not in ACCEPTABLE_REASONS:
        raise ValueError(
            f"{value!r} cannot be accepted in advance; allowed: {', '.join(ACCEPTABLE_REASONS)}"
        )
    return value


IN_QUOTES = " in quotes"  # of YAML: it is left out of what is told of an option's value
AccountId = Annotated[
    str, _matching(r"[0-9]{12}", f'an account id, 12 digits{IN_QUOTES}: "123456789012"')
]
AccountGlob = Annotated[
    str, _matching(r"[0-9*?]{1,12}", '"*" or an account id in quotes, with * and ? as wildcards')
]
OuId = Annotated[
    str,
    _matching(
        r"r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}",
        "an OU id (ou-ab12-11111111) or a root id (r-ab12)",
    ),
]
RegionName = Annotated[
    str, _matching(r"[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}", "a region's name, such as eu-central-1")
]
RegionGlob = Annotated[
    str, _matching(r"[a-z0-9*?-]+", 'a region\'s name, with * and ? as wildcards: "ap-*"')
]
RepositoryGlob = Annotated[
    str,
    _matching(r"[a-z0-9._/*?-]+", 'a repository\'s name, with * and ? as wildcards: "sandbox/*"'),
]
RoleName = Annotated[
    str,
    _matching(
        r"([\x21-\x2e\x30-\x7e]+/)*[0-9A-Za-z_+=,.@-]{1,64}",
        "an IAM role name, with its path before it if any",
    ),
]
ExclusionFilter = Annotated[
    str,
    _matching(
        r"[0-9a-zA-Z._*-]{1,128}",
        "1 to 128 of letters, digits, '.', '_', '-' and '*'",
    ),
    AfterValidator(_not_only_wildcards),
    WithJsonSchema(  # with what the validator refuses
        {"type": "string", "pattern": r"^(?!\*+$)(?!(?:[^*]*\*){3})[0-9a-zA-Z._*-]{1,128}$"}
    ),
]
TopicArn = Annotated[
    str,
    _matching(
        r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?",
        "an SNS topic's ARN: arn:aws:sns:eu-central-1:123456789012:name",
    ),
]
BucketName = Annotated[
    str, _matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "an S3 bucket's name, 3 to 63 characters")
]
KmsKey = (
    Annotated[  # S3: SSEKMSKeyId, which is what KMS takes; each kind of key id has 36 characters
        str,
        _matching(
            r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9A-Za-z-]{1,256}"
            r"|(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:)?alias/[0-9A-Za-z/_-]{1,250}"
            r"|[0-9A-Za-z-]{36}",
            "a KMS key's id, its ARN (arn:aws:kms:eu-central-1:123456789012:key/…), an alias "
            "(alias/reports) or an alias' ARN",
        ),
    ]
)
CheckName = Annotated[
    str, _matching(r"[a-z][a-z0-9-]*", "a check's name, such as ecr-tag-immutability")
]
SinkName = Annotated[str, _matching(r"[a-z][a-z0-9_]*", "a plugin's name")]
FormatName = Annotated[str, _matching(r"[a-z][a-z0-9_]*", "a format's name: json, csv, text")]

_NUMBER = BeforeValidator(_number)
Directory = Annotated[
    Path, BeforeValidator(_directory), WithJsonSchema({"type": "string", "minLength": 1})
]
Text = Annotated[str, _matching(r"[\s\S]*\S[\s\S]*", "text that is not empty")]
Expiry = Annotated[date | Literal["never"], BeforeValidator(_expiry)]
AcceptableReason = Annotated[
    Reason, BeforeValidator(_acceptable), WithJsonSchema({"enum": list(ACCEPTABLE_REASONS)})
]
AccountIds = Annotated[tuple[AccountId, ...], BeforeValidator(_decoded), AfterValidator(_distinct)]
OuIds = Annotated[tuple[OuId, ...], BeforeValidator(_decoded), AfterValidator(_distinct)]
RegionNames = Annotated[
    tuple[RegionName, ...], BeforeValidator(_decoded), AfterValidator(_distinct)
]
ExclusionFilters = Annotated[
    tuple[ExclusionFilter, ...], BeforeValidator(_decoded), AfterValidator(_distinct)
]
CheckNames = Annotated[tuple[CheckName, ...], BeforeValidator(_decoded), AfterValidator(_distinct)]
ExclusionsByRepository = Annotated[
    dict[RepositoryGlob, Annotated[ExclusionFilters, Field(max_length=MAX_EXCLUSION_FILTERS)]],
    BeforeValidator(_decoded),
]
MutabilityFilters = Annotated[  # as ECR has them: one that matches every tag may be among them
    tuple[Annotated[str, Field(pattern=r"^[0-9a-zA-Z._*-]{1,128}$")], ...],
    Field(max_length=MAX_EXCLUSION_FILTERS),
]
FormatNames = Annotated[
    tuple[FormatName, ...], BeforeValidator(_decoded), AfterValidator(_distinct)
]
TagKey = Annotated[  # Organizations: TagKey
    str, _matching(r"(?=[\s\S]*\S)[\s\S]{1,128}", "an account tag's key, 1 to 128 characters")
]
TagKeys = Annotated[tuple[TagKey, ...], BeforeValidator(_decoded), AfterValidator(_distinct)]
Tags = Annotated[dict[str, tuple[str, ...]], BeforeValidator(_decoded)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OrganizationConfig(_Section):
    """Which accounts, and how they are entered."""

    role_name: RoleName | None = "ecr-immutability-sweeper"
    enumerate: bool = True
    external_id: Annotated[
        str | None, Field(min_length=2, max_length=1224, pattern=r"^[0-9A-Za-z_+=,.@:/-]*$")
    ] = None
    sts_region: RegionName | None = None
    include_ous: OuIds = ()
    within_ous: OuIds = ()
    exclude_ous: OuIds = ()
    include_accounts: AccountIds = ()
    exclude_accounts: AccountIds = ()
    include_tags: Tags = {}
    exclude_tags: Tags = {}

    @property
    def named_ous(self) -> tuple[str, ...]:
        """The OUs of all filters: where there are some, it matters which OU an account is in."""
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
    """Which regions of each account."""

    include: RegionNames = ()
    exclude: RegionNames = ()

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
        "properties": {"region": {"pattern": r"^[^*?\[]+$"}},
        "required": ["region"],
    },
}


class AcceptedGap(_Section, json_schema_extra=_NAMED_REGION):
    """What may stay unseen without breaking coverage."""

    reason: AcceptableReason
    account: AccountGlob = "*"
    region: Annotated[RegionGlob, Field(validate_default=True)] = "*"

    @field_validator("region")
    @classmethod
    def _named(cls, region: str, info: ValidationInfo) -> str:
        reason = info.data.get("reason")
        if reason is Reason.ENDPOINT_UNREACHABLE and set("*?[") & set(region):
            raise ValueError(
                f"{region!r} is not allowed for {reason}; allowed: the name of a region"
            )
        return region


class CoverageConfig(_Section):
    """What the sweep need not see."""

    accept: Annotated[tuple[AcceptedGap, ...], BeforeValidator(_decoded)] = ()


class PolicyConfig(_Section):
    """What counts as compliant."""

    allowed_exclusions: ExclusionFilters = ()
    exempt_pull_through_cache: bool = True


class ExemptionRule(_Section):
    """Repositories that may stay as they are, why, and until when (inclusive, UTC)."""

    account: AccountGlob = "*"
    region: RegionGlob = "*"
    repository: RepositoryGlob
    reason: Text
    expires: Expiry


class RemediationConfig(_Section):
    """Whether, where and how much may be written."""

    auto_remediate: Literal["ENABLED", "DISABLED"] = "ENABLED"
    checks: CheckNames = CHECKS
    include_ous: OuIds = ()
    include_accounts: AccountIds = ()
    exclude_accounts: AccountIds = ()
    exclusions: Annotated[ExclusionFilters, Field(max_length=MAX_EXCLUSION_FILTERS)] = ()
    exclusions_by_repository: ExclusionsByRepository = {}
    ignore_root_cache_rule: bool = False
    assess_impact: bool = False
    max_changes: Annotated[int, _NUMBER, Field(ge=0)] = 500
    min_coverage: Annotated[float, _NUMBER, Field(ge=0, le=1)] = 0.0


class S3Config(_Section):
    """Where in S3 the report goes; the prefix has no slash at either end."""

    bucket: BucketName
    prefix: Annotated[str, Field(max_length=512), AfterValidator(lambda text: text.strip("/"))] = ""
    kms_key_id: KmsKey | None = None
    lease: bool = True


class SecurityHubConfig(_Section):
    """Where findings are imported: into Security Hub of the caller's account, in one region."""

    region: RegionName


class ReportConfig(_Section):
    """Where the report goes, in which formats, and when people are told."""

    directory: Directory | None = None
    s3: S3Config | None = None
    sns_topic_arn: TopicArn | None = None
    security_hub: SecurityHubConfig | None = None
    formats: Annotated[FormatNames, Field(min_length=1)] = ("json", "csv")
    notify: Literal["when_needed", "always"] = "when_needed"
    account_tags: Annotated[TagKeys, Field(max_length=MAX_ACCOUNT_TAGS)] = ()
    evidence: bool = False
    plugins: Annotated[dict[SinkName, dict[str, Any] | None], BeforeValidator(_decoded)] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.evidence and not (self.directory or self.s3):
            raise ValueError("evidence: true needs report.directory or report.s3")
        return self


class StateConfig(_Section):
    """What a run keeps on this machine until it has ended well."""

    directory: Directory | None = None


class LimitsConfig(_Section):
    """How much at once, and for how long."""

    max_workers: Annotated[int, _NUMBER, Field(ge=1, le=1024)] = 64
    deadline_seconds: Annotated[
        Annotated[float, Field(gt=0, allow_inf_nan=False)] | None, _NUMBER
    ] = None
    delivery_seconds: Annotated[float, _NUMBER, Field(ge=0, le=3600)] = 120.0
    http_sender: Literal["own", "botocore"] = "own"


class Config(_Section):
    """The whole configuration, checked and frozen, but for names that others know."""

    checks: Annotated[CheckNames, Field(min_length=1)] = CHECKS
    organization: OrganizationConfig = OrganizationConfig()
    regions: RegionsConfig = RegionsConfig()
    coverage: CoverageConfig = CoverageConfig()
    policy: PolicyConfig = PolicyConfig()
    exemptions: Annotated[tuple[ExemptionRule, ...], BeforeValidator(_decoded)] = ()
    remediation: RemediationConfig = RemediationConfig()
    report: ReportConfig = ReportConfig()
    state: StateConfig = StateConfig()
    limits: LimitsConfig = LimitsConfig()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        organization = self.organization
        for key, value in (
            ("remediation.include_ous", self.remediation.include_ous),
            ("report.account_tags", self.report.account_tags),
        ):
            if value and (organization.role_name is None or not organization.enumerate):
                raise ValueError(
                    f"{key} needs Organizations: "
                    "it cannot be used with enumerate: false or role_name: null"
                )
        others = [name for name in self.remediation.checks if name not in self.checks]
        if others and "checks" in self.remediation.model_fields_set:
            raise ValueError(
                f"remediation.checks: {', '.join(others)}: not among the checks that run; "
                f"allowed: {', '.join(self.checks)}"
            )
        return self
