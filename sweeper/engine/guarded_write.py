"""Write one setting, only if it is still as it was checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Change, ChangeStatus, Compliance, Finding
from sweeper.domain.mutability import (
    Setting,
    desired_setting,
    quote_filters,
    setting_of,
    unknown_filter_types,
)
from sweeper.domain.reasons import Reason

_S = TypeVar("_S", bound=Setting)


def apply_if_unchanged(
    finding: Finding,
    change: Change,
    *,
    read: Callable[[], _S | None],
    write: Callable[[_S], None],
    judge: Callable[[_S], Finding],
    intend: Callable[[], None],
    obstacle: Callable[[_S], str | None] = lambda _: None,
) -> Change:
    """Apply the change if the setting, `read` again, is still the finding's; return the result.

    `judge` returns what a sweep would find now: the finding's own verdict may be from a record.
    `obstacle` says why the setting needs manual review, if so; `intend` is called just before the
    write. Raises OperationFailed where the setting could not be read again, or not be written.
    """
    now = read()
    if now is None:
        return _supersede(change, Reason.REPOSITORY_DELETED)
    if ended := _end_unless_same(finding, change, now, judge):
        return ended
    if why := obstacle(now):
        return replace(
            change, status=ChangeStatus.WITHHELD, reason=Reason.MANUAL_REVIEW_REQUIRED, error=why
        )
    intend()
    try:
        write(now)
    except OperationFailed as error:
        # Read first: the answer to an attempt may be about the effect of the attempt before.
        took_effect = error.uncertain and _took_effect(read, change)
        if not took_effect:
            gone = error.reason in (Reason.REPOSITORY_DELETED, Reason.CHANGED_SINCE_EXAMINED)
            # Where it could not be read, what is there now may be this write's effect.
            if gone and took_effect is not None:
                return _supersede(change, error.reason)
            raise
    return replace(change, status=ChangeStatus.APPLIED)


def _end_unless_same(
    finding: Finding, change: Change, now: _S, judge: Callable[[_S], Finding]
) -> Change | None:
    """Return how the change ends without a write, if the finding is not the same now."""
    differs = bool(unknown_filter_types(now)) or setting_of(now) != setting_of(finding)
    # An undo reverts what is compliant: only its setting counts.
    if not differs and finding.compliance is not Compliance.NON_COMPLIANT:
        return None
    judged = judge(now)
    if judged.compliance is Compliance.COMPLIANT:
        return _supersede(change, Reason.NOW_COMPLIANT)
    if differs or judged.compliance is Compliance.UNDETERMINED:
        return _supersede(change, Reason.CHANGED_SINCE_EXAMINED)
    if judged.compliance is Compliance.EXEMPT:
        return _supersede(change, Reason.NOW_EXEMPT)
    return judged.change  # withheld by the check, or None


def matches_desired(now: Setting | None, change: Change) -> bool | None:
    """Tell whether the setting is as the change would make it; None where there is none."""
    return None if now is None else setting_of(now) == desired_setting(change)


def require_effect(answer: Setting, change: Change) -> None:
    """Raise OperationFailed where ECR answers the write with another setting."""
    if setting_of(answer) != desired_setting(change):
        raise OperationFailed(
            Reason.UNEXPECTED_RESPONSE,
            f"ECR answered the write with {answer.mutability} "
            f"{quote_filters(answer.exclusion_filters)}; it may have taken effect",
            uncertain=True,
        )


def _took_effect(read: Callable[[], Setting | None], change: Change) -> bool | None:
    """Tell whether a write without a good answer took effect; None if that cannot be read."""
    try:
        return bool(matches_desired(read(), change))
    except OperationFailed:
        return None


def _supersede(change: Change, reason: Reason) -> Change:
    return replace(change, status=ChangeStatus.SUPERSEDED, reason=reason)
