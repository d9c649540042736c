"""`sweeper demo`."""

from __future__ import annotations

import click


@click.command(short_help="Sweep an embedded organization: no AWS account, no network.")
def demo() -> int:
    """Sweep an organization embedded with moto: no AWS account, no network.

    \b
    Examples:
      sweeper demo
    """
    from sweeper.entrypoints.demo.command import run_demo

    return run_demo()
