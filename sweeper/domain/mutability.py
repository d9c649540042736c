"""Image tag mutability of repositories and creation templates: verdict and remedy. Pure.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from sweeper.domain.model import (
    EXCLUSION_FILTER,
    MAX_EXCLUSION_FILTERS,
    Change,
    ChangeStatus,
    Compliance,
    Finding,
)
from sweeper.domain.reasons import Reason

_FILTER = re.compile(EXCLUSION_FILTER)
WILDCARD = "WILDCARD"  # ECR: ImageTagMutabilityExclusionFilterType


class Setting(Protocol):
    """A tag mutability setting as it was read, in AWS's own words."""

    @property
    def mutability(self) -> str:
        """ECR's imageTagMutability: AWS's word, known to this version or not."""

    @property
    def exclusion_filters(self) -> tuple[str, ...]:
        """The filters, in AWS's order."""

    @property
    def filter_types(self) -> tuple[str, ...]:
        """The type of each filter, AWS's word."""


@dataclass(frozen=True, slots=True)
class CreationTemplate:
    """An ECR repository creation template's facts; see `Repository`.

    `applied_for` are AWS's words. `rest` is all else that an update must repeat, as JSON; it is
    equal where only the mutability differs. `custom_role_arn` is empty where ECR makes repositories
    by its own role. `not_modelled` are keys that the SDK cannot write.
    """

    prefix: str
    mutability: str
    exclusion_filters: tuple[str, ...]
    filter_types: tuple[str, ...]
    applied_for: tuple[str, ...]
    custom_role_arn: str
    rest: str
    not_modelled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The compliance of a setting, exemptions aside; `reason` is a sentence."""

    compliance: Compliance
    reason: str = ""


def evaluate(setting: Setting, allowed_filters: Collection[str]) -> Verdict:
    """Decide whether tags can be overwritten under the setting, exemptions aside."""
    filters = setting.exclusion_filters
    match setting.mutability:
        case _ if types := unknown_filter_types(setting):
            names = quote_filters(types)
            unknown = f"exclusion filters of type {names} are unknown to this version"
        case _ if filters and (problem := _malformed_filters(filters)):
            unknown = problem
        # It contradicts itself, so nothing says which of the two holds. An undo refuses it, too.
        case "IMMUTABLE" | "MUTABLE" as word if filters:
            unknown = f"{word} with exclusion filters {quote_filters(filters)}"
        case "IMMUTABLE_WITH_EXCLUSION" | "MUTABLE_WITH_EXCLUSION" as word if not filters:
            unknown = f"{word} without its exclusion filters"
        case "IMMUTABLE":
            return Verdict(Compliance.COMPLIANT)
        case "IMMUTABLE_WITH_EXCLUSION":
            refused = [text for text in filters if text not in allowed_filters]
            if not refused:
                return Verdict(Compliance.COMPLIANT)
            return Verdict(
                Compliance.NON_COMPLIANT,
                f"image tags that match {quote_filters(refused)} can be overwritten",
            )
        case "MUTABLE":
            return Verdict(Compliance.NON_COMPLIANT, "image tags can be overwritten")
        case "MUTABLE_WITH_EXCLUSION":
            return Verdict(
                Compliance.NON_COMPLIANT,
                f"image tags can be overwritten, but for those that match {quote_filters(filters)}",
            )
        case word:
            unknown = f"imageTagMutability {word!r} is unknown to this version"
    return Verdict(Compliance.UNDETERMINED, unknown)


def _malformed_filters(filters: Sequence[str]) -> str:
    """Return what ECR does not allow in the filters: an undo could not restore them."""
    if len(filters) > MAX_EXCLUSION_FILTERS:
        return f"{len(filters)} exclusion filters, more than {MAX_EXCLUSION_FILTERS}"
    wrong = next((text for text in filters if not _FILTER.fullmatch(text)), None)
    return "" if wrong is None else f"exclusion filter {wrong[:128]!r} is none that ECR allows"


def remedy(
    mutability: str,
    filters: Sequence[str],
    *,
    exclusions: Sequence[str],
    allowed_filters: Collection[str],
) -> Change:
    """Return the change that makes a non-compliant setting compliant.

    It has the filters `exclusions`, then the allowed ones that already were exceptions from
    immutability. Those of MUTABLE_WITH_EXCLUSION mean the opposite, and are dropped.
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


def exclusions_of(
    exclusions: Sequence[str],
    by_repository: Mapping[str, Sequence[str]],
    concerns: Callable[[str], bool],
) -> tuple[str, ...]:
    """Return a repository's filters: `exclusions`, then those of every glob that concerns it."""
    own = (filters for glob, filters in by_repository.items() if concerns(glob))
    return tuple(dict.fromkeys((*exclusions, *chain.from_iterable(own))))


def unknown_filter_types(setting: Setting) -> tuple[str, ...]:
    """Return the types among the setting's filters that this version does not know."""
    return tuple(sorted(set(setting.filter_types) - {WILDCARD})) if setting.filter_types else ()


def setting_of(found: Setting | Finding) -> tuple[str, frozenset[str]]:
    """Return a value that is equal for equal settings."""
    return found.mutability, frozenset(found.exclusion_filters)


def desired_setting(change: Change) -> tuple[str, frozenset[str]]:
    """Return the setting that the change makes, as `setting_of` does."""
    return change.to_mutability, frozenset(change.to_exclusion_filters)


def quote_filters(filters: Iterable[str]) -> str:
    """Return the filters for a sentence."""
    return ", ".join(f"'{text}'" for text in filters)
