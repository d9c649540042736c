"""The sinks: one destination a file, with a `make_sink`. To add one, add it to SINKS."""

from __future__ import annotations

from sweeper.reporting.sinks import (
    directory,
    evidence_directory,
    evidence_s3,
    s3,
    security_hub,
    sns,
)
from sweeper.reporting.sinks.base import Sink, SinkContext

# In the order of their turn: messages come last, so that they can say where the report is.
SINKS = (directory, s3, security_hub, evidence_directory, evidence_s3, sns)


def make_sinks(context: SinkContext) -> list[Sink]:
    """Return the sinks that the configuration names, in the order of their turn. Calls nothing."""
    made: list[Sink | None] = [module.make_sink(context) for module in SINKS]
    return [sink for sink in made if sink is not None]
