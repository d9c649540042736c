"""Every help has an example, and every example is a command line that is understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from sweeper import __version__
from sweeper.entrypoints.cli.main import cli
from tests.cases import case
from tests.commands_page import commands, page
from tests.entrypoints.cli.conftest import Sweeper

ROOT = Path(__file__).parents[3]
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
            assert found, f"the help of {name!r} needs an `Examples:` block"
            assert len(found) == len(lines)
            assert all(example.startswith(name) for example in found)


def test_every_example_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def record(name: str) -> Any:
        return lambda **_: called.append(name)

    for name, context in commands():
        command = context.command
        if not isinstance(command, click.Group) or command.invoke_without_command:
            monkeypatch.setattr(command, "callback", record(name))
    for example in sorted({each for text in HELP.values() for each in examples(text)}):
        with case(example):
            called.clear()
            result = CliRunner().invoke(cli, shlex.split(example)[1:])
            assert result.exit_code == 0, result.output
            assert called[-1] == max(
                (name for name in HELP if f"{example} ".startswith(f"{name} ")), key=len
            )


def test_no_help_is_wider_than_a_narrow_window() -> None:
    for name, text in HELP.items():
        with case(name):
            assert max(map(len, text.splitlines())) <= 100


def test_the_page_is_current() -> None:
    published = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert published == page(), "run: make commands"
    assert all(f"\n## {name}\n" in published for name in HELP)


def test_the_version(sweeper: Sweeper) -> None:
    assert sweeper("--version") == (0, f"sweeper {__version__}\n", "")


def test_help_is_asked_for_by_either_name(sweeper: Sweeper) -> None:
    for command in ((), ("run",), ("config", "show")):
        with case(command):
            status, out, error = sweeper(*command, "--help")
            assert (status, error) == (0, "")
            assert out.startswith(" ".join(("Usage: sweeper", *command)))
            assert sweeper(*command, "-h") == (status, out, error)


def test_usage_errors_are_exit_status_2(sweeper: Sweeper) -> None:
    for arguments, named in (
        (("sweep",), "sweep"),
        (("run", "stray"), "stray"),
        (("run", "--config"), "--config"),
        (("run", "--deliver"), "--dry-run"),
        (("report", "a.json", "--formats", "html"), "--formats"),
        (("completion", "tcsh"), "tcsh"),
    ):
        with case(arguments):
            status, out, error = sweeper(*arguments)
            assert (status, out) == (2, "")
            assert named in error
