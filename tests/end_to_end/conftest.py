"""One fake AWS process for all of these tests; each loads its own world."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.harness import Here, small_world
from tests.fake_aws.process import FakeAws


@pytest.fixture(scope="session")
def aws() -> Iterator[FakeAws]:
    with FakeAws(small_world(accounts=2, regions=1)) as process:
        yield process


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Here:
    return Here(tmp_path, monkeypatch, capsys)
