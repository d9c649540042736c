"""One message to a topic: the JSON for programs, the text for people, and when there is one."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from moto import mock_aws

from sweeper.config.schema import Notify
from sweeper.domain.errors import OperationFailed
from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import ChangeStatus, Compliance
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ended_early
from sweeper.domain.report_model import Delivery, Report, SinceLast
from sweeper.reporting.notification import MAX_BYTES, is_needed, json_size, message, subject
from sweeper.reporting.sinks.sns import SnsSink, _attributes, _message
from sweeper.reporting.sinks.topic import _PROGRAMS
from tests.cases import case
from tests.factories import (
    HOSTILE,
    change,
    earlier,
    exemption,
    failed,
    finding,
    hostile_report,
    report,
    run,
    since_last,
    target,
)
from tests.rendering import as_json
from tests.reporting.sinks.topics import REGION, client_of, event, made, topic

SO_FAR = (Delivery("s3", "s3://b/report.json", "delivered"),)
SNS_LIMIT = 256 * 1024  # bytes, attributes included


def parsed(item: Report, largest: int = 10**6) -> Any:
    return json.loads(event(item, SO_FAR, largest))


def test_people_get_the_text_and_programs_the_json() -> None:
    item = report([finding()])
    texts = json.loads(_message(item, SO_FAR))
    assert texts.pop("default") == message(item, SO_FAR)
    assert set(texts) == set(_PROGRAMS)
    assert {json.dumps(json.loads(text)) for text in texts.values()} == {json.dumps(parsed(item))}


def test_a_program_reads_what_it_reads_in_the_report() -> None:
    item = report([finding("b"), finding("a", change=change())])
    whole = json.loads(as_json(item))
    got = parsed(item)
    for key in ("schema_version", "run", "totals", "coverage", "since_last"):
        assert got[key] == whole[key]
    assert sorted(got["findings"], key=str) == sorted(whole["findings"], key=str)
    assert (got["findings_left_out"], got["deliveries"][0]["location"]) == (0, "s3://b/report.json")


def test_the_urgent_ones_come_first_and_exempt_ones_not_at_all() -> None:
    broken = change(ChangeStatus.FAILED, reason=Reason.DENIED)
    item = report(
        [
            finding("applied", change=change()),
            finding("exempt", compliance=Compliance.EXEMPT, exemption=exemption()),
            finding("open"),
            finding("failed", change=broken),
        ]
    )
    assert [each["repository"] for each in parsed(item)["findings"]] == [
        "failed",
        "open",
        "applied",
    ]


def test_what_changed_is_counted() -> None:
    since = since_last(new=1, still_open=2, reopened=3, resolved=[earlier()], not_visible=[])
    assert parsed(replace(report(), since_last=since))["since_last"] == {
        "run_id": since.run_id,
        "new": 1,
        "still_open": 2,
        "reopened": 3,
        "resolved": 1,
        "not_visible": 0,
    }


def test_an_event_is_no_larger_and_says_what_it_leaves_out() -> None:
    for largest in [2_000, 5_000, 24_000]:
        with case(largest):
            item = report([finding(f"データ-{index:05}") for index in range(500)])
            text = event(item, SO_FAR, largest)
            assert largest - 600 < json_size(text) <= largest
            got = json.loads(text)
            assert len(got["findings"]) + got["findings_left_out"] == 500


def test_it_fits_with_its_attributes() -> None:
    for item in [
        report([finding(f"team-{index:05}/service") for index in range(20_000)]),
        report([finding("🚀" * 200, reason='"' * 4000) for _ in range(2000)]),
        hostile_report(),
    ]:
        with case(item):
            body = _message(item, SO_FAR)
            extra = "".join(f"{name}Number{value}" for name, value in _attributes(item).items())
            assert len(body.encode()) <= MAX_BYTES
            assert len(body.encode()) + len(extra.encode()) < SNS_LIMIT
            assert len(json.loads(body)["default"]) > 1000


def test_nothing_hidden_in_either() -> None:
    texts = json.loads(_message(hostile_report(), SO_FAR))
    for text in texts.values():
        assert not any(is_hidden(character) for character in text.replace("\n", ""))


def test_attributes() -> None:
    cases: list[tuple[Report, tuple[int, str]]] = [
        (report(), (0, "false")),
        (report([finding(change=change())]), (1, "false")),
        (report([finding()], [(target(region="us-east-1"), failed())]), (1, "true")),
    ]
    for item, expected in cases:
        with case(item, expected):
            got = _attributes(item)
            assert (got["non_compliant"], got["coverage_incomplete"]) == expected
            assert got["run_id"] == item.run.id


def test_needed() -> None:
    cases: list[tuple[Report, bool]] = [
        (report(), False),
        (report([finding(compliance=Compliance.EXEMPT, exemption=exemption())]), False),
        (
            report([finding(change=change(ChangeStatus.SUPERSEDED, reason=Reason.NOW_COMPLIANT))]),
            False,
        ),
        (report([finding()]), True),
        (report([finding(change=change())]), True),
        (report([finding(change=change(ChangeStatus.FAILED, reason=Reason.DENIED))]), True),
        (report([], [(target(region="us-east-1"), failed())]), True),
    ]
    for item, expected in cases:
        with case(item, expected):
            assert is_needed(item, "when_needed") is expected
            assert is_needed(item, "always") is True


def test_needed_on_change() -> None:
    same = since_last(coverage_changed=False)
    was_open, was_fixed = earlier(), earlier(was_open=False)
    cases: list[tuple[Report, SinceLast | None, bool]] = [
        (report(), same, False),
        (report([finding()]), replace(same, still_open=1), False),
        (
            report([finding(change=change(ChangeStatus.PLANNED))]),
            replace(same, still_open=1),
            False,
        ),
        (report([], [(target(region="us-east-1"), failed())]), same, False),
        (report(), replace(same, not_visible=(was_open,)), False),
        (report(), replace(same, resolved=(was_fixed,)), False),
        (report(), replace(same, resolved=(was_open,)), True),
        (report([finding()]), replace(same, new=1), True),
        (report([finding()]), replace(same, reopened=1), True),
        (report([finding(change=change())]), replace(same, still_open=1), True),
        (
            report([finding(change=change(ChangeStatus.FAILED, reason=Reason.DENIED))]),
            replace(same, still_open=1),
            True,
        ),
        (report(), replace(same, coverage_changed=True), True),
        # Nobody knows what was told before.
        (report(), None, True),
        (report(), since_last(), True),
        (report(), replace(same, unavailable="denied"), True),
        (ended_early(run(), failed(Reason.NOT_ALLOWED_TO_LIST)), same, True),
    ]
    for item, since, expected in cases:
        with case(item, since):
            assert is_needed(replace(item, since_last=since), "on_change") is expected


@pytest.fixture(scope="module", autouse=True)
def _aws() -> Iterator[None]:
    with mock_aws():
        yield


def sink(arn: str, notify: Notify = "when_needed") -> SnsSink:
    return SnsSink(made(arn), notify)


@pytest.mark.parametrize("suffix", ["", ".fifo"])
def test_one_message_as_it_was_made(suffix: str) -> None:
    arn, received = topic(suffix)
    item = hostile_report()
    assert sink(arn).deliver(item, SO_FAR) == Delivery("sns", arn, "delivered")
    [got] = received()
    assert got["Subject"] == subject(item)
    assert got["Message"] == json.loads(_message(item, SO_FAR))["sqs"]
    assert json.loads(got["Message"])["deliveries"][0]["location"] == "s3://b/report.json"
    assert got["MessageAttributes"] == {
        "non_compliant": {"Type": "Number", "Value": str(len(HOSTILE))},
        "coverage_incomplete": {"Type": "String", "Value": "true"},
        "run_id": {"Type": "String", "Value": item.run.id},
    }


def test_five_thousand_findings_are_accepted() -> None:
    arn, received = topic()
    item = report([finding(f"team-{index:05}/service") for index in range(5000)])
    sink(arn).deliver(item, ())
    [got] = received()
    assert got["Subject"] == subject(item)
    parsed = json.loads(got["Message"])
    assert len(parsed["findings"]) + parsed["findings_left_out"] == 5000
    assert len(parsed["findings"]) > 10


def test_a_subscription_can_ask_for_what_it_wants_to_hear() -> None:
    arn, received = topic()
    sns = client_of("sns")
    [subscription] = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    policy = {"non_compliant": [{"numeric": [">", 1]}], "coverage_incomplete": ["false"]}
    sns.set_subscription_attributes(
        SubscriptionArn=subscription["SubscriptionArn"],
        AttributeName="FilterPolicy",
        AttributeValue=json.dumps(policy),
    )
    gap = [(target(region="us-east-1"), failed())]
    sink(arn).deliver(report([finding("a")]), ())
    sink(arn).deliver(report([finding("a"), finding("b")], gap), ())
    assert received() == []
    sink(arn).deliver(report([finding("a"), finding("b")]), ())
    assert len(received()) == 1


def test_nothing_is_sent_when_nothing_is_to_be_told() -> None:
    arn, received = topic()
    assert sink(arn).deliver(report(), ()) == Delivery("sns", arn, "not_needed")
    known = replace(
        report([finding()]), since_last=since_last(still_open=1, coverage_changed=False)
    )
    left = sink(arn, "on_change").deliver(known, ())
    assert (left.status, left.reason) == ("not_needed", None)
    assert "nothing changed" in (left.message or "")
    assert received() == []
    assert sink(arn, "always").deliver(report(), ()).status == "delivered"
    assert len(received()) == 1


def test_a_topic_that_is_not_there() -> None:
    with pytest.raises(OperationFailed) as caught:
        sink(f"arn:aws:sns:{REGION}:123456789012:gone").deliver(report([finding()]), ())
    assert caught.value.reason is Reason.DESTINATION_MISSING
