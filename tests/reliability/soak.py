"""Many sweeps in one process, as a warm Lambda has them: nothing grows.

`python -m tests.reliability.soak [--sweeps 20]` prints a line for each sweep. Exit status 1 where
threads, file descriptors, connections or Python's objects grow, or the process's memory by more
than MOST_GROWTH: the allocator keeps some of what 64 threads had.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from tests.end_to_end.harness import environment
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import World

WARM = 8  # sweeps after which all that is kept for the next one is there
MOST_GROWTH = 0.10  # of the memory after WARM sweeps
MOST_OBJECTS = 0.03  # of Python's objects: the SDK's caches fill up to their limits


@dataclass(frozen=True)
class Footprint:
    """What the process holds after a sweep."""

    rss_mb: float
    objects: int
    threads: int
    descriptors: int
    connections: int

    def __str__(self) -> str:
        return (
            f"{self.rss_mb:.1f} MB, {self.objects:,} objects, {self.threads} threads, "
            f"{self.descriptors} descriptors, {self.connections} connections"
        )


class _Context:
    """What Lambda tells of the time that is left."""

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 900_000


def soak(aws: FakeAws, sweeps: int, directory: Path) -> list[Footprint]:
    """Sweep so often through the Lambda's handler; the footprint after each sweep."""
    from sweeper.lambda_handler import handler

    world = aws.world
    variables = environment(
        aws,
        XDG_STATE_HOME=str(directory),
        SWEEPER_REPORT__S3__BUCKET=world.buckets[0].name,
        SWEEPER_REPORT__SNS_TOPIC_ARN=world.topics[0],
        SWEEPER_REMEDIATION__AUTO_REMEDIATE="DISABLED",
    )
    footprints = []
    with mock.patch.dict(os.environ, variables, clear=True):
        for _ in range(sweeps):
            with contextlib.redirect_stderr(io.StringIO()):
                summary = handler({}, _Context())
            if summary["exit_status"] != 3:
                raise RuntimeError(f"the sweep ended with {summary['exit_status']}")
            gc.collect()
            footprints.append(_footprint(aws))
    return footprints


def problems(footprints: list[Footprint], warm_after: int = WARM) -> list[str]:
    """What grew after the first sweeps, in words."""
    warm, last = footprints[warm_after - 1], footprints[-1]
    found = [
        f"{name} grew from {getattr(warm, name)} to {getattr(last, name)}"
        for name in ("threads", "descriptors", "connections")
        if getattr(last, name) > getattr(warm, name)
    ]
    if last.objects > warm.objects * (1 + MOST_OBJECTS):
        found.append(f"objects grew from {warm.objects:,} to {last.objects:,}")
    if last.rss_mb > warm.rss_mb * (1 + MOST_GROWTH):
        found.append(f"memory grew from {warm.rss_mb:.1f} to {last.rss_mb:.1f} MB")
    return found


def _footprint(aws: FakeAws) -> Footprint:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return Footprint(
        rss_mb=pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        objects=len(gc.get_objects()),
        threads=threading.active_count(),
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        connections=aws.statistics().open_connections,
    )


def main() -> int:
    """Run the long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", type=int, default=20)
    parser.add_argument("--accounts", type=int, default=40)
    options = parser.parse_args()
    world = World.generate(accounts=options.accounts, regions=17)
    with FakeAws(world) as aws, tempfile.TemporaryDirectory() as directory:
        footprints = soak(aws, options.sweeps, Path(directory))
    for number, footprint in enumerate(footprints, 1):
        print(f"after {number} sweeps: {footprint}")  # noqa: T201 (the interface)
    found = problems(footprints)
    print("; ".join(found) or "nothing grew")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
