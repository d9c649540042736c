"""kill -9 at random moments of remediating runs, then `--resume`, until one ends by itself.

`python -m tests.reliability.kills [--kills 500] [--seed 1] [--undo]` goes on until so many
processes were killed, and prints a line for every organization that was closed, or with `--undo`
opened again, that way. Exit status 1 where a promise does not hold.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.end_to_end.harness import (
    RUN,
    UNDO,
    Ended,
    end,
    open_repositories,
    run,
    start_command,
    writes,
)
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault, World

CONFIG = {"limits": {"max_workers": 8}, "remediation": {"max_changes": 10_000}}
MOST_KILLS = 40  # of one run, before it is let end
MOST_CALLS = 60  # of a process, before it is killed
MORE_CALLS = 10  # at most, until it is
POLL = 0.002  # seconds between two looks at how many calls there were


@dataclass(frozen=True)
class Killed:
    """One organization that was closed by a run that was killed `kills` times."""

    seed: int
    kills: int
    while_writing: int
    changes: int
    unrecorded: int  # writes that were made, and whose result no process had recorded when killed
    problems: tuple[str, ...]

    def __str__(self) -> str:
        verdict = "ok" if not self.problems else f"BROKEN: {'; '.join(self.problems)}"
        return (
            f"seed {self.seed}: {self.kills} kills, {self.while_writing} of them while writing; "
            f"{self.changes} changes, {self.unrecorded} of them settled afterwards; {verdict}"
        )


def close_while_killing(aws: FakeAws, directory: Path, seed: int, *, in_s3: bool) -> Killed:
    """Close an organization; kill its run after so many of its calls as follow from `seed`."""
    world = World.generate(
        accounts=4, regions=3, repositories_per_target=4, seed=seed, latency=0.02
    )
    aws.load(world)
    config: dict[str, Any] = dict(CONFIG)
    if in_s3:
        config["report"] = {"s3": {"bucket": world.buckets[0].name, "prefix": "sweeps"}}
    before = open_repositories(aws)
    ended, killed = _until_one_ends(aws, directory, RUN, config, seed)
    if ended.status == 6:  # killed before it had a journal, and after it had the lease
        ended = run(aws, directory, config={**config, "report": {}})
    return _judged(aws, ended, before, killed)


def undo_while_killing(aws: FakeAws, directory: Path, seed: int) -> Killed:
    """Close an organization, and undo that; kill the undo as the run is killed above."""
    world = World.generate(
        accounts=4, regions=3, repositories_per_target=4, seed=seed, latency=0.02
    )
    aws.load(world)
    before = {(each.account, each.region, each.name): each for each in aws.repositories()}
    run(aws, directory, config=CONFIG)
    closed = len(writes(aws))
    aws.reset_statistics()
    ended, killed = _until_one_ends(aws, directory, (*UNDO, "out/report.json", "--yes"), None, seed)
    problems = []
    if ended.status != 0:
        problems.append(f"exit status {ended.status}: {ended.stderr[-300:]}")
    if any(each != before[each.account, each.region, each.name] for each in aws.repositories()):
        problems.append("not all is as it was before")
    made = Counter((each["account"], each["region"], each["repository"]) for each in writes(aws))
    if twice := [key for key, count in made.items() if count > 1]:
        problems.append(f"written twice: {twice}")
    reverted = sum(each["totals"]["changes"]["applied"] for each in _undo_reports(directory))
    if reverted != closed:
        problems.append(f"closed {closed}, recorded as reverted {reverted}")
    if list((directory / "state" / "sweeper").glob("*.journal")):
        problems.append("a journal is left")
    return replace(killed, changes=len(made), problems=tuple(problems))


def _until_one_ends(
    aws: FakeAws,
    directory: Path,
    command: Sequence[str],
    config: dict[str, Any] | None,
    seed: int,
) -> tuple[Ended, Killed]:
    """Kill the command after so many calls, and resume it, until it ends by itself."""
    moments = random.Random(seed)
    options: tuple[str, ...] = ()

    def is_delivered() -> bool:
        if "undo" in command:
            return bool(_undo_reports(directory))
        return (directory / "out" / "report.json").exists()

    kills = while_writing = unrecorded = 0
    while True:
        calls = moments.randint(1, MOST_CALLS)
        until = aws.statistics().total_calls + calls
        # So a run with more calls to make never ends before it is killed, however slow this is.
        aws.faults([Fault("hold", skip=calls + MORE_CALLS)] if kills < MOST_KILLS else [])
        process = start_command(aws, directory, (*command, *options), config)
        while process.poll() is None and (
            kills == MOST_KILLS or aws.statistics().total_calls < until
        ):
            time.sleep(POLL)
        if process.poll() is not None:
            ended = end(process, directory)
            break
        process.kill()
        end(process, directory)
        kills += 1
        journals = list((directory / "state" / "sweeper").glob("*.journal"))
        if journals:
            options = ("--resume", journals[0].stem)
            lines = journals[0].read_bytes()
            while_writing += b'"intent"' in lines
            unrecorded += max(0, len(writes(aws)) - lines.count(b'"result"'))
        elif is_delivered():
            # It had delivered its report, and removed its journal: it had finished.
            ended = Ended(0, "", "", directory)
            break
    aws.faults([])
    return ended, Killed(seed, kills, while_writing, 0, unrecorded, ())


def _undo_reports(directory: Path) -> list[Any]:
    """Return the reports of undos, of which one run has one."""
    found = map(Path.read_bytes, (directory / "out").glob("*/report.json"))
    return [each for each in map(json.loads, found) if each["run"]["kind"] == "undo"]


def _judged(aws: FakeAws, ended: Ended, before: dict[Any, Any], killed: Killed) -> Killed:
    problems = []
    if ended.status != 0:
        problems.append(f"exit status {ended.status}: {ended.stderr[-300:]}")
    if left := open_repositories(aws):
        problems.append(f"{len(left)} repositories are open")
    made = Counter((each["account"], each["region"], each["repository"]) for each in writes(aws))
    if twice := [key for key, count in made.items() if count > 1]:
        problems.append(f"written twice: {twice}")
    findings = {
        (item["account_id"], item["region"], item["repository"]): item
        for item in (ended.report["findings"] if (ended.directory / "out").exists() else ())
    }
    applied = {key for key, item in findings.items() if item["change"]["status"] == "applied"}
    if applied != set(made):
        problems.append(f"written {len(made)}, recorded as applied {len(applied)}")
    for key, item in findings.items():
        was = before[key]
        if (item["mutability"], tuple(item["exclusion_filters"])) != (
            was.mutability,
            was.exclusion_filters,
        ):
            problems.append(f"{key}: not what was replaced")
    if list((ended.directory / "state" / "sweeper").glob("*.journal")):
        problems.append("a journal is left")
    return replace(killed, changes=len(applied), problems=tuple(problems))


def main() -> int:
    """Run the long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--undo", action="store_true", help="kill undos of what runs closed")
    options = parser.parse_args()
    total = broken = while_writing = changes = unrecorded = organizations = 0
    began = time.monotonic()
    with FakeAws(World.generate(accounts=1, regions=1)) as aws:
        seed = options.seed
        while total < options.kills:
            with tempfile.TemporaryDirectory() as directory:
                if options.undo:
                    one = undo_while_killing(aws, Path(directory), seed)
                else:
                    one = close_while_killing(aws, Path(directory), seed, in_s3=seed % 3 == 0)
            print(one, flush=True)  # noqa: T201 (the interface)
            total += one.kills
            while_writing += one.while_writing
            changes += one.changes
            unrecorded += one.unrecorded
            broken += bool(one.problems)
            organizations += 1
            seed += 1
    print(  # noqa: T201
        f"{total} kills of {organizations} runs, {while_writing} while writing; "
        f"{changes} changes, {unrecorded} of them settled afterwards; {broken} broken; "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
