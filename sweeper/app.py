"""The composition: a Config -> the parts -> one sweep -> its report, delivered."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError
from botocore.session import Session

import sweeper.checks
from sweeper import __version__, state
from sweeper.account_tags import with_account_tags
from sweeper.aws.bucket import Bucket
from sweeper.aws.cloud import AwsCloud
from sweeper.aws.documents import client_config, read_document
from sweeper.aws.ecr import EcrRegistry
from sweeper.aws.lease import Lease
from sweeper.aws.parsers import CheckedParsers
from sweeper.aws.partitions import FALLBACK_REGION, known_regions
from sweeper.concurrency import Stop, attempt
from sweeper.config import Config
from sweeper.discovery import discover
from sweeper.errors import ConfigurationError, OperationFailed
from sweeper.formats import Format, formats
from sweeper.journal import lines
from sweeper.journal.lines import Header
from sweeper.journal.run import RunJournal
from sweeper.model import Failed, Finding, Reason, Report, Stage
from sweeper.ports import Check, Conduct, Observer
from sweeper.records import Keeper, recalled
from sweeper.report import cut_short, ended_early, nothing_listed
from sweeper.sinks import Sink, SinkContext, deliver, make_sinks
from sweeper.sinks.directory import DirectorySink
from sweeper.sweep import describe_run, sweep

MAX_AGE = timedelta(hours=24)  # of what a run has seen, for it to be acted on


@dataclass(frozen=True, slots=True)
class Ended:
    """A run's end: its report with its deliveries, and whether `resume` can go on with it."""

    report: Report
    resumable: bool


def run(
    config: Config,
    *,
    dry_run: bool,
    deliver_dry_run: bool = False,
    resume: str | None = None,
    narrowed: bool = False,
    stop: Stop,
    observer: Observer,
    approve: Callable[[Sequence[Finding]], bool] = lambda _: True,
) -> Ended:
    """Sweep and deliver, or go on with the run that `resume` names.

    A dry run is delivered to a directory only, unless `deliver_dry_run`. A sweep that is `narrowed`
    for this one time is no point of the trend. Raises ConfigurationError before anything is called
    but what is to be resumed.
    """
    session = _session()
    chosen_formats = _formats(config)
    _refuse_unknown_regions(config, session)
    directory = state.state_directory(config)
    if resume:
        begun = state.resume(resume, directory, _bucket(config, _once(session)))
    else:
        begun = state.begin(directory, _new_header(config, dry_run=dry_run))
    header = begun.header
    with ExitStack() as at_the_end:
        at_the_end.callback(begun.close, finished=False)
        state.check_same(header, config, dry_run=dry_run)
        kinds = [kind for _, kind in sorted(discover(sweeper.checks, "CHECK").items())]
        cloud = AwsCloud(
            config,
            session=session,
            stop=stop,
            run_id=header.run_id,
            read_actions=_read_actions(kinds, config),
            write_actions=frozenset().union(*(kind.write_actions for kind in kinds)),
            may_write=not dry_run and config.remediation.auto_remediate == "ENABLED",
        )
        at_the_end.callback(cloud.clients.close)
        registry = EcrRegistry(cloud.clients)
        checks: list[Check] = [kind(registry, config, header.started_at.date()) for kind in kinds]
        bucket = _bucket(config, cloud.clients.central)
        lease = _lease(bucket, header) if bucket and bucket.config.lease and not dry_run else None
        # The plan is put before the first write: no longer than there is time to write.
        archive = _archive(_bucket(config, cloud.clients.until_stopped), header)
        journal = RunJournal(header, begun.past, begun.file, archive)
        conduct = Conduct(
            run_id=header.run_id,
            version=__version__,
            dry_run=dry_run,
            started=header.started_at,
            now=lambda: datetime.now(UTC),
            stop=stop,
            observer=observer,
            approve=approve,
            journal=journal,
            may_write=lambda: _check_writable(header, lease),
        )
        sinks = make_sinks(
            SinkContext(config=config, formats=chosen_formats, central=cloud.clients.central)
        )
        # Of several the last keeps what sweeps are compared with: S3 rather than a directory.
        keeper = next((sink for sink in reversed(sinks) if isinstance(sink, Keeper)), None)
        if dry_run and not deliver_dry_run:
            sinks = _local(sinks)
        if lease and (held := _held_by_another(lease, begun if resume else None)):
            begun.close(finished=not resume)
            report = ended_early(describe_run(config, conduct, None), held)
            # The place in S3, and who is told, are the other sweep's business.
            return Ended(deliver(report, _local(sinks)), resumable=False)
        if lease:
            at_the_end.callback(lease.release)
        fallback = _fallback(directory, header, chosen_formats)
        report = sweep(cloud, checks, config, conduct)
        report = with_account_tags(report, config.report.account_tags, cloud.account_tags)
        report = recalled(report, keeper, {check.name for check in checks}, narrowed=narrowed)
        report = deliver(report, sinks, _patience(config, stop), fallback)
        finished = _is_kept(report, [*sinks, fallback]) and not (
            cut_short(report) or (resume and nothing_listed(report))
        )
        resumable = not finished and (begun.file is not None or journal.is_archived)
        if finished and bucket and (journal.is_archived or resume):
            # The report has all that the plan had: nobody is to go on from there.
            end = lines.finished(header)
            attempt(Stage.DELIVER, lambda place: _put_plan(place, header, end), bucket)
        begun.close(finished=finished)
    return Ended(report, resumable)


def _read_actions(kinds: Iterable[Any], config: Config) -> frozenset[str]:
    """What the checks read with; those that assess impact, only where it is assessed."""
    actions = frozenset[str]().union(*(kind.read_actions for kind in kinds))
    if not config.remediation.assess_impact:
        return actions
    return actions.union(*(getattr(kind, "assess_actions", ()) for kind in kinds))


def unfinished(config: Config) -> list[Path]:
    """The journals on this machine of runs that ended before they had finished."""
    return state.unfinished(state.state_directory(config))


def _new_header(config: Config, *, dry_run: bool) -> Header:
    started = datetime.now(UTC).replace(microsecond=0)
    run_id = f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    return Header(run_id, started, __version__, dry_run, state.digests(config))


def _bucket(config: Config, central: Callable[[str, str | None], Any]) -> Bucket | None:
    return Bucket(config.report.s3, central) if config.report.s3 else None


def _once(session: Session) -> Callable[[str, str | None], Any]:
    """Makes clients for what is read before a sweep begins."""
    return lambda service, region: session.create_client(
        service, region_name=region, config=client_config()
    )


def _archive(bucket: Bucket | None, header: Header) -> Callable[[bytes], None] | None:
    return (lambda plan: _put_plan(bucket, header, plan)) if bucket else None


def _put_plan(bucket: Bucket, header: Header, plan: bytes) -> None:
    bucket.put(state.plan_name(header.run_id), plan, "application/jsonl")


def _check_writable(header: Header, lease: Lease | None) -> None:
    """Raise OperationFailed where nothing may be written: another sweep may, or all is long ago."""
    if datetime.now(UTC) - header.started_at > MAX_AGE:
        raise OperationFailed(
            Reason.FACTS_TOO_OLD,
            f"the run began {header.started_at:%Y-%m-%d %H:%M} UTC: too long ago to act on what it "
            "saw",
        )
    if lease:
        lease.check()


def _lease(bucket: Bucket, header: Header) -> Lease:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Lease(bucket, run_id=header.run_id, host=socket.gethostname(), since=now)


def _held_by_another(lease: Lease, resumed: state.Begun | None) -> Failed | None:
    """Take the lease; the failure that says who has it, where another sweep does.

    Where it cannot be told, the sweep goes on and looks; `lease.check` lets it write nothing.
    """
    # The lock on its journal proves that the process that held the lease has ended.
    dead = resumed.header.run_id if resumed and resumed.ours else None
    failure = attempt(Stage.ENUMERATE, lambda _: lease.acquire(from_dead=dead), None)
    if isinstance(failure, Failed) and failure.reason is Reason.LEASE_HELD:
        return failure
    return None


def _fallback(
    directory: Path | None, header: Header, formats: Sequence[Format]
) -> DirectorySink | None:
    if directory is None:
        return None
    return DirectorySink(directory / "reports" / header.run_id, formats, "fallback")


def _local(sinks: Sequence[Sink]) -> list[Sink]:
    return [sink for sink in sinks if sink.name == "directory"]


def _patience(config: Config, stop: Stop) -> Callable[[float], bool]:
    until = stop.now() + config.limits.delivery_seconds
    return lambda seconds: stop.now() + seconds < until and stop.wait(seconds)


def _is_kept(report: Report, sinks: Sequence[Sink | None]) -> bool:
    """Whether the whole report lies where it should, or at least somewhere."""
    keepers = {sink.name for sink in sinks if sink and sink.keeps}
    delivered = {each.sink for each in report.deliveries if each.status == "delivered"}
    failed = any(each.status == "failed" for each in report.deliveries)
    return not failed or not keepers.isdisjoint(delivered)


def read_remote(location: str) -> str:
    """The text at ``ssm:<name>`` or ``s3://<bucket>/<key>``; raises ConfigurationError."""
    return read_document(_session(), location)


def _session() -> Session:
    session = Session()
    session.register_component("response_parser_factory", CheckedParsers())
    try:
        session.get_scoped_config()  # reads the profile, which may not be there
        if session.get_config_variable("region") is None:
            # Containers and functions have AWS_REGION, which this SDK does not read by itself.
            session.set_config_variable("region", os.environ.get("AWS_REGION") or FALLBACK_REGION)
        # Tokens of the global endpoint fail in opt-in regions, whatever the profile prefers.
        session.set_config_variable("sts_regional_endpoints", "regional")
    except BotoCoreError as error:
        raise ConfigurationError(f"AWS configuration: {error}") from None
    return session


def _formats(config: Config) -> tuple[Format, ...]:
    known = formats()
    for name in config.report.formats:
        if name not in known:
            allowed = ", ".join(sorted(known))
            raise ConfigurationError(f"report.formats: {name!r} is unknown; allowed: {allowed}")
    return tuple(known[name] for name in config.report.formats)


def _refuse_unknown_regions(config: Config, session: Session) -> None:
    """A region that is named, not read from an account, may be mistyped."""
    hub = config.report.security_hub
    named = (
        ("regions.include", config.regions.include),
        ("regions.exclude", config.regions.exclude),
        ("organization.sts_region", tuple(filter(None, (config.organization.sts_region,)))),
        ("report.security_hub.region", (hub.region,) if hub else ()),
    )
    if not any(regions for _, regions in named):
        return  # what the SDK knows is a large file
    known = known_regions(session)
    for key, regions in named:
        for region in regions:
            if region not in known:
                raise ConfigurationError(
                    f"{key}: {region!r} is not a region of any partition that this version "
                    f"knows; allowed: {', '.join(sorted(known))}"
                )
