"""The types of the values in config.yaml: what is allowed, and what an error says is allowed."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import EXCLUSION_FILTER, MAX_EXCLUSION_FILTERS
from sweeper.domain.reasons import ACCEPTABLE_REASONS, Reason

_MAX_WILDCARDS = 2  # ECR: in one filter
MAX_PROCESSES = 64


def _decode(value: object) -> object:
    """Decode the text of an environment variable: a list or mapping as JSON, or comma-separated."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith(("[", "{")):
        try:
            return json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"not valid JSON: {error}") from None
        except RecursionError:
            raise ValueError("not valid JSON: nested too deeply") from None
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if not parts:  # a template's empty parameter must not widen what is swept or written
        raise ValueError("empty text is not allowed; allowed: [] for none, or leave it out")
    return parts


def _remove_duplicates(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _matching(pattern: str, allowed: str) -> BeforeValidator:
    """Require text that matches the whole pattern; an unquoted number in YAML is not text.

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
    if value.count("*") > _MAX_WILDCARDS:
        raise ValueError(f"{value!r} has more than 2 '*', which ECR refuses")
    return value


def _day(value: object) -> date | None:
    """Return the date that YAML or text gives; None where it is none."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, date) and not isinstance(value, datetime) else None


def _required_day(value: object) -> date:
    if day := _day(value):
        return day
    raise ValueError(f"{value!r} is not allowed; allowed: a date such as 2027-01-31")


def _expiry(value: object) -> object:
    if value == "never":
        return value
    if day := _day(value):
        return day
    raise ValueError(f"{value!r} is not allowed; allowed: a date such as 2027-01-31, or never")


def _number(value: object) -> object:
    if isinstance(value, bool):  # which Python takes for a number
        raise ValueError(f"{value!r} is not allowed; allowed: a number")  # noqa: TRY004
    return value


def _processes(value: object) -> object:
    text = str(value)
    if value == "auto" or (text.isdecimal() and 1 <= int(text) <= MAX_PROCESSES):
        return value
    raise ValueError(f"{value!r} is not allowed; allowed: 1 to {MAX_PROCESSES}, or auto")


def _directory(value: object) -> object:
    if value == "":  # which a Path takes for the working directory
        raise ValueError("empty text is not allowed; allowed: a directory's path, or null for none")
    if not isinstance(value, str):
        return value
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError(f"{value!r} is not allowed: there is no such home directory") from None


def _prefix(value: str) -> str:
    if any(map(is_hidden, value)):
        raise ValueError(
            f"{value!r} is not allowed; allowed: text without control, bidirectional and invisible "
            "characters"
        )
    return value.strip("/")


def _acceptable(value: object) -> object:
    if value not in ACCEPTABLE_REASONS:
        raise ValueError(
            f"{value!r} cannot be accepted in advance; allowed: {', '.join(ACCEPTABLE_REASONS)}"
        )
    return value


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


IN_QUOTES = " in quotes"  # of YAML: left out of errors about an option's value
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
AccountGlobs = Annotated[  # one, or a list
    tuple[AccountGlob, ...],
    Field(min_length=1),
    BeforeValidator(_as_list, json_schema_input_type=AccountGlob | list[AccountGlob]),
]
RegionGlobs = Annotated[
    tuple[RegionGlob, ...],
    Field(min_length=1),
    BeforeValidator(_as_list, json_schema_input_type=RegionGlob | list[RegionGlob]),
]
RepositoryGlob = Annotated[
    str,
    _matching(r"[a-z0-9._/*?-]+", 'a repository\'s name, with * and ? as wildcards: "sandbox/*"'),
]
RoleName = Annotated[
    str,
    _matching(
        r"(?!arn:)([\x21-\x2e\x30-\x7e]+/)*[0-9A-Za-z_+=,.@-]{1,64}",
        "an IAM role's name, with its path before it if any, and not its ARN",
    ),
]
ExclusionFilter = Annotated[
    str,
    _matching(
        EXCLUSION_FILTER,
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
EventBusArn = Annotated[
    str,
    _matching(
        r"arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/[A-Za-z0-9/._-]{1,256}",
        "an event bus' ARN: arn:aws:events:eu-central-1:123456789012:event-bus/name",
    ),
]
BucketName = Annotated[
    str, _matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "an S3 bucket's name, 3 to 63 characters")
]
ObjectPrefix = Annotated[
    str,
    Field(max_length=512),
    AfterValidator(_prefix),
    WithJsonSchema(  # with the most common ones that the validator refuses
        {
            "type": "string",
            "maxLength": 512,
            "pattern": r"^[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]*$",
        }
    ),
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
AggregatorName = Annotated[
    str, _matching(r"[0-9A-Za-z_-]{1,256}", "the name of an AWS Config aggregator, not its ARN")
]
CheckName = Annotated[
    str, _matching(r"[a-z][a-z0-9-]*", "a check's name, such as ecr-tag-immutability")
]
SinkName = Annotated[str, _matching(r"[a-z][a-z0-9_]*", "a plugin's name")]
FormatName = Annotated[str, _matching(r"[a-z][a-z0-9_]*", "a format's name: json, csv, text")]

IS_NUMBER = BeforeValidator(_number)
FROM_TEXT = BeforeValidator(_decode)
_T = TypeVar("_T")
# A list, without duplicates: a region named twice is still one target.
UniqueList = Annotated[tuple[_T, ...], FROM_TEXT, AfterValidator(_remove_duplicates)]
Processes = Annotated[
    int | Literal["auto"],
    BeforeValidator(_processes),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MAX_PROCESSES},
                {"type": "string", "const": "auto"},
            ]
        }
    ),
]
Directory = Annotated[
    Path, BeforeValidator(_directory), WithJsonSchema({"type": "string", "minLength": 1})
]
Text = Annotated[str, _matching(r"[\s\S]*\S[\s\S]*", "text that is not empty")]
Day = Annotated[date, BeforeValidator(_required_day)]
Expiry = Annotated[date | Literal["never"], BeforeValidator(_expiry)]
AcceptableReason = Annotated[
    Reason, BeforeValidator(_acceptable), WithJsonSchema({"enum": list(ACCEPTABLE_REASONS)})
]
Feature = Literal["REPLICATION", "CREATE_ON_PUSH", "PULL_THROUGH_CACHE"]  # ECR: RCTAppliedFor
ExclusionsByRepository = Annotated[
    dict[
        RepositoryGlob,
        Annotated[UniqueList[ExclusionFilter], Field(max_length=MAX_EXCLUSION_FILTERS)],
    ],
    FROM_TEXT,
]
MutabilityFilters = Annotated[  # as ECR has them: one that matches every tag may be among them
    tuple[Annotated[str, Field(pattern=f"^{EXCLUSION_FILTER}$")], ...],
    Field(max_length=MAX_EXCLUSION_FILTERS),
]
TagKey = Annotated[  # Organizations: TagKey
    str, _matching(r"(?=[\s\S]*\S)[\s\S]{1,128}", "an account tag's key, 1 to 128 characters")
]
Tags = Annotated[dict[str, tuple[str, ...]], FROM_TEXT]
