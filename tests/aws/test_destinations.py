"""What the destinations answer when they are asked, and that nothing is left there."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweeper.domain.reasons import Reason
from sweeper.engine.probe import WORKS, DestinationProbe, ProbeStatus
from sweeper.reporting.sinks import make_sinks
from sweeper.reporting.sinks.base import SinkContext, probe_sink
from tests.aws.conftest import Enter
from tests.aws.support import make_cloud
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault, World
from tests.fakes import make_config

BUCKET = "report.s3.bucket"
KEY = "report.s3.kms_key_id"


def ask(**report: Any) -> list[DestinationProbe]:
    config = make_config(report=report)
    context = SinkContext(config, (), make_cloud(config).clients.until_stopped)
    return [answer for sink in make_sinks(context) for answer in probe_sink(sink)]


def told(asked: list[DestinationProbe]) -> dict[tuple[str, str], tuple[ProbeStatus, Reason | None]]:
    return {(each.key, each.action): (each.probed.answer, each.probed.reason) for each in asked}


def test_where_nothing_is_configured_nothing_is_asked(aws: FakeAws) -> None:
    assert ask() == []
    assert aws.statistics().calls == {}


def test_a_directory_that_is_not_there_yet_is_made_by_the_sweep(tmp_path: Path) -> None:
    (answer,) = ask(directory=tmp_path / "new" / "newer")
    assert answer.probed.answer is ProbeStatus.WORKS
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    (answer,) = ask(directory=file / "below")
    assert (answer.probed.answer, answer.probed.reason) == (ProbeStatus.FAILED, Reason.WRITE_FAILED)
    assert answer.probed.message == f"{file}: not a directory"


def test_a_directory_that_may_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (answer,) = ask(directory=tmp_path)
    assert answer.probed.message == f"{tmp_path}: not writable"


@pytest.mark.parametrize("below", ["x" * 256, "new/" + "ü" * 128, "new/" + "x" * 5000, "a\0b"])
def test_a_directory_whose_name_cannot_be_one(tmp_path: Path, below: str) -> None:
    directory = tmp_path / below
    (answer,) = ask(directory=directory)
    assert (answer.probed.answer, answer.probed.reason) == (ProbeStatus.FAILED, Reason.WRITE_FAILED)
    said = "embedded null byte" if "\0" in below else "File name too long"
    assert answer.probed.message == f"{directory}: {said}"


def test_a_directory_with_the_longest_name(tmp_path: Path) -> None:
    (answer,) = ask(directory=tmp_path / ("x" * 255))
    assert answer.probed == WORKS


def test_a_link_that_leads_nowhere_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (answer,) = ask(directory=tmp_path / "link")
    assert answer.probed.message == f"{tmp_path / 'link'}: not a directory"
    (tmp_path / "gone").mkdir()
    (answer,) = ask(directory=tmp_path / "link")
    assert answer.probed == WORKS


def test_a_directory_below_one_that_may_not_be_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: Path, *_: Any, **__: Any) -> None:  # which root is never
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "lstat", denied)
    monkeypatch.setattr(Path, "stat", denied)
    (answer,) = ask(directory=tmp_path / "below")
    assert (answer.probed.answer, answer.probed.reason) == (ProbeStatus.FAILED, Reason.WRITE_FAILED)
    assert answer.probed.message == f"{tmp_path / 'below'}: Permission denied"


def test_a_bucket_in_another_region_is_found(enter: Enter) -> None:
    world = World.generate(
        accounts=2, regions=2, buckets=[{"name": "sweeper-reports", "region": "us-east-2"}]
    )
    aws = enter(world)
    asked = ask(s3={"bucket": "sweeper-reports", "prefix": "p"})
    assert {each.probed.answer for each in asked} == {ProbeStatus.WORKS}
    assert {each.location for each in asked} == {"s3://sweeper-reports/p"}
    assert aws.objects() == []


@pytest.mark.parametrize(
    ("message", "key", "action"),
    [
        ("User: u is not authorized to perform: s3:PutObject", BUCKET, "s3:PutObject"),
        # S3 says so where it is the bucket's own key, which the configuration does not name.
        (
            "User: u is not authorized to perform: kms:GenerateDataKey",
            BUCKET,
            "kms:GenerateDataKey",
        ),
    ],
)
def test_what_the_bucket_denies_is_told_apart(
    aws: FakeAws, message: str, key: str, action: str
) -> None:
    aws.faults([Fault("access_denied", operation="PutObject", message=message)])
    asked = told(ask(s3={"bucket": aws.world.buckets[0].name}))
    assert asked[key, action] == (ProbeStatus.DENIED, Reason.DENIED)
    assert len(asked) == 3


def test_what_passes_is_no_denial(aws: FakeAws) -> None:
    aws.faults([Fault("server_error", operation="PutObject")])
    asked = told(ask(s3={"bucket": aws.world.buckets[0].name}))
    assert asked[BUCKET, "s3:PutObject"] == (ProbeStatus.FAILED, Reason.SERVICE_ERROR)


def test_a_key_is_asked_in_its_own_region(enter: Enter) -> None:
    arn = "arn:aws:kms:us-east-2:{}:key/one"
    world = World.generate(accounts=2, regions=2)
    arn = arn.format(world.caller.account)
    data = {**world.to_json(), "keys": [{"arn": arn}]}
    aws = enter(World.from_json(data))
    asked = told(ask(s3={"bucket": aws.world.buckets[0].name, "kms_key_id": arn}))
    assert asked[KEY, "kms:GenerateDataKey"] == (ProbeStatus.WORKS, None)
    aws.faults([Fault("error", service="kms", region="us-east-2", code="DisabledException")])
    asked = told(ask(s3={"bucket": aws.world.buckets[0].name, "kms_key_id": arn}))
    assert asked[KEY, "kms:GenerateDataKey"] == (ProbeStatus.FAILED, Reason.REQUEST_REFUSED)


@pytest.mark.parametrize(
    ("faults", "answer"),
    [
        ([], ProbeStatus.WORKS),
        ([Fault("access_denied", operation="HeadBucket")], ProbeStatus.NOT_KNOWN),
    ],
)
def test_a_key_without_a_region_is_in_that_of_the_bucket(
    enter: Enter, faults: list[Fault], answer: ProbeStatus
) -> None:
    world = World.generate(
        accounts=2,
        regions=2,
        buckets=[{"name": "sweeper-reports", "region": "us-east-2"}],
        keys=[{"arn": "alias/reports"}],
    )
    aws = enter(world)
    aws.faults(faults)
    asked = told(ask(s3={"bucket": "sweeper-reports", "kms_key_id": "alias/reports"}))
    assert asked[KEY, "kms:GenerateDataKey"][0] is answer
    regions = {each["region"] for each in aws.statistics().refused if "kms" in each["operation"]}
    assert regions == ({"us-east-2"} if answer is ProbeStatus.WORKS else set())


@pytest.mark.parametrize("kms_key", ["arn:", "arn:aws", "arn:aws:kms", "arn:aws:kms::1:key/1"])
def test_even_a_key_that_no_configuration_may_name_is_answered(aws: FakeAws, kms_key: str) -> None:
    report = make_config(report={"s3": {"bucket": aws.world.buckets[0].name}}).report
    assert report.s3
    s3 = report.s3.model_copy(update={"kms_key_id": kms_key})
    config: Any = SimpleNamespace(report=report.model_copy(update={"s3": s3}))
    (sink,) = make_sinks(SinkContext(config, (), make_cloud().clients.until_stopped))
    asked = told(probe_sink(sink))
    assert asked[KEY, "kms:GenerateDataKey"][0] is ProbeStatus.FAILED
