"""Whatever stands in a report that is to be undone: it is refused in words, or it is sound."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.checks import checks, resources_by_check
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.escaping import plain
from sweeper.domain.model import Finding
from sweeper.domain.recorded_changes import RecordedChanges, invert
from sweeper.storage.change_reader import read_recorded_changes
from tests import factories
from tests.fakes import make_target
from tests.fuzz.support import bounded, mutated, run_of
from tests.recorded_support import applied_finding, report_of, source_run
from tests.rendering import as_json

FOUND = report_of(
    source_run(organization_id="o-fakeorg0001"),
    (
        applied_finding("app-a"),
        applied_finding(
            "team/b", make_target(2), before=("MUTABLE_WITH_EXCLUSION", ("v*", "latest"))
        ),
        applied_finding(
            "team/c",
            before=("IMMUTABLE_WITH_EXCLUSION", ("v*", "latest")),
            after=("IMMUTABLE_WITH_EXCLUSION", ("latest",)),
        ),
    ),
)
WHOLE = as_json(FOUND)
WORDS = {"MUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"}
texts = st.text(max_size=20) | st.sampled_from(factories.HOSTILE)
_FIELDS = ("check", "account_id", "region", "repository", "arn", "mutability")


def recorded_in(path: Path) -> RecordedChanges:
    about = resources_by_check(checks().values())
    return read_recorded_changes("undo", str(path), lambda *_: pytest.fail("S3"), about)


def taken(path: Path, content: bytes) -> None:
    """Read it as an undo does; what is taken is what ECR and the organization could have."""
    path.write_bytes(content)
    with suppress(ConfigurationError):
        for each in recorded_in(path).findings:
            assert each.change
            assert re.fullmatch(r"\d{12}", each.account_id)
            assert re.fullmatch(r"[a-z]+(-[a-z]+)+-\d+", each.region)
            assert re.fullmatch(r"[A-Za-z0-9._/-]+", each.repository)
            assert each.arn == plain(each.arn)
            assert not each.arn or f":{each.region}:{each.account_id}:" in each.arn
            assert each.mutability in WORDS - {"MUTABLE"} | {"IMMUTABLE"}
            assert each.change.to_mutability in WORDS
            for filters in (each.exclusion_filters, each.change.to_exclusion_filters):
                assert len(filters) <= 5
                assert all(re.fullmatch(r"[0-9A-Za-z._*-]+", text) for text in filters)


def test_damaged_bytes(tmp_path: Path) -> None:
    @bounded
    @given(mutated(WHOLE))
    def fuzz(content: bytes) -> None:
        with run_of("undo: damaged reports"):
            taken(tmp_path / "report.json", content)

    fuzz()


@st.composite
def forged(draw: st.DrawFn) -> Any:
    findings = []
    for finding in FOUND.findings:
        name = draw(st.sampled_from(_FIELDS))
        values: dict[str, Any] = {name: draw(texts)}
        if draw(st.booleans()):
            values["exclusion_filters"] = tuple(draw(st.lists(texts, max_size=7)))
        made: Finding = replace(finding, **values)
        findings.append(made if draw(st.booleans()) else finding)
    return replace(FOUND, findings=tuple(findings))


def test_forged_values(tmp_path: Path) -> None:
    @bounded
    @given(forged())
    def fuzz(report: Any) -> None:
        with run_of("undo: forged reports"):
            taken(tmp_path / "report.json", as_json(report))

    fuzz()


def test_what_is_whole_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(WHOLE)
    assert recorded_in(path).findings == tuple(map(invert, FOUND.findings))
