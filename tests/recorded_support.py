"""A run that changed something, and what became of it since."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from sweeper.checks.tag_immutability import TagImmutability
from sweeper.domain.events import RepositoryKey
from sweeper.domain.model import ChangeStatus, Finding, Target
from sweeper.domain.recorded_changes import RecordedChanges, invert, undo_config
from sweeper.domain.report import remaining_rule
from sweeper.domain.report_model import AccountSummary, Report, Run, RunSource
from sweeper.engine.change_source import change_source
from sweeper.engine.ports import RunEnvironment
from sweeper.engine.sweep import sweep
from tests import factories
from tests.fakes import (
    TODAY,
    FakeCloud,
    FakeRegistry,
    account_id,
    make_change,
    make_config,
    make_environment,
    make_finding,
    make_target,
)

SOURCE = RunSource("20260601T120000Z-0a1b2c", "2026-06-01T12:00:00Z", "report.json")


def applied_finding(
    name: str = "app",
    target: Target | None = None,
    *,
    before: tuple[str, Sequence[str]] = ("MUTABLE", ()),
    after: tuple[str, Sequence[str]] = ("IMMUTABLE", ()),
) -> Finding:
    """A finding whose change was applied."""
    change = make_change(
        ChangeStatus.APPLIED, to_mutability=after[0], to_exclusion_filters=tuple(after[1])
    )
    return make_finding(
        name,
        target or make_target(),
        mutability=before[0],
        exclusion_filters=tuple(before[1]),
        change=change,
        arn=_arn(name, target or make_target()),
    )


def _arn(name: str, target: Target) -> str:
    return f"arn:aws:ecr:{target.region}:{target.account.id}:repository/{name}"


def report_of(run: Run, findings: Sequence[Finding]) -> Report:
    """The report of a run with these findings, whose places it examined."""
    regions: dict[str, dict[str, tuple[int, int, int]]] = {}
    for each in findings:
        regions.setdefault(each.account_id, {})[each.region] = (0, 1, 0)
    accounts = tuple(
        AccountSummary(account, "", None, "ACTIVE", places) for account, places in regions.items()
    )
    item = factories.report()
    remaining = sum(map(remaining_rule(run.kind), findings))
    return replace(
        item,
        run=run,
        totals=replace(item.totals, remaining=remaining),
        accounts=accounts,
        findings=tuple(findings),
    )


def source_run(**changes: Any) -> Run:
    """The run that made the changes, of the organization that FakeCloud is."""
    values: dict[str, Any] = {
        "id": SOURCE.run_id,
        "started_at": SOURCE.started_at,
        "finished_at": SOURCE.started_at,
        "version": "1",
        "partition": "aws",
        "organization_id": "o-1",
        "account_id": account_id(1),
        "auto_remediate": "ENABLED",
        "dry_run": False,
    }
    return Run(**{**values, **changes})


def recorded(
    findings: Sequence[Finding], kind: Literal["apply", "undo"] = "undo", run: Run | None = None
) -> RecordedChanges:
    """The changes of a report with these findings, as its reader returns them."""
    run = run or source_run()
    chosen = tuple(map(invert, findings)) if kind == "undo" else tuple(findings)
    return RecordedChanges(kind, SOURCE, run.organization_id, run.account_id, chosen)


def undo_here(
    registry: FakeRegistry,
    cloud: FakeCloud,
    findings: Sequence[Finding],
    *,
    environment: RunEnvironment | None = None,
    run: Run | None = None,
    approve: Callable[[Sequence[Finding]], bool] = lambda _: True,
    **sections: Any,
) -> Report:
    """Undo the applied changes of these findings, in memory."""
    changes = recorded(findings, "undo", run)
    config = undo_config(make_config(**sections), changes.findings)
    return sweep(
        cloud,
        (TagImmutability(registry, config, TODAY),),
        config,
        environment or make_environment(approve=approve),
        change_source(changes),
    )


def apply_here(
    registry: FakeRegistry,
    cloud: FakeCloud,
    findings: Sequence[Finding],
    *,
    environment: RunEnvironment | None = None,
    run: Run | None = None,
    contested: Callable[[], Mapping[RepositoryKey, str]] = dict,
    **sections: Any,
) -> Report:
    """Apply the planned changes of these findings, in memory."""
    config = make_config(**sections)
    return sweep(
        cloud,
        (TagImmutability(registry, config, TODAY),),
        config,
        environment or make_environment(),
        change_source(recorded(findings, "apply", run), contested),
    )
