"""The findings at terminals of any width, and of organizations of any size."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from itertools import pairwise

from rich.console import Console

from sweeper.domain.model import ChangeStatus, Compliance, Finding, Since
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report
from sweeper.entrypoints import findings_tables
from sweeper.entrypoints.findings_tables import _MAX_ROWS, _fold
from tests import factories
from tests.cases import case

WIDTHS = (60, 80, 100, 120, 200)
HEADERS = ("Account", "Name", "Region", "Repository", "Tag mutability", "Outcome")


def shown(report: Report, width: int = 200) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False, force_terminal=False)
    findings_tables.show_findings(report, console, is_stored=True)
    return out.getvalue().splitlines()


def details(lines: list[str]) -> tuple[list[str], list[list[str]]]:
    """The lines of the headers of the findings, and those of each finding."""
    lines = lines[lines.index(next(line for line in lines if re.match("Findings(,| *$)", line))) :]
    rule = next(number for number, line in enumerate(lines) if "──" in line)
    rows = lines[rule + 1 :]
    starts = [number for number, line in enumerate(rows) if re.match(r" \d{12} ", line)]
    end = next(number for number, line in enumerate(rows) if not line.strip())
    return lines[2:rule], [rows[a:b] for a, b in pairwise((*starts, end))]


def cell(headers: Sequence[str], row: Sequence[str], header: str) -> str:
    """What a row has below a header, without spaces."""
    starts = {name: line.index(name) for name in HEADERS for line in headers if name in line}
    start = starts[header]
    end = min((each for each in starts.values() if each > start), default=None)
    return "".join(line[start:end].strip() for line in row).replace(" ", "")


def all_kinds() -> list[Finding]:
    superseded = factories.change(ChangeStatus.SUPERSEDED, reason=Reason.CHANGED_SINCE_EXAMINED)
    return [
        factories.finding(
            "platform/observability/a-team-with-a-long-name/collector-sidecar",
            region="ap-southeast-2",
        ),
        factories.finding("a" * 200, account_id="222222222222", since_last=Since.REOPENED),
        factories.finding(
            "payments/api", account_id="222222222222", change=superseded, since_last=Since.REOPENED
        ),
        factories.finding(
            "web/filters",
            account_id="333333333333",
            mutability="IMMUTABLE_WITH_EXCLUSION",
            exclusion_filters=("latest", "dev*"),
            reason="image tags that match 'latest' can be overwritten",
        ),
    ]


def test_no_width_hides_the_account_the_repository_or_the_outcome() -> None:
    findings = all_kinds()
    report = factories.report(findings)
    for width in WIDTHS:
        lines = shown(report, width)
        headers, rows = details(lines)
        assert len(rows) == len(findings)
        assert max(map(len, lines)) <= width
        found = {cell(headers, row, "Repository"): row for row in rows}
        for finding in findings:
            with case(width, finding):
                row = next(row for name, row in found.items() if finding.repository in name)
                assert row[0].split()[0] == finding.account_id
                text = "".join("".join(row).split())
                assert finding.region in text
                outcome = cell(headers, row, "Outcome")
                assert ("reopened" in outcome) is (finding.since_last is Since.REOPENED)
                assert finding.change is None or f"({finding.change.reason})" in outcome
                assert "…" not in text


def test_the_least_useful_columns_are_left_out_or_stacked_first() -> None:
    report = factories.report([factories.finding("payments/checkout/service-of-30")])
    for width, columns in (
        (200, [["Account"], ["Name"], ["Region"], ["Repository"], ["Tag mutability"], ["Outcome"]]),
        (120, [["Account"], ["Name"], ["Region"], ["Repository"], ["Tag mutability"], ["Outcome"]]),
        (102, [["Account"], ["Region"], ["Repository"], ["Tag mutability"], ["Outcome"]]),
        (90, [["Account", "Region"], ["Repository"], ["Tag mutability"], ["Outcome"]]),
        (70, [["Account", "Region"], ["Repository", "Tag mutability"], ["Outcome"]]),
        (60, [["Account", "Region"], ["Repository", "Tag mutability"], ["Outcome"]]),
    ):
        with case(width):
            headers, _ = details(shown(report, width))
            starts: dict[int, list[str]] = {}
            for line in headers:
                for header in HEADERS:
                    if header in line:
                        starts.setdefault(line.index(header), []).append(header)
            assert [names for _, names in sorted(starts.items())] == columns


def test_a_terminal_that_is_narrower_still_shows_all_of_it() -> None:
    headers, (row,) = details(shown(factories.report([factories.finding("payments/api")]), 45))
    assert cell(headers, row, "Repository").startswith("payments/api")
    assert cell(headers, row, "Outcome") == "non-compliant"


def test_names_fold_where_they_have_parts() -> None:
    for text, width, after, lines in (
        ("", 5, "/", []),
        ("a/b", 5, "/", ["a/b"]),
        ("team/app", 5, "/", ["team/", "app"]),
        ("a/b/c/d", 4, "/", ["a/b/", "c/d"]),
        ("a/longest-part/b", 7, "/", ["a/", "longest", "-part/b"]),
        ("failed (not_known)", 9, " _", ["failed", "(not_", "known)"]),
        ("word  word", 4, " ", ["word", "word"]),
        ("123456789012", 5, "", ["12345", "67890", "12"]),
        ("東京/大阪", 5, "/", ["東京/", "大阪"]),  # two cells each
    ):
        with case(text, width):
            assert _fold(text, width, after) == lines


def accounts_of(count: int) -> list[Finding]:
    """Account n has n findings that remain, of which n - 1 failed, and one that was fixed."""
    failed = factories.change(ChangeStatus.FAILED, reason=Reason.THROTTLED)
    return [
        factories.finding(
            f"r{index}",
            account_id=f"{number:012d}",
            account_name=f"team {number}",
            change={0: factories.change(), 1: None}.get(index, failed),
        )
        for number in range(1, count + 1)
        for index in range(number + 1)
    ]


def test_many_accounts_are_told_by_account_first_worst_first() -> None:
    count = _MAX_ROWS + 3
    exempt = factories.finding(account_id="9" * 12, compliance=Compliance.EXEMPT)
    for width in WIDTHS:
        with case(width):
            lines = shown(factories.report([*accounts_of(count), exempt]), width)
            end = next(i for i, line in enumerate(lines) if re.match("Findings(,| *$)", line))
            rows = [line.split() for line in lines[:end] if re.match(r" \d{12} ", line)]
            assert rows == [
                [f"{number:012d}", "team", *map(str, (number, number, 1, number - 1))]
                for number in range(count, count - _MAX_ROWS, -1)
            ]
            assert any("3 more accounts" in line for line in lines[:end])
            assert len(details(lines)[1]) == _MAX_ROWS


def test_few_accounts_are_not_told_twice() -> None:
    report = factories.report(accounts_of(_MAX_ROWS))
    assert not any("Remaining" in line for line in shown(report))


def test_an_undo_counts_what_was_reverted() -> None:
    count = _MAX_ROWS + 1
    for kind, headers in (
        ("undo", ["Not reverted", "Reverted"]),
        ("apply", ["Remaining", "Fixed"]),
    ):
        with case(kind):
            lines = shown(factories.report(accounts_of(count), kind=kind))
            assert re.split(r"  +", lines[2].strip())[2:4] == headers
            assert lines[4].split()[-3:] == [str(count), "1", str(count - 1)]


def test_a_setting_that_does_not_say_why_it_is_a_finding_comes_with_the_reason() -> None:
    reason = "image tags that match 'latest' can be overwritten"
    for mutability, compliance, is_told in (
        ("IMMUTABLE_WITH_EXCLUSION", Compliance.NON_COMPLIANT, True),
        ("IMMUTABLE_WITH_EXCLUSION", Compliance.UNDETERMINED, True),
        ("IMMUTABLE_WITH_EXCLUSION", Compliance.EXEMPT, False),
        ("MUTABLE", Compliance.NON_COMPLIANT, False),
    ):
        with case(mutability, compliance):
            finding = factories.finding(mutability=mutability, compliance=compliance, reason=reason)
            for width in WIDTHS:
                headers, (row,) = details(shown(factories.report([finding]), width))
                told = cell(headers, row, "Tag mutability")
                assert (reason.replace(" ", "") in told) is is_told
