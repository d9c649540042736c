"""docs/commands.md: every command with its help: `python -m tests.commands_page`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from sweeper.entrypoints.cli.main import cli

WIDTH = 78  # columns, as at a terminal of 80


def commands(
    command: click.Command = cli, name: str = "sweeper", parent: click.Context | None = None
) -> Iterator[tuple[str, click.Context]]:
    """Every command and group by its whole name, with its context; groups before what they hold."""
    context = click.Context(
        command,
        parent=parent,
        info_name=name.rpartition(" ")[2],
        terminal_width=WIDTH,
        **command.context_settings,
    )
    yield name, context
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            yield from commands(command.commands[inner], f"{name} {inner}", context)


def page() -> str:
    """The document."""
    parts = ["# Commands\n\nMade by `make commands`: what each `--help` says.\n"]
    for name, context in commands():
        parts.append(f"\n## {name}\n\n```text\n{context.get_help()}\n```\n")
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
