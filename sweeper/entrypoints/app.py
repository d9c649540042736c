"""One sweep, from its configuration to its report, delivered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sweeper.aws.client.clients import Session
from sweeper.aws.client.partitions import is_region
from sweeper.aws.client.session import callers_session, refuse_unknown_regions
from sweeper.checks import chosen_checks
from sweeper.config.loader import LEGACY_VARIABLES
from sweeper.config.provenance import Provenance, digest, format_key, provenance_of
from sweeper.config.schema import Config
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.escaping import shorten
from sweeper.domain.model import REGISTRY, Finding, Stage
from sweeper.domain.recorded_changes import RecordedChanges, undo_config
from sweeper.domain.report import ended_early
from sweeper.domain.report_model import Report
from sweeper.domain.selection import write_filters
from sweeper.engine.attempts import Stop, attempt
from sweeper.engine.ports import Observer, RunEnvironment
from sweeper.engine.sweep import build_run, sweep
from sweeper.entrypoints import logs
from sweeper.entrypoints.bootstrap import (
    RunContext,
    acquire_lease,
    bootstrap_client_factory,
    build_context,
    make_change_source,
    new_header,
    put_plan,
    reports_bucket,
)
from sweeper.entrypoints.delivery import deliver_report, is_finished, make_destinations, report_file
from sweeper.entrypoints.log_style import AUTO, LogStyle
from sweeper.reporting.formats import chosen_formats
from sweeper.reporting.sinks import chosen_plugins
from sweeper.reporting.sinks.base import deliver
from sweeper.reporting.sinks.directory import require_writable
from sweeper.storage import run_state as state
from sweeper.storage.evidence.log import EvidenceLog
from sweeper.storage.journal import lines
from sweeper.storage.journal.kinds import Header


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run's end: its report with its deliveries, and whether it can be resumed.

    `file` is its report.json, as `sweeper report` and `sweeper undo` take it; None if not stored.
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
    with ExitStack() as at_the_end:
        if resume:
            open_run = _reopen_run(config, resume, session, stop)
        else:
            open_run = state.open_run(directory, header)
            log_unfinished(config)
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
        changes = make_change_source(config, context.bucket, recorded)
        evidence = open_run.evidence
        destinations = make_destinations(
            config,
            context.cloud.clients.central,
            open_run.header,
            directory,
            formats=formats,
            plugins=plugins,
            deliver_dry_run=options.deliver_dry_run,
            evidence=evidence.file if evidence else None,
        )
        if context.lease and (held := acquire_lease(context.lease, open_run if resume else None)):
            open_run.close(finished=not resume)
            run = build_run(config, context.environment, None, changes)
            report = ended_early(run, held, changes.end_all(held, open_run.past))
            # The other sweep reports to S3 and to people.
            local = [sink for sink in destinations.sinks if sink.is_local and sink.keeps]
            return RunResult(deliver(report, local), resumable=False)
        if context.lease:
            at_the_end.callback(context.lease.release)
        log_started(open_run.header, config, provenance)
        environment = context.environment
        if recorded is None:
            environment = _with_scanner(environment, config, open_run.header, options, at_the_end)
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
    return RunResult(report, resumable, report_file(report, destinations.all_sinks))


def _with_scanner(
    environment: RunEnvironment,
    config: Config,
    header: Header,
    options: RunOptions,
    at_the_end: ExitStack,
) -> RunEnvironment:
    """Return the environment, with a scanner where limits.processes asks for several.

    Raises ConfigurationError where this machine cannot run several.
    """
    if config.limits.processes == 1:
        return environment
    # Imported here, because a run of one process should not pay for it.
    from sweeper.entrypoints.processes.scanner import make_scanner
    from sweeper.entrypoints.processes.worker import ScanSettings

    settings = ScanSettings(config, environment.provenance, header, options.profile, options.style)
    scanner = make_scanner(settings, environment.journal.past, environment.stop, at_the_end)
    return replace(environment, scanner=scanner)


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
    _require_reviewed_features(config, recorded)
    by = (*provenance.narrowed_by, f"apply of run {recorded.source.run_id}")
    return config, replace(provenance, narrowed_by=by, once=True)


def _require_reviewed_features(config: Config, recorded: RecordedChanges) -> None:
    """Raise ConfigurationError where an apply would create templates for other features.

    A reviewed change has the setting of such a template, but not what it is applied for.
    """
    reviewed = ", ".join(sorted(recorded.root_template_applied_for))
    now = ", ".join(sorted(config.remediation.root_template_applied_for))
    creates = any(finding.resource == REGISTRY for finding in recorded.findings)
    if creates and now and now != reviewed:
        raise ConfigurationError(
            f"{recorded.source.location}: its creation templates for ROOT were reviewed with "
            f"remediation.root_template_applied_for: {shorten(reviewed, 200) or 'none'}; now it is "
            f"{now}: use the same, or review a new dry run"
        )


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
    """Log `sweep.started`, and `variable.unprefixed` for each variable of the parent tool.

    Such a variable may have been meant for another program, and decides what is written here.
    """
    for source in provenance.configuration.sources:
        if source.kind == "environment" and (key := LEGACY_VARIABLES.get(source.name)):
            name = format_key(key)
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


def log_unfinished(config: Config) -> None:
    """Log `journal.unfinished` if earlier runs on this machine were interrupted.

    One event, with their number, the newest, and the command that resumes it, where its journal
    can be read.
    """
    journals = state.unfinished_journals(state.state_directory(config))
    if not journals:
        return
    newest, count = journals[-1], len(journals)
    header = state.read_header(newest)
    runs = "One interrupted run" if count == 1 else f"{count:,} interrupted runs"
    logs.log(
        logging.WARNING,
        "journal.unfinished",
        sentence=f"{runs}: see `sweeper runs`.",
        runs=count,
        unfinished_run_id=newest.stem,
        path=str(newest),
        go_on_with=state.resume_command(header) if header else None,
    )


def close_plan(context: RunContext, header: Header, *, resumed: bool) -> None:
    """Mark the plan in S3 as finished: the report has all of it, and no run resumes from it.

    A dry run has no plan there.
    """
    if context.bucket and not header.dry_run and (context.journal.is_archived or resumed):
        end = lines.finished(header)
        attempt(Stage.DELIVER, lambda bucket: put_plan(bucket, header, (end,)), context.bucket)


def writable_directories(config: Config) -> Path | None:
    """Return the state directory; refuse a run whose directories cannot be written."""
    if config.report.directory:
        require_writable(config.report.directory)
    return state.state_directory(config)


def _has_undelivered_evidence(report: Report, evidence: EvidenceLog | None) -> bool:
    """Tell whether the evidence is whole, and could not be delivered where it should be."""
    failed = any(
        delivery.status == "failed" and delivery.content == "evidence"
        for delivery in report.deliveries
    )
    return evidence is not None and evidence.file.is_whole and failed
