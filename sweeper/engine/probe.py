"""What became of something that was only tried: a call that shows whether it would be allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sweeper.domain.model import Failed, Stage
from sweeper.domain.reasons import Reason
from sweeper.engine.pool import attempt


class Answer(StrEnum):
    """Whether it would work."""

    WORKS = "works"
    DENIED = "denied"
    FAILED = "failed"
    NOT_KNOWN = "not_known"


@dataclass(frozen=True, slots=True)
class Probed:
    """One answer; `reason` is None where it works.

    `message` is AWS's own, untrusted; where nothing is known it says why.
    """

    answer: Answer
    reason: Reason | None = None
    message: str = ""
    error_code: str | None = None


WORKS = Probed(Answer.WORKS)


@dataclass(frozen=True, slots=True)
class Asked:
    """What one destination of the report answered; `action` is IAM's, or a word for what it does.

    `key` is the configuration's that names the destination.
    """

    key: str
    location: str
    action: str
    probed: Probed


def probed(work: Callable[[], object]) -> Probed:
    """What `work` shows: it works unless it raises. Raises nothing."""
    result = attempt(Stage.EXAMINE, lambda _: work(), None)
    return failure(result) if isinstance(result, Failed) else WORKS


def failure(failed: Failed) -> Probed:
    """The failure as an answer."""
    denials = (Reason.ASSUME_ROLE_DENIED, Reason.WRITE_NOT_GRANTED)
    refused = failed.reason.is_denial or failed.reason in denials
    answer = Answer.DENIED if refused else Answer.FAILED
    return Probed(answer, failed.reason, failed.message, failed.error_code)


def not_known(probed: Probed, why: str) -> Probed:
    """The answer, where what was asked says nothing about what was meant."""
    message = f"{why} ({probed.message})" if probed.message else why
    return Probed(Answer.NOT_KNOWN, probed.reason, message, probed.error_code)
