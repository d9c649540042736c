"""When changes were announced, as earlier reports have it; and what is read of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from sweeper.domain.comparison import NO_HISTORY, RemediationRecord
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Finding, Key
from sweeper.domain.planning import Announced
from sweeper.domain.reasons import Reason
from sweeper.storage import history as records
from sweeper.storage.history import _HISTORY, read_announced
from sweeper.storage.report_store import FOR_COMPARISON
from tests.cases import case
from tests.factories import earlier, finding, report, run, since_last
from tests.fakes import FakeRecords
from tests.rendering import as_json

LATEST = "latest.json"
MONDAY, TUESDAY, FRIDAY = (date(2026, 11, day) for day in (23, 24, 27))
DENIED = OperationFailed(Reason.DENIED, "no", "AccessDenied")


def known(name: str, day: date | None = MONDAY) -> Finding:
    return finding(name, announced=day)


def keys(*names: str) -> set[Key]:
    return {finding(name).key for name in names}


def history(**days: date) -> bytes:
    closures = tuple(
        RemediationRecord(*finding(name).key, "2026-11-20T01:00:00Z", 0, day)
        for name, day in days.items()
    )
    return as_json(replace(NO_HISTORY, closures=closures))


def days_in(kept: dict[str, bytes | Exception], wanted: Collection[Key]) -> dict[str, date]:
    found = read_announced(FakeRecords(kept), run(), wanted)
    assert found.unavailable is None
    return {key[-1]: day for key, day in found.days.items()}


def test_what_the_last_report_announced() -> None:
    last = report([known("one"), known("two", TUESDAY), known("three", None)])
    lost = since_last(not_visible=(earlier("lost", announced=TUESDAY), earlier("unsaid")))
    kept: dict[str, bytes | Exception] = {LATEST: as_json(replace(last, since_last=lost))}
    wanted = keys("one", "three", "lost", "unsaid", "new")
    assert days_in(kept, wanted) == {"one": MONDAY, "lost": TUESDAY}


def test_what_was_fixed_is_known_from_the_history() -> None:
    kept: dict[str, bytes | Exception] = {
        LATEST: as_json(report([known("one", FRIDAY)])),
        _HISTORY: history(one=MONDAY, two=TUESDAY),
    }
    assert days_in(kept, keys("one", "two")) == {"one": FRIDAY, "two": TUESDAY}


def test_where_nothing_is_stored_yet_nothing_was_announced() -> None:
    assert read_announced(FakeRecords(), run(), keys("one")) == Announced()


def test_a_report_without_announcements_has_none() -> None:
    old = json.loads(as_json(report([finding("one")])))
    for item in old["findings"]:
        del item["announced"]
    assert days_in({LATEST: json.dumps(old).encode()}, keys("one")) == {}


def test_why_it_is_not_known() -> None:
    good = as_json(report([known("one")]))
    foreign = as_json(report([known("one")], organization_id="o-another"))

    def edited(edit: Callable[[Any], object]) -> bytes:
        item = json.loads(good)
        edit(item)
        return json.dumps(item).encode()

    cases: list[tuple[bytes | Exception, str]] = [
        (b"{", "latest.json is damaged"),
        (DENIED, "latest.json could not be read: AccessDenied: no"),
        (foreign, "latest.json is of another organization: o-another"),
        (edited(lambda item: item.update(schema_version="9")), "latest.json has schema_version"),
        (edited(lambda item: item["findings"][0].update(announced="soon")), "is damaged"),
        (RuntimeError("a defect"), "a defect"),
    ]
    for content, why in cases:
        with case(why):
            found = read_announced(FakeRecords({LATEST: content}), run(), keys("one"))
            assert found.days == {}
            assert found.unavailable is not None
            assert found.unavailable.startswith("the notice begins with this run: ")
            assert why in found.unavailable


def test_one_record_that_cannot_be_read_does_not_cost_the_other() -> None:
    kept: dict[str, bytes | Exception] = {LATEST: as_json(report([known("one")])), _HISTORY: b"x"}
    found = read_announced(FakeRecords(kept), run(), keys("one"))
    assert found.days == {finding("one").key: MONDAY}
    assert found.unavailable is not None
    assert "history.json is damaged" in found.unavailable


def test_without_a_place_that_keeps_reports_nothing_is_known() -> None:
    found = read_announced(None, run(), keys("one"))
    assert found.unavailable == ("the notice begins with this run: earlier reports are not stored")


def test_what_is_kept_of_a_record_is_about_the_findings_at_hand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many others it has: they take no memory."""
    last = as_json(report([known(f"r{number}") for number in range(200)]))
    monkeypatch.setattr(records, "FOR_COMPARISON", replace(FOR_COMPARISON, memory=20_000))
    assert days_in({LATEST: last}, keys("r7")) == {"r7": MONDAY}
    every = keys(*(f"r{number}" for number in range(200)))
    found = read_announced(FakeRecords({LATEST: last}), run(), every)
    assert found.unavailable is not None
    assert "latest.json is too large" in found.unavailable
