"""Which accounts and targets: tables of facts and configuration."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest

from sweeper.config.schema import AcceptedGap
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import (
    Account,
    Counts,
    Examined,
    Failed,
    OpenedAccount,
    Skipped,
    Stage,
    Target,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report import AccountOutcome, TargetOutcome
from sweeper.domain.report_model import Scope, WriteScope
from sweeper.domain.selection import (
    accept_known_gaps,
    excluding_filter,
    in_write_scope,
    may_write_on,
    no_longer_writable,
    opening_day,
    plan_targets,
    scope_of,
    select_accounts,
    unknown_exclusions,
    write_scope_of,
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


def numbers(accounts: tuple[Account, ...]) -> list[int]:
    return [int(account.id) for account in accounts]


def test_filters() -> None:
    cases: list[tuple[dict[str, Any], list[int]]] = [
        ({}, [1, 2, 3, 4]),
        ({"include_ous": [PROD]}, [1, 2]),
        ({"include_ous": [ROOT]}, [1, 2, 3, 4]),
        ({"include_ous": [PROD, DEV]}, [1, 2, 4]),
        ({"exclude_ous": [DEV]}, [1, 3]),
        ({"include_ous": [PROD], "exclude_ous": [DEV]}, [1]),
        ({"include_accounts": [account_id(1), account_id(4)]}, [1, 4]),
        ({"exclude_accounts": [account_id(1), account_id(9)]}, [2, 3, 4]),
        ({"include_accounts": [account_id(1), account_id(3)], "include_ous": [PROD]}, [1]),
        ({"include_accounts": [account_id(1), account_id(3)], "exclude_ous": [PROD]}, [3]),
        ({"include_tags": {"env": ["prod"]}}, [1, 3]),
        ({"include_tags": {"env": ["prod", "dev"]}}, [1, 2, 3]),
        ({"include_tags": {"env": ["prod"], "tier": ["1"]}}, [1]),
        ({"exclude_tags": {"env": ["dev"]}}, [1, 3, 4]),
        ({"exclude_tags": {"env": ["dev"], "tier": ["1"]}}, [3, 4]),
    ]
    for organization, chosen in cases:
        with case(organization, chosen):
            accounts, others = select_accounts(ACCOUNTS, make_config(organization=organization))
            assert numbers(accounts) == chosen
            assert [int(account.id) for account, _ in others] == sorted({1, 2, 3, 4} - set(chosen))
            assert all(outcome == Skipped(Reason.ACCOUNT_EXCLUDED) for _, outcome in others)


def test_the_filter_that_excludes_an_account_is_named() -> None:
    account = next(each for each in ACCOUNTS if each.id == account_id(3))
    for filters in (
        {"include_ous": [PROD]},
        {"within_ous": [PROD]},
        {"exclude_ous": [ROOT]},
        {"include_accounts": [account_id(1)]},
        {"exclude_accounts": [account_id(3)]},
        {"include_tags": {"env": ["dev"]}},
        {"exclude_tags": {"env": ["prod"]}},
    ):
        with case(filters):
            organization = make_config(organization=filters).organization
            (key,) = filters
            assert excluding_filter(account, organization) == key
    assert excluding_filter(account, make_config().organization) is None


def test_inactive_accounts_are_skipped() -> None:
    cases: list[tuple[str, Reason]] = [
        ("PENDING_ACTIVATION", Reason.ACCOUNT_PENDING_ACTIVATION),
        ("SUSPENDED", Reason.ACCOUNT_SUSPENDED),
        ("PENDING_CLOSURE", Reason.ACCOUNT_PENDING_CLOSURE),
        ("CLOSED", Reason.ACCOUNT_CLOSED),
    ]
    for state, reason in cases:
        with case(state, reason):
            accounts, others = select_accounts(
                (make_account(1), make_account(2, state=state)), make_config()
            )
            assert numbers(accounts) == [1]
            assert [outcome for _, outcome in others] == [Skipped(reason)]


def test_an_unknown_state_is_a_failure() -> None:
    _, ((_, outcome),) = select_accounts(
        (make_account(1), make_account(2, state="DREAMING")), make_config()
    )
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.ACCOUNT_STATE_UNKNOWN
    assert "'DREAMING'" in outcome.message


def test_an_excluded_account_is_excluded_whatever_its_state() -> None:
    config = make_config(organization={"exclude_accounts": [account_id(2)]})
    _, ((_, outcome),) = select_accounts(
        (make_account(1), make_account(2, state="DREAMING")), config
    )
    assert outcome == Skipped(Reason.ACCOUNT_EXCLUDED)


def test_an_included_account_that_is_not_there_ends_the_sweep() -> None:
    included = {"include_accounts": [account_id(1), account_id(9), account_id(8)]}
    sections: list[dict[str, Any]] = [
        {"organization": included},
        {"remediation": included},
        {"remediation": {"rollout": [{**included, "from": "2027-01-15"}]}},
    ]
    for section in sections:
        with case(section):
            with pytest.raises(OperationFailed) as caught:
                select_accounts(ACCOUNTS, make_config(**section))
            assert caught.value.reason is Reason.UNKNOWN_ACCOUNT
            assert "4 accounts" in caught.value.message
            assert caught.value.message.endswith(f": {account_id(8)}, {account_id(9)}")


def test_no_account_chosen() -> None:
    # How many there are, are excluded and are not active.
    cases: list[tuple[tuple[Account, ...], dict[str, Any], list[str]]] = [
        ((), {}, ["0", "0", "0"]),
        (ACCOUNTS, {"include_ous": ["ou-ab12-33333333"]}, ["4", "4", "0"]),
        (
            (make_account(1, state="CLOSED"), make_account(2)),
            {"exclude_accounts": [account_id(2)]},
            ["2", "1", "1"],
        ),
    ]
    for accounts, organization, counts in cases:
        with case(accounts, organization):
            with pytest.raises(OperationFailed) as caught:
                select_accounts(accounts, make_config(organization=organization))
            assert caught.value.reason is Reason.NO_ACCOUNT_CHOSEN
            assert re.findall(r"\d+", caught.value.message) == counts


def test_region_statuses() -> None:
    cases: list[tuple[str, object]] = [
        ("ENABLED", None),
        ("ENABLED_BY_DEFAULT", None),
        ("DISABLED", "no target"),
        ("ENABLING", Skipped(Reason.REGION_ENABLING)),
        ("DISABLING", Skipped(Reason.REGION_DISABLING)),
        (
            "HALF",
            Failed(
                Stage.OPEN_ACCOUNT,
                Reason.REGION_STATUS_UNKNOWN,
                "the region's status 'HALF' is unknown to this version",
            ),
        ),
    ]
    for status, outcome in cases:
        with case(status, outcome):
            opened = OpenedAccount(make_account(1), (("eu-west-1", status),))
            targets, left_out = plan_targets([opened], make_config())
            assert bool(targets) is (outcome is None)
            assert [found for _, found in left_out] == (
                [] if outcome in (None, "no target") else [outcome]
            )


def test_excluded_regions_are_skipped_unless_they_are_disabled() -> None:
    for status in ["ENABLED", "ENABLING", "HALF", "DISABLED"]:
        with case(status):
            opened = OpenedAccount(make_account(1), (("eu-west-1", status),))
            config = make_config(regions={"exclude": ["eu-west-1"]})
            targets, left_out = plan_targets([opened], config)
            assert targets == ()
            expected = [] if status == "DISABLED" else [Skipped(Reason.REGION_EXCLUDED)]
            assert [outcome for _, outcome in left_out] == expected


def test_each_account_begins_at_another_region() -> None:
    regions = (("c-c-1", "ENABLED"), ("a-a-1", "ENABLED"), ("b-b-1", "ENABLED"))
    opened = [OpenedAccount(make_account(number), regions) for number in (1, 2, 3, 4)]
    targets, _ = plan_targets(opened, make_config())
    order = "".join(target.region[0] for target in targets)
    assert order == "abc" + "bca" + "cab" + "abc"
    assert [int(target.account.id) for target in targets] == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3


def test_an_account_without_an_enabled_region_has_no_targets() -> None:
    assert plan_targets([OpenedAccount(make_account(1), ())], make_config()) == ((), ())


DENIED = Failed(Stage.EXAMINE, Reason.DENIED_BY_SCP, "no")


def test_known_gaps() -> None:
    cases: list[tuple[dict[str, str], str | None, bool]] = [
        ({}, "ap-east-1", True),
        ({"region": "ap-*"}, "ap-east-1", True),
        ({"region": "eu-*"}, "ap-east-1", False),
        ({"account": account_id(1)}, "ap-east-1", True),
        ({"account": account_id(2)}, "ap-east-1", False),
        ({"reason": Reason.DENIED}, "ap-east-1", False),
        ({}, None, True),
        ({"region": "ap-*"}, None, False),
        ({"region": "**"}, None, False),
        ({"account": "*1"}, None, True),
    ]
    for rule, region, accepted in cases:
        with case(rule, region, accepted):
            accept = (AcceptedGap.model_validate({"reason": Reason.DENIED_BY_SCP, **rule}),)
            expected = Skipped(Reason.DENIED_BY_SCP) if accepted else DENIED
            assert accept_known_gaps(DENIED, account_id(1), region, accept) == expected


def test_an_endpoint_out_of_reach_is_accepted_where_the_region_is_named() -> None:
    accept = (AcceptedGap(reason=Reason.ENDPOINT_UNREACHABLE, region=("ap-south-1",)),)
    for reason in Reason:
        with case(reason):
            outcome = Failed(Stage.EXAMINE, reason, "no answer")
            silent = reason in {"endpoint_unreachable", "timed_out", "connection_failed"}
            for region, accepted in (("ap-south-1", silent), ("ap-south-2", False), (None, False)):
                expected = Skipped(reason) if accepted else outcome
                assert accept_known_gaps(outcome, account_id(1), region, accept) == expected


def test_only_failures_are_accepted() -> None:
    for outcome in [Examined(Counts(1, 0, 0)), Skipped(Reason.REGION_EXCLUDED)]:
        with case(outcome):
            accept = (AcceptedGap(reason=Reason.DENIED),)
            assert accept_known_gaps(outcome, account_id(1), "eu-west-1", accept) is outcome


# --- changes --------------------------------------------------------------------------------------


def test_exclusions_that_name_nobody() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, ""),
        ({"organization": {"exclude_accounts": [account_id(1)]}}, ""),
        ({"organization": {"exclude_accounts": [account_id(9)]}}, account_id(9)),
        ({"remediation": {"exclude_accounts": [account_id(1), account_id(8)]}}, account_id(8)),
        (
            {
                "organization": {"exclude_accounts": [account_id(9)]},
                "remediation": {"exclude_accounts": [account_id(8), account_id(9)]},
            },
            f"{account_id(8)}, {account_id(9)}",
        ),
        # Where Organizations is not asked, nobody knows who else there is.
        (
            {
                "organization": {"enumerate": False, "include_accounts": [account_id(1)]},
                "remediation": {"exclude_accounts": [account_id(9)]},
            },
            "",
        ),
    ]
    for sections, expected in cases:
        with case(sections, expected):
            assert unknown_exclusions((make_account(1),), make_config(**sections)) == expected


def test_the_write_scope_may_be_wider_than_accounts_that_are_named() -> None:
    config = make_config(
        organization={"enumerate": False, "include_accounts": [account_id(1)]},
        remediation={"include_accounts": [account_id(1), account_id(2)]},
    )
    chosen, _ = select_accounts((make_account(1),), config)
    assert chosen == (make_account(1),)


def test_an_account_without_a_place_passes_no_filter_by_place() -> None:
    for key in ["include_ous", "exclude_ous"]:
        with case(key):
            placed, lost = make_account(1, ou_path=(ROOT, PROD)), make_account(2)
            closed = make_account(3, state="CLOSED")
            config = make_config(organization={key: [PROD if key == "include_ous" else DEV]})
            chosen, left_out = select_accounts((placed, lost, closed), config)
            assert chosen == (placed,)
            outcome = dict(left_out)[lost]
            assert isinstance(outcome, Failed)
            assert outcome.reason is Reason.ACCOUNT_OU_UNKNOWN
            assert isinstance(dict(left_out)[closed], Skipped)


def test_an_account_without_a_place_says_why() -> None:
    config = make_config(organization={"include_ous": [PROD]})
    accounts = (make_account(1), make_account(2, ou_path=(ROOT, PROD)))
    _, ((account, outcome),) = select_accounts(accounts, config)
    assert account == accounts[0]
    assert outcome == Failed(
        Stage.ENUMERATE,
        Reason.ACCOUNT_OU_UNKNOWN,
        "the account is in no OU of the tree as it was read: it moved, or just came",
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


OPENED, NO_ACCESS, EXCLUDED, SUSPENDED = (
    make_account(1),
    make_account(2),
    make_account(3),
    make_account(4, state="SUSPENDED"),
)
OUTCOMES: list[AccountOutcome] = [
    (OPENED, OpenedAccount(OPENED, ())),
    (NO_ACCESS, Failed(Stage.OPEN_ACCOUNT, Reason.ASSUME_ROLE_DENIED, "no")),
    (EXCLUDED, Skipped(Reason.ACCOUNT_EXCLUDED)),
    (SUSPENDED, Skipped(Reason.ACCOUNT_SUSPENDED)),
]


def test_what_was_chosen_of_what_there_is() -> None:
    targets: list[TargetOutcome] = [
        (Target(OPENED, "a-a-1"), Examined(Counts(1, 0, 0))),
        (Target(OPENED, "a-a-2"), Failed(Stage.EXAMINE, Reason.THROTTLED, "no")),
        (Target(OPENED, "a-a-3"), Skipped(Reason.REGION_EXCLUDED)),
        (Target(OPENED, "a-a-4"), Skipped(Reason.DENIED_BY_SCP)),
        (Target(NO_ACCESS, "a-a-3"), Skipped(Reason.REGION_EXCLUDED)),
    ]
    expected = Scope(2, 3, ("a-a-1", "a-a-2", "a-a-4"), 4, ("regions.include",))
    assert scope_of(OUTCOMES, targets, ("regions.include",)) == expected


def test_where_may_be_written() -> None:
    checks = ("ecr-tag-immutability",)
    for remediation, expected in (
        ({}, WriteScope(2, checks, ())),
        ({"auto_remediate": "DISABLED"}, WriteScope(0, checks, ())),
        (
            {"exclude_accounts": [account_id(1)]},
            WriteScope(1, checks, ("remediation.exclude_accounts",)),
        ),
        (
            {"include_accounts": [account_id(3)]},
            WriteScope(0, checks, ("remediation.include_accounts",)),
        ),
        ({"checks": []}, WriteScope(2, (), ())),
    ):
        config = make_config(remediation=remediation)
        assert write_scope_of(OUTCOMES, (), config.remediation) == expected, remediation
