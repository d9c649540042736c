"""The uv that the Makefile takes: the machine's, else its own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]


def uv() -> str:
    """Where it is; raises RuntimeError where there is none."""
    found = shutil.which("uv", path=f"{os.environ.get('PATH', os.defpath)}:{ROOT / '.uv/bin'}")
    if found is None:
        raise RuntimeError("uv is missing: `make install` has it")
    return found
