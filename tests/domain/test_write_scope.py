"""Where may be written, and from which day on: tables of accounts and configuration."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sweeper.domain.reasons import Reason
from sweeper.domain.write_scope import (
    in_write_scope,
    may_write_on,
    no_longer_writable,
    opening_day,
)
from tests.cases import case
from tests.fakes import (
    TODAY,
    account_id,
    make_account,
    make_config,
)

ROOT, PROD, DEV = "r-ab12", "ou-ab12-11111111", "ou-ab12-22222222"
ACCOUNTS = (
    make_account(3, ou_path=(ROOT,), tags={"env": "prod"}),
    make_account(1, ou_path=(ROOT, PROD), tags={"env": "prod", "tier": "1"}),
    make_account(2, ou_path=(ROOT, PROD, DEV), tags={"env": "dev"}),
    make_account(4, ou_path=(ROOT, DEV), tags={}),
)


def test_write_scope() -> None:
    cases: list[tuple[dict[str, Any], bool]] = [
        ({}, True),
        ({"auto_remediate": "DISABLED"}, False),
        ({"include_accounts": [account_id(1)]}, True),
        ({"include_accounts": [account_id(2)]}, False),
        ({"exclude_accounts": [account_id(1)]}, False),
        ({"include_ous": [PROD]}, True),
        ({"include_ous": [DEV]}, False),
        ({"include_ous": [PROD], "include_accounts": [account_id(2)]}, False),
    ]
    for remediation, inside in cases:
        with case(remediation, inside):
            account = make_account(1, ou_path=(ROOT, PROD))
            assert (
                in_write_scope(account, make_config(remediation=remediation).remediation) is inside
            )


def test_an_account_whose_place_is_unknown_is_outside_every_ou() -> None:
    remediation = make_config(remediation={"include_ous": [ROOT]}).remediation
    assert not in_write_scope(make_account(1), remediation)


def test_a_rollout_opens_an_account_on_the_day_of_its_first_wave() -> None:
    tomorrow, later = TODAY + timedelta(days=1), TODAY + timedelta(days=9)
    prod = {"include_ous": [PROD], "from": tomorrow}
    everywhere = {"from": later}
    one = {"include_accounts": [account_id(1)], "from": TODAY}
    cases: list[tuple[list[dict[str, Any]], tuple[str, ...], date | None]] = [
        ([prod], (ROOT, PROD), tomorrow),
        ([prod], (ROOT, PROD, DEV), tomorrow),
        ([prod], (ROOT,), None),
        ([prod, everywhere], (ROOT,), later),
        ([everywhere, prod], (ROOT, PROD), tomorrow),
        ([one, prod], (ROOT, PROD), TODAY),
        ([{**prod, **one}], (ROOT,), None),  # it must pass both
    ]
    for rollout, path, opens in cases:
        with case(rollout, path):
            account = make_account(1, ou_path=path)
            config = make_config(remediation={"rollout": rollout})
            assert opening_day(account, config.remediation) == opens
            assert in_write_scope(account, config.remediation) is (opens is not None)
            for day in (TODAY, tomorrow, later):
                is_open = opens is not None and opens <= day
                assert may_write_on(account, config.remediation, day) is is_open
                reason = no_longer_writable(account, config, day)
                assert reason is (None if is_open else Reason.ACCOUNT_MOVED)


def test_a_wave_widens_nothing() -> None:
    account = make_account(1, ou_path=(ROOT, PROD))
    for narrower in (
        {"exclude_accounts": [account_id(1)]},
        {"include_ous": [DEV]},
        {"auto_remediate": "DISABLED"},
    ):
        with case(narrower):
            config = make_config(remediation={**narrower, "rollout": [{"from": TODAY}]})
            assert not may_write_on(account, config.remediation, TODAY)


def test_where_a_wave_names_ous_it_matters_which_one_an_account_is_in() -> None:
    config = make_config(remediation={"rollout": [{"include_ous": [PROD], "from": TODAY}]})
    lost = make_account(1)
    assert no_longer_writable(lost, config, TODAY) is Reason.ACCOUNT_OU_UNKNOWN
