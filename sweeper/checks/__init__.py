"""The checks: one file each, with its IAM actions, its facts, its verdict and its remedy.

To add one, write its file, with a subclass of BaseCheck, and add the class to CHECKS.
"""

from __future__ import annotations

from typing import Any

from sweeper.checks.creation_template_immutability import CreationTemplateImmutability
from sweeper.checks.tag_immutability import TagImmutability

CHECKS = (CreationTemplateImmutability, TagImmutability)


def checks() -> dict[str, Any]:
    """Return the class of every check by its name."""
    return {kind.name: kind for kind in CHECKS}
