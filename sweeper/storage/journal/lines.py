"""What stands in a journal: one JSON object a line, each with its kind.

Everything that is read here may have been damaged or forged: it is checked against types and
limits, and an error names the line. A last line without its end was being written when the
process ended: it is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from pydantic_core import PydanticSerializationError, to_json

from sweeper.domain.errors import ConfigurationError, Invalid
from sweeper.domain.json_encoding import encode_line
from sweeper.domain.model import (
    Change,
    Examined,
    Failed,
    Finding,
    Impact,
    OpenedAccount,
    ResumeState,
    Target,
)
from sweeper.engine.ports import Source
from sweeper.storage import json_scanner
from sweeper.storage.journal import kinds
from sweeper.storage.journal.gathered import Gathered, is_as_found
from sweeper.storage.journal.kinds import Header
from sweeper.storage.json_scanner import TooLarge
from sweeper.storage.record_reader import Budget, parse

MAX_SIZE = 512_000_000  # bytes
MAX_MEMORY = 300_000_000  # bytes, of what is known from a journal
MAX_HEADER = 10_000  # bytes


# --- writing -------------------------------------------------------------------------------------


def header(value: Header) -> bytes:
    """Return the first line."""
    return _line(value)


def lease(token: str) -> bytes:
    """Return the line for a lease that is about to be taken with this token."""
    return _line(kinds.Lease(token))


def opened(value: OpenedAccount) -> bytes:
    """Return the line for an account that was opened."""
    return _line(kinds.Opened(value.account, value.regions, value.unread))


def examined(target: Target, value: Examined) -> Iterator[bytes]:
    """Return the lines of an examined target: one for each finding, and its own."""
    for finding in value.findings:
        yield _line(kinds.Found(_as_found(finding)))
    # Of these there may be hundred thousands; neither id nor region needs escaping.
    subject = f'"account_id":"{target.account.id}","region":"{target.region}"'
    counts = f'"counts":[{",".join(map(str, value.counts))}],"findings":{len(value.findings)}'
    yield f'{{{subject},{counts},"kind":"examined"}}\n'.encode()


def failed(account_id: str, region: str | None, value: Failed) -> bytes:
    """Return the line for an account or a target that failed."""
    return _line(
        kinds.Failed(account_id, region, value.stage, value.reason, value.error_code, value.message)
    )


def assessed(finding: Finding, impact: Impact) -> bytes:
    """Return the line for what a finding's change may break."""
    return _line(kinds.Assessed(*finding.key, impact))


def intent(finding: Finding, change: Change) -> bytes:
    """Return the line for a change that is about to be written."""
    return _line(
        kinds.Intent(
            *finding.key,
            from_mutability=finding.mutability,
            from_exclusion_filters=finding.exclusion_filters,
            to_mutability=change.to_mutability,
            to_exclusion_filters=change.to_exclusion_filters,
        )
    )


def result(finding: Finding, change: Change) -> bytes:
    """Return the line for a change that ended."""
    return _line(kinds.Result(*finding.key, change))


def finished(value: Header) -> bytes:
    """Return the journal of a run that has finished: there is nothing to resume."""
    return _line(value) + _line(kinds.Finished())


def whole(written: Iterable[bytes]) -> Iterator[bytes]:
    """Return the lines of a part, and its last line, without which it is not whole."""
    count = 0
    for line in written:
        yield line
        count += 1
    yield _line(kinds.End(count))


def _line(value: object) -> bytes:
    """Return the value as a line; what a terminal would obey or hide is an escape."""
    try:
        line = to_json(value)
    except PydanticSerializationError:  # half of a character, which is no UTF-8
        return encode_line(value)
    if line.isascii() and b"\x7f" not in line:  # JSON escapes every other control character
        return line + b"\n"
    return encode_line(value)


def _as_found(finding: Finding) -> Finding:
    """Return the finding as its check left it: mostly itself, as a copy costs as much as a line."""
    if is_as_found(finding) and finding.impact is None:
        return finding
    return replace(finding, change=finding.change if is_as_found(finding) else None, impact=None)


# --- reading -------------------------------------------------------------------------------------


def read(source: Source, name: str) -> tuple[Header, ResumeState, int]:
    """Return the run, what it had done, and how many bytes of whole lines there are.

    Raises ConfigurationError that gives `name` and the number of the line.
    """
    past = Gathered(Budget(MAX_MEMORY), is_part=False)
    header, size = _gather(source, name, past)
    return header, past.past(), size


def read_part(source: Source, name: str) -> tuple[Header, ResumeState, bool]:
    """Return the run of a worker's part, what the worker did, and whether the part is whole.

    Raises ConfigurationError as `read` does.
    """
    past = Gathered(Budget(MAX_MEMORY), is_part=True)
    header, _ = _gather(source, name, past)
    return header, past.past(), past.is_whole


def _gather(source: Source, name: str, past: Gathered) -> tuple[Header, int]:
    """Take all whole lines in; return the first, and how many bytes they are."""
    size, number = 0, 1
    try:
        for line in json_scanner.lines(source, limit=MAX_SIZE):
            if not line.endswith(b"\n"):  # the end, or a line that was being written
                break
            if problem := past.take(parse(kinds.AnyLine, line)):
                raise _damage_error(name, number, problem)
            size += len(line)
            number += 1
    except Invalid as error:
        raise _damage_error(name, number, str(error)) from None
    except TooLarge as error:
        raise ConfigurationError(f"{name}: too large: {error}") from None
    if past.header is None:
        raise ConfigurationError(f"{name}: no journal: it has no whole line")
    return past.header, size


def _damage_error(name: str, number: int, problem: str) -> ConfigurationError:
    return ConfigurationError(f"{name}: line {number:,}: not a line of a journal: {problem}")
