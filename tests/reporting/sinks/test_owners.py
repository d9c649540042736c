"""A message for each owner, which a subscription's filter brings to the team."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sweeper.config.schema import Notify
from sweeper.domain.comparison import NO_HISTORY, compare_reports
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import ChangeStatus, Compliance, Since
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report
from sweeper.reporting.notification import MAX_BYTES, json_size
from sweeper.reporting.sinks.owners import _MAX_OWNERS, OwnersSink, _message, _subject
from sweeper.reporting.sinks.owners import _owners_to_notify as owners_of
from sweeper.reporting.sinks.topic import Topic
from tests.cases import case
from tests.factories import (
    HOSTILE,
    account,
    change,
    earlier,
    exemption,
    failed,
    finding,
    hostile_report,
    report,
    since_last,
)
from tests.reporting.sinks.topics import made, subscriber, topic

PAYMENTS, SEARCH, OTHERS = "111111111111", "222222222222", "333333333333"
LONG = "platform-engineering-payments-and-settlements"


@pytest.fixture(scope="module", autouse=True)
def _aws() -> Iterator[None]:
    with mock_aws():
        yield


def owned_report(**owners: str) -> Report:
    """Two findings of payments, one of search, one of nobody, and one account not checked."""
    item = report(
        [
            finding("a", account_id=PAYMENTS, account_name="pay"),
            finding("b", account_id=PAYMENTS, account_name="pay", change=change()),
            finding("c", account_id=SEARCH, account_name="search"),
            finding("d", account_id=OTHERS, account_name="other"),
        ],
        [(account("444444444444", "dark"), failed(Reason.ASSUME_ROLE_DENIED))],
    )
    tags = {PAYMENTS: "payments", SEARCH: "search", "444444444444": "payments", **owners}
    return replace(
        item,
        accounts=tuple(
            replace(each, tags={"owner": tags[each.id]} if each.id in tags else {})
            for each in item.accounts
        ),
    )


def test_whose_findings_these_are() -> None:
    found = owners_of(owned_report(), "owner", "when_needed")
    assert [(each.owner, each.accounts, len(each.findings), each.remaining) for each in found] == [
        ("payments", 2, 2, 1),
        ("search", 1, 1, 1),
        ("unowned", 1, 1, 1),
    ]
    assert [len(each.failures) for each in found] == [1, 0, 0]
    exempt = report([finding(compliance=Compliance.EXEMPT, exemption=exemption())])
    assert owners_of(exempt, "owner", "always") == []


def test_on_change_only_who_has_news() -> None:
    known = Since.STILL_OPEN
    same = since_last(coverage_changed=False)
    today = date(2026, 11, 24)  # the day on which factories.run starts
    cases: list[tuple[Any, dict[str, Any], bool]] = [
        (finding(since_last=known), {}, False),
        (finding(since_last=Since.NEW), {}, True),
        (finding(since_last=Since.REOPENED), {}, True),
        (finding(since_last=known, change=change()), {}, True),
        (
            finding(since_last=known, change=change(ChangeStatus.FAILED, reason=Reason.DENIED)),
            {},
            True,
        ),
        (finding(since_last=known, announced=today), {"announced": 1}, True),
        (finding(since_last=known, announced=today), {}, False),  # by an earlier sweep of the day
        (finding(since_last=known, announced=date(2026, 11, 23)), {"announced": 1}, False),
        (finding(since_last=known), {"resolved": (earlier(),)}, True),
        (finding(since_last=known), {"resolved": (earlier(was_open=False),)}, False),
    ]
    for item, changes, expected in cases:
        with case(item, changes):
            made_report = replace(report([item]), since_last=replace(same, **changes))
            assert bool(owners_of(made_report, "owner", "on_change")) is expected
    gap = [(account("444444444444", "dark"), failed())]
    for changed, expected in ((False, False), (True, True), (None, True)):
        with case(changed):
            item = replace(report([], gap), since_last=since_last(coverage_changed=changed))
            assert bool(owners_of(item, "owner", "on_change")) is expected


def test_on_change_an_owner_hears_of_what_a_dry_run_found_first() -> None:
    checks = {finding().check}
    dry = report([finding("known"), finding("new")], id="2", dry_run=True)
    dry = compare_reports(dry, report([finding("known")], id="1"), NO_HISTORY, checks)
    now = report([finding("known"), finding("new")], id="3")
    now = compare_reports(now, dry, NO_HISTORY, checks)
    assert [each.owner for each in owners_of(now, "owner", "on_change")] == ["unowned"]


def test_a_filter_policy_finds_the_team() -> None:
    arn, everything = topic()
    page = (Path(__file__).parents[3] / "docs/notifications.md").read_text(encoding="utf-8")
    policies = [json.loads(text) for text in re.findall(r'\{"owner": .*\]\}', page)]
    payments, summaries = (subscriber(arn, policy=policy) for policy in policies)
    sink = OwnersSink(made(arn), "owner", "when_needed")
    delivery = sink.deliver(owned_report(), ())
    assert (delivery.status, delivery.message) == ("delivered", None)
    assert len(everything()) == 3
    assert summaries() == []
    [got] = payments()
    assert got["Subject"] == "sweeper: 1 finding in accounts of payments"
    body = json.loads(got["Message"])
    assert [each["repository"] for each in body["findings"]] == ["a", "b"]
    assert (body["owner"], body["remaining"], body["owner_tag"]) == ("payments", 1, "owner")
    assert [each["account_id"] for each in body["failures"]] == ["444444444444"]
    # Who was notified is not again when the delivery is tried again.
    sink.deliver(owned_report(), ())
    assert everything() == []


def test_people_read_what_is_theirs_and_no_more() -> None:
    [payments, *_] = owners_of(owned_report(), "owner", "when_needed")
    text = json.loads(_message(payments, "owner", owned_report(), ()))["default"]
    assert 'in 2 accounts with owner "payments": 1 finding open.' in text
    assert "444444444444 (dark): assume_role_denied" in text
    assert "search" not in text
    [*_, nobody] = owners_of(owned_report(), "owner", "when_needed")
    assert (
        "without the tag owner"
        in json.loads(_message(nobody, "owner", owned_report(), ()))["default"]
    )


def test_at_most_a_hundred_owners_and_it_is_said() -> None:
    ids = [f"{number:012}" for number in range(1, _MAX_OWNERS + 6)]
    item = report([finding(account_id=account_id) for account_id in ids])
    item = replace(
        item,
        accounts=tuple(replace(each, tags={"owner": f"team-{each.id}"}) for each in item.accounts),
    )
    published: list[Any] = []
    client = SimpleNamespace(publish=lambda **message: published.append(message))
    unread = Topic("arn:aws:sns:eu-west-1:123456789012:t", lambda *_: client)
    delivery = OwnersSink(unread, "owner", "when_needed").deliver(item, ())
    assert len(published) == _MAX_OWNERS
    assert delivery.status == "delivered"
    assert delivery.message is not None
    assert delivery.message.startswith("5 more owners")


class Strict:
    """A client that takes what SNS takes for a subject, and refuses the messages to `refused`."""

    def __init__(self, *refused: str, code: str = "InvalidParameter") -> None:
        self.published: list[str] = []
        self._refused = refused
        self._code = code

    def publish(self, **message: Any) -> None:
        owner = message["MessageAttributes"]["owner"]["StringValue"]
        if not message["Subject"].isascii() or owner in self._refused:
            error: Any = {"Error": {"Code": self._code, "Message": "no"}}
            raise ClientError(error, "Publish")
        self.published.append(owner)


def strict_sink(client: Strict) -> OwnersSink:
    arn = "arn:aws:sns:eu-west-1:123456789012:t"
    return OwnersSink(Topic(arn, lambda *_: client), "owner", "when_needed")


def test_a_long_owner_is_cut_to_ascii() -> None:
    cases = [
        ("o" * 40, "of " + "o" * 37 + "..."),
        (LONG, "of platform-engineering-payments-and-set..."),
        ("p" * 37 + "…", "in accounts"),
        ("o" * 38, "of " + "o" * 38),
    ]
    for owner, end in cases:
        with case(owner):
            item = owned_report(**{PAYMENTS: owner})
            client = Strict()
            assert strict_sink(client).deliver(item, ()).status == "delivered"
            assert owner in client.published
            [subject] = [
                _subject(owned, item)
                for owned in owners_of(item, "owner", "when_needed")
                if owned.owner == owner
            ]
            assert subject.endswith(end)


def test_an_owner_that_is_refused_does_not_stop_the_others() -> None:
    client = Strict("payments")
    sink = strict_sink(client)
    with pytest.raises(OperationFailed) as caught:
        sink.deliver(owned_report(), ())
    assert client.published == ["search", "unowned"]
    assert caught.value.reason is Reason.REQUEST_REFUSED
    assert "1 message to owners refused, such as the one to payments" in caught.value.message
    # Nobody gets a message twice.
    with pytest.raises(OperationFailed):
        sink.deliver(owned_report(), ())
    assert client.published == ["search", "unowned"]


def test_a_denial_is_that_of_all_owners() -> None:
    client = Strict("payments", code="AuthorizationError")
    with pytest.raises(OperationFailed):
        strict_sink(client).deliver(owned_report(), ())
    assert client.published == []


@pytest.mark.slow
def test_an_owner_is_text_that_others_chose() -> None:
    """Whatever it is, SNS takes it, nothing in it is hidden, and it is within the limits."""
    arn, everything = topic()
    item = hostile_report()
    delivery = OwnersSink(made(arn), "owner", "when_needed").deliver(item, ())
    assert delivery.status == "delivered"
    assert len(everything()) == len(HOSTILE)
    for owned in owners_of(item, "owner", "when_needed"):
        with case(owned.owner):
            subject = _subject(owned, item)
            assert subject.isascii()
            assert subject.isprintable()
            assert len(subject) < 100
            assert 1 <= len(owned.owner) <= 256
            assert owned.owner.isprintable()
            assert len(_message(owned, "owner", item, ()).encode()) <= MAX_BYTES


def test_a_team_with_thousands_of_findings_gets_those_that_fit() -> None:
    item = report([finding(f"team-{index:05}/service") for index in range(5000)])
    [owned] = owners_of(item, "owner", "when_needed")
    text = _message(owned, "owner", item, ())
    assert json_size(text) < 2 * MAX_BYTES
    assert len(text.encode()) <= MAX_BYTES
    assert "for which this message has no room" in json.loads(text)["default"]


@pytest.mark.parametrize("notify", ["when_needed", "on_change"])
def test_nothing_for_nobody(notify: Notify) -> None:
    arn, everything = topic(".fifo")
    same = replace(report(), since_last=since_last(coverage_changed=False))
    assert OwnersSink(made(arn), "owner", notify).deliver(same, ()).status == "not_needed"
    assert everything() == []
    OwnersSink(made(arn), "owner", "when_needed").deliver(owned_report(), ())
    assert len(everything()) == 3


def test_a_topic_that_is_not_there() -> None:
    sink = OwnersSink(made("arn:aws:sns:eu-west-1:123456789012:gone"), "owner", "when_needed")
    with pytest.raises(OperationFailed) as caught:
        sink.deliver(owned_report(), ())
    assert caught.value.reason is Reason.DESTINATION_MISSING
