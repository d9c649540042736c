"""A distributed sweep of a large organization: what each stage needs, two workers at a time."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import worlds
from benchmarks.contenders import console_script
from benchmarks.measure import ContenderFailed, Usage, environment, launch
from benchmarks.tables import Goal, Section
from benchmarks.worlds import FILTERS, REGIONS
from tests.fake_aws.process import FakeAws

_ACCOUNTS, _WORKERS = 10_000, 20
_AT_A_TIME = 2
_FINDINGS_REMAIN = 3
_PREFIX = "sweeps"


def distributed(accounts: int = _ACCOUNTS, workers: int = _WORKERS) -> list[Section]:
    """10,000 accounts by 20 workers, two at a time: time and memory of each stage."""
    world, truth = worlds.organization(accounts)
    with FakeAws(world) as aws, tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        run = _Run(aws, Path(name), world.buckets[0].name, accounts // workers)
        started, answer = run.stage("start", "--dry-run", "--deliver")
        shards = range(answer["shards"])
        of_run = ("--run", answer["run"])
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            scanned = list(
                pool.map(lambda n: run.stage("scan", *of_run, "--shard", str(n))[0], shards)
            )
        planned, _ = run.stage("plan", *of_run)
        finished, _ = run.stage("finish", *of_run)
        stored = {each.key: each.body for each in aws.objects()}
    (report,) = (json.loads(body) for key, body in stored.items() if key.endswith("/report.json"))
    totals = report["totals"]
    parts = sum(len(body) for key, body in stored.items() if "/work/scan/" in key) / 1e6
    plan = sum(len(body) for key, body in stored.items() if "/work/plan" in key) / 1e6
    stages = {
        "start": [started],
        f"scan, {len(shards)} workers": scanned,
        "plan": [planned],
        "finish": [finished],
    }
    goals = (
        Goal("targets in the report", totals["targets"]["examined"], truth.targets, at_least=True),
        Goal("findings", totals["repositories"]["non_compliant"], truth.found, at_least=True),
        Goal("peak MB of plan", planned.peak_mb, 250),
        Goal("peak MB of finish", finished.peak_mb, 250),
    )
    notes = (f"parts of the scan in S3: {parts:.1f} MB; plan: {plan:.1f} MB",)
    columns = ("stage", "slowest, s", "CPU s, most", "CPU s, all", "peak MB, most")
    rows = tuple(_row(stage, used) for stage, used in stages.items())
    title = (
        f"{accounts:,} accounts x {REGIONS} regions, {len(shards)} workers, "
        f"{_AT_A_TIME} at a time, latency {world.latency * 1000:.0f} ms, dry run"
    )
    data: dict[str, Any] = {
        stage: [asdict(each) for each in used] for stage, used in stages.items()
    } | {"parts_mb": parts, "plan_mb": plan}
    return [Section("distributed", title, columns, rows, goals, notes, data)]


def _row(stage: str, used: Sequence[Usage]) -> tuple[str, ...]:
    return (
        stage,
        f"{max(each.wall for each in used):.1f}",
        f"{max(each.cpu for each in used):.1f}",
        f"{sum(each.cpu for each in used):.1f}",
        f"{max(each.peak_mb for each in used):.0f}",
    )


class _Run:
    """Runs the stages of one distributed sweep, each as a process in a directory of its own."""

    def __init__(self, aws: FakeAws, directory: Path, bucket: str, per_shard: int) -> None:
        self._variables = environment(aws) | {"XDG_STATE_HOME": str(directory / "state")}
        self._directory = directory
        self._config = {
            "policy": {"allowed_exclusions": FILTERS},
            "distributed": {"accounts_per_shard": per_shard},
            "report": {"s3": {"bucket": bucket, "prefix": _PREFIX}},
        }

    def stage(self, stage: str, *options: str) -> tuple[Usage, Any]:
        """Run a stage; return what it used, and its answer. Raises ContenderFailed."""
        with tempfile.TemporaryDirectory(dir=self._directory) as name:
            directory = Path(name)
            (directory / "config.yaml").write_text(json.dumps(self._config), encoding="utf-8")
            command = [str(console_script()), "distributed", stage, *options]
            used = launch(command, directory, self._variables)
            if used.status not in (0, _FINDINGS_REMAIN):
                said = (directory / "stderr.txt").read_text(encoding="utf-8", errors="replace")
                raise ContenderFailed(f"{stage}: exit status {used.status}\n{said[-2000:]}")
            answer = json.loads((directory / "stdout.txt").read_bytes() or b"{}")
        words = f"{stage} {' '.join(options[2:])}: {used.cpu:.1f} CPU s, {used.peak_mb:.0f} MB"
        print(words, file=sys.stderr, flush=True)
        return used, answer
