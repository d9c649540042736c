"""What docs/ publishes is what the program makes, and reports are as the schema says."""

import json
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from sweeper.domain.model import Change, ChangeStatus, Compliance, Failed, Since, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ended_early
from sweeper.domain.report_model import Delivery, Report, TrendPoint
from sweeper.reporting.published import reasons_page, report_schema
from tests.cases import case
from tests.factories import earlier, exemption, finding, hostile_report, report, run, since_last
from tests.rendering import as_json

PUBLISHED = Path(__file__).parents[2] / "docs" / "report.schema.json"

REPORTS = {
    "empty": report(),
    "hostile": hostile_report(),
    "ended early": ended_early(run(), Failed(Stage.ENUMERATE, Reason.TIMED_OUT, "")),
    "every verdict and status": report(
        [
            *(
                finding(
                    f"v-{compliance}",
                    compliance=compliance,
                    exemption=exemption(expires=date(2026, 1, 1)),
                )
                for compliance in Compliance
                if compliance is not Compliance.COMPLIANT
            ),
            *(
                finding(f"c-{status}", change=Change(status, "IMMUTABLE", ("dev*",)))
                for status in ChangeStatus
            ),
        ]
    ),
    "compared": replace(
        report([finding(since_last=Since.REOPENED, reopened=2)]),
        since_last=since_last(reopened=1, resolved=[earlier()], not_visible=(earlier(),)),
        trend=(TrendPoint("run", "2026-11-24T01:04:10Z", 5, 2, 1, 1, 1, 0.5, 1.0, complete=False),),
    ),
    "delivered": replace(report(), deliveries=(Delivery("s3", "s3://b/", "delivered"),)),
}


def validator() -> Draft202012Validator:
    published = json.loads(PUBLISHED.read_text())
    Draft202012Validator.check_schema(published)
    return Draft202012Validator(published, format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_the_published_schema_is_current() -> None:
    assert PUBLISHED.read_text() == report_schema(), "run: make schema"


def test_reports_are_valid() -> None:
    valid = validator()
    for name, item in REPORTS.items():
        with case(name):
            valid.validate(json.loads(as_json(item)))


def test_other_documents_are_not() -> None:
    cases: list[tuple[tuple[Any, ...], object]] = [
        (("surprise",), 1),
        (("run", "surprise"), 1),
        (("schema_version",), "3"),
        (("totals", "remaining"), "none"),
        (("findings", 0, "compliance"), "fine"),
        (("findings", -1, "exemption", "expires"), "soon"),
    ]
    for path, value in cases:
        with case(path, value):
            document = json.loads(as_json(REPORTS["every verdict and status"]))
            parent = document
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = value
            with pytest.raises(ValidationError):
                validator().validate(document)


def test_every_key_is_required() -> None:
    document = json.loads(as_json(report()))
    del document["deliveries"]
    with pytest.raises(ValidationError, match="deliveries"):
        validator().validate(document)


def test_every_object_is_described() -> None:
    definitions = json.loads(report_schema())["$defs"].items()
    assert [name for name, value in definitions if not value.get("description")] == []


def test_the_command_prints_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import runpy

    monkeypatch.setattr(sys, "argv", ["published", "report"])
    with pytest.warns(RuntimeWarning):
        runpy.run_module("sweeper.reporting.published", run_name="__main__")
    assert capsys.readouterr().out == report_schema()


def test_the_report_is_the_model() -> None:
    assert set(json.loads(report_schema())["properties"]) == set(Report.__slots__)


ROOT = Path(__file__).parents[2]


def test_the_published_table_is_current() -> None:
    published = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")
    assert published == reasons_page(), "run: make reasons"


def test_each_reason_has_its_meaning() -> None:
    assert [reason for reason in Reason if not reason.meaning] == []
