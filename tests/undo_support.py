"""A run that changed something, and what became of it since."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sweeper.checks.tag_immutability import TagImmutability
from sweeper.domain.inversion import undo_config
from sweeper.domain.model import ChangeStatus, Finding, Target
from sweeper.domain.report_model import AccountSummary, Report, Run
from sweeper.domain.undo_report import OriginalRun, UndoReport
from sweeper.engine.ports import RunEnvironment
from sweeper.engine.undo import undo
from tests import factories
from tests.fakes import (
    TODAY,
    FakeCloud,
    FakeRegistry,
    account_id,
    make_change,
    make_conduct,
    make_config,
    make_finding,
    make_target,
)

UNDOES = OriginalRun("20260601T120000Z-0a1b2c", "2026-06-01T12:00:00Z", "report.json")


def claim(
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


def report_of(run: Run, claims: Sequence[Finding]) -> Report:
    """The report of a run with these findings, whose places it examined."""
    regions: dict[str, dict[str, tuple[int, int, int]]] = {}
    for each in claims:
        regions.setdefault(each.account_id, {})[each.region] = (0, 1, 0)
    accounts = tuple(
        AccountSummary(account, "", None, "ACTIVE", places) for account, places in regions.items()
    )
    return replace(factories.report(), run=run, accounts=accounts, findings=tuple(claims))


def claimed_run(**changes: Any) -> Run:
    """The run that made the changes, of the organization that FakeCloud is."""
    values: dict[str, Any] = {
        "id": UNDOES.run_id,
        "started_at": UNDOES.started_at,
        "finished_at": UNDOES.started_at,
        "version": "1",
        "partition": "aws",
        "organization_id": "o-1",
        "account_id": account_id(1),
        "auto_remediate": "ENABLED",
        "dry_run": False,
    }
    return Run(**{**values, **changes})


def undo_here(
    registry: FakeRegistry,
    cloud: FakeCloud,
    claims: Sequence[Finding],
    *,
    conduct: RunEnvironment | None = None,
    run: Run | None = None,
    approve: Callable[[Sequence[Finding]], bool] = lambda _: True,
    **sections: Any,
) -> UndoReport:
    """The undo of these claims, in memory."""
    config = undo_config(make_config(**sections), claims)
    return undo(
        cloud,
        (TagImmutability(registry, config, TODAY),),
        config,
        conduct or make_conduct(approve=approve),
        claims=claims,
        claimed=run or claimed_run(),
        undoes=UNDOES,
    )
