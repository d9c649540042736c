"""Following a listing's tokens to its end, which a broken or hostile endpoint may never give."""

from __future__ import annotations

from typing import Any

from sweeper.aws.client.answers import MAX_OPAQUE, optional_str
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason

MAX_PAGES = 10_000  # of one listing: AWS's quotas end a hundred times before


class PageTokens:
    """The tokens of one listing, each of which was followed."""

    def __init__(self) -> None:
        self._seen: set[int] = set()  # hashes: a token may be as long as an answer

    def follow(self, page: Any, key: str = "NextToken") -> str:
        """Return the token of the page after `page`, empty at the end.

        Raises OperationFailed (unexpected_response) where the listing would never end.
        """
        token = optional_str(page, key, MAX_OPAQUE)
        if not token:
            return ""
        mark = hash(token)
        if mark in self._seen:
            raise _endless("the same token for the next page came twice")
        if len(self._seen) >= MAX_PAGES - 1:
            raise _endless(f"there is another page after {MAX_PAGES:,}")
        self._seen.add(mark)
        return token


def _endless(what: str) -> OperationFailed:
    return OperationFailed(Reason.UNEXPECTED_RESPONSE, f"{what}: the listing would never end")
