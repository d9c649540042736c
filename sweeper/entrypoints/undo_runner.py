"""One undo for whoever started it: progress and a question, or logs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sweeper.domain.inversion import aggregate, exit_status
from sweeper.domain.masking import mask
from sweeper.domain.model import Finding, Stage
from sweeper.domain.report import ExitStatus
from sweeper.domain.resume import ResumeState
from sweeper.domain.undo_report import UndoReport, UndoRun
from sweeper.engine.pool import or_defect
from sweeper.entrypoints import logs
from sweeper.entrypoints import undo_app as app
from sweeper.entrypoints.bootstrap import new_header
from sweeper.entrypoints.logs import is_terminal
from sweeper.entrypoints.runner import cannot_ask, run_supervised
from sweeper.reporting import undo_text as text

if TYPE_CHECKING:
    from rich.console import Console

    from sweeper.config.schema import Config

CLOSES_AGAIN = (
    "the next sweep closes again what is put back now, where it may write; first set "
    "remediation.auto_remediate: DISABLED, or put the accounts under remediation.exclude_accounts"
)


def run_interactive_undo(
    config: Config,
    report: str,
    *,
    accounts: Sequence[str],
    repositories: Sequence[str],
    dry_run: bool,
    resume: str | None,
    ask: bool,
) -> tuple[UndoReport, int]:
    """One undo of what the run of `report` changed; its own report, and the exit status.

    Where nobody can be asked, and `ask` says to, nothing is opened: raises ConfigurationError.
    """
    terminals = is_terminal(sys.stdin), is_terminal(sys.stderr)
    source = app.read_source(report, accounts, repositories)
    if not source.claims:
        return _nothing(config, source, dry_run=dry_run), ExitStatus.CLEAN
    if ask and not dry_run and not all(terminals):
        raise cannot_ask("an undo")

    def question(findings: Sequence[Finding], console: Console) -> str:
        lines, asked = text.question(findings, source.undoes)
        console.print(mask("\n".join(lines)), markup=False, emoji=False, soft_wrap=True)
        return asked

    warn = closes_again(config, source.claims)

    def undo(**guards: Any) -> app.RunResult:
        if warn:
            logs.log(
                logging.WARNING, "remediation.enabled", sentence=CLOSES_AGAIN, message=CLOSES_AGAIN
            )
        return app.run_undo(config, source, dry_run=dry_run, resume=resume, **guards)

    def show(ended: app.RunResult, console: Console) -> None:
        _show(ended, console)
        if warn and ended.report.totals.restored:
            console.print(f"\nRemember: {CLOSES_AGAIN}", markup=False, soft_wrap=True)

    ended = run_supervised(
        config,
        undo,
        terminal=terminals[1],
        ask=question if ask else None,
        show=show,
    )
    status = exit_status(ended.report)
    if not terminals[1]:
        or_defect(lambda: _log_finished(ended, status))
    return ended.report, status


def closes_again(config: Config, claims: Sequence[Finding]) -> bool:
    """Whether the next sweep may close what is put back, as far as the configuration tells."""
    left_out = set(config.remediation.exclude_accounts)
    accounts = {claim.account_id for claim in claims}
    return config.remediation.auto_remediate == "ENABLED" and not accounts <= left_out


def _nothing(config: Config, source: app.Source, *, dry_run: bool) -> UndoReport:
    header = new_header(config, dry_run=dry_run)
    now = header.started_at.isoformat().replace("+00:00", "Z")
    run = UndoRun(header.run_id, now, now, header.version, None, None, dry_run)
    return aggregate(run, source.undoes, (), accounts={}, targets=(), past=ResumeState())


def _show(ended: app.RunResult, console: Console) -> None:
    shown = b"".join(text.render(ended.report, text.MOST_SHOWN)).decode()
    console.print(mask(shown), markup=False, emoji=False, soft_wrap=True)
    if ended.resumable:
        console.print(
            "The undo was interrupted. To resume it, add to the same command: "
            f"--resume {ended.report.run.id}",
            soft_wrap=True,
        )


def _log_finished(ended: app.RunResult, status: ExitStatus) -> None:
    """What did not go well, one event each, and `undo.finished` with the totals."""
    report = ended.report
    for failure in report.failures:
        if failure.stage is Stage.ENUMERATE:
            logs.log(
                logging.ERROR,
                "enumerate.failed",
                account_id=failure.account_id,
                reason=str(failure.reason),
                error_code=failure.error_code,
                message=failure.message,
            )
    logs.log_deliveries(report.deliveries)
    logs.log(
        logging.INFO,
        "undo.finished",
        run_id=report.run.id,
        undoes=report.undoes.run_id,
        dry_run=report.run.dry_run,
        exit_status=int(status),
        resumable=ended.resumable,
        **asdict(report.totals),
    )
