"""Reading what AWS answered: an answer without what AWS promises is no answer, not an empty one.

Each function raises OperationFailed (unexpected_response) that names the key. No text is longer
than its limit: names go into logs, reports and messages as often as they are met.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

from sweeper.domain.errors import OperationFailed
from sweeper.domain.masking import mask_message
from sweeper.domain.reasons import Reason

MAX_TEXT = 2048  # characters of a name or an ARN: IAM's limit of an ARN, the longest that there is
MAX_OPAQUE = 100_000  # of a token, a key or a policy, which no report shows; ECR's policy: 30,720
_T = TypeVar("_T")


def require(answer: Any, key: str) -> Any:
    """Return the answer's value under `key`, of whatever type."""
    if not isinstance(answer, Mapping):
        raise _unexpected_answer(f"{type(answer).__name__} where a structure with {key} belongs")
    try:
        return answer[key]
    except KeyError:
        raise _unexpected_answer(f"the response has no {key}") from None


def require_str(answer: Any, key: str, most: int = MAX_TEXT) -> str:
    """Return the text under `key`, which is not empty, and has `most` characters at most."""
    value = require(answer, key)
    if not isinstance(value, str) or not value:
        raise _unexpected_answer(f"{key} is {type(value).__name__}, not text, or empty")
    return _short(value, key, most)


def _short(value: str, key: str, most: int) -> str:
    if len(value) > most:
        raise _unexpected_answer(f"{key} has {len(value):,} characters, more than {most:,}")
    return value


def require_match(answer: Any, key: str, pattern: str) -> str:
    """Return the text under `key`, of which the whole matches the pattern."""
    value = require_str(answer, key)
    if not re.fullmatch(pattern, value):
        raise _unexpected_answer(f"{key} is {mask_message(value)[:40]!r}")
    return value


def account_id(answer: Any, key: str) -> str:
    """Return the account id under `key`: it becomes a part of ARNs."""
    return require_match(answer, key, r"[0-9]{12}")


def region(answer: Any, key: str) -> str:
    """Return the region's name under `key`: it becomes a part of host names."""
    return require_match(answer, key, r"[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}")


def optional_str(answer: Any, key: str, most: int = MAX_TEXT) -> str:
    """Return the text under `key`, empty where there is none."""
    if isinstance(answer, Mapping) and answer.get(key) in (None, ""):
        return ""
    return require_str(answer, key, most)


def require_strs(answer: Any, key: str) -> tuple[str, ...]:
    """Return the texts of the list under `key`."""
    value = require(answer, key)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _unexpected_answer(f"{key} is no list of texts")
    return tuple(_short(each, key, MAX_TEXT) for each in value)


def require_datetime(answer: Any, key: str) -> datetime:
    """Return the time under `key`, in UTC: it may be seconds since 1970, ISO 8601, or parsed."""
    value = require(answer, key)
    with suppress(ValueError, OverflowError, OSError):  # of what is no time, or too far away
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime) and value.tzinfo:
            return value.astimezone(UTC)
    raise _unexpected_answer(f"{key} is no time, or has no zone")


def require_list(answer: Any, key: str) -> Sequence[Mapping[str, Any]]:
    """Return the structures of the list under `key`."""
    value = require(answer, key)
    if not isinstance(value, list):
        raise _unexpected_answer(f"{key} is {type(value).__name__}, not a list")
    for item in value:
        if not isinstance(item, Mapping):
            raise _unexpected_answer(f"{key} hold a {type(item).__name__}")
    return value


def add_once(known: dict[str, _T], key: str, value: _T, what: str) -> bool:
    """Add an item of a listing to those that are known; return whether it is new.

    The same item twice counts once. If its value differs, the answer is wrong, or somebody changed
    the item between two pages that both list it. Nothing says which value holds now, and a guess
    could hide a mutable repository or leave out an account. So it is no answer; the next run reads
    the listing again.
    """
    if key not in known:
        known[key] = value
        return True
    if known[key] != value:
        name = mask_message(key)[:40]
        raise _unexpected_answer(f"the listing has the {what} {name!r} twice, and they differ")
    return False


def _unexpected_answer(what: str) -> OperationFailed:
    message = f"{what}: it is not what AWS sends"
    return OperationFailed(Reason.UNEXPECTED_RESPONSE, message, uncertain=True)
