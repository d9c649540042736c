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

from benchmarks import peers, scenarios
from benchmarks.tables import Section, render

_RESULTS = Path(__file__).with_name("results")
SCENARIOS: dict[str, Callable[[], list[Section]]] = {
    "organization": scenarios.organization,
    "imports": scenarios.imports,
    "throttling": scenarios.throttling,
    "large": scenarios.large,
    "memory": scenarios.memory,
    "peers": peers.beside_sweeper,
}
QUICK = ("organization", "imports")
FULL = (*QUICK, "throttling", "large", "memory")


def machine() -> dict[str, Any]:
    """On what it was measured."""
    packages = ("sweeper", "botocore", "boto3", "urllib3")
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


def main() -> int:
    """Measure, print, write; 1 for a missed goal with --check."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    summaries = [
        f"{name}: {(each.__doc__ or '').splitlines()[0]}" for name, each in SCENARIOS.items()
    ]
    parser.epilog = " ".join(summaries)
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
        help="also peers, as far as they are installed: python -m benchmarks.peers",
    )
    parser.add_argument("--check", action="store_true", help="exit status 1 if a goal was missed")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write every measurement as JSON; default: into benchmarks/results",
    )
    options = parser.parse_args()
    started = datetime.now(UTC)
    chosen = options.scenario or (FULL if options.full else QUICK)
    names = dict.fromkeys([*chosen, *(["peers"] if options.peers else [])])
    facts = machine()
    sections: list[Section] = []
    for name in names:
        for section in SCENARIOS[name]():
            sections.append(section)
            print(f"\n{render(section)}", flush=True)
    output = options.output or _RESULTS / f"{started:%Y%m%dT%H%M%SZ}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "started_at": started.isoformat(timespec="seconds"),
        "machine": facts,
        "sections": [
            asdict(section)
            | {"goals": [asdict(goal) | {"met": goal.met} for goal in section.goals]}
            for section in sections
        ],
    }
    output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    missed = sum(not goal.met for section in sections for goal in section.goals)
    print(f"{missed} goals missed; every measurement: {output}")
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
