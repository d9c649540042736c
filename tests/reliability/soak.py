"""Many sweeps in one process, as a warm Lambda has them: nothing grows.

`python -m tests.reliability.soak [--sweeps 20]` prints a line for each sweep. Exit status 1 where,
after the first WARM sweeps, a thread, a file descriptor or a connection is left, or one Python
object for each sweep, or where the memory grows in the second half by more than MOST_GROWTH: the
allocator does not give back all that 64 threads had.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import io
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from tests.end_to_end.harness import environment
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import World

WARM = 3  # sweeps after which nothing new is stored for the next one
MOST_GROWTH = 0.10  # of the memory after the first half of the sweeps
# Their caches take an entry for each client and each URL, up to a limit: they are emptied before
# objects are counted. Other caches are not, because an entry that a sweep adds is a leak of ours.
FOREIGN_CACHES = ("botocore", "urllib")


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


def soak(aws: FakeAws, sweeps: int, directory: Path) -> Iterator[Footprint]:
    """Sweep so often through the Lambda's handler; yield the footprint after each sweep."""
    from sweeper.lambda_handler import handler

    world = aws.world
    variables = environment(
        aws,
        XDG_STATE_HOME=str(directory),
        SWEEPER_REPORT__S3__BUCKET=world.buckets[0].name,
        SWEEPER_REPORT__SNS_TOPIC_ARN=world.topics[0],
        SWEEPER_REMEDIATION__AUTO_REMEDIATE="DISABLED",
    )
    with mock.patch.dict(os.environ, variables, clear=True):
        for _ in range(sweeps):
            with contextlib.redirect_stderr(io.StringIO()):
                summary = handler({}, _Context())
            if summary["exit_status"] != 3:
                raise RuntimeError(f"the sweep ended with {summary['exit_status']}")
            yield _footprint(aws)


def growth(warm: Footprint, half: Footprint, last: Footprint, sweeps: int) -> list[str]:
    """Describe what grew: in `sweeps` sweeps since `warm`; the memory, since `half`.

    The collector may know a few objects more or fewer at any moment, but not more for each sweep.
    """
    found = [
        f"{name} grew from {getattr(warm, name):,} to {getattr(last, name):,}"
        for name, most in (
            ("threads", 0),
            ("descriptors", 0),
            ("connections", 0),
            ("objects", sweeps - 1),
        )
        if getattr(last, name) - getattr(warm, name) > most
    ]
    if last.rss_mb > half.rss_mb * (1 + MOST_GROWTH):
        found.append(f"memory grew from {half.rss_mb:.1f} to {last.rss_mb:.1f} MB")
    return found


def count_objects() -> int:
    """Count the objects that Python's collector knows, without those in FOREIGN_CACHES."""
    for each in gc.get_objects():
        if (
            isinstance(each, functools._lru_cache_wrapper)
            and each.cache_info().maxsize is not None
            and each.__wrapped__.__module__.startswith(FOREIGN_CACHES)
        ):
            each.cache_clear()
    gc.collect()
    return len(gc.get_objects())


def _footprint(aws: FakeAws) -> Footprint:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return Footprint(
        rss_mb=pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        objects=count_objects(),
        threads=threading.active_count(),
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        connections=aws.statistics().open_connections,
    )


def main() -> int:
    """Run the long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", type=int, default=20)
    parser.add_argument("--accounts", type=int, default=40)
    parser.add_argument("--regions", type=int, default=17)
    options = parser.parse_args()
    if options.sweeps <= WARM:
        parser.error(f"--sweeps: more than {WARM}, the sweeps that may add objects")
    world = World.generate(accounts=options.accounts, regions=options.regions)
    # Three footprints are stored however many sweeps there are: they are objects, too.
    warm = half = last = Footprint(0.0, 0, 0, 0, 0)
    with FakeAws(world) as aws, tempfile.TemporaryDirectory() as directory:
        for number, last in enumerate(soak(aws, options.sweeps, Path(directory)), 1):
            print(f"after {number} sweeps: {last}", flush=True)  # noqa: T201 (the interface)
            warm = last if number == WARM else warm
            half = last if number == max(WARM, options.sweeps // 2) else half
    found = growth(warm, half, last, options.sweeps - WARM)
    print("; ".join(found) or "nothing grew")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
