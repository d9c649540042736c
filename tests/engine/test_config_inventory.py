"""When an aggregator is asked, and what an answer that does not come means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sweeper.domain.config_inventory import Inventory, Recorded, Source
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ended_early
from sweeper.engine.config_inventory import with_config_inventory
from tests.cases import case
from tests.factories import ACCOUNT_ID, REGION, failed, report, run
from tests.fakes import make_config

CONFIG = make_config(inventory={"config_aggregator": {"name": "all", "region": REGION}})
DENIED = OperationFailed(Reason.DENIED, "no", "AccessDeniedException")


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
    got = with_config_inventory(report(), CONFIG, FakeAggregator(inventory_error=DENIED))
    assert got.config_inventory is not None
    assert got.config_inventory.unavailable == "denied, AccessDeniedException: no"
    assert got.coverage == report().coverage
    defect = with_config_inventory(report(), CONFIG, FakeAggregator(inventory_error=KeyError("x")))
    assert defect.config_inventory is not None
    assert (defect.config_inventory.unavailable or "").startswith("internal_error, KeyError")


def test_without_its_sources_the_rest_is_known() -> None:
    got = with_config_inventory(report(), CONFIG, FakeAggregator(sources_error=DENIED))
    assert got.config_inventory is not None
    assert got.config_inventory.unavailable is None
    assert got.config_inventory.sources_unavailable == "denied, AccessDeniedException: no"
    assert [each.region for each in got.config_inventory.not_planned] == ["ap-east-1"]
