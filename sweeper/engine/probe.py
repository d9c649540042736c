"""Probes: calls that show whether an action would be allowed.

A read is made. A write is tried on a random name that cannot exist: "not found" means allowed. That
assumes that IAM decides before the service looks up the name, which AWS usually does and nowhere
documents (docs/preflight.md). It changes nothing, and is a failed write in the CloudTrail.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Failed, Stage, Target
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import attempt

PREFIX = "sweeper-preflight"


class ProbeStatus(StrEnum):
    """Whether an action would work."""

    WORKS = "works"
    DENIED = "denied"
    FAILED = "failed"
    NOT_KNOWN = "not_known"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of a probe; `reason` is None if the action works.

    `message` is AWS's own, untrusted; for NOT_KNOWN it says why.
    """

    answer: ProbeStatus
    reason: Reason | None = None
    message: str = ""
    error_code: str | None = None


WORKS = ProbeResult(ProbeStatus.WORKS)


@dataclass(frozen=True, slots=True)
class Probe:
    """How an action is tried, with (registry, target).

    `absent` is the error code that means: permitted, but not found.
    """

    call: Callable[[Any, Target], object]
    absent: str | None = None


@dataclass(frozen=True, slots=True)
class Hints:
    """What to do about a destination that is missing, denied, or fails for another reason.

    `denied` may name the ``{actions}``, and `link` is for it. `unknown` is for NOT_KNOWN.
    """

    missing: str | None = None
    denied: str | None = None
    link: str | None = None
    failed: str | None = None
    unknown: str | None = None


NO_HINTS = Hints()


@dataclass(frozen=True, slots=True)
class DestinationProbe:
    """The result for one destination of the report; `action` is IAM's, or a word for it.

    `key` is the configuration's key of the destination.
    """

    key: str
    location: str
    action: str
    probed: ProbeResult
    hints: Hints = NO_HINTS


def nonexistent_name() -> str:
    """Return a name that no repository, template or object has: 128 random bits."""
    return f"{PREFIX}/{secrets.token_hex(16)}"


def expect_error(code: str | None, call: Callable[[], object]) -> None:
    """Make the call; ignore the error with this code, which means that it is permitted."""
    try:
        call()
    except OperationFailed as error:
        if code is None or error.error_code != code:
            raise


def probe_action(
    probes: Mapping[str, Probe], registry: object, target: Target, action: str
) -> ProbeResult:
    """Try the action; the result is not known without a probe for it. Raises nothing."""
    probe = probes.get(action)
    if probe is None:
        return ProbeResult(ProbeStatus.NOT_KNOWN, message="this version cannot try the action")
    return run_probe(lambda: expect_error(probe.absent, lambda: probe.call(registry, target)))


def run_probe(work: Callable[[], object], if_denied: str | None = None) -> ProbeResult:
    """Return the result of `work`: it works unless it raises. Raises nothing.

    `if_denied` says why a denial leaves the result unknown, if it does.
    """
    result = attempt(Stage.EXAMINE, lambda _: work(), None)
    if not isinstance(result, Failed):
        return WORKS
    failed = failed_probe(result)
    if if_denied is None or failed.answer is not ProbeStatus.DENIED:
        return failed
    message = f"{if_denied} ({failed.message})" if failed.message else if_denied
    return replace(failed, answer=ProbeStatus.NOT_KNOWN, message=message)


def failed_probe(failed: Failed) -> ProbeResult:
    """Return the failure as a result."""
    denials = (Reason.ASSUME_ROLE_DENIED, Reason.WRITE_NOT_GRANTED)
    refused = failed.reason.is_denial or failed.reason in denials
    answer = ProbeStatus.DENIED if refused else ProbeStatus.FAILED
    return ProbeResult(answer, failed.reason, failed.message, failed.error_code)
