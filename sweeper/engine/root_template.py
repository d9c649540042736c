"""The creation template for ROOT: what ECR creates where no other template matches.

Where a registry has no template for ROOT, sweeper may create one, and an undo may delete it again.
Its description names what it was created for. So a template that anybody changed since is not
taken for it, whatever the configuration says by then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sweeper.domain.model import Change, Finding, Target
from sweeper.domain.mutability import CreationTemplate
from sweeper.engine.guarded_write import apply_if_unchanged, require_effect

ROOT_PREFIX = "ROOT"  # ECR: the template for every name without another one
_DESCRIPTION = "Created by sweeper: repositories that ECR creates have immutable tags"
# ECR's default, which it may name or not.
_ENCRYPTION = {"encryptionType": "AES256"}


class RootTemplates(Protocol):
    """ECR's creation templates, as far as this needs them; every method raises OperationFailed."""

    def repository_creation_template(self, target: Target, prefix: str) -> CreationTemplate | None:
        """Return the creation template as it is now; None when it is gone."""

    def create_repository_creation_template(
        self, target: Target, prefix: str, mutability: str, filters: Sequence[str], rest: str
    ) -> CreationTemplate:
        """Create the template; what ECR answers with."""

    def delete_repository_creation_template(self, target: Target, prefix: str) -> None:
        """Delete the template."""


@dataclass(frozen=True, slots=True)
class RegistryDefault:
    """What ECR creates where no other template matches, as a setting.

    Where there is a template for ROOT that sweeper did not create, it has no word of AWS's.
    `template` is what there is.
    """

    mutability: str
    exclusion_filters: tuple[str, ...] = ()
    filter_types: tuple[str, ...] = ()
    template: CreationTemplate | None = None


# ECR's default for what it creates without a template.
NO_TEMPLATE = RegistryDefault("MUTABLE")


def read_default(registry: RootTemplates, target: Target) -> RegistryDefault:
    """Read what the registry has for ROOT. Raises OperationFailed."""
    template = registry.repository_creation_template(target, ROOT_PREFIX)
    return NO_TEMPLATE if template is None else _as_default(template)


def apply_default(
    registry: RootTemplates,
    target: Target,
    finding: Finding,
    change: Change,
    *,
    intend: Callable[[], None],
    applied_for: Iterable[str],
    judge: Callable[[CreationTemplate | None], Finding],
) -> Change:
    """Create the template where there is none, or delete it where it still is as it was created.

    Returns what became of the change. Raises OperationFailed, as `apply_if_unchanged` does.
    """

    def write(_: RegistryDefault) -> None:
        if change.to_mutability == NO_TEMPLATE.mutability:
            registry.delete_repository_creation_template(target, ROOT_PREFIX)
            return
        answer = registry.create_repository_creation_template(
            target,
            ROOT_PREFIX,
            change.to_mutability,
            change.to_exclusion_filters,
            _root_template(applied_for),
        )
        require_effect(_as_default(answer), change)

    return apply_if_unchanged(
        finding,
        change,
        read=lambda: read_default(registry, target),
        write=write,
        judge=lambda now: judge(now.template),
        intend=intend,
    )


def _as_default(template: CreationTemplate) -> RegistryDefault:
    is_mutable = template.mutability == NO_TEMPLATE.mutability
    if is_mutable or template.not_modelled or not _is_as_created(template.rest):
        return RegistryDefault("a template of others", template=template)
    return RegistryDefault(
        template.mutability, template.exclusion_filters, template.filter_types, template
    )


def _root_template(applied_for: Iterable[str]) -> str:
    """Return all of the template but its mutability, as JSON: nothing but ECR's defaults."""
    features = sorted(applied_for)
    return json.dumps({"appliedFor": features, "description": _description(features)})


def _is_as_created(rest: str) -> bool:
    """Tell whether a template with that `rest` is as `_root_template` describes it."""
    found: dict[str, Any] = {key: value for key, value in json.loads(rest).items() if value}
    features = found.get("appliedFor", [])
    return {"encryptionConfiguration": _ENCRYPTION, **found} == {
        "appliedFor": features,
        "description": _description(features),
        "encryptionConfiguration": _ENCRYPTION,
    }


def _description(features: Iterable[str]) -> str:
    return f"{_DESCRIPTION} ({', '.join(features)})"
