"""The evidence: every repository that was examined, with its verdict, beside the report."""

from __future__ import annotations

import gzip
import json
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.barriers import hold, release_slowly, wait_until_held
from tests.end_to_end.harness import Ended, Here, end, run, small_world, start
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import CreationTemplate, Fault, Registry, Repository, World

TAGS, TEMPLATES = "ecr-tag-immutability", "ecr-creation-template-immutability"
NAME = "evidence.jsonl.gz"
EXAMINED = b'"kind":"examined"'  # in a line of the journal
FEW = {"limits": {"max_workers": 2}}
REPOSITORIES = (
    Repository("done", "IMMUTABLE"),
    Repository("allowed", "IMMUTABLE_WITH_EXCLUSION", ("latest",)),
    Repository("partly", "IMMUTABLE_WITH_EXCLUSION", ("latest", "pr-*")),
    Repository("open"),
    Repository("sandbox/app"),
)
CREATION_TEMPLATES = (CreationTemplate("apps"), CreationTemplate("done", "IMMUTABLE"))
POLICY = {
    "policy": {"allowed_exclusions": ["latest"]},
    "exemptions": [{"repository": "sandbox/*", "reason": "rebuilt nightly", "expires": "never"}],
}
VERDICTS = {
    "done": "compliant",
    "allowed": "compliant",
    "partly": "non_compliant",
    "open": "non_compliant",
    "sandbox/app": "exempt",
}


def with_evidence(**config: Any) -> dict[str, Any]:
    return {**config, "report": {"evidence": True, **config.get("report", {})}}


def lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(content).splitlines()]


def evidence(ended: Ended) -> list[dict[str, Any]]:
    return lines((ended.directory / "out" / ended.report["run"]["id"] / NAME).read_bytes())


def of_kind(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [line for line in found if line["kind"] == kind]


def examined(aws: FakeAws) -> set[tuple[str, str, str]]:
    return {(each.account, each.region, each.name) for each in aws.repositories()}


def named(found: list[dict[str, Any]], check: str = TAGS) -> Counter[tuple[str, str, str]]:
    return Counter(
        (line["account_id"], line["region"], line["repository"])
        for line in of_kind(found, "verdict")
        if line["check"] == check
    )


def verify(report: Any, found: list[dict[str, Any]]) -> None:
    """What docs/report.md tells a reader to compare."""
    first, *_, last = found
    assert (first["kind"], last["kind"]) == ("header", "end")
    assert first["run_id"] == report["run"]["id"]
    assert first["started_at"] == report["run"]["started_at"]
    assert first["configuration"] == report["run"]["configuration"]["digest"]
    totals = report["totals"]
    for key in ("accounts", "targets"):
        assert last[key] == totals[key]
    missing = last["not_recorded"]["repositories"]
    assert sum(last["verdicts"][TAGS].values()) + missing == totals["repositories"]["examined"]
    if not missing:
        expected = {name: totals["repositories"][name] for name in last["verdicts"][TAGS]}
        assert last["verdicts"][TAGS] == expected
    counted = Counter((line["check"], line["verdict"]) for line in of_kind(found, "verdict"))
    said = {
        (check, verdict): count
        for check, counts in last["verdicts"].items()
        for verdict, count in counts.items()
        if count
    }
    assert dict(counted) == said
    outcomes = Counter(line["outcome"] for line in of_kind(found, "target"))
    for outcome in ("examined", "skipped", "failed"):
        assert outcomes[outcome] == totals["targets"][outcome], outcome


def test_every_repository_has_one_line_a_check(aws: FakeAws, here: Here) -> None:
    registry = Registry(repositories=REPOSITORIES, creation_templates=CREATION_TEMPLATES)
    world = small_world(accounts=4, regions=2, registries=(registry,))
    aws.load(world)
    before = {(each.account, each.region, each.name): each for each in aws.repositories()}
    report = {"s3": {"bucket": world.buckets[0].name, "prefix": "ecr"}}
    config = with_evidence(checks=[TAGS, TEMPLATES], report=report, **POLICY)
    ended = here.run(aws, "--format", "json", config=config)

    found = evidence(ended)
    verify(ended.report, found)
    places = {key[:2] for key in before}
    assert len(before) == len(REPOSITORIES) * len(places)
    assert named(found) == Counter(before.keys())
    assert named(found, TEMPLATES) == Counter(
        (*place, prefix)
        for place in places
        for prefix in (*(template.prefix for template in CREATION_TEMPLATES), "ROOT")
    )
    in_report = {
        (each["check"], each["account_id"], each["region"], each["repository"]): each
        for each in ended.report["findings"]
    }
    for line in of_kind(found, "verdict"):
        key = line["account_id"], line["region"], line["repository"]
        finding = in_report.get((line["check"], *key))
        assert line["verdict"] == (finding["compliance"] if finding else "compliant"), line
        assert line["reason"] == (finding["reason"] if finding else None), line
        assert line["exemption"] == (finding["exemption"] if finding else None), line
        run_ = ended.report["run"]
        assert run_["started_at"] <= line["read_at"] <= run_["finished_at"], line
        if line["check"] == TEMPLATES:
            resource = "registry" if key[2] == "ROOT" else "repository_creation_template"
            assert (line["resource"], line["arn"]) == (resource, "")
            continue
        # As it was read, not as the sweep left it.
        assert line["verdict"] == VERDICTS[line["repository"]], line
        assert line["mutability"] == before[key].mutability, line
        assert line["exclusion_filters"] == [
            {"type": "WILDCARD", "filter": text} for text in before[key].exclusion_filters
        ], line
        assert line["arn"] == f"arn:aws:ecr:{key[1]}:{key[0]}:repository/{key[2]}"

    day, run_id = ended.report["run"]["started_at"][:10], ended.report["run"]["id"]
    stored = {each.key: each for each in aws.objects()}[f"ecr/{day}/{run_id}/{NAME}"]
    assert lines(stored.body) == found
    assert stored.headers["content-type"] == "application/gzip"
    assert stored.headers["x-amz-checksum-sha256"]
    deliveries = {each["sink"]: each for each in json.loads(ended.stdout)["deliveries"]}
    assert deliveries["directory_evidence"]["location"].endswith(f"{run_id}/{NAME}")
    assert deliveries["s3_evidence"]["location"].endswith(f"/ecr/{day}/{run_id}/{NAME}")
    assert list((ended.directory / "state" / "sweeper").iterdir()) == []


def test_by_default_there_is_none(aws: FakeAws, here: Here, tmp_path: Path) -> None:
    world = small_world(accounts=2, regions=1)
    aws.load(world)
    ended = here.run(
        aws, "--format", "json", config={"report": {"s3": {"bucket": world.buckets[0].name}}}
    )
    assert not list(tmp_path.rglob(f"*{NAME}*"))
    assert not [each.key for each in aws.objects() if each.key.endswith(NAME)]
    sinks = {each["sink"] for each in json.loads(ended.stdout)["deliveries"]}
    assert sinks == {"directory", "s3"}


def test_its_own_report_stays_beside_it(aws: FakeAws, here: Here, tmp_path: Path) -> None:
    """A sweep that changes nothing, too: the next one replaces report.json."""
    aws.load(small_world(accounts=2, regions=1))
    first = here.run(aws, "--dry-run", config=with_evidence())
    own = tmp_path / "out" / first.report["run"]["id"]
    assert json.loads((own / "report.json").read_text()) == first.report
    verify(first.report, lines((own / NAME).read_bytes()))


def test_what_was_not_examined_has_a_line(aws: FakeAws, here: Here) -> None:
    world = small_world(
        accounts=4, regions=3, denies=[{"regions": ["us-west-1"], "actions": ["ecr:*"]}]
    )
    aws.load(world)
    locked = world.accounts[1].id
    aws.faults([Fault("access_denied", service="sts", account=locked)])
    config = with_evidence(regions={"exclude": ["us-east-2"]})
    ended = here.run(aws, "--dry-run", config=config)
    found = evidence(ended)
    verify(ended.report, found)
    failed = {
        (line["account_id"], line["region"], line["reason"])
        for line in of_kind(found, "target")
        if line["outcome"] == "failed"
    }
    assert failed == {
        (each.id, "us-west-1", "denied_by_scp")
        for each in world.accounts
        if each.id not in (locked, world.management_account)
    }
    assert {
        (line["region"], line["reason"])
        for line in of_kind(found, "target")
        if line["outcome"] == "skipped"
    } == {("us-east-2", "region_excluded")}
    (account,) = of_kind(found, "account")
    assert (account["account_id"], account["outcome"]) == (locked, "failed")
    assert named(found) == Counter(
        key
        for key in examined(aws)
        if key[0] != locked
        and key[1] != "us-east-2"
        and (key[1] != "us-west-1" or key[0] == world.management_account)
    )


def test_a_target_that_fails_half_way_has_no_verdict(aws: FakeAws, here: Here) -> None:
    """One page was read; half a registry is none."""
    aws.load(small_world(accounts=1, regions=1, registries=(Registry(count=1500),)))
    aws.faults([Fault("access_denied", operation="DescribeRepositories", only_page=2)])
    ended = here.run(aws, "--dry-run", config=with_evidence())
    found = evidence(ended)
    assert of_kind(found, "verdict") == []
    (line,) = of_kind(found, "target")
    assert (line["outcome"], line["reason"]) == ("failed", "denied")
    verify(ended.report, found)


def killed(aws: FakeAws, directory: Path, during: str, *, skip: int) -> Path:
    """A run with evidence that was killed; the evidence that it left."""
    hold(aws, during, skip=skip)
    process = start(aws, directory, config=with_evidence(**FEW))
    wait_until_held(aws, process)
    (left,) = (directory / "state" / "sweeper").glob(f"*.{NAME}")
    while EXAMINED not in journal_of(left).read_bytes():  # the journal is written a moment later
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    assert end(process, directory).status == -signal.SIGKILL
    aws.faults([])
    return left


def journal_of(left: Path) -> Path:
    return left.with_name(left.name.replace(NAME, "journal"))


def resumed(aws: FakeAws, here: Here, left: Path) -> Ended:
    return here.run(aws, "--resume", left.name.removesuffix(f".{NAME}"))


@pytest.mark.parametrize("during", ["DescribeRepositories", "PutImageTagMutability"])
def test_a_run_that_was_killed_loses_none(
    aws: FakeAws, here: Here, tmp_path: Path, during: str
) -> None:
    aws.load(small_world(accounts=5))
    repositories = examined(aws)
    left = killed(aws, tmp_path, during, skip=7)
    before = lines(left.read_bytes())
    assert of_kind(before, "target")
    with left.open("ab") as file:  # a member that was being written
        file.write(gzip.compress(b'{"kind": "verdict"}\n' * 100)[:30])
    ended = resumed(aws, here, left)
    assert ended.status == 0
    found = evidence(ended)
    verify(ended.report, found)
    assert found[-1]["not_recorded"] == {"targets": 0, "repositories": 0}
    assert named(found) == Counter(repositories)
    if during == "PutImageTagMutability":  # all of it was there, and as it was read before
        assert of_kind(found, "verdict") == of_kind(before, "verdict")
    assert list(left.parent.iterdir()) == []


def test_of_what_was_examined_twice_one_line_is_left(
    aws: FakeAws, here: Here, tmp_path: Path
) -> None:
    """The evidence of a target is written before its line in the journal, which may be missing."""
    aws.load(small_world(accounts=4))
    left = killed(aws, tmp_path, "DescribeRepositories", skip=9)
    journal = journal_of(left)
    written = journal.read_bytes().splitlines(keepends=True)
    last = max(i for i, line in enumerate(written) if EXAMINED in line)
    journal.write_bytes(b"".join(written[:last]))
    ended = resumed(aws, here, left)
    found = evidence(ended)
    verify(ended.report, found)
    assert named(found) == Counter(examined(aws))


@pytest.mark.parametrize("content", [None, b"", b"no gzip"])
def test_evidence_that_is_gone_is_missing_and_says_so(
    aws: FakeAws, here: Here, tmp_path: Path, content: bytes | None
) -> None:
    aws.load(small_world(accounts=4))
    left = killed(aws, tmp_path, "DescribeRepositories", skip=7)
    before = {
        (line["account_id"], line["region"]) for line in of_kind(lines(left.read_bytes()), "target")
    }
    left.unlink()
    if content is not None:
        left.write_bytes(content)
    ended = resumed(aws, here, left)
    found = evidence(ended)
    verify(ended.report, found)
    missing = [line for line in of_kind(found, "target") if not line["recorded"]]
    places = {(line["account_id"], line["region"]) for line in missing}
    assert places
    assert places <= before
    assert found[-1]["not_recorded"]["targets"] == len(missing)
    assert named(found) == Counter(key for key in examined(aws) if key[:2] not in places)


def test_a_run_that_was_stopped_is_completed(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(small_world(accounts=8))
    hold(aws, "DescribeRepositories", skip=7)
    process = start(aws, tmp_path, config=with_evidence(**FEW))
    wait_until_held(aws, process)
    process.terminate()
    release_slowly(aws, "DescribeRepositories")
    stopped = end(process, tmp_path)
    part = evidence(stopped)
    verify(stopped.report, part)
    reasons = {line["reason"] for line in of_kind(part, "target") if line["outcome"] == "failed"}
    assert reasons == {"interrupted"}
    aws.faults([])
    ended = run(aws, tmp_path, "--resume", stopped.report["run"]["id"])
    found = evidence(ended)
    verify(ended.report, found)
    assert named(found) == Counter(examined(aws))
    assert found[-1]["targets"]["failed"] == 0


def test_a_denied_upload_is_a_failed_delivery(aws: FakeAws, here: Here, tmp_path: Path) -> None:
    """The report is delivered, and the evidence is kept where it was written."""
    world = small_world(accounts=2, regions=1)
    aws.load(world)
    s3 = {"bucket": world.buckets[0].name}
    # What is put before: report.json, stored early, then report.json and report.csv.
    aws.faults([Fault("access_denied", operation="PutObject", skip=3)])
    command = ("run", "--dry-run", "--deliver", "--format", "json")
    ended = here.command(aws, *command, config=with_evidence(report={"s3": s3}))
    assert ended.status == 5
    report = json.loads(ended.stdout)
    deliveries = {each["sink"]: each for each in report["deliveries"]}
    assert deliveries["s3"]["status"] == "delivered"
    assert deliveries["s3_evidence"]["status"] == "failed"
    assert deliveries["s3_evidence"]["reason"] == "denied"
    assert any(each.key.endswith("/report.json") for each in aws.objects())
    kept = tmp_path / "state" / "sweeper" / f"{report['run']['id']}.{NAME}"
    assert str(kept) in deliveries["s3_evidence"]["message"]
    assert named(lines(kept.read_bytes())) == Counter(examined(aws))


def test_where_no_file_can_be_made_the_report_says_so(
    aws: FakeAws, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container whose file system is read-only."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    aws.load(small_world(accounts=2, regions=1))
    ended = here.run(aws, "--format", "json", config=with_evidence(), XDG_STATE_HOME="/dev/null")
    assert ended.status == 5
    deliveries = {each["sink"]: each for each in json.loads(ended.stdout)["deliveries"]}
    assert deliveries["directory"]["status"] == "delivered"
    assert deliveries["directory_evidence"]["status"] == "failed"
    assert deliveries["directory_evidence"]["reason"] == "write_failed"
    assert str(tmp_path / "missing") in deliveries["directory_evidence"]["message"]
    assert ended.report["totals"]["repositories"]["examined"] == len(examined(aws))
    assert "delivery.failed" in {entry["event"] for entry in ended.logs}


def test_without_a_state_directory_a_temporary_file_is_enough(
    aws: FakeAws, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    aws.load(small_world(accounts=2, regions=1))
    ended = here.run(aws, config=with_evidence(), XDG_STATE_HOME="/dev/null")
    verify(ended.report, evidence(ended))
    assert list(temporary.iterdir()) == []


def test_another_sweeps_lease_leaves_no_evidence(aws: FakeAws, here: Here, tmp_path: Path) -> None:
    world: World = small_world(accounts=2, regions=1)
    aws.load(world)
    config = with_evidence(report={"s3": {"bucket": world.buckets[0].name}})
    hold(aws, "PutImageTagMutability")
    first = start(aws, tmp_path / "first", config=config)
    wait_until_held(aws, first)
    second = here.run(aws, config=config)
    first.kill()
    end(first, tmp_path / "first")
    assert second.status == 6
    assert not list((tmp_path / "out").rglob(NAME))
    assert not list((tmp_path / "state").rglob(f"*{NAME}*"))
