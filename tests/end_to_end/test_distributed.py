"""A sweep in stages, each a process: its report is that of one process, whatever fails between."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from sweeper.entrypoints.lambda_function import handler
from tests.end_to_end.barriers import hold, wait_until_held
from tests.end_to_end.harness import (
    COMMAND,
    SWEEPER,
    Ended,
    calls,
    changes,
    end,
    failures,
    open_repositories,
    run,
    small_world,
    start_command,
    writes,
)
from tests.end_to_end.test_lambda import Context
from tests.end_to_end.test_resuming import without_what_varies
from tests.end_to_end.test_two_resumes import end_lease, put
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import PullThroughRule

WRITE = "PutImageTagMutability"
WORLD = small_world(accounts=12, regions=3)
PER_SHARD = 5
SHARDS = 3
REPOSITORIES = {"bucket": WORLD.buckets[0].name, "prefix": "sweeps"}


@dataclass
class Stages:
    """Runs the stages of one run; `in_s3` is whether its work lies there, else in a directory."""

    aws: FakeAws
    directory: Path
    in_s3: bool
    sections: dict[str, Any] = field(default_factory=dict)
    run_id: str = ""

    @property
    def config(self) -> dict[str, Any]:
        report = {"directory": "out", **({"s3": REPOSITORIES} if self.in_s3 else {})}
        return {
            "limits": {"max_workers": 2},
            "distributed": {"accounts_per_shard": PER_SHARD},
            "report": report,
            **self.sections,
        }

    def command(self, stage: str, *options: str) -> tuple[str, ...]:
        work = () if self.in_s3 else ("--work", "work")
        of_run = () if stage == "start" else ("--run", self.run_id)
        return (*SWEEPER, "distributed", stage, *of_run, *options, *work)

    def start_stage(self, stage: str, *options: str) -> Any:
        return start_command(self.aws, self.directory, self.command(stage, *options), self.config)

    def run(self, stage: str, *options: str) -> Ended:
        return end(self.start_stage(stage, *options), self.directory)

    def succeed(self, stage: str, *options: str) -> dict[str, Any]:
        ended = self.run(stage, *options)
        assert ended.status == 0, ended.stderr
        answer: dict[str, Any] = json.loads(ended.stdout)
        return answer

    def begin(self, *options: str) -> None:
        answer = self.succeed("start", *options)
        self.run_id = answer["run"]
        assert answer == {"run": self.run_id, "shards": SHARDS}

    def scan(self, *shards: int) -> None:
        for shard in shards:
            self.succeed("scan", "--shard", str(shard))

    def to_plan(self, *options: str) -> None:
        self.begin(*options)
        self.scan(*range(SHARDS))
        self.succeed("plan")

    def shards_to_apply(self) -> list[int]:
        return [item["shard"] for item in json.loads(self.read("shards/apply.json"))]

    def apply_all(self) -> None:
        for shard in self.shards_to_apply():
            self.succeed("apply", "--shard", str(shard))

    def _name(self, name: str) -> str:
        day = f"{self.run_id[:4]}-{self.run_id[4:6]}-{self.run_id[6:8]}"
        return f"{day}/{self.run_id}/work/{name}"

    def read(self, name: str) -> bytes:
        if not self.in_s3:
            return (self.directory / "work" / self._name(name)).read_bytes()
        key = f"sweeps/{self._name(name)}"
        (found,) = [each for each in self.aws.objects() if each.key == key]
        return found.body

    def write(self, name: str, content: bytes) -> None:
        if not self.in_s3:
            (self.directory / "work" / self._name(name)).write_bytes(content)
            return
        put(self.aws, WORLD, f"sweeps/{self._name(name)}", content)

    def names(self) -> set[str]:
        if self.in_s3:
            prefix = f"sweeps/{self._name('')}"
            keys = [each.key for each in self.aws.objects()]
            return {key.removeprefix(prefix) for key in keys if key.startswith(prefix)}
        top = self.directory / "work" / self._name("")
        return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}


@pytest.fixture(
    params=[
        pytest.param(False, id="directory", marks=pytest.mark.slow),
        pytest.param(True, id="s3"),
    ]
)
def stages(request: pytest.FixtureRequest, aws: FakeAws, tmp_path: Path) -> Stages:
    aws.load(WORLD)
    return Stages(aws, tmp_path / "stages", request.param)


@pytest.fixture
def in_directory(aws: FakeAws, tmp_path: Path) -> Stages:
    aws.load(WORLD)
    return Stages(aws, tmp_path / "stages", in_s3=False)


@pytest.fixture
def in_s3(aws: FakeAws, tmp_path: Path) -> Stages:
    aws.load(WORLD)
    return Stages(aws, tmp_path / "stages", in_s3=True)


def by_one_process(stages: Stages, *options: str) -> Ended:
    """The same by `sweeper run`, in a world that is as the other was."""
    ended = run(stages.aws, stages.directory.with_name("whole"), *options, config=stages.config)
    stages.aws.load(WORLD)
    return ended


def same(one: Any, other: Any) -> bool:
    """Whether two reports are equal but for ids, times, and what tells where they were made."""

    def comparable(report: Any) -> Any:
        run = {key: value for key, value in report["run"].items() if key != "configuration"}
        return without_what_varies({**report, "run": run, "deliveries": []})

    return bool(comparable(one) == comparable(other))


def written_once(aws: FakeAws) -> bool:
    made = Counter((each["account"], each["region"], each["repository"]) for each in writes(aws))
    return set(made.values()) == {1}


def test_a_remediating_run_has_the_report_of_one_process(stages: Stages) -> None:
    whole = by_one_process(stages)
    opened = len(open_repositories(stages.aws))
    stages.to_plan()
    assert writes(stages.aws) == []
    stages.apply_all()
    finished = stages.run("finish")

    assert finished.status == whole.status == 0
    assert same(finished.report, whole.report)
    assert finished.report["totals"]["changes"]["applied"] == opened > 0
    assert open_repositories(stages.aws) == {}
    assert written_once(stages.aws)
    answer = json.loads(finished.stdout)
    assert (answer["run"], answer["exit_status"]) == (stages.run_id, 0)
    assert answer["report"].endswith("report.json")
    # Each target is examined once, and each repository read once more before its write.
    read = calls(stages.aws)["ecr:DescribeRepositories"]
    assert read <= finished.report["totals"]["targets"]["examined"] * 2 + opened
    logged = [each["event"] for each in finished.logs]
    assert [event for event in logged if event.startswith("sweep.")] == [
        "sweep.metrics",
        "sweep.finished",
    ]


@pytest.mark.slow
def test_a_dry_run_has_the_report_of_one_process(stages: Stages) -> None:
    stages.sections = {"remediation": {"assess_impact": True}}
    whole = by_one_process(stages, "--dry-run")
    stages.to_plan("--dry-run")
    assert stages.shards_to_apply() == []
    finished = stages.run("finish")
    assert finished.status == whole.status == 3
    assert same(finished.report, whole.report)
    assert any(finding["impact"] for finding in finished.report["findings"])
    assert writes(stages.aws) == []


def test_a_dry_run_whose_work_is_in_a_directory_writes_nothing_to_s3(in_directory: Stages) -> None:
    in_directory.sections = {"report": {"directory": "out", "s3": REPOSITORIES}}
    in_directory.to_plan("--dry-run")
    assert in_directory.run("finish").status == 3
    assert in_directory.aws.objects() == []


@pytest.mark.parametrize(
    "remediation",
    [
        pytest.param({"max_changes": 2}, marks=pytest.mark.slow),
        {"min_coverage": 1.0, "include_accounts": [WORLD.accounts[0].id]},
    ],
)
def test_limits_hold_for_the_whole_run(in_s3: Stages, remediation: dict[str, Any]) -> None:
    """Each shard alone would be within them."""
    in_s3.sections = {"remediation": remediation}
    whole = by_one_process(in_s3)
    in_s3.to_plan()
    in_s3.apply_all()
    finished = in_s3.run("finish")
    assert finished.status == whole.status
    assert same(finished.report, whole.report)


@pytest.mark.slow
def test_every_stage_can_be_run_twice(stages: Stages) -> None:
    whole = by_one_process(stages)
    stages.begin()
    for shard in (0, 1, 2, 0, 2):
        stages.scan(shard)
    parts = {name: stages.read(name) for name in stages.names()}
    first = stages.succeed("plan")
    planned = stages.read("plan.jsonl")
    assert stages.succeed("plan") == first
    assert stages.read("plan.jsonl") == planned
    stages.apply_all()
    made = len(writes(stages.aws))
    stages.apply_all()
    assert len(writes(stages.aws)) == made
    assert stages.succeed("plan") == first
    assert {name: stages.read(name) for name in parts} == parts
    one = stages.run("finish")
    history = points(stages)
    two = stages.run("finish")
    assert same(one.report, whole.report)
    assert two.report == one.report
    assert two.stdout == one.stdout
    assert points(stages) == history
    assert stages.run("plan").status == 2  # it has finished


def points(stages: Stages) -> Any:
    if not stages.in_s3:
        return None
    (found,) = [each for each in stages.aws.objects() if each.key.endswith("history.json")]
    return json.loads(found.body)["points"]


def kill_in(stages: Stages, call: str, stage: str, *options: str, skip: int = 0) -> None:
    hold(stages.aws, call, skip=skip)
    process = stages.start_stage(stage, *options)
    wait_until_held(stages.aws, process)
    process.kill()
    assert end(process, stages.directory).status == -signal.SIGKILL
    stages.aws.faults([])


@pytest.mark.slow
def test_a_scan_that_was_killed_is_run_again(in_directory: Stages) -> None:
    whole = by_one_process(in_directory)
    in_directory.begin()
    in_directory.scan(0, 2)
    kill_in(in_directory, "DescribeRepositories", "scan", "--shard", "1", skip=4)
    in_directory.scan(1)
    in_directory.succeed("plan")
    in_directory.apply_all()
    finished = in_directory.run("finish")
    assert same(finished.report, whole.report)


def accounts_of(shard: int) -> set[str]:
    ids = sorted(account.id for account in WORLD.accounts)
    return set(ids[shard * PER_SHARD : (shard + 1) * PER_SHARD])


def truncated(stages: Stages) -> None:
    part = stages.read("scan/1.jsonl")
    stages.write("scan/1.jsonl", b"".join(part.splitlines(keepends=True)[:-2]))


def torn(stages: Stages) -> None:
    stages.write("scan/1.jsonl", stages.read("scan/1.jsonl")[:-20])


def forged(stages: Stages) -> None:
    other = "20260101T000000Z-abcdef"
    content = stages.read("scan/1.jsonl").replace(stages.run_id.encode(), other.encode())
    stages.write("scan/1.jsonl", content)


def of_another_shard(stages: Stages) -> None:
    stages.write("scan/1.jsonl", stages.read("scan/0.jsonl"))


def damaged(stages: Stages) -> None:
    stages.write("scan/1.jsonl", b'{"kind": "nothing"}\n')


@pytest.mark.parametrize(
    "damage",
    [
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in (truncated, None, forged, torn, of_another_shard, damaged)
        ),
    ],
)
def test_a_shard_without_a_whole_part_has_failed(
    in_s3: Stages, damage: Callable[[Stages], None] | None
) -> None:
    in_s3.begin()
    in_s3.scan(0, 2)
    if damage:
        in_s3.scan(1)
        damage(in_s3)
    in_s3.succeed("plan")
    in_s3.apply_all()
    finished = in_s3.run("finish")
    assert finished.status == 4
    report = finished.report
    lost = {item for item in failures(report) if item[2] == "worker_failed"}
    active = {each["id"] for each in report["accounts"] if each["state"] == "ACTIVE"}
    assert lost == {(account, None, "worker_failed") for account in accounts_of(1) & active}
    assert len(report["accounts"]) == len(WORLD.accounts)
    assert {each["account"] for each in writes(in_s3.aws)}.isdisjoint(accounts_of(1))
    # One process finishes what the worker did not.
    resumed = run(
        in_s3.aws, in_s3.directory / "resumed", "--resume", in_s3.run_id, config=in_s3.config
    )
    assert resumed.status == 0, resumed.stderr
    assert open_repositories(in_s3.aws) == {}
    assert written_once(in_s3.aws)


@pytest.mark.slow
def test_an_apply_that_was_killed_is_run_again(in_s3: Stages) -> None:
    whole = by_one_process(in_s3)
    in_s3.to_plan()
    first, *others = in_s3.shards_to_apply()
    # Its first writes took effect, and nobody recorded that.
    kill_in(in_s3, WRITE, "apply", "--shard", str(first), skip=2)
    assert b'"kind": "end"' not in in_s3.read(f"apply/{first}.jsonl")
    for shard in (first, *others):
        in_s3.succeed("apply", "--shard", str(shard))
    finished = in_s3.run("finish")
    assert finished.status == 0
    assert same(finished.report, whole.report)
    assert open_repositories(in_s3.aws) == {}
    assert written_once(in_s3.aws)


@pytest.mark.slow
def test_an_apply_that_was_killed_and_not_run_again(in_directory: Stages) -> None:
    opened = set(open_repositories(in_directory.aws))
    in_directory.to_plan()
    first, *_ = in_directory.shards_to_apply()
    kill_in(in_directory, WRITE, "apply", "--shard", str(first), skip=2)
    finished = in_directory.run("finish")
    left = set(open_repositories(in_directory.aws))
    report = finished.report
    made = {
        (each["account_id"], each["region"], each["repository"]): each["change"]
        for each in report["findings"]
        if each["change"]
    }
    applied = {key for key, change in made.items() if change["status"] == "applied"}
    assert applied == opened - left
    assert applied
    rest = {
        (change["status"], change["reason"], change["uncertain"])
        for key, change in made.items()
        if key not in applied
    }
    assert rest == {("failed", "worker_failed", False)}
    assert set(made) == opened
    assert finished.logs[-1]["resumable"] is True


@pytest.mark.slow
def test_one_process_resumes_what_the_workers_left(in_s3: Stages) -> None:
    whole = by_one_process(in_s3)
    in_s3.to_plan()
    first, second, *_ = in_s3.shards_to_apply()
    in_s3.succeed("apply", "--shard", str(first))
    kill_in(in_s3, WRITE, "apply", "--shard", str(second), skip=1)
    elsewhere = in_s3.directory / "elsewhere"
    command = (*COMMAND, "--yes", "--resume", in_s3.run_id)
    refused = end(start_command(in_s3.aws, elsewhere, command, in_s3.config), elsewhere)
    assert refused.status == 6  # its workers may be at work, until the lease expires
    end_lease(in_s3.aws, WORLD)
    resumed = end(start_command(in_s3.aws, elsewhere, command, in_s3.config), elsewhere)
    assert resumed.status == 0, resumed.stderr
    assert same(resumed.report, whole.report)
    assert written_once(in_s3.aws)
    late = in_s3.run("apply", "--shard", str(second))
    assert late.status in {0, 2}
    assert written_once(in_s3.aws)


@pytest.mark.slow
def test_it_finishes_without_a_plan(in_directory: Stages) -> None:
    in_directory.begin()
    in_directory.scan(0)
    finished = in_directory.run("finish")
    assert finished.status == 4
    assert changes(finished.report) == {("withheld", "worker_failed")}
    assert {item[0] for item in failures(finished.report)} >= accounts_of(1)
    assert writes(in_directory.aws) == []


@pytest.mark.parametrize("name", ["plan.jsonl", "shards/apply.json", "apply"])
@pytest.mark.slow
def test_what_was_applied_is_reported_whatever_is_damaged(in_directory: Stages, name: str) -> None:
    opened = set(open_repositories(in_directory.aws))
    in_directory.to_plan()
    first, *_ = in_directory.shards_to_apply()
    in_directory.succeed("apply", "--shard", str(first))
    left = set(open_repositories(in_directory.aws))
    in_directory.write(f"apply/{first}.jsonl" if name == "apply" else name, b"{")
    finished = in_directory.run("finish")
    applied = {
        (each["account_id"], each["region"], each["repository"])
        for each in finished.report["findings"]
        if each["change"] and each["change"]["status"] == "applied"
    }
    assert applied == opened - left
    assert applied
    assert finished.report["totals"]["changes"]["planned"] == len(opened)


@pytest.mark.slow
def test_one_run_at_a_time(in_s3: Stages, tmp_path: Path) -> None:
    in_s3.begin()
    other = run(in_s3.aws, tmp_path / "other", config=in_s3.config)
    assert other.status == 6
    second = in_s3.run("start")
    assert second.status == 6
    assert "lease_held" in second.stderr
    in_s3.scan(*range(SHARDS))
    in_s3.succeed("plan")
    in_s3.apply_all()
    assert in_s3.run("finish").status == 0
    assert run(in_s3.aws, tmp_path / "other", config=in_s3.config).status == 0


@pytest.mark.slow
def test_workers_write_nothing_when_another_run_took_the_lease(in_s3: Stages) -> None:
    in_s3.to_plan()
    end_lease(in_s3.aws, WORLD)
    for shard in in_s3.shards_to_apply():
        in_s3.run("apply", "--shard", str(shard))
    finished = in_s3.run("finish")
    assert writes(in_s3.aws) == []
    assert changes(finished.report) == {("failed", "lease_lost")}


def test_what_a_stage_refuses(in_directory: Stages) -> None:
    in_directory.begin()
    assert "it has no shard 9" in refused(in_directory.run("scan", "--shard", "9"))
    assert "nothing is planned in shard 0" in refused(in_directory.run("apply", "--shard", "0"))
    in_directory.sections = {"policy": {"allowed_exclusions": ["latest"]}}
    assert "another configuration of policy" in refused(in_directory.run("plan"))
    in_directory.run_id = "20260101T000000Z-abcdef"
    assert "it has no work here" in refused(in_directory.run("plan"))
    for run_id in ("../x", ""):
        in_directory.run_id = run_id
        assert "is no run" in refused(in_directory.run("plan"))


def edit_part(stages: Stages, name: str, edit: Callable[[Any], list[Any]]) -> None:
    """Write the part again, each line as `edit` returns it; its end stays true."""
    *lines, _ = [edit(json.loads(line)) for line in stages.read(name).splitlines()]
    edited = [line for made in lines for line in made]
    end_line = {"lines": len(edited), "kind": "end"}
    content = "".join(f"{json.dumps(line)}\n" for line in (*edited, end_line))
    stages.write(name, content.encode())


def as_not_exempt(line: Any) -> list[Any]:
    if line["kind"] == "found":
        line["finding"] |= {"compliance": "non_compliant", "exemption": None, "change": None}
    if line["kind"] == "examined":
        compliant, non_compliant, exempt = line["counts"]
        line["counts"] = [compliant, non_compliant + exempt, 0]
    return [line]


def test_a_scan_that_hides_exemptions_changes_nothing_that_is_exempt(in_s3: Stages) -> None:
    cached = replace(WORLD, pull_through_rules=(PullThroughRule("search"),))
    in_s3.aws.load(cached)
    in_s3.sections = {"exemptions": [{"repository": "*-1", "reason": "play", "expires": "never"}]}
    in_s3.begin()
    in_s3.scan(*range(SHARDS))
    exempt = {
        key
        for key in open_repositories(in_s3.aws)
        if key[2].endswith("-1") or key[2].startswith("search/")
    }
    for shard in range(SHARDS):
        edit_part(in_s3, f"scan/{shard}.jsonl", as_not_exempt)
    in_s3.succeed("plan")
    in_s3.apply_all()
    finished = in_s3.run("finish")
    assert set(open_repositories(in_s3.aws)) == exempt
    assert {key[2].endswith("-1") for key in exempt} == {True, False}
    assert changes(finished.report) == {("applied", None), ("superseded", "now_exempt")}


FOREIGN = "999999999999"


def in_foreign_account(account_id: str) -> Callable[[Any], list[Any]]:
    """Add the line of a foreign account to each one of the account."""

    def edit(line: Any) -> list[Any]:
        other = json.loads(json.dumps(line).replace(account_id, FOREIGN))
        if line.get("account_id") == FOREIGN:  # that it could not be entered
            return []
        return [line] if other == line else [line, other]

    return edit


@pytest.mark.slow
def test_an_account_that_only_the_header_names_is_not_entered_to_write(
    in_directory: Stages,
) -> None:
    in_directory.begin()
    header = json.loads(in_directory.read("header.json"))
    accounts = header["organization"]["accounts"]
    accounts.append({**accounts[-1], "id": FOREIGN})
    in_directory.write("header.json", json.dumps(header).encode())
    in_directory.scan(*range(SHARDS))
    last = f"scan/{SHARDS - 1}.jsonl"
    found = next(
        line["finding"]
        for line in map(json.loads, in_directory.read(last).splitlines())
        if line["kind"] == "found" and line["finding"]["compliance"] == "non_compliant"
    )
    edit_part(in_directory, last, in_foreign_account(found["account_id"]))
    in_directory.succeed("plan")
    assert FOREIGN.encode() in in_directory.read("plan.jsonl")
    for shard in in_directory.shards_to_apply():
        assert FOREIGN.encode() not in in_directory.read(f"plan/{shard}.jsonl")
    in_directory.apply_all()
    finished = in_directory.run("finish")
    ended = {
        (each["change"]["status"], each["change"]["reason"])
        for each in finished.report["findings"]
        if each["account_id"] == FOREIGN and each["change"]
    }
    assert ended == {("superseded", "account_left")}


@pytest.mark.parametrize("moment", ["2030-01-01T00:00:00Z", "2026-01-01T00:00:00"])
@pytest.mark.slow
def test_a_header_with_another_time_is_refused(in_directory: Stages, moment: str) -> None:
    in_directory.begin()
    header = json.loads(in_directory.read("header.json"))
    header["run"]["started_at"] = moment
    in_directory.write("header.json", json.dumps(header).encode())
    for stage in ("plan", "finish"):
        assert "run.started_at: not the time" in refused(in_directory.run(stage))


def refused(ended: Ended) -> str:
    assert ended.status == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.mark.slow
def test_an_organization_that_cannot_be_listed_has_a_report(in_s3: Stages) -> None:
    in_s3.sections = {"organization": {"include_accounts": ["999999999999"]}}
    whole = by_one_process(in_s3)
    answer = in_s3.succeed("start")
    in_s3.run_id = answer["run"]
    assert answer["shards"] == 0
    assert in_s3.succeed("plan")["shards"] == 0
    finished = in_s3.run("finish")
    assert finished.status == whole.status == 2
    assert failures(finished.report) == failures(whole.report) == {(None, None, "unknown_account")}


@pytest.mark.slow
def test_the_lambda_runs_the_stages(
    in_s3: Stages, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = by_one_process(in_s3, "--region", next(iter(WORLD.regions)))
    for name, value in in_s3.aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(json.dumps(in_s3.config))

    def invoke(**event: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(json.dumps(handler(event, Context())))
        return answer

    def mapped(stage: str, answer: dict[str, Any]) -> None:
        (listed,) = [each for each in in_s3.aws.objects() if each.key == answer["items"]["key"]]
        assert answer["items"]["bucket"] == WORLD.buckets[0].name
        items = json.loads(listed.body)
        assert len(items) == answer["shards"]
        for item in items:
            assert invoke(stage=stage, **item).items() >= item.items()

    begun = invoke(stage="start", regions=[next(iter(WORLD.regions))])
    run_id = begun["run"]
    mapped("scan", begun)
    mapped("apply", invoke(stage="plan", run=run_id))
    finished = invoke(stage="finish", run=run_id)
    assert (finished["run"], finished["exit_status"]) == (run_id, whole.status)
    (body,) = [
        each.body for each in in_s3.aws.objects() if each.key.endswith(f"{run_id}/report.json")
    ]
    report = json.loads(body)
    report["run"]["scope"]["narrowed_by"] = whole.report["run"]["scope"]["narrowed_by"]
    assert same(report, whole.report)


@pytest.mark.parametrize("key", ["formats", "plugins"])
def test_a_report_that_could_not_be_made_is_refused_at_the_start(
    in_directory: Stages, key: str
) -> None:
    value = {"formats": ["nonsense"], "plugins": {"nonsense": {}}}[key]
    in_directory.sections["report"] = {"directory": "out", key: value}
    in_directory.aws.reset_statistics()
    assert f"report.{key}: 'nonsense' is unknown" in refused(in_directory.run("start"))
    assert in_directory.aws.statistics().total_calls == 0
