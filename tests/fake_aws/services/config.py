"""AWS Config: an aggregator's queries over what is recorded, and its sources; read only."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.fake_aws.iam import glob
from tests.fake_aws.services.base import Call, Service
from tests.fake_aws.wire import ApiError, Codes, Json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fake_aws.world import Aggregator

SERVICE = Service(
    "config",
    Json(),
    Codes(invalid=("InvalidParameterValueException", 400)),
    target="StarlingDoveService",
)
_LARGEST_PAGE = 100
_LONGEST = 4096
_QUERY = re.compile(
    r"SELECT (?P<fields>[\w., ]+) WHERE resourceType = 'AWS::ECR::Repository' "
    r"AND configurationItemStatus IN \('OK', 'ResourceDiscovered'\)"
)
_FIELDS = {
    "accountId",
    "awsRegion",
    "configurationItemCaptureTime",
    "configuration.ImageTagMutability",
    "resourceName",
}


def _aggregator(call: Call, action: str) -> Aggregator:
    name = call.text("ConfigurationAggregatorName")
    arn = (
        f"arn:{call.partition}:config:{call.region}:{call.principal.account}:"
        "config-aggregator/config-aggregator-abc12345"
    )
    call.allow(f"config:{action}", arn)
    for each in call.state.world.aggregators:
        if each.name == name and each.region == call.region:
            return each
    raise ApiError(
        "NoSuchConfigurationAggregatorException",
        f"The configuration aggregator does not exist: {name}",
    )


def _is(place: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    return any(glob(pattern, "/".join(place)) for pattern in patterns)


def _items(call: Call, aggregator: Aggregator) -> Iterator[dict[str, Any]]:
    """Give what is recorded: the registries as they are, and what is said to be there."""
    for each in call.state.repositories():
        if not _is((each["account"], each["region"]), aggregator.unrecorded):
            yield _item(
                each["account"], each["region"], each["name"], each["mutability"], aggregator
            )
    for other in aggregator.others:
        yield _item(
            other.account, other.region, other.name, other.mutability, aggregator, other.captured
        )


def _item(  # noqa: PLR0917 - all that an item has
    account: str,
    region: str,
    name: str,
    mutability: str,
    aggregator: Aggregator,
    captured: float | None = None,
) -> dict[str, Any]:
    at = datetime.fromtimestamp(aggregator.captured if captured is None else captured, UTC)
    configuration: Any = {"ImageTagMutability": mutability} if mutability else {}
    return {
        "accountId": account,
        "awsRegion": region,
        "resourceName": name,
        "configurationItemCaptureTime": at.isoformat(timespec="milliseconds").replace(
            "+00:00", "Z"
        ),
        "configuration": json.dumps(configuration) if aggregator.nested_text else configuration,
    }


@SERVICE.operation("SelectAggregateResourceConfig")
def select_aggregate_resource_config(call: Call) -> dict[str, Any]:
    """Give one page of results, each a JSON text with the fields that were selected."""
    aggregator = _aggregator(call, "SelectAggregateResourceConfig")
    expression = call.text("Expression")
    query = _QUERY.fullmatch(expression)
    fields = {field.strip() for field in query["fields"].split(",")} if query else set()
    if query is None or len(expression) > _LONGEST or not fields <= _FIELDS:
        raise ApiError("InvalidExpressionException", f"Invalid expression: {expression}")
    kept = {field.partition(".")[0] for field in fields}
    found = list(_items(call, aggregator))
    size = call.number("MaxResults", 25, _LARGEST_PAGE)
    page, more = call.page(
        lambda start, stop: found[start:stop],
        len(found),
        size,
        about=aggregator.name,
        empty_pages=call.state.world.empty_pages,
    )
    results = [json.dumps({key: item[key] for key in item if key in kept}) for item in page]
    return {"Results": results, **more}


@SERVICE.operation("DescribeConfigurationAggregatorSourcesStatus")
def describe_sources(call: Call) -> dict[str, Any]:
    """Give the status of each account and region that is a source."""
    aggregator = _aggregator(call, "DescribeConfigurationAggregatorSourcesStatus")
    wanted = call.params.get("UpdateStatus") or ["FAILED", "SUCCEEDED", "OUTDATED"]
    organization: dict[str, Any] = {
        "SourceId": call.state.world.organization_id,
        "SourceType": "ORGANIZATION",
        "AwsRegion": call.region,
        "LastUpdateStatus": "FAILED" if aggregator.failed else "SUCCEEDED",
    }
    found = [organization]
    for account in call.state.accounts:
        for region in call.state.world.regions:
            place = account, region
            status = "OUTDATED" if _is(place, aggregator.outdated) else "SUCCEEDED"
            source: dict[str, Any] = {
                "SourceId": account,
                "SourceType": "ACCOUNT",
                "AwsRegion": region,
                "LastUpdateTime": aggregator.captured,
            }
            if _is(place, aggregator.failed):
                status = "FAILED"
                source["LastErrorCode"] = "NoSuchConfigurationRecorderException"
                source["LastErrorMessage"] = aggregator.error
            found.append({**source, "LastUpdateStatus": status})
    found = [each for each in found if each["LastUpdateStatus"] in wanted]
    size = call.number("Limit", _LARGEST_PAGE, _LARGEST_PAGE)
    page, more = call.page(
        lambda start, stop: found[start:stop], len(found), size, about=aggregator.name
    )
    return {"AggregatedSourceStatusList": page, **more}
