"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import distributed, extremes, html_report, peers, scenarios
from benchmarks.measure import RESULTS, ContenderFailed
from benchmarks.tables import Section, render

_BUSY = 0.5  # load average
SCENARIOS: dict[str, Callable[[], list[Section]]] = {
    "organization": scenarios.organization,
    "first_sweep": scenarios.first_sweep,
    "real_names": scenarios.real_names,
    "small": scenarios.small,
    "imports": scenarios.imports,
    "throttling": scenarios.throttling,
    "large": scenarios.large,
    "processes": scenarios.processes,
    "distributed": distributed.distributed,
    "memory": scenarios.memory,
    "findings": extremes.findings,
    "denied": extremes.denied,
    "peers": peers.beside_sweeper,
    "html": html_report.html_report,
}
QUICK = ("organization", "first_sweep", "real_names", "imports")
FULL = (*QUICK, "throttling", "large", "processes", "distributed", "memory", "findings", "denied")


def machine() -> dict[str, Any]:
    """On what it was measured."""
    packages = ("ecr-immutability-sweeper", "botocore", "boto3", "urllib3")
    model = Path("/proc/cpuinfo")
    lines = model.read_text(encoding="utf-8").splitlines() if model.exists() else []
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": next((each.split(": ")[1] for each in lines if "model name" in each), ""),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg(),
        "packages": {name: version(name) for name in packages},
    }


def _arguments() -> argparse.Namespace:
    width = max(map(len, SCENARIOS))
    summaries = [
        f"  {name.ljust(width)}  {str(scenario.__doc__).splitlines()[0]}"
        for name, scenario in SCENARIOS.items()
    ]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="What a sweep costs beside the alternatives, on a fake AWS.",
        epilog="\n".join(["scenarios:", *summaries]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--scenario",
        action="append",
        choices=SCENARIOS,
        metavar="NAME",
        help=f"may be repeated; default: {', '.join(QUICK)}",
    )
    parser.add_argument("--full", action="store_true", help=f"also {', '.join(FULL[len(QUICK) :])}")
    parser.add_argument(
        "--peers",
        action="store_true",
        help="also peers, as far as python -m benchmarks.peers has installed them",
    )
    parser.add_argument("--check", action="store_true", help="exit status 1 if a goal was missed")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write every measurement as JSON; default: into benchmarks/results",
    )
    return parser.parse_args()


def document(started: datetime, facts: dict[str, Any], sections: list[Section]) -> dict[str, Any]:
    """Return what is written: every round, every goal and whether it was met."""
    return {
        "started_at": started.isoformat(timespec="seconds"),
        "machine": facts,
        "sections": [
            asdict(section)
            | {"goals": [asdict(goal) | {"met": goal.met} for goal in section.goals]}
            for section in sections
        ],
    }


def main() -> int:
    """Measure, print, write; 1 for a contender that failed and, with --check, a missed goal."""
    options = _arguments()
    started = datetime.now(UTC)
    chosen = options.scenario or (FULL if options.full else QUICK)
    names = dict.fromkeys([*chosen, *(["peers"] if options.peers else [])])
    output = options.output or RESULTS / f"{started:%Y%m%dT%H%M%SZ}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    facts = machine()
    print(
        f"Python {facts['python']}, {facts['cores']} cores ({facts['processor']}), "
        f"botocore {facts['packages']['botocore']}, load before {facts['load_before'][0]:.2f}"
    )
    if facts["load_before"][0] > _BUSY:
        print("The machine is busy: threads that wait for each other cost CPU, all times are high.")
    sections: list[Section] = []
    for name in names:
        try:
            made = SCENARIOS[name]()
        except ContenderFailed as error:
            print(error, file=sys.stderr)
            return 1
        for section in made:
            print(f"\n{render(section)}", flush=True)
        sections += made
        written = json.dumps(document(started, facts, sections), indent=1)
        output.write_text(f"{written}\n", encoding="utf-8")
    missed = sum(not goal.met for section in sections for goal in section.goals)
    print(f"{missed} goals missed; every measurement: {output}")
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
