"""The stages of a distributed sweep, one function each: read `sweeper.engine.sweep` first.

A scheduler may run each again, because it failed or its answer was lost: a stage that has left its
whole part does nothing more. Each raises OperationFailed where it cannot do its work, so
that its scheduler runs it again, and ConfigurationError where that would not help.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain

from sweeper.aws.client.session import callers_session
from sweeper.domain.errors import ConfigurationError, OperationFailed
from sweeper.domain.model import (
    Examined,
    Failed,
    Finding,
    Key,
    ResumeState,
    Stage,
    Target,
)
from sweeper.domain.planning import (
    Announced,
    Outcome,
    apply_completed,
    changes_of,
    findings_of,
    planned_findings,
    restore_plan,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report import with_region
from sweeper.engine.assessment import assess_impact, recall_impact
from sweeper.engine.attempts import attempt
from sweeper.engine.change_source import SweepPlan
from sweeper.engine.remediation import allow_changes, settle_changes, write_changes
from sweeper.engine.sweep import (
    Scan,
    accept_gaps,
    list_accounts,
    make_plan,
    report_early,
    scan_accounts,
)
from sweeper.entrypoints import app, logs
from sweeper.entrypoints.bootstrap import acquire_lease, new_header
from sweeper.entrypoints.distributed.answers import (
    Finished,
    ShardDone,
    Shards,
    answer_applied,
    answer_finished,
    answer_scanned,
    answer_shards,
)
from sweeper.entrypoints.distributed.open_stage import (
    OpenStage,
    StageSettings,
    gather_facts,
    make_work,
    open_context,
    open_stage,
    read_plan,
)
from sweeper.entrypoints.distributed.report import deliver, make_report
from sweeper.entrypoints.runner import log_result
from sweeper.reporting.formats import chosen_formats
from sweeper.reporting.sinks import chosen_plugins
from sweeper.storage.journal import lines
from sweeper.storage.journal.kinds import Header
from sweeper.storage.work import (
    PLAN,
    Options,
    WorkHeader,
    apply_part,
    count_shards,
    planned_part,
    scan_part,
)


def start(
    settings: StageSettings, options: Options, *, dry_run: bool, deliver_dry_run: bool
) -> Shards:
    """Begin a run: take its lease, list and choose the accounts, and cut them into shards.

    If the accounts cannot be listed, that is recorded: the run then has no shard, but a report.
    Raises OperationFailed where another sweep holds the lease.
    """
    loaded = settings.load(options)
    config = loaded.config
    chosen_formats(config)  # The last stage needs them, after the changes: refuse unknown ones now.
    chosen_plugins(config)
    run = new_header(config, dry_run=dry_run)
    logs.bind_run(run.run_id)
    session = callers_session(settings.profile)
    with ExitStack() as at_the_end:
        context = open_context(
            settings,
            loaded,
            run,
            session,
            may_write=False,
            lease_token=None,
            at_the_end=at_the_end,
        )
        central = context.cloud.clients.central
        work = make_work(config, run.run_id, settings.directory, central)
        app.writable_directories(config)
        lease = context.lease
        if lease and (held := acquire_lease(lease, None)):
            raise OperationFailed(held.reason, held.message, held.error_code)
        try:
            app.log_started(run, config, loaded.provenance)
            listing = list_accounts(context.cloud, config, SweepPlan(), ResumeState())
            settings.stop.check()
            header = WorkHeader(
                run=run,
                options=options,
                deliver=deliver_dry_run,
                lease=lease.token if lease else None,
                accounts_per_shard=config.distributed.accounts_per_shard,
                failure=listing.failure,
                organization=listing.organization,
            )
            count = count_shards(len(listing.chosen), header.accounts_per_shard)
            work.put_shards("scan", range(count))
            work.put_header(header)
        except BaseException:
            if lease:
                lease.release()
            raise
        if lease:
            lease.leave()  # to the next stage
    return answer_shards(work, run.run_id, "scan", count)


def scan(settings: StageSettings, run_id: str, shard: int) -> ShardDone:
    """Open and examine the accounts of a shard, and record what was found."""
    with open_stage(settings, run_id) as stage:
        accounts = stage.shard(shard)
        part = stage.read_part(scan_part(shard))
        if part and part.is_whole:
            return answer_scanned(run_id, shard, len(part.past.examined), len(part.past.failures))
        stage.adopt_accounts()
        pool = stage.pool(ResumeState())
        checks, config = stage.context.checks, stage.config
        found = scan_accounts(
            pool, stage.context.cloud, checks, config, changes=stage.changes, accounts=accounts
        )
        assessed: Iterable[Finding] = ()
        if config.remediation.assess_impact:
            # Which changes are due does not depend on the other shards, only whether they are made.
            listing = replace(stage.listing, chosen=tuple(accounts), others=())
            facts = accept_gaps(found, listing, config)
            today = stage.run.started_at.date()
            outcomes = make_plan(
                facts, checks, config, SweepPlan(), today=today, announced=Announced()
            )
            assessed = findings_of(assess_impact(pool, checks, facts.targets, outcomes))
        stage.require_uninterrupted()
        written = _lines_of_scan(stage.run, found, assessed)
        stage.work.put_part(scan_part(shard), lines.whole(written))
        done = sum(isinstance(each, Examined) for each in found.examined)
        failed = sum(isinstance(each, Failed) for each in (*found.opened, *found.examined))
        return answer_scanned(run_id, shard, done, failed)


def plan(settings: StageSettings, run_id: str) -> Shards:
    """Plan from the parts of all shards: coverage, caps and limits are those of the whole run.

    Which accounts are chosen is decided again. A dry run has no shard to apply.
    """
    with open_stage(settings, run_id) as stage:
        work = stage.work
        stage.require_unfinished()
        planned = work.shards("apply") if read_plan(stage) else None
        if planned is not None:  # workers may apply it already
            return answer_shards(work, run_id, "apply", len(planned))
        if stage.listing.failure:
            work.put_shards("apply", ())
            return answer_shards(work, run_id, "apply", 0)
        recorded = gather_facts(stage)
        outcomes = recall_impact(stage.plan(recorded.facts), recorded.past.impacts)
        due: set[Key] = set()
        may_apply = not stage.run.dry_run
        if may_apply:
            environment = stage.environment(ResumeState())
            outcomes = allow_changes(
                stage.context.cloud, stage.config, environment, recorded.facts.targets, outcomes
            )
            due.update(finding.key for finding in planned_findings(outcomes))
        stage.require_uninterrupted(Reason.DEADLINE)
        shards = _put_planned(stage, recorded.scan, outcomes) if may_apply else []
        work.put_shards("apply", shards)
        # Comes last: from here on the plan stands.
        written = chain(
            _lines_of_scan(stage.run, recorded.scan, findings_of(outcomes)),
            _lines_of_changes(outcomes, due),
        )
        work.put_part(PLAN, lines.whole(written))
        return answer_shards(work, run_id, "apply", len(shards))


def apply(settings: StageSettings, run_id: str, shard: int) -> ShardDone:
    """Make the changes that are planned in a shard, and no others; record what became of each.

    Where an earlier process began them, each is read again first.
    """
    with open_stage(settings, run_id, may_write=True) as stage:
        stage.require_unfinished()
        work = stage.work
        own = work.part(apply_part(shard))
        if own and own.is_whole:
            return answer_applied(run_id, shard, own.past.decided.values())
        planned = work.part(planned_part(shard))
        if shard not in (work.shards("apply") or ()) or not (planned and planned.is_whole):
            raise ConfigurationError(f"run {run_id}: nothing is planned in shard {shard}")
        past = planned.past
        due = past.in_doubt
        accounts = frozenset(account.id for account in stage.shard(shard))
        targets = [
            Target(past.opened[account_id].account, region)
            for account_id, region in sorted(past.examined)
            if account_id in accounts and account_id in past.opened
        ]
        facts: list[Outcome] = [past.examined[target.key] for target in targets]
        outcomes = restore_plan(targets, facts, due, config=stage.config, remedies=stage.remedies)
        begun = [*_lines_of_targets(stage, past, targets), *_lines_of_changes(outcomes, due)]
        if own is None:
            work.put_part(apply_part(shard), begun)  # each intent, before the first write
        stage.adopt_accounts()
        before = own.past if own else ResumeState()
        outcomes = apply_completed(outcomes, before.completed)
        in_doubt = before.in_doubt & due
        pool = stage.pool(replace(before, examined=past.examined, in_doubt=in_doubt))
        checks = stage.context.checks
        outcomes = settle_changes(pool, checks, targets, outcomes)
        outcomes = write_changes(pool, checks, targets, outcomes)
        ended = [
            (finding, change)
            for finding, change in changes_of(outcomes)
            if finding.key in due and not (change.reason and change.reason.is_stop)
        ]
        written = chain(begun, (lines.result(*each) for each in ended))
        if stage.context.environment.stop.reason:
            work.put_part(apply_part(shard), written)
            stage.require_uninterrupted(Reason.DEADLINE)
        work.put_part(apply_part(shard), lines.whole(written))
        return answer_applied(run_id, shard, (change for _, change in ended))


def finish(settings: StageSettings, run_id: str) -> Finished:
    """Report on all that the stages left, deliver the report, and release the lease.

    There is a report whatever is missing. What a worker began and did not record is read; what it
    did not begin has failed.
    """
    with open_stage(settings, run_id) as stage:
        with suppress(ConfigurationError):  # what cannot be read is reported again
            if result := stage.work.result():
                return answer_finished(result)
        environment, config = stage.context.environment, stage.config
        # Account tags and the names of OUs are read for the report; so are changes in doubt.
        attempt(Stage.ENUMERATE, lambda _: stage.adopt_accounts(), None)
        is_over = True
        if stage.listing.failure:
            report = report_early(config, environment, stage.changes, stage.listing)
        else:
            report, is_over = make_report(stage)
        result, ended = deliver(stage, report)
        if stage.context.lease and is_over:
            stage.context.lease.release()
        counts = not (report.run.dry_run or stage.loaded.provenance.once)
    seconds = (datetime.now(UTC) - stage.run.started_at).total_seconds()
    log_result(ended, result.exit_status, seconds, metrics_count=counts)
    return answer_finished(result)


def _put_planned(stage: OpenStage, found: Scan, outcomes: Sequence[Outcome]) -> list[int]:
    """Write what each worker is to apply; return the shards that have something."""
    shard_of = stage.shard_of
    by_shard: dict[int, list[int]] = {}
    for position, outcome in enumerate(outcomes):
        if any(planned_findings((outcome,))):
            shard = shard_of[found.targets[position].account.id]
            by_shard.setdefault(shard, []).append(position)
    for shard, positions in by_shard.items():
        intents = (
            lines.intent(finding, finding.change)
            for finding in planned_findings(outcomes[position] for position in positions)
            if finding.change
        )
        written = chain(_lines_of_scan(stage.run, _narrow_scan(found, positions), ()), intents)
        stage.work.put_part(planned_part(shard), lines.whole(written))
    return sorted(by_shard)


def _lines_of_scan(header: Header, scan: Scan, impacts: Iterable[Finding]) -> Iterator[bytes]:
    """Yield the part of a scan: every account and target, and the findings with their impact."""
    yield lines.header(header)
    for account, opened in zip(scan.accounts, scan.opened, strict=True):
        if isinstance(opened, Failed):
            yield lines.failed(account.id, None, opened)
        else:
            yield lines.opened(opened)
    for target, examined in zip(scan.targets, scan.examined, strict=True):
        if isinstance(examined, Failed):
            yield lines.failed(*target.key, with_region(examined, target.region))
        else:
            yield from lines.examined(target, examined)
    for finding in impacts:
        if finding.impact:
            yield lines.assessed(finding, finding.impact)


def _lines_of_changes(outcomes: Iterable[Outcome], planned: Collection[Key]) -> Iterator[bytes]:
    """Yield a line for each change: an intent where it is `planned`, else what was decided."""
    for finding, change in changes_of(outcomes):
        if finding.key in planned:
            yield lines.intent(finding, change)
        else:
            yield lines.result(finding, change)


def _narrow_scan(scan: Scan, positions: Sequence[int]) -> Scan:
    """Return the scan with the targets at the positions alone, and their accounts."""
    ids = {scan.targets[i].account.id for i in positions}
    rows = [i for i, account in enumerate(scan.accounts) if account.id in ids]
    return replace(
        scan,
        accounts=[scan.accounts[i] for i in rows],
        opened=[scan.opened[i] for i in rows],
        targets=[scan.targets[i] for i in positions],
        examined=[scan.examined[i] for i in positions],
        left_out=(),
    )


def _lines_of_targets(
    stage: OpenStage, past: ResumeState, targets: Sequence[Target]
) -> Iterator[bytes]:
    yield lines.header(stage.run)
    for account_id in dict.fromkeys(target.account.id for target in targets):
        yield lines.opened(past.opened[account_id])
    for target in targets:
        yield from lines.examined(target, past.examined[target.key])
