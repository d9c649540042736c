"""One run about events: a sweep of what they name, and its report below events/."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from sweeper.aws.accounts import AwsCloud
from sweeper.aws.client.clients import Clients, Session
from sweeper.aws.client.credentials import MemberSession
from sweeper.aws.client.session import refuse_unknown_regions
from sweeper.aws.ecr import NamedRegistry
from sweeper.aws.s3 import Bucket, Objects
from sweeper.checks import checks, chosen_checks
from sweeper.config.loader import Loaded
from sweeper.config.schema import Config, S3Config
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.events import Hint, RepositoryKey, events_without_result
from sweeper.domain.exemptions import covers_account
from sweeper.domain.model import (
    Account,
    Failed,
    Finding,
    Key,
    OpenedAccount,
    Organization,
    ResumeState,
    Stage,
)
from sweeper.domain.planning import Announced
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report, Run
from sweeper.domain.selection import why_left_out
from sweeper.engine.attempts import Stop, attempt
from sweeper.engine.hinted_plan import HintedPlan
from sweeper.engine.ports import Observer
from sweeper.engine.sweep import sweep
from sweeper.entrypoints import app, logs
from sweeper.entrypoints.bootstrap import (
    build_context,
    new_header,
    read_announced,
    read_contested_if_known,
    reports_bucket,
)
from sweeper.entrypoints.delivery import Destinations, deliver_report, report_file
from sweeper.reporting.formats.json import FORMAT as JSON
from sweeper.reporting.sinks import chosen_plugins, make_sinks
from sweeper.reporting.sinks.base import SinkContext
from sweeper.reporting.wording import number
from sweeper.storage import run_state as state
from sweeper.storage.reopenings import FOLDER, forget_reopenings, record_reopenings

_LISTED_FOR = 300.0  # seconds that a list of the accounts is used for


class WarmState:
    """The state of a process between batches, until the configuration changes.

    That is the members' sessions until they expire, and the accounts for _LISTED_FOR seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._config: Config | None = None
        self._listed: tuple[float, Organization] | None = None
        self.sessions: dict[str, MemberSession] = {}

    def adapt(self, config: Config) -> None:
        """Forget all if the configuration is another one."""
        if config != self._config:
            self._config, self._listed, self.sessions = config, None, {}

    def recall(self, account_ids: AbstractSet[str]) -> Organization | None:
        """Return the accounts that were listed lately, if these are among them.

        An account whose exemptions are undecided is none of them: what could not be read then may
        be readable now.
        """
        if self._listed is None or self._clock() - self._listed[0] > _LISTED_FOR:
            return None
        organization = self._listed[1]
        known = {
            account.id
            for account in organization.accounts
            if account.id in account_ids and not self._is_undecided(account)
        }
        return organization if account_ids <= known else None

    def store(self, organization: Organization) -> None:
        """Store the accounts that were listed now."""
        self._listed = self._clock(), organization

    def _is_undecided(self, account: Account) -> bool:
        config = self._config
        return (
            config is not None
            and why_left_out(account, config.organization) is None
            and any(covers_account(rule, account) is None for rule in config.exemptions)
        )


class _WarmCloud:
    """AWS for the engine; it lists the accounts only if that was long ago.

    A large organization has hundreds of pages of accounts: to read all of them for each event would
    take longer than all else.
    """

    def __init__(self, cloud: AwsCloud, warm: WarmState, account_ids: AbstractSet[str]) -> None:
        self._cloud = cloud
        self._warm = warm
        self._account_ids = account_ids

    def list_accounts(self) -> Organization:
        organization = self._warm.recall(self._account_ids)
        if organization:
            self._cloud.adopt_accounts(organization)
            return organization
        organization = self._cloud.list_accounts()
        self._warm.store(organization)
        return organization

    def open_account(self, account: Account) -> OpenedAccount:
        return self._cloud.open_account(account)

    def enter(self, account: Account) -> None:
        self._cloud.enter(account)


@dataclass(frozen=True, slots=True)
class EventsRun:
    """A run about events that ended; `absent` are the hinted repositories that are gone.

    `file` is where the report lies; None where there was nothing to store.
    """

    report: Report
    absent: frozenset[tuple[str, str, str]]
    file: str | None


def require_bucket(config: Config) -> S3Config:
    """Return where reports and counts are stored. Raises ConfigurationError if that is nowhere."""
    if config.report.s3 is None:
        raise ConfigurationError(
            "report.s3: null is not allowed for events: their reports, and what is made mutable "
            "again and again, are stored there"
        )
    return config.report.s3


def run_hints(
    loaded: Loaded,
    hints: Sequence[Hint],
    *,
    session: Session,
    warm: WarmState,
    stop: Stop,
    observer: Observer,
) -> EventsRun:
    """Examine what the hints name, change what is due, report on it, and deliver the report.

    The lease, the history and the last report of sweeps are left alone. A report is delivered
    where there is something in it. Raises ConfigurationError.
    """
    config = _narrow(loaded.config)
    warm.adapt(config)
    refuse_unknown_regions(config, session, loaded.provenance.regions_from)
    own = checks()
    kinds = [kind for kind in chosen_checks(config) if kind.name in own]  # a plugin lists all
    plugins = chosen_plugins(config)
    narrowed_by = (*loaded.provenance.narrowed_by, _describe_hints(hints))
    provenance = replace(loaded.provenance, narrowed_by=narrowed_by, once=True)
    header = new_header(config, dry_run=False, kind="events")
    logs.bind_run(header.run_id)
    registries: list[NamedRegistry] = []

    def make_registry(clients: Clients) -> NamedRegistry:
        names: dict[tuple[str, str], list[str]] = {}
        for hint in hints:
            if hint.repository is not None:
                names.setdefault((hint.account_id, hint.region), []).append(hint.repository)
        registries.append(NamedRegistry(clients, names))
        return registries[0]

    with ExitStack() as at_the_end:
        context = build_context(
            config,
            state.OpenRun(header, ResumeState(), None),
            kinds,
            provenance=provenance,
            session=session,
            may_write=config.remediation.auto_remediate == "ENABLED",
            stop=stop,
            observer=observer,
            at_the_end=at_the_end,
            make_registry=make_registry,
            sessions=warm.sessions,
        )
        bucket = Bucket(require_bucket(config), context.cloud.clients.central)
        limit = config.remediation.max_reopened
        now = context.environment.now
        counted: list[Hint] = []  # by this run; a duplicate may be in another one now
        known: list[Announced] = []

        def count(due: Sequence[Hint]) -> Mapping[RepositoryKey, str]:
            above_limit, added = record_reopenings(Objects(bucket), due, now(), limit)
            counted.extend(hint for hint in due if hint.event_id in added)
            return above_limit

        def read_notice(run: Run, keys: Collection[Key]) -> Announced:
            # The notice of a change is given by a sweep's report, which is not below FOLDER.
            known.append(read_announced(loaded.config, context.cloud.clients.central, run, keys))
            return known[-1]

        whole = reports_bucket(loaded.config, context.cloud.clients.central)
        contested = partial(read_contested_if_known, loaded.config, whole)
        changes = HintedPlan(hints, count, contested=contested, denied=registries[0].denied)
        cloud = _WarmCloud(context.cloud, warm, {hint.account_id for hint in hints})
        environment = replace(context.environment, read_announced=read_notice)
        report = sweep(cloud, context.checks, config, environment, changes)
        if nothing_came := events_without_result(counted, report.findings):
            _forget(bucket, nothing_came)
        if known:
            report = _without_days(report, known[-1])
        file = None
        if report.findings or report.failures:
            central = context.cloud.clients.central
            every = make_sinks(SinkContext(config, (JSON,), central), plugins)
            destinations = Destinations([sink for sink in every if sink.takes_events])
            report = deliver_report(report, config, context, destinations)
            file = report_file(report, destinations.sinks)
            if file:
                app.close_plan(context, header, resumed=False)
    return EventsRun(report, frozenset(registries[0].absent), file)


def _forget(bucket: Bucket, events: AbstractSet[str]) -> None:
    failed = attempt(
        Stage.CHANGE, lambda bucket: forget_reopenings(Objects(bucket), events), bucket
    )
    if isinstance(failed, Failed):
        reason, message = str(failed.reason), failed.message
        logs.log(logging.WARNING, "reopenings.not_forgotten", reason=reason, message=message)


def _without_days(report: Report, announced: Announced) -> Report:
    """Name no day for a change that no sweep has announced: the next one will, a later day."""

    def edit(finding: Finding) -> Finding:
        change = finding.change
        if change is None or change.reason is not Reason.IN_GRACE_PERIOD:
            return finding
        if finding.key in announced.days:
            return finding
        error = change.error or "the next sweep announces it, and names the day"
        return replace(finding, change=replace(change, due=None, error=error))

    return replace(report, findings=tuple(map(edit, report.findings)))


def _narrow(config: Config) -> Config:
    """Return the configuration with its reports below FOLDER, and without a lease."""
    s3 = require_bucket(config)
    prefix = f"{s3.prefix}/{FOLDER}" if s3.prefix else FOLDER
    own = s3.model_copy(update={"prefix": prefix, "lease": False})
    report = config.report.model_copy(update={"s3": own, "evidence": False})
    return config.model_copy(update={"report": report})


def _describe_hints(hints: Sequence[Hint]) -> str:
    """Return, for the scope in the report, what the run is narrowed to."""
    repositories = sum(hint.repository is not None for hint in hints)
    templates = len(hints) - repositories
    parts = [number(repositories, "repository")] if repositories else []
    if templates:
        parts.append(f"the creation templates of {number(templates, 'account-region')}")
    return f"only what events name, {' and '.join(parts)}"
