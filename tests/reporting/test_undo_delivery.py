"""Where undo.json lies, and what it leaves as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from sweeper.aws.s3 import Bucket
from sweeper.config.schema import S3Config
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Change, ChangeStatus
from sweeper.reporting.sinks import deliver
from sweeper.reporting.undo_delivery import UndoBucket, UndoDirectory
from tests.reporting.test_undo_text import RUN, report_of

REPORT = report_of(Change(ChangeStatus.APPLIED, "MUTABLE", ()))


class Objects(Bucket):
    def __init__(self) -> None:
        super().__init__(S3Config(bucket="reports", prefix="sweeps"), lambda *_: None)
        self.put_there: dict[str, tuple[bytes, str]] = {}

    def put(self, name: str, pieces: Iterable[bytes], media_type: str, **more: Any) -> str:
        assert not more
        self.put_there[name] = b"".join(pieces), media_type
        return "etag"


def test_it_lies_in_the_directory_and_under_its_own_id(tmp_path: Path) -> None:
    objects = Objects()
    place = tmp_path / "made" / "here"
    place.mkdir(parents=True)
    (place / "report.json").write_text("the sweep's")
    report = deliver(REPORT, [UndoDirectory(place), UndoBucket(objects)])
    folder = f"{RUN.started_at[:10]}/{RUN.id}"
    assert [(each.sink, each.location, each.status) for each in report.deliveries] == [
        ("directory", str(place), "delivered"),
        ("s3", f"s3://reports/sweeps/{folder}/undo.json", "delivered"),
    ]
    ((name, (body, media_type)),) = objects.put_there.items()
    assert (name, media_type) == (f"{folder}/undo.json", "application/json")
    assert (place / "undo.json").read_bytes() == body
    assert (place / "report.json").read_text() == "the sweep's"
    kept = json.loads(body)
    assert kept["schema_version"] == "1"
    assert kept["changes"][0]["from_mutability"] == "IMMUTABLE"
    assert kept["deliveries"] == []


def test_where_it_cannot_be_written_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperationFailed, match="Not a directory"):
        UndoDirectory(tmp_path / "file" / "below").deliver(REPORT, ())
    fallback = UndoDirectory(tmp_path / "state", "fallback")
    report = deliver(REPORT, [UndoDirectory(tmp_path / "file" / "below")], fallback=fallback)
    assert [(each.sink, each.status) for each in report.deliveries] == [
        ("directory", "failed"),
        ("fallback", "delivered"),
    ]
