"""Check that the image tags of an ECR repository cannot be overwritten.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import ClassVar, Protocol

from sweeper.checks.base import MutabilityCheck
from sweeper.domain.errors import OperationFailed
from sweeper.domain.impact import assess
from sweeper.domain.model import (
    Change,
    Compliance,
    Counts,
    Examined,
    Exemption,
    Finding,
    Image,
    Impact,
    Repository,
    Resource,
    Target,
)
from sweeper.domain.mutability import Verdict
from sweeper.domain.reasons import Reason
from sweeper.domain.selection import in_write_scope
from sweeper.engine.guarded_write import apply_if_unchanged, matches_desired, require_effect
from sweeper.engine.ports import Record
from sweeper.engine.probe import Probe, nonexistent_name

_ROOT_PREFIX = "ROOT"  # ECR: the rule for every name without another rule
_UNDER_ROOT_RULE = (
    "a pull-through cache rule for ROOT may fill it, and which repositories it fills cannot be "
    "known: make it immutable by hand, exempt it, or set remediation.ignore_root_cache_rule: true"
)


class _Registry(Protocol):
    """ECR in the account and region of a target; every method raises OperationFailed."""

    def repositories(self, target: Target) -> Iterable[Repository]:
        """Read every repository of the registry: all pages, or an error."""

    def repository(self, target: Target, name: str) -> Repository | None:
        """Read the repository; None if it was deleted."""

    def pull_through_cache_prefixes(self, target: Target) -> tuple[str, ...]:
        """Read the repository prefixes of the registry's pull-through cache rules."""

    def images(self, target: Target, name: str) -> Iterable[Image]:
        """Read the images of the repository, page by page as they are needed."""

    def put_image_tag_mutability(
        self, target: Target, name: str, mutability: str, filters: Sequence[str]
    ) -> Repository:
        """Write the setting, and return the setting in ECR's answer."""


def _pull_through_exemption(name: str, prefixes: Iterable[str]) -> Exemption | None:
    """Return the exemption of a repository that a pull-through cache rule fills, if one does.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html: AWS
    recommends MUTABLE there, since an upstream tag that moves could not be cached again. The rule
    for ROOT exempts nothing: which repositories it fills cannot be known.
    """
    for prefix in sorted(prefixes, key=len, reverse=True):
        if prefix != _ROOT_PREFIX and name.startswith(prefix.rstrip("/") + "/"):
            return Exemption(
                source="pull_through_cache",
                rule=prefix,
                reason=f"filled by the pull-through cache rule for {prefix!r}",
                expires=None,
                expired=False,
            )
    return None


class TagImmutability(MutabilityCheck):
    """The check, with its configuration, on a registry."""

    name = "ecr-tag-immutability"
    registry: _Registry
    resource: Resource = "repository"
    exemption_actions = frozenset({"ecr:DescribePullThroughCacheRules"})
    read_actions = exemption_actions | {"ecr:DescribeRepositories"}
    write_actions = frozenset({"ecr:PutImageTagMutability"})
    assess_actions = frozenset({"ecr:DescribeImages"})
    permitted_by: ClassVar = {"ecr:PutImageTagMutability": "AllowRemediation"}
    probes: ClassVar = {
        # The first page is enough to know whether the call is denied.
        "ecr:DescribeRepositories": Probe(
            lambda registry, target: next(iter(registry.repositories(target)), None)
        ),
        "ecr:DescribePullThroughCacheRules": Probe(
            lambda registry, target: registry.pull_through_cache_prefixes(target)
        ),
        "ecr:DescribeImages": Probe(
            lambda registry, target: next(iter(registry.images(target, nonexistent_name())), None),
            absent="RepositoryNotFoundException",
        ),
        "ecr:PutImageTagMutability": Probe(
            lambda registry, target: registry.put_image_tag_mutability(
                target, nonexistent_name(), "IMMUTABLE", ()
            ),
            absent="RepositoryNotFoundException",
        ),
    }

    def covers(self, glob: str, name: str) -> bool:
        """Tell whether the glob matches the repository."""
        return fnmatchcase(name, glob)

    def examine(self, target: Target, record: Record | None = None) -> Examined:
        """Check every repository of the target. Raises OperationFailed if any cannot be read."""
        compliant = 0
        findings: list[Finding] = []
        for repository in self.registry.repositories(target):
            verdict = self.evaluate(repository, repository.name)
            if record:
                record(repository, verdict.compliance)
            if verdict.compliance is Compliance.COMPLIANT:
                compliant += 1
            else:
                findings.append(self._finding(target, repository, verdict))
        if not findings:
            return _all_compliant(compliant)
        findings = self._with_pull_through_cache(target, findings)
        exempt = sum(finding.compliance is Compliance.EXEMPT for finding in findings)
        non_compliant = sum(finding.compliance is Compliance.NON_COMPLIANT for finding in findings)
        return Examined(Counts(compliant, non_compliant, exempt), tuple(findings))

    def assess(self, target: Target, finding: Finding, change: Change) -> Impact:
        """Estimate which tags the change would prevent from moving. Raises OperationFailed."""
        return assess(
            self.registry.images(target, finding.repository),
            mutability=finding.mutability,
            filters=finding.exclusion_filters,
            kept=change.to_exclusion_filters,
        )

    def apply(
        self,
        target: Target,
        finding: Finding,
        change: Change,
        intend: Callable[[], None],
    ) -> Change:
        """Apply the change if the repository is still as it was checked; return its result.

        Raises OperationFailed if the repository cannot be read again or cannot be written.
        """

        def write(_: Repository) -> None:
            answer = self.registry.put_image_tag_mutability(
                target, finding.repository, change.to_mutability, change.to_exclusion_filters
            )
            require_effect(answer, change)

        return apply_if_unchanged(
            finding,
            change,
            read=lambda: self.registry.repository(target, finding.repository),
            write=write,
            judge=lambda now: self._finding(target, now, self.evaluate(now, now.name)),
            intend=intend,
        )

    def judge_recalled(self, target: Target, findings: Sequence[Finding]) -> list[Finding]:
        """Return findings of a record, as the pull-through cache rules of now let them stand."""
        return self._with_pull_through_cache(target, list(findings))

    def matches_desired(self, target: Target, finding: Finding, change: Change) -> bool | None:
        """Return whether the repository is as the change would make it; None if it was deleted.

        Raises OperationFailed.
        """
        return matches_desired(self.registry.repository(target, finding.repository), change)

    def _finding(self, target: Target, repository: Repository, verdict: Verdict) -> Finding:
        finding = self.finding(target, repository, verdict.compliance, verdict.reason)
        if verdict.compliance is not Compliance.NON_COMPLIANT:
            return finding
        return self.exempted(target, finding, repository.name, self.config.exemptions)

    def _with_pull_through_cache(self, target: Target, findings: list[Finding]) -> list[Finding]:
        """Exempt the findings in repositories that a pull-through cache rule fills.

        Where the rules cannot be read, or one may fill any repository, changes are withheld.
        """
        exempts = self.config.policy.exempt_pull_through_cache
        withholds_root = exempts and self._root_rule_withholds(target)

        def may_be_cached(finding: Finding) -> bool:
            return finding.compliance is Compliance.NON_COMPLIANT and (
                withholds_root or "/" in finding.repository
            )

        if not exempts or not any(map(may_be_cached, findings)):
            return findings
        try:
            prefixes = self.registry.pull_through_cache_prefixes(target)
        except OperationFailed as error:
            if error.reason.is_stop:  # the run was stopped: this is not about the rules
                raise
            return [
                self._rules_unread(finding, error) if may_be_cached(finding) else finding
                for finding in findings
            ]
        withholds = withholds_root and _ROOT_PREFIX in prefixes
        return [
            self._exempt_or_withhold(finding, prefixes, withholds=withholds)
            if may_be_cached(finding)
            else finding
            for finding in findings
        ]

    def _root_rule_withholds(self, target: Target) -> bool:
        """Tell whether a rule for ROOT withholds changes in the target; it exempts nothing."""
        remediation = self.config.remediation
        return (
            not remediation.ignore_root_cache_rule
            and self.name in remediation.checks
            and in_write_scope(target.account, remediation)
        )

    def _exempt_or_withhold(
        self, finding: Finding, prefixes: Iterable[str], *, withholds: bool
    ) -> Finding:
        if exemption := _pull_through_exemption(finding.repository, prefixes):
            return replace(finding, compliance=Compliance.EXEMPT, exemption=exemption, change=None)
        if withholds:
            return self.withheld(finding, Reason.MANUAL_REVIEW_REQUIRED, _UNDER_ROOT_RULE)
        return finding

    def _rules_unread(self, finding: Finding, error: OperationFailed) -> Finding:
        reason = f"{finding.reason}; pull-through cache rules could not be read ({error.reason})"
        return self.withheld(
            replace(finding, reason=reason),
            Reason.PULL_THROUGH_RULES_UNREADABLE,
            f"{error.error_code or error.reason}: {error.message}",
        )


@lru_cache(maxsize=4096)
def _all_compliant(compliant: int) -> Examined:
    """Share one value among targets, so that a compliant target costs a pointer."""
    return Examined(Counts(compliant, 0, 0))
