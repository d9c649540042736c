"""What stands in a journal: one JSON object a line, each with its kind.

Everything that is read here may have been damaged or forged: it is checked against types and
limits, and an error names the line. A last line without its end was being written when the
process ended: it is passed over.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Annotated, BinaryIO, Literal

from pydantic import Field, NonNegativeInt, TypeAdapter, ValidationError

from sweeper.config import AccountId, RegionName
from sweeper.errors import ConfigurationError
from sweeper.formats.json import encoded
from sweeper.model import (
    Account,
    Change,
    ChangeStatus,
    Examined,
    Failed,
    Finding,
    Key,
    OpenedAccount,
    Reason,
    Stage,
    Target,
)
from sweeper.ports import Past

RUN_ID = r"\d{8}T\d{6}Z-[0-9a-f]{6}"
MAX_LINE = 128_000_000  # bytes: a registry of the hundred thousand repositories that ECR allows
MAX_LINES = 5_000_000
MAX_HEADER = 10_000  # bytes


@dataclass(frozen=True, slots=True)
class Header:
    """The first line: which run this is. `config` has a digest of each section that a run needs
    to be the same when it is resumed. `undoes` is the run that an undo undoes, None for a sweep.
    """

    run_id: Annotated[str, Field(pattern=f"^{RUN_ID}$")]
    started_at: datetime
    version: str
    dry_run: bool
    config: dict[str, str]
    undoes: Annotated[str, Field(pattern=f"^{RUN_ID}$")] | None = None
    journal: Literal[1] = 1
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
class _Examined:
    account_id: AccountId
    region: RegionName
    counts: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt]
    findings: tuple[Finding, ...]
    kind: Literal["examined"] = "examined"


@dataclass(frozen=True, slots=True)
class _Failed:
    """For people: what failed is tried again."""

    account_id: str
    region: str | None
    stage: Stage
    reason: Reason
    error_code: str | None
    message: str
    kind: Literal["failed"] = "failed"


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


_Line = Header | _Lease | _Opened | _Examined | _Failed | _Intent | _Result | _Finished


@cache
def _adapter() -> TypeAdapter[_Line]:
    """Made where a journal is read, and not in every run: it takes longer than an import."""
    return TypeAdapter(Annotated[_Line, Field(discriminator="kind")])


# --- writing -------------------------------------------------------------------------------------


def header(value: Header) -> bytes:
    """The first line."""
    return _line(value)


def lease(token: str) -> bytes:
    """The lease is about to be taken with this token."""
    return _line(_Lease(token))


def opened(value: OpenedAccount) -> bytes:
    """An account was opened."""
    return _line(_Opened(value.account, value.regions, value.unread))


def examined(target: Target, value: Examined) -> bytes:
    """A target was examined."""
    if value.findings:
        seen = tuple(
            replace(finding, change=finding.change if _is_seen(finding) else None, impact=None)
            for finding in value.findings
        )
        return _line(_Examined(*target.place, value.counts, seen))
    # Of these there may be hundred thousands; neither id nor region needs escaping.
    place = f'"account_id": "{target.account.id}", "region": "{target.region}"'
    counts = f'"counts": {list(value.counts)}, "findings": []'
    return f'{{{place}, {counts}, "kind": "examined"}}\n'.encode()


def failed(account_id: str, region: str | None, value: Failed) -> bytes:
    """An account or a target failed."""
    return _line(
        _Failed(account_id, region, value.stage, value.reason, value.error_code, value.message)
    )


def intent(finding: Finding, change: Change) -> bytes:
    """The change is about to be written."""
    return _line(
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
    return _line(_Result(*finding.key, change))


def finished(value: Header) -> bytes:
    """A journal of a run that has finished: there is nothing to go on with."""
    return _line(value) + _line(_Finished())


def _is_seen(finding: Finding) -> bool:
    """Whether the finding is as its check left it, which may have withheld the change."""
    return finding.change is None or finding.change.status is ChangeStatus.WITHHELD


def _line(value: object) -> bytes:
    line = encoded(value)
    if "\\ud" in line:  # perhaps half of a character, which is no text to whoever reads this
        whole = json.dumps(json.loads(line), ensure_ascii=False).encode(errors="replace")
        line = encoded(json.loads(whole))
    return line.encode() + b"\n"


# --- reading -------------------------------------------------------------------------------------


def read(stream: BinaryIO, source: str) -> tuple[Header, Past, int]:
    """The run, what it had done, and how many bytes of whole lines there are.

    Raises ConfigurationError that names `source` and the line.
    """
    first: Header | None = None
    past = _Gathered()
    size = 0
    for number in range(1, MAX_LINES + 1):
        line = stream.readline(MAX_LINE + 1)
        if len(line) > MAX_LINE:
            raise _damaged(source, number, f"longer than {MAX_LINE:,} bytes")
        if not line.endswith(b"\n"):  # the end, or a line that was being written
            break
        try:
            value = _adapter().validate_json(line)
        except ValidationError as error:
            raise _damaged(source, number, _said(error)) from None
        if isinstance(value, Header) is not (first is None):
            raise _damaged(source, number, "the first line, and no other, says which run it is")
        if isinstance(value, Header):
            first = value
        elif problem := past.add(value):
            raise _damaged(source, number, problem)
        size += len(line)
    else:
        raise _damaged(source, MAX_LINES, f"more than {MAX_LINES:,} lines")
    if first is None:
        raise ConfigurationError(f"{source}: no journal: it has no whole line")
    return first, past.past(), size


class _Gathered:
    def __init__(self) -> None:
        self._opened: dict[str, OpenedAccount] = {}
        self._examined: dict[tuple[str, str], Examined] = {}
        self._settled: dict[Key, Change] = {}
        self._unsettled: set[Key] = set()
        self._healthy: dict[tuple[int, int, int], Examined] = {}
        self._leases: set[str] = set()
        self._found: dict[tuple[str, str], set[Key]] = {}

    def add(self, value: _Line) -> str | None:
        """Take a line in; what is wrong with it, if anything."""
        match value:
            case _Lease(token=token):
                self._leases.add(token)
            case _Opened(account=account, regions=regions, unread=unread):
                self._opened[account.id] = OpenedAccount(account, regions, unread)
            case _Examined():
                place = value.account_id, value.region
                if any((each.account_id, each.region) != place for each in value.findings):
                    return "a finding of another account or region"
                # What would be written is never taken from a journal, but planned anew.
                if not all(map(_is_seen, value.findings)):
                    return "a finding with a change that was not withheld"
                if any(finding.impact for finding in value.findings):
                    return "a finding with its impact, which is assessed anew"
                same = self._healthy.setdefault(value.counts, Examined(value.counts))
                self._found.pop(place, None)
                self._examined[place] = (
                    Examined(value.counts, value.findings) if value.findings else same
                )
            case _Finished():
                return "the run has finished: its report has all of it"
            case _Intent() | _Result():
                return self._change(value)
            case _:
                pass
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

    def past(self) -> Past:
        return Past(
            self._opened, self._examined, self._settled, self._unsettled, frozenset(self._leases)
        )


def _key(value: _Intent | _Result) -> Key:
    return value.check, value.account_id, value.region, value.repository


def _damaged(source: str, number: int, problem: str) -> ConfigurationError:
    return ConfigurationError(f"{source}: line {number:,}: not a line of a journal: {problem}")


def _said(error: ValidationError) -> str:
    """The first thing that is wrong, without the value, which may be long or hostile."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return ": ".join(filter(None, (place[:200], str(first["msg"])[:200])))
