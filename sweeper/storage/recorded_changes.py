"""What a report says was changed, taken for what it is: a claim, by whoever could write it.

It is checked against types and limits before anything is called. What it claims is written only
where ECR says that the repository still is as the claim has it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from sweeper.config.schema import AccountId, MutabilityFilters, RegionName, RepositoryGlob
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.escaping import shorten
from sweeper.domain.model import Finding, Resource
from sweeper.domain.report_model import Report
from sweeper.domain.undo_report import OriginalRun
from sweeper.storage.history import is_time
from sweeper.storage.journal.lines import RUN_ID

_Found = Literal["MUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"]
_Written = Literal["IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION"]  # what a sweep ever writes
_EXCLUDING = "_WITH_EXCLUSION"
_NAME = r"[a-z0-9][a-z0-9._/-]{1,255}"
_PREFIX = r"ROOT|[a-z0-9][a-z0-9._/-]{0,255}"  # of a creation template
_ARN = r"arn:aws[a-z-]*:ecr:{region}:{account}"


@dataclass(frozen=True, slots=True)
class _Claim:
    """Of a finding, what an undo acts on or shows."""

    check: str
    account_id: AccountId
    account_name: Annotated[str, Field(max_length=10_000)]
    region: RegionName
    repository: str
    resource: Resource
    arn: Annotated[str, Field(max_length=1_000)]
    mutability: _Found
    exclusion_filters: MutabilityFilters
    to_mutability: _Written
    to_exclusion_filters: MutabilityFilters

    @model_validator(mode="after")
    def _consistent(self) -> _Claim:
        before = self.mutability, frozenset(self.exclusion_filters)
        after = self.to_mutability, frozenset(self.to_exclusion_filters)
        for mutability, filters in (before, after):
            if mutability.endswith(_EXCLUDING) is not bool(filters):
                raise ValueError(f"{mutability} with {len(filters)} exclusion filters")
        if before == after:
            raise ValueError("nothing was changed: it is what was there before")
        if self.resource == "repository":
            name = _NAME
            arn = _ARN.format(region=self.region, account=self.account_id)
            arn += re.escape(f":repository/{self.repository}")
        else:
            name, arn = _PREFIX, ""  # it has none
        if not re.fullmatch(name, self.repository, re.ASCII):
            raise ValueError(f"the repository is none that ECR allows: {self.repository!r}")
        if not re.fullmatch(arn, self.arn, re.ASCII):
            raise ValueError("the ARN is not of the repository, its account and region")
        return self


_COPIED = (
    "check",
    "account_id",
    "account_name",
    "region",
    "repository",
    "resource",
    "arn",
    "mutability",
    "exclusion_filters",
)


@dataclass(frozen=True, slots=True)
class _Run:
    id: Annotated[str, Field(pattern=f"^{RUN_ID}$")]
    organization_id: Annotated[str | None, Field(pattern=r"^o-[a-z0-9]{10,32}$")]
    account_id: AccountId


def recorded_changes(
    report: Report, location: str, checks: Mapping[str, Resource]
) -> tuple[Finding, ...]:
    """The findings whose change was applied, or may have been; empty where nothing was.

    `checks` are those that there are, with what each is about. Raises ConfigurationError that names
    the location, the finding, and what is wrong with it.
    """
    claims: list[Finding] = []
    for number, finding in enumerate(report.findings):
        change = finding.change
        if change is None or not change.may_be_made:
            continue
        place = f"{location}: findings.{number}"
        if report.run.dry_run:
            raise ConfigurationError(f"{place}: a change that was made by a dry run")
        values = {name: getattr(finding, name) for name in _COPIED}
        values |= {
            "to_mutability": change.to_mutability,
            "to_exclusion_filters": change.to_exclusion_filters,
        }
        _check(_Claim, place, values)
        if finding.check not in checks:
            known = ", ".join(sorted(checks))
            raise ConfigurationError(
                f"{place}.check: {shorten(finding.check, 100)!r} is unknown; allowed: {known}"
            )
        if finding.resource != checks[finding.check]:
            raise ConfigurationError(
                f"{place}.resource: {finding.check} is about a {checks[finding.check]}"
            )
        claims.append(finding)
    if claims:
        _check_run(report, location)
        counted = Counter(claim.key for claim in claims)
        if twice := next((key for key, count in counted.items() if count > 1), None):
            raise ConfigurationError(f"{location}: {' '.join(twice)}: changed twice")
    return tuple(claims)


def original_run(report: Report, location: str) -> OriginalRun:
    """The run that a report is of, for an undo's own report."""
    return OriginalRun(report.run.id, report.run.started_at, location)


def digest(claims: Sequence[Finding]) -> str:
    """The same for the same claims: what an undo is about."""
    values = [asdict(claim) for claim in claims]
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def check_options(accounts: Sequence[str], repositories: Sequence[str]) -> None:
    """Raise ConfigurationError for an option that cannot be meant."""
    for option, kind, values in (
        ("--account", AccountId, accounts),
        ("--repository", RepositoryGlob, repositories),
    ):
        for value in values:
            _check(kind, option, value)


def _check_run(report: Report, location: str) -> None:
    run = report.run
    values = {
        "id": run.id,
        "organization_id": run.organization_id,
        "account_id": run.account_id,
    }
    _check(_Run, f"{location}: run", values)
    if not is_time(run.started_at):
        raise ConfigurationError(f"{location}: run.started_at: not a time")


@cache
def _adapter(kind: Hashable) -> TypeAdapter[object]:
    return TypeAdapter(kind)


def _check(kind: Hashable, place: str, value: object) -> None:
    try:
        _adapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        path = ".".join((place, *map(str, first["loc"])))
        said = shorten(first["msg"].removeprefix("Value error, "), 300)
        raise ConfigurationError(f"{path}: {said}") from None
