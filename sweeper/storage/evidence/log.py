"""Write and count the lines of the evidence; docs/report.md has the format."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

from sweeper.domain.json_encoding import encode_line
from sweeper.domain.model import (
    Account,
    Compliance,
    Examined,
    Exemption,
    Failed,
    Finding,
    OpenedAccount,
    Repository,
    Resource,
    ResumeState,
    Skipped,
    Target,
    utc_text,
)
from sweeper.storage.evidence.file import CompressedLines, EvidenceFile, read_lines

if TYPE_CHECKING:
    from sweeper.engine.ports import Check
    from sweeper.storage.journal.kinds import Header

_SCHEMA_VERSION = "1"
_VERDICT = encode_line({"kind": "verdict"})[:-2]  # how such a line begins
_TARGET = encode_line({"kind": "target"})[:-2]
_Verdicts = dict[str, Counter[str]]  # by check, then by compliance


class EvidenceLog:
    """A `sweeper.engine.ports.Evidence` that is written to a file while the sweep runs.

    `checks` are the names of those that run; `past` is the work of an earlier process of the run.
    """

    def __init__(
        self,
        file: EvidenceFile,
        checks: Sequence[str],
        past: ResumeState,
        now: Callable[[], datetime],
    ) -> None:
        self.file = file
        self.now = now
        self._lock = Lock()
        self._past = past
        self._restored: set[tuple[str, str]] = set()
        self._verdicts: _Verdicts = {name: Counter() for name in checks}
        self._accounts: Counter[str] = Counter()
        self._targets: Counter[str] = Counter()
        self._not_recorded = {"targets": 0, "repositories": 0}

    def begin_file(self, header: Header, configuration: str) -> None:
        """Write the first line and the lines of an earlier process of the run. Raises nothing."""
        first = {
            "kind": "header",
            "schema_version": _SCHEMA_VERSION,
            "run_id": header.run_id,
            "started_at": utc_text(header.started_at),
            "version": header.version,
            "dry_run": header.dry_run,
            "configuration": configuration,
            "checks": list(self._verdicts),
        }

        def fill() -> None:
            self._append(first)
            if self._past.examined:
                self._restore()

        self.file.create(fill)

    def begin(self, target: Target) -> _TargetLog:
        """Start a target; any thread calls it."""
        return _TargetLog(self, target)

    def conclude(
        self,
        accounts: Iterable[tuple[Account, OpenedAccount | Skipped | Failed]],
        targets: Iterable[tuple[Target, Examined | Skipped | Failed]],
    ) -> None:
        """Write a line for each account that was not opened, and each target without verdicts."""
        lines = CompressedLines()
        for account, opened in accounts:
            self._accounts[_OUTCOMES[type(opened)]] += 1
            if not isinstance(opened, OpenedAccount):
                lines.add(
                    encode_line(
                        {"kind": "account", "account_id": account.id, **_outcome_members(opened)}
                    )
                )
        for target, outcome in targets:
            self._targets[_OUTCOMES[type(outcome)]] += 1
            if not isinstance(outcome, Examined):
                lines.add(
                    encode_line({**_target_members("target", target), **_outcome_members(outcome)})
                )
            elif target.key in self._past.examined and target.key not in self._restored:
                repositories = _count_repositories(outcome)
                self._not_recorded["targets"] += 1
                self._not_recorded["repositories"] += repositories
                known = {"outcome": "examined", "recorded": False, "repositories": repositories}
                lines.add(encode_line({**_target_members("target", target), **known}))
        self.file.append(lines.take())

    def finish(self) -> None:
        """Write the last line: the counts of the lines before."""
        accounts = {name: self._accounts[name] for name in ("opened", "skipped", "failed")}
        targets = {name: self._targets[name] for name in ("examined", "skipped", "failed")}
        end = {
            "kind": "end",
            "accounts": {"planned": self._accounts.total(), **accounts},
            "targets": {"planned": self._targets.total(), **targets},
            "verdicts": {
                check: {compliance: counts[compliance] for compliance in Compliance}
                for check, counts in self._verdicts.items()
            },
            "not_recorded": self._not_recorded,
        }
        self._append(end)

    def _append(self, line: Mapping[str, Any]) -> None:
        lines = CompressedLines()
        lines.add(encode_line(line))
        self.file.append(lines.take())

    def add(self, members: bytes, verdicts: _Verdicts) -> None:
        """Append all lines of one target; any thread calls it."""
        self.file.append(members)
        with self._lock:
            for check, counts in verdicts.items():
                self._verdicts.setdefault(check, Counter()).update(counts)

    def _restore(self) -> None:
        """Copy the complete targets that the journal has, too; the others are examined again."""
        lines, count = CompressedLines(), 0
        for line in read_lines(self.file.path):
            if line.startswith(_VERDICT):
                lines.add(line)
                count += 1
            elif line.startswith(_TARGET):
                lines.add(line)
                target = _Recorded.parse(line)
                if target and target.count == count and target.key in self._past.examined:
                    self.add(lines.take(), target.verdicts)
                    self._restored.add(target.key)
                lines, count = CompressedLines(), 0


class _TargetLog:
    """A `sweeper.engine.ports.TargetEvidence`, compressed in memory until it is stored."""

    def __init__(self, log: EvidenceLog, target: Target) -> None:
        self._log = log
        self._target = target
        self._lines = CompressedLines()
        self._verdicts: _Verdicts = {}
        self._pending: list[tuple[tuple[str, ...], str]] = []  # filter types, time of reading
        self._last: tuple[tuple[str, ...], str] = ((), "")

    def record(self, check: Check, repository: Repository, compliance: Compliance) -> None:
        """Add a repository as it was read; a finding's verdict follows in `judge`."""
        read_at = utc_text(self._log.now())
        if compliance is Compliance.COMPLIANT:
            self._add(check, repository, check.resource, read_at=read_at, compliance=compliance)
            return
        if self._last != (repository.filter_types, read_at):  # equal values are shared
            self._last = repository.filter_types, read_at
        self._pending.append(self._last)

    def judge(self, check: Check, findings: Sequence[Finding]) -> None:
        """Add the check's findings, in the order in which they were recorded."""
        for finding, (types, read_at) in zip(findings, self._pending, strict=True):
            self._add(
                check,
                Repository(
                    finding.repository,
                    finding.arn,
                    finding.mutability,
                    finding.exclusion_filters,
                    types,
                ),
                finding.resource,
                read_at=read_at,
                compliance=finding.compliance,
                reason=finding.reason,
                exemption=finding.exemption,
            )
        self._pending.clear()

    def store(self) -> None:
        """Append all lines to the file."""
        end = {"outcome": "examined", "recorded": True, "verdicts": self._verdicts}
        self._lines.add(encode_line({**_target_members("target", self._target), **end}))
        self._log.add(self._lines.take(), self._verdicts)

    def _add(
        self,
        check: Check,
        repository: Repository,
        resource: Resource,
        *,
        read_at: str,
        compliance: Compliance,
        reason: str | None = None,
        exemption: Exemption | None = None,
    ) -> None:
        filters = zip(repository.filter_types, repository.exclusion_filters, strict=True)
        verdict = {
            **_target_members("verdict", self._target),
            "resource": resource,
            "repository": repository.name,
            "arn": repository.arn,
            "check": check.name,
            "mutability": repository.mutability,
            "exclusion_filters": [{"type": kind, "filter": text} for kind, text in filters],
            "verdict": compliance,
            "reason": reason,
            "exemption": exemption,
            "read_at": read_at,
        }
        self._lines.add(encode_line(verdict))
        self._verdicts.setdefault(check.name, Counter())[compliance] += 1


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A target whose verdicts are in the lines before its own."""

    key: tuple[str, str]
    verdicts: _Verdicts

    @property
    def count(self) -> int:
        """The number of its verdict lines."""
        return sum(counts.total() for counts in self.verdicts.values())

    @classmethod
    def parse(cls, line: bytes) -> _Recorded | None:
        """Parse a target's line; None where it has no verdicts, or is damaged."""
        with suppress(ValueError, LookupError, TypeError, AttributeError):
            value = json.loads(line)
            verdicts = {check: Counter(counts) for check, counts in value["verdicts"].items()}
            return cls((value["account_id"], value["region"]), verdicts)
        return None


_OUTCOMES: Mapping[type, str] = {
    OpenedAccount: "opened",
    Examined: "examined",
    Skipped: "skipped",
    Failed: "failed",
}


def _target_members(kind: str, target: Target) -> dict[str, Any]:
    return {"kind": kind, "account_id": target.account.id, "region": target.region}


def _outcome_members(outcome: Skipped | Failed) -> dict[str, Any]:
    code = outcome.error_code if isinstance(outcome, Failed) else None
    return {"outcome": _OUTCOMES[type(outcome)], "reason": outcome.reason, "error_code": code}


def _count_repositories(examined: Examined) -> int:
    """Count the repositories of the target as the report does."""
    undetermined = sum(
        finding.compliance is Compliance.UNDETERMINED and finding.resource == "repository"
        for finding in examined.findings
    )
    return sum(examined.counts) + undetermined
