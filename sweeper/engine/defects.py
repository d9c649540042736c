"""The only place that catches Exception: a defect becomes one line, and never a stack trace.

Every command imports it at its start, so it imports little itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sweeper.domain.errors import OperationFailed
from sweeper.domain.masking import mask_message

R = TypeVar("R")
H = TypeVar("H")


def catch(work: Callable[[], R], handle: Callable[[Exception], H]) -> R | H:
    """Return the result of `work()`, or what `handle` makes of the exception that ended it."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 (one defect must not lose every other outcome)
        return handle(error)


def or_defect(work: Callable[[], R]) -> R | str:
    """Return the result of `work()`, or the defect that ended it, in one line."""
    return catch(work, describe)


def describe(error: Exception) -> str:
    """Return an error and where it came from, in one line, without secrets."""
    if isinstance(error, OperationFailed):
        return error.message
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    origin = f" at {trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else ""
    return mask_message(f"{type(error).__name__}: {error}{origin}")
