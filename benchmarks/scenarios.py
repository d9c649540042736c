"""What is measured: one function a scenario, each gives the sections of its tables."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import nan
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import worlds
from benchmarks.contenders import (
    FLOOR,
    SWEEPER,
    TWO_PROCESSES,
    TWO_SWEEPS,
    USUAL,
    console_script,
    sweeper_report,
)
from benchmarks.measure import Contender, Measurement, Usage, compiled, launch, measure
from benchmarks.real_names import AwsByTls
from benchmarks.tables import Goal, Row, Section, comparison, medians, ratio
from benchmarks.worlds import Truth
from tests.fake_aws.process import FakeAws, Statistics

THREADS = 64  # limits.max_workers, sweeper's default
MOST_CPU = 3.2  # times the floor's
MOST_CPU_OF_A_FIRST_SWEEP = 3.0
MOST_DURATION_OF_TWO = 1.2  # times that of two sweeps of half the accounts at the same time
MOST_CPU_WHEN_BUSY = 5.0  # the same where other work disturbs the threads
MOST_CONNECTIONS = 2.5  # for each thread
FEW, SMALL, LARGE, LARGEST, MEMORY = 60, 100, 1_000, 5_000, 10_000  # accounts
THROTTLED_ACCOUNTS, THROTTLED = 120, 40


def compare(
    aws: FakeAws, plan: Mapping[Contender, int], truth: Truth
) -> tuple[dict[str, Row], dict[str, list[Measurement]]]:
    """Run each contender so many rounds, interleaved, and give the medians."""
    with FakeAws(worlds.organization(1)[0]) as small:
        for contender in plan:
            measured(contender, small)  # a round that does not count: byte code is compiled
    runs: dict[str, list[Measurement]] = {contender.name: [] for contender in plan}
    for turn in range(max(plan.values())):
        for contender, rounds in plan.items():
            if turn < rounds:
                runs[contender.name].append(measured(contender, aws)[0])
    return {name: medians(name, each, truth) for name, each in runs.items()}, runs


def measured(contender: Contender, aws: FakeAws) -> tuple[Measurement, Statistics, Any]:
    """Run the contender once; return the report too, when it is sweeper's."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        directory = Path(name)
        measurement, statistics = measure(contender, aws, directory)
        report = sweeper_report(directory) if contender is SWEEPER else None
    used = measurement.usage
    say(f"{contender.name}: {used.cpu:.2f} CPU s, {used.wall:.1f} s, {used.peak_mb:.0f} MB")
    return measurement, statistics, report


def say(text: str) -> None:
    """Tell whoever waits."""
    print(text, file=sys.stderr, flush=True)


def described(accounts: int, truth: Truth, latency: float) -> str:
    """Describe the work for a table's title."""
    return (
        f"{accounts:,} accounts x {truth.targets // accounts} regions, {truth.repositories:,} "
        f"repositories, {truth.found:,} tag-mutable, latency {latency * 1000:g} ms"
    )


def data_of(runs: Mapping[str, Sequence[Measurement]]) -> dict[str, Any]:
    """Return every round, for the JSON."""
    return {name: [asdict(each) for each in rounds] for name, rounds in runs.items()}


def organization(accounts: int = SMALL, rounds: int = 5) -> list[Section]:
    """100 accounts: sweeper beside the usual way and the floor.

    The usual way takes more than a minute: one round.
    """
    world, truth = worlds.organization(accounts)
    say(f"organization: {described(accounts, truth, world.latency)}")
    with FakeAws(world) as aws:
        rows, runs = compare(aws, {SWEEPER: rounds, FLOOR: rounds, USUAL: 1}, truth)
    columns, cells = comparison([rows["floor"], rows["sweeper"], rows["usual"]], truth)
    goals = (
        *_beside_the_floor(rows),
        Goal(
            "the usual way's CPU, times sweeper's", ratio(rows["usual"], rows["sweeper"]), 10, True
        ),
    )
    notes = (
        "Medians of interleaved rounds. usual: a boto3 session an account, a client a region, "
        "32 threads; floor: urllib3 and hmac, no SDK.",
    )
    title = described(accounts, truth, world.latency)
    return [Section("organization", title, columns, cells, goals, notes, data_of(runs))]


def first_sweep(accounts: int = SMALL, rounds: int = 5) -> list[Section]:
    """100 accounts before any repository was made immutable: 2,900 findings, beside the floor."""
    world, truth = worlds.first_sweep(accounts)
    say(f"first_sweep: {described(accounts, truth, world.latency)}")
    with FakeAws(world) as aws:
        rows, runs = compare(aws, {SWEEPER: rounds, FLOOR: rounds}, truth)
    columns, cells = comparison([rows["floor"], rows["sweeper"]], truth)
    title = described(accounts, truth, world.latency)
    goals = _beside_the_floor(rows, MOST_CPU_OF_A_FIRST_SWEEP)
    return [Section("first_sweep", title, columns, cells, goals, (), data_of(runs))]


def real_names(accounts: int = SMALL, rounds: int = 3) -> list[Section]:
    """100 accounts by TLS, at AWS's own names: a host for each region, beside the floor."""
    world, truth = worlds.organization(accounts)
    say(f"real_names: {described(accounts, truth, world.latency)}")
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as name,
        AwsByTls(world, Path(name)) as aws,
    ):
        rows, runs = compare(aws, {SWEEPER: rounds, FLOOR: rounds}, truth)
    columns, cells = comparison([rows["floor"], rows["sweeper"]], truth)
    title = f"{described(accounts, truth, world.latency)}, by TLS at AWS's names"
    sweeper, floor = rows["sweeper"], rows["floor"]
    connections = sweeper.connections / floor.connections if sweeper.correct else None
    goals = (
        Goal("sweeper's CPU, times the floor's", ratio(sweeper, floor), MOST_CPU),
        Goal("sweeper's connections, times the floor's", connections, 1.25),
    )
    return [Section("real_names", title, columns, cells, goals, (), data_of(runs))]


def _beside_the_floor(rows: Mapping[str, Row], most: float = MOST_CPU) -> tuple[Goal, ...]:
    cpu = ratio(rows["sweeper"], rows["floor"])
    return Goal("sweeper's CPU, times the floor's", cpu, most), _connections(rows)


def _connections(rows: Mapping[str, Row]) -> Goal:
    sweeper = rows["sweeper"]
    connections = sweeper.connections / THREADS if sweeper.correct else None
    return Goal("sweeper's connections, for each thread", connections, MOST_CONNECTIONS)


def small() -> list[Section]:
    """Measure a few accounts beside the floor, without the start: bounded, for a busy machine.

    Ratios of the least CPU of a few rounds, because what else runs adds to both.
    """
    sections = []
    least: dict[str, list[float]] = {"sweeper": [], "floor": []}
    for accounts in (1, FEW):
        world, truth = worlds.organization(accounts)
        say(f"small: {described(accounts, truth, world.latency)}")
        with FakeAws(world) as aws:
            rows, runs = compare(aws, {SWEEPER: 2, FLOOR: 3}, truth)
        for name, row in rows.items():
            least[name].append(row.least_cpu if row.correct else nan)
        columns, cells = comparison([rows["floor"], rows["sweeper"]], truth)
        title = described(accounts, truth, world.latency)
        goals = (_cpu_without_starting(least), _connections(rows)) if accounts == FEW else ()
        sections.append(Section("small", title, columns, cells, goals, (), data_of(runs)))
    return sections


def _cpu_without_starting(least: Mapping[str, Sequence[float]]) -> Goal:
    cpu = {name: few - one for name, (one, few) in least.items()}
    text = f"sweeper's CPU for {FEW - 1} more accounts, times the floor's"
    return Goal(text, cpu["sweeper"] / cpu["floor"], MOST_CPU_WHEN_BUSY)


def large(some: int = LARGE, most: int = LARGEST, rounds: int = 3) -> list[Section]:
    """1,000 accounts beside the floor, and 5,000: what a target costs must not grow."""
    sections = []
    cost: dict[int, float | None] = {}
    for accounts, plan in ((some, {SWEEPER: rounds, FLOOR: rounds}), (most, {SWEEPER: 1})):
        world, truth = worlds.organization(accounts)
        say(f"large: {described(accounts, truth, world.latency)}")
        with FakeAws(world) as aws:
            rows, runs = compare(aws, plan, truth)
        sweeper = rows["sweeper"]
        cost[accounts] = sweeper.cpu / truth.targets if sweeper.correct else None
        columns, cells = comparison(list(rows.values()), truth)
        title = described(accounts, truth, world.latency)
        if accounts == some:
            peak = sweeper.peak_mb if sweeper.correct else None
            goals = (*_beside_the_floor(rows), Goal(f"peak MB at {some:,} accounts", peak, 95))
        else:
            few, many = cost[some], cost[most]
            growth = many / few if many and few else None
            goals = (Goal(f"CPU a target, times that of {some:,} accounts", growth, 1.25),)
        sections.append(Section("large", title, columns, cells, goals, (), data_of(runs)))
    return sections


def processes(accounts: int = LARGE, rounds: int = 3) -> list[Section]:
    """1,000 accounts with one process, and with two: how long it takes on two cores.

    Two separate sweeps, each of half the accounts, are what two processes can be at best here: the
    fake endpoint takes a part of the same cores, and each sweep lists all accounts.
    """
    world, truth = worlds.organization(accounts)
    say(f"processes: {described(accounts, truth, world.latency)}")
    with FakeAws(world) as aws:
        contenders = (SWEEPER, TWO_PROCESSES, TWO_SWEEPS)
        rows, runs = compare(aws, dict.fromkeys(contenders, rounds), truth)
    columns, cells = comparison(list(rows.values()), truth)
    one, two, best = (rows[contender.name] for contender in contenders)
    correct = all(row.correct for row in rows.values())
    times = two.wall / best.wall if correct else None
    goal = Goal("duration, times that of two sweeps of half", times, MOST_DURATION_OF_TWO)
    notes = (
        f"Two processes take {two.wall / one.wall:.2f} of the time of one, "
        f"two separate sweeps of half the accounts {best.wall / one.wall:.2f}.",
    )
    title = described(accounts, truth, world.latency)
    return [Section("processes", title, columns, cells, (goal,), notes, data_of(runs))]


def memory(accounts: int = MEMORY) -> list[Section]:
    """10,000 accounts, 170,000 targets, 10,000 findings, no latency: the peak memory."""
    world, truth = worlds.organization(accounts, latency=0)
    say(f"memory: {described(accounts, truth, 0)}")
    with FakeAws(world) as aws:
        rows, runs = compare(aws, {SWEEPER: 1}, truth)
    sweeper = rows["sweeper"]
    columns, cells = comparison([sweeper], truth)
    peak = sweeper.peak_mb if sweeper.correct else None
    goal = Goal(f"peak MB at {accounts:,} accounts", peak, 165)
    title = described(accounts, truth, 0)
    return [Section("memory", title, columns, cells, (goal,), (), data_of(runs))]


def throttling(accounts: int = THROTTLED_ACCOUNTS, throttled: int = THROTTLED) -> list[Section]:
    """120 accounts, 40 of them throttled for ever, beside the same 120 without a fault.

    Healthy calls lost: targets and accounts without a fault that the report lists as failed. How
    long a healthy account's targets take is measured at the fake: from the arrival of its first
    ECR call to the answer to its last one. That has all waits in it that the throttled accounts
    cause: in calls, between calls and for a thread. The moment at which the last healthy target
    was done has the opening of the accounts before it.
    """
    world, truth = worlds.organization(accounts)
    bad = set(worlds.throttled_accounts(world, throttled))
    say(f"throttling: {described(accounts, truth, world.latency)}, {throttled} throttled")
    rows: list[tuple[str, ...]] = []
    goals: list[Goal] = []
    data: dict[str, Any] = {}
    calm = 0.0
    with FakeAws(world) as aws:
        for name, service in (("none", None), ("ecr", "ecr"), ("all", "*")):
            faults = worlds.throttling(tuple(sorted(bad)), service) if service else ()
            aws.faults(faults)
            measurement, statistics, report = measured(SWEEPER, aws)
            healthy = [
                statistics.spans[f"ecr:{account.id}"]
                for account in world.accounts
                if account.id not in bad
            ]
            seconds = median(last - first for first, last in healthy)
            done = max(last for _, last in healthy)
            failures = [each for each in report["failures"] if each["account_id"] in bad]
            lost = len(report["failures"]) - len(failures)
            reasons = Counter(each["reason"] for each in failures)
            calm = calm or seconds
            slower = seconds / calm
            used = measurement.usage
            rows.append(
                (
                    *(name, f"{used.wall:.1f}", f"{used.cpu:.2f}", f"{measurement.calls:,}"),
                    *(str(lost), f"{seconds:.2f}", f"{slower:.2f}", f"{done:.1f}"),
                    ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())),
                )
            )
            data[name] = {
                "measurement": asdict(measurement),
                "lost": lost,
                "healthy_seconds": seconds,
                "reasons": dict(reasons),
            }
            if service is None:
                continue
            others = sum(count for reason, count in reasons.items() if reason != "throttled")
            listed = len({each["account_id"] for each in failures})
            goals += [
                Goal(f"{name}: healthy accounts and targets lost", lost, 0),
                Goal(f"{name}: a healthy account's median time, times the calm one's", slower, 1.5),
                Goal(f"{name}: failures for another reason than throttled", others, 0),
                Goal(f"{name}: throttled accounts among the failures", listed, throttled, True),
            ]
    columns = (
        *("throttled", "wall s", "CPU s", "calls"),
        *("healthy lost", "healthy account s", "x calm", "done s", "failures"),
    )
    title = f"{described(accounts, truth, world.latency)}; {throttled} throttled"
    notes = (
        "ecr: their ECR calls; all: every call that acts upon them. healthy account s: median "
        "time from an account's first ECR call to its last answer; done: the last answer to any.",
    )
    return [Section("throttling", title, columns, tuple(rows), tuple(goals), notes, data)]


def imports(rounds: int = 8) -> list[Section]:
    """CPU of starting up: sweeper's command line and its help beside `import boto3`.

    The least of a few rounds, because what else runs adds to all.
    """
    python = [sys.executable, "-c"]
    commands = {
        "python": [*python, "pass"],
        "import boto3": [*python, "import boto3"],
        "import sweeper.entrypoints.cli.main": [*python, "import sweeper.entrypoints.cli.main"],
        "sweeper --help": [str(console_script()), "--help"],
    }
    say("imports")
    used: dict[str, list[Usage]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        for turn in range(rounds):
            for name, command in commands.items():
                usage = launch(command, Path(directory), compiled())
                if usage.status:
                    raise RuntimeError(f"{name}: exit status {usage.status}")
                if turn:  # the first one reads the files, and may compile them
                    used[name].append(usage)
    cpu = {name: min(each.cpu for each in rounds) for name, rounds in used.items()}
    boto3 = cpu["import boto3"]
    rows = tuple(
        (name, str(len(used[name])), f"{seconds:.3f}", f"{seconds / boto3:.2f}")
        for name, seconds in cpu.items()
    )
    goals = tuple(
        Goal(f"CPU of `{name}`, times that of `import boto3`", cpu[name] / boto3, 0.5)
        for name in ("import sweeper.entrypoints.cli.main", "sweeper --help")
    )
    columns = ("start", "rounds", "CPU s", "x boto3")
    data = {name: [asdict(each) for each in rounds] for name, rounds in used.items()}
    return [Section("imports", "Start-up", columns, rows, goals, (), data)]
