"""The exit statuses of the process; a --help imports them, and no other rule."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """What the process says when it ends."""

    CLEAN = 0
    INTERNAL_ERROR = 1
    UNUSABLE = 2
    FINDINGS_REMAIN = 3
    COVERAGE_INCOMPLETE = 4
    NOT_DELIVERED = 5
    LEASE_HELD = 6
