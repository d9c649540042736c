"""Preflight: check access and destinations as a sweep would use them, and change nothing."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING

from sweeper.aws.accounts import AwsCloud
from sweeper.aws.client.clients import Session
from sweeper.aws.client.session import callers_session, refuse_unknown_regions
from sweeper.aws.ecr import EcrRegistry
from sweeper.checks import chosen_checks
from sweeper.config.schema import Config
from sweeper.engine.attempts import Stop
from sweeper.engine.ports import Observer
from sweeper.engine.preflight.facts import Facts, Questions, run_preflight
from sweeper.engine.probe import probe_action
from sweeper.entrypoints import logs
from sweeper.entrypoints.app import log_unfinished
from sweeper.entrypoints.bootstrap import config_aggregator, make_cloud, read_actions, write_actions
from sweeper.entrypoints.log_style import AUTO, LogStyle
from sweeper.entrypoints.runner import run_supervised
from sweeper.reporting.formats import chosen_formats
from sweeper.reporting.sinks import chosen_plugins, make_sinks
from sweeper.reporting.sinks.base import SinkContext, probe_sink
from sweeper.storage import run_state as state

if TYPE_CHECKING:
    from sweeper.config.loader import Loaded


def check_access(
    loaded: Loaded,
    *,
    write_probe: bool,
    terminal: bool,
    profile: str | None = None,
    style: LogStyle = AUTO,
    at_most_seconds: float | None = None,
) -> Facts:
    """Return what works for a sweep with this configuration, and what does not.

    At a `terminal` a person sees progress; otherwise there are logs. Without `write_probe` no write
    is tried. No new question starts after `at_most_seconds`. Raises ConfigurationError.
    """
    config, session = loaded.config, callers_session(profile)
    chosen_formats(config)
    refuse_unknown_regions(config, session, loaded.provenance.regions_from)
    if config.limits.processes != 1:
        # Imported here, because a preflight for one process should not pay for it.
        from sweeper.entrypoints.processes.scanner import require_processes

        require_processes(config)

    def work(*, stop: Stop, observer: Observer, **_: object) -> Facts:
        run_id = f"preflight-{secrets.token_hex(3)}"
        logs.bind_run(run_id)
        log_unfinished(config)
        with ExitStack() as at_the_end:
            cloud, questions = make_questions(
                config,
                session=session,
                stop=stop,
                run_id=run_id,
                write_probe=write_probe,
                at_the_end=at_the_end,
            )
            return run_preflight(cloud, questions, config, stop=stop, observer=observer)

    return run_supervised(
        config, work, terminal=terminal, at_most_seconds=at_most_seconds, style=style
    )


def make_questions(
    config: Config,
    *,
    session: Session,
    stop: Stop,
    run_id: str,
    write_probe: bool,
    at_the_end: ExitStack,
) -> tuple[AwsCloud, Questions]:
    """Return what is asked before a sweep, and of whom. Calls nothing.

    The members' sessions allow what a sweep's would, and writes only where they are tried. Raises
    ConfigurationError where the state directory that is configured cannot be written.
    """
    kinds = chosen_checks(config)
    is_on = config.remediation.auto_remediate == "ENABLED"
    writes = write_actions(kinds, config) if is_on else frozenset()
    may_write = write_probe and bool(writes)
    cloud = make_cloud(
        config,
        kinds,
        session=session,
        stop=stop,
        run_id=run_id,
        may_write=may_write,
        today=date.max,  # so that what the last wave will need is tried, too
    )
    at_the_end.callback(cloud.clients.close)
    probes = {action: probe for kind in kinds for action, probe in kind.probes.items()}
    context = SinkContext(config, (), cloud.clients.until_stopped)
    aggregator = config_aggregator(config, cloud.clients)
    return cloud, Questions(
        reads=read_actions(kinds, config),
        # Without the others a sweep checks, and withholds changes, or their impact is not known.
        needed_reads=frozenset().union(
            *(kind.read_actions - kind.exemption_actions for kind in kinds)
        ),
        writes=writes if may_write else frozenset(),
        ask=partial(probe_action, probes, EcrRegistry(cloud.clients)),
        destinations=[
            *((aggregator.probe,) if aggregator else ()),
            *(partial(probe_sink, sink) for sink in make_sinks(context, chosen_plugins(config))),
        ],
        today=datetime.now(UTC).date(),
        may_change=bool(writes),
        permitted_by={action: name for kind in kinds for action, name in kind.permitted_by.items()},
        keeps_record=bool(config.report.s3 or state.state_directory(config)),
    )
