"""The bounded form of `python -m tests.reliability.kills`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fake_aws.process import FakeAws
from tests.reliability import kills


@pytest.mark.parametrize(
    ("seed", "in_s3"), [(1, False), pytest.param(3, True, marks=pytest.mark.slow)]
)
def test_what_was_killed_is_resumed(
    aws: FakeAws,
    tmp_path: Path,
    seed: int,
    in_s3: bool,
    record_property: Callable[[str, object], None],
) -> None:
    killed = kills.close_while_killing(aws, tmp_path, seed, in_s3=in_s3)
    record_property("summary", f"kill and resume, {killed}")
    assert killed.kills > 0
    assert killed.problems == ()


@pytest.mark.slow
def test_an_undo_that_was_killed_is_resumed(
    aws: FakeAws, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    killed = kills.undo_while_killing(aws, tmp_path, 1)
    record_property("summary", f"undo, kill and resume, {killed}")
    assert killed.kills > 0
    assert killed.problems == ()
