"""What every stage of a distributed sweep begins with, and what earlier stages left to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.aws.client.clients import Session
from sweeper.aws.client.session import callers_session, refuse_unknown_regions
from sweeper.checks import chosen_checks
from sweeper.domain.errors import ConfigurationError, OperationFailed
from sweeper.domain.model import (
    Account,
    Failed,
    ResumeState,
    Stage,
    join_parts,
)
from sweeper.domain.planning import Outcome, Remedy
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import Stop, attempt
from sweeper.engine.change_source import SweepPlan
from sweeper.engine.pool import Pool
from sweeper.engine.ports import Observer, RunEnvironment
from sweeper.engine.sweep import (
    Facts,
    Listing,
    Scan,
    accept_gaps,
    choose_accounts,
    make_plan,
    read_announced,
    recall_scan,
)
from sweeper.entrypoints import logs
from sweeper.entrypoints.bootstrap import (
    RunContext,
    bootstrap_client_factory,
    build_context,
    make_change_source,
    reports_bucket,
)
from sweeper.storage import run_state as state
from sweeper.storage.journal.kinds import Header
from sweeper.storage.journal.run import RunJournal
from sweeper.storage.work import (
    PLAN,
    BucketStore,
    DirectoryStore,
    Options,
    Part,
    Work,
    WorkHeader,
    count_shards,
    scan_part,
)

if TYPE_CHECKING:
    from sweeper.config.loader import Loaded
    from sweeper.config.schema import Config


@dataclass(frozen=True, slots=True)
class StageSettings:
    """How to run a stage: its configuration, by the options that narrow it, and where its work is.

    `directory` is None where it is in S3.
    """

    load: Callable[[Options], Loaded]
    directory: Path | None
    profile: str | None
    stop: Stop
    observer: Observer


@dataclass(frozen=True, slots=True)
class OpenStage:
    """A stage that may begin: what the run is, and what the stage works with."""

    config: Config
    loaded: Loaded
    context: RunContext
    work: Work
    header: WorkHeader
    listing: Listing
    changes: SweepPlan

    @property
    def run(self) -> Header:
        """The run."""
        return self.header.run

    def shard(self, number: int) -> Sequence[Account]:
        """Return the accounts of a shard. Raises ConfigurationError where there is no such one."""
        size = self.header.accounts_per_shard
        accounts = self.listing.chosen[number * size : (number + 1) * size] if number >= 0 else ()
        if not accounts:
            raise ConfigurationError(f"run {self.run.run_id}: it has no shard {number}")
        return accounts

    @property
    def shard_of(self) -> dict[str, int]:
        """The shard of each account."""
        size = self.header.accounts_per_shard
        return {each.id: i // size for i, each in enumerate(self.listing.chosen)}

    def adopt_accounts(self) -> None:
        """Allow the cloud to enter the accounts that were listed. Raises OperationFailed."""
        if self.listing.organization:
            self.context.cloud.adopt_accounts(self.listing.organization)

    def pool(self, past: ResumeState) -> Pool:
        """Return the pool of the stage; `past` is what it need not do again."""
        return Pool(self.config.limits.max_workers, self.environment(past))

    def environment(self, past: ResumeState) -> RunEnvironment:
        """Return the environment of the stage; `past` is what it need not do again."""
        # The stage itself has put each intent into its part before it writes.
        records_nothing = RunJournal(self.run, past, None, lambda _: None)
        return replace(self.context.environment, journal=records_nothing)

    def plan(self, facts: Facts) -> list[Outcome]:
        """Return the plan of the whole run."""
        environment = self.context.environment
        announced = read_announced(facts, self.config, environment, self.changes)
        return make_plan(
            facts,
            self.context.checks,
            self.config,
            self.changes,
            today=self.run.started_at.date(),
            announced=announced,
        )

    def read_part(self, name: str) -> Part | None:
        """Return a part of the work; None where there is none, or it cannot be used."""
        try:
            return self.work.part(name)
        except ConfigurationError:
            return None

    @property
    def remedies(self) -> dict[str, Remedy]:
        """The remedy of a finding, by the name of its check."""
        return {check.name: check.remedy for check in self.context.checks}

    def require_unfinished(self) -> None:
        """Raise ConfigurationError where the report was delivered: nothing is done after it."""
        if self.work.result():
            raise ConfigurationError(f"run {self.run.run_id}: it has finished; start another one")

    def require_uninterrupted(self, *reasons: Reason) -> None:
        """Raise OperationFailed where the stage was stopped: then nothing is recorded of it.

        `reasons` are those beside a signal.
        """
        reason = self.context.environment.stop.reason
        if reason in (Reason.INTERRUPTED, *reasons):
            raise OperationFailed(reason, "the stage was stopped; run it again")


def make_work(
    config: Config,
    run_id: str,
    directory: Path | None,
    central: Callable[[str, str | None], Any],
) -> Work:
    """Return the work of a run. Raises ConfigurationError if nothing can store it."""
    if directory:
        return Work(DirectoryStore(directory / state.work_name(run_id)), run_id)
    bucket = reports_bucket(config, central)
    if bucket is None:
        raise ConfigurationError(
            "a distributed sweep must store its work: set report.s3, or pass --work DIR"
        )
    return Work(BucketStore(bucket, state.work_name(run_id)), run_id)


@contextmanager
def open_stage(
    settings: StageSettings, run_id: str, *, may_write: bool = False
) -> Iterator[OpenStage]:
    """Open a run that was started: read its header, and hold its lease.

    `may_write` is whether the members' sessions allow writes. Raises ConfigurationError where there
    is no such run, or its configuration is another one now.
    """
    logs.bind_run(run_id)
    loaded = settings.load({})
    session = callers_session(settings.profile)
    central = bootstrap_client_factory(session, settings.stop)
    header = make_work(loaded.config, run_id, settings.directory, central).header()
    if header is None:
        raise ConfigurationError(f"run {run_id}: it has no work here; begin with the stage start")
    if header.options:
        loaded = settings.load(header.options)
    config = loaded.config
    if differing := state.differing_sections(header.run, config):
        raise ConfigurationError(
            f"run {run_id} was started with another configuration of {', '.join(differing)}: use "
            "the same file and variables"
        )
    with ExitStack() as at_the_end:
        context = open_context(
            settings,
            loaded,
            header.run,
            session,
            may_write=may_write,
            lease_token=header.lease,
            at_the_end=at_the_end,
        )
        if lease := context.lease:
            at_the_end.callback(lease.leave)
            # Where it is lost, `lease.check` lets nothing be written.
            attempt(Stage.CHANGE, lambda _: lease.join(), None)
        changes = make_change_source(config, context.bucket)
        organization = header.organization
        listing = Listing(organization, failure=header.failure)
        if organization and not header.failure:
            listing = choose_accounts(organization, config, changes)
        work = make_work(config, run_id, settings.directory, context.cloud.clients.central)
        yield OpenStage(config, loaded, context, work, header, listing, changes)


def open_context(
    settings: StageSettings,
    loaded: Loaded,
    header: Header,
    session: Session,
    *,
    may_write: bool,
    lease_token: str | None,
    at_the_end: ExitStack,
) -> RunContext:
    """Make the parts of a stage; its journal records nothing."""
    config = loaded.config
    if config.report.evidence:
        raise ConfigurationError(
            "report.evidence: a distributed sweep stores none: set it to false, or use sweeper run"
        )
    refuse_unknown_regions(config, session, loaded.provenance.regions_from)
    return build_context(
        config,
        state.OpenRun(header, ResumeState(), None),
        chosen_checks(config),
        provenance=loaded.provenance,
        session=session,
        may_write=may_write,
        stop=settings.stop,
        observer=settings.observer,
        at_the_end=at_the_end,
        lease_token=lease_token,
    )


@dataclass(frozen=True, slots=True)
class RecordedFacts:
    """What the processes of a run recorded, and the facts in it."""

    past: ResumeState
    scan: Scan
    facts: Facts


def read_plan(stage: OpenStage) -> Part | None:
    """Return the plan of the run; None where there is no whole one."""
    plan = stage.read_part(PLAN)
    return plan if plan and plan.is_whole else None


def gather_facts(stage: OpenStage, plan: Part | None = None) -> RecordedFacts:
    """Return the facts of the run, from its plan or else from the parts of all workers.

    A shard without a whole part fails: each of its accounts, with reason worker_failed.
    """
    missing: dict[str, str] = {}
    parts = [plan.past] if plan else list(_read_scans(stage, missing))
    past = join_parts(parts)

    def why(account: Account, at: Stage) -> Failed:
        message = missing.get(account.id, "the worker's part does not have it")
        return Failed(at, Reason.WORKER_FAILED, message)

    scan = recall_scan(past, stage.listing.chosen, stage.config, stage.changes, why)
    return RecordedFacts(past, scan, accept_gaps(scan, stage.listing, stage.config))


def _read_scans(stage: OpenStage, missing: dict[str, str]) -> Iterator[ResumeState]:
    """Yield what each worker found; fill `missing`, by account, where one left no whole part."""
    for shard in range(count_shards(len(stage.listing.chosen), stage.header.accounts_per_shard)):
        accounts = stage.shard(shard)
        part = _read_scan(stage, shard, frozenset(account.id for account in accounts))
        if isinstance(part, ResumeState):
            yield part
        else:
            missing.update((account.id, part) for account in accounts)


def _read_scan(stage: OpenStage, shard: int, accounts: frozenset[str]) -> ResumeState | str:
    """Return what the worker of the shard found, or why that cannot be used."""
    name = scan_part(shard)
    try:
        part = stage.work.part(name)
    except ConfigurationError as error:
        return str(error)
    if part is None or not part.is_whole:
        problem = "there is none" if part is None else "it has no end"
        return f"the worker of shard {shard} left no whole part: {stage.work.at(name)}: {problem}"
    past = part.past
    named = {*past.opened, *(key[0] for key in (*past.examined, *past.failures))}
    if others := named - accounts:
        return f"{stage.work.at(name)}: it has account {min(others)}, which is of another shard"
    return past
