"""AWS Config beside the sweep: what it recorded is read once, after the sweep, for the report."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from sweeper.domain.config_inventory import Inventory, Source, compare_inventory
from sweeper.domain.inventory_model import ConfigInventory
from sweeper.domain.model import Failed, Stage
from sweeper.domain.report import nothing_listed
from sweeper.domain.report_model import Report
from sweeper.engine.pool import attempt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeper.config.schema import Config


class Aggregator(Protocol):
    """An aggregator of AWS Config; every method raises OperationFailed."""

    def inventory(self, since: datetime) -> Inventory:
        """What is recorded of repositories; `since` tells what was captured after it."""

    def sources(self) -> Sequence[Source]:
        """The sources whose data are missing, or old."""


def with_config_inventory(report: Report, config: Config, aggregator: Aggregator | None) -> Report:
    """Return the report of a sweep with what the aggregator recorded. Raises nothing.

    What cannot be read is told in the report, and changes nothing else.
    """
    named = config.inventory.config_aggregator
    is_sweep = report.run.kind == "sweep" and not nothing_listed(report)
    if named is None or aggregator is None or not is_sweep:
        return report
    since = datetime.fromisoformat(report.run.started_at)
    recorded = attempt(Stage.ENUMERATE, lambda _: aggregator.inventory(since), None)
    if isinstance(recorded, Failed):
        inventory = ConfigInventory(named.name, named.region, unavailable=_why(recorded))
        return replace(report, config_inventory=inventory)
    sources = attempt(Stage.ENUMERATE, lambda _: aggregator.sources(), None)
    known = () if isinstance(sources, Failed) else sources
    report = compare_inventory(report, recorded, known, config)
    if isinstance(sources, Failed) and report.config_inventory:
        inventory = replace(report.config_inventory, sources_unavailable=_why(sources))
        report = replace(report, config_inventory=inventory)
    return report


def _why(failed: Failed) -> str:
    code = f"{failed.error_code}: " if failed.error_code else ""
    return f"{failed.reason}, {code}{failed.message}"
