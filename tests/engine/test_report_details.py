"""The tags of accounts with findings, and what becomes of those that cannot be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sweeper.domain.config_inventory import Inventory, Recorded, Source
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Compliance, Failed, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ended_early
from sweeper.domain.report_model import Report
from sweeper.engine import report_details
from sweeper.engine.report_details import with_account_tags, with_ou_names
from tests.cases import case
from tests.factories import (
    ACCOUNT_ID,
    REGION,
    account,
    earlier,
    exemption,
    failed,
    finding,
    report,
    run,
    since_last,
)
from tests.fakes import make_config

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


def test_the_tags_of_accounts_whose_findings_were_resolved() -> None:
    resolved = (earlier("gone", account_id=THIRD), earlier("gone", account_id="444444444444"))
    item = replace(of_three(), since_last=since_last(resolved=resolved))
    reads = Reads(of_333333333333={"owner": "data"})
    assert tags(with_account_tags(item, ("owner",), reads)) == {THIRD: {"owner": "data"}}
    assert reads.asked == [(FIRST, SECOND, THIRD)]


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


CONFIG = make_config(inventory={"config_aggregator": {"name": "all", "region": REGION}})
with_config_inventory = partial(report_details.with_config_inventory, lists_repositories=True)
NOT_ALLOWED = OperationFailed(Reason.DENIED, "no", "AccessDeniedException")


@dataclass
class FakeAggregator:
    """Fails where it is given an error."""

    inventory_error: Exception | None = None
    sources_error: Exception | None = None
    asked: list[datetime] = field(default_factory=list)

    def inventory(self, since: datetime) -> Inventory:
        """One place that the sweep did not plan."""
        self.asked.append(since)
        if self.inventory_error:
            raise self.inventory_error
        return {ACCOUNT_ID: {REGION: Recorded(1), "ap-east-1": Recorded(1)}}

    def sources(self) -> Sequence[Source]:
        """One that failed."""
        if self.sources_error:
            raise self.sources_error
        return [Source(ACCOUNT_ID, REGION, "failed", None, None)]


def test_only_a_sweep_that_listed_accounts_is_compared() -> None:
    nothing = ended_early(run(), failed(Reason.NOT_ALLOWED_TO_LIST))
    for item in (report(kind="undo"), report(kind="apply"), nothing):
        with case(item.run.kind):
            asked = FakeAggregator()
            assert with_config_inventory(item, CONFIG, asked) is item
            assert asked.asked == []
    assert with_config_inventory(report(), make_config(), None) == report()


def test_what_is_recorded_stands_beside_the_sweep() -> None:
    asked = FakeAggregator()
    got = with_config_inventory(report(), CONFIG, asked)
    assert asked.asked == [datetime(2026, 11, 24, 1, tzinfo=UTC)]
    assert got.config_inventory is not None
    assert [each.region for each in got.config_inventory.not_planned] == ["ap-east-1"]
    assert [each.status for each in got.config_inventory.not_recorded] == ["failed"]
    assert got.coverage.complete is False


def test_an_aggregator_that_does_not_answer_changes_nothing_else() -> None:
    got = with_config_inventory(report(), CONFIG, FakeAggregator(inventory_error=NOT_ALLOWED))
    assert got.config_inventory is not None
    assert got.config_inventory.unavailable == "denied, AccessDeniedException: no"
    assert got.coverage == report().coverage
    defect = with_config_inventory(report(), CONFIG, FakeAggregator(inventory_error=KeyError("x")))
    assert defect.config_inventory is not None
    assert (defect.config_inventory.unavailable or "").startswith("internal_error, KeyError")


def test_without_its_sources_the_rest_is_known() -> None:
    got = with_config_inventory(report(), CONFIG, FakeAggregator(sources_error=NOT_ALLOWED))
    assert got.config_inventory is not None
    assert got.config_inventory.unavailable is None
    assert got.config_inventory.sources_unavailable == "denied, AccessDeniedException: no"
    assert [each.region for each in got.config_inventory.not_planned] == ["ap-east-1"]
