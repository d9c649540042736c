"""What an undo says of itself: these values, as they stand, are undo.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sweeper.domain.model import ChangeStatus, Resource
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Delivery, FailedItem

UNDO_SCHEMA_VERSION: Literal["1"] = "1"


@dataclass(frozen=True, slots=True)
class UndoRun:
    """Which undo this was. Times are UTC, ISO 8601."""

    id: str
    started_at: str
    finished_at: str
    version: str
    organization_id: str | None
    account_id: str | None
    dry_run: bool


@dataclass(frozen=True, slots=True)
class OriginalRun:
    """The run whose changes are undone, as its report names it, and where that report lies."""

    run_id: str
    started_at: str
    report: str


@dataclass(frozen=True, slots=True)
class UndoTotals:
    """`changes` is how many the undo was about; the others part it.

    `planned` is what a dry run leaves so; `left_alone` is what is no longer as the run left it.
    """

    changes: int
    planned: int
    restored: int
    already_restored: int
    left_alone: int
    failed: int
    withheld: int


@dataclass(frozen=True, slots=True)
class UndoChange:
    """One change of the run, undone or not: from what the run wrote to what was there before.

    Of a creation template, `repository` is its prefix, and `arn` is empty.
    """

    check: str
    account_id: str
    account_name: str
    region: str
    repository: str
    arn: str
    resource: Resource
    from_mutability: str
    from_exclusion_filters: Sequence[str]
    to_mutability: str
    to_exclusion_filters: Sequence[str]
    status: ChangeStatus
    reason: Reason | None
    error: str | None


@dataclass(frozen=True, slots=True)
class UndoReport:
    """One undo, whole. `changes` are sorted by account, region, repository."""

    schema_version: Literal["1"]
    run: UndoRun
    undoes: OriginalRun
    totals: UndoTotals
    changes: Sequence[UndoChange]
    failures: Sequence[FailedItem]
    deliveries: Sequence[Delivery] = ()
