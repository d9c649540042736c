"""What the adapter makes of an aggregator's answers; the calls are in tests/end_to_end."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from sweeper.aws.config_aggregator import ConfigAggregator
from sweeper.domain.config_inventory import Recorded, Source
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from tests.cases import case

AT = "2026-11-24T01:00:00.000Z"
SECONDS = datetime(2026, 11, 24, 1, tzinfo=UTC).timestamp()
SINCE = datetime(2026, 11, 24, 1, tzinfo=UTC)
GOOD = {
    "accountId": "111122223333",
    "awsRegion": "eu-west-1",
    "configurationItemCaptureTime": AT,
    "configuration": {"ImageTagMutability": "MUTABLE"},
}
SOURCE = {
    "SourceId": "111122223333",
    "SourceType": "ACCOUNT",
    "AwsRegion": "eu-west-1",
    "LastUpdateStatus": "FAILED",
}

ORGANIZATION = {**SOURCE, "SourceType": "ORGANIZATION", "SourceId": "o-abc"}


def aggregator(*pages: dict[str, Any]) -> ConfigAggregator:
    """An aggregator that gives these pages, whatever it is asked."""
    left = iter(pages)

    def call(**_: Any) -> dict[str, Any]:
        return next(left)

    client = SimpleNamespace(
        select_aggregate_resource_config=call,
        describe_configuration_aggregator_sources_status=call,
    )
    return ConfigAggregator("all", "eu-west-1", lambda *_: client)


def results(*items: Any, **more: Any) -> dict[str, Any]:
    texts = [item if isinstance(item, str) else json.dumps(item) for item in items]
    return {"Results": texts, **more}


def test_repositories_are_counted_by_place() -> None:
    as_text = {**GOOD, "configuration": json.dumps({"ImageTagMutability": "IMMUTABLE"})}
    later = {**GOOD, "configurationItemCaptureTime": "2026-11-24T01:00:01Z", "configuration": None}
    asked = aggregator(
        results(GOOD, NextToken="1"), results(NextToken="2"), results(as_text, later)
    )
    assert asked.inventory(SINCE) == {
        "111122223333": {"eu-west-1": Recorded(3, 1, 1, since=1, captured=SECONDS + 1)}
    }


def test_an_answer_without_what_aws_promises_is_none() -> None:
    cases: list[tuple[dict[str, Any], ...]] = [
        ({},),
        ({"Results": [1]},),
        (results("{"),),
        (results("[]"),),
        (results({**GOOD, "accountId": "../../etc"}),),
        (results({**GOOD, "awsRegion": "evil.example.com"}),),
        (results({**GOOD, "configurationItemCaptureTime": "yesterday"}),),
        (results({**GOOD, "configuration": "{"}),),
        (results({**GOOD, "configuration": {"ImageTagMutability": 7}}),),
        (results(GOOD, NextToken="1"), results(GOOD, NextToken="1")),
    ]
    for pages in cases:
        with case(pages):
            with pytest.raises(OperationFailed) as caught:
                aggregator(*pages).inventory(SINCE)
            assert caught.value.reason is Reason.UNEXPECTED_RESPONSE


def test_sources_that_are_missing_or_old() -> None:
    outdated = {
        **SOURCE,
        "LastUpdateStatus": "OUTDATED",
        "LastUpdateTime": SINCE,
        "LastErrorCode": "E",
        "LastErrorMessage": "why " * 1000,
    }
    page = {
        "AggregatedSourceStatusList": [
            SOURCE,
            outdated,
            ORGANIZATION,  # the accounts tell more
            {**SOURCE, "SourceType": "OTHER"},
            {**SOURCE, "LastUpdateStatus": "SUCCEEDED"},
        ]
    }
    first, second = aggregator(page).sources()
    assert first == Source("111122223333", "eu-west-1", "failed", None, None)
    assert (second.status, second.updated) == ("outdated", SECONDS)
    assert second.error is not None
    assert second.error.startswith("E: why")
    assert len(second.error) <= 500


def test_where_only_the_source_of_the_organization_failed() -> None:
    good = {**ORGANIZATION, "LastUpdateStatus": "SUCCEEDED"}
    assert aggregator({"AggregatedSourceStatusList": [good]}).sources() == []
    where = "the aggregator's source of the organization in eu-west-1 is "
    denied = {"LastErrorCode": "ACCESS_DENIED", "LastErrorMessage": "the role"}
    cases: list[tuple[dict[str, Any], str]] = [
        (denied, f"{where}failed: ACCESS_DENIED: the role"),
        ({}, f"{where}failed"),
        ({"LastUpdateStatus": "OUTDATED"}, f"{where}outdated"),
    ]
    for changes, message in cases:
        with case(changes):
            page = {"AggregatedSourceStatusList": [{**ORGANIZATION, **changes}]}
            with pytest.raises(OperationFailed) as caught:
                aggregator(page).sources()
            assert (caught.value.reason, caught.value.message) == (Reason.SERVICE_ERROR, message)
