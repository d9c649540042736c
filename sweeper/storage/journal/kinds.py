"""The kinds of line in a journal and in a worker's part: types to check what is read by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from sweeper.config.field_types import AccountId, RegionName
from sweeper.domain import model
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import RunKind

RUN_ID = r"\d{8}T\d{6}Z-[0-9a-f]{6}"
_TIME_OF_ID = "%Y%m%dT%H%M%SZ"  # what an id begins with
_CLOCK_SKEW = timedelta(minutes=5)  # between the machines of one run


@dataclass(frozen=True, slots=True)
class Header:
    """The first line: which run this is.

    `config` has a digest of each section that a run needs to be the same when it is resumed.
    `source` is the run whose changes an apply makes, or an undo reverts.
    """

    run_id: Annotated[str, Field(pattern=f"^{RUN_ID}$")]
    started_at: datetime
    version: str
    dry_run: bool
    config: dict[str, str]
    run_kind: RunKind = "sweep"
    source: Annotated[str, Field(pattern=f"^{RUN_ID}$")] | None = None
    journal: Literal[3] = 3
    kind: Literal["run"] = "run"


def find_problem(header: Header, now: datetime) -> str | None:
    """Return why a header that was read cannot be one that a run wrote, or None.

    A run acts by the day on which it began. A later day than today would let it write more: see
    `sweeper.domain.planning.acting_day`.
    """
    started = header.started_at
    if started.utcoffset() != timedelta(0) or not header.run_id.startswith(
        f"{started:{_TIME_OF_ID}}-"
    ):
        return "started_at: not the time in UTC with which run_id begins"
    if started > now + _CLOCK_SKEW:
        return "started_at: a time in the future, by the clock of this machine"
    return None


@dataclass(frozen=True, slots=True)
class Lease:
    """A process of the run is about to take the lease, with this token."""

    token: Annotated[str, Field(min_length=1, max_length=200)]
    kind: Literal["lease"] = "lease"


@dataclass(frozen=True, slots=True)
class Opened:
    """An account whose member role was assumed, with its regions."""

    account: model.Account
    regions: tuple[tuple[RegionName, str], ...]
    unread: model.Failed | None = None
    kind: Literal["opened"] = "opened"


@dataclass(frozen=True, slots=True)
class Found:
    """A finding of a target whose line follows those of all its findings."""

    finding: model.Finding
    kind: Literal["found"] = "found"


@dataclass(frozen=True, slots=True)
class Examined:
    """A target; so many lines before are its findings."""

    account_id: AccountId
    region: RegionName
    counts: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt]
    findings: NonNegativeInt
    kind: Literal["examined"] = "examined"


@dataclass(frozen=True, slots=True)
class Failed:
    """In a journal for people: what failed is tried again. In a part it is a fact."""

    account_id: str
    region: str | None
    stage: model.Stage
    reason: Reason
    error_code: str | None
    message: str
    kind: Literal["failed"] = "failed"


@dataclass(frozen=True, slots=True)
class _AboutFinding:
    check: str
    account_id: str
    region: str
    repository: str

    @property
    def key(self) -> model.Key:
        """The finding's key."""
        return self.check, self.account_id, self.region, self.repository


@dataclass(frozen=True, slots=True)
class Assessed(_AboutFinding):
    """What the change of a finding before may break; in parts alone."""

    impact: model.Impact
    kind: Literal["assessed"] = "assessed"


@dataclass(frozen=True, slots=True)
class Intent(_AboutFinding):
    """A change that is about to be written, with the state that it replaces."""

    from_mutability: str
    from_exclusion_filters: tuple[str, ...]
    to_mutability: str
    to_exclusion_filters: tuple[str, ...]
    kind: Literal["intent"] = "intent"


@dataclass(frozen=True, slots=True)
class Result(_AboutFinding):
    """What became of a change."""

    change: model.Change
    kind: Literal["result"] = "result"


@dataclass(frozen=True, slots=True)
class Finished:
    """The run has ended, and its report lies where it should."""

    kind: Literal["finished"] = "finished"


@dataclass(frozen=True, slots=True)
class End:
    """The part of a worker is whole; so many lines stand before."""

    lines: NonNegativeInt
    kind: Literal["end"] = "end"


Facts = Opened | Found | Examined | Failed | Assessed
Line = Header | Lease | Facts | Intent | Result | Finished | End


AnyLine = Annotated[Line, Field(discriminator="kind")]
