"""What became of something that was only tried: a call that shows whether it would be allowed.

A read is made. A write is asked for something that cannot be there, under a random name: "not
found" is taken for allowed. That supposes that IAM decides before the service looks for it, which
AWS does as a rule and documents nowhere (docs/preflight.md). It changes nothing, and is a failed
write in the account's CloudTrail.
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
from sweeper.engine.pool import attempt

PREFIX = "sweeper-preflight"


class ProbeStatus(StrEnum):
    """Whether it would work."""

    WORKS = "works"
    DENIED = "denied"
    FAILED = "failed"
    NOT_KNOWN = "not_known"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One answer; `reason` is None where it works.

    `message` is AWS's own, untrusted; where nothing is known it says why.
    """

    answer: ProbeStatus
    reason: Reason | None = None
    message: str = ""
    error_code: str | None = None


WORKS = ProbeResult(ProbeStatus.WORKS)


@dataclass(frozen=True, slots=True)
class Probe:
    """How an action is tried, with (registry, target).

    `absent` is the error code that says: permitted, but not there.
    """

    call: Callable[[Any, Target], object]
    absent: str | None = None


@dataclass(frozen=True, slots=True)
class Hints:
    """What to do about a destination that is missing, or denied, or fails for another reason.

    `denied` may name the ``{actions}``, and `link` is for it. `unknown` is for an answer that says
    nothing.
    """

    missing: str | None = None
    denied: str | None = None
    link: str | None = None
    failed: str | None = None
    unknown: str | None = None


NO_HINTS = Hints()


@dataclass(frozen=True, slots=True)
class DestinationProbe:
    """What one destination of the report answered; `action` is IAM's, or a word for what it does.

    `key` is the configuration's that names the destination.
    """

    key: str
    location: str
    action: str
    probed: ProbeResult
    hints: Hints = NO_HINTS


def nonexistent_name() -> str:
    """Return the name of a repository, template or object that nobody has: 128 random bits."""
    return f"{PREFIX}/{secrets.token_hex(16)}"


def expect_error(code: str | None, call: Callable[[], object]) -> None:
    """Make the call, which is answered with the error code where it is permitted."""
    try:
        call()
    except OperationFailed as error:
        if code is None or error.error_code != code:
            raise


def probe_action(
    probes: Mapping[str, Probe], registry: object, target: Target, action: str
) -> ProbeResult:
    """Whether the action would work there; not known where no probe tries it. Raises nothing."""
    probe = probes.get(action)
    if probe is None:
        return ProbeResult(ProbeStatus.NOT_KNOWN, message="this version cannot try the action")
    return run_probe(lambda: expect_error(probe.absent, lambda: probe.call(registry, target)))


def run_probe(work: Callable[[], object], if_denied: str | None = None) -> ProbeResult:
    """What `work` shows: it works unless it raises. Raises nothing.

    `if_denied` is why a denial says nothing about what was meant, where that is so.
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
    """The failure as an answer."""
    denials = (Reason.ASSUME_ROLE_DENIED, Reason.WRITE_NOT_GRANTED)
    refused = failed.reason.is_denial or failed.reason in denials
    answer = ProbeStatus.DENIED if refused else ProbeStatus.FAILED
    return ProbeResult(answer, failed.reason, failed.message, failed.error_code)
