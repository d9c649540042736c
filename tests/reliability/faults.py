"""`python -m tests.reliability.faults`: the fault matrix; exit status 1 for a broken promise.

Each run is the real command line against a fake AWS of its own, remediating, with a report that is
delivered to a directory, to S3 and to SNS.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.end_to_end.harness import Ended, run
from tests.fake_aws.process import FakeAws
from tests.reliability.promises import Facts, broken, ended_early
from tests.reliability.scenarios import LONG, Scenario, Size

_USABLE = "ENABLED_BY_DEFAULT"


Job = tuple[Scenario, int, Size]  # what happens, the seed, how large


@dataclass(frozen=True)
class Result:
    """One run of one scenario."""

    scenario: str
    seed: int
    faults: dict[str, int]
    examined: int
    failed: int
    writes: int
    seconds: float
    status: int
    ended_early: bool
    broken: list[str]

    def __str__(self) -> str:
        """One line, and one more for each broken promise."""
        faults = ", ".join(f"{count} {name}" for name, count in self.faults.items()) or "none"
        verdict = "BROKEN" if self.broken else "ended early" if self.ended_early else "ok"
        line = (
            f"seed {self.seed}  {self.scenario}: faults met: {faults}; targets: {self.examined} "
            f"examined, {self.failed} failed; {self.writes} writes; exit {self.status}; "
            f"{self.seconds:.1f} s; {verdict}"
        )
        return "\n".join((line, *(f"    {each}" for each in self.broken)))


def play(scenario: Scenario, seed: int, size: Size, directory: Path) -> Result:
    """Run the scenario once in `directory`."""
    world = scenario.world(seed, size)
    lasting_accounts, lasting_targets = scenario.lasting(world)
    with FakeAws(world) as aws:
        before = aws.repositories()
        aws.events(scenario.events(world))
        config = {
            "remediation": {"max_changes": 1_000_000},
            "report": {
                "s3": {"bucket": world.buckets[0].name},
                "sns_topic_arn": world.topics[0],
            },
        }
        started = time.monotonic()
        ended = run(aws, directory, "--format", "json", config=config)
        seconds = time.monotonic() - started
        statistics = aws.statistics()
        report = json.loads(ended.stdout)
        facts = Facts(
            scenario=scenario,
            report=report,
            status=ended.status,
            output=_everything_told(aws, ended),
            accounts=[account.id for account in world.accounts],
            regions=[name for name, state in world.regions.items() if state == _USABLE],
            lasting_accounts=lasting_accounts,
            lasting_targets=lasting_targets,
            before=before,
            after=aws.repositories(),
            writes=statistics.writes,
            secrets=aws.secrets(),
        )
    totals = report["totals"]["targets"]
    expired = {"expired": statistics.expired} if statistics.expired else {}
    return Result(
        scenario.name,
        seed,
        {**statistics.faults, **expired},
        totals["examined"],
        totals["failed"],
        sum(write["accepted"] for write in statistics.writes),
        seconds,
        ended.status,
        ended_early(report),
        [*broken(facts), *_differing_copies(ended, report)],
    )


def _everything_told(aws: FakeAws, ended: Ended) -> str:
    """All that a person could read afterwards: streams, files, objects and messages."""
    files = (path for path in sorted(ended.directory.rglob("*")) if path.is_file())
    return "\n".join(
        (
            ended.stdout,
            ended.stderr,
            *(path.read_text(encoding="utf-8", errors="replace") for path in files),
            *(each.body.decode(errors="replace") for each in aws.objects()),
            json.dumps(aws.messages()),
        )
    )


def _differing_copies(ended: Ended, printed: Any) -> Iterator[str]:
    """The report in the directory is the printed one, which alone knows its deliveries."""
    if {**ended.report, "deliveries": None} != {**printed, "deliveries": None}:
        yield "report.json and the printed report differ"


def matrix(jobs: Sequence[Job], *, at_once: int = 1) -> Iterator[Result]:
    """The result of every job, in order, as they come."""
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(at_once) as pool:
        runs = [pool.submit(play, *job, Path(place) / str(i)) for i, job in enumerate(jobs)]
        for each in runs:
            yield each.result()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.faults")
    parser.add_argument("--seeds", default="1,2,3", help="comma between them; default: 1,2,3")
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--regions", type=int, default=17)
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="scenarios with these words in their names"
    )
    options = parser.parse_args(arguments)
    scenarios = [each for each in LONG if options.only in each.name]
    seeds = [int(seed) for seed in options.seeds.split(",")]
    size = Size(options.accounts, options.regions)
    broken_runs = early_runs = runs = 0
    for result in matrix([(each, seed, size) for seed in seeds for each in scenarios]):
        sys.stdout.write(f"{result}\n")
        sys.stdout.flush()
        runs += 1
        broken_runs += bool(result.broken)
        early_runs += result.ended_early
    sys.stdout.write(
        f"{runs} runs, {early_runs} that could not list the organization, "
        f"{broken_runs} with broken promises\n"
    )
    return 1 if broken_runs or not runs else 0


if __name__ == "__main__":
    sys.exit(main())
