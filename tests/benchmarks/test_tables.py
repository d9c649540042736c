from __future__ import annotations

import pytest

from benchmarks.measure import Measurement, Usage
from benchmarks.tables import (
    Goal,
    Row,
    Section,
    comparison,
    extrapolated,
    medians,
    ratio,
    render,
)
from benchmarks.worlds import Truth

TRUTH = Truth(targets=100, repositories=500, found=7)


def measured(cpu: float, found: Truth = TRUTH) -> Measurement:
    return Measurement(Usage(0, wall=cpu * 2, cpu=cpu, peak_mb=50), 120, 64, {}, found)


def row(name: str, *cpu: float, found: Truth = TRUTH) -> Row:
    return medians(name, [measured(each, found) for each in cpu], TRUTH)


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal("g", 3.0, 3), True),
        (Goal("g", 3.01, 3), False),
        (Goal("g", 10.0, 10, at_least=True), True),
        (Goal("g", 9.99, 10, at_least=True), False),
        (Goal("g", None, 3), False),
        (Goal("g", None, 3, at_least=True), False),
    ],
)
def test_a_goal_is_met_where_it_was_measured_and_holds(goal: Goal, met: bool) -> None:
    assert goal.met is met
    assert str(goal).startswith("PASS" if met else "MISS")


def test_a_row_has_medians_and_the_least_cpu() -> None:
    made = row("sweeper", 9, 2, 3)
    assert (made.rounds, made.cpu, made.wall, made.least_cpu) == (3, 3, 6, 2)
    assert made.correct


def test_one_wrong_round_makes_the_row_wrong() -> None:
    wrong = Truth(targets=100, repositories=500, found=6)
    made = medians("sweeper", [measured(1), measured(1, wrong), measured(1)], TRUTH)
    assert (made.correct, made.found) == (False, wrong)
    assert ratio(made, row("floor", 1)) is None
    assert ratio(row("floor", 1), made) is None
    _, (cells,) = comparison([made], TRUTH)
    assert any("WRONG" in cell and "found=6" in cell and "found=7" in cell for cell in cells)


def test_ratios_are_of_the_medians_and_to_the_floor() -> None:
    sweeper, floor = row("sweeper", 6, 5, 100), row("floor", 2, 2, 2)
    assert ratio(sweeper, floor) == 3
    assert ratio(None, floor) is None
    columns, cells = comparison([floor, sweeper], TRUTH)
    times = columns.index("x floor")
    assert [each[times] for each in cells] == ["1.00", "3.00"]
    each_target = columns.index("CPU ms/target")
    assert cells[1][each_target] == "60.00"
    columns, (alone,) = comparison([sweeper], TRUTH)
    assert alone[times] == "-"


def test_extrapolation_counts_the_start_once() -> None:
    # 3 s to start, half a second for each account
    few, many = row("peer", 3.5), row("peer", 8.0)
    made = extrapolated(few, many, (1, 10, 100))
    assert made.cpu == pytest.approx(53.0)
    assert made.wall == pytest.approx(106.0)
    assert made.peak_mb == 50
    assert "1 and 10 accounts" in made.scaled


def test_an_extrapolation_from_a_wrong_row_is_wrong() -> None:
    wrong = row("peer", 8.0, found=Truth(100, 500, 0))
    assert not extrapolated(row("peer", 3.5), wrong, (1, 10, 100)).correct
    assert not extrapolated(wrong, row("peer", 3.5), (1, 10, 100)).correct


def test_a_section_is_printed_in_columns() -> None:
    section = Section(
        "name",
        "What it is",
        ("contender", "CPU s"),
        (("floor", "1.00"), ("sweeper", "12.00")),
        (Goal("CPU", 12.0, 3),),
        ("A note.",),
    )
    assert render(section).splitlines() == [
        "What it is",
        "",
        "contender  CPU s",
        "floor       1.00",
        "sweeper    12.00",
        "",
        "A note.",
        "",
        "MISS  CPU: 12.000 (<= 3)",
    ]
