"""Separate sweeps at the same time, one for each configuration: what the machine allows at best.

`python separate_sweeps.py SWEEPER CONFIG…`; the reports are CONFIG.json.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path


def main(sweeper: str, *configs: str) -> int:
    """Return the highest exit status."""
    has_cores = hasattr(os, "sched_setaffinity")  # not on macOS
    cores = sorted(os.sched_getaffinity(0)) if has_cores else []
    with ExitStack() as files:
        sweeps = [
            subprocess.Popen(
                [sweeper, "run", "--dry-run", "--format", "json", "--config", config],
                stdout=files.enter_context(Path(f"{config}.json").open("wb")),
            )
            for config in configs
        ]
        for number, sweep in enumerate(sweeps if cores else ()):
            # Each sweep chooses one core by chance: both could have the same.
            os.sched_setaffinity(sweep.pid, {cores[number % len(cores)]})
        return max(sweep.wait() for sweep in sweeps)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
