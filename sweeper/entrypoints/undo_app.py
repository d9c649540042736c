"""One undo, from a report to the undo's own report, delivered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from sweeper.aws.client.partitions import is_region
from sweeper.aws.client.session import callers_session, read_object, refuse_unknown_regions
from sweeper.checks import checks
from sweeper.config.provenance import provenance_of
from sweeper.config.schema import Config
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.inversion import cut_short, must_be_kept, select_changes, undo_config
from sweeper.domain.model import Finding
from sweeper.domain.report_model import Report
from sweeper.domain.undo_report import OriginalRun, UndoReport
from sweeper.engine.pool import Stop
from sweeper.engine.ports import Observer
from sweeper.engine.undo import build_undo_run, ended_early, undo
from sweeper.entrypoints import logs
from sweeper.entrypoints.app import close_plan, delivery_backoff, unfinished
from sweeper.entrypoints.bootstrap import (
    acquire_lease,
    bootstrap_client_factory,
    build_context,
    chosen_checks,
    new_header,
    reports_bucket,
)
from sweeper.reporting.sinks import Destination, deliver, is_kept
from sweeper.reporting.undo_delivery import UndoBucket, UndoDirectory
from sweeper.reporting.wording import number
from sweeper.storage import run_state as state
from sweeper.storage.journal.lines import Header
from sweeper.storage.recorded_changes import check_options, digest, original_run, recorded_changes
from sweeper.storage.report_store import read_report

_CLAIMS = "claims"  # what the header's digest of them is filed under


@dataclass(frozen=True, slots=True)
class Source:
    """What is to be undone: a report, where it lies, and those of its changes that are meant."""

    run: Report
    undoes: OriginalRun
    claims: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class RunResult:
    """An undo's end: its report with its deliveries, and whether `resume` can go on with it."""

    report: UndoReport
    resumable: bool


def read_source(location: str, accounts: Sequence[str], repositories: Sequence[str]) -> Source:
    """What the report at `location` says was changed, narrowed to accounts and repositories.

    Raises ConfigurationError for a report that cannot be used, and for options that leave nothing
    of it: a slip in an id must not pass for an undo.
    """
    check_options(accounts, repositories)
    report = read_report(location, read_object)
    about = {name: kind.resource for name, kind in checks().items()}
    claims = recorded_changes(report, location, about)
    for value in accounts if claims else ():
        if not select_changes(claims, (value,), ()):
            raise ConfigurationError(_leaves_nothing("--account", value, claims))
    for value in repositories if claims else ():
        if not select_changes(claims, (), (value,)):
            raise ConfigurationError(_leaves_nothing("--repository", value, claims))
    chosen = select_changes(claims, accounts, repositories)
    if claims and not chosen:
        raise ConfigurationError(
            "--account and --repository leave none of the report's applied changes"
        )
    return Source(report, original_run(report, location), chosen)


def _leaves_nothing(option: str, value: str, claims: Sequence[Finding]) -> str:
    accounts = len({claim.account_id for claim in claims})
    has = f"it has {number(len(claims), 'such change')} in {number(accounts, 'account')}"
    return f"{option} {value}: the report has no change there that was applied; {has}"


def run_undo(
    config: Config,
    source: Source,
    *,
    dry_run: bool,
    resume: str | None,
    stop: Stop,
    observer: Observer,
    approve: Callable[[Sequence[Finding]], bool],
) -> RunResult:
    """Undo and deliver, or go on with the undo that `resume` names.

    A dry run is delivered to a directory only. Raises ConfigurationError before anything is called
    but what is to be resumed.
    """
    config = undo_config(config, source.claims)
    header = _header(config, source, dry_run=dry_run)
    logs.bind_run(header.run_id)
    session = callers_session()
    regions = sorted({claim.region for claim in source.claims})
    if unknown := [region for region in regions if not is_region(session, region)]:
        raise ConfigurationError(
            f"{source.undoes.report}: {unknown[0]!r} is not a region that this version knows"
        )
    others = config.regions.model_copy(update={"include": ()})  # the report's were checked above
    refuse_unknown_regions(config.model_copy(update={"regions": others}), session)
    directory = state.state_directory(config)
    if resume:
        bucket = reports_bucket(config, bootstrap_client_factory(session, stop))
        begun = state.reopen_run(resume, directory, bucket)
        logs.bind_run(begun.header.run_id)
    else:
        begun = state.open_run(directory, header)
        logs.log_unfinished(unfinished(config))
    with ExitStack() as at_the_end:
        at_the_end.callback(begun.close, finished=False)
        _check_same(begun, config, source, dry_run=dry_run)
        made = build_context(
            config,
            begun,
            chosen_checks(config),
            provenance=provenance_of(config),
            session=session,
            may_write=not dry_run,
            stop=stop,
            observer=observer,
            approve=approve,
            at_the_end=at_the_end,
        )
        sinks: list[Destination[UndoReport]] = []
        if config.report.directory:
            sinks.append(UndoDirectory(config.report.directory))
        local = tuple(sinks)
        if made.bucket and not dry_run:
            sinks.append(UndoBucket(made.bucket))
        if made.lease and (held := acquire_lease(made.lease, begun if resume else None)):
            begun.close(finished=not resume)
            run_undo = build_undo_run(config, made.conduct)
            report = ended_early(run_undo, made.conduct, source.claims, source.undoes, held)
            return RunResult(deliver(report, local), resumable=False)
        if made.lease:
            at_the_end.callback(made.lease.release)
        report = undo(
            made.cloud,
            made.checks,
            config,
            made.conduct,
            claims=source.claims,
            claimed=source.run.run,
            undoes=source.undoes,
        )
        fallback = None
        if directory:
            own = directory / "reports" / begun.header.run_id
            fallback = UndoDirectory(own, "fallback")
        report = deliver(
            report, sinks, delivery_backoff(config, stop), fallback, must_keep=must_be_kept(report)
        )
        nothing_seen = any(failure.account_id is None for failure in report.failures)
        is_whole = not (cut_short(report) or (resume and nothing_seen))
        finished = is_whole and is_kept(report.deliveries, [*sinks, fallback])
        resumable = not finished and (begun.file is not None or made.journal.is_archived)
        begun.close(finished=finished)
        if finished:
            close_plan(made, begun, resumed=resume is not None)
    return RunResult(report, resumable)


def _header(config: Config, source: Source, *, dry_run: bool) -> Header:
    header = new_header(config, dry_run=dry_run)
    config_and_claims = {**header.config, _CLAIMS: digest(source.claims)}
    return replace(header, undoes=source.undoes.run_id, config=config_and_claims)


def _check_same(begun: state.OpenRun, config: Config, source: Source, *, dry_run: bool) -> None:
    """Raise ConfigurationError where the undo was begun with another report or configuration."""
    header, undoes = begun.header, source.undoes.run_id
    if header.undoes not in (None, undoes):
        raise ConfigurationError(
            f"--resume: undo {header.run_id} is of run {header.undoes}; the report is of {undoes}"
        )
    if header.undoes and header.config.get(_CLAIMS) != digest(source.claims):
        raise ConfigurationError(
            f"--resume: undo {header.run_id} was begun with another report, or other --account and "
            "--repository: use the same, or begin anew"
        )
    state.require_same_config(header, config, dry_run=dry_run, undoes=undoes)
