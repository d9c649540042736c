"""The figures of a scope."""

from __future__ import annotations

from sweeper.domain.model import (
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
from sweeper.domain.scope import scope_of, write_scope_of
from tests.fakes import account_id, make_account, make_config

OPENED, DENIED, EXCLUDED, SUSPENDED = (
    make_account(1),
    make_account(2),
    make_account(3),
    make_account(4, state="SUSPENDED"),
)
ACCOUNTS: list[AccountOutcome] = [
    (OPENED, OpenedAccount(OPENED, ())),
    (DENIED, Failed(Stage.OPEN_ACCOUNT, Reason.ASSUME_ROLE_DENIED, "no")),
    (EXCLUDED, Skipped(Reason.ACCOUNT_EXCLUDED)),
    (SUSPENDED, Skipped(Reason.ACCOUNT_SUSPENDED)),
]


def test_what_was_chosen_of_what_there_is() -> None:
    targets: list[TargetOutcome] = [
        (Target(OPENED, "a-a-1"), Examined(Counts(1, 0, 0))),
        (Target(OPENED, "a-a-2"), Failed(Stage.EXAMINE, Reason.THROTTLED, "no")),
        (Target(OPENED, "a-a-3"), Skipped(Reason.REGION_EXCLUDED)),
        (Target(OPENED, "a-a-4"), Skipped(Reason.DENIED_BY_SCP)),
        (Target(DENIED, "a-a-3"), Skipped(Reason.REGION_EXCLUDED)),
    ]
    expected = Scope(2, 3, ("a-a-1", "a-a-2", "a-a-4"), 4, ("regions.include",))
    assert scope_of(ACCOUNTS, targets, ("regions.include",)) == expected


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
        assert write_scope_of(ACCOUNTS, (), config.remediation) == expected, remediation
