"""The report of a distributed run, from what its stages left; and its delivery."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sweeper.domain.errors import ConfigurationError
from sweeper.domain.model import (
    Change,
    ChangeStatus,
    Failed,
    Key,
    Stage,
    Target,
)
from sweeper.domain.planning import (
    Outcome,
    apply_completed,
    planned_findings,
    restore_plan,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report import exit_status
from sweeper.domain.report_model import Report
from sweeper.domain.resume import ResumeState
from sweeper.engine.assessment import recall_impact
from sweeper.engine.remediation import (
    end_planned,
    settle_changes,
)
from sweeper.engine.sweep import (
    make_plan,
    report_run,
)
from sweeper.entrypoints import app
from sweeper.entrypoints.distributed.facts import (
    gather,
    read_plan,
)
from sweeper.entrypoints.distributed.opening import (
    OpenStage,
)
from sweeper.reporting.formats import chosen_formats
from sweeper.reporting.sinks import chosen_plugins, make_sinks
from sweeper.reporting.sinks.base import SinkContext, is_kept
from sweeper.storage.work import (
    Result,
    apply_part,
)


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a run; `ended` is None where an earlier process delivered the report.

    A run that options or an event narrowed is `narrowed`.
    """

    result: Result
    ended: app.RunResult | None = None
    narrowed: bool = False


def make_report(stage: OpenStage) -> tuple[Report, bool]:
    """Return the report, and whether no worker can be at work any more."""
    config, environment = stage.config, stage.context.environment
    plan_part = read_plan(stage)
    known = gather(stage, plan_part)
    facts = known.facts
    is_over = True
    if plan_part:
        past = plan_part.past
        outcomes = restore_plan(
            facts.targets, facts.outcomes, past.in_doubt, config=config, remedies=stage.remedies
        )
        outcomes = apply_completed(outcomes, past.decided)
        if past.in_doubt:
            outcomes, is_over = _after_apply(stage, facts.targets, outcomes, past.in_doubt)
    else:
        outcomes = make_plan(facts, stage.context.checks, config, stage.changes)
        if not stage.run.dry_run:
            failure = Failed(
                Stage.CHANGE,
                Reason.WORKER_FAILED,
                "there was no whole plan when the run was finished",
            )
            outcomes = end_planned(outcomes, ChangeStatus.WITHHELD, failure)
    outcomes = recall_impact(outcomes, known.past.impacts)
    return report_run(facts, outcomes, config, environment, stage.changes), is_over


def _after_apply(
    stage: OpenStage,
    targets: Sequence[Target],
    outcomes: list[Outcome],
    planned: Iterable[Key],
) -> tuple[list[Outcome], bool]:
    """Return the outcomes with the end of each planned change, and whether all workers ended."""
    ended: dict[Key, Change] = {}
    in_doubt: set[Key] = set()
    is_over = True
    for shard in stage.work.shards("apply") or ():
        try:
            part = stage.work.part(apply_part(shard))
        except ConfigurationError:  # nobody knows what the worker did
            accounts = {account.id for account in stage.shard(shard)}
            in_doubt.update(key for key in planned if key[1] in accounts)
            part = None
        is_over = is_over and part is not None and part.is_whole
        if part:
            ended.update(part.past.decided)
            begun = part.past.in_doubt
            in_doubt.update(begun - part.past.decided.keys() if part.is_whole else begun)
    ended = {key: ended[key] for key in planned if key in ended}
    certain = {key: change for key, change in ended.items() if key not in in_doubt}
    outcomes = apply_completed(outcomes, certain)
    pool = stage.pool(ResumeState(in_doubt=in_doubt.intersection(planned)))
    outcomes = settle_changes(pool, stage.context.checks, targets, outcomes)
    failures = {
        finding.key: ended[finding.key]
        for finding in planned_findings(outcomes)
        if finding.key in ended
    }
    failure = Failed(Stage.CHANGE, Reason.WORKER_FAILED, "no worker recorded what became of it")
    return end_planned(apply_completed(outcomes, failures), ChangeStatus.FAILED, failure), is_over


def deliver(stage: OpenStage, report: Report) -> Finished:
    """Deliver the report, and record that the run has ended, where it is stored."""
    config, context = stage.config, stage.context
    stage.context.cloud.forget_members()
    into = chosen_formats(config)
    sinks = make_sinks(
        SinkContext(config, into, context.cloud.clients.central), chosen_plugins(config)
    )
    keeper = app.history_keeper("sweep", sinks)
    sinks = sinks if stage.header.deliver or not stage.run.dry_run else app.local_sinks(sinks)
    fallback = app.fallback_sink(app.writable_directories(config), stage.run, into)
    report = app.deliver_report(
        report,
        config,
        context,
        stage.loaded.provenance,
        sinks=sinks,
        keeper=keeper,
        fallback=fallback,
    )
    everywhere = [*sinks, fallback]
    file = app.report_file(report, everywhere)
    result = Result(stage.run.run_id, exit_status(report), file)
    finished = app.is_finished(report, everywhere, resumed=False)
    if is_kept(report.deliveries, everywhere):
        stage.work.put_result(result)
    if finished:
        app.close_plan(context, stage.run, resumed=True)
    ended = app.RunResult(report, resumable=not finished, file=file)
    return Finished(result, ended, narrowed=stage.loaded.provenance.once)
