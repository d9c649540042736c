"""The composition: a Config -> the parts -> one sweep -> its report, delivered."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError
from botocore.session import Session

import sweeper.checks
from sweeper import __version__
from sweeper.aws.cloud import AwsCloud
from sweeper.aws.documents import read_document
from sweeper.aws.ecr import EcrRegistry
from sweeper.aws.partitions import FALLBACK_REGION, known_regions
from sweeper.concurrency import Stop
from sweeper.config import Config
from sweeper.discovery import discover
from sweeper.errors import ConfigurationError
from sweeper.formats import Format, formats
from sweeper.model import Finding, Report
from sweeper.ports import Check, Conduct, Observer
from sweeper.records import Keeper, recalled
from sweeper.sinks import SinkContext, deliver, make_sinks
from sweeper.sweep import sweep


def run(
    config: Config,
    *,
    dry_run: bool,
    deliver_dry_run: bool = False,
    narrowed: bool = False,
    stop: Stop,
    observer: Observer,
    approve: Callable[[Sequence[Finding]], bool] = lambda _: True,
) -> Report:
    """Sweep and deliver; the report with what became of its deliveries.

    A dry run is delivered to a directory only, unless `deliver_dry_run`. A sweep that is `narrowed`
    for this one time is no point of the trend. Raises ConfigurationError before anything is called.
    """
    session = _session()
    chosen_formats = _formats(config)
    _refuse_unknown_regions(config, session)
    started = datetime.now(UTC)
    run_id = f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    kinds = [kind for _, kind in sorted(discover(sweeper.checks, "CHECK").items())]
    cloud = AwsCloud(
        config,
        session=session,
        stop=stop,
        run_id=run_id,
        read_actions=frozenset().union(*(kind.read_actions for kind in kinds)),
        write_actions=frozenset().union(*(kind.write_actions for kind in kinds)),
        may_write=not dry_run and config.remediation.auto_remediate == "ENABLED",
    )
    registry = EcrRegistry(cloud.clients)
    checks: list[Check] = [kind(registry, config, started.date()) for kind in kinds]
    report = sweep(
        cloud,
        checks,
        config,
        Conduct(
            run_id=run_id,
            version=__version__,
            dry_run=dry_run,
            now=lambda: datetime.now(UTC),
            stop=stop,
            observer=observer,
            approve=approve,
        ),
    )
    context = SinkContext(config=config, formats=chosen_formats, central=cloud.clients.central)
    sinks = make_sinks(context)
    # Of several the last keeps what sweeps are compared with: S3 rather than a directory.
    keeper = next((sink for sink in reversed(sinks) if isinstance(sink, Keeper)), None)
    report = recalled(report, keeper, {check.name for check in checks}, narrowed=narrowed)
    if dry_run and not deliver_dry_run:
        sinks = [sink for sink in sinks if sink.name == "directory"]
    return deliver(report, sinks)


def read_remote(location: str) -> str:
    """The text at ``ssm:<name>`` or ``s3://<bucket>/<key>``; raises ConfigurationError."""
    return read_document(_session(), location)


def _session() -> Session:
    session = Session()
    try:
        session.get_scoped_config()  # reads the profile, which may not be there
        if session.get_config_variable("region") is None:
            # Containers and functions have AWS_REGION, which this SDK does not read by itself.
            session.set_config_variable("region", os.environ.get("AWS_REGION") or FALLBACK_REGION)
        # Tokens of the global endpoint fail in opt-in regions, whatever the profile prefers.
        session.set_config_variable("sts_regional_endpoints", "regional")
    except BotoCoreError as error:
        raise ConfigurationError(f"AWS configuration: {error}") from None
    return session


def _formats(config: Config) -> tuple[Format, ...]:
    known = formats()
    for name in config.report.formats:
        if name not in known:
            allowed = ", ".join(sorted(known))
            raise ConfigurationError(f"report.formats: {name!r} is unknown; allowed: {allowed}")
    return tuple(known[name] for name in config.report.formats)


def _refuse_unknown_regions(config: Config, session: Session) -> None:
    """A region that is named, not read from an account, may be mistyped."""
    named = (
        ("regions.include", config.regions.include),
        ("regions.exclude", config.regions.exclude),
        ("organization.sts_region", tuple(filter(None, (config.organization.sts_region,)))),
    )
    if not any(regions for _, regions in named):
        return  # what the SDK knows is a large file
    known = known_regions(session)
    for key, regions in named:
        for region in regions:
            if region not in known:
                raise ConfigurationError(
                    f"{key}: {region!r} is not a region of any partition that this version "
                    f"knows; allowed: {', '.join(sorted(known))}"
                )
