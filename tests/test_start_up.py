"""What only a sweep needs is not imported for a help."""

from __future__ import annotations

import subprocess
import sys

import pytest

LARGE = ("boto3", "botocore", "jinja2", "pydantic", "rich", "structlog", "urllib3", "yaml")
PROGRAM = f"""
import sys
from sweeper.entrypoints.cli.main import main
try:
    main()
finally:
    found = [name for name in {LARGE!r} if name in sys.modules]
    print("imported:", *found, file=sys.stderr)
"""


def imported(*arguments: str) -> list[str]:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.stdout
    name, *found = ended.stderr.split()
    assert name == "imported:"
    return found


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("run", "--help"), ("undo", "--help")]
)
def test_a_help_imports_none_of_them(arguments: tuple[str, ...]) -> None:
    assert imported(*arguments) == []


def test_they_are_found_where_they_are_imported() -> None:
    assert {"boto3", "pydantic", "structlog"} <= set(imported("config", "show"))


def test_logs_do_not_import_rich() -> None:
    assert "rich" not in imported("config", "show")
