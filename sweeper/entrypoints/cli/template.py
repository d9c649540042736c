"""`sweeper template`."""

from __future__ import annotations

from pathlib import Path

import click

import sweeper
from sweeper.entrypoints.cli.common import print_pieces

_TEMPLATES = {
    "member-role": "member-role.yaml",
    "central-fargate": "central-fargate.yaml",
    "central-lambda": "central-lambda.yaml",
    "central-stepfunctions": "central-stepfunctions.yaml",
    "member-events": "member-events.yaml",
    "central-events": "central-events.yaml",
    "deny-tag-mutability-changes": "deny-tag-mutability-changes.json",
}
_PACKAGE = Path(sweeper.__file__).parent


@click.command()
@click.argument("name", type=click.Choice(list(_TEMPLATES)))
def template(name: str) -> int:
    """Print a template to deploy: CloudFormation, or the policy.

    \b
    Examples:
      sweeper template member-role > member-role.yaml
      sweeper template central-fargate > central-fargate.yaml
    """
    # The wheel has them inside the package, a checkout beside it.
    folders = (_PACKAGE / "stacksets", _PACKAGE.parent / "stacksets")
    folder = next(filter(Path.is_dir, folders))
    return print_pieces(((folder / _TEMPLATES[name]).read_bytes(),), 0)
