"""`sweeper completion`: the shell's own protocol, and nothing that would make it slow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.conftest import Sweeper

SLOW = ("botocore", "pydantic", "yaml", "jinja2", "rich", "moto", "sweeper.aws", "sweeper.config")


# Which modules the command had imported in the end.
LISTING = """import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from sweeper.cli import main
main()"""


def ask(words: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Ask as bash does, by Python with these options; the last word is the one to complete."""
    asked = {
        "_SWEEPER_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    return run([sys.executable, *(options or ("-m", "sweeper"))], asked)


def run(command: list[str], extra: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, **extra},
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        ("sweeper run --for", ["plain,--format"]),
        ("sweeper run --format ", ["plain,json", "plain,text"]),
        ("sweeper rep", ["plain,report"]),
        ("sweeper config ", ["plain,check", "plain,schema", "plain,show"]),
        ("sweeper config show --form", ["plain,--format"]),
        ("sweeper report --format h", ["plain,html"]),
        ("sweeper report ./re", ["file,./re"]),
        ("sweeper run --config ./co", ["file,./co"]),
        ("sweeper run --nothing-like-it", []),
    ],
)
def test_what_bash_is_told(words: str, answers: list[str]) -> None:
    asked = ask(words)
    assert asked.stdout.split() == answers
    assert asked.stderr == ""


def test_completion_imports_nothing_slow() -> None:
    assert_quick(ask("sweeper run --for", "-c", LISTING).stderr.split())


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("report", "--help"), ("config", "show", "--help")]
)
def test_neither_does_help(arguments: tuple[str, ...]) -> None:
    assert_quick(run([sys.executable, "-c", LISTING, *arguments], {}).stderr.split())


def assert_quick(modules: list[str]) -> None:
    assert "sweeper.commands.run" in modules
    assert [each for each in modules if each.startswith(SLOW)] == []


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_the_script_completes_in_bash(sweeper: Sweeper) -> None:
    status, script, error = sweeper("completion", "bash")
    assert (status, error) == (0, "")
    Path("sweeper").write_text(f'#!/bin/sh\nexec {sys.executable} -m sweeper "$@"\n')
    Path("sweeper").chmod(0o755)
    asked = f"""{script}
        COMP_WORDS=(sweeper config s) COMP_CWORD=2
        _sweeper_completion ./sweeper
        echo "${{COMPREPLY[@]}}"; complete -p sweeper"""
    told = run(["bash", "--norc", "-c", asked], {}).stdout.splitlines()
    assert told == ["schema show", "complete -o nosort -F _sweeper_completion sweeper"]


@pytest.mark.parametrize(("shell", "mark"), [("zsh", "compdef"), ("fish", "complete --no-files")])
def test_the_other_shells_have_a_script(sweeper: Sweeper, shell: str, mark: str) -> None:
    status, script, error = sweeper("completion", shell)
    assert (status, error) == (0, "")
    assert mark in script
    assert f"_SWEEPER_COMPLETE={shell}_complete" in script


def test_no_other_shell_has() -> None:
    command = [sys.executable, "-m", "sweeper", "completion", "tcsh"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in ended.stderr
