"""Distributions of others, as pip would install them: modules, and metadata with entry points."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(
    directory: Path, name: str, entry_points: Mapping[str, Mapping[str, str]], **modules: str
) -> None:
    """Put a distribution into the directory, which is to be on the path of the interpreter."""
    metadata = directory / f"{name}-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    groups = (
        "\n".join((f"[{group}]", *(f"{key} = {value}" for key, value in entries.items())))
        for group, entries in entry_points.items()
    )
    (metadata / "entry_points.txt").write_text("\n".join(groups))
    for module, source in modules.items():
        (directory / f"{module}.py").write_text(source, encoding="utf-8")
