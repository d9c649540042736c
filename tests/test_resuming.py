"""Plan, apply, kill, stop, resume, and others at work in between: against a model of the world.

The sweep, its journal and the journal's file are the real ones; what is killed ends at any call of
AWS or any write of the journal, which may be torn there, or lose what was not yet on the disk.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from sweeper.checks.tag_immutability import TagImmutability
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.model import (
    Account,
    ChangeStatus,
    OpenedAccount,
    Organization,
    Repository,
    ResumeState,
    Target,
)
from sweeper.domain.recorded_changes import RecordedChanges, undo_config
from sweeper.domain.report import cut_short
from sweeper.domain.report_model import Report
from sweeper.engine.attempts import Stop
from sweeper.engine.change_source import change_source
from sweeper.engine.sweep import sweep
from sweeper.storage import run_state as state
from sweeper.storage.journal import lines
from sweeper.storage.journal.file import JournalFile
from sweeper.storage.journal.run import RunJournal
from tests.fakes import (
    REGIONS,
    TODAY,
    FakeCloud,
    FakeRegistry,
    Key,
    make_account,
    make_config,
    make_environment,
    make_repository,
    repositories,
)
from tests.storage.journal.test_lines import HEADER

ACCOUNTS = tuple(make_account(number) for number in (1, 2, 3))
PLACES = [(account.id, region) for account in ACCOUNTS for region in REGIONS[:2]]
KEYS = [(*place, name) for place in PLACES for name in ("app", "web")]
BEFORE, TORN, AFTER = "before", "torn", "after"
WAYS = (BEFORE, TORN, AFTER)
FAR = 10**9  # an event that is not reached


class Killed(BaseException):
    """The process is gone: nothing that it would have done happens any more."""


class Fate:
    """When the process dies, and in which part of that event; or when it is told to stop."""

    def __init__(self, dies_at: int = FAR, way: str = AFTER, stops_at: int = FAR) -> None:
        self.stop = Stop()
        self._dies_at, self._way, self._stops_at = dies_at, way, stops_at
        self._events = 0
        self.is_dead = False

    def event(self, part: str) -> bool:
        """A part of an event; whether the process dies in the middle of it."""
        if self.is_dead:
            raise Killed
        if part == BEFORE:
            self._events += 1
            if self._events == self._stops_at:
                self.stop.request()
        self.is_dead = self._events >= self._dies_at and part == self._way
        if self.is_dead and part != TORN:
            raise Killed
        return self.is_dead


class World(FakeRegistry):
    """The repositories as they are, and what the run has made of them."""

    def __init__(self, facts: dict[Key, Repository]) -> None:
        super().__init__({})
        self.facts = facts
        self.fate = Fate()
        self.asked: Counter[Key] = Counter()
        self.effects: Counter[Key] = Counter()

    def repositories(self, target: Target) -> Iterator[Repository]:
        self.fate.event(BEFORE)
        place = target.account.id, target.region
        yield from [fact for key, fact in sorted(self.facts.items()) if key[:2] == place]
        self.fate.event(AFTER)

    def repository(self, target: Target, name: str) -> Repository | None:
        self.fate.event(BEFORE)
        return self.facts.get((target.account.id, target.region, name))

    def put_image_tag_mutability(
        self, target: Target, name: str, mutability: str, filters: Sequence[str]
    ) -> Repository:
        self.fate.event(BEFORE)
        key = target.account.id, target.region, name
        self.asked[key] += 1
        self.effects[key] += 1
        self.facts[key] = make_repository(name, mutability, filters)
        self.fate.event(AFTER)
        return self.facts[key]


class Cloud(FakeCloud):
    """The organization."""

    def __init__(self, fate: Fate) -> None:
        here = [(region, "ENABLED") for region in REGIONS[:2]]
        super().__init__(ACCOUNTS, {account.id: here for account in ACCOUNTS})
        self._fate = fate

    def list_accounts(self) -> Organization:
        self._fate.event(BEFORE)
        return super().list_accounts()

    def open_account(self, account: Account) -> OpenedAccount:
        self._fate.event(BEFORE)
        return super().open_account(account)


class Mortal(JournalFile):
    """A journal whose writer may die while it writes; `safe` bytes are on the disk."""

    fate = Fate()
    safe = 0

    def _write(self, lines: bytes) -> None:
        self.fate.event(BEFORE)
        if self.fate.event(TORN):
            super()._write(lines[: len(lines) // 2])
            raise Killed
        super()._write(lines)
        self.fate.event(AFTER)

    def append(self, lines: bytes, *, durable: bool = False) -> None:
        super().append(lines, durable=durable)
        if durable:
            self.safe = self.path.stat().st_size


def run(
    world: World,
    fate: Fate,
    past: ResumeState,
    file: Mortal | None,
    *,
    workers: int,
    plans: list[bytes],
    recorded: RecordedChanges | None = None,
    dry_run: bool = False,
) -> Report:
    world.fate = fate
    if file:
        file.fate = fate
    archive = (lambda plan: plans.append(b"".join(plan))) if plans else None
    journal = RunJournal(HEADER, past, file, archive)
    environment = replace(make_environment(stop=fate.stop, dry_run=dry_run), journal=journal)
    config = make_config(limits={"max_workers": workers}, remediation={"exclusions": ["v*"]})
    if recorded and recorded.kind == "undo":
        config = undo_config(config, recorded.findings)
    check = TagImmutability(world, config, TODAY)
    return sweep(Cloud(fate), (check,), config, environment, change_source(recorded))


def undisturbed(facts: dict[Key, Repository]) -> Report:
    return run(
        World(dict(facts)), Fate(), ResumeState(), None, workers=1, plans=[b"a place for one"]
    )


class Resuming(RuleBasedStateMachine):
    """One run, however many processes it takes.

    Its threads make each time a little different: so no rule depends on what happened before.
    """

    @initialize(data=st.data(), workers=st.integers(1, 3), archived=st.booleans())
    def begin(self, data: st.DataObject, workers: int, archived: bool) -> None:
        there = data.draw(st.lists(st.sampled_from(KEYS), unique=True, min_size=3))
        self.initial = {key: data.draw(repositories(key[2])) for key in there}
        self.world = World(dict(self.initial))
        self.workers = workers
        self.plans: list[bytes] = [b""] if archived else []
        self.touched: set[Key] = set()
        self.safe = 0
        self.began = self.finished = self.moved = False
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name, f"{HEADER.run_id}{state._SUFFIX}")

    @rule(at=st.integers(1, 60), way=st.sampled_from(WAYS))
    def is_killed(self, at: int, way: str) -> None:
        if not self.finished:
            self.process(Fate(dies_at=at, way=way))

    @rule(at=st.integers(1, 60))
    def is_stopped(self, at: int) -> None:
        if not self.finished:
            self.process(Fate(stops_at=at))

    @rule(lost=st.integers(1, 2000))
    def loses_what_was_not_on_the_disk(self, lost: int) -> None:
        if not self.path.exists():
            return
        size = self.path.stat().st_size
        os.truncate(self.path, max(self.safe, size - lost))

    @rule()
    def loses_its_machine(self) -> None:
        self.moved = self.moved or len(self.plans) > 1

    @rule(key=st.sampled_from(KEYS), now=repositories("app") | st.none())
    def others_change(self, key: Key, now: Repository | None) -> None:
        if not self.began or key not in self.world.facts:
            return
        self.touched.add(key)
        if now is None:
            del self.world.facts[key]
        else:
            self.world.facts[key] = replace(now, name=key[2])

    def process(self, fate: Fate) -> None:
        """One process of the run: to its end, or to its own."""
        past, file = self.found()
        report = None
        with suppress(Killed):
            report = run(self.world, fate, past, file, workers=self.workers, plans=self.plans)
        if file:
            self.safe = max(self.safe, file.safe)
            file.close(remove=False)
        self.began = True
        if report is None:
            return
        self.is_true(report)
        self.finished = not cut_short(report)
        if self.finished:
            self.is_whole(report)

    def found(self) -> tuple[ResumeState, Mortal | None]:
        """What the processes before have left."""
        if self.moved:
            return lines.read(BytesIO(self.plans[-1]), "plan")[1], None
        past = ResumeState()
        if self.began:
            try:
                begun = state.reopen_run(str(self.path), None, None)
            except ConfigurationError:  # it died before its first line was there
                assert not self.world.effects
                self.path.unlink()
            else:
                past = begun.past
                begun.close(finished=False)
        file = Mortal(self.path, new=not self.path.exists())
        if not self.path.stat().st_size:
            file.append(lines.header(HEADER))
        return past, file

    def is_true(self, report: Report) -> None:
        """What holds for every report, that of a run which was stopped included."""
        totals = report.totals
        assert totals.accounts.planned == len(ACCOUNTS)
        targets = [(item.account_id, item.region) for item in report.failures if item.region]
        targets += [(each.id, region) for each in report.accounts for region in each.regions]
        alike = {item.account_id: item.targets for item in report.failures if item.targets}
        assert not {account_id for account_id, _ in targets} & alike.keys()
        assert len(targets) == len(set(targets))
        assert len(targets) + sum(alike.values()) == totals.targets.planned
        changes = {finding.key[1:]: finding for finding in report.findings if finding.change}
        for key, times in self.world.effects.items():
            finding = changes[key]  # nothing outside the plan was written
            if key in self.touched:
                continue
            assert times == 1
            assert finding.change is not None
            if self.finished or not cut_short(report):
                assert finding.change.status is ChangeStatus.APPLIED
            before = self.initial[key]
            assert (finding.mutability, finding.exclusion_filters) == (
                before.mutability,
                before.exclusion_filters,
            )

    def is_whole(self, report: Report) -> None:
        """What holds at the end of all."""
        assert report.totals.targets.examined == len(PLACES)
        assert report.totals.accounts.opened == len(ACCOUNTS)
        expected = undisturbed(self.initial)
        if not self.touched:
            assert report == expected
        ours = [key for key in self.initial if key not in self.touched]
        wanted = {each.key[1:]: each for each in expected.findings}
        found = {each.key[1:]: each for each in report.findings}
        for key in ours:
            assert found.get(key) == wanted.get(key)

    def teardown(self) -> None:
        if not hasattr(self, "directory"):
            return
        if not self.finished:
            self.process(Fate())
            assert self.finished
        self.directory.cleanup()


TestResuming = Resuming.TestCase
TestResuming.settings = settings(stateful_step_count=10)
