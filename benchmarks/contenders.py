"""sweeper, the way it is usually written, and the floor."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import Contender
from benchmarks.worlds import FILTERS, Truth
from tests.fake_aws.process import FakeAws

_PROGRAMS = Path(__file__).with_name("programs")
_FINDINGS_REMAIN, _NOT_ALL_SEEN = 3, 4


def console_script() -> Path:
    """Return the installed `sweeper` of this environment."""
    return Path(sys.executable).with_name("sweeper")


def _prepare_sweeper(_: FakeAws, directory: Path, processes: int = 1) -> list[str]:
    # An audit, as the others are. JSON is YAML.
    config = {
        "policy": {"allowed_exclusions": FILTERS},
        "remediation": {"auto_remediate": "DISABLED"},
        "limits": {"processes": processes},
    }
    (directory / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
    return [
        *(str(console_script()), "run", "--dry-run"),
        *("--format", "json", "--config", "config.yaml"),
    ]


def sweeper_report(directory: Path) -> Any:
    """Return the report that sweeper printed."""
    return json.loads((directory / "stdout.txt").read_bytes())


def _sweeper_answer(directory: Path) -> Truth:
    report = sweeper_report(directory)
    totals = report["totals"]
    return Truth(
        totals["targets"]["examined"],
        totals["repositories"]["examined"],
        sum(finding["compliance"] == "non_compliant" for finding in report["findings"]),
    )


def _own_answer(directory: Path) -> Truth:
    return Truth(**json.loads((directory / "stdout.txt").read_bytes()))


SWEEPER = Contender(
    "sweeper", _prepare_sweeper, _sweeper_answer, statuses=(0, _FINDINGS_REMAIN, _NOT_ALL_SEEN)
)
TWO_PROCESSES = replace(
    SWEEPER, name="two processes", prepare=partial(_prepare_sweeper, processes=2), tree=True
)
USUAL = Contender("usual", lambda *_: [sys.executable, str(_PROGRAMS / "usual.py")], _own_answer)
FLOOR = Contender("floor", lambda *_: [sys.executable, str(_PROGRAMS / "floor.py")], _own_answer)
