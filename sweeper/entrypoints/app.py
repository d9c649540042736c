"""One sweep, from its configuration to its report, delivered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sweeper.aws.accounts import AwsCloud
from sweeper.aws.client.clients import Session
from sweeper.aws.client.partitions import is_region
from sweeper.aws.client.session import callers_session, refuse_unknown_regions
from sweeper.checks import chosen_checks
from sweeper.config.loader import LEGACY_VARIABLES
from sweeper.config.provenance import digest, dotted, provenance_of
from sweeper.config.schema import Config
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.model import Finding, Stage
from sweeper.domain.recorded_changes import RecordedChanges, undo_config
from sweeper.domain.report import cut_short, ended_early, may_have_changed, nothing_listed
from sweeper.domain.report_model import Provenance, Report
from sweeper.domain.scope import write_filters
from sweeper.engine.account_details import with_account_tags, with_ou_names
from sweeper.engine.change_source import change_source
from sweeper.engine.config_inventory import with_config_inventory
from sweeper.engine.pool import Stop, attempt
from sweeper.engine.ports import Observer, RunEnvironment
from sweeper.engine.sweep import build_run, sweep
from sweeper.entrypoints import logs
from sweeper.entrypoints.bootstrap import (
    RunContext,
    acquire_lease,
    bootstrap_client_factory,
    build_context,
    config_aggregator,
    new_header,
    put_plan,
    reports_bucket,
    sweep_plan,
)
from sweeper.entrypoints.log_style import AUTO, LogStyle
from sweeper.reporting.formats import chosen_formats
from sweeper.reporting.formats.json import FORMAT as JSON
from sweeper.reporting.sinks import Plugin, chosen_plugins, make_sinks
from sweeper.reporting.sinks.base import Sink, SinkContext, Storing, deliver, is_stored, store
from sweeper.reporting.sinks.directory import DirectorySink, require_writable
from sweeper.storage import run_state as state
from sweeper.storage.evidence.log import EvidenceLog
from sweeper.storage.history import HistoryStore, attach_comparison, last_store
from sweeper.storage.journal import lines
from sweeper.storage.journal.kinds import Header


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run's end: its report with its deliveries, and whether it can be resumed.

    `file` is where its report.json lies, as `sweeper report` and `sweeper undo` take it; None where
    nothing keeps one.
    """

    report: Report
    resumable: bool
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How one run differs from what its configuration says.

    A dry run is delivered to a directory only, unless `deliver_dry_run`. `recorded` are the changes
    of a report: the run makes or reverts them, and no others. `resume` names an interrupted run.
    `profile` is the caller's AWS profile, where one is named, `style` that of the logs.
    """

    dry_run: bool
    deliver_dry_run: bool = False
    recorded: RecordedChanges | None = None
    resume: str | None = None
    profile: str | None = None
    style: LogStyle = AUTO


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where a report goes: to the sinks, and to `fallback` where none of them stores it.

    `history` has the earlier report that it is compared with.
    """

    sinks: Sequence[Sink]
    history: HistoryStore | None = None
    fallback: DirectorySink | None = None

    @property
    def everywhere(self) -> Sequence[Sink]:
        """The sinks and the fallback."""
        return [*self.sinks, *([self.fallback] if self.fallback else ())]


def run_sweep(
    config: Config,
    options: RunOptions,
    provenance: Provenance | None = None,
    *,
    stop: Stop,
    observer: Observer,
    approve: Callable[[Sequence[Finding]], bool] = lambda _: True,
) -> RunResult:
    """Run and deliver, or resume a run.

    A run that an option, an event or a report narrows is no point of the trend. Raises
    ConfigurationError before anything is called but what is to be resumed.
    """
    recorded, resume = options.recorded, options.resume
    provenance = provenance or provenance_of(config)
    config, provenance = _narrow(config, provenance, recorded)
    header = new_header(config, recorded, dry_run=options.dry_run)
    logs.bind_run(header.run_id)  # that of a run that is resumed is not known before it was read
    session = _session(recorded, options.profile)
    kinds, formats, plugins = chosen_checks(config), chosen_formats(config), chosen_plugins(config)
    refuse_unknown_regions(config, session, provenance.regions_from)
    directory = writable_directories(config)
    changes = change_source(recorded)
    with ExitStack() as at_the_end:
        if resume:
            open_run = _reopen_run(config, resume, session, stop)
        else:
            open_run = state.open_run(directory, header)
            logs.log_unfinished(unfinished(config))
        at_the_end.callback(open_run.close, finished=False)
        state.require_same_config(open_run.header, config, header)
        context = build_context(
            config,
            open_run,
            kinds,
            provenance=provenance,
            session=session,
            may_write=not options.dry_run and config.remediation.auto_remediate == "ENABLED",
            stop=stop,
            observer=observer,
            approve=approve,
            at_the_end=at_the_end,
        )
        if recorded is None:
            changes = sweep_plan(config, context.bucket)
        evidence = open_run.evidence
        destinations = make_destinations(
            SinkContext(
                config,
                formats,
                context.cloud.clients.central,
                evidence=evidence.file if evidence else None,
            ),
            plugins,
            open_run.header,
            directory,
            deliver_dry_run=options.deliver_dry_run,
        )
        if context.lease and (held := acquire_lease(context.lease, open_run if resume else None)):
            open_run.close(finished=not resume)
            run = build_run(config, context.environment, None, changes)
            report = ended_early(run, held, changes.ended(held, open_run.past))
            # The place in S3, and who is told, are the other sweep's business.
            local = [sink for sink in _local_sinks(destinations.sinks) if sink.keeps]
            return RunResult(deliver(report, local), resumable=False)
        if context.lease:
            at_the_end.callback(context.lease.release)
        log_started(open_run.header, config, provenance)
        environment = context.environment
        if recorded is None:
            settings = ScanSettings(
                config, provenance, open_run.header, options.profile, options.style
            )
            environment = _with_scanner(environment, settings, at_the_end)
        report = sweep(context.cloud, context.checks, config, environment, changes)
        context.cloud.forget_members()
        if evidence:
            evidence.finish()
        report = deliver_report(report, config, context, destinations)
        finished = is_finished(report, destinations, resumed=resume is not None)
        resumable = not finished and (open_run.file is not None or context.journal.is_archived)
        # The journal goes first: beside a plan that has ended, it could not be resumed.
        open_run.close(finished=finished, keep_evidence=_has_undelivered_evidence(report, evidence))
        if finished:
            close_plan(context, open_run.header, resumed=resume is not None)
    return RunResult(report, resumable, report_file(report, destinations.everywhere))


def _with_scanner(
    environment: RunEnvironment, settings: ScanSettings, at_the_end: ExitStack
) -> RunEnvironment:
    """Return the environment, with a scanner where limits.processes asks for several.

    Raises ConfigurationError where this machine cannot run several.
    """
    if settings.config.limits.processes == 1:
        return environment
    # What it does not import costs a run of one process neither time nor memory.
    from sweeper.entrypoints.processes.scanner import make_scanner

    scanner = make_scanner(settings, environment.journal.past, environment.stop, at_the_end)
    return replace(environment, scanner=scanner)


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """What each process that scans has to know of the run."""

    config: Config
    provenance: Provenance
    header: Header
    profile: str | None
    style: LogStyle


def make_destinations(
    context: SinkContext,
    plugins: Sequence[Plugin],
    header: Header,
    directory: Path | None,
    *,
    deliver_dry_run: bool,
) -> Destinations:
    """Return where the report of the run goes. Calls nothing.

    Where no sink stores a report, the state directory does, if there is one.
    """
    sinks = make_sinks(context, plugins)
    fallback = None
    if directory:
        formats = [JSON, *(format_ for format_ in context.formats if format_ is not JSON)]
        own = directory / "reports" / header.run_id
        fallback = DirectorySink(own, formats, "fallback", under_id=False)
    return Destinations(
        sinks if deliver_dry_run or not header.dry_run else _local_sinks(sinks),
        last_store(sinks) if header.run_kind == "sweep" else None,
        fallback,
    )


def _local_sinks(sinks: Sequence[Sink]) -> list[Sink]:
    return [sink for sink in sinks if sink.is_local]


def deliver_report(
    report: Report, config: Config, context: RunContext, destinations: Destinations
) -> Report:
    """Complete the report, compare it with the last one, and deliver it."""
    sinks, history, fallback = destinations.sinks, destinations.history, destinations.fallback
    report = _with_account_details(report, config, context.cloud)
    must_store = may_have_changed(report)
    if history:
        store(report, sinks, fallback if must_store else None)
    report = _with_config_inventory(report, config, context.cloud)
    names = {check.name for check in context.checks}
    environment = context.environment
    report = attach_comparison(report, history, names, narrowed=environment.provenance.once)
    backoff = _delivery_backoff(config, environment.stop)
    return deliver(report, sinks, backoff, fallback, must_store=must_store)


def _with_account_details(report: Report, config: Config, cloud: AwsCloud) -> Report:
    report, failed = with_ou_names(report, cloud.ou_names)
    if failed:
        logs.log(
            logging.WARNING,
            "ou_names.unavailable",
            reason=str(failed.reason),
            error_code=failed.error_code,
            message=failed.message,
        )
    return with_account_tags(report, config.report.account_tags, cloud.account_tags)


def _with_config_inventory(report: Report, config: Config, cloud: AwsCloud) -> Report:
    report = with_config_inventory(report, config, config_aggregator(config, cloud.clients))
    if inventory := report.config_inventory:
        for reason in filter(None, (inventory.unavailable, inventory.sources_unavailable)):
            logs.log(logging.WARNING, "config_inventory.unavailable", message=reason)
    return report


def _reopen_run(config: Config, resume: str, session: Session, stop: Stop) -> state.OpenRun:
    bucket = reports_bucket(config, bootstrap_client_factory(session, stop))
    open_run = state.reopen_run(resume, state.state_directory(config), bucket)
    logs.bind_run(open_run.header.run_id)
    return open_run


def _narrow(
    config: Config, provenance: Provenance, recorded: RecordedChanges | None
) -> tuple[Config, Provenance]:
    """Return the configuration and its provenance, narrowed to the recorded changes if there are.

    Raises ConfigurationError where the configuration does not allow them.
    """
    if recorded is None:
        return config, provenance
    if recorded.kind == "undo":
        config = undo_config(config, recorded.findings)
        configuration = replace(provenance.configuration, digest=digest(config))
        return config, Provenance(configuration, once=True)
    for check in sorted({finding.check for finding in recorded.findings} - set(config.checks)):
        location = recorded.source.location
        raise ConfigurationError(f"{location}: {check} is not among the configured checks")
    if config.remediation.auto_remediate == "DISABLED":
        raise ConfigurationError("remediation.auto_remediate: DISABLED: nothing can be applied")
    by = (*provenance.narrowed_by, f"apply of run {recorded.source.run_id}")
    return config, replace(provenance, narrowed_by=by, once=True)


def _session(recorded: RecordedChanges | None, profile: str | None) -> Session:
    """Return the caller's session; raises ConfigurationError for a change where no region is."""
    session = callers_session(profile)
    for region in sorted({finding.region for finding in recorded.findings} if recorded else ()):
        if recorded and not is_region(session, region):
            raise ConfigurationError(
                f"{recorded.source.location}: {region!r} is not a region that this version knows"
            )
    return session


def log_started(header: Header, config: Config, provenance: Provenance) -> None:
    """`sweep.started`, and `variable.unprefixed` for each of the parent tool's that has an effect.

    Such a variable may have been meant for another program, and decides what is written here.
    """
    for source in provenance.configuration.sources:
        if source.kind == "environment" and (key := LEGACY_VARIABLES.get(source.name)):
            name = dotted(key)
            logs.log(
                logging.WARNING,
                "variable.unprefixed",
                sentence=f"the variable {source.name}, without a prefix, sets {name}",
                variable=source.name,
                key=name,
            )
    logs.log(
        logging.INFO,
        f"{header.run_kind}.started",
        run_id=header.run_id,
        source=header.source,
        version=header.version,
        dry_run=header.dry_run,
        auto_remediate=config.remediation.auto_remediate,
        scope=list(provenance.narrowed_by),
        write_scope=list(write_filters(config.remediation)),
        checks=list(config.checks),
        write_checks=list(config.remediation.checks),
        root_template_applied_for=list(config.remediation.root_template_applied_for),
        configuration=asdict(provenance.configuration),
    )


def unfinished(config: Config) -> list[tuple[Path, str | None]]:
    """The journals on this machine of runs that ended before they had finished, each with the
    command that resumes it.
    """
    journals = state.unfinished_journals(state.state_directory(config))
    headers = ((journal, state.read_header(journal)) for journal in journals)
    return [
        (journal, state.resume_command(header) if header else None) for journal, header in headers
    ]


def close_plan(context: RunContext, header: Header, *, resumed: bool) -> None:
    """The report has all that the plan in S3 had: nobody is to go on from there."""
    if context.bucket and (context.journal.is_archived or resumed):
        end = lines.finished(header)
        attempt(Stage.DELIVER, lambda place: put_plan(place, header, (end,)), context.bucket)


def writable_directories(config: Config) -> Path | None:
    """Return the state directory; refuse a run whose directories cannot be written."""
    if config.report.directory:
        require_writable(config.report.directory)
    return state.state_directory(config)


def report_file(report: Report, sinks: Iterable[Sink]) -> str | None:
    """Where the delivered report.json lies: of a run that changed something, for good."""
    stores = {sink.name: sink for sink in sinks if isinstance(sink, Storing)}
    files = (
        stores[delivery.sink].file(report, delivery.location)
        for delivery in report.deliveries
        if delivery.status == "delivered" and delivery.sink in stores
    )
    return next(filter(None, files), None)


def _has_undelivered_evidence(report: Report, evidence: EvidenceLog | None) -> bool:
    """Whether the evidence is whole, and could not be delivered where it should be."""
    failed = any(
        delivery.status == "failed" and delivery.content == "evidence"
        for delivery in report.deliveries
    )
    return evidence is not None and evidence.file.is_whole and failed


def _delivery_backoff(config: Config, stop: Stop) -> Callable[[float], bool]:
    """Waits before a delivery is tried again, while there is time for that."""
    until = stop.now() + config.limits.delivery_seconds
    return lambda seconds: stop.now() + seconds < until and stop.wait(seconds)


def is_finished(report: Report, destinations: Destinations, *, resumed: bool) -> bool:
    """Whether the run has come to its end, and its whole report lies somewhere that keeps it."""
    is_whole = not (cut_short(report) or (resumed and nothing_listed(report)))
    return is_whole and is_stored(report.deliveries, destinations.everywhere)
