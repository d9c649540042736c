"""What a sweep writes its journal to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from sweeper.domain.errors import OperationFailed
from sweeper.domain.masking import in_pieces
from sweeper.domain.model import (
    ChangeStatus,
    Examined,
    Failed,
    Finding,
    OpenedAccount,
    ResumeState,
    Stage,
    Target,
)
from sweeper.domain.planning import changes_of
from sweeper.domain.reasons import Reason
from sweeper.storage.journal import lines
from sweeper.storage.journal.file import JournalFile
from sweeper.storage.journal.kinds import Header


class RunJournal:
    """A `sweeper.engine.ports.Journal`, and the Observer that fills it.

    `file` is None where no local file can be kept. `archive` puts the plan where it outlives this
    machine, None where there is no such place; it raises OperationFailed.
    """

    def __init__(
        self,
        header: Header,
        past: ResumeState,
        file: JournalFile | None,
        archive: Callable[[Iterable[bytes]], None] | None,
    ) -> None:
        """Write nothing."""
        self.past = past
        self._header = header
        self._file = file
        self._archive = archive
        self._opened: list[OpenedAccount] = []
        self.is_archived = False  # whether the plan lies there

    def begin(self, stage: Stage, total: int) -> None:
        """Nothing to record."""

    def done(self, stage: Stage, outcomes: Sequence[tuple[Any, Any]]) -> None:
        """Record what was opened, examined or failed, unless it stands there already."""
        if stage is Stage.OPEN_ACCOUNT:
            self._opened += [each for _, each in outcomes if isinstance(each, OpenedAccount)]
        if self._file and stage in (Stage.OPEN_ACCOUNT, Stage.EXAMINE):
            # Where it cannot be written nothing else is lost; `intend` will say so.
            with suppress(OperationFailed):
                for written in in_pieces(self._lines(outcomes)):
                    self._file.append(written)

    def _lines(self, outcomes: Sequence[tuple[Any, Any]]) -> Iterator[bytes]:
        for item, outcome in outcomes:
            match outcome:
                case OpenedAccount() if item.id not in self.past.opened:
                    yield lines.opened(outcome)
                case Examined() if item.key not in self.past.examined:
                    yield from lines.examined(item, outcome)
                case Failed() if isinstance(item, Target):
                    yield lines.failed(*item.key, outcome)
                case Failed():
                    yield lines.failed(item.id, None, outcome)

    def plan(self, targets: Sequence[Target], outcomes: Sequence[Any]) -> None:
        """Put the whole plan on record; raises OperationFailed where there is no place for it."""
        if self._archive:
            try:
                self._archive(in_pieces(self._snapshot(targets, outcomes)))
                self.is_archived = True
            except OperationFailed as error:
                raise OperationFailed(
                    Reason.JOURNAL_UNAVAILABLE,
                    f"the plan could not be put beside the report: {error.reason}: {error.message}",
                    error.error_code,
                ) from None
        elif self._file is None:
            raise OperationFailed(
                Reason.JOURNAL_UNAVAILABLE,
                "there is neither a directory for a journal nor report.s3",
            )
        else:
            self._file.append(b"", durable=True)

    def _snapshot(self, targets: Sequence[Target], outcomes: Sequence[Any]) -> Iterator[bytes]:
        """Return the journal as it would be if every planned change had just been begun."""
        yield lines.header(self._header)
        yield from map(lines.opened, self._opened)
        for target, outcome in zip(targets, outcomes, strict=True):
            if isinstance(outcome, Examined):
                yield from lines.examined(target, outcome)
                for finding, change in changes_of((outcome,)):
                    if change.status in (ChangeStatus.APPLIED, ChangeStatus.SUPERSEDED):
                        yield lines.result(finding, change)  # by an earlier process of the run
                    elif change.status is ChangeStatus.PLANNED or finding.key in self.past.in_doubt:
                        yield lines.intent(finding, change)

    def intend(self, finding: Finding) -> None:
        """Record the change before its write; raises OperationFailed.

        Also where the plan in S3 has it: whoever goes on from this file would know nothing of it.
        """
        if self._file and finding.change:
            self._file.append(lines.intent(finding, finding.change), durable=True)

    def settle(self, finding: Finding) -> None:
        """Record what became of the change."""
        if self._file and finding.change:
            with suppress(OperationFailed):
                self._file.append(lines.result(finding, finding.change))
