"""What became of something that was only tried: a call that shows whether it would be allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sweeper.domain.model import Failed, Stage
from sweeper.domain.reasons import Reason
from sweeper.engine.pool import attempt


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
class DestinationProbe:
    """What one destination of the report answered; `action` is IAM's, or a word for what it does.

    `key` is the configuration's that names the destination.
    """

    key: str
    location: str
    action: str
    probed: ProbeResult


def run_probe(work: Callable[[], object]) -> ProbeResult:
    """What `work` shows: it works unless it raises. Raises nothing."""
    result = attempt(Stage.EXAMINE, lambda _: work(), None)
    return failed_probe(result) if isinstance(result, Failed) else WORKS


def failed_probe(failed: Failed) -> ProbeResult:
    """The failure as an answer."""
    denials = (Reason.ASSUME_ROLE_DENIED, Reason.WRITE_NOT_GRANTED)
    refused = failed.reason.is_denial or failed.reason in denials
    answer = ProbeStatus.DENIED if refused else ProbeStatus.FAILED
    return ProbeResult(answer, failed.reason, failed.message, failed.error_code)


def unknown_probe(run_probe: ProbeResult, why: str) -> ProbeResult:
    """The answer, where what was asked says nothing about what was meant."""
    message = f"{why} ({run_probe.message})" if run_probe.message else why
    return ProbeResult(ProbeStatus.NOT_KNOWN, run_probe.reason, message, run_probe.error_code)
