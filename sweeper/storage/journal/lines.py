"""What stands in a journal: one JSON object a line, each with its kind.

Everything that is read here may have been damaged or forged: it is checked against types and
limits, and an error names the line. A last line without its end was being written when the
process ended: it is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from sweeper.config.field_types import AccountId, RegionName
from sweeper.domain.errors import ConfigurationError, Invalid
from sweeper.domain.json_encoding import encode_line
from sweeper.domain.model import (
    Account,
    Change,
    ChangeStatus,
    Counts,
    Examined,
    Failed,
    Finding,
    Impact,
    Key,
    OpenedAccount,
    Stage,
    Target,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import RunKind
from sweeper.domain.resume import ResumeState
from sweeper.engine.ports import Source
from sweeper.storage import json_scanner
from sweeper.storage.json_scanner import TooLarge
from sweeper.storage.record_reader import Budget, parse

RUN_ID = r"\d{8}T\d{6}Z-[0-9a-f]{6}"
MAX_SIZE = 512_000_000  # bytes
MAX_MEMORY = 300_000_000  # bytes, of what is known from a journal
MAX_HEADER = 10_000  # bytes


@dataclass(frozen=True, slots=True)
class Header:
    """The first line: which run this is. `config` has a digest of each section that a run needs
    to be the same when it is resumed. `source` is the run whose changes an apply makes, or an undo
    reverts.
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


@dataclass(frozen=True, slots=True)
class _Lease:
    """A process of the run is about to take the lease, with this token."""

    token: Annotated[str, Field(min_length=1, max_length=200)]
    kind: Literal["lease"] = "lease"


@dataclass(frozen=True, slots=True)
class _Opened:
    account: Account
    regions: tuple[tuple[RegionName, str], ...]
    unread: Failed | None = None
    kind: Literal["opened"] = "opened"


@dataclass(frozen=True, slots=True)
class _Found:
    """A finding of a target whose line follows those of all its findings."""

    finding: Finding
    kind: Literal["found"] = "found"


@dataclass(frozen=True, slots=True)
class _Examined:
    """A target; so many lines before are its findings."""

    account_id: AccountId
    region: RegionName
    counts: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt]
    findings: NonNegativeInt
    kind: Literal["examined"] = "examined"


@dataclass(frozen=True, slots=True)
class _Failed:
    """In a journal for people: what failed is tried again. In a part it is a fact."""

    account_id: str
    region: str | None
    stage: Stage
    reason: Reason
    error_code: str | None
    message: str
    kind: Literal["failed"] = "failed"


@dataclass(frozen=True, slots=True)
class _Assessed:
    """What the change of a finding before may break; in parts alone."""

    check: str
    account_id: str
    region: str
    repository: str
    impact: Impact
    kind: Literal["assessed"] = "assessed"


@dataclass(frozen=True, slots=True)
class _Intent:
    """A change that is about to be written, with the state that it replaces."""

    check: str
    account_id: str
    region: str
    repository: str
    from_mutability: str
    from_exclusion_filters: tuple[str, ...]
    to_mutability: str
    to_exclusion_filters: tuple[str, ...]
    kind: Literal["intent"] = "intent"


@dataclass(frozen=True, slots=True)
class _Result:
    """What became of a change."""

    check: str
    account_id: str
    region: str
    repository: str
    change: Change
    kind: Literal["result"] = "result"


@dataclass(frozen=True, slots=True)
class _Finished:
    """The run has ended, and its report lies where it should."""

    kind: Literal["finished"] = "finished"


@dataclass(frozen=True, slots=True)
class _End:
    """The part of a worker is whole; so many lines stand before."""

    lines: NonNegativeInt
    kind: Literal["end"] = "end"


_Facts = _Opened | _Found | _Examined | _Failed | _Assessed
_Line = Header | _Lease | _Facts | _Intent | _Result | _Finished | _End


_AnyLine = Annotated[_Line, Field(discriminator="kind")]


# --- writing -------------------------------------------------------------------------------------


def header(value: Header) -> bytes:
    """The first line."""
    return encode_line(value)


def lease(token: str) -> bytes:
    """The lease is about to be taken with this token."""
    return encode_line(_Lease(token))


def opened(value: OpenedAccount) -> bytes:
    """An account was opened."""
    return encode_line(_Opened(value.account, value.regions, value.unread))


def examined(target: Target, value: Examined) -> Iterator[bytes]:
    """A target was examined: a line for each finding, and its own."""
    for finding in value.findings:
        yield encode_line(_Found(_as_found(finding)))
    # Of these there may be hundred thousands; neither id nor region needs escaping.
    place = f'"account_id": "{target.account.id}", "region": "{target.region}"'
    counts = f'"counts": {list(value.counts)}, "findings": {len(value.findings)}'
    yield f'{{{place}, {counts}, "kind": "examined"}}\n'.encode()


def failed(account_id: str, region: str | None, value: Failed) -> bytes:
    """An account or a target failed."""
    return encode_line(
        _Failed(account_id, region, value.stage, value.reason, value.error_code, value.message)
    )


def assessed(finding: Finding, impact: Impact) -> bytes:
    """What the finding's change may break was read."""
    return encode_line(_Assessed(*finding.key, impact))


def intent(finding: Finding, change: Change) -> bytes:
    """The change is about to be written."""
    return encode_line(
        _Intent(
            *finding.key,
            from_mutability=finding.mutability,
            from_exclusion_filters=finding.exclusion_filters,
            to_mutability=change.to_mutability,
            to_exclusion_filters=change.to_exclusion_filters,
        )
    )


def result(finding: Finding, change: Change) -> bytes:
    """The change ended."""
    return encode_line(_Result(*finding.key, change))


def finished(value: Header) -> bytes:
    """A journal of a run that has finished: there is nothing to resume."""
    return encode_line(value) + encode_line(_Finished())


def whole(written: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a part, and its last line, without which it is not whole."""
    count = 0
    for line in written:
        yield line
        count += 1
    yield encode_line(_End(count))


def _as_found(finding: Finding) -> Finding:
    """The finding as its check left it: itself, mostly, because a copy costs as much as a line."""
    if _is_seen(finding) and finding.impact is None:
        return finding
    return replace(finding, change=finding.change if _is_seen(finding) else None, impact=None)


def _is_seen(finding: Finding) -> bool:
    """Whether the finding is as its check left it, which may have withheld the change."""
    return finding.change is None or finding.change.status is ChangeStatus.WITHHELD


# --- reading -------------------------------------------------------------------------------------


def read(source: Source, name: str) -> tuple[Header, ResumeState, int]:
    """The run, what it had done, and how many bytes of whole lines there are.

    Raises ConfigurationError that gives `name` and the number of the line.
    """
    past = _Gathered(Budget(MAX_MEMORY))
    header, size = _gather(source, name, past)
    return header, past.past().to_resume(), size


def read_part(source: Source, name: str) -> tuple[Header, ResumeState, bool]:
    """The run of a worker's part, what the worker did, and whether the part is whole.

    Raises ConfigurationError as `read` does.
    """
    past = _Gathered(Budget(MAX_MEMORY))
    header, _ = _gather(source, name, past)
    return header, past.past(), past.is_whole


def _gather(source: Source, name: str, past: _Gathered) -> tuple[Header, int]:
    """Take all whole lines in; return the first, and how many bytes they are."""
    first: Header | None = None
    size, number = 0, 1
    try:
        for line in json_scanner.lines(source, limit=MAX_SIZE):
            if not line.endswith(b"\n"):  # the end, or a line that was being written
                break
            value: _Line = parse(_AnyLine, line)
            problem = None
            if isinstance(value, Header) is not (first is None):
                problem = "the first line, and no other, says which run it is"
            elif isinstance(value, Header):
                first = value
            elif past.is_whole:
                problem = "a line after the end"
            elif isinstance(value, _End):
                problem = past.end(value, number - 1)
            else:
                problem = past.add(value)
            if problem:
                raise _damaged(name, number, problem)
            size += len(line)
            number += 1
    except Invalid as error:
        raise _damaged(name, number, str(error)) from None
    except TooLarge as error:
        raise ConfigurationError(f"{name}: too large: {error}") from None
    if first is None:
        raise ConfigurationError(f"{name}: no journal: it has no whole line")
    return first, size


class _Gathered:
    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._pending: dict[tuple[str, str], list[Finding]] = {}
        self._opened: dict[str, OpenedAccount] = {}
        self._examined: dict[tuple[str, str], Examined] = {}
        self._settled: dict[Key, Change] = {}
        self._unsettled: set[Key] = set()
        self._healthy: dict[Counts, Examined] = {}
        self._leases: set[str] = set()
        self._found: dict[tuple[str, str], set[Key]] = {}
        self._failures: dict[tuple[str, str | None], Failed] = {}
        self._impacts: dict[Key, Impact] = {}
        self._decided: dict[Key, Change] = {}
        self.is_whole = False

    def end(self, value: _End, before: int) -> str | None:
        """Take the last line of a part in, which `before` lines precede; what is wrong with it."""
        if value.lines != before:
            return f"the end of {value.lines:,} lines, of which {before:,} stand before"
        self.is_whole = True
        return None

    def add(self, value: _Line) -> str | None:
        """Take a line in; what is wrong with it, if anything. Raises TooLarge."""
        self._budget.take(value)
        match value:
            case _Lease(token=token):
                self._leases.add(token)
            case _Opened(account=account, regions=regions, unread=unread):
                self._opened[account.id] = OpenedAccount(account, regions, unread)
            case _Found(finding=finding):
                return self._add_finding(finding)
            case _Examined():
                return self._examine(value)
            case _Failed():
                failure = Failed(value.stage, value.reason, value.message, value.error_code)
                self._failures[value.account_id, value.region] = failure
            case _Assessed():
                return self._assess(value)
            case _Finished():
                return "the run has finished: its report has all of it"
            case _Intent() | _Result():
                return self._change(value)
            case _:
                pass
        return None

    def _assess(self, value: _Assessed) -> str | None:
        key = _key(value)
        if not self._is_found(key):
            return "an impact on what the lines before did not find"
        self._impacts[key] = value.impact
        return None

    def _add_finding(self, finding: Finding) -> str | None:
        # What would be written is never taken from a journal, but planned anew.
        if not _is_seen(finding):
            return "a finding with a change that was not withheld"
        if finding.impact:
            return "a finding with its impact, which is assessed anew"
        self._pending.setdefault((finding.account_id, finding.region), []).append(finding)
        return None

    def _examine(self, value: _Examined) -> str | None:
        place = value.account_id, value.region
        # A process may have ended among its lines, and another may have begun the target anew.
        pending = self._pending.pop(place, [])
        findings = tuple(pending[len(pending) - value.findings :]) if value.findings else ()
        if len(findings) != value.findings:
            return f"{value.findings:,} findings, of which {len(pending):,} stand before"
        counts = Counts(*value.counts)
        same = self._healthy.setdefault(counts, Examined(counts))
        self._found.pop(place, None)
        self._examined[place] = Examined(counts, findings) if findings else same
        return None

    def _is_found(self, key: Key) -> bool:
        """Whether there is a finding for the change: else no report would have it."""
        place = key[1], key[2]
        if place not in self._found:
            examined = self._examined.get(place)
            self._found[place] = {each.key for each in examined.findings} if examined else set()
        return key in self._found[place]

    def _change(self, value: _Intent | _Result) -> str | None:
        key = _key(value)
        if not self._is_found(key):
            return "a change of what the lines before did not find"
        if isinstance(value, _Intent):
            self._unsettled.add(key)
        else:
            self._decided[key] = value.change
            self._settle(key, value.change)
        return None

    def _settle(self, key: Key, change: Change) -> None:
        # What failed may have taken effect all the same: it is read again.
        if change.status in (ChangeStatus.APPLIED, ChangeStatus.SUPERSEDED):
            known = self._settled.get(key)
            # What was applied stays applied, whatever a later process found.
            if known is None or known.status is not ChangeStatus.APPLIED:
                self._settled[key] = change
            self._unsettled.discard(key)

    def past(self) -> ResumeState:
        return ResumeState(
            self._opened,
            self._examined,
            self._settled,
            self._unsettled,
            frozenset(self._leases),
            self._failures,
            self._impacts,
            self._decided,
        )


def _key(value: _Intent | _Result | _Assessed) -> Key:
    return value.check, value.account_id, value.region, value.repository


def _damaged(name: str, number: int, problem: str) -> ConfigurationError:
    return ConfigurationError(f"{name}: line {number:,}: not a line of a journal: {problem}")
