"""Read the changes that a report recorded, for apply and undo.

Anybody may have written the report, so it is checked against types and limits before any call. A
change is applied only if the repository still has the setting that the report names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from sweeper.config.field_types import (
    AccountId,
    MutabilityFilters,
    RegionName,
    RepositoryGlob,
)
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.escaping import shorten
from sweeper.domain.model import (
    REGISTRY,
    REPOSITORY_NAME,
    TEMPLATE_PREFIX,
    ChangeStatus,
    Finding,
    Resource,
    is_arn_of,
)
from sweeper.domain.recorded_changes import (
    RecordedChanges,
    invert,
    reviewed_source,
    select_findings,
)
from sweeper.domain.report_model import Report, RunSource
from sweeper.engine.root_template import NO_TEMPLATE, ROOT_PREFIX
from sweeper.storage.journal.kinds import RUN_ID
from sweeper.storage.record_reader import field_names
from sweeper.storage.report_store import ObjectReader, read_report

_Found = Literal["MUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"]
_Written = Literal["IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION"]  # what a sweep ever writes
_EXCLUDING = "_WITH_EXCLUSION"


@dataclass(frozen=True, slots=True)
class _RecordedChange:
    """The members of a finding that another run uses or shows."""

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
    def _consistent(self) -> _RecordedChange:
        before = self.mutability, frozenset(self.exclusion_filters)
        after = self.to_mutability, frozenset(self.to_exclusion_filters)
        for mutability, filters in (before, after):
            if mutability.endswith(_EXCLUDING) is not bool(filters):
                raise ValueError(f"{mutability} with {len(filters)} exclusion filters")
        if before == after:
            raise ValueError("nothing was changed: it is what was there before")
        if self.resource == REGISTRY and self.mutability != NO_TEMPLATE.mutability:
            raise ValueError(f"a registry without a template is {NO_TEMPLATE.mutability}")
        if self.resource == "repository":
            name = REPOSITORY_NAME
            is_own = is_arn_of(self.arn, self.account_id, self.region, self.repository)
        else:
            name = TEMPLATE_PREFIX if self.resource != REGISTRY else ROOT_PREFIX
            is_own = not self.arn  # it has none
        if not re.fullmatch(name, self.repository):
            raise ValueError(f"the repository is none that ECR allows: {self.repository!r}")
        if not is_own:
            raise ValueError("the ARN is not of the repository, its account and region")
        return self


@dataclass(frozen=True, slots=True)
class _Run:
    id: Annotated[str, Field(pattern=f"^{RUN_ID}$")]
    organization_id: Annotated[str | None, Field(pattern=r"^o-[a-z0-9]{10,32}$")]
    account_id: AccountId


def read_recorded_changes(
    kind: Literal["apply", "undo"],
    location: str,
    read_object: ObjectReader,
    checks: Mapping[str, tuple[Resource, ...]],
    *,
    configured: Collection[str] | None = None,
    accounts: Sequence[str] = (),
    excluded: Sequence[str] = (),
    repositories: Sequence[str] = (),
) -> RecordedChanges:
    """Return the changes that the report at `location` planned (apply) or made (undo).

    `checks` are all checks, with the resources of each; an apply runs those that are `configured`
    (None: all). `accounts`, `excluded` accounts and `repositories` (globs) limit the changes. The
    report may have none. Raises ConfigurationError for a report that cannot be used, and for a
    filter that matches nothing: a mistyped id must not look like success.
    """
    for option, type_, values in (
        ("--account", AccountId, accounts),
        ("--repository", RepositoryGlob, repositories),
    ):
        for value in values:
            _check(type_, option, value)
    report = read_report(location, read_object)
    findings = _findings(kind, report, location, checks)
    alone = [("--account", each, select_findings(findings, (each,), ())) for each in accounts]
    alone += [
        ("--repository", each, select_findings(findings, (), (each,))) for each in repositories
    ]
    for option, value, left in alone:
        if findings and not left:
            raise ConfigurationError(
                f"{option} {value}: the report has no such change there; it has "
                f"{len(findings):,} {_CHANGES[kind]}; accounts: "
                f"{len({finding.account_id for finding in findings}):,}"
            )
    chosen = select_findings(findings, accounts, repositories)
    if findings and not chosen:
        raise ConfigurationError(
            f"--account and --repository leave none of the report's {_CHANGES[kind]}"
        )
    if chosen:
        chosen = _without_accounts(chosen, excluded)
    source = RunSource(report.run.id, report.run.started_at, location)
    if kind == "apply":
        source = reviewed_source(
            report,
            location,
            chosen,
            checks if configured is None else configured,
            accounts=accounts,
            excluded=excluded,
        )
    return RecordedChanges(
        kind,
        source,
        report.run.organization_id,
        report.run.account_id,
        tuple(map(invert, chosen)) if kind == "undo" else chosen,
        report.run.write_scope.root_template_applied_for if report.run.write_scope else (),
    )


_CHANGES = {"apply": "planned changes", "undo": "applied changes"}


def _without_accounts(
    findings: tuple[Finding, ...], excluded: Sequence[str]
) -> tuple[Finding, ...]:
    """Return the findings except those in the excluded accounts.

    Raises ConfigurationError where an excluded account has none (a typing error), or none is left.
    """
    there = {finding.account_id for finding in findings}
    for account_id in excluded:
        if account_id not in there:
            raise ConfigurationError(
                f"--exclude-account {account_id}: the report has no such change there"
            )
    left = tuple(each for each in findings if each.account_id not in excluded)
    if not left:
        raise ConfigurationError("--exclude-account leaves none of the report's changes")
    return left


def _findings(
    kind: Literal["apply", "undo"],
    report: Report,
    location: str,
    checks: Mapping[str, tuple[Resource, ...]],
) -> tuple[Finding, ...]:
    """Return the findings with such a change. Raises ConfigurationError that names the member."""
    if report.run.kind == "undo":
        raise ConfigurationError(
            f"{location}: the report of an undo; name the report of a sweep or of an apply"
        )
    findings: list[Finding] = []
    for position, finding in enumerate(report.findings):
        change = finding.change
        if change is None or not (
            change.may_be_made if kind == "undo" else change.status is ChangeStatus.PLANNED
        ):
            continue
        path = f"{location}: findings.{position}"
        if report.run.dry_run is (kind == "undo"):
            which = "made by a dry run" if kind == "undo" else "planned by what is no dry run"
            raise ConfigurationError(f"{path}: a change that was {which}")
        _check(_RecordedChange, path, {**_members(change), **_members(finding)})
        if finding.check not in checks:
            known = ", ".join(sorted(checks))
            raise ConfigurationError(
                f"{path}.check: {shorten(finding.check, 100)!r} is unknown; allowed: {known}"
            )
        if finding.resource not in checks[finding.check]:
            about = " or a ".join(checks[finding.check])
            raise ConfigurationError(f"{path}.resource: {finding.check} is about a {about}")
        findings.append(finding)
    if findings:
        _check(_Run, f"{location}: run", _members(report.run))
        counted = Counter(finding.key for finding in findings)
        if twice := next((key for key, count in counted.items() if count > 1), None):
            raise ConfigurationError(f"{location}: {' '.join(twice)}: changed twice")
    return tuple(findings)


def _members(value: Any) -> dict[str, object]:
    kind: Any = type(value)
    return {name: getattr(value, name) for name in field_names(kind)}


_adapter = cache(TypeAdapter)


def _check(kind: Hashable, path: str, value: object) -> None:
    try:
        _adapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        member = ".".join((path, *map(str, first["loc"])))
        problem = shorten(first["msg"].removeprefix("Value error, "), 300)
        raise ConfigurationError(f"{member}: {problem}") from None
