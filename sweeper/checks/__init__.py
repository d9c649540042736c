"""The checks: one file each, with its IAM actions, its facts, its judgement and its remedy.

A module here that has a `CHECK` is a check; nothing else names it. A check is a class with the
attributes and methods of `sweeper.engine.ports.Check`, made with (registry, config, today).
"""

from __future__ import annotations

import sys
from typing import Any

from sweeper.discovery import discover


def checks() -> dict[str, Any]:
    """The class of every check there is, by its name."""
    return {kind.name: kind for kind in discover(sys.modules[__name__], "CHECK").values()}
