"""One fake AWS process for all of these tests; each enters its own world."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import World

Enter = Callable[[World], FakeAws]


@pytest.fixture(scope="session")
def process() -> Iterator[FakeAws]:
    with FakeAws(World.generate(accounts=3, regions=2)) as aws:
        yield aws


@pytest.fixture
def enter(process: FakeAws, monkeypatch: pytest.MonkeyPatch) -> Enter:
    """Load a world and become its caller."""

    def load(world: World) -> FakeAws:
        process.load(world)
        for name, value in process.environment.items():
            monkeypatch.setenv(name, value)
        return process

    return load


@pytest.fixture
def aws(enter: Enter) -> FakeAws:
    return enter(World.generate(accounts=3, regions=2))
