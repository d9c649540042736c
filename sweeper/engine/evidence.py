"""Storing what the checks read and decided, compliant repositories included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from sweeper.domain.model import (
    Account,
    Compliance,
    Examined,
    Failed,
    Finding,
    OpenedAccount,
    Repository,
    Skipped,
    Target,
)

if TYPE_CHECKING:
    from sweeper.engine.ports import Check


class TargetEvidence(Protocol):
    """The evidence of one target, collected by one thread. Its methods raise no OperationFailed."""

    def record(self, check: Check, repository: Repository, compliance: Compliance) -> None:
        """Add a repository as it was read; a finding's verdict follows in `judge`."""

    def judge(self, check: Check, findings: Sequence[Finding]) -> None:
        """Add the check's findings, in the order in which they were recorded."""

    def store(self) -> None:
        """Store all of it: every check has succeeded. Without this call nothing is stored."""


class Evidence(Protocol):
    """The evidence of one run. What cannot be stored costs no target its examination."""

    def begin(self, target: Target) -> TargetEvidence:
        """Begin a target; any thread calls it."""

    def conclude(
        self,
        accounts: Iterable[tuple[Account, OpenedAccount | Skipped | Failed]],
        targets: Iterable[tuple[Target, Examined | Skipped | Failed]],
    ) -> None:
        """Store which accounts and targets have no evidence, and why."""


def examine_with_evidence(
    checks: Sequence[Check], target: Target, evidence: TargetEvidence
) -> list[Examined]:
    """Examine the target by every check, and store each verdict. Raises OperationFailed."""
    results = []
    for check in checks:
        result = check.examine(target, partial(evidence.record, check))
        evidence.judge(check, result.findings)
        results.append(result)
    evidence.store()
    return results
