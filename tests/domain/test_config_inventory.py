"""What AWS Config recorded beside what the sweep checked: which word counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from sweeper.domain.config_inventory import Recorded, Source, compare_inventory
from sweeper.domain.model import Compliance, Skipped
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import ConfigInventory, RecordedTarget, RecordingGap, Report
from tests.cases import case
from tests.factories import ACCOUNT_ID, REGION, account, failed, finding, report, target
from tests.fakes import make_config

NAMED = {"config_aggregator": {"name": "all", "region": REGION}}
DARK = "444455556666"
FIVE = Recorded(5, 2, 1, since=0, captured=1_750_000_000.0)
LATER = Recorded(5, 2, 1, since=5, captured=1_750_000_000.0)
AT = "2025-06-15T15:06:40Z"


def compare(
    item: Report,
    recorded: Mapping[str, Mapping[str, Recorded]],
    *sources: Source,
    lists_repositories: bool = True,
    **config: Any,
) -> tuple[ConfigInventory, bool]:
    made = compare_inventory(
        item,
        recorded,
        sources,
        make_config(inventory=NAMED, **config),
        lists_repositories=lists_repositories,
    )
    assert made.config_inventory
    return made.config_inventory, made.coverage.complete


def recorded_target(account_id: str, region: str | None, item: Recorded = FIVE) -> RecordedTarget:
    captured = AT if item.captured else None
    return RecordedTarget(
        account_id, region, item.repositories, item.mutable, item.undetermined, captured
    )


def test_a_setting_counts_once() -> None:
    cases = [
        ("MUTABLE", (1, 1, 0)),
        ("MUTABLE_WITH_EXCLUSION", (1, 1, 0)),
        ("IMMUTABLE", (1, 0, 0)),
        ("IMMUTABLE_WITH_EXCLUSION", (1, 0, 0)),
        ("FROZEN", (1, 0, 1)),
        ("", (1, 0, 1)),
    ]
    for mutability, counts in cases:
        with case(mutability):
            item = Recorded().with_repository(mutability, 7.0, since=True)
            assert item == Recorded(*counts, since=1, captured=7.0)


def test_what_could_not_be_checked_is_no_blank() -> None:
    other = "ap-east-1"
    cases: list[tuple[Report, Mapping[str, Mapping[str, Recorded]], list[RecordedTarget]]] = [
        # an account: all of its regions together
        (
            report([], [(account(DARK), failed(Reason.ASSUME_ROLE_DENIED))]),
            {DARK: {REGION: FIVE, other: FIVE}},
            [recorded_target(DARK, None, FIVE.with_all_of(FIVE))],
        ),
        # a region
        (
            report([], [(target(region=other), failed())]),
            {ACCOUNT_ID: {other: FIVE}},
            [recorded_target(ACCOUNT_ID, other)],
        ),
        # nothing is recorded there: that is said, too
        (
            report([], [(account(DARK), failed())]),
            {},
            [recorded_target(DARK, None, Recorded())],
        ),
        # a gap that is accepted, and an account that cannot be swept
        (
            report([], [], [(target(region=other), Skipped(Reason.DENIED_BY_SCP))]),
            {ACCOUNT_ID: {other: FIVE}},
            [recorded_target(ACCOUNT_ID, other)],
        ),
        (
            report([], [], [(account(DARK), Skipped(Reason.ACCOUNT_SUSPENDED))]),
            {DARK: {REGION: FIVE}},
            [recorded_target(DARK, None)],
        ),
        (report([], [], [(account(DARK), Skipped(Reason.ACCOUNT_SUSPENDED))]), {}, []),
    ]
    for item, recorded, expected in cases:
        with case(item.failures, item.skipped, recorded):
            inventory, complete = compare(item, recorded)
            assert list(inventory.not_checked) == expected
            assert inventory.not_planned == ()
            assert complete is item.coverage.complete


@pytest.mark.parametrize(
    ("changes", "recorded", "config", "not_planned"),
    [
        ({}, {ACCOUNT_ID: {"ap-east-1": FIVE}}, {}, [recorded_target(ACCOUNT_ID, "ap-east-1")]),
        ({}, {DARK: {REGION: FIVE}}, {}, [recorded_target(DARK, REGION)]),
        # recorded only after the run began
        ({}, {ACCOUNT_ID: {"ap-east-1": LATER}}, {}, []),
        # nobody listed an organization: the others are none of this sweep's
        ({"organization_id": None}, {DARK: {REGION: FIVE}}, {}, []),
        (
            {"organization_id": None},
            {ACCOUNT_ID: {"ap-east-1": FIVE}},
            {},
            [recorded_target(ACCOUNT_ID, "ap-east-1")],
        ),
        # left out on purpose
        ({}, {ACCOUNT_ID: {"ap-east-1": FIVE}}, {"regions": {"exclude": ["ap-east-1"]}}, []),
        ({}, {ACCOUNT_ID: {"ap-east-1": FIVE}}, {"regions": {"include": [REGION]}}, []),
        # the sweep is of one account
        ({}, {DARK: {REGION: FIVE}}, {"organization": {"include_accounts": [ACCOUNT_ID]}}, []),
        # accepted
        (
            {},
            {ACCOUNT_ID: {"ap-east-1": FIVE}},
            {"coverage": {"accept": [{"reason": "recorded_not_planned"}]}},
            [],
        ),
    ],
)
def test_what_was_not_planned_is_a_gap(
    changes: dict[str, Any],
    recorded: Mapping[str, Mapping[str, Recorded]],
    config: dict[str, Any],
    not_planned: list[RecordedTarget],
) -> None:
    inventory, complete = compare(report(**changes), recorded, **config)
    assert list(inventory.not_planned) == not_planned
    assert complete == (not not_planned)


def test_what_the_filters_leave_out_is_not_counted() -> None:
    item = report(
        [],
        [],
        [
            (account(DARK), Skipped(Reason.ACCOUNT_EXCLUDED)),
            (target(region="ap-east-1"), Skipped(Reason.REGION_EXCLUDED)),
        ],
    )
    inventory, complete = compare(item, {DARK: {REGION: FIVE}, ACCOUNT_ID: {"ap-east-1": FIVE}})
    assert (inventory.repositories, inventory.not_checked, inventory.not_planned) == (0, (), ())
    assert complete


def test_where_the_sweep_read_its_own_word_is_the_newer() -> None:
    """One compliant repository and one that is undetermined were found."""
    item = report([finding(compliance=Compliance.UNDETERMINED, mutability="FROZEN")])
    cases = [(Recorded(2), 0), (Recorded(1), 0), (Recorded(5), 3), (Recorded(5, since=2), 1)]
    for recorded, deleted in cases:
        with case(recorded):
            inventory, _ = compare(item, {ACCOUNT_ID: {REGION: recorded}})
            assert inventory.deleted_since == deleted
            assert inventory.not_planned == ()
            unread, _ = compare(item, {ACCOUNT_ID: {REGION: recorded}}, lists_repositories=False)
            assert unread.deleted_since == 0


def test_whom_nobody_records() -> None:
    def source(status: Any, region: str = REGION, of: str = ACCOUNT_ID, **more: Any) -> Source:
        return replace(Source(of, region, status, 1_750_000_000.0, "E: why"), **more)

    here = {ACCOUNT_ID: {REGION: FIVE}}
    cases: list[tuple[Any, list[Source], list[RecordingGap]]] = [
        (here, [], []),
        ({}, [], [RecordingGap(ACCOUNT_ID, "no_record", 1)]),
        (
            here,
            [source("outdated"), source("failed", "ap-east-1", updated=None)],
            [RecordingGap(ACCOUNT_ID, "failed", 1, AT, "E: why")],
        ),
        (
            here,
            [source("outdated", error=None), source("outdated", "ap-east-1", error=None)],
            [RecordingGap(ACCOUNT_ID, "outdated", 2, AT, None)],
        ),
        (here, [source("failed", of=DARK)], [RecordingGap(DARK, "failed", 1, AT, "E: why")]),
    ]
    for recorded, sources, expected in cases:
        with case(recorded, sources):
            inventory, complete = compare(report(), recorded, *sources)
            assert list(inventory.not_recorded) == expected
            assert complete


def test_an_aggregator_must_be_configured() -> None:
    with pytest.raises(ValueError, match="no aggregator"):
        compare_inventory(report(), {}, (), make_config(), lists_repositories=True)
