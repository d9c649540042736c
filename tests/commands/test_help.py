"""Every help has an example, and every example is a command line that is understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from sweeper.cli import cli
from tests.cases import case
from tests.commands_page import commands, page

ROOT = Path(__file__).parents[2]
HELP = {name: context.get_help() for name, context in commands()}
EXAMPLE = re.compile(r"^ {4}(sweeper [^|>]*?)\s*(?:[|>].*)?$", re.MULTILINE)


def examples(help_text: str) -> list[str]:
    """The command lines below `Examples:`, without what the shell does with their output."""
    return EXAMPLE.findall(help_text.partition("\n  Examples:\n")[2].partition("\n\n")[0])


def test_these_are_the_commands() -> None:
    assert {"sweeper", "sweeper run", "sweeper config", "sweeper config show"} <= set(HELP)


def test_every_help_has_an_example_of_it() -> None:
    for name, text in HELP.items():
        with case(name):
            lines = text.partition("\n  Examples:\n")[2].partition("\n\n")[0].splitlines()
            found = examples(text)
            assert found, f"sweeper.commands: the help of {name!r} needs an `Examples:` block"
            assert len(found) == len(lines)
            assert all(example.startswith(name) for example in found)


def test_every_example_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[dict[str, Any]] = []
    for _, context in commands():
        if not isinstance(context.command, click.Group):
            monkeypatch.setattr(context.command, "callback", lambda **given: called.append(given))
    for example in sorted({each for text in HELP.values() for each in examples(text)}):
        with case(example):
            called.clear()
            result = CliRunner().invoke(cli, shlex.split(example)[1:])
            assert result.exit_code == 0, result.output
            assert len(called) == 1


def test_an_example_that_is_not_understood_is_told_of() -> None:
    assert CliRunner().invoke(cli, ["report", "a.json", "--formats", "html"]).exit_code == 2


def test_no_help_is_wider_than_a_narrow_window() -> None:
    for name, text in HELP.items():
        with case(name):
            assert max(map(len, text.splitlines())) <= 100


def test_the_page_is_current() -> None:
    published = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert published == page(), "run: make commands"
    assert all(f"\n## {name}\n" in published for name in HELP)
