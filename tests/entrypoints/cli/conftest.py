"""The command line in this process: what it printed, and its exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from sweeper.entrypoints.cli import main as cli

Sweeper = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sweeper(monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> Sweeper:
    """Call it with arguments; exit status, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sweeper", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfdbinary.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out.decode(), err.decode()

    return call
