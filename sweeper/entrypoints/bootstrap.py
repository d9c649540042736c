"""The parts of one run, wired together: AWS, checks, journal, lease and environment."""

from __future__ import annotations

import logging
import secrets
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from sweeper import __version__
from sweeper.aws.accounts import AwsCloud
from sweeper.aws.client.clients import Clients, Session
from sweeper.aws.client.credentials import MemberSession
from sweeper.aws.client.documents import make_client
from sweeper.aws.config_aggregator import ConfigAggregator
from sweeper.aws.ecr import EcrRegistry
from sweeper.aws.s3 import Bucket, Objects
from sweeper.config.provenance import Provenance
from sweeper.config.schema import Config
from sweeper.domain.errors import OperationFailed
from sweeper.domain.events import RepositoryKey
from sweeper.domain.model import Failed, Finding, Key, Stage
from sweeper.domain.planning import Announced, acting_day
from sweeper.domain.reasons import Reason
from sweeper.domain.recorded_changes import RecordedChanges
from sweeper.domain.report_model import Run, RunKind
from sweeper.engine.attempts import Stop, attempt
from sweeper.engine.change_source import SweepPlan, change_source
from sweeper.engine.ports import Check, Observer, RunEnvironment
from sweeper.entrypoints import logs
from sweeper.storage import run_state as state
from sweeper.storage.evidence.log import EvidenceLog
from sweeper.storage.journal import lines
from sweeper.storage.journal.kinds import Header
from sweeper.storage.journal.run import RunJournal
from sweeper.storage.lease import Lease
from sweeper.storage.reopenings import read_contested

_MAX_AGE = timedelta(hours=24)  # of what a run read, for it to be acted on


@dataclass(frozen=True, slots=True)
class RunContext:
    """The parts of one run. `lease` is None where none is configured, or nothing is written."""

    cloud: AwsCloud
    checks: Sequence[Check]
    environment: RunEnvironment
    journal: RunJournal
    bucket: Bucket | None
    lease: Lease | None


def build_context(
    config: Config,
    open_run: state.OpenRun,
    kinds: Sequence[Any],
    *,
    provenance: Provenance,
    session: Session,
    may_write: bool,
    stop: Stop,
    observer: Observer,
    at_the_end: ExitStack,
    approve: Callable[[Sequence[Finding]], bool] = lambda _: True,
    lease_token: str | None = None,
    make_registry: Callable[[Clients], EcrRegistry] = EcrRegistry,
    sessions: dict[str, MemberSession] | None = None,
) -> RunContext:
    """Make the parts of the open run, with checks of the classes `kinds`; call nothing.

    `may_write` is whether the members' sessions allow writes. `at_the_end` closes what is to be
    closed. `lease_token` is that of the lease that the run already holds. `sessions` are those of
    earlier runs of this process.
    """
    header = open_run.header
    today = acting_day(header.started_at, datetime.now(UTC))
    cloud = make_cloud(
        config,
        kinds,
        session=session,
        stop=stop,
        run_id=header.run_id,
        may_write=may_write,
        today=today,
        sessions=sessions,
    )
    at_the_end.callback(cloud.clients.close)
    registry = make_registry(cloud.clients)
    bucket = reports_bucket(config, cloud.clients.central)
    lease = None
    if bucket and bucket.config.lease and not header.dry_run:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        lease = Lease(
            bucket,
            run_id=header.run_id,
            host=socket.gethostname(),
            since=since,
            token=lease_token,
        )
        # Before the lease is taken, so that a resume can prove that its holder has ended.
        if open_run.file:
            with suppress(OperationFailed):
                open_run.file.append(lines.lease(lease.token), durable=True)
    # The plan is put before the first write: no longer than there is time to write.
    to_stop = reports_bucket(config, cloud.clients.until_stopped)
    archive = partial(put_plan, to_stop, header) if to_stop else None
    journal = RunJournal(header, open_run.past, open_run.file, archive)
    environment = RunEnvironment(
        run_id=header.run_id,
        version=__version__,
        dry_run=header.dry_run,
        started=header.started_at,
        now=lambda: datetime.now(UTC),
        stop=stop,
        observer=observer,
        approve=approve,
        journal=journal,
        may_write=lambda: _check_writable(header, lease),
        provenance=provenance,
        evidence=_begin_evidence(config, open_run, kinds, provenance),
        read_announced=partial(read_announced, config, cloud.clients.central),
    )
    cloud.clients.guard = environment.may_write
    made: list[Check] = [kind(registry, config, today) for kind in kinds]
    return RunContext(cloud, made, environment, journal, bucket, lease)


def read_actions(kinds: Iterable[Any], config: Config) -> frozenset[str]:
    """Return what the checks read with, as far as the configuration switches it on."""
    exempts, assesses = config.policy.exempt_pull_through_cache, config.remediation.assess_impact
    return frozenset().union(
        *(
            (kind.read_actions if exempts else kind.read_actions - kind.exemption_actions)
            | (kind.assess_actions if assesses else frozenset())
            for kind in kinds
        )
    )


def write_actions(kinds: Iterable[Any], config: Config) -> frozenset[str]:
    """Return what the checks write with, as far as the configuration switches it on."""
    remediation = config.remediation
    return frozenset().union(
        *(
            (kind.write_actions if kind.name in remediation.checks else frozenset())
            | (kind.create_actions if remediation.root_template_applied_for else frozenset())
            for kind in kinds
        )
    )


def make_cloud(
    config: Config,
    kinds: Sequence[Any],
    *,
    session: Session,
    stop: Stop,
    run_id: str,
    may_write: bool,
    today: date,
    sessions: dict[str, MemberSession] | None = None,
) -> AwsCloud:
    """Return AWS with the actions that the checks declare; the caller closes its clients."""
    return AwsCloud(
        config,
        session=session,
        stop=stop,
        run_id=run_id,
        read_actions=read_actions(kinds, config),
        write_actions=write_actions(kinds, config),
        may_write=may_write,
        today=today,
        sessions=sessions,
    )


def new_header(
    config: Config,
    recorded: RecordedChanges | None = None,
    *,
    dry_run: bool,
    kind: RunKind = "sweep",
) -> Header:
    """Return the header of a run that begins now; `recorded` are the changes of its report."""
    started = datetime.now(UTC).replace(microsecond=0)
    run_id = f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    header = Header(run_id, started, __version__, dry_run, state.section_digests(config), kind)
    if recorded is None:
        return header
    digests = {**header.config, state.CHANGES: recorded.digest}
    return replace(header, config=digests, run_kind=recorded.kind, source=recorded.source.run_id)


def reports_bucket(config: Config, central: Callable[[str, str | None], Any]) -> Bucket | None:
    """Return where S3 has the reports, if that is configured; `central` makes its client."""
    return Bucket(config.report.s3, central) if config.report.s3 else None


def config_aggregator(config: Config, clients: Clients) -> ConfigAggregator | None:
    """Return the aggregator of AWS Config, if one is configured; used until the run's stop."""
    named = config.inventory.config_aggregator
    return ConfigAggregator(named.name, named.region, clients.until_stopped) if named else None


def bootstrap_client_factory(session: Session, stop: Stop) -> Callable[[str, str | None], Any]:
    """Return what makes clients for what is read before a run begins."""
    return lambda service, region: make_client(session, service, region, stop)


def put_plan(bucket: Bucket, header: Header, plan: Iterable[bytes]) -> None:
    """Write the run's plan beside its report; raises OperationFailed."""
    bucket.put(state.plan_name(header.run_id), plan, "application/jsonl")


def make_change_source(
    config: Config, bucket: Bucket | None, recorded: RecordedChanges | None = None
) -> SweepPlan:
    """Return the plan of a run; a sweep or an apply leaves contested repositories alone."""
    return change_source(recorded, partial(read_contested_if_known, config, bucket))


def read_contested_if_known(config: Config, bucket: Bucket | None) -> Mapping[RepositoryKey, str]:
    """Return why contested repositories are left alone; none, and a warning, if that is unknown."""
    if bucket is None:
        return {}
    now, limit = datetime.now(UTC), config.remediation.max_reopened
    found = attempt(
        Stage.CHANGE, lambda bucket: read_contested(Objects(bucket), now, limit), bucket
    )
    if isinstance(found, Failed):
        logs.log(logging.WARNING, "contested.unknown", reason=found.reason, message=found.message)
        return {}
    return found


def acquire_lease(lease: Lease, resumed: state.OpenRun | None) -> Failed | None:
    """Take the lease; return the failure that names its holder, where another sweep has it.

    Where that is not known, the sweep goes on and checks; `lease.check` lets it write nothing.
    """
    # The lock on its journal proves that the processes that wrote their tokens there have ended.
    ended = resumed.past.leases if resumed and resumed.ours else frozenset()
    failure = attempt(Stage.ENUMERATE, lambda _: lease.acquire(ended=ended), None)
    if isinstance(failure, Failed) and failure.reason is Reason.LEASE_HELD:
        return failure
    return None


def _begin_evidence(
    config: Config, open_run: state.OpenRun, kinds: Sequence[Any], provenance: Provenance
) -> EvidenceLog | None:
    """Begin the evidence where it is stored; an undo examines nothing but what it reverts."""
    if not config.report.evidence or open_run.header.run_kind == "undo":
        return None
    names = [kind.name for kind in kinds]
    digest = provenance.configuration.digest
    return state.open_evidence(open_run, names, digest, lambda: datetime.now(UTC))


def read_announced(
    config: Config, central: Callable[[str, str | None], Any], run: Run, keys: Collection[Key]
) -> Announced:
    """Return which of these changes an earlier report announced.

    A run without grace periods does not call it, and imports none of this.
    """
    from sweeper.reporting.sinks import chosen_plugins, make_sinks
    from sweeper.reporting.sinks.base import SinkContext
    from sweeper.storage import history

    sinks = make_sinks(SinkContext(config, (), central), chosen_plugins(config))
    announced = history.read_announced(history.last_store(sinks), run, keys)
    if announced.unavailable:
        logs.log(logging.WARNING, "announcements.unavailable", message=announced.unavailable)
    return announced


def _check_writable(header: Header, lease: Lease | None) -> None:
    """Raise OperationFailed if the lease is lost or the plan has expired."""
    if datetime.now(UTC) - header.started_at > _MAX_AGE:
        raise OperationFailed(
            Reason.PLAN_EXPIRED,
            f"the run began {header.started_at:%Y-%m-%d %H:%M} UTC: too long ago to act on its "
            "findings",
        )
    if lease:
        lease.check()
