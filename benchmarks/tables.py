"""From measurements to medians, ratios, goals and what is printed; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.measure import Measurement
from benchmarks.worlds import Truth


@dataclass(frozen=True, slots=True)
class Goal:
    """A declared bound on a value, None where nothing comparable was measured."""

    text: str
    value: float | None
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it was measured and holds."""
        if self.value is None:
            return False
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        value = "not measured" if self.value is None else f"{self.value:,.3f}"
        return f"{'PASS' if self.met else 'MISS'}  {self.text}: {value} ({sign} {self.limit:g})"


@dataclass(frozen=True, slots=True)
class Row:
    """Medians of a contender's rounds, and the least CPU of them.

    `scaled` says how they were extended to all accounts.
    """

    name: str
    rounds: int
    wall: float
    cpu: float
    least_cpu: float
    peak_mb: float
    calls: float
    connections: float
    found: Truth
    correct: bool
    scaled: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One scenario's outcome; `data` is what the JSON has beside the table."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    goals: tuple[Goal, ...]
    notes: tuple[str, ...] = ()
    data: Any = None


def medians(name: str, measurements: Sequence[Measurement], truth: Truth) -> Row:
    """Make one row of a contender's rounds; right only if every round found the truth."""
    wrong = next((each.found for each in measurements if each.found != truth), None)
    return Row(
        name=name,
        rounds=len(measurements),
        wall=median(each.usage.wall for each in measurements),
        cpu=median(each.usage.cpu for each in measurements),
        least_cpu=min(each.usage.cpu for each in measurements),
        peak_mb=median(each.usage.peak_mb for each in measurements),
        calls=median(each.calls for each in measurements),
        connections=median(each.connections for each in measurements),
        found=wrong or truth,
        correct=wrong is None,
    )


def extrapolated(few: Row, many: Row, accounts: tuple[int, int, int]) -> Row:
    """From rows for `accounts[0]` and `accounts[1]` accounts to one for `accounts[2]`.

    Linear, so that start-up counts once. Memory and connections are left as with `accounts[1]`:
    they need not grow.
    """
    low, high, wanted = accounts

    def at(one: float, other: float) -> float:
        return other + (other - one) / (high - low) * (wanted - high)

    return Row(
        name=many.name,
        rounds=many.rounds,
        wall=at(few.wall, many.wall),
        cpu=at(few.cpu, many.cpu),
        least_cpu=at(few.least_cpu, many.least_cpu),
        peak_mb=many.peak_mb,
        calls=at(few.calls, many.calls),
        connections=many.connections,
        found=many.found,
        correct=few.correct and many.correct,
        scaled=f"from {low} and {high} accounts",
    )


def ratio(above: Row | None, below: Row | None) -> float | None:
    """CPU by CPU; None unless both did the work."""
    if above is None or below is None or not (above.correct and below.correct):
        return None
    return above.cpu / below.cpu


def comparison(
    rows: Sequence[Row], truth: Truth
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Columns and cells of contenders side by side; the ratio is to the row named ``floor``."""
    floor = next((row for row in rows if row.name == "floor"), None)
    columns = (
        *("contender", "rounds", "wall s", "CPU s", "least", "x floor", "CPU ms/target"),
        *("peak MB", "calls", "connections", "found", "scaled"),
    )
    cells = []
    for row in rows:
        times = ratio(row, floor)
        found = f"{row.found.found:,}" if row.correct else f"WRONG: {row.found} is not {truth}"
        cells.append(
            (
                *(row.name, str(row.rounds), f"{row.wall:,.1f}", f"{row.cpu:,.2f}"),
                f"{row.least_cpu:,.2f}",
                "-" if times is None else f"{times:,.2f}",
                *(f"{row.cpu / truth.targets * 1000:,.2f}", f"{row.peak_mb:,.0f}"),
                *(f"{row.calls:,.0f}", f"{row.connections:,.0f}", found, row.scaled),
            )
        )
    return columns, tuple(cells)


def render(section: Section) -> str:
    """Return the section as text: title, table, notes, goals."""
    lines = [section.title, ""]
    table = (section.columns, *section.rows)
    widths = [max(len(row[index]) for row in table) for index in range(len(section.columns))]
    for row in table:
        first, *others = row
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    lines += ["", *section.notes] if section.notes else []
    lines += ["", *map(str, section.goals)] if section.goals else []
    return "\n".join(lines) + "\n"
