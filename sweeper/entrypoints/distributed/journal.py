"""The journal of a stage, which records nothing: its record is the part that it writes."""

from __future__ import annotations

from collections.abc import Sequence

from sweeper.domain.model import Finding, Stage, Target
from sweeper.domain.resume import ResumeState


class StageJournal:
    """A `sweeper.engine.ports.Journal` of a stage, whose record is the part that it writes.

    What the stage must know before it writes is in S3 or in the directory already.
    """

    def __init__(self, past: ResumeState) -> None:
        """Write nothing."""
        self.past = past

    def begin(self, stage: Stage, total: int) -> None:
        """Nothing to record."""

    def done(self, stage: Stage, outcomes: Sequence[tuple[object, object]]) -> None:
        """Nothing to record."""

    def plan(self, targets: Sequence[Target], outcomes: Sequence[object]) -> None:
        """Nothing to record: the stage writes the plan."""

    def intend(self, finding: Finding) -> None:
        """Nothing to record: each intent is in the part before the first write."""

    def settle(self, finding: Finding) -> None:
        """Nothing to record: the stage writes the results."""
