"""How a run ends badly: one tree of errors, and the exit statuses of the process."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from sweeper.domain.masking import mask_message
from sweeper.domain.reasons import Reason


class SweeperError(Exception):
    """Base of every error that this package raises on purpose. Its message has no secret in it."""

    def __init__(self, message: str = "") -> None:
        super().__init__(mask_message(message))


class ConfigurationError(SweeperError):
    """The configuration cannot be used: names file or variable, key, and what is allowed.

    Raised before anything is called; exit status 2.
    """


class OperationFailed(SweeperError):
    """An operation outside this process failed; `reason` is from the closed list.

    Where the reason `ends_run`, there is nothing to sweep, and running again will not change that.

    `error_code` is the service's own code (``AccessDeniedException``) or the name of the
    SDK's exception; `message` is the service's text, untrusted, without credentials. `uncertain`:
    an attempt without an answer may have succeeded nevertheless.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        error_code: str | None = None,
        *,
        uncertain: bool = False,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = str(self)
        self.error_code = error_code and mask_message(error_code)
        self.uncertain = uncertain


class Invalid(ValueError):
    """Content that is not as expected; `path` leads to the problem in it.

    `keys` are the known keys of an object that was read to its end.
    """

    def __init__(self, problem: str, path: str = "", keys: frozenset[str] | None = None) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.problem = problem
        self.path = path
        self.keys = keys


def allowed_words(name: str, allowed: Iterable[str]) -> str:
    """Return the hint of an error: the word that was probably meant, or all allowed words."""
    from difflib import get_close_matches

    words = sorted(allowed)
    close = get_close_matches(name, words, n=1, cutoff=0.8)
    return f"did you mean {close[0]}?" if close else f"allowed: {', '.join(words) or 'none'}"


class ExitStatus(IntEnum):
    """The exit status of the process."""

    CLEAN = 0
    INTERNAL_ERROR = 1
    UNUSABLE = 2
    FINDINGS_REMAIN = 3
    COVERAGE_INCOMPLETE = 4
    NOT_DELIVERED = 5
    LEASE_HELD = 6
