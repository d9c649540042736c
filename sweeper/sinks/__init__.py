"""The sinks: one destination a file.

A module here that has a `make_sink` is a sink; nothing else names it. Its `ORDER` says when it
is its turn: messages to people come last, so that they can say where the whole report lies.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from sweeper.concurrency import attempt
from sweeper.discovery import discover
from sweeper.formats import Format
from sweeper.model import Delivery, Failed, Report, Stage

if TYPE_CHECKING:
    from sweeper.config import Config


class Sink(Protocol):
    """A destination of the report."""

    @property
    def name(self) -> str:
        """What it is called in `deliveries`."""

    @property
    def location(self) -> str:
        """Where the report would go, for messages."""

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """Deliver, knowing what became of the sinks before; raises OperationFailed."""


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What sinks are made of; `central` makes a boto3 client: (service, region or None)."""

    config: Config
    formats: tuple[Format, ...]
    central: Callable[[str, str | None], Any]


def make_sinks(context: SinkContext) -> list[Sink]:
    """The sinks that the configuration names, in the order of their turn. Calls nothing."""
    package = sys.modules[__name__]
    order = discover(package, "ORDER")
    makers = discover(package, "make_sink")
    sinks = (makers[module](context) for module in sorted(makers, key=lambda name: order[name]))
    return [sink for sink in sinks if sink is not None]


def deliver(report: Report, sinks: Iterable[Sink]) -> Report:
    """The report with what became of it at each sink, in their order. Raises nothing.

    No sink depends on another: where one fails, the next still gets the report.
    """
    report = without_deliveries(report)
    done: list[Delivery] = []
    for sink in sinks:
        result = attempt(Stage.DELIVER, lambda sink: sink.deliver(report, tuple(done)), sink)
        if isinstance(result, Failed):
            result = Delivery(
                sink.name,
                sink.location,
                "failed",
                result.reason,
                result.error_code,
                result.message,
            )
        done.append(result)
    return replace(report, deliveries=tuple(done))


def rendered(report: Report, formats: Iterable[Format]) -> Iterator[tuple[Format, bytes]]:
    """The report in each format, one at a time, as it is delivered."""
    report = without_deliveries(report)
    for format_ in formats:
        yield format_, format_.render(report)


def without_deliveries(report: Report) -> Report:
    """The report as it is delivered: a copy cannot tell what became of itself."""
    return replace(report, deliveries=()) if report.deliveries else report
