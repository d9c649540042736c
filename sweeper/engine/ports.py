"""What the sweep needs from outside, as protocols, and the environment of one run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from sweeper.config.provenance import Provenance
from sweeper.domain.model import (
    Account,
    Change,
    Compliance,
    Examined,
    Failed,
    Finding,
    Impact,
    Key,
    OpenedAccount,
    Organization,
    Repository,
    Resource,
    ResumeState,
    Skipped,
    Stage,
    Target,
)
from sweeper.domain.planning import Announced
from sweeper.domain.report_model import Run
from sweeper.engine.attempts import Stop, attempt
from sweeper.engine.probe import Probe

if TYPE_CHECKING:
    from sweeper.config.schema import Config


class TargetEvidence(Protocol):
    """The evidence of one target, collected by one thread. Its methods raise no OperationFailed."""

    def record(self, check: Check, repository: Repository, compliance: Compliance) -> None:
        """Add a repository as it was read; a finding's verdict follows in `judge`."""

    def judge(self, check: Check, findings: Sequence[Finding]) -> None:
        """Add the check's findings, in the order in which they were recorded."""

    def store(self) -> None:
        """Store all of it: every check has succeeded. Without this call nothing is stored."""


class Evidence(Protocol):
    """The evidence of one run. A target is examined even if its evidence cannot be stored."""

    def begin(self, target: Target) -> TargetEvidence:
        """Begin a target; any thread calls it."""

    def conclude(
        self,
        accounts: Iterable[tuple[Account, OpenedAccount | Skipped | Failed]],
        targets: Iterable[tuple[Target, Examined | Skipped | Failed]],
    ) -> None:
        """Store which accounts and targets have no evidence, and why."""


# Stores a repository as it was read, and the verdict on its setting, exemptions aside.
Record = Callable[[Repository, Compliance], None]


class Source(Protocol):
    """A file, or an object's body. Its errors are not caught here."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""


class Cloud(Protocol):
    """AWS, as far as the sweep itself needs it; every method raises OperationFailed."""

    def list_accounts(self) -> Organization:
        """List all accounts; where the reason `ends_run`, running again would not help."""

    def open_account(self, account: Account) -> OpenedAccount:
        """Assume the member role once, and read the account's regions."""

    def enter(self, account: Account) -> None:
        """Assume the member role once."""


class Check:
    """One question about every target. A check that writes nothing needs only `examine`."""

    name: str  # what its findings are filed under
    resource: Resource  # what its findings are about
    other_resources: tuple[Resource, ...] = ()  # what some of them are about instead
    read_actions: frozenset[str]  # IAM's, that `examine` needs
    exemption_actions: frozenset[str] = frozenset()  # of these, those for exemptions only
    write_actions: frozenset[str] = frozenset()  # that `apply` needs beyond them
    create_actions: frozenset[str] = frozenset()  # and what it needs to create, and to undo that
    assess_actions: frozenset[str] = frozenset()  # that `assess` needs; none: it cannot assess
    probes: ClassVar[Mapping[str, Probe]] = {}  # how preflight tries an action
    permitted_by: ClassVar[Mapping[str, str]] = {}  # the member role's stack: action -> parameter

    def __init__(self, registry: Any, config: Config, today: date) -> None:
        """Keep the `registry`, a `sweeper.aws.ecr.EcrRegistry`; call nothing."""
        self.registry = registry
        self.config = config
        self.today = today

    def finding(
        self, target: Target, item: Repository, compliance: Compliance, reason: str, **more: Any
    ) -> Finding:
        """Return a finding about `item`, of which `mutability` is the setting that was read."""
        return Finding(
            check=self.name,
            account_id=target.account.id,
            account_name=target.account.name,
            region=target.region,
            repository=item.name,
            arn=item.arn,
            compliance=compliance,
            mutability=item.mutability,
            exclusion_filters=item.exclusion_filters,
            reason=reason,
            resource=self.resource,
            **more,
        )

    def examine(self, target: Target, record: Record | None = None) -> Examined:
        """Examine the whole target; raises OperationFailed.

        `record`, where it is given, is called once for each repository, as soon as it is read. The
        findings have the order of these calls.
        """
        raise NotImplementedError

    def remedy(self, finding: Finding) -> Change:
        """Return the change that would fix the finding. Pure."""
        raise NotImplementedError

    def apply(
        self, target: Target, finding: Finding, change: Change, intend: Callable[[], None]
    ) -> Change:
        """Write the change if the finding still holds, and return its result.

        `intend` is called just before the write, and may forbid it. Both raise OperationFailed.
        """
        raise NotImplementedError

    def judge_recalled(self, target: Target, findings: Sequence[Finding]) -> Sequence[Finding]:  # noqa: ARG002
        """Return non-compliant findings of a record, as they stand by what is read now.

        Whoever can write the record decides what it says. What was found to be exempt is returned
        as such, or with a change that is withheld. `apply` judges by each setting itself. Raises
        OperationFailed.
        """
        return findings

    def matches_desired(self, target: Target, finding: Finding, change: Change) -> bool | None:
        """Tell whether the setting is as the change would make it; None if the repository is gone.

        Raises OperationFailed where it cannot be read.
        """
        raise NotImplementedError

    def assess(self, target: Target, finding: Finding, change: Change) -> Impact:
        """Return what the change may break; raises OperationFailed."""
        raise NotImplementedError


class Observer(Protocol):
    """Watches a sweep; called from the sweep's own thread only. Its errors are ignored."""

    def begin(self, stage: Stage, total: int) -> None:
        """Note that a stage over `total` accounts, targets or changes begins."""

    def done(self, stage: Stage, outcomes: Sequence[tuple[object, object]]) -> None:
        """Note that some of the stage's items have their outcome."""


class Journal(Observer, Protocol):
    """The run's record, written step by step, so that a process that is killed loses nothing."""

    @property
    def past(self) -> ResumeState:
        """The work that need not be done again."""

    def plan(self, targets: Sequence[Target], outcomes: Sequence[object]) -> None:
        """Record the plan, before the first write.

        Raises OperationFailed where it cannot be recorded: then nothing may be written.
        """

    def intend(self, finding: Finding) -> None:
        """Record that the finding's change is about to be written; called by any thread.

        Raises OperationFailed where it cannot be recorded: then it may not be written.
        """

    def settle(self, finding: Finding) -> None:
        """Record the result of the finding's change. Raises nothing; called by any thread."""


class Observers:
    """Several observers as one; an error of one does not affect the next."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def begin(self, stage: Stage, total: int) -> None:
        """Notify all."""
        for observer in self._observers:
            attempt(stage, lambda observer: observer.begin(stage, total), observer)

    def done(self, stage: Stage, outcomes: Sequence[tuple[object, object]]) -> None:
        """Notify all."""
        for observer in self._observers:
            attempt(stage, lambda observer: observer.done(stage, outcomes), observer)


@dataclass(frozen=True, slots=True)
class RunEnvironment:
    """How this run is done: its identity, whether it may write, who watches, asks and stops it.

    `approve` is called once, with the findings whose change is about to be written. `may_write`
    raises OperationFailed where another sweep may be running; any thread calls it. `evidence` is
    None where none is stored, and `scanner` where this process scans alone. `read_announced` reads
    from earlier reports which of a run's findings had their change announced; it raises nothing.
    """

    run_id: str
    version: str
    dry_run: bool
    started: datetime
    now: Callable[[], datetime]
    stop: Stop
    observer: Observer
    approve: Callable[[Sequence[Finding]], bool]
    journal: Journal
    may_write: Callable[[], None]
    provenance: Provenance
    evidence: Evidence | None = None
    scanner: Scanner | None = None
    read_announced: Callable[[Run, Collection[Key]], Announced] = lambda _run, _keys: Announced()

    @property
    def observers(self) -> Observers:
        """The journal and the observer."""
        return Observers((self.journal, self.observer))


class Scanner(Protocol):
    """Scans in other processes of this machine; see `scan_accounts`, which they call."""

    def scan(
        self, organization: Organization, accounts: Sequence[Account], observer: Observer
    ) -> ResumeState:
        """Open the accounts, and examine each target in them; return what was found.

        The observer is called as for one process. Raises nothing: work that no process did is not
        in the answer.
        """
