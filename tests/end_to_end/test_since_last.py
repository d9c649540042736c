"""An organization that changes between sweeps: what is told of it, in every form."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import (
    Ended,
    Here,
    Key,
    calls,
    found,
    open_repositories,
    run,
    small_world,
)
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Repository, World

BUCKET = "sweeper-reports"
KINDS = ("new", "still_open", "reopened", "resolved", "not_visible")


@dataclass(frozen=True)
class Swept:
    """A run that ended, with its report as it was then: the next one replaces it."""

    status: int
    report: Any
    stdout: str
    logs: list[dict[str, Any]]
    out: Path

    @classmethod
    def of(cls, ended: Ended) -> Swept:
        return cls(ended.status, ended.report, ended.stdout, ended.logs, ended.directory / "out")


@dataclass
class Sweeps:
    """Sweeps of one organization, one after another, that keep their reports in S3 or not."""

    aws: FakeAws
    here: Here
    world: World
    config: dict[str, Any]

    def sweep(self, *options: str) -> Swept:
        return Swept.of(self.here.run(self.aws, *options, config=self.config))

    def open(self, key: Key) -> None:
        account, region, name = key
        self.aws.put_repository(account, region, Repository(name, "MUTABLE"))

    def blind(self, account: str) -> None:
        """From now on the account's registries cannot be read."""
        self.aws.faults(
            [{"action": "access_denied", "operation": "DescribeRepositories", "account": account}]
        )

    def latest(self) -> Any:
        stored = {each.key: each for each in self.aws.objects()}
        return json.loads(stored["ecr/latest.json"].body)


@pytest.fixture(params=["s3", pytest.param("directory", marks=pytest.mark.slow)])
def sweeps(request: pytest.FixtureRequest, aws: FakeAws, here: Here) -> Sweeps:
    world = small_world(accounts=5, regions=2)
    aws.load(world)
    report: dict[str, Any] = {
        "sns_topic_arn": world.topics[0],
        "formats": ["json", "csv", "text"],
        "notify": "always",
    }
    if request.param == "s3":
        report["s3"] = {"bucket": BUCKET, "prefix": "ecr"}
    untouched = [account.id for account in world.accounts[2:4]]
    config = {"report": report, "remediation": {"exclude_accounts": untouched}}
    return Sweeps(aws, here, world, config)


def told(report: Any) -> dict[str, set[Key]]:
    """The keys of each kind, as report.json has them."""
    since = report["since_last"]
    kinds: dict[str, set[Key]] = {kind: set() for kind in KINDS}
    for item in report["findings"]:
        if item["since_last"]:
            kinds[item["since_last"]].add(key_of(item))
    for kind in ("resolved", "not_visible"):
        kinds[kind] = {key_of(item) for item in since[kind]}
    assert {kind: since[kind] for kind in KINDS[:3]} == {
        kind: len(kinds[kind]) for kind in KINDS[:3]
    }
    return kinds


def key_of(item: Any) -> Key:
    return item["account_id"], item["region"], item["repository"]


def in_every_form(sweeps: Sweeps, ended: Swept, kinds: dict[str, set[Key]]) -> None:
    """The text, the CSV, the message and the log say what report.json says."""
    figures = ", ".join(
        f"{len(kinds[kind])} {words}"
        for kind, words in zip(
            KINDS,
            ("new", "still open", "reopened", "resolved", "not checked this time"),
            strict=True,
        )
    )
    text = (ended.out / "report.txt").read_text(encoding="utf-8")
    assert f"Since last {figures}" in " ".join(text.split())
    for kind, title in (
        ("resolved", "RESOLVED SINCE THE LAST SWEEP"),
        ("not_visible", "NOT CHECKED THIS TIME"),
    ):
        assert (f"{title} ({len(kinds[kind])})" in text) is bool(kinds[kind])
        section = text.partition(f"{title} (")[2]
        assert all(f"  {name}  " in section for _, _, name in kinds[kind])

    with (ended.out / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert kinds == {
        kind: {key_of(row) for row in rows if kind in (row["since_last"], row["record"])}
        for kind in KINDS
    }
    message = sweeps.aws.messages()[-1]
    assert f"Since the last sweep: {figures}." in message["message"]
    assert message["message"].count(", reopened") == len(kinds["reopened"])
    assert (f"{len(kinds['reopened'])} reopened" in message["subject"]) is bool(kinds["reopened"])
    assert (ended.logs[-1]["new"], ended.logs[-1]["reopened"]) == (
        len(kinds["new"]),
        len(kinds["reopened"]),
    )


def of(keys: Iterable[Key], *accounts: str) -> set[Key]:
    return {key for key in keys if key[0] in accounts}


def test_three_sweeps_of_a_changing_organization(sweeps: Sweeps) -> None:
    one, two, kept, lost, other = (account.id for account in sweeps.world.accounts)
    first = sweeps.sweep()
    assert first.report["since_last"]["unavailable"].startswith("there is no earlier ")
    assert first.logs[-1]["not_compared"] == first.report["since_last"]["unavailable"]
    closed = of(found(first.report), one, two, other)
    assert set(open_repositories(sweeps.aws)) >= of(found(first.report), kept, lost)

    reopened = min(of(closed, one))
    examined = {account["id"]: account["regions"] for account in first.report["accounts"]}
    fresh: Key = (two, min(examined[two]), "fresh")
    deleted, by_hand, *left = sorted(of(found(first.report), kept))
    sweeps.open(reopened)
    sweeps.open(fresh)
    sweeps.aws.delete_repository(*deleted)
    sweeps.aws.put_repository(*by_hand[:2], Repository(by_hand[2], "IMMUTABLE"))
    sweeps.blind(lost)
    second = sweeps.sweep()
    kinds = {
        "new": {fresh},
        "still_open": set(left),
        "reopened": {reopened},
        "resolved": {deleted, by_hand} | closed - {reopened},
        "not_visible": of(found(first.report), lost),
    }
    assert all(kinds.values())
    assert told(second.report) == kinds
    in_every_form(sweeps, second, kinds)
    assert second.report["since_last"]["run_id"] == first.report["run"]["id"]
    by_key = {key_of(item): item for item in second.report["since_last"]["resolved"]}
    assert [by_key[key]["was_open"] for key in (deleted, by_hand)] == [True, True]
    assert not any(by_key[key]["was_open"] for key in closed - {reopened})

    # What is reopened again is counted; what was lost of sight is known; and it may be closed.
    sweeps.open(reopened)
    sweeps.aws.faults([])
    hidden, *seen = sorted(of(found(first.report), lost))
    sweeps.aws.put_repository(*hidden[:2], Repository(hidden[2], "IMMUTABLE"))
    third = sweeps.sweep()
    kinds = {
        "new": set(),
        "still_open": {*left, *seen},
        "reopened": {reopened},
        "resolved": {fresh, hidden},
        "not_visible": set(),
    }
    assert told(third.report) == kinds
    in_every_form(sweeps, third, kinds)
    (again,) = (item for item in third.report["findings"] if item["since_last"] == "reopened")
    assert again["reopened"] == 2

    # Closed for a sweep, and open once more: the count goes on.
    fourth = sweeps.sweep()
    assert reopened in told(fourth.report)["resolved"]
    sweeps.open(reopened)
    fifth = sweeps.sweep()
    assert {key_of(item): item["reopened"] for item in fifth.report["findings"]}[reopened] == 3
    assert [point["run_id"] for point in fifth.report["trend"]] == [
        ended.report["run"]["id"] for ended in (first, second, third, fourth, fifth)
    ]
    assert fifth.report["trend"][1]["complete"] is False


@pytest.mark.slow
def test_people_are_told_only_of_what_changed(sweeps: Sweeps) -> None:
    sweeps.config["report"]["notify"] = "on_change"
    sweeps.config["remediation"] = {"auto_remediate": "DISABLED"}
    account, region = sweeps.world.accounts[0].id, next(iter(sweeps.world.regions))

    def sweep(*, told: bool) -> None:
        before = len(sweeps.aws.messages())
        ended = sweeps.sweep("--format", "json")
        assert ended.status in (3, 4)
        (delivery,) = (
            each for each in json.loads(ended.stdout)["deliveries"] if each["sink"] == "sns"
        )
        assert len(sweeps.aws.messages()) - before == told
        assert delivery["status"] == ("delivered" if told else "not_needed")
        assert ("nothing changed" in (delivery["message"] or "")) is not told
        events = [each["event"] for each in ended.logs]
        assert ("delivery.not_needed" in events) is not told

    sweep(told=True)  # there is no earlier report
    sweep(told=False)
    sweeps.open((account, region, "made/later"))
    sweep(told=True)
    sweep(told=False)
    sweeps.blind(account)
    sweep(told=True)
    sweep(told=False)
    sweeps.blind(sweeps.world.accounts[1].id)  # another account, and as many
    sweep(told=True)
    sweep(told=False)


@pytest.mark.slow
def test_a_narrower_sweep_resolves_nothing_and_is_no_point(sweeps: Sweeps) -> None:
    _, two, kept, lost, _ = (account.id for account in sweeps.world.accounts)
    first = sweeps.sweep()
    before = of(found(first.report), kept, lost)
    region = max(sweeps.world.regions)
    for options in (("--account", kept), ("--account", two, "--region", region)):
        narrow = sweeps.sweep(*options)
        kinds = told(narrow.report)
        assert kinds["still_open"] == of(before, options[1])
        assert of(kinds["not_visible"], kept, lost) == before - kinds["still_open"]
        assert not of(kinds["resolved"], kept, lost)
        assert [point["run_id"] for point in narrow.report["trend"]] == [first.report["run"]["id"]]
    again = sweeps.sweep()
    assert told(again.report)["still_open"] == before
    assert not told(again.report)["not_visible"]
    assert len(again.report["trend"]) == 2


def test_a_sweep_that_ends_early_forgets_nothing(sweeps: Sweeps) -> None:
    _, _, kept, lost, _ = (account.id for account in sweeps.world.accounts)
    first = sweeps.sweep()
    before = of(found(first.report), kept, lost)
    sweeps.aws.faults([{"action": "access_denied", "operation": "ListAccounts"}])
    early = sweeps.sweep()
    assert early.status == 2
    assert of(told(early.report)["not_visible"], kept, lost) == before
    assert len(early.report["trend"]) == 1
    sweeps.aws.faults([])
    again = sweeps.sweep()
    assert told(again.report)["still_open"] == before
    assert not told(again.report)["new"]


@pytest.mark.slow
@pytest.mark.parametrize("sweeps", ["s3"], indirect=True)
def test_a_dry_run_is_compared_and_moves_nothing(sweeps: Sweeps) -> None:
    first = sweeps.sweep()
    stored = {each.key: each.body for each in sweeps.aws.objects()}
    sweeps.open(next(iter(sorted(of(found(first.report), sweeps.world.accounts[0].id)))))
    for options in (("--dry-run",), ("--dry-run", "--deliver")):
        dry = sweeps.sweep(*options)
        assert dry.report["since_last"]["run_id"] == first.report["run"]["id"]
        assert len(told(dry.report)["reopened"]) == 1
        now = {each.key: each.body for each in sweeps.aws.objects()}
        for name in ("ecr/latest.json", "ecr/history.json"):
            assert now[name] == stored[name]
    second = sweeps.sweep()
    assert len(told(second.report)["reopened"]) == 1
    assert sweeps.latest()["run"]["id"] == second.report["run"]["id"]
    assert [point["run_id"] for point in second.report["trend"]] == [
        ended.report["run"]["id"] for ended in (first, second)
    ]


def test_a_dry_run_in_a_directory_is_compared_and_is_no_point(aws: FakeAws, here: Here) -> None:
    aws.load(small_world(accounts=2, regions=1))
    first = Swept.of(here.run(aws))
    history = (first.out / "history.json").read_bytes()
    dry = Swept.of(here.run(aws, "--dry-run"))
    assert dry.report["since_last"]["run_id"] == first.report["run"]["id"]
    assert (first.out / "history.json").read_bytes() == history
    third = Swept.of(here.run(aws))
    assert third.report["since_last"]["run_id"] == first.report["run"]["id"]
    assert len(third.report["trend"]) == 2


DAMAGES = {
    "not JSON": (b"{", "is damaged: Invalid JSON"),
    "nested too deeply": (b"[" * 10_000, "is damaged: Input should be an object"),
    "another type": (b'{"schema_version": "1", "run": 7}', "is damaged: run: "),
    "newer": (b'{"schema_version": "3", "new": []}', "has schema_version '3'; this version knows"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_last_report_that_cannot_be_used(aws: FakeAws, here: Here, damage: str) -> None:
    """The sweep is done all the same, says why it cannot compare, and the next one compares."""
    aws.load(small_world(accounts=2, regions=1))
    content, said = DAMAGES[damage]
    first = Swept.of(here.run(aws))
    for name in ("report.json", "history.json"):
        (first.out / name).write_bytes(content)
    second = Swept.of(here.run(aws, "--format", "json"))
    assert second.status == 0
    assert f"report.json {said}" in second.report["since_last"]["unavailable"]
    assert {item["since_last"] for item in second.report["findings"]} <= {None}
    (delivery,) = json.loads(second.stdout)["deliveries"]
    assert (delivery["status"], "history.json" in delivery["message"]) == ("delivered", True)
    assert "delivery.incomplete" in {entry["event"] for entry in second.logs}
    third = Swept.of(here.run(aws))
    assert third.report["since_last"]["run_id"] == second.report["run"]["id"]
    assert len(third.report["trend"]) == (1 if damage == "newer" else 2)


@pytest.mark.parametrize("sweeps", ["s3"], indirect=True)
@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("access_denied", "latest.json could not be read: AccessDenied"),
        pytest.param(
            *("server_error", "latest.json could not be read: InternalError"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("reset", "latest.json could not be read: ConnectionClosedError"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_last_report_that_cannot_be_read_is_left_as_it_is(
    sweeps: Sweeps, action: str, said: str
) -> None:
    first = sweeps.sweep()
    before = {each.key: each.body for each in sweeps.aws.objects()}
    sweeps.aws.faults([{"action": action, "operation": "GetObject"}])
    sweeps.aws.reset_statistics()
    second = sweeps.sweep("--format", "json")
    # The lease, the last report, and the history once more when it is to be written.
    assert calls(sweeps.aws)["s3:GetObject"] == (3 if action == "access_denied" else 3 * 2)
    assert said in second.report["since_last"]["unavailable"]
    assert ("needed: s3:GetObject" in second.report["since_last"]["unavailable"]) is (
        action == "access_denied"
    )
    delivery = next(
        each for each in json.loads(second.stdout)["deliveries"] if each["sink"] == "s3"
    )
    assert delivery["status"] == "delivered"
    assert "latest.json was left as it is: what is there could not be read" in delivery["message"]
    assert "latest.json was left as it is" in sweeps.aws.messages()[-1]["message"]
    now = {each.key: each.body for each in sweeps.aws.objects()}
    for name in ("ecr/latest.json", "ecr/history.json"):
        assert now[name] == before[name]
    assert any(second.report["run"]["id"] in key for key in now)

    sweeps.aws.faults([])
    third = sweeps.sweep()
    assert third.report["since_last"]["run_id"] == first.report["run"]["id"]


def test_another_organization_in_the_same_place(aws: FakeAws, here: Here) -> None:
    aws.load(small_world(accounts=2, regions=1))
    first = Swept.of(here.run(aws))
    run_of_another = {**first.report["run"], "organization_id": "o-anotherone"}
    (first.out / "report.json").write_text(json.dumps({**first.report, "run": run_of_another}))
    ended = Swept.of(here.run(aws))
    assert ended.report["since_last"]["unavailable"] == (
        "report.json is of another organization: o-anotherone"
    )


def test_the_real_process_compares_too(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(small_world(accounts=2, regions=1))
    first = Swept.of(run(aws, tmp_path, "--dry-run"))
    second = run(aws, tmp_path, "--dry-run", "--format", "text")
    assert second.report["since_last"]["still_open"] == len(found(first.report)) > 0
    assert f"{len(found(first.report))} still open" in second.stdout
