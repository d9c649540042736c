"""One fake AWS process for all of these tests; each enters its own world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import certifi
import pytest

from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import World

Enter = Callable[[World], FakeAws]


@pytest.fixture(scope="session")
def process() -> Iterator[FakeAws]:
    with FakeAws(World.generate(accounts=3, regions=2)) as aws:
        yield aws


@pytest.fixture(scope="session")
def authority_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One authority: to read all of them costs more than all else, and here TLS is not spoken."""
    first, end, _ = Path(certifi.where()).read_text("utf-8").partition("-----END CERTIFICATE-----")
    bundle = tmp_path_factory.mktemp("authority") / "one.pem"
    bundle.write_text(f"{first}{end}\n", encoding="utf-8")
    return bundle


@pytest.fixture
def enter(process: FakeAws, authority_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Enter:
    """Load a world and become its caller."""

    def load(world: World) -> FakeAws:
        process.load(world)
        for name, value in process.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority_bundle))
        return process

    return load


@pytest.fixture
def aws(enter: Enter) -> FakeAws:
    return enter(World.generate(accounts=3, regions=2))
