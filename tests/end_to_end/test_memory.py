"""Whatever lies where earlier sweeps left their records: a sweep ends with its report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from benchmarks.measure import Usage, launch
from tests import factories
from tests.end_to_end.barriers import wait_for_call
from tests.end_to_end.harness import COMMAND, SWEEPER, end, environment, run, small_world, start
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault, World
from tests.rendering import as_json

SIZE = 30_000_000  # bytes, of each record
MOST_MB = 350.0  # a task of 512 MB has room for it
RUN_ID = "20260615T120000Z-0a1b2c"
MOMENT = "2026-06-15T12:00:00Z"
EMPTY = json.loads(as_json(factories.report(started_at=MOMENT, finished_at=MOMENT)))
ABOUT = {key: value for key, value in EMPTY.items() if key != "findings"} | {
    "organization_id": None,
    "account_id": None,
}
FINDING = {
    "check": "ecr-tag-immutability",
    "account_id": factories.ACCOUNT_ID,
    "account_name": "",
    "region": factories.REGION,
    "repository": "",
    "arn": "",
    "mutability": "",
    "exclusion_filters": [],
    "compliance": "non_compliant",
    "reason": "",
    "announced": MOMENT[:10],
}
CLOSURE = {
    "check": "c",
    "account_id": "1",
    "region": "r",
    "repository": "",
    "closed_at": MOMENT,
    "reopened": 0,
}


def filled(item: bytes, size: int) -> bytes:
    """A list of so many bytes, all of whose items are alike."""
    return b"[" + item + (b"," + item) * (size // (len(item) + 1)) + b"]"


def numbered(values: Mapping[str, object], size: int, text: str = "") -> bytes:
    """A list of so many bytes of things with a name of their own each."""
    count = size // len(json.dumps({**values, "repository": f"{text}{size}"}))
    items = [json.dumps({**values, "repository": f"{text}{each}"}) for each in range(count)]
    return f"[{','.join(items)}]".encode()


# What stands as `findings`, `points` and `closures`.
SHAPES: dict[str, Callable[[], tuple[bytes, bytes, bytes]]] = {
    "tiny arrays": lambda: (filled(filled(b"[]", SIZE), 0), filled(b"[]", SIZE), b"[]"),
    "tiny items": lambda: (filled(b"{}", SIZE), b"[]", filled(b"{}", SIZE)),
    "deep": lambda: (b"[" * SIZE, b"[" * SIZE, b"[]"),
    "a long text": lambda: (b'["%s"]' % (b"x" * SIZE), b"[]", b'["%s"]' % (b"x" * SIZE)),
    "a long number": lambda: (filled(b"1" * 1_000_000, SIZE), b"[]", filled(b"1" * SIZE, 0)),
    "many keys": lambda: (
        b"[{%s}]" % b",".join(b'"%d":0' % each for each in range(SIZE // 12)),
        b"[]",
        b"[]",
    ),
    "many findings": lambda: (numbered(FINDING, SIZE), b"[]", numbered(CLOSURE, SIZE)),
    "wide texts": lambda: (
        numbered(FINDING, SIZE, "\U0001f680" + "x" * 5_000),
        b"[]",
        numbered(CLOSURE, SIZE, "\U0001f680" + "x" * 5_000),
    ),
}

REPORTS = ("many findings", "wide texts")  # the shapes that make a valid report


def record(shape: str) -> bytes:
    """A record of that shape, as a report and as a history."""
    findings, points, closures = SHAPES[shape]()
    remaining = findings.count(b'"non_compliant"')  # else the report contradicts itself
    totals = {**ABOUT["totals"], "remaining": remaining}
    about = json.dumps({**ABOUT, "totals": totals}).encode()[:-1]
    return about + b',"findings":%s,"points":%s,"closures":%s}' % (findings, points, closures)


def plan(shape: str) -> bytes:
    """A plan of that shape: one long line after its header."""
    header = {
        "run_id": RUN_ID,
        "started_at": MOMENT,
        "version": "1",
        "dry_run": False,
        "config": {},
        "journal": 3,
        "kind": "run",
    }
    line = b'{"kind":"found","finding":%s}\n' % SHAPES[shape]()[0]
    return json.dumps(header).encode() + b"\n" + line


def put(aws: FakeAws, world: World, key: str, body: bytes) -> None:
    caller = world.caller
    client = boto3.client(
        "s3",
        endpoint_url=aws.endpoint,
        region_name=world.buckets[0].region,
        aws_access_key_id=caller.access_key_id,
        aws_secret_access_key=caller.secret_access_key,
    )
    client.put_object(Bucket=world.buckets[0].name, Key=key, Body=body)


def config(world: World) -> dict[str, Any]:
    return {"report": {"s3": {"bucket": world.buckets[0].name, "prefix": "sweeps"}}}


def launched(aws: FakeAws, directory: Path, *command: str) -> Usage:
    """Run a command with a limit that keeps one that fails here from taking the machine with it."""
    variables = environment(aws, XDG_STATE_HOME=str(directory / "state"))
    limited = ("/bin/sh", "-c", 'ulimit -v 4000000 && exec "$@"', "sh", *command)
    return launch(list(limited), directory, variables)


@pytest.fixture
def world(aws: FakeAws) -> World:
    made = small_world(accounts=2, regions=1)
    aws.load(made)
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "grace_days"), [*((shape, 3) for shape in SHAPES), ("many findings", 0)]
)
def test_a_sweep_ends_with_its_report_whatever_lies_there(
    aws: FakeAws, tmp_path: Path, world: World, shape: str, grace_days: int
) -> None:
    """With grace days, records are also read before anything is written: what they announced."""
    content = record(shape)
    for name in ("latest.json", "history.json", "lease.json"):
        put(aws, world, f"sweeps/{name}", content)
    given = {**config(world), "remediation": {"grace_days": grace_days}}
    (tmp_path / "config.yaml").write_text(json.dumps(given))
    used = launched(aws, tmp_path, *COMMAND, "--config", "config.yaml", "--yes")
    said = (tmp_path / "stderr.txt").read_text()
    assert used.status == 3, said[-2000:]
    (report,) = [each for each in aws.objects() if each.key.endswith("/report.json")]
    assert json.loads(report.body)["coverage"]["complete"]
    assert used.peak_mb < MOST_MB


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_a_plan_that_is_none_is_refused(
    aws: FakeAws, tmp_path: Path, world: World, shape: str
) -> None:
    key = f"sweeps/2026-06-15/{RUN_ID}/plan.jsonl"
    put(aws, world, key, plan(shape))
    (tmp_path / "config.yaml").write_text(json.dumps(config(world)))
    options = ("--config", "config.yaml", "--resume", f"s3://{world.buckets[0].name}/{key}")
    used = launched(aws, tmp_path, *COMMAND, "--yes", *options)
    assert used.status == 2
    assert "line 2: not a line of a journal" in (tmp_path / "stderr.txt").read_text()
    assert used.peak_mb < MOST_MB


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_a_named_report_is_read_or_refused(aws: FakeAws, tmp_path: Path, shape: str) -> None:
    (tmp_path / "it.json").write_bytes(record(shape))
    used = launched(aws, tmp_path, *SWEEPER, "undo", "it.json", "--yes")
    assert used.status == (0 if shape in REPORTS else 2)
    assert "it.json" in (tmp_path / "stderr.txt").read_text()
    assert used.peak_mb < MOST_MB


def test_the_report_is_stored_before_anything_earlier_is_read(
    aws: FakeAws, tmp_path: Path, world: World
) -> None:
    """Whatever reading it costs: who is killed then has written, and leaves a report of it."""
    # The first is of reopened.json, which decides what is written, and is small.
    aws.faults([Fault("hang", operation="GetObject", seconds=600, skip=1)])
    aws.reset_statistics()
    process = start(aws, tmp_path, config=config(world))
    wait_for_call(aws, "s3:GetObject", process, times=2)
    process.kill()
    end(process, tmp_path)
    (stored,) = [each for each in aws.objects() if each.key.endswith("/report.json")]
    here = list(tmp_path.glob("out/*/report.json"))
    assert len(here) == 1
    assert here[0].read_bytes() == stored.body
    report = json.loads(stored.body)
    assert report["since_last"] is None
    assert report["totals"]["changes"]["applied"] == report["totals"]["changes"]["planned"] > 0


def test_what_was_stored_first_is_completed(aws: FakeAws, tmp_path: Path, world: World) -> None:
    first = run(aws, tmp_path, config=config(world)).report
    second = run(aws, tmp_path, "--dry-run", "--deliver", config=config(world)).report
    assert second["since_last"]["run_id"] == first["run"]["id"]
    for report in (first, second):
        key = f"{report['run']['id']}/report.json"
        (stored,) = [each for each in aws.objects() if each.key.endswith(key)]
        assert json.loads(stored.body) == {**report, "deliveries": []}
    # Of a run that changed nothing only report.json stays.
    assert [each.parent.name for each in tmp_path.glob("out/*/report.json")] == [first["run"]["id"]]
