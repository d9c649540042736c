"""`sweeper completion`."""

from __future__ import annotations

import click

from sweeper.entrypoints.cli.common import print_pieces


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the script that completes commands and options.

    \b
    Install it with the line of your shell, bash 4.4 or later:
      bash  echo 'eval "$(sweeper completion bash)"' >> ~/.bashrc
      zsh   echo 'eval "$(sweeper completion zsh)"' >> ~/.zshrc
      fish  sweeper completion fish > ~/.config/fish/completions/sweeper.fish

    \b
    Examples:
      sweeper completion bash
    """
    from click.shell_completion import get_completion_class

    root = context.find_root()
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 (click has one for each of the choices)
    script = kind(root.command, {}, "sweeper", "_SWEEPER_COMPLETE").source()
    return print_pieces((f"{script}\n".encode(),), 0)
