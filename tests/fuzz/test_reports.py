"""Whatever stands in a report, every format can show it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.formats import formats
from sweeper.model import ChangeStatus, Compliance, Reason, Report, Stage
from tests import factories
from tests.fuzz.support import bounded, run_of

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
            rendered = FORMATS[name].render(report)
        text = rendered.decode("utf-8")
        assert "\x1b" not in text
        assert "\u202e" not in text
        if name == "json":
            assert len(json.loads(text)["findings"]) == len(report.findings)

    fuzz()
