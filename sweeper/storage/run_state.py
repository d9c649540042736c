"""Store the state of a run, and find it again to resume the run: its journal, or its plan in S3."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.aws.s3 import Bucket, Objects
from sweeper.domain.errors import ConfigurationError, OperationFailed
from sweeper.domain.model import ResumeState
from sweeper.storage.evidence.file import NAME as EVIDENCE
from sweeper.storage.evidence.file import EvidenceFile, evidence_path, remove_evidence
from sweeper.storage.evidence.log import EvidenceLog
from sweeper.storage.files import create_private
from sweeper.storage.journal import kinds, lines
from sweeper.storage.journal.file import JournalFile, is_busy
from sweeper.storage.journal.kinds import Header
from sweeper.storage.work import BucketStore, Work

if TYPE_CHECKING:
    from sweeper.config.schema import Config

_SUFFIX = ".journal"
_PLAN = "plan.jsonl"

# The sections that decide what a run checks and changes. Others may differ when it is resumed.
_SECTIONS = (
    "checks",
    "organization",
    "regions",
    "coverage",
    "policy",
    "exemptions",
    "remediation",
)
_RUN_OF_PLAN = re.compile(rf"[0-9-]+/({kinds.RUN_ID})/{re.escape(_PLAN)}")
CHANGES = "changes"  # the key of the digest of a report's changes, beside the sections


@dataclass(slots=True)
class OpenRun:
    """A run that was started, now or in an earlier process.

    `file` is None where this machine can store no journal, or has none of this run. It is `ours`
    if it is in this machine's state directory under the run's id: its lock proves that no other
    process has this run, which the lock on a copy does not. `evidence` is None where none is
    stored.
    """

    header: Header
    past: ResumeState
    file: JournalFile | None
    ours: bool = False
    evidence: EvidenceLog | None = None

    def close(self, *, finished: bool, keep_evidence: bool = False) -> None:
        """Close the journal and the evidence, and remove them if the run has finished.

        With `keep_evidence`, the evidence is not removed.
        """
        if self.evidence:
            self.evidence.file.close()
            self.evidence = None
        if self.file:
            if finished and not keep_evidence:
                remove_evidence(self.file.path)
            self.file.close(remove=finished)
            self.file = None


def state_directory(config: Config) -> Path | None:
    """Return the state directory, created if it is missing; None if the default cannot be used.

    Raises ConfigurationError if the configured one cannot be written.
    """
    configured = config.state.directory
    if configured is None and not (os.environ.get("XDG_STATE_HOME") or os.environ.get("HOME")):
        return None
    home = os.environ.get("XDG_STATE_HOME") or Path(os.environ.get("HOME", ""), ".local/state")
    directory = configured or Path(home, "sweeper")
    try:
        create_private(directory)
    except OSError as error:
        problem = error.strerror or str(error)
    else:
        if os.access(directory, os.W_OK | os.X_OK):
            return directory
        problem = "not writable"
    if configured is None:
        return None
    raise ConfigurationError(f"state.directory: {directory}: {problem}")


def section_digests(config: Config) -> dict[str, str]:
    """Return a digest of each section; a run may be resumed if they are equal."""
    values = config.model_dump(mode="json", include=set(_SECTIONS))
    return {
        section: hashlib.sha256(json.dumps(values[section], sort_keys=True).encode()).hexdigest()
        for section in _SECTIONS
    }


def unfinished_journals(directory: Path | None) -> list[Path]:
    """Return the journals of runs that were interrupted; those of active runs are left out."""
    if directory is None:
        return []
    return [path for path in sorted(directory.glob(f"*{_SUFFIX}")) if not is_busy(path)]


def read_header(journal: Path) -> Header | None:
    """Return the header of a journal; None where it cannot be read."""
    try:
        with journal.open("rb") as stream:
            header, _, _ = lines.read(BytesIO(stream.readline(lines.MAX_HEADER)), str(journal))
    except (OSError, ConfigurationError):
        return None
    return header


def discard_run(journal: Path) -> None:
    """Remove the journal of a run, and the evidence beside it: the run cannot be resumed then.

    Raises ConfigurationError if it cannot be removed, or the run is active.
    """
    try:
        file = JournalFile(journal, new=False)
    except OSError as error:
        raise ConfigurationError(f"{journal}: cannot be removed: {error.strerror}") from None
    remove_evidence(journal)
    file.close(remove=True)


def open_run(directory: Path | None, header: Header) -> OpenRun:
    """Start a run, with a journal if there is a `directory` that can be written."""
    run = OpenRun(header, ResumeState(), None)
    if directory is None:
        return run
    try:
        file = JournalFile(directory / f"{header.run_id}{_SUFFIX}", new=True)
    except OSError:
        return run
    try:
        file.append(lines.header(header))
    except OperationFailed:
        file.close(remove=True)
        return run
    run.file, run.ours = file, True
    return run


def reopen_run(name: str, directory: Path | None, bucket: Bucket | None) -> OpenRun:
    """Open the run `name`: the path of a journal, ``s3://…`` of a plan, or the id of a run.

    An id is searched for in `directory`, then beside the reports of `bucket`. A journal is merged
    with the plan there: another process may have resumed the run from that. Raises
    ConfigurationError that names the problem, also if the run is active.
    """
    path = Path(name)
    if re.fullmatch(kinds.RUN_ID, name):
        path = (directory or Path()) / f"{name}{_SUFFIX}"
        if bucket and not path.exists():
            return _open_plan(bucket, plan_name(name))
    elif name.startswith("s3://"):
        below = bucket.at("") if bucket else ""
        if bucket is None or not name.startswith(below):
            prefix = below or "report.s3, which is not configured"
            raise ConfigurationError(f"--resume {name}: not below {prefix}")
        return _open_plan(bucket, name.removeprefix(below))
    reopened = _open_journal(path, name)
    here = directory / f"{reopened.header.run_id}{_SUFFIX}" if directory else None
    reopened.ours = here is not None and path.absolute() == here.absolute()
    if bucket:
        try:
            if plan := _read_plan(bucket, plan_name(reopened.header.run_id)):
                reopened.past = reopened.past.merge(plan[1])
        except BaseException:
            reopened.close(finished=False)
            raise
    return reopened


def resume_command(header: Header) -> str:
    """Return the command that resumes the run."""
    command = "run" if header.run_kind == "sweep" else f"{header.run_kind} REPORT"
    return f"sweeper {command} --resume {header.run_id}"


def require_same_config(header: Header, config: Config, expected: Header) -> None:
    """Raise ConfigurationError if the run was started differently from `expected`."""
    if (header.run_kind, header.source) != (expected.run_kind, expected.source):
        what = "is a sweep"
        if header.source:
            what = f"is an {header.run_kind} of the report of run {header.source}"
        raise ConfigurationError(
            f"--resume: run {header.run_id} {what}: resume it by {resume_command(header)}"
        )
    if header.config.get(CHANGES) != expected.config.get(CHANGES):
        raise ConfigurationError(
            f"--resume: {header.run_kind} {header.run_id} was begun with another report, or other "
            "--account and --repository: use the same, or begin anew"
        )
    if differing := differing_sections(header, config):
        raise ConfigurationError(
            f"--resume: run {header.run_id} was begun with another configuration of "
            f"{', '.join(differing)}: use the same file, variables and options, or begin anew"
        )
    if header.dry_run is not expected.dry_run:
        raise ConfigurationError(
            f"--resume: run {header.run_id} was {'' if header.dry_run else 'not '}a dry run"
        )


def differing_sections(header: Header, config: Config) -> list[str]:
    """Return the sections that decide a run, and that were different when this one started."""
    now = section_digests(config)
    return [name for name in _SECTIONS if header.config.get(name) != now[name]]


def plan_name(run_id: str) -> str:
    """Return the name of a run's plan below the prefix of the reports."""
    return f"{_folder(run_id)}/{_PLAN}"


def evidence_name(run_id: str) -> str:
    """Return the name of a run's evidence below the prefix of the reports."""
    return f"{_folder(run_id)}/{EVIDENCE}"


def open_evidence(
    run: OpenRun, checks: Sequence[str], configuration: str, now: Callable[[], datetime]
) -> EvidenceLog:
    """Start the run's evidence, beside its journal or in a temporary file. Raises nothing.

    `configuration` is the digest of the configuration in effect.
    """
    file = EvidenceFile(evidence_path(run.file.path) if run.file else None)
    run.evidence = EvidenceLog(file, checks, run.past, now)
    run.evidence.begin_file(run.header, configuration)
    return run.evidence


def work_name(run_id: str) -> str:
    """Return the folder of a distributed run's work below the prefix of the reports."""
    return f"{_folder(run_id)}/work"


def _folder(run_id: str) -> str:
    return f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}/{run_id}"


def _open_journal(path: Path, name: str) -> OpenRun:
    try:
        file = JournalFile(path, new=False)
    except OSError as error:
        raise ConfigurationError(
            f"--resume {name}: {path}: cannot be read: {error.strerror}; it is removed when a run "
            "has ended well"
        ) from None
    try:
        with file.reader() as stream:
            header, past, size = lines.read(stream, str(path))
        file.truncate(size)
    except OSError as error:
        file.close(remove=False)
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except BaseException:
        file.close(remove=False)
        raise
    return OpenRun(header, past, file)


def _open_plan(bucket: Bucket, name: str) -> OpenRun:
    plan = _read_plan(bucket, name)
    if plan is None and (run_id := _RUN_OF_PLAN.fullmatch(name)):
        plan = _read_work(bucket, run_id[1])
    if plan:
        header, past = plan
        return OpenRun(header, past, None)
    raise ConfigurationError(
        f"--resume: {bucket.at(name)}: there is none; it is there once a run has begun to write"
    )


def _read_work(bucket: Bucket, run_id: str) -> tuple[Header, ResumeState] | None:
    """Return what the stages of a distributed run left in S3; None if there is no such run."""
    name = work_name(run_id)
    try:
        return Work(BucketStore(bucket, name), run_id).read_to_resume()
    except OperationFailed as error:
        raise _unreadable(bucket, name, error) from None


def _read_plan(bucket: Bucket, name: str) -> tuple[Header, ResumeState] | None:
    """Read the plan `name`, if there is one. Raises ConfigurationError."""
    try:
        plan = Objects(bucket).read(name, lambda source: lines.read(source, bucket.at(name)))
    except OperationFailed as error:
        raise _unreadable(bucket, name, error) from None
    if plan is None:
        return None
    header, past, _ = plan
    if name != plan_name(header.run_id):
        raise ConfigurationError(
            f"--resume: {bucket.at(name)}: it is the plan of run {header.run_id}"
        )
    return header, past


def _unreadable(bucket: Bucket, name: str, error: OperationFailed) -> ConfigurationError:
    return ConfigurationError(
        f"--resume: {bucket.at(name)}: cannot be read: {error.reason}: {error.message}"
    )
