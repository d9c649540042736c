"""Pages and their opaque tokens."""

from __future__ import annotations

import base64
import binascii
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_MAC_BYTES = 6


class BadTokenError(ValueError):
    """The token was not handed out for this listing."""


def _mac(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=_MAC_BYTES).digest()


def _encode(page: int, offset: int, owner: str) -> str:
    text = f"{page}:{offset}"
    return base64.urlsafe_b64encode(_mac(f"{text}:{owner}") + text.encode()).decode()


def _decode(token: str) -> tuple[int, int, bytes]:
    try:
        raw = base64.urlsafe_b64decode(token.encode())
        page, _, offset = raw[_MAC_BYTES:].decode().partition(":")
        return int(page), int(offset), raw[:_MAC_BYTES]
    except (ValueError, binascii.Error) as error:
        raise BadTokenError(token) from error


def page_number(token: str | None) -> int:
    """Give the number of the page, from 1, that a token asks for; 1 for no token or a wrong one."""
    try:
        return _decode(token)[0] if token else 1
    except BadTokenError:
        return 1


def page(
    fetch: Callable[[int, int], list[T]],
    total: int,
    size: int,
    token: str | None,
    owner: str,
    *,
    empty_pages: bool = False,
) -> tuple[list[T], str | None]:
    """Give one page, `fetch(start, stop)`, and the token of the next one.

    `owner` names the listing, so that a token of one account is refused in another.  With
    `empty_pages` every full page comes after an empty one.  Raises `BadTokenError`.
    """
    number, offset = 1, 0
    if token:
        number, offset, mac = _decode(token)
        if mac != _mac(f"{number}:{offset}:{owner}"):
            raise BadTokenError(token)
    if empty_pages and number % 2:
        return [], _encode(number + 1, offset, owner)
    stop = min(offset + size, total)
    more = _encode(number + 1, stop, owner) if stop < total else None
    return fetch(offset, stop), more
