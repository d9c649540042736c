"""Where a run's report.json lies, for who wants to see it again, or to undo the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sweeper.aws.s3 import Bucket
from sweeper.config.schema import S3Config
from sweeper.domain.report_model import Delivery, Report
from sweeper.entrypoints.delivery import report_file
from sweeper.reporting.formats.base import Format
from sweeper.reporting.sinks.directory import DirectorySink
from sweeper.reporting.sinks.s3 import S3Sink
from sweeper.reporting.sinks.sns import SnsSink
from sweeper.reporting.sinks.topic import Topic
from tests.cases import case
from tests.factories import change, finding, report
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
