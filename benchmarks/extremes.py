"""Sweeps at the edge: a registry with all that ECR allows, an organization that denies all."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.contenders import console_script
from benchmarks.measure import Contender, Measurement, measure
from benchmarks.tables import Goal, Section
from benchmarks.worlds import REGIONS, Truth
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Deny, Registry, World

_FINDINGS = 100_000  # repositories: what ECR allows in one registry
_ACCOUNTS = 10_000
_FORMATS = ("json", "csv", "html", "junit", "ocsf", "text")
_FINDINGS_REMAIN, _NOT_ALL_SEEN = 3, 4


def findings(count: int = _FINDINGS) -> list[Section]:
    """100,000 findings in one account and region, delivered in every format."""
    for size in (1, count):  # the first round does not count: byte code is compiled
        registries = (Registry(region="us-east-1", count=size), Registry(repositories=()))
        world = World.generate(1, 1, 0, non_compliant_share=1.0, latency=0.0, registries=registries)
        measurement, output = _swept(world, _FORMATS, _FINDINGS_REMAIN)
    used = measurement.usage
    found = measurement.found.found
    goals = (
        Goal("findings in the report", found, count, at_least=True),
        Goal("peak MB", used.peak_mb, 350),
        Goal("CPU s", used.cpu, 20),
    )
    title = f"{count:,} findings in one target, all formats"
    return [_section("findings", title, measurement, output, goals)]


def denied(accounts: int = _ACCOUNTS) -> list[Section]:
    """10,000 accounts whose 17 regions are all denied, in the default formats."""
    deny = Deny(actions=("ecr:*",), except_accounts=(), kind="identity_policy")
    for size in (1, accounts):  # the first round does not count: byte code is compiled
        world = World.generate(size, REGIONS, 0, latency=0.0, denies=(deny,))
        measurement, output = _swept(world, ("json", "csv"), _NOT_ALL_SEEN)
    used = measurement.usage
    goals = (
        Goal("MB of reports, text and log", sum(output.values()), 10),
        Goal("peak MB", used.peak_mb, 250),
    )
    title = f"{accounts:,} accounts x {REGIONS} regions, all denied"
    return [_section("denied", title, measurement, output, goals)]


def _section(
    name: str,
    title: str,
    measurement: Measurement,
    output: dict[str, float],
    goals: tuple[Goal, ...],
) -> Section:
    used = measurement.usage
    columns = ("wall s", "CPU s", "peak MB", "MB written", *output)
    figures = (
        f"{used.wall:.1f}",
        f"{used.cpu:.2f}",
        f"{used.peak_mb:.0f}",
        f"{sum(output.values()):.1f}",
    )
    row = (*figures, *(f"{each:.1f}" for each in output.values()))
    data = asdict(measurement) | {"output": output}
    return Section(name, title, columns, (row,), goals, (), data)


def _report(directory: Path) -> Path:
    """Find report.json: of a run that examined nothing, it lies below the run's id."""
    (path,) = (directory / "report").rglob("report.json")
    return path


def _swept(
    world: World, formats: tuple[str, ...], status: int
) -> tuple[Measurement, dict[str, float]]:
    """Make one dry run into a directory; return what it used, and the MB of each file."""

    def prepare(_: FakeAws, directory: Path) -> list[str]:
        config = {"report": {"formats": formats, "directory": "report"}}  # JSON is YAML
        (directory / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
        options = ("--dry-run", "--config", "config.yaml")
        return [str(console_script()), "run", *options]

    def answer(directory: Path) -> Truth:
        totals = json.loads(_report(directory).read_bytes())["totals"]
        repositories = totals["repositories"]
        targets = totals["targets"]["planned"]
        return Truth(targets, repositories["examined"], repositories["non_compliant"])

    print(f"{len(world.accounts):,} accounts", file=sys.stderr, flush=True)
    with FakeAws(world) as aws, tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        directory = Path(name)
        measurement, _ = measure(
            Contender("sweeper", prepare, answer, statuses=(status,)), aws, directory
        )
        names = ("stdout.txt", "stderr.txt")
        files = [*_report(directory).parent.iterdir(), *(directory / each for each in names)]
        return measurement, {path.name: path.stat().st_size / 1e6 for path in sorted(files)}
