"""The checks: one file each, with its IAM actions, its facts, its verdict and its remedy.

To add one, write its file, with a subclass of Check, and add the class to CHECKS.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sweeper.checks.creation_template_immutability import CreationTemplateImmutability
from sweeper.checks.tag_immutability import TagImmutability
from sweeper.config.plugins import load_plugin
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.model import Resource
from sweeper.engine.ports import Check

if TYPE_CHECKING:
    from sweeper.config.schema import Config

CHECKS: tuple[type[Check], ...] = (CreationTemplateImmutability, TagImmutability)


def checks() -> dict[str, type[Check]]:
    """Return the class of every check by its name, without plugins."""
    return {kind.name: kind for kind in CHECKS}


def resources_by_check(kinds: Iterable[type[Check]]) -> dict[str, tuple[Resource, ...]]:
    """Return what the findings of each check may be about."""
    return {kind.name: (kind.resource, *kind.other_resources) for kind in kinds}


def chosen_checks(config: Config) -> list[type[Check]]:
    """Return the classes of the checks that run; raises ConfigurationError."""
    own = checks()
    chosen = [
        own.get(name) or load_plugin("sweeper.checks", Check, name, key="checks", own=own)
        for name in config.checks
    ]
    for kind in chosen:
        if kind.name in config.remediation.checks and not kind.write_actions:
            raise ConfigurationError(f"remediation.checks: {kind.name!r} changes nothing")
    if config.remediation.root_template_applied_for and not any(
        kind.create_actions for kind in chosen
    ):
        names = ", ".join(kind.name for kind in CHECKS if kind.create_actions)
        raise ConfigurationError(f"remediation.root_template_applied_for: needs a check: {names}")
    return chosen
