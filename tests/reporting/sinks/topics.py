"""Topics of moto whose messages are read back through a queue."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from itertools import count
from typing import Any, Literal

import boto3

from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.notification import findings_by_urgency
from sweeper.reporting.sinks.sns import _members
from sweeper.reporting.sinks.topic import Topic, _event

REGION = "eu-west-1"  # not the caller's own
Received = Callable[[], list[dict[str, Any]]]
_NUMBERS = count()


@cache
def client_of(service: Literal["sns", "sqs"]) -> Any:
    return boto3.Session("testing", "testing", region_name=REGION).client(service)


def topic(suffix: str = "") -> tuple[str, Received]:
    """A new topic's ARN, and what its subscriber received."""
    sns = client_of("sns")
    name = f"{next(_NUMBERS)}{suffix}"
    fifo = {"FifoTopic": "true"} if suffix else {}
    arn = sns.create_topic(Name=f"reports-{name}", Attributes=fifo)["TopicArn"]
    return arn, subscriber(arn, suffix)


def subscriber(arn: str, suffix: str = "", policy: dict[str, Any] | None = None) -> Received:
    """Subscribe a new queue, with a filter policy; what it received."""
    sns, sqs = client_of("sns"), client_of("sqs")
    fifo = {"FifoQueue": "true"} if suffix else {}
    name = f"inbox-{next(_NUMBERS)}{suffix}"
    url = sqs.create_queue(QueueName=name, Attributes=fifo)["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    more = {"Attributes": {"FilterPolicy": json.dumps(policy)}} if policy else {}
    endpoint = queue["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=endpoint, **more)

    def received() -> list[dict[str, Any]]:
        found: list[Any] = []
        while more := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            found += more
            for item in more:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=item["ReceiptHandle"])
        return [json.loads(item["Body"]) for item in found]

    return received


def event(report: Report, so_far: Sequence[Delivery], limit: int = 10**6) -> str:
    """The JSON for programs, of at most so many bytes."""
    return _event(_members(report, so_far), findings_by_urgency(report), limit)


def made(arn: str) -> Topic:
    """The topic, as a sink has it."""

    def central(service: str, region: str | None) -> Any:
        assert (service, region) == ("sns", REGION)
        return client_of("sns")

    return Topic(arn, central)
