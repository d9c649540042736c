"""Writing one setting: only over what was judged, and sure of what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Change, ChangeStatus, Finding
from sweeper.domain.mutability import Setting, quoted, setting_of, unknown_filter_types, wanted
from sweeper.domain.reasons import Reason

S = TypeVar("S", bound=Setting)


def apply_if_unchanged(
    finding: Finding,
    change: Change,
    *,
    read: Callable[[], S | None],
    write: Callable[[S], None],
    is_compliant: Callable[[S], bool],
    intend: Callable[[], None],
    obstacle: Callable[[S], str | None] = lambda _: None,
) -> Change:
    """What became of the change: written if the setting, `read` again, still is what was judged.

    `obstacle` says why what was read must not be written by a program, if so; `intend` is called
    just before the write. Raises OperationFailed where it could not be read again or be written.
    """
    now = read()
    if now is None:
        return _superseded(change, Reason.REPOSITORY_DELETED)
    judged = finding.mutability, frozenset(finding.exclusion_filters)
    if unknown_filter_types(now) or setting_of(now) != judged:
        compliant = is_compliant(now)
        return _superseded(
            change, Reason.NOW_COMPLIANT if compliant else Reason.CHANGED_SINCE_EXAMINED
        )
    if why := obstacle(now):
        return replace(
            change, status=ChangeStatus.WITHHELD, reason=Reason.MANUAL_REVIEW_REQUIRED, error=why
        )
    intend()
    try:
        write(now)
    except OperationFailed as error:
        # First: the answer to an attempt may be about what the one before it did.
        if not (error.uncertain and _seems_made(read, change)):
            if error.reason in (Reason.REPOSITORY_DELETED, Reason.CHANGED_SINCE_EXAMINED):
                return _superseded(change, error.reason)
            raise
    return replace(change, status=ChangeStatus.APPLIED)


def matches_desired(now: Setting | None, change: Change) -> bool | None:
    """Whether what was read is as the change would make it; None where nothing is there."""
    return None if now is None else setting_of(now) == wanted(change)


def took_effect(answer: Setting, change: Change) -> None:
    """Raise OperationFailed where ECR answers the write with another setting."""
    if setting_of(answer) != wanted(change):
        raise OperationFailed(
            Reason.UNEXPECTED_RESPONSE,
            f"ECR answered the write with {answer.mutability} "
            f"{quoted(answer.exclusion_filters)}; it may have taken effect",
            uncertain=True,
        )


def _seems_made(read: Callable[[], Setting | None], change: Change) -> bool:
    """Whether a write without a good answer took effect, as far as that can be read."""
    try:
        return bool(matches_desired(read(), change))
    except OperationFailed:
        return False


def _superseded(change: Change, reason: Reason) -> Change:
    return replace(change, status=ChangeStatus.SUPERSEDED, reason=reason)
