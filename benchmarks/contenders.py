"""sweeper, the way it is usually written, and the floor."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
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


# An audit, as the others are.
_CONFIG: Mapping[str, Any] = {
    "policy": {"allowed_exclusions": FILTERS},
    "remediation": {"auto_remediate": "DISABLED"},
}


def _prepare_sweeper(_: FakeAws, directory: Path, processes: int = 1) -> list[str]:
    config = {**_CONFIG, "limits": {"processes": processes}}
    (directory / "config.yaml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
    return [
        *(str(console_script()), "run", "--dry-run"),
        *("--format", "json", "--config", "config.yaml"),
    ]


def _prepare_halves(aws: FakeAws, directory: Path) -> list[str]:
    accounts = [account.id for account in aws.world.accounts]
    configs = []
    for number, half in enumerate(filter(None, (accounts[::2], accounts[1::2]))):
        configs.append(f"half-{number}")
        config = {**_CONFIG, "organization": {"include_accounts": half}}
        (directory / configs[-1]).write_text(json.dumps(config), encoding="utf-8")
    program = str(_PROGRAMS / "separate_sweeps.py")
    return [sys.executable, program, str(console_script()), *configs]


def sweeper_report(directory: Path) -> Any:
    """Return the report that sweeper printed."""
    return json.loads((directory / "stdout.txt").read_bytes())


def _sweeper_answer(directory: Path) -> Truth:
    return _found(sweeper_report(directory))


def _answer_of_halves(directory: Path) -> Truth:
    halves = [_found(json.loads(file.read_bytes())) for file in directory.glob("half-*.json")]
    return Truth(
        sum(half.targets for half in halves),
        sum(half.repositories for half in halves),
        sum(half.found for half in halves),
    )


def _found(report: Any) -> Truth:
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
TWO_SWEEPS = replace(
    SWEEPER, name="two sweeps of half", prepare=_prepare_halves, answer=_answer_of_halves, tree=True
)
USUAL = Contender("usual", lambda *_: [sys.executable, str(_PROGRAMS / "usual.py")], _own_answer)
FLOOR = Contender("floor", lambda *_: [sys.executable, str(_PROGRAMS / "floor.py")], _own_answer)
