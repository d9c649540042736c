"""Whatever stands in a report, every format can show it; what is no report is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.domain.errors import ConfigurationError
from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import ChangeStatus, Compliance, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report
from sweeper.storage.report_store import compare, read_report
from tests import factories
from tests.fuzz.support import bounded, misshapen, mutated, run_of
from tests.rendering import as_json, formats, rendered
from tests.reporting.test_published import REPORTS

texts = st.text(st.characters(), max_size=30) | st.sampled_from(factories.HOSTILE)
FORMATS = formats()


@st.composite
def reports(draw: st.DrawFn) -> Report:
    findings = []
    for index in range(draw(st.integers(0, 4))):
        change = factories.change(
            draw(st.sampled_from(ChangeStatus)),
            reason=draw(st.none() | st.sampled_from(Reason)),
            error=draw(st.none() | texts),
            to_mutability=draw(texts),
        )
        findings.append(
            factories.finding(
                draw(texts),
                account_id=f"22223333444{index}",
                account_name=draw(texts),
                mutability=draw(texts),
                exclusion_filters=tuple(draw(st.lists(texts, max_size=2))),
                reason=draw(texts),
                compliance=draw(
                    st.sampled_from([each for each in Compliance if each != "compliant"])
                ),
                change=draw(st.none() | st.just(change)),
                exemption=draw(st.none() | st.just(factories.exemption(rule=draw(texts)))),
            )
        )
    failures: list[Any] = [
        (
            factories.account(f"33334444555{index}", draw(texts)),
            factories.failed(
                draw(st.sampled_from(Reason)),
                stage=draw(st.sampled_from([Stage.ENUMERATE, Stage.OPEN_ACCOUNT])),
                message=draw(texts),
                error_code=draw(st.none() | texts),
            ),
        )
        for index in range(draw(st.integers(0, 3)))
    ]
    return factories.report(findings, failures, dry_run=draw(st.booleans()))


@pytest.mark.parametrize("name", FORMATS)
def test_every_report_in_every_format(name: str) -> None:
    @bounded
    @given(reports())
    def fuzz(report: Report) -> None:
        with run_of(f"reports as {name}"):
            content = rendered(name, report)
        text = content.decode("utf-8")
        assert "\x1b" not in text
        assert "\u202e" not in text
        if name == "json":
            assert len(json.loads(text)["findings"]) == len(report.findings)

    fuzz()


# Every list has something in it.
MERGED = json.loads(as_json(factories.report([factories.finding(change=factories.change())])))
for each in REPORTS:
    if each != "hostile":
        document = json.loads(as_json(REPORTS[each]))
        MERGED |= {key: value for key, value in document.items() if value and key != "run"}
# The parts are of several reports, and the reader compares them.
MERGED["coverage"]["complete"] = False
MERGED["totals"]["remaining"] = len(MERGED["findings"])
FILE = "fuzzed.json"


def nothing_remote(location: str, use: object) -> Report:
    raise AssertionError(f"{location} was read")


def read(fuzzer: str, content: bytes) -> None:
    """Refused in words, or shown in every format, alone and beside another."""
    Path(FILE).write_bytes(content)
    problem = ""
    with run_of(fuzzer):
        try:
            item = read_report(FILE, nothing_remote)
        except ConfigurationError as error:
            problem = str(error)
        else:
            for each in FORMATS.values():
                rendered(each.name, item)
            assert read_report(FILE, nothing_remote) == item
            _compared(REPORTS["compared"], item)
            _compared(item, REPORTS["delivered"])
    if problem:
        assert problem.startswith(FILE)
        assert not any(map(is_hidden, problem))
        assert len(problem) < 2000


def _compared(earlier: Report, later: Report) -> None:
    try:
        item = compare(earlier, later)
    except ConfigurationError:
        return
    for each in FORMATS.values():
        rendered(each.name, item)


@bounded
@given(mutated(json.dumps(MERGED).encode()))
def test_mutations_of_a_stored_report(content: bytes) -> None:
    read("stored report mutations", content)


@bounded
@given(misshapen(MERGED))
def test_stored_reports_with_a_misshapen_value(document: Any) -> None:
    read("stored report structures", json.dumps(document).encode())


def test_what_is_fuzzed_is_a_report() -> None:
    Path(FILE).write_text(json.dumps(MERGED), encoding="utf-8")
    assert read_report(FILE, nothing_remote).findings
