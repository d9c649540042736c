"""The report of a distributed run, from what its stages left; and its delivery."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from sweeper.domain.errors import ConfigurationError
from sweeper.domain.exit_status import exit_status
from sweeper.domain.model import Change, ChangeStatus, Failed, Key, ResumeState, Stage, Target
from sweeper.domain.planning import (
    Outcome,
    apply_completed,
    changes_of,
    planned_findings,
    restore_plan,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report
from sweeper.engine.assessment import recall_impact
from sweeper.engine.remediation import end_planned, settle_changes
from sweeper.engine.sweep import Facts, report_run
from sweeper.entrypoints import app
from sweeper.entrypoints.delivery import deliver_report, is_finished, make_destinations, report_file
from sweeper.entrypoints.distributed.open_stage import (
    OpenStage,
    gather_facts,
    read_plan,
)
from sweeper.reporting.formats import chosen_formats
from sweeper.reporting.sinks import chosen_plugins
from sweeper.reporting.sinks.base import is_stored
from sweeper.storage.work import Result, apply_part


def make_report(stage: OpenStage) -> tuple[Report, bool]:
    """Return the report, and whether no worker can be at work any more."""
    config, environment = stage.config, stage.context.environment
    plan_part = read_plan(stage)
    recorded = gather_facts(stage, plan_part)
    facts = recorded.facts
    if plan_part:
        planned, decided = plan_part.past.in_doubt, plan_part.past.decided
    else:
        planned, decided = _without_plan(stage, facts)
    outcomes = restore_plan(
        facts.targets, facts.outcomes, planned, config=config, remedies=stage.remedies
    )
    outcomes = apply_completed(outcomes, decided)
    is_over = True
    if planned:
        outcomes, is_over = _after_apply(stage, facts.targets, outcomes, planned)
    outcomes = recall_impact(outcomes, recorded.past.impacts)
    return report_run(facts, outcomes, config, environment, stage.changes), is_over


def _without_plan(stage: OpenStage, facts: Facts) -> tuple[set[Key], dict[Key, Change]]:
    """Return what workers began all the same, and the decision about every other change.

    A dry run is planned now. Else nothing was planned, or the plan was damaged since.
    """
    outcomes = stage.plan(facts)
    begun: set[Key] = set()
    if not stage.run.dry_run:
        failure = Failed(
            Stage.CHANGE,
            Reason.WORKER_FAILED,
            "there was no whole plan when the run was finished",
        )
        outcomes = end_planned(outcomes, ChangeStatus.WITHHELD, failure)
        for shard in sorted(set(stage.shard_of.values())):
            if part := stage.read_part(apply_part(shard)):
                begun.update(part.past.in_doubt, part.past.decided)
    decided = {finding.key: change for finding, change in changes_of(outcomes)}
    return begun, {key: change for key, change in decided.items() if key not in begun}


def _after_apply(
    stage: OpenStage,
    targets: Sequence[Target],
    outcomes: list[Outcome],
    planned: AbstractSet[Key],
) -> tuple[list[Outcome], bool]:
    """Return the outcomes with the end of each planned change, and whether all workers ended."""
    shard_of = stage.shard_of
    by_shard: dict[int, set[Key]] = {}
    for key in planned:
        if key[1] in shard_of:
            by_shard.setdefault(shard_of[key[1]], set()).add(key)
    ended: dict[Key, Change] = {}
    in_doubt: set[Key] = set()
    is_over = True
    for shard, keys in sorted(by_shard.items()):
        try:
            part = stage.work.part(apply_part(shard))
        except ConfigurationError:  # what the worker did is not known
            in_doubt |= keys
            is_over = False
            continue
        is_over = is_over and part is not None and part.is_whole
        if part:
            decided = {key: part.past.decided[key] for key in keys & part.past.decided.keys()}
            ended |= decided
            begun = keys & part.past.in_doubt
            in_doubt |= begun - decided.keys() if part.is_whole else begun
    certain = {key: change for key, change in ended.items() if key not in in_doubt}
    outcomes = apply_completed(outcomes, certain)
    pool = stage.pool(ResumeState(in_doubt=in_doubt))
    outcomes = settle_changes(pool, stage.context.checks, targets, outcomes)
    failures = {
        finding.key: ended[finding.key]
        for finding in planned_findings(outcomes)
        if finding.key in ended
    }
    failure = Failed(Stage.CHANGE, Reason.WORKER_FAILED, "no worker recorded what became of it")
    outcomes = apply_completed(outcomes, failures)
    return end_planned(outcomes, ChangeStatus.FAILED, failure), is_over


def deliver(stage: OpenStage, report: Report) -> tuple[Result, app.RunResult]:
    """Deliver the report, and record that the run has ended, where it is stored."""
    config, context = stage.config, stage.context
    context.cloud.forget_members()
    destinations = make_destinations(
        config,
        context.cloud.clients.central,
        stage.run,
        app.writable_directories(config),
        formats=chosen_formats(config),
        plugins=chosen_plugins(config),
        deliver_dry_run=stage.header.deliver,
    )
    report = deliver_report(report, config, context, destinations)
    file = report_file(report, destinations.all_sinks)
    result = Result(stage.run.run_id, exit_status(report), file)
    finished = is_finished(report, destinations, resumed=False)
    if is_stored(report.deliveries, destinations.all_sinks):
        stage.work.put_result(result)
    if finished:
        app.close_plan(context, stage.run, resumed=True)
    return result, app.RunResult(report, resumable=not finished, file=file)
