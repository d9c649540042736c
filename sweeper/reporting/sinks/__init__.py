"""The sinks: one destination a file. To add one, write its subclass of Sink and add it to SINKS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from sweeper.config.plugins import load_plugin
from sweeper.domain.errors import ConfigurationError
from sweeper.reporting.sinks.base import Sink, SinkContext
from sweeper.reporting.sinks.chat import ChatSink
from sweeper.reporting.sinks.directory import DirectorySink
from sweeper.reporting.sinks.event_bus import EventBusSink
from sweeper.reporting.sinks.evidence import EvidenceDirectorySink, EvidenceS3Sink
from sweeper.reporting.sinks.owners import OwnersSink
from sweeper.reporting.sinks.s3 import S3Sink
from sweeper.reporting.sinks.security_hub import SecurityHubSink
from sweeper.reporting.sinks.sns import SnsSink

if TYPE_CHECKING:
    from sweeper.config.schema import Config

# In the order of delivery.
SINKS: tuple[type[Sink], ...] = (
    DirectorySink,
    S3Sink,
    SecurityHubSink,
    EvidenceDirectorySink,
    EvidenceS3Sink,
    EventBusSink,
    OwnersSink,
    ChatSink,
    SnsSink,
)


Plugin = tuple[type[Sink], BaseModel]


def chosen_plugins(config: Config) -> list[Plugin]:
    """Return the sinks of `report.plugins` with their settings; raises ConfigurationError."""
    chosen = []
    for name, values in config.report.plugins.items():
        key = f"report.plugins.{name}"
        if name in {"fallback", *(kind.name for kind in SINKS)}:
            raise ConfigurationError(f"{key}: it is no plugin")
        kind = load_plugin("sweeper.sinks", Sink, name, key="report.plugins", own=())
        try:
            chosen.append((kind, kind.settings.model_validate(values or {})))
        except ValidationError as error:
            problems = (
                f"{'.'.join(map(str, (key, *each['loc'])))}: {each['msg']}"
                for each in error.errors(include_url=False)
            )
            raise ConfigurationError("\n".join(problems)) from None
    return chosen


def make_sinks(context: SinkContext, plugins: Sequence[Plugin] = ()) -> list[Sink]:
    """Return the sinks that the configuration names, in the order of delivery. Calls nothing.

    Messages come last, so that they can say where the report is, or that a plugin failed.
    """
    made = [kind.make(context) for kind in SINKS]
    made += [kind.make(replace(context, settings=settings)) for kind, settings in plugins]
    return sorted((sink for sink in made if sink), key=lambda sink: sink.is_message)
