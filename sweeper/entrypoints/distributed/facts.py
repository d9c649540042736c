"""What the stages after the scan know: the parts of all workers, and what is missing of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sweeper.domain.errors import ConfigurationError
from sweeper.domain.model import Account, Change, Examined, Failed, Finding, Key, Stage
from sweeper.domain.planning import Outcome
from sweeper.domain.reasons import Reason
from sweeper.domain.report import with_region
from sweeper.domain.resume import ResumeState, join_parts
from sweeper.engine.sweep import Facts, Scan, accept_gaps, recall_scan
from sweeper.entrypoints.distributed.opening import OpenStage
from sweeper.storage.journal import lines
from sweeper.storage.journal.kinds import Header
from sweeper.storage.work import PLAN, Part, count_shards, scan_part


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a run: what its processes recorded, and the facts in it."""

    past: ResumeState
    scan: Scan
    facts: Facts


def read_plan(stage: OpenStage) -> Part | None:
    """Return the plan of the run; None where there is no whole one."""
    try:
        plan = stage.work.part(PLAN)
    except ConfigurationError:
        return None
    return plan if plan and plan.is_whole else None


def gather(stage: OpenStage, plan: Part | None) -> Known:
    """Return what the run knows, from its plan or else from the parts of all workers.

    A shard without a whole part fails: each of its accounts, with reason worker_failed.
    """
    missing: dict[str, str] = {}
    parts = [plan.past] if plan else list(_scanned(stage, missing))
    past = join_parts(parts)

    def why(account: Account, at: Stage) -> Failed:
        message = missing.get(account.id, "the worker's part does not have it")
        return Failed(at, Reason.WORKER_FAILED, message)

    scan = recall_scan(past, stage.listing.chosen, stage.config, stage.changes, why)
    return Known(past, scan, accept_gaps(scan, stage.listing, stage.config))


def _scanned(stage: OpenStage, missing: dict[str, str]) -> Iterator[ResumeState]:
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
    named = {*past.opened, *(place[0] for place in (*past.examined, *past.failures))}
    if others := named - accounts:
        return f"{stage.work.at(name)}: it has account {min(others)}, which is of another shard"
    return past


def lines_of_scan(header: Header, scan: Scan, impacts: Iterable[Finding]) -> Iterator[bytes]:
    """Yield the part of a scan: every account and target, and the findings with their impact."""
    yield lines.header(header)
    for account, opened in zip(scan.accounts, scan.opened, strict=True):
        if isinstance(opened, Failed):
            yield lines.failed(account.id, None, opened)
        else:
            yield lines.opened(opened)
    for target, examined in zip(scan.targets, scan.examined, strict=True):
        if isinstance(examined, Failed):
            yield lines.failed(*target.place, with_region(examined, target.region))
        else:
            yield from lines.examined(target, examined)
    for finding in impacts:
        if finding.impact:
            yield lines.assessed(finding, finding.impact)


def lines_of_changes(outcomes: Iterable[Outcome], planned: Collection[Key]) -> Iterator[bytes]:
    """Yield a line for each change: an intent where it is `planned`, else what was decided."""
    for finding, change in changes_of(outcomes):
        if finding.key in planned:
            yield lines.intent(finding, change)
        else:
            yield lines.result(finding, change)


def changes_of(outcomes: Iterable[Outcome]) -> Iterator[tuple[Finding, Change]]:
    """Yield each finding that has a change."""
    for outcome in outcomes:
        if isinstance(outcome, Examined):
            for finding in outcome.findings:
                if finding.change:
                    yield finding, finding.change


def findings_of(outcomes: Iterable[Outcome]) -> Iterator[Finding]:
    """Yield each finding."""
    for outcome in outcomes:
        if isinstance(outcome, Examined):
            yield from outcome.findings


def narrow_scan(scan: Scan, positions: Sequence[int]) -> Scan:
    """Return the scan with the targets at the positions alone, and their accounts."""
    ids = {scan.targets[i].account.id for i in positions}
    kept = [i for i, account in enumerate(scan.accounts) if account.id in ids]
    return replace(
        scan,
        accounts=[scan.accounts[i] for i in kept],
        opened=[scan.opened[i] for i in kept],
        targets=[scan.targets[i] for i in positions],
        examined=[scan.examined[i] for i in positions],
        left_out=(),
    )
