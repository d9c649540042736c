"""What docs/deploy.md says of FIPS endpoints is what the SDK's data says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore
import pytest
from botocore.session import Session

DOCUMENT = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text(encoding="utf-8")
SECTION = DOCUMENT.split("### FIPS endpoints", 1)[1].split("\n## ", 1)[0]
ENDPOINTS: dict[str, Any] = {
    partition["partition"]: partition
    for partition in json.loads(
        Path(botocore.__file__).with_name("data").joinpath("endpoints.json").read_text("utf-8")
    )["partitions"]
}
PREFIXES = {"ecr": "api.ecr"}  # as endpoints.json calls it


def _has_fips(service: str, partition: str) -> list[str]:
    """The regions of the service's FIPS endpoints; aliases of them left out."""
    found = ENDPOINTS[partition]["services"].get(PREFIXES.get(service, service), {})
    return sorted(
        region
        for region, endpoint in found.get("endpoints", {}).items()
        if re.fullmatch(ENDPOINTS[partition]["regionRegex"], region) or region.endswith("-global")
        for variant in endpoint.get("variants", ())
        if variant["tags"] == ["fips"]
    )


def _documented() -> dict[str, tuple[list[str], list[str]]]:
    rows = re.findall(r"^\| (\w+) \| ([^|]+) \| ([^|]+) \|$", SECTION, re.MULTILINE)
    return {
        service: ([*_regions(commercial)], [*_regions(government)])
        for service, commercial, government in rows
        if service != "service"
    }


def _regions(cell: str) -> list[str]:
    return [] if cell.strip() == "none" else cell.strip().split(", ")


def test_every_service_that_is_called_has_its_regions() -> None:
    documented = _documented()
    assert set(documented) == {
        *("ecr", "sts", "s3", "sns", "securityhub", "ssm", "organizations", "account")
    }
    for service, (commercial, government) in documented.items():
        assert commercial == _has_fips(service, "aws"), service
        assert government == _has_fips(service, "aws-us-gov"), service


def test_other_partitions_have_none_for_ecr() -> None:
    others = set(ENDPOINTS) - {"aws", "aws-us-gov"}
    assert len(others) >= 6
    assert {name: _has_fips("ecr", name) for name in others} == {name: [] for name in others}


def test_the_regions_to_include_are_those_of_ecr() -> None:
    (listed,) = re.findall(r"regions\.include: \[([^\]]+)\]", SECTION)
    assert listed.split(", ") == _has_fips("ecr", "aws")


@pytest.mark.parametrize("region", ["us-east-1", "us-gov-west-1"])
def test_account_management_needs_its_endpoint_named(
    monkeypatch: pytest.MonkeyPatch, region: str
) -> None:
    """With FIPS on, the SDK forms a host that its own data does not list."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "test")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    formed = Session().create_client("account", region_name=region).meta.endpoint_url
    assert "account-fips." in formed
    named = re.findall(r"AWS_ENDPOINT_URL_ACCOUNT=(https://\S+?)`", SECTION)
    (endpoint,) = (each for each in named if f".{region}." in each)
    assert urlsplit(endpoint).hostname == f"account.{region}.amazonaws.com"
    monkeypatch.setenv("AWS_ENDPOINT_URL_ACCOUNT", endpoint)
    used = Session().create_client("account", region_name=region).meta.endpoint_url
    assert used == endpoint
