"""A process that scans: what it is given, what it sends, and what it does."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Lock
from typing import Any

from sweeper.aws.client.session import callers_session
from sweeper.checks import chosen_checks
from sweeper.config.provenance import Provenance
from sweeper.config.schema import Config
from sweeper.domain import masking
from sweeper.domain.model import (
    Account,
    Examined,
    Failed,
    OpenedAccount,
    Organization,
    ResumeState,
    Stage,
    Target,
)
from sweeper.engine.attempts import Stop, attempt
from sweeper.engine.change_source import SweepPlan
from sweeper.engine.pool import Pool, stay_on_core
from sweeper.engine.sweep import scan_accounts
from sweeper.entrypoints import logs
from sweeper.entrypoints.bootstrap import build_context
from sweeper.entrypoints.interpreter import collect_garbage_rarely
from sweeper.entrypoints.log_style import LogStyle
from sweeper.storage.journal.kinds import Header
from sweeper.storage.run_state import OpenRun

Outcome = OpenedAccount | Examined | Failed


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """The settings of the run for each process that scans."""

    config: Config
    provenance: Provenance
    header: Header
    profile: str | None
    style: LogStyle


@dataclass(frozen=True, slots=True)
class Share:
    """The accounts of one process, and what is known of them already.

    Shares have successive numbers `core`, so that each process has a core of its own.
    """

    core: int
    organization: Organization
    accounts: Sequence[Account]
    past: ResumeState


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A process starts a stage over `total` items."""

    stage: Stage
    total: int


@dataclass(frozen=True, slots=True)
class OutcomesFound:
    """Outcomes, by account id and region; None for the account itself.

    `secrets` are those that the process has met since it sent the last ones.
    """

    stage: Stage
    outcomes: Sequence[tuple[str, str | None, Outcome]]
    secrets: masking.SharedSecrets


class Sender:
    """The observer of a process: it sends what it sees."""

    def __init__(self, pipe: Connection, lock: Lock) -> None:
        self._pipe = pipe
        self._lock = lock
        self._sent: dict[str, int] = {}  # of secrets: the length by the beginning

    def begin(self, stage: Stage, total: int) -> None:
        """Send that the stage begins."""
        self._send(StageStarted(stage, total))

    def done(self, stage: Stage, outcomes: Sequence[tuple[object, object]]) -> None:
        """Send the outcomes."""
        secrets = masking.share_secrets(but=self._sent)
        self._sent.update(secrets.lengths)
        sent: Any = [(*_key(item), outcome) for item, outcome in outcomes]
        self._send(OutcomesFound(stage, sent, secrets))

    def _send(self, message: StageStarted | OutcomesFound) -> None:
        with self._lock:
            self._pipe.send(message)


def _key(item: Any) -> tuple[str, str | None]:
    return item.key if isinstance(item, Target) else (item.id, None)


_process: tuple[Sender, ScanSettings, Stop]  # of a process that scans


def begin_process(
    sender: Sender,
    control: Connection,
    settings: ScanSettings,
    deadline: float | None,
    secrets: masking.SharedSecrets,
) -> None:
    """Prepare a process; `deadline` is of the monotonic clock, which all processes share."""
    global _process  # noqa: PLW0603 (a pool's initializer has no other place to leave it)
    collect_garbage_rarely()
    masking.adopt_secrets(secrets, of_run=False)
    logs.configure(style=settings.style)
    logs.bind_run(settings.header.run_id)
    stop = Stop(None if deadline is None else deadline - time.monotonic())
    threading.Thread(target=_follow, args=(control, stop), daemon=True).start()
    _process = sender, settings, stop


def _follow(control: Connection, stop: Stop) -> None:
    """Stop when this process's parent says so, and end with it."""
    with suppress(EOFError, OSError):
        control.recv()
    stop.request()
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)


def scan_share(share: Share) -> Failed | None:
    """Scan the accounts of this process; return why it could not begin."""
    failure = attempt(Stage.OPEN_ACCOUNT, _scan, share)
    return failure if isinstance(failure, Failed) else None


def _scan(share: Share) -> None:
    sender, settings, stop = _process
    config = settings.config
    stay_on_core(share.core)
    with ExitStack() as at_the_end:
        context = build_context(
            config,
            OpenRun(settings.header, share.past, None),
            chosen_checks(config),
            provenance=settings.provenance,
            session=callers_session(settings.profile),
            may_write=False,
            stop=stop,
            observer=sender,
            approve=lambda _: False,
            at_the_end=at_the_end,
        )
        context.cloud.adopt_accounts(share.organization)
        scan_accounts(
            Pool(config.limits.max_workers, context.environment),
            context.cloud,
            context.checks,
            config,
            changes=SweepPlan(),
            accounts=share.accounts,
        )
