import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from moto import mock_aws

from sweeper.config.schema import Notify
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import ChangeStatus, Compliance
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ended_early
from sweeper.domain.report_model import Delivery, Report, SinceLast
from sweeper.reporting.notification import needed, subject
from sweeper.reporting.notification_json import structured
from sweeper.reporting.sinks.sns import SnsSink
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
from tests.reporting.sinks.topics import REGION, client_of, made, topic

SO_FAR = (Delivery("s3", "s3://b/report.json", "delivered"),)


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
            assert needed(item, "when_needed") is expected
            assert needed(item, "always") is True


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
            assert needed(replace(item, since_last=since), "on_change") is expected


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
    assert got["Message"] == json.loads(structured(item, SO_FAR))["sqs"]
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
    told = json.loads(got["Message"])
    assert len(told["findings"]) + told["findings_left_out"] == 5000
    assert len(told["findings"]) > 10


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
