"""Repositories by organizational unit and by region, as bars."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

from sweeper.domain.escaping import shorten
from sweeper.domain.model import Compliance
from sweeper.domain.report import is_remaining
from sweeper.domain.report_model import Report
from sweeper.reporting.wording import number

_UNKNOWN = "not known"
_NAMED = 2  # accounts of each OU; the others are counted


@dataclass(frozen=True, slots=True)
class Bar:
    """Repositories of one place, as they are when the sweep ends."""

    place: str
    detail: str = ""
    compliant: int = 0
    exempt: int = 0
    undetermined: int = 0
    open: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.compliant + self.exempt + self.undetermined + self.open

    @property
    def parts(self) -> tuple[tuple[str, int, int], ...]:
        """(state, count, count before it): what a drawing needs."""
        counts = (
            ("open", self.open),
            ("undetermined", self.undetermined),
            ("exempt", self.exempt),
            ("compliant", self.compliant),
        )
        before, parts = 0, []
        for state, count in counts:
            if count:
                parts.append((state, count, before))
            before += count
        return tuple(parts)


def by_ou(report: Report) -> tuple[Bar, ...]:
    """The most open OU first; none where the sweep did not learn the accounts' OUs."""
    paths = {account.id: account.ou_names or account.ou_path for account in report.accounts}
    names: dict[str, list[str]] = defaultdict(list)
    for account in report.accounts:
        if account.regions:
            names[paths[account.id] or _UNKNOWN].append(shorten(account.name, 40))
    bars = _bars(report, lambda account_id, _: paths[account_id])
    return tuple(replace(bar, detail=_some(names[bar.place])) for bar in bars)


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {number(more, 'more', 'more')}" if more > 0 else "")


def by_region(report: Report) -> tuple[Bar, ...]:
    """The most open region first."""
    return _bars(report, lambda _, region: region)


def _bars(report: Report, place: Callable[[str, str], str | None]) -> tuple[Bar, ...]:
    counts: dict[str | None, Counter[str]] = defaultdict(Counter)
    examined = {account.id: account.regions for account in report.accounts}
    for account in report.accounts:
        for region, (compliant, non_compliant, exempt) in account.regions.items():
            here = counts[place(account.id, region)]
            here.update(compliant=compliant + non_compliant, exempt=exempt)
    for finding in report.findings:
        is_examined = finding.region in examined.get(finding.account_id, ())
        if finding.resource != "repository" or not is_examined:
            continue
        here = counts[place(finding.account_id, finding.region)]
        if finding.compliance is Compliance.UNDETERMINED:
            here["undetermined"] += 1
        elif is_remaining(finding):
            here["open"] += 1
            here["compliant"] -= 1
    if counts.keys() <= {None}:
        return ()
    bars = [
        Bar(
            name or _UNKNOWN,
            compliant=found["compliant"],
            exempt=found["exempt"],
            undetermined=found["undetermined"],
            open=found["open"],
        )
        for name, found in counts.items()
    ]
    bars.sort(key=lambda bar: (-bar.open, -bar.undetermined, -bar.total, bar.place))
    return tuple(bar for bar in bars if bar.total)
