"""Several observers as one, and the pool that tells them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sweeper.domain.model import Failed, Stage
from sweeper.engine.pool import Pool
from sweeper.engine.ports import Observers
from tests.fakes import FakeJournal, FakeObserver, make_environment


class Broken(FakeObserver):
    """A terminal that was closed."""

    def begin(self, stage: Stage, total: int) -> None:
        raise BrokenPipeError

    def done(self, stage: Stage, outcomes: Sequence[tuple[object, object]]) -> None:
        raise BrokenPipeError


def test_what_one_raises_keeps_nothing_from_the_next() -> None:
    first, last = FakeObserver(), FakeObserver()
    observers = Observers((first, Broken(), last))
    observers.begin(Stage.EXAMINE, 3)
    observers.done(Stage.EXAMINE, [("item", "outcome")])
    for observer in (first, last):
        assert (observer.stages, observer.seen) == ([(Stage.EXAMINE, 3)], 1)


def test_the_journal_hears_all_whoever_else_watches() -> None:
    journal = FakeJournal()
    pool = Pool(2, replace(make_environment(journal=journal), observer=Broken()))
    assert pool.map(Stage.EXAMINE, str, [1, 2, 3]) == ["1", "2", "3"]
    assert (journal.stages, journal.seen) == ([(Stage.EXAMINE, 3)], 3)


def test_what_is_known_is_no_work_even_when_the_sweep_was_stopped() -> None:
    environment = make_environment(journal=FakeJournal())
    known = {1: "one", 3: "three"}
    pool = Pool(2, environment)
    assert pool.map(Stage.EXAMINE, str, [1, 2, 3], known.get) == ["one", "2", "three"]
    environment.stop.request()
    first, second, third = pool.map(Stage.EXAMINE, str, [1, 2, 3], known.get)
    assert (first, third) == ("one", "three")
    assert isinstance(second, Failed)
    assert isinstance(environment.journal, FakeJournal)
    assert environment.journal.seen == 6
