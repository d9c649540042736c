"""`sweeper accounts`: who would be swept, and what excludes the others."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

from tests.cases import case
from tests.end_to_end.harness import Here, calls, small_world
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Role, World

SMALL = small_world(accounts=6, regions=1)
A, B, C, D, E, F = (account.id for account in SMALL.accounts)


def world(**changes: Any) -> World:
    """Six accounts: B lies in Security, C in Workloads, D and what follows deeper there."""
    accounts = [
        *SMALL.accounts[:4],
        replace(SMALL.accounts[4], state="SUSPENDED"),
        *SMALL.accounts[5:],
    ]
    return replace(SMALL, accounts=tuple(accounts), **changes)


def listed(here: Here, aws: FakeAws, *options: str, **given: Any) -> tuple[int, dict[str, Any]]:
    ended = here.command(aws, "accounts", "--format", "json", *options, **given)
    rows = json.loads(ended.stdout)["accounts"]
    assert [row["account_id"] for row in rows] == sorted(row["account_id"] for row in rows)
    return ended.status, {row["account_id"]: row for row in rows}


def test_each_account_has_its_place_and_the_filter_that_excludes_it(
    aws: FakeAws, here: Here
) -> None:
    aws.load(world())
    config = {"organization": {"exclude_accounts": [A], "exclude_ous": ["ou-fake-00000001"]}}
    status, rows = listed(here, aws, "--exclude-account", D, config=config)
    assert status == 0
    assert {
        each: (row["chosen"], row["excluded_by"], row["reason"]) for each, row in rows.items()
    } == {
        A: (False, "organization.exclude_accounts or --exclude-account", None),
        B: (False, "organization.exclude_ous", None),
        C: (True, None, None),
        D: (False, "organization.exclude_accounts or --exclude-account", None),
        E: (False, None, "account_suspended"),
        F: (True, None, None),
    }
    assert (rows[C]["name"], rows[C]["ou"], rows[C]["state"]) == (
        "platform-2",
        "Workloads",
        "ACTIVE",
    )
    assert rows[D]["ou"] == "Workloads/Production"
    assert rows[E]["state"] == "SUSPENDED"
    assert not any(each.startswith(("sts:AssumeRole", "ecr:")) for each in calls(aws))
    swept = here.run(aws, "--dry-run", "--exclude-account", D).report
    assert {each["id"] for each in swept["accounts"]} >= {C, F}


def test_an_option_is_named_as_it_was_given(aws: FakeAws, here: Here) -> None:
    for give_paths in (True, False):
        aws.load(world(give_paths=give_paths))
        for options, by, chosen in (
            (("--account", f"{B},{C}"), "--account", {B, C}),
            (("--ou", "ou-fake-00000001"), "--ou", {B}),
        ):
            with case(give_paths, options):
                _, rows = listed(here, aws, *options)
                assert {each for each, row in rows.items() if row["chosen"]} == chosen
                assert rows[A]["excluded_by"] == by
                assert rows[C]["ou"] == "Workloads"


def test_the_role_is_assumed_where_that_is_asked(aws: FakeAws, here: Here) -> None:
    made = world()
    accounts = tuple(
        replace(each, role=Role(exists=False)) if each.id == C else each for each in made.accounts
    )
    aws.load(replace(made, accounts=accounts))
    status, rows = listed(here, aws, "--check")
    assert status == 4
    assert {each: row["role"] for each, row in rows.items()} == {
        **dict.fromkeys((A, B, D, F), "works"),
        C: "assume_role_denied",
        E: None,
    }
    assert "AssumeRole" in rows[C]["message"]
    status, rows = listed(here, aws, "--check", "--exclude-account", C)
    assert status == 0
    gap = {"coverage": {"accept": [{"reason": "assume_role_denied", "account": C}]}}
    status, rows = listed(here, aws, "--check", config=gap)
    assert (status, rows[C]["accepted"]) == (0, True)
    ended = here.command(aws, "accounts", "--check", config={})
    assert ended.status == 4
    assert "assume_role_denied" in ended.stdout
    assert "6 accounts, 5 chosen, 4 can be entered" in ended.stdout


def test_it_is_text_or_a_table_for_a_spreadsheet(aws: FakeAws, here: Here) -> None:
    hostile = tuple(
        replace(each, name="=cmd()\x1b[2J") if each.id == B else each for each in SMALL.accounts
    )
    aws.load(replace(SMALL, accounts=hostile))
    shown = here.command(aws, "accounts", "--account", B).stdout
    head, first, *_ = shown.splitlines()
    assert head.split() == ["ACCOUNT", "NAME", "OU", "STATE", "SWEPT"]
    assert first.split()[0] == A
    assert first.endswith("no: --account")
    assert "\x1b" not in shown
    assert "6 accounts, 1 chosen" in shown
    table = here.command(aws, "accounts", "--account", B, "--format", "csv").stdout
    rows = {row["account_id"].lstrip("'"): row for row in csv.DictReader(io.StringIO(table))}
    assert rows[B]["name"].startswith("'=cmd()")
    assert (rows[B]["chosen"], rows[C]["excluded_by"]) == ("true", "--account")


def test_what_cannot_be_listed_is_exit_status_2(aws: FakeAws, here: Here) -> None:
    aws.load(world(caller=replace(SMALL.caller, actions=("sts:*",))))
    ended = here.command(aws, "accounts", config={})
    assert (ended.status, ended.stdout) == (2, "")
    assert "not_allowed_to_list" in ended.stderr
    aws.load(world())
    for options, said in (
        (("--account", "999999999999"), "999999999999"),
        (("--account", E), "no account"),
    ):
        with case(options):
            ended = here.command(aws, "accounts", *options)
            assert ended.status == 2
            assert said in ended.stderr
            assert "6 accounts, 0 chosen" in ended.stdout


def test_ous_that_cannot_be_read_are_left_out(aws: FakeAws, here: Here) -> None:
    caller = replace(SMALL.caller, actions=("sts:*", "organizations:ListAccounts"))
    aws.load(world(give_paths=False, caller=caller))
    status, rows = listed(here, aws)
    assert (status, rows[C]["ou"], rows[C]["chosen"]) == (0, None, True)
    aws.load(world(caller=caller))
    status, rows = listed(here, aws)
    assert (status, rows[C]["ou"]) == (0, "ou-fake-00000002")


def test_the_account_of_the_caller_alone_is_listed(aws: FakeAws, here: Here) -> None:
    aws.load(world())
    status, rows = listed(here, aws, "--check", config={"organization": {"role_name": None}})
    assert (status, [row["role"] for row in rows.values()]) == (0, ["works"])
