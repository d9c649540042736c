"""Events on a bus: what changed, in batches within the limits, and what was refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from jsonschema import Draft202012Validator
from moto import mock_aws
from moto.events.models import EventPattern

from sweeper.domain.comparison import NO_HISTORY, compare_reports, comparison_unavailable
from sweeper.domain.errors import OperationFailed
from sweeper.domain.json_encoding import encode_value
from sweeper.domain.model import ChangeStatus, Compliance, Since
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.published import events_schema
from sweeper.reporting.sinks.event_bus import (
    _MAX_BATCH,
    _MAX_SIZE,
    EventBusSink,
    _findings_changed,
    _run_finished,
)
from tests.cases import case
from tests.factories import (
    change,
    earlier,
    exemption,
    finding,
    hostile_report,
    report,
    since_last,
)

REGION = "eu-west-1"
BUS = f"arn:aws:events:{REGION}:123456789012:event-bus/findings"
PUBLISHED = Path(__file__).parents[3] / "docs/events.schema.json"
SO_FAR = (Delivery("s3", "s3://b/report.json", "delivered"),)


def changed(item: Report) -> list[tuple[str, str, str]]:
    return [(each.repository, each.change, each.state) for each in _findings_changed(item)]


def compared(*findings: Any, **changes: Any) -> Report:
    return replace(report(list(findings)), since_last=since_last(**changes))


def test_what_changed_is_an_event_and_nothing_else() -> None:
    item = compared(
        finding("known", since_last=Since.STILL_OPEN),
        finding("new", since_last=Since.NEW),
        finding("fixed", since_last=Since.NEW, change=change()),
        finding("again", since_last=Since.REOPENED, reopened=2),
        finding("box", compliance=Compliance.EXEMPT, exemption=exemption()),
        resolved=(earlier("gone"), earlier("was-fixed", was_open=False)),
        not_visible=(earlier("unseen"),),
    )
    assert sorted(changed(item)) == [
        ("again", "reopened", "open"),
        ("fixed", "new", "fixed"),
        ("gone", "resolved", "fixed"),
        ("new", "new", "open"),
        ("was-fixed", "resolved", "fixed"),
    ]


def test_where_nothing_can_be_compared_every_open_finding_is_new() -> None:
    first = report([finding("a"), finding("b", change=change())])
    assert changed(first) == [("a", "new", "open")]
    damaged = replace(first, since_last=since_last(unavailable="damaged"))
    assert changed(damaged) == [("a", "new", "open")]
    assert _run_finished(damaged, ()).since_last is None
    assert changed(report([finding("a")], kind="undo")) == []


def test_what_a_dry_run_found_first_is_sent_after_it() -> None:
    checks = {finding().check}
    before = report([finding("known")], id="1")
    dry = report([finding("known"), finding("new")], id="2", dry_run=True)
    dry = compare_reports(dry, before, NO_HISTORY, checks)
    now = report([finding("known"), finding("new")], id="3")
    assert changed(compare_reports(now, dry, NO_HISTORY, checks)) == [("new", "new", "open")]
    # A first dry run is compared with nothing, and neither is the sweep after it.
    dry = comparison_unavailable(dry, "there is no earlier report.json here")
    now = compare_reports(now, dry, NO_HISTORY, checks)
    assert changed(now) == [("known", "new", "open"), ("new", "new", "open")]


def test_what_others_fixed_and_made_mutable_again_is_new() -> None:
    fixed = change(ChangeStatus.SUPERSEDED, reason=Reason.NOW_COMPLIANT)
    before, now = report([finding("a", change=fixed)], id="1"), report([finding("a")], id="2")
    item = compare_reports(now, before, NO_HISTORY, {finding().check})
    assert changed(item) == [("a", "new", "open")]


def valid() -> Draft202012Validator:
    published = json.loads(PUBLISHED.read_text())
    Draft202012Validator.check_schema(published)
    return Draft202012Validator(published)


def test_the_published_schema_is_current_and_events_are_valid() -> None:
    assert PUBLISHED.read_text() == events_schema(), "run: make schema"
    validator = valid()
    unclear = finding(compliance=Compliance.UNDETERMINED, mutability="FROZEN")
    for item in (
        hostile_report(),
        compared(unclear, finding("x", since_last=Since.NEW), new=1, resolved=(earlier(),)),
        report(dry_run=True, organization_id=None),
    ):
        for detail in (*_findings_changed(item), _run_finished(item, SO_FAR)):
            validator.validate(json.loads(encode_value(detail)))
    surprise = {**json.loads(encode_value(_run_finished(report(), ()))), "surprise": 1}
    assert not validator.is_valid(surprise)


def test_an_event_says_where_to_look() -> None:
    [detail] = _findings_changed(report([finding("team/a")]))
    assert detail.console_url is not None
    assert detail.console_url.endswith("team/a?region=eu-central-1")
    assert detail.id == "ecr-tag-immutability/111122223333/eu-central-1/team/a"
    assert _run_finished(report(), SO_FAR).report == "s3://b/report.json"


def test_the_pattern_of_the_page_matches_what_somebody_has_to_do() -> None:
    page = (PUBLISHED.parent / "notifications.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    pattern = EventPattern.load(next(block for block in blocks if '"detail-type"' in block))
    item = compared(
        finding("new", since_last=Since.NEW),
        finding("fixed", since_last=Since.NEW, change=change()),
        resolved=(earlier("gone"),),
    )
    bus = Bus()
    sink(bus).deliver(item, ())
    matched = [
        json.loads(entry["Detail"])["repository"]
        for entry in bus.accepted
        if pattern.matches_event(
            {
                "source": entry["Source"],
                "detail-type": entry["DetailType"],
                "detail": json.loads(entry["Detail"]),
            }
        )
    ]
    assert matched == ["new"]


def test_what_the_rules_of_the_page_make_of_an_event() -> None:
    page = (PUBLISHED.parent / "notifications.md").read_text(encoding="utf-8")
    blocks = map(json.loads, re.findall(r"```json\n(.*?)```", page, re.DOTALL))
    transformers = [block for block in blocks if "InputTemplate" in block]
    [detail] = _findings_changed(report([finding("team/a")]))
    event = {"detail": json.loads(encode_value(detail))}
    made = []
    for block in transformers:
        text = block["InputTemplate"]
        for name, path in block["InputPathsMap"].items():
            value: Any = event
            for key in path.removeprefix("$.").split("."):
                value = value[key]
            assert f"<{name}>" in text
            text = text.replace(f"<{name}>", json.dumps(value))
        made.append(json.loads(text))
    issue, chat = made
    assert issue["fields"]["summary"] == detail.title
    assert issue["fields"]["labels"] == [detail.id]
    assert (chat["version"], chat["source"]) == ("1.0", "custom")
    assert chat["content"]["title"] == detail.title
    assert chat["metadata"]["threadId"] == detail.id


class Bus:
    """A client that refuses the given entries, by their position among all of them."""

    def __init__(self, *refused: int, code: str = "ThrottlingException", **codes: str) -> None:
        self.calls: list[list[dict[str, Any]]] = []
        self.accepted: list[dict[str, Any]] = []
        self._refused = set(refused)
        self._codes = {position: codes.get(f"at_{position}", code) for position in refused}
        self._seen = 0

    def put_events(self, **parameters: list[dict[str, Any]]) -> Any:
        [entries] = parameters.values()
        self.calls.append(entries)
        results: list[dict[str, Any]] = []
        for entry in entries:
            if self._seen in self._refused:
                results.append({"ErrorCode": self._codes[self._seen], "ErrorMessage": "no"})
            else:
                self.accepted.append(entry)
                results.append({"EventId": "1"})
            self._seen += 1
        return {"FailedEntryCount": 0, "Entries": results}


def sink(bus: Any) -> EventBusSink:
    def central(service: str, region: str | None) -> Any:
        assert (service, region) == ("events", REGION)
        return bus

    return EventBusSink(BUS, central)


def test_by_ten_and_within_the_size() -> None:
    bus = Bus()
    sink(bus).deliver(report([finding(f"r-{number}") for number in range(25)]), SO_FAR)
    assert [len(call) for call in bus.calls] == [10, 10, 6]
    assert [entry["DetailType"] for entry in bus.accepted][-1] == "Sweeper Run Finished"
    assert {entry["EventBusName"] for entry in bus.accepted} == {BUS}
    large = Bus()
    sink(large).deliver(hostile_report(), SO_FAR)
    for call in large.calls:
        texts = [json.dumps(entry) for entry in call]
        assert len(call) <= _MAX_BATCH
        assert sum(len(text.encode()) for text in texts) <= _MAX_SIZE + 10_000


def test_what_is_refused_is_put_again_and_nothing_else() -> None:
    item = report([finding(f"r-{number}") for number in range(12)])
    bus = Bus(3, 11)
    made = sink(bus)
    with pytest.raises(OperationFailed) as caught:
        made.deliver(item, SO_FAR)
    assert caught.value.reason is Reason.THROTTLED
    assert caught.value.message == "2 events were refused, such as: no; 11 events were put"
    assert made.deliver(item, SO_FAR).status == "delivered"
    names = [json.loads(entry["Detail"]).get("repository") for entry in bus.accepted]
    assert sorted(filter(None, names)) == sorted(f"r-{number}" for number in range(12))
    assert names.count(None) == 1


def test_why_an_event_was_refused() -> None:
    cases = [
        ("InternalFailure", Reason.SERVICE_ERROR),
        ("AccessDeniedException", Reason.DENIED),
        ("MalformedDetail", Reason.REQUEST_REFUSED),
    ]
    for code, reason in cases:
        with case(code), pytest.raises(OperationFailed) as caught:
            sink(Bus(0, code=code)).deliver(report(), SO_FAR)
        assert (caught.value.reason, caught.value.error_code) == (reason, code)


def test_what_may_pass_is_put_again_beside_what_never_will() -> None:
    item = report([finding(f"r-{number}") for number in range(4)])
    made = sink(Bus(0, 2, code="MalformedDetail", at_2="ThrottlingException"))
    with pytest.raises(OperationFailed) as caught:
        made.deliver(item, SO_FAR)
    assert caught.value.reason is Reason.THROTTLED


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        yield boto3.Session("testing", "testing", region_name=REGION).client("events")


def test_a_real_client_puts_them(client: Any) -> None:
    client.create_event_bus(Name="findings")
    item = report([finding(change=change(ChangeStatus.FAILED, reason=Reason.DENIED))])
    made = sink(client)
    assert made.deliver(item, SO_FAR) == Delivery("event_bus", BUS, "delivered")
    [answer] = made.probe()
    assert (answer.key, answer.probed.answer) == ("report.event_bus", "works")
