"""Where a run's report.json lies, and what it takes to resume an undo or an apply."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeper.aws.s3 import Bucket
from sweeper.config.schema import S3Config
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.recorded_changes import RecordedChanges, undo_config
from sweeper.domain.report_model import Delivery, Report
from sweeper.engine.pool import Stop
from sweeper.entrypoints import app
from sweeper.entrypoints.app import report_file
from sweeper.entrypoints.bootstrap import new_header
from sweeper.reporting.formats.base import Format
from sweeper.reporting.sinks.directory import DirectorySink
from sweeper.reporting.sinks.s3 import S3Sink
from sweeper.reporting.sinks.sns import SnsSink
from sweeper.reporting.sinks.topic import Topic
from sweeper.storage import run_state as state
from sweeper.storage.journal import kinds, lines
from tests.cases import case
from tests.factories import change, finding, report
from tests.fakes import FakeObserver, make_change, make_config
from tests.golden import assert_golden, sections
from tests.recorded_support import applied_finding, recorded
from tests.rendering import formats

LOOKED = report([finding()], id="r")
CHANGED = report([finding(change=change())], id="r")
JSON, CSV = formats()["json"], formats()["csv"]
DIRECTORY = Delivery("directory", "out", "delivered")
S3 = Delivery("s3", "s3://b/p/2026-11-24/r/report.json", "delivered")
FALLBACK = Delivery("fallback", "/state/reports/r", "delivered")
FAILED = Delivery("directory", "out", "failed")
SNS = Delivery("sns", "arn:topic", "delivered")


def no_client(*_: object) -> Any:
    raise AssertionError("where the report lies is known without a call")


def test_where_the_report_lies() -> None:
    cases: list[tuple[Report, Format, tuple[Delivery, ...], str | None]] = [
        (LOOKED, JSON, (DIRECTORY, S3), "out/report.json"),
        (CHANGED, JSON, (DIRECTORY, S3), "out/r/report.json"),
        (CHANGED, CSV, (DIRECTORY,), "out/r/report.json"),
        (LOOKED, CSV, (DIRECTORY,), None),
        (CHANGED, JSON, (S3, SNS), S3.location),
        (LOOKED, CSV, (replace(S3, location="s3://b/p/2026-11-24/r/report.csv"),), None),
        (CHANGED, JSON, (FAILED, FALLBACK, SNS), "/state/reports/r/report.json"),
        (CHANGED, CSV, (FALLBACK,), "/state/reports/r/report.json"),
        (CHANGED, JSON, (FAILED, SNS), None),
        (LOOKED, JSON, (), None),
    ]
    for item, chosen, deliveries, file in cases:
        with case(item, chosen, deliveries, file):
            sinks = (
                DirectorySink(Path("out"), (chosen,)),
                S3Sink(Bucket(S3Config(bucket="reports"), no_client), (chosen,)),
                SnsSink(Topic("arn:topic", no_client), "always"),
                DirectorySink(Path("/state"), (JSON, chosen), "fallback", under_id=False),
            )
            assert report_file(replace(item, deliveries=deliveries), sinks) == file


APPLIED = (applied_finding("app-a"), applied_finding("app-b"))
UNDO = recorded(APPLIED)
APPLY = recorded([replace(finding, change=make_change()) for finding in APPLIED], "apply")


def refusal(directory: Path, header: kinds.Header, changes: RecordedChanges | None) -> str:
    """What is said where the run with this header is resumed with these changes."""
    journal = directory / f"{header.run_id}{state._SUFFIX}"
    journal.write_bytes(lines.header(header))
    with pytest.raises(ConfigurationError) as caught:
        app.run_sweep(
            make_config(state={"directory": str(directory)}),
            app.RunOptions(dry_run=False, recorded=changes, resume=header.run_id),
            stop=Stop(),
            observer=FakeObserver(),
            approve=lambda _: False,
        )
    assert journal.exists()
    return str(caught.value)


def header_of(
    directory: Path, changes: RecordedChanges | None, *, dry_run: bool = False
) -> kinds.Header:
    config = make_config(state={"directory": str(directory)})
    if changes and changes.kind == "undo":
        config = undo_config(config, changes.findings)
    return new_header(config, changes, dry_run=dry_run)


def test_only_the_same_run_with_the_same_changes_is_resumed(tmp_path: Path) -> None:
    forged = applied_finding("app-b", before=("MUTABLE_WITH_EXCLUSION", ("a",)))
    undo, apply = header_of(tmp_path, UNDO), header_of(tmp_path, APPLY)
    configured = replace(undo, config={**undo.config, "organization": "another"})
    cases: dict[str, tuple[kinds.Header, RecordedChanges | None]] = {
        "another run": (replace(undo, source="20260101T000000Z-ffffff"), UNDO),
        "fewer changes": (undo, recorded(APPLIED[:1])),
        "other changes": (undo, recorded([APPLIED[0], forged])),
        "a sweep by an undo": (header_of(tmp_path, None), UNDO),
        "an undo by a sweep": (undo, None),
        "an apply by an undo": (apply, UNDO),
        "an undo by an apply": (undo, APPLY),
        "other changes of an apply": (apply, replace(APPLY, findings=APPLY.findings[:1])),
        "a dry run": (header_of(tmp_path, UNDO, dry_run=True), UNDO),
        "another configuration": (configured, UNDO),
    }
    told = {}
    for name, (header, changes) in cases.items():
        with case(name):
            said = refusal(tmp_path, header, changes)
            assert header.run_id in said
            told[name] = said.replace(header.run_id, "<the run>")
    assert_golden("refusals.resume.txt", sections(told))
