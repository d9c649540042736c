"""One fake AWS process for each module; each test starts with a fresh world."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fake_aws.process import FakeAws
from tests.fake_aws_tests.support import WORLD


@pytest.fixture(scope="module")
def process() -> Iterator[FakeAws]:
    with FakeAws(WORLD) as aws:
        yield aws


@pytest.fixture
def aws(process: FakeAws) -> FakeAws:
    process.load(WORLD)
    return process
