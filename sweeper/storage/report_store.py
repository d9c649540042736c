"""Reports in storage: read a report.json back, compare two, store those of one run side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweeper.domain.comparison import NO_HISTORY, compare_reports, same_organization
from sweeper.domain.errors import ConfigurationError, Invalid, OperationFailed
from sweeper.domain.escaping import plain
from sweeper.domain.model import ChangeStatus, Compliance, Finding
from sweeper.domain.reasons import Reason
from sweeper.domain.report import remaining_rule
from sweeper.domain.report_model import Report
from sweeper.engine.ports import Source
from sweeper.storage.json_scanner import TooLarge
from sweeper.storage.record_reader import NotAnObject, OtherVersion, Selection, read

MAX_REPORT = 100_000_000  # bytes: 100,000 findings and as many failures
_MAX_REPORTS = 99  # of one run
_UNCOMPARED = frozenset(
    {"accounts", "skipped", "failures", "deliveries", "trend", "config_inventory"}
)


def without_impact(item: Any) -> Any:
    """Drop a finding's impact, which takes more memory than the rest of it."""
    return replace(item, impact=None) if isinstance(item, Finding) and item.impact else item


# A complete report: 100,000 findings take half of this memory.
_ALL = Selection(memory=400_000_000)
# The members for a comparison, in a sweep whose own report is in memory, too. A newer version may
# have written it: an unknown word is read as the most cautious one.
FOR_COMPARISON = Selection(
    memory=200_000_000,
    omitted=_UNCOMPARED,
    trim=without_impact,
    stand_ins=(Compliance.UNDETERMINED, ChangeStatus.FAILED),
)
RUN_ONLY = replace(FOR_COMPARISON, omitted=_UNCOMPARED | {"findings", "since_last"})


def parse_report(source: Source, selection: Selection = _ALL) -> Report:
    """Return the report in `source`, of version 1 or 2; lists that are not selected are empty.

    Raises Invalid, OtherVersion and TooLarge.
    """
    return read(Report, source, limit=MAX_REPORT, selection=selection)


# Returns what the function makes of the object at ``s3://<bucket>/<key>``.
ObjectReader = Callable[[str, Callable[[Source], Report]], Report]


def read_report(location: str, read_object: ObjectReader) -> Report:
    """Read the report at a path or ``s3://<bucket>/<key>``.

    Raises ConfigurationError that names the location and the problem.
    """

    def use(source: Source) -> Report:
        report = parse_report(source)
        _refuse_findings_elsewhere(report)
        _refuse_contradictions(report)
        return report

    if not location.strip():  # as of a variable that is not set
        raise ConfigurationError("REPORT is empty; name a report.json")
    try:
        if location.startswith("s3://"):
            return read_object(location, use)
        return _read_file(Path(location), use)
    except TooLarge as error:
        raise ConfigurationError(plain(f"{location}: too large: {error}")) from None
    except OtherVersion as error:
        problem = f"has {error}; needed: a report.json"
    except Invalid as error:
        problem = _something_else(error) or f"is damaged: {error}; needed: a report.json"
    raise ConfigurationError(plain(f"{location} {problem}"))


def _something_else(error: Invalid) -> str:
    """Return why JSON is not a report, or an empty text if it is one."""
    if isinstance(error, NotAnObject):
        return "is not a report.json"
    if error.keys is None:
        return ""
    missing = next((key for key in ("run", "schema_version") if key not in error.keys), None)
    return f"is not a report.json (no `{missing}`)" if missing else ""


def compare(earlier: Report, later: Report) -> Report:
    """Return the later report with what changed since the earlier one.

    Neither the history nor sweeps between the two are taken into account. Raises
    ConfigurationError if they cannot be compared.
    """
    one, other = (plain(f"sweep {report.run.id}") for report in (earlier, later))
    for report in (earlier, later):
        if report.run.kind == "undo":
            raise ConfigurationError(plain(f"{report.run.id} is an undo; needed: two sweeps"))
    if earlier.run.id == later.run.id:
        raise ConfigurationError(f"both reports are of {one}; needed: those of two sweeps")
    if not same_organization(earlier.run, later.run):
        ids = (report.run.organization_id or report.run.account_id for report in (earlier, later))
        whose = plain(" and ".join(map(str, ids)))
        raise ConfigurationError(f"the reports are of different organizations: {whose}")
    if earlier.run.started_at > later.run.started_at:
        raise ConfigurationError(
            f"{one}, which is named first, started later than {other}; needed: the earlier report "
            "first"
        )
    # A report does not list the checks that ran, so those count that had findings before.
    checks = {finding.check for finding in earlier.findings}
    if earlier.since_last:
        checks |= {item.check for item in earlier.since_last.not_visible}
    # With this very report, also if it is of a dry run, whose own comparison is not continued.
    earlier = replace(earlier, run=replace(earlier.run, dry_run=False))
    result = compare_reports(later, earlier, NO_HISTORY, checks)
    # The later sweep knew from its history how often a finding was reopened.
    findings = [
        replace(finding, reopened=max(finding.reopened, known.reopened))
        for finding, known in zip(result.findings, later.findings, strict=True)
    ]
    return replace(result, findings=findings)


def _read_file(path: Path, use: Callable[[Source], Report]) -> Report:
    try:
        file = path.open("rb")
    except (OSError, ValueError) as error:  # of a path with a NUL
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(plain(f"{path}: cannot be read: {why}")) from None
    with file:
        try:
            return use(file)
        except OSError as error:
            why = error.strerror or str(error)
            raise ConfigurationError(plain(f"{path}: cannot be read: {why}")) from None


def _refuse_findings_elsewhere(report: Report) -> None:
    """Raise Invalid for a finding in a region that the report does not list as examined."""
    if report.run.kind != "sweep":  # others have all changes of their source, examined or not
        return
    examined = {account.id: account.regions for account in report.accounts}
    for finding in report.findings:
        if finding.region not in examined.get(finding.account_id, ()):
            where = f"{finding.account_id} {finding.region}"
            raise Invalid(f"a finding in {where}, which is not among the accounts")


def _refuse_contradictions(report: Report) -> None:
    """Raise Invalid for a figure that decides the exit status and that the lists contradict."""
    if report.coverage.complete:
        undetermined = (each.compliance is Compliance.UNDETERMINED for each in report.findings)
        if report.failures or any(undetermined):
            raise Invalid("true, with failures or undetermined findings", "coverage.complete")
    remaining = sum(map(remaining_rule(report.run.kind), report.findings))
    if report.totals.remaining != remaining:
        raise Invalid(
            f"{report.totals.remaining:,}, where {remaining:,} of the findings remain",
            "totals.remaining",
        )


class RunReports:
    """Store the reports of one run: report.json, and report-2.json where the first must stay.

    `replace` writes a report under a name, or returns why the stored one must not be replaced; it
    raises OperationFailed.
    """

    def __init__(self, replace: Callable[[str, Report], str | None]) -> None:
        self._replace = replace
        self._retained: dict[str, str] = {}  # name -> why it must stay
        self._name = ""

    def put(self, folder: str, report: Report) -> str:
        """Write the report; return its name without the extension. Raises OperationFailed."""
        for number in range(1, _MAX_REPORTS + 1):
            stem = "report" if number == 1 else f"report-{number}"
            name = f"{folder}{stem}.json"
            if name in self._retained:  # decided before: it is the report of another process
                continue
            why = self._replace(name, report)
            if why is None:
                self._name = name
                return stem
            self._retained[name] = why
        raise OperationFailed(
            Reason.EARLIER_REPORT_KEPT, f"{folder} has {_MAX_REPORTS} reports of this run already"
        )

    def require_one(self) -> None:
        """Raise OperationFailed if an earlier report of the run had to stay beside this one."""
        if self._retained:
            whys = "; ".join(self._retained.values())
            raise OperationFailed(
                Reason.EARLIER_REPORT_KEPT,
                f"{whys}. It was not replaced. This report is stored as {self._name}. Keep both",
            )
