"""What moto lacks of AWS Config: an aggregator's queries, which find nothing here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from moto.config.responses import ConfigResponse

NAME = "organization"


@contextmanager
def installed() -> Iterator[None]:
    """Install both operations into moto; use it with `mock_aws`."""
    with (
        mock.patch.object(ConfigResponse, "select_aggregate_resource_config", _select, create=True),
        mock.patch.object(
            ConfigResponse,
            "describe_configuration_aggregator_sources_status",
            _sources,
            create=True,
        ),
    ):
        yield


def _select(self: ConfigResponse) -> str:
    assert self._get_param("ConfigurationAggregatorName") == NAME
    return '{"Results": []}'


def _sources(self: ConfigResponse) -> str:
    assert self._get_param("ConfigurationAggregatorName") == NAME
    return '{"AggregatedSourceStatusList": []}'
