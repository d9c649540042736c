"""Query an aggregator of AWS Config for the ECR repositories that it has recorded.

https://docs.aws.amazon.com/config/latest/developerguide/querying-AWS-resources.html: results are
JSON texts. The item of a repository has no exclusion filters
(https://github.com/awslabs/aws-config-resource-schema).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Literal

from sweeper.aws.client.answers import (
    MAX_OPAQUE,
    account_id,
    optional_str,
    region,
    require_datetime,
    require_list,
    require_str,
    require_strs,
)
from sweeper.aws.client.errors import shortened_message, translate_errors
from sweeper.aws.client.paging import PageTokens
from sweeper.domain.config_inventory import Recorded, Source
from sweeper.domain.errors import OperationFailed
from sweeper.domain.masking import mask_message
from sweeper.domain.reasons import Reason
from sweeper.engine.probe import DestinationProbe, Hints, run_probe

_ACTIONS = frozenset(
    {
        "config:DescribeConfigurationAggregatorSourcesStatus",
        "config:SelectAggregateResourceConfig",
    }
)
_KEY = "inventory.config_aggregator"
_HINTS = Hints(
    missing="create the aggregator, or correct inventory.config_aggregator; the caller must be in "
    "the aggregator's account",
    denied="allow the caller {actions} on the aggregator (docs/continuous.md)",
)
_PAGE_SIZE = 100  # both operations
_EXPRESSION = (
    "SELECT accountId, awsRegion, configurationItemCaptureTime, configuration.ImageTagMutability "
    "WHERE resourceType = 'AWS::ECR::Repository' "
    "AND configurationItemStatus IN ('OK', 'ResourceDiscovered')"
)
_STATUSES: dict[str, Literal["failed", "outdated"]] = {"FAILED": "failed", "OUTDATED": "outdated"}


class ConfigAggregator:
    """An aggregator with the caller's credentials; every method raises OperationFailed.

    `make_client` makes the client of a service in a region.
    """

    def __init__(
        self, name: str, in_region: str, make_client: Callable[[str, str | None], Any]
    ) -> None:
        self._name = name
        self._region = in_region
        self._make_client = make_client

    def inventory(self, since: datetime) -> dict[str, dict[str, Recorded]]:
        """Count the recorded repositories by account id and region."""
        began = since.timestamp()
        found: dict[str, dict[str, Recorded]] = {}
        for page in self._pages(
            "select_aggregate_resource_config", Expression=_EXPRESSION, MaxResults=_PAGE_SIZE
        ):
            for text in require_strs(page, "Results"):
                item = _parse_json(text)
                regions = found.setdefault(account_id(item, "accountId"), {})
                where = region(item, "awsRegion")
                captured = require_datetime(item, "configurationItemCaptureTime").timestamp()
                regions[where] = regions.get(where, Recorded()).with_repository(
                    _mutability(item), captured, since=captured > began
                )
        return found

    def sources(self) -> list[Source]:
        """List the accounts' sources whose data is missing or outdated.

        Raises OperationFailed where only the source of the organization is: that of all accounts
        may be.
        """
        pages = self._pages(
            "describe_configuration_aggregator_sources_status",
            UpdateStatus=list(_STATUSES),
            Limit=_PAGE_SIZE,
        )
        found = []
        organization = None
        for page in pages:
            for item in require_list(page, "AggregatedSourceStatusList"):
                if item.get("LastUpdateStatus") not in _STATUSES:
                    continue
                if item.get("SourceType") == "ORGANIZATION":
                    organization = item
                if item.get("SourceType") == "ACCOUNT":
                    found.append(_source(item))
        if organization and not found:
            raise _organization_failed(organization)
        return found

    def probe(self) -> list[DestinationProbe]:
        """Try both calls, each for one result."""
        calls: dict[str, dict[str, Any]] = {
            "select_aggregate_resource_config": {"Expression": _EXPRESSION, "MaxResults": 1},
            "describe_configuration_aggregator_sources_status": {"Limit": 1},
        }
        location = f"{self._name} in {self._region}"
        return [
            DestinationProbe(
                _KEY,
                location,
                f"config:{''.join(word.capitalize() for word in operation.split('_'))}",
                run_probe(partial(self._call, operation, parameters)),
                _HINTS,
            )
            for operation, parameters in calls.items()
        ]

    def _call(self, operation: str, parameters: Mapping[str, Any]) -> Any:
        client = self._make_client("config", self._region)
        with translate_errors():
            return getattr(client, operation)(ConfigurationAggregatorName=self._name, **parameters)

    def _pages(self, operation: str, **parameters: Any) -> Iterator[Any]:
        tokens = PageTokens()
        while True:
            page = self._call(operation, parameters)
            yield page
            if not (token := tokens.follow(page)):
                return
            parameters["NextToken"] = token


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        message = "a result of AWS Config is no JSON: it is not what AWS sends"
        raise OperationFailed(Reason.UNEXPECTED_RESPONSE, message) from None


def _mutability(item: Mapping[str, Any]) -> str:
    """Return the setting; empty where none is given."""
    configuration = item.get("configuration")
    if isinstance(configuration, str):
        configuration = _parse_json(configuration)
    return optional_str(configuration or {}, "ImageTagMutability")


def _source(item: Mapping[str, Any]) -> Source:
    updated = item.get("LastUpdateTime")
    return Source(
        account_id(item, "SourceId"),
        region(item, "AwsRegion"),
        _STATUSES[require_str(item, "LastUpdateStatus")],
        require_datetime(item, "LastUpdateTime").timestamp() if updated is not None else None,
        _error(item) or None,
    )


def _organization_failed(item: Mapping[str, Any]) -> OperationFailed:
    status = _STATUSES[require_str(item, "LastUpdateStatus")]
    name = optional_str(item, "AwsRegion")
    region_words = f" in {name}" if name else ""
    message = f"the aggregator's source of the organization{region_words} is {status}"
    if error := _error(item):
        message += f": {error}"
    return OperationFailed(Reason.SERVICE_ERROR, shortened_message(message))


def _error(item: Mapping[str, Any]) -> str:
    parts = (optional_str(item, key, MAX_OPAQUE) for key in ("LastErrorCode", "LastErrorMessage"))
    return shortened_message(mask_message(": ".join(filter(None, parts))))
