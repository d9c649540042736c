"""When changes that wait will be made, in words: the same in every format and message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date

from sweeper.domain.report_model import Report
from sweeper.reporting.wording import number

MOST_DAYS = 3  # that are named; the others are counted


def due_changes(report: Report) -> str | None:
    """A sentence on the changes that wait for their day; None where there are none."""
    days = Counter(item.change.due for item in report.findings if item.change and item.change.due)
    if not days:
        return None
    first = sorted(day for day in days if day)
    parts = [f"{days[day]:,} from {day} on" for day in first[:MOST_DAYS]]
    if more := sum(days[day] for day in first[MOST_DAYS:]):
        parts.append(f"{more:,} later")
    return f"{number(days.total(), 'change')} announced: {', '.join(parts)}"


def waves(report: Report) -> Iterator[tuple[str, str, str, str]]:
    """Yield each wave of a rollout: its day, whether it is open, its accounts and its changes."""
    scope = report.run.write_scope
    today = date.fromisoformat(report.run.started_at[:10])
    for wave in scope.waves if scope else ():
        is_open = "open" if wave.day <= today else "later"
        accounts, changes = number(wave.accounts, "account"), number(wave.changes, "change")
        yield str(wave.day), is_open, accounts, changes
