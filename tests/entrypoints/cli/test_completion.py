"""`sweeper completion`: the shell's own protocol, and nothing that would make it slow."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases import case
from tests.entrypoints.cli.conftest import Sweeper

SLOW = (
    "botocore",
    "pydantic",
    "yaml",
    "jinja2",
    "rich",
    "moto",
    "sweeper.aws",
    "sweeper.config.schema",
)


# Which modules the command had imported, after each of these command lines and a completion.
LISTING = """import os, sys
from sweeper.entrypoints.cli.main import main
for line in (["--help"], ["--version"], ["report", "--help"], ["config", "show", "--help"], []):
    sys.argv = ["sweeper", *line]
    if not line:
        os.environ.update(_SWEEPER_COMPLETE="bash_complete", COMP_WORDS="sweeper run --for",
                          COMP_CWORD="2")
    try:
        main()
    except SystemExit:
        print(*sys.modules, file=sys.stderr)"""


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8")


def test_what_bash_is_told(sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch) -> None:
    for words, answers in (
        ("sweeper run --for", ["plain,--formats", "plain,--format"]),
        ("sweeper run --format ", ["plain,json", "plain,markdown", "plain,text"]),
        ("sweeper rep", ["plain,report"]),
        ("sweeper config ", ["plain,check", "plain,init", "plain,schema", "plain,show"]),
        ("sweeper config show --form", ["plain,--formats", "plain,--format"]),
        ("sweeper report --format h", ["plain,html"]),
        ("sweeper report ./re", ["file,./re"]),
        ("sweeper run --config ./co", ["file,./co"]),
        ("sweeper run --nothing-like-it", []),
    ):
        with case(words):
            monkeypatch.setenv("_SWEEPER_COMPLETE", "bash_complete")
            monkeypatch.setenv("COMP_WORDS", words)
            monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))  # the last word
            _, out, error = sweeper()
            assert (out.split(), error) == (answers, "")


def test_neither_completion_nor_help_imports_anything_slow() -> None:
    listed = run([sys.executable, "-c", LISTING]).stderr.splitlines()
    assert len(listed) == 5
    for modules in listed:
        assert "sweeper.entrypoints.cli.run" in modules
        assert [each for each in modules.split() if each.startswith(SLOW)] == []


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
    told = run(["bash", "--norc", "-c", asked]).stdout.splitlines()
    assert told == ["schema show", "complete -o nosort -F _sweeper_completion sweeper"]


def test_the_other_shells_have_a_script(sweeper: Sweeper) -> None:
    for shell, mark in (("zsh", "compdef"), ("fish", "complete --no-files")):
        with case(shell):
            status, script, error = sweeper("completion", shell)
            assert (status, error) == (0, "")
            assert mark in script
            assert f"_SWEEPER_COMPLETE={shell}_complete" in script
