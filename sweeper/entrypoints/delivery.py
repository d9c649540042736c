"""The delivery of a report: its destinations, and what is added to it before."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeper.aws.accounts import AwsCloud
from sweeper.config.schema import Config
from sweeper.domain.report import cut_short, may_have_changed, nothing_listed
from sweeper.domain.report_model import Report
from sweeper.engine.attempts import Stop
from sweeper.engine.report_details import with_account_tags, with_config_inventory, with_ou_names
from sweeper.entrypoints import logs
from sweeper.entrypoints.bootstrap import RunContext, config_aggregator
from sweeper.reporting.formats.base import Format
from sweeper.reporting.formats.json import FORMAT as JSON
from sweeper.reporting.sinks import Plugin, make_sinks
from sweeper.reporting.sinks.base import Sink, SinkContext, Storing, deliver, is_stored, store
from sweeper.reporting.sinks.directory import DirectorySink
from sweeper.storage.evidence.file import EvidenceFile
from sweeper.storage.history import HistoryStore, attach_comparison, last_store
from sweeper.storage.journal.kinds import Header


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where a report goes: to the sinks, and to `fallback` where none of them stores it.

    `history` has the earlier report that it is compared with.
    """

    sinks: Sequence[Sink]
    history: HistoryStore | None = None
    fallback: DirectorySink | None = None

    @property
    def all_sinks(self) -> Sequence[Sink]:
        """The sinks and the fallback."""
        return [*self.sinks, *([self.fallback] if self.fallback else ())]


def make_destinations(
    config: Config,
    central: Callable[[str, str | None], Any],
    header: Header,
    directory: Path | None,
    *,
    formats: tuple[Format, ...],
    plugins: Sequence[Plugin],
    deliver_dry_run: bool,
    evidence: EvidenceFile | None = None,
) -> Destinations:
    """Return where the report of the run goes. Calls nothing.

    Where no sink stores a report, the state `directory` does, if there is one.
    """
    context = SinkContext(config, formats, central, evidence=evidence)
    sinks = make_sinks(context, plugins)
    history = last_store(sinks) if header.run_kind == "sweep" else None
    if header.dry_run and not deliver_dry_run:
        sinks = [sink for sink in sinks if sink.is_local]
    fallback = None
    if directory:
        own = directory / "reports" / header.run_id
        with_json = [JSON, *(format_ for format_ in formats if format_ is not JSON)]
        fallback = DirectorySink(own, with_json, "fallback", under_id=False)
    return Destinations(sinks, history, fallback)


def deliver_report(
    report: Report, config: Config, context: RunContext, destinations: Destinations
) -> Report:
    """Complete the report, compare it with the last one, and deliver it."""
    sinks, history, fallback = destinations.sinks, destinations.history, destinations.fallback
    report = _with_ou_names(report, context.cloud)
    must_store = may_have_changed(report)
    if history:
        store(report, sinks, fallback if must_store else None)
    report = _with_config_inventory(report, config, context)
    names = {check.name for check in context.checks}
    environment = context.environment
    report = attach_comparison(report, history, names, narrowed=environment.provenance.once)
    # Last: the accounts of resolved findings need their tags, too.
    report = with_account_tags(report, config.report.account_tags, context.cloud.account_tags)
    backoff = _delivery_backoff(config, environment.stop)
    return deliver(report, sinks, backoff, fallback, must_store=must_store)


def _with_ou_names(report: Report, cloud: AwsCloud) -> Report:
    report, failed = with_ou_names(report, cloud.ou_names)
    if failed:
        logs.log(
            logging.WARNING,
            "ou_names.unavailable",
            reason=str(failed.reason),
            error_code=failed.error_code,
            message=failed.message,
        )
    return report


def _with_config_inventory(report: Report, config: Config, context: RunContext) -> Report:
    report = with_config_inventory(
        report,
        config,
        config_aggregator(config, context.cloud.clients),
        lists_repositories=any(check.resource == "repository" for check in context.checks),
    )
    if inventory := report.config_inventory:
        for reason in filter(None, (inventory.unavailable, inventory.sources_unavailable)):
            logs.log(logging.WARNING, "config_inventory.unavailable", message=reason)
        if inventory.not_planned:
            logs.log(
                logging.WARNING,
                "config_inventory.not_planned",
                targets=len(inventory.not_planned),
                repositories=sum(each.repositories for each in inventory.not_planned),
            )
    return report


def report_file(report: Report, sinks: Iterable[Sink]) -> str | None:
    """Return where the delivered report.json is; that of a run with changes is never replaced."""
    stores = {sink.name: sink for sink in sinks if isinstance(sink, Storing)}
    files = (
        stores[delivery.sink].file(report, delivery.location)
        for delivery in report.deliveries
        if delivery.status == "delivered" and delivery.sink in stores
    )
    return next(filter(None, files), None)


def is_finished(report: Report, destinations: Destinations, *, resumed: bool) -> bool:
    """Tell whether the run was not interrupted, and its whole report is stored."""
    is_whole = not (cut_short(report) or (resumed and nothing_listed(report)))
    return is_whole and is_stored(report.deliveries, destinations.all_sinks)


def _delivery_backoff(config: Config, stop: Stop) -> Callable[[float], bool]:
    """Return a wait before a delivery is tried again, as long as there is time for that."""
    until = stop.now() + config.limits.delivery_seconds
    return lambda seconds: stop.now() + seconds < until and stop.wait(seconds)
