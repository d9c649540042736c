"""Fakes of the sweep's protocols. Each is a rule over facts; a fact that is an error is raised."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Any, TypeVar

from hypothesis import strategies as st

from sweeper.aws.accounts import AwsCloud
from sweeper.aws.client.clients import Session
from sweeper.checks.tag_immutability import TagImmutability
from sweeper.config.provenance import provenance_of
from sweeper.config.schema import Config
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import (
    Account,
    Change,
    ChangeStatus,
    Compliance,
    Finding,
    Image,
    OpenedAccount,
    Organization,
    Repository,
    ResumeState,
    Stage,
    Target,
)
from sweeper.domain.mutability import WILDCARD
from sweeper.domain.planning import Announced
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report
from sweeper.engine.attempts import Stop
from sweeper.engine.change_source import SweepPlan
from sweeper.engine.ports import Cloud, RunEnvironment
from sweeper.engine.sweep import sweep

_SESSION = Session()

T = TypeVar("T")
Place = tuple[str, str]  # account id, region
Key = tuple[str, str, str]  # account id, region, repository
Write = tuple[Key, str, tuple[str, ...]]

REGION = "eu-central-1"
TODAY = date(2026, 6, 15)
NOW = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)


def make_config(**sections: Any) -> Config:
    return Config.model_validate(sections)


def account_id(number: int) -> str:
    return f"{number:012d}"


def make_account(number: int = 1, **facts: Any) -> Account:
    values = {"id": account_id(number), "name": f"account {number}", "state": "ACTIVE", **facts}
    return Account(**values)


def make_target(number: int = 1, region: str = REGION) -> Target:
    return Target(make_account(number), region)


def make_repository(
    name: str = "app", mutability: str = "MUTABLE", filters: Sequence[str] = ()
) -> Repository:
    arn, types = f"arn:aws:ecr:::repository/{name}", (WILDCARD,) * len(filters)
    return Repository(name, arn, mutability, tuple(filters), types)


def make_change(status: ChangeStatus = ChangeStatus.PLANNED, **values: Any) -> Change:
    return replace(Change(status, "IMMUTABLE", ()), **values)


def make_finding(name: str = "app", target: Target | None = None, **values: Any) -> Finding:
    target = target or make_target()
    finding = Finding(
        check=TagImmutability.name,
        account_id=target.account.id,
        account_name=target.account.name,
        region=target.region,
        repository=name,
        arn=f"arn:aws:ecr:::repository/{name}",
        compliance=Compliance.NON_COMPLIANT,
        mutability="MUTABLE",
        exclusion_filters=(),
        reason="image tags can be overwritten",
    )
    return replace(finding, **values)


def failure(reason: Reason = Reason.THROTTLED, *, uncertain: bool = False) -> OperationFailed:
    return OperationFailed(reason, f"it was {reason}", "SomeCode", uncertain=uncertain)


def _given(fact: T | Exception) -> T:
    if isinstance(fact, Exception):
        raise fact
    return fact


@dataclass
class FakeCloud:
    """An organization; `regions` are those of each account, else REGION alone."""

    accounts: Sequence[Account] | Exception
    regions: Mapping[str, Sequence[tuple[str, str]] | Exception] = field(default_factory=dict)

    def list_accounts(self) -> Organization:
        return Organization("o-1", "aws", account_id(1), tuple(_given(self.accounts)))

    def enter(self, account: Account) -> None:
        _given(self.regions.get(account.id, ()))

    def open_account(self, account: Account) -> OpenedAccount:
        regions = _given(self.regions.get(account.id, ((REGION, "ENABLED"),)))
        return OpenedAccount(account, tuple(regions))


class WorldCloud(AwsCloud):
    """The real access path over facts: only what goes over the wire is given."""

    def __init__(self, facts: FakeCloud, config: Config) -> None:
        super().__init__(
            config,
            session=_SESSION,
            stop=Stop(),
            run_id="run-1",
            read_actions=(),
            write_actions=(),
            may_write=False,
            today=TODAY,
        )
        self._facts = facts

    def list_accounts(self) -> Organization:
        return self._facts.list_accounts()

    def enter(self, account: Account) -> None:
        """The role can be assumed."""

    def regions(self, account: Account) -> tuple[tuple[str, str], ...]:
        return self._facts.open_account(account).regions


@dataclass
class FakeRegistry:
    """Registries that keep what is written.

    An error among a registry's repositories is raised when it is reached, as on a later page.
    `pushed` are the images of repositories.
    `reread` and `answers` say what a read before a write, and a write, meet instead; a write in
    `took_effect` is made all the same.
    """

    registries: Mapping[Place, Sequence[Repository | Exception]]
    prefixes: Mapping[Place, Sequence[str] | Exception] = field(default_factory=dict)
    reread: Mapping[Key, Repository | Exception | None] = field(default_factory=dict)
    answers: Mapping[Key, Repository | Exception] = field(default_factory=dict)
    took_effect: Collection[Key] = ()
    pushed: Mapping[Key, Sequence[Image | Exception]] = field(default_factory=dict)
    calls: list[tuple[str, Key]] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    written: dict[Key, Repository] = field(default_factory=dict)

    def repositories(self, target: Target) -> Iterator[Repository]:
        for fact in self.registries.get((target.account.id, target.region), ()):
            repository = _given(fact)
            yield self.written.get(_key(target, repository.name), repository)

    def repository(self, target: Target, name: str) -> Repository | None:
        key = _key(target, name)
        self.calls.append(("read", key))
        if key in self.reread:
            return _given(self.reread[key])
        return next((each for each in self.repositories(target) if each.name == name), None)

    def pull_through_cache_prefixes(self, target: Target) -> tuple[str, ...]:
        self.calls.append(("rules", _key(target, "")))
        return tuple(_given(self.prefixes.get((target.account.id, target.region), ())))

    def images(self, target: Target, name: str) -> Iterator[Image]:
        key = _key(target, name)
        self.calls.append(("images", key))
        yield from map(_given, self.pushed.get(key, ()))

    def put_image_tag_mutability(
        self, target: Target, name: str, mutability: str, filters: Sequence[str]
    ) -> Repository:
        key = _key(target, name)
        self.calls.append(("write", key))
        self.writes.append((key, mutability, tuple(filters)))
        if key in self.took_effect:
            self.written[key] = make_repository(name, mutability, filters)
        answer = _given(self.answers.get(key, make_repository(name, mutability, filters)))
        if key not in self.took_effect:
            self.written[key] = answer
        return answer


def _key(target: Target, name: str) -> Key:
    return target.account.id, target.region, name


@dataclass
class FakeObserver:
    """Remembers what it was told."""

    stages: list[tuple[Stage, int]] = field(default_factory=list)
    seen: int = 0

    def begin(self, stage: Stage, total: int) -> None:
        self.stages.append((stage, total))

    def done(self, stage: Stage, outcomes: Sequence[tuple[object, object]]) -> None:
        self.seen += len(outcomes)


@dataclass
class FakeClock:
    """Time that passes only while something sleeps."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class FakeJournal(FakeObserver):
    """Remembers what was recorded; refuses with `refuses` where that is given."""

    past: ResumeState = field(default_factory=ResumeState)
    refuses: OperationFailed | None = None
    records: list[tuple[str, Any]] = field(default_factory=list)

    def plan(self, targets: Sequence[Target], outcomes: Sequence[object]) -> None:
        if self.refuses:
            raise self.refuses
        self.records.append(("plan", len(targets)))

    def intend(self, finding: Finding) -> None:
        self.records.append(("intend", finding))

    def settle(self, finding: Finding) -> None:
        self.records.append(("settle", finding))


@dataclass
class FakeRecords:
    """What earlier sweeps left, and what this one leaves; itself the sink that keeps it.

    `meanwhile` is what other sweeps write, one each time before something is replaced.
    """

    kept: dict[str, bytes | Exception] = field(default_factory=dict)
    meanwhile: list[bytes] = field(default_factory=list)
    latest: str = "latest.json"
    asked: list[str] = field(default_factory=list)

    @property
    def records(self) -> FakeRecords:
        return self

    def read(self, name: str, use: Callable[[BytesIO], T]) -> T | None:
        self.asked.append(name)
        content = self.kept.get(name)
        return None if content is None else use(BytesIO(_given(content)))

    def replace(self, name: str, pieces: Iterable[bytes]) -> None:
        if self.meanwhile:
            self.kept[name] = self.meanwhile.pop(0)
            raise OperationFailed(Reason.CONCURRENT_MODIFICATION, "changed", "PreconditionFailed")
        self.kept[name] = b"".join(pieces)


def make_environment(
    *,
    dry_run: bool = False,
    stop: Stop | None = None,
    approve: Callable[[Sequence[Finding]], bool] = lambda _: True,
    journal: FakeJournal | None = None,
    may_write: Callable[[], None] = lambda: None,
    config: Config | None = None,
    now: datetime = NOW,
) -> RunEnvironment:
    return RunEnvironment(
        run_id="run-1",
        version="1.2.3",
        dry_run=dry_run,
        started=NOW,
        now=lambda: now,
        stop=stop or Stop(),
        observer=FakeObserver(),
        approve=approve,
        journal=journal or FakeJournal(),
        may_write=may_write,
        provenance=provenance_of(config or make_config()),
    )


def run_sweep(
    cloud: Cloud, registry: FakeRegistry, config: Config, environment: RunEnvironment | None = None
) -> Report:
    check = TagImmutability(registry, config, TODAY)
    environment = environment or make_environment(config=config)
    return sweep(cloud, (check,), config, environment, SweepPlan())


# --- random organizations ------------------------------------------------------------------------

ROOT, PROD, DEV = "r-ab12", "ou-ab12-11111111", "ou-ab12-22222222"
REGIONS = ("ap-east-1", "eu-west-1", "us-east-1")
FILTERS = ("latest", "v*", "a", "b", "c", "d")
MUTABILITIES = (
    "IMMUTABLE",
    "IMMUTABLE_WITH_EXCLUSION",
    "MUTABLE",
    "MUTABLE_WITH_EXCLUSION",
    "NEW_WORD",
)
GRACE_DAYS = 3
ROLLOUTS = (
    [{"from": TODAY}],
    [{"from": TODAY + timedelta(days=1)}],
    [{"include_ous": [PROD], "from": TODAY}],
    [{"include_ous": [PROD], "from": TODAY}, {"from": TODAY + timedelta(days=9)}],
)
PASSING = (Reason.THROTTLED, Reason.TIMED_OUT, Reason.SERVICE_ERROR)
DENIALS = (Reason.DENIED, Reason.DENIED_BY_SCP)


@dataclass(frozen=True)
class World:
    """The facts of an organization, a configuration, and how the sweep is conducted."""

    accounts: tuple[Account, ...]
    regions: Mapping[str, tuple[tuple[str, str], ...] | Exception]
    registries: Mapping[Place, tuple[Repository | Exception, ...]]
    prefixes: Mapping[Place, tuple[str, ...] | Exception]
    reread: Mapping[Key, Repository | Exception | None]
    answers: Mapping[Key, Repository | Exception]
    config: Config
    dry_run: bool
    approved: bool
    announced: Mapping[Key, date]

    def sweep(
        self, workers: int = 2, pushed: Mapping[Key, Sequence[Image | Exception]] | None = None
    ) -> tuple[Report, FakeRegistry]:
        """The sweep; impact is assessed where it is said what was `pushed`."""
        limits = self.config.limits.model_copy(update={"max_workers": workers})
        assess = {"assess_impact": pushed is not None}
        remediation = self.config.remediation.model_copy(update=assess)
        config = self.config.model_copy(update={"limits": limits, "remediation": remediation})
        registry = FakeRegistry(
            self.registries, self.prefixes, self.reread, self.answers, pushed=pushed or {}
        )
        cloud = WorldCloud(FakeCloud(self.accounts, self.regions), config)
        environment = make_environment(
            dry_run=self.dry_run, approve=lambda _: self.approved, config=self.config
        )
        days = {(TagImmutability.name, *key): day for key, day in self.announced.items()}
        environment = replace(environment, read_announced=lambda *_: Announced(days))
        return run_sweep(cloud, registry, config, environment), registry


def errors(reasons: Sequence[Reason]) -> st.SearchStrategy[Exception]:
    known = st.sampled_from(reasons).map(lambda reason: OperationFailed(reason, "why", "Code"))
    return known | st.just(ZeroDivisionError("a defect"))


def rarely(
    what: st.SearchStrategy[Any], otherwise: st.SearchStrategy[Any], one_in: int = 6
) -> st.SearchStrategy[Any]:
    numbers = st.integers(1, one_in)
    return numbers.flatmap(lambda number: what if number == one_in else otherwise)


filters = st.lists(st.sampled_from(FILTERS), unique=True, max_size=3)


@st.composite
def repositories(draw: st.DrawFn, name: str) -> Repository:
    mutability = draw(st.sampled_from(MUTABILITIES))
    excluding = mutability.endswith("_WITH_EXCLUSION")
    return make_repository(name, mutability, draw(filters) if excluding else ())


@st.composite
def configs(draw: st.DrawFn) -> Config:
    some_accounts = rarely(
        st.lists(st.sampled_from([account_id(1), account_id(2)]), unique=True), st.just([])
    )
    some_ous = rarely(st.just([PROD]), st.just([]))
    reasons = st.sampled_from([Reason.DENIED, Reason.ASSUME_ROLE_DENIED, Reason.REGIONS_UNREADABLE])
    gaps = st.fixed_dictionaries(
        {"reason": reasons, "region": st.sampled_from(["*", "ap-*"])},
    )
    rules = st.fixed_dictionaries(
        {
            "repository": st.sampled_from(["app", "cache/*", "*"]),
            "reason": st.just("because"),
            "expires": st.sampled_from(["never", "2026-06-14", "2026-06-15"]),
        }
    )
    return make_config(
        report={"directory": "out"},  # grace periods need one, and the sweep itself writes none
        organization={
            "include_ous": draw(some_ous),
            "exclude_ous": draw(rarely(st.just([DEV]), st.just([]))),
            "exclude_accounts": draw(some_accounts),
        },
        regions=draw(
            st.sampled_from(
                [
                    {},
                    {"include": ["eu-west-1"]},
                    {"include": ["eu-west-1", "ap-east-1"]},
                    {"exclude": ["us-east-1"]},
                    {"include": ["eu-west-1"], "exclude": ["us-east-1"]},
                ]
            )
        ),
        coverage={"accept": draw(rarely(st.lists(gaps, min_size=1), st.just([])))},
        policy={
            "allowed_exclusions": draw(filters),
            "exempt_pull_through_cache": draw(st.booleans()),
        },
        exemptions=draw(rarely(st.lists(rules, min_size=1), st.just([]))),
        remediation={
            "auto_remediate": draw(rarely(st.just("DISABLED"), st.just("ENABLED"))),
            "include_ous": draw(some_ous),
            "exclude_accounts": draw(some_accounts),
            "exclusions": draw(filters),
            "exclusions_by_repository": draw(
                st.dictionaries(st.sampled_from(["app", "cache/*", "*"]), filters, max_size=2)
            ),
            "ignore_root_cache_rule": draw(st.booleans()),
            "rollout": draw(rarely(st.sampled_from(ROLLOUTS), st.just([]), one_in=3)),
            "grace_days": draw(rarely(st.just(GRACE_DAYS), st.just(0), one_in=3)),
            "max_changes": draw(st.sampled_from([500, 500, 1, 3])),
            "max_changes_per_account": draw(st.sampled_from([None, None, 1, 2])),
            "min_coverage": draw(rarely(st.sampled_from([0.5, 1.0]), st.just(0.0))),
        },
    )


@st.composite
def worlds(draw: st.DrawFn, denials: Sequence[Reason] = DENIALS) -> World:
    """Any organization; with `denials` a write, or the read before it, may be refused."""
    numbers = range(1, draw(st.integers(1, 4)) + 1)
    paths = st.sampled_from([(ROOT,), (ROOT, PROD), (ROOT, PROD, DEV)])
    states = rarely(st.sampled_from(["SUSPENDED", "CLOSED", "DREAMING"]), st.just("ACTIVE"))
    statuses = rarely(
        st.sampled_from(["DISABLED", "ENABLING", "HALF"]), st.just("ENABLED_BY_DEFAULT")
    )
    seeing = errors((*PASSING, *DENIALS, Reason.ASSUME_ROLE_DENIED))
    writing = errors((*PASSING, *denials))
    names = st.lists(
        st.sampled_from(["app", "web", "cache/x", "cachet/x"]), unique=True, min_size=1
    )

    accounts = tuple(
        make_account(number, state=draw(states), ou_path=draw(paths)) for number in numbers
    )
    regions: dict[str, Any] = {}
    registries: dict[Place, tuple[Repository | Exception, ...]] = {}
    prefixes: dict[Place, Any] = {}
    reread: dict[Key, Any] = {}
    answers: dict[Key, Any] = {}
    announced: dict[Key, date] = {}
    ages = st.sampled_from([-1, 0, GRACE_DAYS - 1, GRACE_DAYS, 400])
    for account in accounts:
        present = draw(st.lists(st.sampled_from(REGIONS), unique=True, min_size=1))
        regions[account.id] = draw(
            rarely(seeing, st.just(tuple((region, draw(statuses)) for region in present)))
        )
        for region in present:
            place = account.id, region
            facts: list[Repository | Exception] = [draw(repositories(name)) for name in draw(names)]
            for fact in tuple(facts):
                assert isinstance(fact, Repository)
                if draw(rarely(st.just(True), st.just(False))):
                    changed = st.none() | repositories(fact.name) | writing
                    reread[*place, fact.name] = draw(changed)
                if draw(st.booleans()):
                    announced[*place, fact.name] = TODAY - timedelta(days=draw(ages))
                if draw(rarely(st.just(True), st.just(False))):
                    answers[*place, fact.name] = draw(repositories(fact.name) | writing)
            if draw(rarely(st.just(True), st.just(False))):
                facts.insert(draw(st.integers(0, len(facts))), draw(seeing))
            registries[place] = tuple(facts)
            prefixes[place] = draw(
                rarely(errors((*PASSING, *DENIALS)), st.sampled_from([(), ("cache",), ("ROOT",)]))
            )
    return World(
        accounts,
        regions,
        registries,
        prefixes,
        reread,
        answers,
        draw(configs()),
        dry_run=draw(rarely(st.just(True), st.just(False))),
        approved=draw(rarely(st.just(False), st.just(True))),
        announced=announced,
    )
