"""What earlier sweeps left: used where it is right, and said in words where it cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.domain.comparison import NO_HISTORY
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import ChangeStatus, Compliance, Since
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Configuration, ConfigurationSource, Report
from sweeper.storage import history as records
from sweeper.storage import report_store
from sweeper.storage.history import (
    _HISTORY,
    _InvalidRecord,
    _read_history,
    _read_previous,
    attach_comparison,
    store_history,
)
from tests.cases import case
from tests.factories import (
    HOSTILE,
    change,
    exemption,
    finding,
    hostile_report,
    impact,
    report,
    run,
)
from tests.fakes import FakeRecords
from tests.rendering import as_json

CHECKS = {finding().check}
NOW: dict[str, Any] = {
    "id": "now",
    "started_at": "2026-11-25T01:00:00Z",
    "finished_at": "2026-11-25T01:04:00Z",
}
LATEST = "latest.json"


def told(keeper: FakeRecords | None, now: Report | None = None, **options: Any) -> Report:
    given_report = now or report([finding()], **NOW)
    return attach_comparison(given_report, keeper, CHECKS, **({"narrowed": False} | options))


def unavailable(content: bytes | Exception) -> str:
    changed = told(FakeRecords({LATEST: content})).since_last
    assert changed is not None
    assert (changed.run_id, changed.new, changed.still_open) == (None, 0, 0)
    assert changed.unavailable is not None
    return changed.unavailable


def edited(edit: Callable[[Any], object], item: Report | None = None) -> bytes:
    """A report's JSON after an edit of it."""
    data = json.loads(as_json(item or report([finding(change=change())])))
    edit(data)
    return json.dumps(data).encode()


def test_without_a_place_there_is_nothing_to_compare_with() -> None:
    item = report([finding()])
    assert told(None, item) is item


def test_the_first_sweep() -> None:
    keeper = FakeRecords()
    item = told(keeper)
    assert item.since_last is not None
    assert item.since_last.unavailable == "there is no earlier latest.json here"
    assert [point.run_id for point in item.trend] == ["now"]
    assert keeper.asked == [LATEST, _HISTORY]


def test_where_one_cannot_be_read_the_other_is_not_waited_for() -> None:
    keeper = FakeRecords({LATEST: DENIED, _HISTORY: a_history()})
    assert [point.run_id for point in told(keeper).trend] == ["now"]
    assert keeper.asked == [LATEST]


def test_what_was_written_is_read_again() -> None:
    """Every kind of finding, and what the last report itself could not see."""
    first = report(
        [
            finding("applied", change=change()),
            finding("failed", change=change(ChangeStatus.FAILED, reason=Reason.THROTTLED)),
            finding("exempt", compliance=Compliance.EXEMPT, exemption=exemption()),
            finding("reopened", reopened=2, since_last=Since.REOPENED),
            finding("elsewhere", account_id="444455556666"),
        ]
    )
    keeper = FakeRecords({LATEST: as_json(first)})
    second = told(keeper, report([finding("reopened")], **NOW))
    keeper.kept[LATEST] = as_json(second)
    previous = _read_previous(keeper, LATEST, run(id="later", started_at="2026-11-26T01:00:00Z"))
    assert previous.run.id == "now"
    assert [(item.repository, item.reopened) for item in previous.findings] == [("reopened", 2)]
    assert second.since_last is not None
    assert previous.since_last == second.since_last
    assert [item.repository for item in second.since_last.not_visible] == ["elsewhere"]


def test_a_report_of_a_version_that_did_not_compare_yet() -> None:
    def strip(data: Any) -> None:
        for key in ("since_last", "trend"):
            del data[key]
        for key in ("since_last", "reopened"):
            del data["findings"][0][key]

    item = told(FakeRecords({LATEST: edited(strip)}))
    assert item.findings[0].since_last is Since.REOPENED


# Each enumeration that is read: what a newer version might write there.
NEW_WORDS = (
    "run.auto_remediate",
    "run.kind",
    "run.configuration.sources.0.kind",
    "findings.0.compliance",
    "findings.0.resource",
    "findings.0.since_last",
    "findings.0.exemption.source",
    "findings.0.impact.unavailable",
    "findings.0.impact.moved.0.kind",
    "findings.0.change.status",
    "findings.0.change.reason",
)


def test_words_and_keys_that_are_not_known_are_no_error() -> None:
    source = ConfigurationSource("file", "config.yaml")
    made = change(reason=Reason.MANUAL_REVIEW_REQUIRED)
    then = report(
        [finding(change=made, exemption=exemption(expired=True), impact=impact("latest"))],
        configuration=Configuration("0", (source,)),
    )
    for path in NEW_WORDS:
        with case(path):
            content = edited(put(path, "new_word"), then)
            known = Since.STILL_OPEN if path.endswith("status") else Since.REOPENED
            assert told(FakeRecords({LATEST: content})).findings[0].since_last is known
            assert "damaged" in unavailable(edited(put(path, 7), then))

    def add(data: Any) -> None:
        data["surprise"] = data["findings"][0]["surprise"] = {"deep": [1, None]}
        data["failures"] = data["accounts"] = [7]  # which a comparison does not need

    assert told(FakeRecords({LATEST: edited(add)})).findings[0].since_last is Since.REOPENED


def put(path: str, value: object) -> Callable[[Any], object]:
    """Set what a dotted path names."""

    def edit(data: Any) -> None:
        *steps, last = (int(part) if part.isdecimal() else part for part in path.split("."))
        for step in steps:
            data = data[step]
        data[last] = value

    return edit


DENIED = OperationFailed(Reason.DENIED_BY_IDENTITY_POLICY, "not authorized", "AccessDenied")


def test_why_there_is_no_comparison() -> None:
    cases: list[tuple[bytes | Exception, str]] = [
        (b"", "latest.json is damaged: Invalid JSON: EOF while parsing"),
        (b"not JSON", "latest.json is damaged: Input should be an object"),
        (as_json(report())[:-20], "latest.json is damaged: Invalid JSON: EOF while parsing"),
        (b"\xff\xfe", "latest.json is damaged: Input should be an object"),
        (b"[" * 100_000, "latest.json is damaged: Input should be an object"),
        (b'{"x":' * 100_000, "latest.json is damaged: Invalid JSON: more than 100 levels deep"),
        (b"[]", "latest.json is damaged: Input should be an object"),
        (b"null", "latest.json is damaged: Input should be an object"),
        (b"{}", "latest.json is damaged: schema_version: Field required"),
        (edited(put("schema_version", 1)), "schema_version: Input should be a valid string"),
        (edited(put("schema_version", "3")), "has schema_version '3'; this version knows '2'"),
        (edited(put("schema_version", "3\n" * 99)), "has schema_version '3"),
        (edited(put("run", None)), "latest.json is damaged: run: "),
        (edited(put("findings", {})), "latest.json is damaged: findings: "),
        (edited(put("findings.0", 7)), "latest.json is damaged: findings.0: "),
        (edited(put("findings.0.region", None)), "findings.0.region: Input should be a valid str"),
        (edited(put("findings.0.repository", "x" * 100_001)), "findings.0.repository: longer than"),
        (edited(put("findings.0.reopened", -1)), "findings.0.reopened: not a count"),
        (edited(put("findings.0.reopened", True)), "findings.0.reopened: Input should be a valid"),
        (edited(put("findings.0.reopened", 10**40)), "findings.0.reopened: not a count"),
        (edited(put("run.finished_at", "soon")), "run.finished_at: not a time"),
        (edited(put("run.started_at", "2026-11-24")), "run.started_at: not a time"),
        (edited(put("since_last", {"not_visible": [{}]})), "since_last.not_visible.0.check: "),
        (
            edited(put("run.organization_id", "o-another")),
            "latest.json is of another organization: o-another",
        ),
        (
            edited(put("run.started_at", "2026-11-25T01:00:01Z")),
            "latest.json is of sweep 20261124T010000Z-0a1b2c, which started later than this one",
        ),
        (
            OperationFailed(Reason.TIMED_OUT, "no answer", "ReadTimeoutError"),
            "latest.json could not be read: ReadTimeoutError: no answer",
        ),
        (
            OperationFailed(Reason.REQUEST_REFUSED, "out/latest.json: not a regular file"),
            "latest.json could not be read: out/latest.json: not a regular file",
        ),
        (
            DENIED,
            "latest.json could not be read: AccessDenied: not authorized; needed: s3:GetObject",
        ),
        (KeyError("defect"), "KeyError: 'defect' at "),
    ]
    for content, said in cases:
        with case(content, said):
            assert said in unavailable(content)


def test_a_record_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    content = as_json(report())
    monkeypatch.setattr(report_store, "MAX_REPORT", len(content))
    changed = told(FakeRecords({LATEST: content})).since_last
    assert changed is not None
    assert changed.unavailable is None
    assert unavailable(content + b" ") == (
        f"latest.json is too large: more than {len(content):,} bytes"
    )


def test_when_the_sweep_of_a_report_started() -> None:
    cases: list[tuple[Any, str | None]] = [
        (as_json(report()), "2026-11-24T01:00:00Z"),
        (edited(put("findings", 7)), "2026-11-24T01:00:00Z"),
        (edited(put("run.started_at", "later")), None),
        (b"{", None),
        (None, None),
        (DENIED, None),
    ]
    for content, said in cases:
        with case(content, said):
            kept = {} if content is None else {LATEST: content}
            assert records.started_at(FakeRecords(kept), LATEST) == said


def test_many_errors_are_one() -> None:
    content = edited(put("findings", [7] * 10_000))
    assert unavailable(content).startswith("latest.json is damaged: findings.0: ")


def test_hostile_names_are_carried_as_they_were() -> None:
    for text in HOSTILE:
        with case(text):
            first = report([finding(text, account_id="444455556666", account_name=text)])
            changed = told(FakeRecords({LATEST: as_json(first)})).since_last
            assert changed is not None
            (item,) = changed.not_visible
            assert item.repository == text.replace("\ud800", "\ufffd")


def test_an_escape_that_is_none_stays() -> None:
    first = report([finding("a\\ud800b\\", account_id="444455556666")])
    changed = told(FakeRecords({LATEST: as_json(first)})).since_last
    assert changed is not None
    assert changed.not_visible[0].repository == "a\\ud800b\\"


def test_a_narrowed_sweep_is_compared_and_is_no_point() -> None:
    first = told(FakeRecords())
    keeper = FakeRecords({LATEST: as_json(report())})
    store_history(keeper, first)
    item = told(keeper, report([finding()], **(NOW | {"id": "narrow"})), narrowed=True)
    assert item.findings[0].since_last is Since.NEW
    assert [point.run_id for point in item.trend] == ["now"]


# --- the history ----------------------------------------------------------------------------------


def a_history(**changes: Any) -> bytes:
    keeper = FakeRecords()
    item = told(keeper, report([finding(change=change())], **(NOW | {"id": "earlier"})))
    assert store_history(keeper, item) is None
    data = json.loads(keeper.kept[_HISTORY])  # type: ignore[arg-type]
    return json.dumps(data | changes).encode()


def test_the_history_is_written_once_and_read_again() -> None:
    keeper = FakeRecords({_HISTORY: a_history()})
    item = told(keeper)
    assert [point.run_id for point in item.trend] == ["earlier", "now"]
    assert store_history(keeper, item) is None
    kept = _read_history(keeper, item.run)
    assert kept.points == tuple(item.trend)
    assert [closure.repository for closure in kept.closures] == [finding().repository]
    assert keeper.kept[_HISTORY] == as_json(kept)

    def write_again(name: str, pieces: Iterable[bytes]) -> None:
        raise AssertionError("nothing changed")

    keeper.replace = write_again  # type: ignore[method-assign]
    assert store_history(keeper, item) is None


def test_a_history_that_cannot_be_used() -> None:
    cases: list[tuple[bytes | Exception, str, bool]] = [
        (b"{", "begun anew: history.json is damaged: Invalid JSON", True),
        (a_history(points=7), "begun anew: history.json is damaged: points: ", True),
        (a_history(points=[{"run_id": "x"}]), "points.0.finished_at: Field required", True),
        (a_history(organization_id="o-2"), "history.json is of another organization: o-2", True),
        (
            a_history(schema_version="9"),
            "left as it is: history.json has schema_version '9'",
            False,
        ),
        (DENIED, "left as it is: history.json could not be read: AccessDenied", False),
    ]
    for content, said, written in cases:
        with case(content, said, written):
            keeper = FakeRecords({_HISTORY: content, LATEST: as_json(report([finding()]))})
            item = told(keeper)
            assert [point.run_id for point in item.trend] == ["now"]
            assert (
                item.findings[0].since_last is Since.STILL_OPEN
            )  # the last report is enough for that
            note = store_history(keeper, item)
            assert note is not None
            assert said in note
            assert (keeper.kept[_HISTORY] != content) is written
            if written:
                assert [point.run_id for point in _read_history(keeper, item.run).points] == ["now"]


def test_a_point_that_no_sweep_wrote() -> None:
    cases: list[tuple[str, object]] = [
        ("targets", float("nan")),
        ("targets", 1.5),
        ("accounts", -0.1),
        ("repositories", -1),
        ("remaining", 10**10),
        ("finished_at", "9999"),
        ("run_id", "x" * 100_001),
        ("complete", "yes"),
    ]
    for field, value in cases:
        with case(field, value):
            data = json.loads(a_history())
            data["points"][0][field] = value
            with pytest.raises(
                _InvalidRecord, match=r"history\.json is damaged: points\.0"
            ) as caught:
                _read_history(FakeRecords({_HISTORY: json.dumps(data).encode()}), run())
            assert caught.value.damaged


def test_another_sweep_writes_meanwhile() -> None:
    """Both are in it: what is written is what was read last, with this sweep."""
    item = told(FakeRecords())
    keeper = FakeRecords(meanwhile=[a_history()])
    assert store_history(keeper, item) is None
    points = _read_history(keeper, item.run).points
    assert [point.run_id for point in points] == ["earlier", "now"]


def test_others_that_never_stop_writing() -> None:
    keeper = FakeRecords(meanwhile=[a_history()] * 99)
    assert store_history(keeper, told(FakeRecords())) == (
        "history.json was left as it is: other sweeps kept writing it"
    )
    assert len(keeper.meanwhile) == 99 - records.ATTEMPTS


def test_a_history_that_cannot_be_written() -> None:
    class Full(FakeRecords):
        def replace(self, name: str, pieces: Iterable[bytes]) -> None:
            raise OperationFailed(Reason.WRITE_FAILED, "no space", "ENOSPC")

    assert store_history(Full(), told(FakeRecords())) == (
        "history.json could not be written: ENOSPC: no space"
    )


# --- whatever lies there --------------------------------------------------------------------------

RIGHT = as_json(
    replace(
        told(FakeRecords({LATEST: as_json(report([finding(account_id="444455556666")]))})),
        run=run(),
    )
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
LISTS = st.lists(SCALARS, max_size=3)
VALUES = SCALARS | LISTS | st.dictionaries(st.text(max_size=5), SCALARS | LISTS, max_size=3)


def paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = [before] if before else []
    if isinstance(value, dict | list):
        for key, item in inner:
            found += (
                paths(item, (*before, key)) if isinstance(item, dict | list) else [(*before, key)]
            )
    return found


@given(st.sampled_from(paths(json.loads(RIGHT))), VALUES)
def test_one_value_that_is_wrong(path: tuple[Any, ...], value: object) -> None:
    data = json.loads(RIGHT)
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    survives(json.dumps(data).encode())


@given(st.integers(0, len(RIGHT) - 1), st.binary(max_size=4), st.integers(0, 40))
def test_bytes_that_are_wrong(start: int, new: bytes, length: int) -> None:
    survives(RIGHT[:start] + new + RIGHT[start + length :])


def survives(content: bytes) -> None:
    """It is compared, or said why not; and the report that follows can be written and read."""
    keeper = FakeRecords({LATEST: content, _HISTORY: content})
    item = told(keeper)
    changed = item.since_last
    assert changed is not None
    assert bool(changed.unavailable) != bool(changed.run_id is not None)
    store_history(keeper, item)
    after = FakeRecords({LATEST: as_json(item), _HISTORY: as_json(NO_HISTORY)})
    assert _read_previous(after, LATEST, run(**NOW)).run == item.run


def test_a_hostile_report_is_compared() -> None:
    keeper = FakeRecords({LATEST: as_json(hostile_report())})
    item = told(keeper, replace(hostile_report(), run=run(**NOW)))
    assert item.since_last is not None
    assert item.since_last.still_open == len(HOSTILE) - 1  # half a character is replaced
    assert (item.since_last.new, len(item.since_last.resolved)) == (1, 1)
