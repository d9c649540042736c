"""AWS Config beside the sweep: what it recorded where the sweep could not look."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from playwright.sync_api import expect

from tests import chromium
from tests.end_to_end.harness import Here, calls, small_world
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault, World
from tests.reporting.formats.html.pages import column

HOME = "us-east-1"
DENIED_REGION = "eu-west-1"
RECORDED = "2025-06-15T15:06:40Z"  # when the fake's aggregator recorded all
NAMED = {"inventory": {"config_aggregator": {"name": "organization", "region": HOME}}}
AUDIT = {"remediation": {"auto_remediate": "DISABLED"}}
OUTSIDER = "999900001111"


def world(accounts: int = 4, regions: int = 5, **aggregator: Any) -> World:
    """An organization that an aggregator records."""
    made = {"name": "organization", "region": HOME, **aggregator}
    return small_world(accounts=accounts, regions=regions, aggregators=[made])


def with_changes(item: World, **changes: Any) -> World:
    return World.from_json({**item.to_json(), **changes})


def recorded(account: str, region: str, name: str, **more: Any) -> dict[str, Any]:
    return {"account": account, "region": region, "name": name, **more}


def places(items: list[dict[str, Any]]) -> list[tuple[str, str | None, int]]:
    return [(each["account_id"], each["region"], each["repositories"]) for each in items]


def test_a_dark_account_has_what_was_last_recorded_and_the_sweep_goes_on(
    aws: FakeAws, here: Here
) -> None:
    base = world(accounts=3, regions=2)
    dark = base.accounts[1].id
    aws.load(with_changes(base, denies=[{"accounts": [dark], "actions": ["ecr:*"]}]))
    ended = here.run(aws, config={**NAMED, **AUDIT, "report": {"formats": ["json", "text"]}})
    inventory = ended.report["config_inventory"]
    assert ended.status == 4
    [place] = inventory["not_checked"]
    assert (place["account_id"], place["region"], place["repositories"]) == (dark, None, 10)
    assert (place["mutable"], place["captured_at"]) == (4, RECORDED)
    assert inventory["not_planned"] == inventory["not_recorded"] == []
    [text] = (ended.directory / "out").glob("**/report.txt")
    words = " ".join(text.read_text(encoding="utf-8").split())
    assert f"10 repositories, 4 mutable, last recorded {RECORDED}" in words


@pytest.mark.parametrize(
    ("fault", "unavailable", "sources_unavailable"),
    [
        ({"operation": "Select*", "action": "access_denied"}, "denied, AccessDenied", None),
        ({"operation": "Describe*", "action": "access_denied"}, None, "denied, AccessDenied"),
        ({"operation": "Select*", "action": "garbage"}, "unexpected_response", None),
        (
            {"operation": "Select*", "action": "error", "code": "InvalidExpressionException"},
            "request_refused, InvalidExpression",
            None,
        ),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_read_is_said_and_costs_nothing(
    aws: FakeAws,
    here: Here,
    fault: dict[str, Any],
    unavailable: str | None,
    sources_unavailable: str | None,
) -> None:
    aws.load(with_changes(world(), faults=[{"service": "config", **fault}]))
    ended = here.run(aws, config={**NAMED, "report": {"formats": ["json", "text"]}})
    inventory = ended.report["config_inventory"]
    assert ended.status == 0
    for key, expected in (
        ("unavailable", unavailable),
        ("sources_unavailable", sources_unavailable),
    ):
        assert (inventory[key] is None) == (expected is None)
        assert (inventory[key] or "").startswith(expected or "")
    told = [each for each in ended.logs if each["event"] == "config_inventory.unavailable"]
    assert [each["level"] for each in told] == ["warning"]
    [text] = (ended.directory / "out").glob("**/report.txt")
    assert "AWS CONFIG (aggregator organization in us-east-1)" in text.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_sweep_that_lists_no_repository_calls_none_of_them_deleted(
    aws: FakeAws, here: Here
) -> None:
    aws.load(world(accounts=2, regions=2))
    templates = {"checks": ["ecr-creation-template-immutability"]}
    inventory = here.run(aws, config={**NAMED, **AUDIT, **templates}).report["config_inventory"]
    assert (inventory["repositories"], inventory["deleted_since"]) == (20, 0)


@pytest.mark.slow
def test_an_aggregator_that_is_not_there_or_too_slow(aws: FakeAws, here: Here) -> None:
    aws.load(world())
    missing = {"inventory": {"config_aggregator": {"name": "other", "region": HOME}}}
    ended = here.run(aws, config=missing)
    assert ended.report["config_inventory"]["unavailable"].startswith("aggregator_missing, NoSuch")
    hang = {"service": "config", "action": "hang", "seconds": 60}
    aws.load(with_changes(world(), faults=[hang]))
    began = time.monotonic()
    ended = here.run(aws, config={**NAMED, "limits": {"deadline_seconds": 4}})
    assert ended.report["config_inventory"]["unavailable"].startswith("deadline")
    assert time.monotonic() - began < 30
    assert ended.status == 0  # all was checked before


@pytest.mark.slow
def test_what_is_recorded_where_nothing_was_planned_is_a_gap(aws: FakeAws, here: Here) -> None:
    """The newer word counts: what was read, or recorded after the run began, is none."""
    base = world()
    one, two, three, four = (account.id for account in base.accounts)
    later = time.time() + 3600
    others = [
        recorded(two, "ap-east-1", "left-behind"),  # a region that the account disabled
        recorded(OUTSIDER, HOME, "outside"),
        recorded(three, HOME, "deleted-1"),
        recorded(three, HOME, "deleted-2", captured=later),
        recorded(four, "ap-east-1", "new", captured=later),
    ]
    aws.load(world(others=others))
    ended = here.run(aws, "--format", "text", config={**NAMED, **AUDIT})
    inventory = ended.report["config_inventory"]
    assert places(inventory["not_planned"]) == [(two, "ap-east-1", 1), (OUTSIDER, HOME, 1)]
    assert (inventory["deleted_since"], inventory["recorded_since"]) == (1, 1)
    assert ended.report["coverage"]["complete"] is False
    assert ended.status == 4
    [logged] = [each for each in ended.logs if each["event"] == "config_inventory.not_planned"]
    assert (logged["targets"], logged["repositories"]) == (2, 2)
    assert "AWS Config knows of repositories in 2 other account-regions" in " ".join(
        ended.stdout.split()
    )

    accept = [{"reason": "recorded_not_planned", "account": [two, OUTSIDER]}]
    ended = here.run(aws, config={**NAMED, **AUDIT, "coverage": {"accept": accept}})
    inventory = ended.report["config_inventory"]
    assert places(inventory["not_checked"]) == [(two, "ap-east-1", 1), (OUTSIDER, HOME, 1)]
    assert (inventory["not_planned"], ended.status) == ([], 3)

    # What is left out on purpose is no gap, and not counted.
    narrow = {**NAMED, **AUDIT, "regions": {"include": ["us-east-2"]}}
    ended = here.run(aws, "--account", one, config=narrow)
    inventory = ended.report["config_inventory"]
    assert (inventory["not_planned"], inventory["repositories"]) == ([], 5)


@pytest.mark.slow
@pytest.mark.skipif(chromium.missing(), reason=chromium.REASON)
@pytest.mark.parametrize("nested_text", [False, True])
def test_three_thousand_repositories_in_thirty_one_pages(
    aws: FakeAws, here: Here, nested_text: bool
) -> None:
    base = world(accounts=36, regions=17)
    ids = [account.id for account in base.accounts]
    dark, stale, failed, unrecorded = ids[3], ids[4], ids[5], ids[6]
    half = ids[7]
    aggregator = {
        "name": "organization",
        "region": HOME,
        "nested_text": nested_text,
        "unrecorded": [f"{unrecorded}/*"],
        "outdated": [f"{stale}/*"],
        "failed": [f"{failed}/us-*"],
        "error": "<script>alert(1)</script>",
        "others": [
            recorded(unrecorded, "ap-east-1", f"left-{number}", mutability="IMMUTABLE")
            for number in range(85)
        ],
    }
    denies = [
        {"accounts": [dark], "actions": ["ecr:*"]},
        {"accounts": [half], "regions": [DENIED_REGION], "actions": ["ecr:*"]},
    ]
    aws.load(with_changes(base, aggregators=[aggregator], denies=denies))
    ended = here.run(
        aws, config={**NAMED, **AUDIT, "report": {"formats": ["json", "html", "markdown", "text"]}}
    )
    assert calls(aws)["config:SelectAggregateResourceConfig"] == 31
    inventory = ended.report["config_inventory"]
    assert inventory["repositories"] == 35 * 17 * 5 + 85 == 3060
    assert places(inventory["not_checked"]) == sorted([(dark, None, 85), (half, DENIED_REGION, 5)])
    assert places(inventory["not_planned"]) == [(unrecorded, "ap-east-1", 85)]
    gaps = {each["account_id"]: each for each in inventory["not_recorded"]}
    assert {key: each["status"] for key, each in gaps.items()} == {
        stale: "outdated",
        failed: "failed",
    }
    assert gaps[failed]["regions"] == 4
    assert gaps[failed]["updated_at"] == RECORDED
    assert ended.status == 4

    [page_file] = (ended.directory / "out").glob("**/report.html")
    with chromium.browser() as browser:
        page = browser.new_page()
        said: list[str] = []
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(page_file.as_uri())
        expect(page.get_by_role("heading", name="AWS Config")).to_be_visible()
        states = column(page, "config-inventory", "State")
        assert states == ["not known", "not checked", "not checked", *["not recorded"] * 2]
        assert "3,060 repositories" in page.locator("#config-section").inner_text()
        assert said == []
    [summary] = (ended.directory / "out").glob("**/report.md")
    assert "### AWS Config, aggregator organization in us-east-1" in summary.read_text("utf-8")


@pytest.mark.slow
def test_a_distributed_sweep_asks_in_its_last_stage(aws: FakeAws, here: Here) -> None:
    base = world()
    dark = base.accounts[1].id
    aws.load(with_changes(base, denies=[{"accounts": [dark], "actions": ["ecr:*"]}]))
    config = {**NAMED, **AUDIT, "report": {"directory": "out"}}
    ended = here.command(aws, "distributed", "start", "--work", "work", config=config)
    run = json.loads(ended.stdout)["run"]
    for stage in (("scan", "--shard", "0"), ("plan",)):
        here.command(aws, "distributed", stage[0], "--run", run, *stage[1:], "--work", "work")
    assert "config:SelectAggregateResourceConfig" not in calls(aws)
    ended = here.command(aws, "distributed", "finish", "--run", run, "--work", "work")
    assert places(ended.report["config_inventory"]["not_checked"]) == [(dark, None, 25)]
    assert json.loads(ended.stdout)["exit_status"] == 4


@pytest.mark.slow
def test_an_account_without_a_record_is_named(aws: FakeAws, here: Here) -> None:
    base = world()
    unrecorded = base.accounts[2].id
    aws.load(world(unrecorded=[f"{unrecorded}/*"]))
    ended = here.run(aws, config={**NAMED, **AUDIT})
    [gap] = ended.report["config_inventory"]["not_recorded"]
    assert (gap["account_id"], gap["status"], gap["regions"]) == (unrecorded, "no_record", 5)


@pytest.mark.slow
def test_a_region_that_there_is_not_is_refused_before_anything_is_called(
    aws: FakeAws, here: Here
) -> None:
    aws.load(world())
    named = {"inventory": {"config_aggregator": {"name": "all", "region": "eu-central-9"}}}
    ended = here.run(aws, config=named)
    assert ended.status == 2
    assert "inventory.config_aggregator.region: 'eu-central-9' is not a region" in ended.stderr
    assert calls(aws) == {}


@pytest.mark.slow
def test_preflight_tries_both_calls(aws: FakeAws, here: Here) -> None:
    aws.load(world())
    ended = here.command(aws, "preflight", config=NAMED)
    assert ended.status == 0
    denied = Fault("access_denied", service="config", operation="Select*")
    aws.faults([denied])
    ended = here.command(aws, "preflight", config=NAMED)
    assert ended.status == 4
    assert "config:SelectAggregateResourceConfig" in ended.stdout
    missing = {"inventory": {"config_aggregator": {"name": "other", "region": HOME}}}
    aws.faults([])
    ended = here.command(aws, "preflight", config=missing)
    assert "inventory.config_aggregator" in ended.stdout
    assert "create the aggregator" in ended.stdout
