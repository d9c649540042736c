"""The checks: one file each, with its IAM actions, its facts, its verdict and its remedy.

To add one, write its file, with a subclass of Check, and add the class to CHECKS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeper.checks.creation_template_immutability import CreationTemplateImmutability
from sweeper.checks.tag_immutability import TagImmutability
from sweeper.config.plugins import load_plugin
from sweeper.domain.errors import ConfigurationError
from sweeper.engine.ports import Check

if TYPE_CHECKING:
    from sweeper.config.schema import Config

CHECKS: tuple[type[Check], ...] = (CreationTemplateImmutability, TagImmutability)


def checks() -> dict[str, type[Check]]:
    """Return the class of every check by its name, but for plugins."""
    return {kind.name: kind for kind in CHECKS}


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
    return chosen
