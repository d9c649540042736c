"""Log lines know what they are about: whatever is logged in a thread at work names its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sweeper.domain.model import Account, Target

T = TypeVar("T")
R = TypeVar("R")


def with_place(work: Callable[[T], R]) -> Callable[[T], R]:
    """Return `work` that binds the account and region of its item to the log lines of the thread.

    Args:
        work: What a pool does with an account, its id, a target, or a tuple that begins with one.
            Each item has a context of its own there, so that nothing has to be unbound.

    """
    from structlog.contextvars import bind_contextvars  # a program's --help has no use for it

    def bound(item: T) -> R:
        place = item[0] if isinstance(item, tuple) else item
        match place:
            case Target(account, region):
                bind_contextvars(account_id=account.id, region=region)
            case Account():
                bind_contextvars(account_id=place.id)
            case str():
                bind_contextvars(account_id=place)
        return work(item)

    return bound
