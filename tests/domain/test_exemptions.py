"""Which repositories the configuration exempts, by place, OU, account tag and day."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from sweeper.config.schema import ExemptionRule
from sweeper.domain.exemptions import (
    configured_exemption,
    covers_account,
    enters_exemption,
    has_undecided_exemption,
    undecided_exemption,
)
from sweeper.domain.model import Account
from tests.cases import case
from tests.fakes import TODAY, account_id, make_target

TARGET = make_target()
ROOT, TEAM, OTHER = "r-ab12", "ou-ab12-11111111", "ou-ab12-22222222"


def rule(**values: Any) -> ExemptionRule:
    return ExemptionRule.model_validate(
        {"repository": "*", "reason": "because", "expires": "never", **values}
    )


def test_an_exemption_holds_through_its_last_day() -> None:
    cases: list[tuple[object, bool]] = [
        ("never", False),
        (date(2026, 6, 14), True),
        (date(2026, 6, 15), False),
        (date(2026, 6, 16), False),
    ]
    for expires, expired in cases:
        with case(expires, expired):
            exemption = configured_exemption(TARGET, "app", (rule(expires=expires),), TODAY)
            assert exemption is not None
            assert exemption.expired is expired
            assert exemption.expires == (None if expires == "never" else expires)
            assert (exemption.source, exemption.rule) == ("config", "* * *")


def test_an_exemption_matches_account_region_and_repository() -> None:
    cases: list[tuple[dict[str, str], bool]] = [
        ({"repository": "sandbox/*"}, True),
        ({"repository": "sandbox"}, False),
        ({"repository": "sandbox/?"}, False),
        ({"repository": "*", "account": account_id(1)}, True),
        ({"repository": "*", "account": account_id(2)}, False),
        ({"repository": "*", "account": "00000000000?"}, True),
        ({"repository": "*", "region": "eu-*"}, True),
        ({"repository": "*", "region": "us-*"}, False),
    ]
    for values, matches in cases:
        with case(values, matches):
            found = configured_exemption(TARGET, "sandbox/app", (rule(**values),), TODAY)
            assert (found is not None) is matches


def test_an_exemption_in_force_wins_over_expired_ones() -> None:
    old = rule(reason="old", expires=date(2020, 1, 1))
    older = rule(reason="older", expires=date(2019, 1, 1))
    current = rule(reason="current")
    for rules, expected in (((old, older), "old"), ((old, older, current), "current")):
        exemption = configured_exemption(TARGET, "app", rules, TODAY)
        assert exemption is not None
        assert exemption.reason == expected


def account(ou_path: tuple[str, ...] | None, tags: Mapping[str, str] | None) -> Account:
    return replace(TARGET.account, ou_path=ou_path, tags=tags)


BELOW, ELSEWHERE = (ROOT, OTHER, TEAM), (ROOT, OTHER)
DEV = {"env": "dev", "team": "a"}


def test_whether_a_rule_is_about_the_account() -> None:
    by_ou: dict[str, Any] = {"ous": [TEAM]}
    by_tag: dict[str, Any] = {"account_tags": {"env": ["dev", "test"]}}
    by_tags: dict[str, Any] = {"account_tags": {"env": ["dev"], "team": ["a"]}}
    by_both, other = by_ou | by_tag, {"account": account_id(2)}
    cases: list[tuple[dict[str, Any], Any, Any, bool | None]] = [
        ({}, None, None, True),
        (by_ou, BELOW, None, True),
        (by_ou, ELSEWHERE, None, False),
        (by_ou, (), None, False),
        (by_ou, None, DEV, None),
        ({"ous": [OTHER]}, BELOW, None, True),  # and everything below it
        ({"ous": [ROOT]}, ELSEWHERE, None, True),
        ({"ous": [TEAM, OTHER]}, ELSEWHERE, None, True),
        (by_tag, None, DEV, True),
        (by_tag, None, {"env": "prod"}, False),
        (by_tag, None, {"Env": "dev"}, False),
        (by_tag, None, {}, False),
        (by_tag, BELOW, None, None),
        (by_tags, None, DEV, True),
        (by_tags, None, {"env": "dev"}, False),
        (by_both, BELOW, DEV, True),
        (by_both, BELOW, {}, False),
        (by_both, ELSEWHERE, DEV, False),
        # What is known to be otherwise needs nothing that is not known.
        (by_both, ELSEWHERE, None, False),
        (by_both, None, {}, False),
        (by_both, None, DEV, None),
        (by_both, BELOW, None, None),
        (by_both | other, None, None, False),
    ]
    for values, path, tags, expected in cases:
        with case(values, path, tags):
            assert covers_account(rule(**values), account(path, tags)) is expected


def test_what_was_not_read_exempts_nothing_and_is_told() -> None:
    for values, what in (
        ({"ous": [TEAM]}, "OU"),
        ({"account_tags": {"env": ["dev"]}}, "tags"),
    ):
        unread = replace(TARGET, account=account(None, None))
        read = replace(TARGET, account=account(BELOW, DEV))
        with case(values):
            rules = (rule(repository="sandbox/*", **values),)
            assert configured_exemption(unread, "sandbox/a", rules, TODAY) is None
            assert f"'s {what} " in (undecided_exemption(unread, "sandbox/a", rules, TODAY) or "")
            assert undecided_exemption(unread, "other", rules, TODAY) is None
            found = configured_exemption(read, "sandbox/a", rules, TODAY)
            assert found is not None
            assert undecided_exemption(read, "sandbox/a", rules, TODAY) is None
            for part in ("sandbox/*", TEAM if what == "OU" else "env: dev"):
                assert part in found.rule
            over = (rule(repository="*", expires=date(2020, 1, 1), **values),)
            assert undecided_exemption(unread, "sandbox/a", over, TODAY) is None
            for place, tried, expected in (
                (unread, rules, True),
                (read, rules, False),
                (unread, over, False),
            ):
                assert has_undecided_exemption(place.account, tried, TODAY) is expected


def test_an_account_that_comes_below_a_rule() -> None:
    rules = (rule(ous=[TEAM]), rule(account_tags={"env": ["dev"]}))
    neither = account(ELSEWHERE, {})
    cases: list[tuple[Account, Account, bool]] = [
        (neither, neither, False),
        (neither, account(BELOW, {}), True),
        (neither, account(ELSEWHERE, DEV), True),
        (neither, account(None, {}), True),
        (neither, account(ELSEWHERE, None), True),
        (account(BELOW, {}), neither, False),
        (account(BELOW, DEV), account(BELOW, DEV), False),
    ]
    for before, now, expected in cases:
        with case(before, now):
            assert enters_exemption(before, now, rules, TODAY) is expected
    over = (rule(ous=[TEAM], expires=date(2020, 1, 1)),)
    assert not enters_exemption(neither, account(BELOW, {}), over, TODAY)
