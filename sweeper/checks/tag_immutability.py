"""Image tags of an ECR repository cannot be overwritten.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from sweeper.errors import OperationFailed
from sweeper.model import (
    MAX_EXCLUSION_FILTERS,
    Change,
    ChangeStatus,
    Compliance,
    Examined,
    Exemption,
    Finding,
    Reason,
    Repository,
    Target,
)

if TYPE_CHECKING:
    from sweeper.config import Config, ExemptionRule

NAME = "ecr-image-tag-immutability"
READ_ACTIONS = frozenset({"ecr:DescribeRepositories", "ecr:DescribePullThroughCacheRules"})
WRITE_ACTIONS = frozenset({"ecr:PutImageTagMutability"})
ROOT_PREFIX = "ROOT"  # ECR: the rule for every name without another rule; it exempts nothing


class Registry(Protocol):
    """ECR in the account and region of a target; every method raises OperationFailed."""

    def repositories(self, target: Target) -> Iterable[Repository]:
        """Every repository of the registry: all pages, or an error."""

    def repository(self, target: Target, name: str) -> Repository | None:
        """The repository as it is now; None when it is gone."""

    def pull_through_cache_prefixes(self, target: Target) -> tuple[str, ...]:
        """The repository prefixes of the registry's pull-through cache rules."""

    def put_image_tag_mutability(
        self, target: Target, name: str, mutability: str, filters: Sequence[str]
    ) -> Repository:
        """Write the setting; the setting that ECR answers with."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the repository's own settings say; `reason` is a sentence."""

    compliance: Compliance
    reason: str = ""


def evaluate(repository: Repository, allowed_filters: Collection[str]) -> Verdict:
    """Whether the repository's tags can be overwritten, exemptions aside."""
    filters = repository.exclusion_filters
    match repository.mutability:
        case _ if repository.unknown_filter_types:
            types = _quoted(repository.unknown_filter_types)
            unknown = f"exclusion filters of type {types} are unknown to this version"
        case "IMMUTABLE":
            return Verdict(Compliance.COMPLIANT)
        case "IMMUTABLE_WITH_EXCLUSION" if filters:
            refused = [text for text in filters if text not in allowed_filters]
            if not refused:
                return Verdict(Compliance.COMPLIANT)
            return Verdict(
                Compliance.NON_COMPLIANT,
                f"image tags that match {_quoted(refused)} can be overwritten",
            )
        case "IMMUTABLE_WITH_EXCLUSION":
            unknown = "IMMUTABLE_WITH_EXCLUSION without its exclusion filters"
        case "MUTABLE":
            return Verdict(Compliance.NON_COMPLIANT, "image tags can be overwritten")
        case "MUTABLE_WITH_EXCLUSION":
            return Verdict(
                Compliance.NON_COMPLIANT,
                f"image tags can be overwritten, but for those that match {_quoted(filters)}",
            )
        case word:
            unknown = f"imageTagMutability {word!r} is unknown to this version"
    return Verdict(Compliance.UNDETERMINED, unknown)


def remedy(
    mutability: str,
    filters: Sequence[str],
    *,
    exclusions: Sequence[str],
    allowed_filters: Collection[str],
) -> Change:
    """The change that makes a non-compliant repository compliant.

    Filters that stay: `exclusions`, then the allowed ones that the repository already had as
    exceptions from immutability. Those of MUTABLE_WITH_EXCLUSION mean the opposite: dropped.
    """
    kept = [text for text in filters if text in allowed_filters]
    if mutability != "IMMUTABLE_WITH_EXCLUSION":
        kept = []
    remaining = tuple(dict.fromkeys((*exclusions, *kept)))
    to_mutability = "IMMUTABLE_WITH_EXCLUSION" if remaining else "IMMUTABLE"
    if len(remaining) > MAX_EXCLUSION_FILTERS:
        return Change(
            ChangeStatus.WITHHELD, to_mutability, remaining, reason=Reason.TOO_MANY_FILTERS
        )
    return Change(ChangeStatus.PLANNED, to_mutability, remaining)


def configured_exemption(
    account_id: str, region: str, name: str, rules: Iterable[ExemptionRule], today: date
) -> Exemption | None:
    """The first rule in force for the repository, else the first that expired, else None."""
    expired = None
    for rule in rules:
        if (
            fnmatchcase(account_id, rule.account)
            and fnmatchcase(region, rule.region)
            and fnmatchcase(name, rule.repository)
        ):
            expires = rule.expires if isinstance(rule.expires, date) else None
            pattern = f"{rule.account} {rule.region} {rule.repository}"
            exemption = Exemption(
                source="config",
                rule=pattern,
                reason=rule.reason,
                expires=expires,
                expired=expires is not None and expires < today,
            )
            if not exemption.expired:
                return exemption
            expired = expired or exemption
    return expired


def pull_through_exemption(name: str, prefixes: Iterable[str]) -> Exemption | None:
    """The exemption of a repository that a pull-through cache rule fills.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html: AWS
    recommends MUTABLE there, since an upstream tag that moves could not be cached again.
    """
    for prefix in sorted(prefixes, key=len, reverse=True):
        if prefix != ROOT_PREFIX and name.startswith(prefix.rstrip("/") + "/"):
            return Exemption(
                source="pull_through_cache",
                rule=prefix,
                reason=f"filled by the pull-through cache rule for {prefix!r}",
                expires=None,
                expired=False,
            )
    return None


class TagImmutability:
    """The check, with its configuration, on a registry."""

    name = NAME
    read_actions = READ_ACTIONS
    write_actions = WRITE_ACTIONS

    def __init__(self, registry: Registry, config: Config, today: date) -> None:
        self._registry = registry
        self._exclusions = config.remediation.exclusions
        self._allowed = frozenset((*config.policy.allowed_exclusions, *self._exclusions))
        self._exempt_pull_through = config.policy.exempt_pull_through_cache
        self._exemptions = config.exemptions
        self._today = today

    def examine(self, target: Target) -> Examined:
        """Every repository of the target judged. Raises OperationFailed: never a part of them."""
        compliant = 0
        findings: list[Finding] = []
        for repository in self._registry.repositories(target):
            verdict = evaluate(repository, self._allowed)
            if verdict.compliance is Compliance.COMPLIANT:
                compliant += 1
            else:
                findings.append(self._finding(target, repository, verdict))
        if findings:
            findings = self._with_pull_through_cache(target, findings)
        exempt = sum(finding.compliance is Compliance.EXEMPT for finding in findings)
        non_compliant = sum(finding.compliance is Compliance.NON_COMPLIANT for finding in findings)
        if not findings:
            return _healthy(compliant)
        return Examined((compliant, non_compliant, exempt), tuple(findings))

    def remedy(self, finding: Finding) -> Change:
        """What would close the finding."""
        return remedy(
            finding.mutability,
            finding.exclusion_filters,
            exclusions=self._exclusions,
            allowed_filters=self._allowed,
        )

    def apply(
        self,
        target: Target,
        finding: Finding,
        change: Change,
        intend: Callable[[], None],
    ) -> Change:
        """Write the change if the repository still is what was judged; what became of it.

        Raises OperationFailed when the repository could not be read again or not be written.
        """
        now = self._registry.repository(target, finding.repository)
        if now is None:
            return replace(change, status=ChangeStatus.SUPERSEDED, reason=Reason.REPOSITORY_DELETED)
        if now.unknown_filter_types or _setting(now) != (
            finding.mutability,
            frozenset(finding.exclusion_filters),
        ):
            compliant = evaluate(now, self._allowed).compliance is Compliance.COMPLIANT
            reason = Reason.NOW_COMPLIANT if compliant else Reason.CHANGED_SINCE_EXAMINED
            return replace(change, status=ChangeStatus.SUPERSEDED, reason=reason)
        intend()
        try:
            self._write(target, finding, change)
        except OperationFailed as error:
            if error.reason is Reason.REPOSITORY_DELETED:
                return replace(change, status=ChangeStatus.SUPERSEDED, reason=error.reason)
            if not error.uncertain or not self._seems_made(target, finding, change):
                raise
        return replace(change, status=ChangeStatus.APPLIED)

    def is_made(self, target: Target, finding: Finding, change: Change) -> bool | None:
        """Whether the repository is as the change would make it; None where it is gone.

        Raises OperationFailed.
        """
        now = self._registry.repository(target, finding.repository)
        return None if now is None else _setting(now) == _wanted(change)

    def _write(self, target: Target, finding: Finding, change: Change) -> None:
        written = self._registry.put_image_tag_mutability(
            target, finding.repository, change.to_mutability, change.to_exclusion_filters
        )
        if _setting(written) != _wanted(change):
            raise OperationFailed(
                Reason.UNEXPECTED_RESPONSE,
                f"ECR answered the write with {written.mutability} "
                f"{_quoted(written.exclusion_filters)}; it may have taken effect",
                uncertain=True,
            )

    def _seems_made(self, target: Target, finding: Finding, change: Change) -> bool:
        """Whether a write without a good answer took effect, as far as that can be read."""
        try:
            return bool(self.is_made(target, finding, change))
        except OperationFailed:
            return False

    def _finding(self, target: Target, repository: Repository, verdict: Verdict) -> Finding:
        compliance = verdict.compliance
        exemption = None
        if compliance is Compliance.NON_COMPLIANT:
            exemption = configured_exemption(
                target.account.id, target.region, repository.name, self._exemptions, self._today
            )
            if exemption and not exemption.expired:
                compliance = Compliance.EXEMPT
        return Finding(
            check=NAME,
            account_id=target.account.id,
            account_name=target.account.name,
            region=target.region,
            repository=repository.name,
            arn=repository.arn,
            compliance=compliance,
            mutability=repository.mutability,
            exclusion_filters=repository.exclusion_filters,
            reason=verdict.reason,
            exemption=exemption,
        )

    def _with_pull_through_cache(self, target: Target, findings: list[Finding]) -> list[Finding]:
        """The findings, those in repositories that a pull-through cache rule fills exempted.

        Where the rules cannot be read the findings stand, and their changes are withheld.
        """
        if not self._exempt_pull_through or not any(map(_may_be_cached, findings)):
            return findings
        try:
            prefixes = self._registry.pull_through_cache_prefixes(target)
        except OperationFailed as error:
            if error.reason.is_stop:  # nothing is wrong with the rules: the target was not reached
                raise
            return [
                self._withheld(finding, error) if _may_be_cached(finding) else finding
                for finding in findings
            ]
        return [
            replace(finding, compliance=Compliance.EXEMPT, exemption=exemption)
            if _may_be_cached(finding)
            and (exemption := pull_through_exemption(finding.repository, prefixes))
            else finding
            for finding in findings
        ]

    def _withheld(self, finding: Finding, error: OperationFailed) -> Finding:
        change = replace(
            self.remedy(finding),
            status=ChangeStatus.WITHHELD,
            reason=Reason.PULL_THROUGH_RULES_UNREADABLE,
            error=f"{error.error_code or error.reason}: {error.message}",
        )
        reason = f"{finding.reason}; pull-through cache rules could not be read ({error.reason})"
        return replace(finding, reason=reason, change=change)


def _may_be_cached(finding: Finding) -> bool:
    return finding.compliance is Compliance.NON_COMPLIANT and "/" in finding.repository


def _setting(repository: Repository) -> tuple[str, frozenset[str]]:
    return repository.mutability, frozenset(repository.exclusion_filters)


def _wanted(change: Change) -> tuple[str, frozenset[str]]:
    return change.to_mutability, frozenset(change.to_exclusion_filters)


def _quoted(filters: Iterable[str]) -> str:
    return ", ".join(f"'{text}'" for text in filters)


@lru_cache(maxsize=4096)
def _healthy(compliant: int) -> Examined:
    """One value for all targets alike: a healthy target costs a pointer."""
    return Examined((compliant, 0, 0))


CHECK = TagImmutability
