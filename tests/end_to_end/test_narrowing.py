"""Options and events only ever narrow the configuration: nothing else is seen or written."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sweeper.domain.errors import ConfigurationError
from sweeper.entrypoints.lambda_function import SweepFailed, handler
from tests.end_to_end.harness import (
    Here,
    calls,
    open_repositories,
    small_world,
    write_config,
    writes,
)
from tests.fake_aws.process import FakeAws

WORLD = small_world(accounts=6, regions=2)
IN, OUT = WORLD.accounts[1].id, WORLD.accounts[2].id
HERE, THERE = list(WORLD.regions)[:2]
ROOT_ID = WORLD.root_id
BELOW_UNIT: dict[str, set[str]] = {
    unit.id: {account.id for account in WORLD.accounts if account.parent == unit.id}
    for unit in WORLD.units
    if not any(other.parent == unit.id for other in WORLD.units)
}
UNIT, ELSEWHERE = [unit for unit, accounts in BELOW_UNIT.items() if accounts][:2]
BELOW = BELOW_UNIT[UNIT]
SCHEDULED = {
    "version": "0",
    "id": "1",
    "detail-type": "Scheduled Event",
    "source": "aws.scheduler",
    "account": "123456789012",
    "time": "2026-06-15T12:00:00Z",
    "region": "eu-central-1",
    "resources": ["arn:aws:scheduler:eu-central-1:123456789012:schedule/default/sweep"],
    "detail": "{}",
}


class Context:
    """Lambda's context, as far as it is used."""

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@pytest.fixture
def aws(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    aws.load(WORLD)
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    yield aws
    logging.getLogger("sweeper").handlers.clear()


def written(aws: FakeAws) -> set[tuple[str, str]]:
    return {(each["account"], each["region"]) for each in writes(aws)}


@pytest.mark.parametrize(
    ("config", "event", "allowed"),
    [
        ({"organization": {"include_accounts": [IN]}}, {"accounts": [OUT, IN]}, {IN}),
        ({"organization": {"include_ous": [UNIT]}}, {"ous": [ROOT_ID]}, BELOW),
        ({"organization": {"include_ous": [ROOT_ID]}}, {"ous": [UNIT]}, BELOW),
    ],
)
def test_an_event_writes_only_where_the_configuration_lets_it_too(
    aws: FakeAws, config: Mapping[str, Any], event: Mapping[str, Any], allowed: set[str]
) -> None:
    write_config(Path(), config)
    handler(event, Context())
    assert {account for account, _ in written(aws)} == allowed


def test_an_event_takes_of_the_regions_what_the_configuration_names(aws: FakeAws) -> None:
    write_config(Path(), {"regions": {"include": [HERE]}})
    handler({"regions": [THERE, HERE]}, Context())
    assert {region for _, region in written(aws)} == {HERE}


@pytest.mark.parametrize(
    ("config", "event", "told"),
    [
        (
            {"organization": {"include_accounts": [IN]}},
            {"accounts": [OUT]},
            f"event: accounts: {OUT} is not in organization.include_accounts",
        ),
        (
            {"regions": {"include": [HERE]}},
            {"regions": [THERE]},
            f"event: regions: {THERE} is not in regions.include",
        ),
        ({"regions": {"exclude": [HERE]}}, {"regions": [HERE]}, "both included and excluded"),
        (
            {"organization": {"within_ous": [UNIT]}},
            {"ous": [ELSEWHERE]},
            "event: ous: .* is not in organization.within_ous",
        ),
    ],
)
def test_where_nothing_is_left_the_event_is_refused_before_anything_is_called(
    aws: FakeAws, config: Mapping[str, Any], event: Mapping[str, Any], told: str
) -> None:
    write_config(Path(), config)
    with pytest.raises(ConfigurationError, match=told):
        handler(event, Context())
    assert calls(aws) == {}


@pytest.mark.parametrize(
    ("config", "event"),
    [
        ({"organization": {"include_ous": [UNIT]}}, {"ous": [ELSEWHERE]}),
        ({"organization": {"exclude_accounts": [IN]}}, {"accounts": [IN]}),
    ],
)
def test_where_no_account_is_left_the_function_fails(
    aws: FakeAws, config: Mapping[str, Any], event: Mapping[str, Any]
) -> None:
    write_config(Path(), config)
    with pytest.raises(SweepFailed, match="no_account_chosen"):
        handler(event, Context())
    assert writes(aws) == []


def test_a_scheduled_event_is_a_dry_run_where_it_says_so(aws: FakeAws) -> None:
    summary = handler({**SCHEDULED, "dry_run": True, "accounts": [IN]}, Context())
    assert summary["dry_run"]
    assert summary["totals"]["accounts"]["opened"] == 1
    assert writes(aws) == []


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"dryrun": True}, "'dryrun' is unknown"),
        ({"dry_run": "yes"}, "dry_run: 'yes' is not allowed"),
        ({"detail": {"dry_run": True}}, "'detail' is unknown"),
    ],
)
def test_what_a_scheduled_event_says_is_never_ignored(
    aws: FakeAws, more: Mapping[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        handler({**SCHEDULED, **more}, Context())
    assert calls(aws) == {}


def test_a_persons_options_only_narrow_too(aws: FakeAws, here: Here) -> None:
    config = {"organization": {"include_accounts": [IN]}, "regions": {"include": [HERE]}}
    ended = here.run(aws, "--account", OUT, config=config)
    assert ended.status == 2
    assert "--account" in ended.stderr
    assert "organization.include_accounts" in ended.stderr
    ended = here.run(aws, "--account", OUT, "--account", IN, "--region", HERE, config=config)
    assert written(aws) == {(IN, HERE)}
    assert ended.report["run"]["scope"]["narrowed_by"] == [
        "organization.include_accounts",
        "--account",
        "regions.include",
        "--region",
    ]
    assert {key[0] for key in open_repositories(aws)} >= {OUT}
