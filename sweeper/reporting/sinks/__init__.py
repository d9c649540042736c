"""The sinks: one destination a file. To add one, write its subclass of Sink and add it to SINKS."""

from __future__ import annotations

from sweeper.reporting.sinks.base import Sink, SinkContext
from sweeper.reporting.sinks.directory import DirectorySink
from sweeper.reporting.sinks.evidence_directory import EvidenceDirectorySink
from sweeper.reporting.sinks.evidence_s3 import EvidenceS3Sink
from sweeper.reporting.sinks.s3 import S3Sink
from sweeper.reporting.sinks.security_hub import SecurityHubSink
from sweeper.reporting.sinks.sns import SnsSink

# In the order of their turn.
SINKS: tuple[type[Sink], ...] = (
    DirectorySink,
    S3Sink,
    SecurityHubSink,
    EvidenceDirectorySink,
    EvidenceS3Sink,
    SnsSink,
)


def make_sinks(context: SinkContext) -> list[Sink]:
    """Return the sinks that the configuration names, in the order of their turn. Calls nothing."""
    made = [kind.make(context) for kind in SINKS]
    return [sink for sink in made if sink is not None]
