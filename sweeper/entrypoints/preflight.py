"""Preflight for whoever started it: what a sweep would ask is asked, and nothing is changed."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from typing import TYPE_CHECKING

from sweeper.aws.client.session import callers_session, refuse_unknown_regions
from sweeper.engine.pool import Stop
from sweeper.engine.ports import Observer
from sweeper.engine.preflight.facts import Facts
from sweeper.engine.preflight.look import run_preflight
from sweeper.entrypoints import logs
from sweeper.entrypoints.app import unfinished
from sweeper.entrypoints.bootstrap import questions
from sweeper.entrypoints.log_style import AUTO, LogStyle
from sweeper.entrypoints.runner import run_supervised
from sweeper.reporting.formats import chosen_formats

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

    def work(*, stop: Stop, observer: Observer, **_: object) -> Facts:
        run_id = f"preflight-{secrets.token_hex(3)}"
        logs.bind_run(run_id)
        logs.log_unfinished(unfinished(config))
        with ExitStack() as at_the_end:
            cloud, asked = questions(
                config,
                session=session,
                stop=stop,
                run_id=run_id,
                write_probe=write_probe,
                at_the_end=at_the_end,
            )
            return run_preflight(cloud, asked, config, stop=stop, observer=observer)

    return run_supervised(
        config,
        work,
        terminal=terminal,
        ask=None,
        show=lambda *_: None,
        at_most_seconds=at_most_seconds,
        style=style,
    )
