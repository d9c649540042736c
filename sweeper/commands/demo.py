"""`sweeper demo`."""

from __future__ import annotations

import click


@click.command()
def demo() -> int:
    """Sweep an organization embedded with moto: no AWS account, no network."""
    from sweeper.demo.command import run_demo

    return run_demo()


COMMAND = demo
