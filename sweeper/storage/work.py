"""The work of a distributed run: the files that its stages exchange, in S3 or in a directory.

Below ``<day>/<run id>/work/`` are the header of the run, the lists of shards, a part for each
shard of each mapped stage, and the plan. Parts and plan are journals (`sweeper.storage.journal`).
Each file is replaced as a whole. A file may be damaged or forged: it is checked against types and
limits, and an error names it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Literal, Protocol, TypeVar

from pydantic import Field, NonNegativeInt

from sweeper.aws.s3 import Bucket, Objects, read_at_most
from sweeper.domain.errors import ConfigurationError, Invalid
from sweeper.domain.json_encoding import document
from sweeper.domain.model import Failed, Organization, ResumeState, join_parts
from sweeper.domain.report_model import SCHEMA_VERSION
from sweeper.engine.ports import Source
from sweeper.storage import files
from sweeper.storage.journal import lines
from sweeper.storage.journal.kinds import Header, find_problem
from sweeper.storage.json_scanner import TooLarge
from sweeper.storage.record_reader import OtherVersion, Selection, parse, read

_HEADER = "header.json"
PLAN = "plan.jsonl"
_RESULT = "finish.json"
_MAX_HEADER = 100_000_000  # bytes: the accounts of the largest organization have 10
_MAX_HEADER_MEMORY = 200_000_000  # bytes
_MAX_LIST = 10_000_000  # bytes
_MAX_RESULT = 100_000  # bytes

MappedStage = Literal["scan", "apply"]
Options = Mapping[str, Mapping[str, tuple[str, ...]]]

_T = TypeVar("_T")


class _Store(Protocol):
    """Files by name; every method raises OperationFailed."""

    def at(self, name: str) -> str:
        """Return the location of a file, for people."""

    def read(self, name: str, use: Callable[[Source], _T]) -> _T | None:
        """Return what `use` makes of the file; None where there is none."""

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Replace the file: readers see the old one or the new one."""


class BucketStore:
    """Objects in a folder below the prefix of the reports in S3."""

    def __init__(self, bucket: Bucket, folder: str) -> None:
        self._bucket = bucket
        self._folder = folder

    def at(self, name: str) -> str:
        """Return ``s3://…`` of the object."""
        return self._bucket.at(f"{self._folder}/{name}")

    def read(self, name: str, use: Callable[[Source], _T]) -> _T | None:
        """Return what `use` makes of the object; None where there is none."""
        return Objects(self._bucket).read(f"{self._folder}/{name}", use)

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write the object."""
        self._bucket.put(f"{self._folder}/{name}", pieces, "application/json")


class DirectoryStore(files.Directory):
    """Files below a directory, which several machines may share."""

    def at(self, name: str) -> str:
        """Return the path of the file."""
        return str(self.path / name)

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Replace the file, in a folder that is created if it is missing.

        Only the owner may read either: the header has the token of the lease.
        """
        path = self.path / name
        with files.write_errors(path):
            files.create_private(path.parent)
        files.replace(path, pieces, files.PRIVATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkHeader:
    """The run, and the organization as the first stage listed it; None where it could not.

    `options` narrow the configuration, nested like the file; every stage applies them. `lease` is
    the token with which the run holds the lease. `failure` is why there is nothing to scan.
    `deliver` is whether the report of a dry run is delivered to all destinations.
    """

    schema_version: Literal["2"] = SCHEMA_VERSION
    run: Header
    options: Options = field(default_factory=dict)
    deliver: bool = False
    lease: str | None = None
    accounts_per_shard: int
    failure: Failed | None = None
    organization: Organization | None


@dataclass(frozen=True, slots=True)
class Part:
    """The results of a worker, and whether they are all of its shard."""

    past: ResumeState
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended: its exit status, and the location of its report."""

    run: Annotated[str, Field(max_length=100)]
    exit_status: Annotated[int, Field(ge=0, le=255)]
    report: Annotated[str, Field(max_length=4096)] | None


@dataclass(frozen=True, slots=True)
class _Shard:
    run: str
    shard: NonNegativeInt


class Work:
    """The files of the run `run_id`. Every method raises OperationFailed.

    Methods that read also raise ConfigurationError for content that cannot be used.
    """

    def __init__(self, store: _Store, run_id: str) -> None:
        self._store = store
        self._run_id = run_id

    def put_header(self, header: WorkHeader) -> None:
        """Write the header."""
        self._store.write(_HEADER, document(header))

    def header(self) -> WorkHeader | None:
        """Read the header; None where there is none."""

        def use(source: Source) -> WorkHeader:
            selection = Selection(_MAX_HEADER_MEMORY)
            return read(WorkHeader, source, limit=_MAX_HEADER, selection=selection)

        header = self._read(_HEADER, use)
        if header and header.run.run_id != self._run_id:
            raise self._of_another_run(_HEADER, header.run.run_id)
        if header and (problem := find_problem(header.run, datetime.now(UTC))):
            raise self._damage_error(_HEADER, f"run.{problem}")
        if header and header.accounts_per_shard < 1:
            raise self._damage_error(_HEADER, "accounts_per_shard: less than 1")
        return header

    def put_shards(self, stage: MappedStage, shards: Iterable[int]) -> None:
        """Write the list that the stage is mapped over."""
        items = [{"run": self._run_id, "shard": shard} for shard in shards]
        self._store.write(list_name(stage), [json.dumps(items).encode() + b"\n"])

    def at(self, name: str) -> str:
        """Return the location of a file, for people."""
        return self._store.at(name)

    def shards(self, stage: MappedStage) -> tuple[int, ...] | None:
        """Read the list that the stage is mapped over; None where there is none."""
        name = list_name(stage)

        def use(source: Source) -> Sequence[_Shard]:
            content = read_at_most(source, _MAX_LIST)
            if len(content) > _MAX_LIST:
                raise TooLarge(f"more than {_MAX_LIST:,} bytes")
            items: Sequence[_Shard] = parse(tuple[_Shard, ...], content)
            return items

        items = self._read(name, use)
        if items is None:
            return None
        if others := {item.run for item in items} - {self._run_id}:
            raise self._of_another_run(name, min(others))
        return tuple(item.shard for item in items)

    def put_part(self, name: str, written: Iterable[bytes]) -> None:
        """Write a part, or the plan; for names see `scan_part` and so on."""
        self._store.write(name, written)

    def part(self, name: str) -> Part | None:
        """Read a part, or the plan; None where there is none."""
        found = self._store.read(name, lambda source: lines.read_part(source, self._store.at(name)))
        if found is None:
            return None
        header, past, is_whole = found
        if header.run_id != self._run_id:
            raise self._of_another_run(name, header.run_id)
        return Part(past, is_whole)

    def put_result(self, result: Result) -> None:
        """Write the result: the report is delivered, and nothing is left to do."""
        self._store.write(_RESULT, document(result))

    def result(self) -> Result | None:
        """Read the result; None where the run has not completed."""
        return self._read(_RESULT, lambda source: parse(Result, read_at_most(source, _MAX_RESULT)))

    def read_to_resume(self) -> tuple[Header, ResumeState] | None:
        """Read the run and the results of its stages, for one process that resumes it.

        None if there are none.
        """
        header = self.header()
        if header is None:
            return None
        plan = self.part(PLAN)
        if plan and plan.is_whole:
            facts = plan.past
        else:
            scanned = (self.part(scan_part(shard)) for shard in self.shards("scan") or ())
            facts = join_parts(part.past for part in scanned if part and part.is_whole)
        applied = (self.part(apply_part(shard)) for shard in self.shards("apply") or ())
        changes = join_parts(part.past for part in applied if part)
        return header.run, facts.merge(changes).to_resume()

    def _read(self, name: str, use: Callable[[Source], _T]) -> _T | None:
        try:
            return self._store.read(name, use)
        except (Invalid, TooLarge, OtherVersion) as error:
            raise self._damage_error(name, str(error)) from None

    def _damage_error(self, name: str, problem: str) -> ConfigurationError:
        return ConfigurationError(f"{self._store.at(name)}: cannot be used: {problem}")

    def _of_another_run(self, name: str, run_id: str) -> ConfigurationError:
        return ConfigurationError(f"{self._store.at(name)}: it is of run {run_id}")


def scan_part(shard: int) -> str:
    """Return the name of the findings of a shard."""
    return f"scan/{shard}.jsonl"


def planned_part(shard: int) -> str:
    """Return the name of a shard's part of the plan: its changes, and their targets."""
    return f"plan/{shard}.jsonl"


def apply_part(shard: int) -> str:
    """Return the name of the results of a shard's changes."""
    return f"apply/{shard}.jsonl"


def list_name(stage: MappedStage) -> str:
    """Return the name of the list of shards that a stage is mapped over."""
    return f"shards/{stage}.json"


def count_shards(accounts: int, accounts_per_shard: int) -> int:
    """Return the number of shards."""
    return -(-accounts // accounts_per_shard)
