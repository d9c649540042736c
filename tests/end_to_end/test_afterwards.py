"""What a sweep left is shown again, and what it would read is checked, where they lie in S3."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from tests.end_to_end.harness import (
    SWEEPER,
    Ended,
    Here,
    end,
    open_repositories,
    small_world,
    start_command,
)
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Bucket, Fault, Repository

BUCKET = "sweeper-reports"
S3 = {"bucket": BUCKET, "prefix": "ecr"}


def sweeper(aws: FakeAws, folder: Path, *arguments: str) -> Ended:
    process = start_command(
        aws, folder, (*SWEEPER, *arguments), SWEEPER_LIMITS__DELIVERY_SECONDS=None
    )
    return end(process, folder)


def test_a_sweeps_reports_are_shown_again_and_compared(
    aws: FakeAws, here: Here, tmp_path: Path
) -> None:
    world = small_world(accounts=3, regions=2)
    region = next(iter(world.regions))
    aws.load(dataclasses.replace(world, buckets=(Bucket(BUCKET, region),)))
    formats = ["json", "text", "html", "csv", "junit", "markdown", "ocsf", "sarif"]
    config = {"report": {"s3": S3, "formats": formats}}
    assert here.run(aws, config=config).status == 0
    out = tmp_path / "out"
    first = (out / "report.json").read_bytes()
    files = {"json": "json", "text": "txt", "html": "html", "csv": "csv", "markdown": "md"}
    for name, file in files.items():
        shown = sweeper(aws, tmp_path, "report", "out/report.json", "--format", name)
        assert (shown.status, shown.stderr) == (0, "")
        assert shown.stdout.encode() == (out / f"report.{file}").read_bytes()
    latest = f"s3://{BUCKET}/ecr/latest.json"
    assert sweeper(aws, tmp_path, "report", latest, "--format", "json").stdout.encode() == first

    earlier = json.loads(first)
    earlier["run"]["started_at"] = "2020-01-01T00:00:00Z"  # by more than the second of a sweep
    (tmp_path / "first.json").write_text(json.dumps(earlier), encoding="utf-8")
    account = aws.world.accounts[0].id
    aws.put_repository(account, region, Repository("made/later", "MUTABLE"))
    assert here.run(aws, "--dry-run", config=config).status == 3
    assert len(open_repositories(aws)) == 1
    arguments = ("report", latest, "out/report.json", "--format", "json", "--exit-status")
    compared = sweeper(aws, tmp_path, *arguments)
    assert compared.status == 3
    report = json.loads(compared.stdout)
    assert [found["repository"] for found in report["findings"]] == ["made/later"]
    assert report["since_last"]["new"] == 1
    assert report == json.loads((out / "report.json").read_bytes())  # which the sweep compared, too
    swapped = sweeper(aws, tmp_path, "report", "out/report.json", "first.json")
    assert swapped.status == 2
    assert "needed: the earlier report first" in swapped.stderr


def test_a_configuration_in_s3_is_checked(aws: FakeAws, here: Here, tmp_path: Path) -> None:
    world = small_world(accounts=1, regions=1)
    aws.load(dataclasses.replace(world, buckets=(Bucket(BUCKET, next(iter(world.regions))),)))
    config = {"report": {"s3": S3}}
    assert here.run(aws, "--dry-run", "--deliver", config=config).status in (0, 3)
    stored = next(each.key for each in aws.objects() if each.key.endswith("report.json"))
    ended = sweeper(aws, tmp_path, "config", "check", f"s3://{BUCKET}/{stored}")
    assert ended.status == 2  # a report is read, and is no configuration
    assert f"s3://{BUCKET}/{stored}: run: unknown key" in ended.stderr
    assert sweeper(aws, tmp_path, "config", "check").stdout.startswith("read: config.yaml\n")


def test_a_failed_start_costs_no_earlier_report(aws: FakeAws, here: Here, tmp_path: Path) -> None:
    world = small_world(accounts=3, regions=2)
    region = next(iter(world.regions))
    aws.load(dataclasses.replace(world, buckets=(Bucket(BUCKET, region),)))
    config = {"report": {"s3": S3}, "remediation": {"auto_remediate": "DISABLED"}}
    good = here.run(aws, config=config)
    assert good.report["findings"]
    report = (tmp_path / "out" / "report.json").read_bytes()

    def records() -> dict[str, bytes]:
        found = {each.key: each.body for each in aws.objects()}
        return {name: found[f"ecr/{name}"] for name in ("latest.json", "history.json")}

    before = records()
    aws.faults([Fault("access_denied", operation="ListAccounts")])
    failed = here.run(aws)
    assert failed.status == 2
    assert (tmp_path / "out" / "report.json").read_bytes() == report
    assert records() == before
    assert failed.report["failures"]
    own = Path("out", failed.report["run"]["id"], "report.json")
    assert json.loads((tmp_path / own).read_bytes()) == failed.report
    assert failed.logs[-1]["report"] == str(own)
