"""The fault matrix in a small form: every fault alone, and all of them together with two seeds.

`make faults` is the long form.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.reliability import faults
from tests.reliability.faults import matrix
from tests.reliability.promises import Facts
from tests.reliability.scenarios import ALL_TOGETHER, SCENARIOS, Scenario, Size

TOGETHER = Size(accounts=8, regions=4, repositories=3)
ALONE = Size(accounts=7, regions=4, repositories=3)
# It is too small for sessions to end by their time: by an event, they end in another scenario.
BOUNDED = [each for each in SCENARIOS if each.session_seconds == Scenario.session_seconds]


@pytest.mark.slow
def test_every_promise_is_kept(record_property: Callable[[str, object], None]) -> None:
    jobs = [(ALL_TOGETHER, seed, TOGETHER) for seed in (1, 2)]
    jobs += [(scenario, 1, ALONE) for scenario in BOUNDED]
    # All at once: each is a process that mostly waits between two attempts.
    results = list(matrix(jobs, at_once=len(jobs)))
    for result in results:
        record_property("summary", str(result))
    assert [line for result in results for line in result.broken] == []
    assert not any(result.ended_early for result in results)
    met = set.intersection(*(set(result.faults) for result in results[:2]))
    assert met == {"throttle", "server_error", "reset", "truncate", "malformed", "expired"}
    assert len({name for result in results[2:] for name in result.faults}) == len(met)


@pytest.mark.slow
def test_the_command_says_what_was_met(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--seeds", "5,6", "--accounts", "3", "--regions", "1", "--only", "denied accounts"]
    assert faults.main(options) == 0
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("seed 5  denied accounts: faults met: none; targets: 2 examined, 0 fa")
    assert second.startswith("seed 6  denied accounts: ")
    assert first.endswith(" s; ok")
    assert last == "2 runs, 0 that could not list the organization, 0 with broken promises"


@pytest.mark.slow
def test_a_broken_promise_is_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Facts] = []

    def broken(facts: Facts) -> list[str]:
        seen.append(facts)
        return ["a promise"]

    monkeypatch.setattr(faults, "broken", broken)
    options = ["--seeds", "5", "--accounts", "3", "--regions", "1", "--only", "denied accounts"]
    assert faults.main(options) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "    a promise",
        "1 runs, 0 that could not list the organization, 1 with broken promises",
    ]
    assert seen[0].secrets


def test_no_run_is_no_proof() -> None:
    assert faults.main(["--only", "no such scenario"]) == 1
