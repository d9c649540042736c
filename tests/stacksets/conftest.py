"""One deployment of a central template for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stacksets.deployment import SETUP, Deployment, deployed


@pytest.fixture(scope="package", params=["central-fargate"])
def stacks(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """`central-fargate`, or the template that a test names instead."""
    with deployed(request.param) as deployment:
        yield deployment


@pytest.fixture
def deployment(stacks: Deployment, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """The deployment as it was made, every repository open."""
    for name, value in SETUP.items():
        monkeypatch.setenv(name, value)
    stacks.reopen()
    return stacks
