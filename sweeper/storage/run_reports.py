"""The JSON reports of one run in one folder: none replaces another that has more changes."""

from __future__ import annotations

from collections.abc import Callable

from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report

_MOST = 99  # reports of one run


class RunReports:
    """Write report.json, or where that one must stay, report-2.json and so on beside it.

    `replace` writes a report under a name, or returns why what is stored there must stay; it
    raises OperationFailed.
    """

    def __init__(self, replace: Callable[[str, Report], str | None]) -> None:
        """Calls nothing."""
        self._replace = replace
        self._stay: dict[str, str] = {}  # name -> why it must stay
        self._name = ""

    def put(self, folder: str, report: Report) -> str:
        """Write the report; return its name without the extension. Raises OperationFailed."""
        for number in range(1, _MOST + 1):
            stem = "report" if number == 1 else f"report-{number}"
            name = f"{folder}{stem}.json"
            if name in self._stay:  # decided before: it is the report of another process
                continue
            why = self._replace(name, report)
            if why is None:
                self._name = name
                return stem
            self._stay[name] = why
        raise OperationFailed(
            Reason.EARLIER_REPORT_KEPT, f"{folder} has {_MOST} reports of this run already"
        )

    def require_one(self) -> None:
        """Raise OperationFailed if an earlier report of the run had to stay beside this one."""
        if self._stay:
            whys = "; ".join(self._stay.values())
            raise OperationFailed(
                Reason.EARLIER_REPORT_KEPT,
                f"{whys}. It was not replaced. This report is stored as {self._name}. Keep both",
            )
