"""The tags of accounts with findings, and what becomes of those that cannot be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sweeper.domain.model import Compliance, Failed, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report
from sweeper.engine.account_details import with_account_tags, with_ou_names
from tests.cases import case
from tests.factories import account, exemption, failed, finding, report

FIRST, SECOND, THIRD = "111111111111", "222222222222", "333333333333"
DENIED = Failed(Stage.ENUMERATE, Reason.DENIED, "not authorized", "AccessDeniedException")


def of_three() -> Report:
    """Two accounts with findings, the last has exempt ones only."""
    return report(
        [
            finding("a", account_id=FIRST),
            finding("b", account_id=FIRST),
            finding("c", account_id=SECOND, compliance=Compliance.UNDETERMINED),
            finding("d", account_id=THIRD, compliance=Compliance.EXEMPT, exemption=exemption()),
        ]
    )


class Reads:
    """Answers with the facts; remembers what it was asked."""

    def __init__(self, **facts: Mapping[str, str] | Failed) -> None:
        self.facts = {name.removeprefix("of_"): fact for name, fact in facts.items()}
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, account_ids: Sequence[str]) -> Any:
        self.asked.append(tuple(account_ids))
        return self.facts


def tags(item: Report) -> dict[str, dict[str, str]]:
    return {account.id: dict(account.tags) for account in item.accounts if account.tags}


def test_the_tags_that_are_named_of_the_accounts_that_have_findings() -> None:
    reads = Reads(
        of_111111111111={"owner": "payments", "team": "blue", "cost": ""},
        of_222222222222={"team": "red"},
    )
    got = with_account_tags(of_three(), ("owner", "cost"), reads)
    assert tags(got) == {FIRST: {"owner": "payments"}}
    assert reads.asked == [(FIRST, SECOND)]
    assert replace(got, accounts=of_three().accounts) == of_three()


def test_they_stand_in_the_order_of_the_configuration() -> None:
    reads = Reads(of_111111111111={"a": "1", "b": "2"}, of_222222222222={})
    assert list(tags(with_account_tags(of_three(), ("b", "a"), reads))[FIRST]) == ["b", "a"]


def test_nothing_is_read_without_need() -> None:
    cases: list[tuple[tuple[str, ...], Report]] = [
        ((), of_three()),
        (("owner",), report()),
        (("owner",), report([finding(compliance=Compliance.EXEMPT, exemption=exemption())])),
    ]
    for keys, item in cases:
        with case(keys, item):
            reads = Reads()
            assert with_account_tags(item, keys, reads) is item
            assert reads.asked == []


def test_tags_that_cannot_be_read_are_told_and_cost_nothing_else() -> None:
    reads = Reads(of_111111111111=DENIED, of_222222222222={"owner": "search"})
    got = with_account_tags(of_three(), ("owner",), reads)
    assert tags(got) == {SECOND: {"owner": "search"}}
    assert got.account_tags_unavailable == (
        "of 1 of 2 accounts: denied, AccessDeniedException: not authorized"
    )
    assert (got.coverage, got.failures) == (of_three().coverage, of_three().failures)


def test_a_failure_without_a_code() -> None:
    late = Failed(Stage.ENUMERATE, Reason.DEADLINE, "out of time")
    got = with_account_tags(
        of_three(), ("owner",), Reads(of_111111111111=late, of_222222222222=late)
    )
    assert got.account_tags_unavailable == "of 2 of 2 accounts: deadline, out of time"


def test_ous_are_named_and_one_that_cannot_be_read_keeps_its_id() -> None:
    item = of_three()
    paths = {FIRST: "r-1/ou-1-a/ou-1-b", SECOND: "r-1", THIRD: "r-1/ou-1-a/ou-1-c"}
    item = replace(
        item,
        accounts=tuple(replace(each, ou_path=paths.get(each.id)) for each in item.accounts),
    )
    asked: list[tuple[str, ...]] = []

    def read(ids: Sequence[str]) -> Mapping[str, str | Failed]:
        asked.append(tuple(ids))
        return {"ou-1-a": "Workloads", "ou-1-b": "Production", "ou-1-c": DENIED}

    named, failed = with_ou_names(item, read)
    assert asked == [("ou-1-a", "ou-1-b", "ou-1-c")]
    assert failed == DENIED
    names = {each.id: each.ou_names for each in named.accounts}
    assert (names[FIRST], names[SECOND], names[THIRD]) == (
        "Workloads/Production",
        None,
        "Workloads/ou-1-c",
    )


def test_without_ous_none_is_read() -> None:
    item = of_three()
    item = replace(item, accounts=tuple(replace(each, ou_path=None) for each in item.accounts))
    assert with_ou_names(item, lambda _: 1 / 0) == (item, None)  # type: ignore[arg-type,return-value]


def test_accounts_that_could_not_be_checked_have_their_tags() -> None:
    item = report([], [(account(SECOND), failed(Reason.ASSUME_ROLE_DENIED))])
    got = with_account_tags(item, ("owner",), Reads(of_222222222222={"owner": "data"}))
    assert tags(got) == {SECOND: {"owner": "data"}}
