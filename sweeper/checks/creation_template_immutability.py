"""Check that image tags cannot be overwritten in what an ECR creation template creates.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar, Protocol

from sweeper.checks.base import MutabilityCheck
from sweeper.domain.masking import mask
from sweeper.domain.model import (
    REGISTRY,
    Change,
    ChangeStatus,
    Compliance,
    Counts,
    Examined,
    Exemption,
    Finding,
    Repository,
    Resource,
    Target,
)
from sweeper.domain.mutability import CreationTemplate, Verdict
from sweeper.domain.reasons import Reason
from sweeper.engine.guarded_write import apply_if_unchanged, matches_desired, require_effect
from sweeper.engine.ports import Record
from sweeper.engine.probe import Probe, nonexistent_name
from sweeper.engine.root_template import (
    NO_TEMPLATE,
    ROOT_PREFIX,
    RootTemplates,
    apply_default,
    read_default,
)

if TYPE_CHECKING:
    from sweeper.config.schema import ExemptionRule

_PULL_THROUGH_CACHE = "PULL_THROUGH_CACHE"
_APPLIED_FOR = frozenset(
    {_PULL_THROUGH_CACHE, "REPLICATION", "CREATE_ON_PUSH"}
)  # ECR: RCTAppliedFor
_NO_FINDING = Examined(Counts(0, 0, 0))  # one value for all healthy targets


class _Registry(RootTemplates, Protocol):
    """ECR in the account and region of a target; every method raises OperationFailed."""

    def repository_creation_templates(self, target: Target) -> Iterable[CreationTemplate]:
        """Read every creation template of the registry: all pages, or an error."""

    def update_repository_creation_template(
        self, target: Target, prefix: str, mutability: str, filters: Sequence[str], rest: str
    ) -> CreationTemplate:
        """Write the setting, with `rest` as it was; return the template in ECR's answer."""


class CreationTemplateImmutability(MutabilityCheck):
    """The check, with its configuration, on a registry."""

    name = "ecr-creation-template-immutability"
    registry: _Registry
    resource: Resource = "repository_creation_template"
    other_resources = (REGISTRY,)
    read_actions = frozenset({"ecr:DescribeRepositoryCreationTemplates"})
    # By the service authorization reference, a principal that writes a template needs the actions
    # that the template has ECR do. iam:PassRole is left out: see `_obstacle`.
    write_actions = frozenset(
        {
            "ecr:UpdateRepositoryCreationTemplate",
            *("ecr:CreateRepository", "ecr:PutLifecyclePolicy", "ecr:SetRepositoryPolicy"),
        }
    )
    # A template without policies and role has ECR create repositories only. With the first template
    # of an account, ECR creates its service-linked role.
    create_actions = frozenset(
        {
            "ecr:CreateRepositoryCreationTemplate",
            "ecr:DeleteRepositoryCreationTemplate",
            "ecr:CreateRepository",
            "iam:CreateServiceLinkedRole",
        }
    )
    permitted_by: ClassVar = {
        "ecr:UpdateRepositoryCreationTemplate": "AllowTemplateRemediation",
        "ecr:CreateRepositoryCreationTemplate": "AllowRootTemplates",
        "ecr:DeleteRepositoryCreationTemplate": "AllowRootTemplates",
    }
    probes: ClassVar = {
        "ecr:DescribeRepositoryCreationTemplates": Probe(
            lambda registry, target: next(
                iter(registry.repository_creation_templates(target)), None
            )
        ),
        "ecr:UpdateRepositoryCreationTemplate": Probe(
            lambda registry, target: registry.update_repository_creation_template(
                target, nonexistent_name(), "IMMUTABLE", (), "{}"
            ),
            absent="TemplateNotFoundException",
        ),
        # There is no probe that creates nothing for ecr:CreateRepositoryCreationTemplate.
        "ecr:DeleteRepositoryCreationTemplate": Probe(
            lambda registry, target: registry.delete_repository_creation_template(
                target, nonexistent_name()
            ),
            absent="TemplateNotFoundException",
        ),
    }

    def covers(self, glob: str, name: str) -> bool:
        """Tell whether the glob matches all repositories of the template with the prefix `name`."""
        return _covers(glob, name)

    def examine(self, target: Target, record: Record | None = None) -> Examined:
        """Check every template of the target, and what ECR creates where none matches.

        Raises OperationFailed if any cannot be read.
        """
        findings: list[Finding] = []
        has_root = False
        for template in self.registry.repository_creation_templates(target):
            has_root = has_root or template.prefix == ROOT_PREFIX
            verdict = self.evaluate(template, template.prefix)
            if record:
                record(_as_repository(template), verdict.compliance)
            if verdict.compliance is not Compliance.COMPLIANT:
                findings.append(self._finding(target, template, verdict))
        if not has_root:
            if record:
                record(_DEFAULT, Compliance.NON_COMPLIANT)
            findings.append(self._default_finding(target))
        return Examined(Counts(0, 0, 0), tuple(findings)) if findings else _NO_FINDING

    def apply(
        self,
        target: Target,
        finding: Finding,
        change: Change,
        intend: Callable[[], None],
    ) -> Change:
        """Apply the change if the template is still as it was checked; return its result.

        Raises OperationFailed if the template cannot be read again or cannot be written.
        """
        if finding.resource == REGISTRY:
            return apply_default(
                self.registry,
                target,
                finding,
                change,
                intend=intend,
                applied_for=self.config.remediation.root_template_applied_for,
                judge=lambda now: self._judge_default(target, now),
            )
        differs = False

        def write(now: CreationTemplate) -> None:
            nonlocal differs
            answer = self.registry.update_repository_creation_template(
                target, now.prefix, change.to_mutability, change.to_exclusion_filters, now.rest
            )
            require_effect(answer, change)
            differs = answer.rest != now.rest

        result = apply_if_unchanged(
            finding,
            change,
            read=lambda: self.registry.repository_creation_template(target, finding.repository),
            write=write,
            judge=lambda now: self._finding(target, now, self.evaluate(now, now.prefix)),
            intend=intend,
            obstacle=lambda now: self._obstacle(now, enforcing=self._enforces(finding, change)),
        )
        if not differs:
            return result
        return replace(
            result,
            status=ChangeStatus.FAILED,
            reason=Reason.UNEXPECTED_RESPONSE,
            error="the write took effect, and ECR's answer differs from the template in more than "
            "its tag mutability: look at it",
            uncertain=True,
        )

    def matches_desired(self, target: Target, finding: Finding, change: Change) -> bool | None:
        """Return whether the template is as the change would make it; None if it was deleted.

        Raises OperationFailed.
        """
        if finding.resource == REGISTRY:
            return matches_desired(read_default(self.registry, target), change)
        now = self.registry.repository_creation_template(target, finding.repository)
        return matches_desired(now, change)

    def _default_finding(self, target: Target) -> Finding:
        finding = self.finding(target, _DEFAULT, Compliance.NON_COMPLIANT, _NO_ROOT_TEMPLATE)
        finding = replace(finding, resource=REGISTRY)
        return self.exempted(target, finding, ROOT_PREFIX, self._rules(ROOT_PREFIX))

    def _judge_default(self, target: Target, template: CreationTemplate | None) -> Finding:
        if template is None:
            return self._default_finding(target)
        return self._finding(target, template, self.evaluate(template, template.prefix))

    def _finding(self, target: Target, template: CreationTemplate, verdict: Verdict) -> Finding:
        reason = _describe(template, verdict)
        finding = self.finding(target, _as_repository(template), verdict.compliance, reason)
        if verdict.compliance is not Compliance.NON_COMPLIANT:
            return finding
        name, rules = _namespace(template.prefix), self._rules(template.prefix)
        judged = self.exempted(target, finding, name, rules)
        if judged.compliance is Compliance.EXEMPT:
            return judged
        only_caches = set(template.applied_for) == {_PULL_THROUGH_CACHE}
        if only_caches and self.config.policy.exempt_pull_through_cache:
            exemption = Exemption(
                source="pull_through_cache",
                rule=template.prefix,
                reason="applied for nothing but pull-through caches",
                expires=None,
                expired=False,
            )
            return replace(finding, compliance=Compliance.EXEMPT, exemption=exemption)
        if obstacle := self._obstacle(template, enforcing=True):
            return self.withheld(judged, Reason.MANUAL_REVIEW_REQUIRED, obstacle)
        return judged

    def _rules(self, prefix: str) -> list[ExemptionRule]:
        """Return the exemption rules that cover all repositories of the template."""
        return [rule for rule in self.config.exemptions if _covers(rule.repository, prefix)]

    def _enforces(self, finding: Finding, change: Change) -> bool:
        """Tell whether the template is compliant after the change; it is not after an undo."""
        after = Repository(
            finding.repository, "", change.to_mutability, tuple(change.to_exclusion_filters)
        )
        return self.evaluate(after, after.name).compliance is Compliance.COMPLIANT

    def _obstacle(self, template: CreationTemplate, *, enforcing: bool) -> str | None:
        """Return why only a person may write the template, or None."""
        if template.custom_role_arn:
            return (
                "it has a customRoleArn, which whoever writes the template passes on: the member "
                "role may pass no role (iam:PassRole)"
            )
        if template.not_modelled:
            return (
                f"it has {template.not_modelled[0][:40]!r}, which this version cannot write again: "
                "an update could remove it"
            )
        if enforcing and (unknown := sorted(set(template.applied_for) - _APPLIED_FOR)):
            return (
                f"it is applied for {mask(unknown[0])[:40]!r}, which this version does not know: "
                "tags may have to move there"
            )
        caches = enforcing and self.config.policy.exempt_pull_through_cache
        if caches and _PULL_THROUGH_CACHE in template.applied_for:
            return (
                f"it is applied for {_PULL_THROUGH_CACHE} too, where tags have to move: separate "
                "the caches' prefix from the others, or set policy.exempt_pull_through_cache: false"
            )
        return None


_DEFAULT = Repository(ROOT_PREFIX, "", NO_TEMPLATE.mutability)
_NO_ROOT_TEMPLATE = (
    "the registry has no creation template for 'ROOT': where no other template matches, image tags "
    "can be overwritten in the repositories that ECR creates by replication, or for a pull-through "
    "cache"
)


def _as_repository(template: CreationTemplate) -> Repository:
    """Return the template as a repository that is named by the prefix; templates have no ARN."""
    return Repository(
        template.prefix,
        "",
        template.mutability,
        template.exclusion_filters,
        template.filter_types,
    )


def _covers(pattern: str, prefix: str) -> bool:
    """Tell whether a glob for repositories matches all repositories of a template."""
    if prefix == ROOT_PREFIX:
        return not pattern.strip("*")
    # The last * of such a glob begins within the namespace, so it matches all that follows.
    return pattern.endswith("*") and fnmatchcase(_namespace(prefix), pattern)


def _namespace(prefix: str) -> str:
    """Return what the names begin with: ECR assumes a slash behind the prefix."""
    return prefix if prefix == ROOT_PREFIX else prefix.rstrip("/") + "/"


def _describe(template: CreationTemplate, verdict: Verdict) -> str:
    applied_for = ", ".join(template.applied_for) or "nothing"
    about = f"the creation template for {template.prefix!r}, applied for {applied_for}"
    if verdict.compliance is Compliance.NON_COMPLIANT:
        return f"{about}, makes repositories in which {verdict.reason}"
    return f"{about}: {verdict.reason}"
