"""The demo's organization holds what it promises, seen through real clients."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sweeper.config.loader import load
from sweeper.config.schema import Config
from sweeper.domain.errors import ConfigurationError
from sweeper.entrypoints.demo import demo_organization, organization

ROLE = organization.MEMBER_ROLE


@pytest.fixture(scope="module")
def demo() -> Iterator[dict[str, Any]]:
    with demo_organization() as options:
        yield options


@pytest.fixture(autouse=True)
def _region(monkeypatch: pytest.MonkeyPatch) -> None:
    # The environment that every test starts with has neither; keys are moto's in the demo.
    monkeypatch.setenv("AWS_DEFAULT_REGION", organization.REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "invented")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "invented")


def _accounts() -> dict[str, Mapping[str, Any]]:
    pages = boto3.client("organizations").get_paginator("list_accounts").paginate()
    return {account["Name"]: account for page in pages for account in page["Accounts"]}


def _member(account_id: str) -> Callable[[str, str], Any]:
    """What makes clients (of a service, in a region) with the member role of the account."""
    keys = boto3.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{account_id}:role/{ROLE}", RoleSessionName="test"
    )["Credentials"]

    def client(service: str, region: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]  # overloads are for literal names
            region_name=region,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )

    return client


def _enabled(member: Callable[[str, str], Any]) -> list[str]:
    client = member("account", "us-east-1")
    return [
        region["RegionName"]
        for region in client.list_regions(MaxResults=50)["Regions"]
        if region["RegionOptStatus"] != "DISABLED"
    ]


def _repositories(member: Callable[[str, str], Any], region: str) -> list[Mapping[str, Any]]:
    paginator = member("ecr", region).get_paginator("describe_repositories")
    pages = paginator.paginate(PaginationConfig={"PageSize": 1000})
    return [repository for page in pages for repository in page["repositories"]]


@pytest.mark.usefixtures("demo")
class TestOrganization:
    def test_the_caller_is_the_management_account(self) -> None:
        identity = boto3.client("sts").get_caller_identity()
        described = boto3.client("organizations").describe_organization()["Organization"]
        assert identity["Account"] == described["MasterAccountId"]
        assert _accounts()["management"]["Id"] == identity["Account"]

    def test_twelve_accounts_one_suspended(self) -> None:
        accounts = _accounts()
        assert Counter(account["State"] for account in accounts.values()) == {
            "ACTIVE": 11,
            "SUSPENDED": 1,
        }
        assert accounts["hackathon-2025"]["State"] == "SUSPENDED"

    def test_accounts_know_their_place(self) -> None:
        client = boto3.client("organizations")
        for account in _accounts().values():
            *_, parent, own = account["Paths"][0].strip("/").split("/")
            assert own == account["Id"]
            assert parent == client.list_parents(ChildId=own)["Parents"][0]["Id"]

    def test_the_tree(self) -> None:
        client = boto3.client("organizations")

        def tree(parent: str, path: str) -> dict[str, int]:
            found = {path: len(client.list_accounts_for_parent(ParentId=parent)["Accounts"])}
            units = client.list_organizational_units_for_parent(ParentId=parent)
            for unit in units["OrganizationalUnits"]:
                found |= tree(unit["Id"], f"{path}/{unit['Name']}")
            return found

        assert tree(client.list_roots()["Roots"][0]["Id"], "Root") == {
            "Root": 1,
            "Root/Security": 2,
            "Root/Workloads": 0,
            "Root/Workloads/Production": 5,
            "Root/Workloads/Staging": 2,
            "Root/Sandbox": 2,
        }

    def test_every_account_but_one_has_the_member_role(self) -> None:
        refused = []
        for name, account in _accounts().items():
            try:
                member = _member(account["Id"])
            except ClientError as error:
                refused.append((name, error.response["Error"]["Code"]))
            else:
                identity = member("sts", "eu-central-1").get_caller_identity()
                assert identity["Account"] == account["Id"]
        assert refused == [("brightcart", "AccessDenied")]

    def test_regions_differ_by_account(self) -> None:
        regions = {
            name: _enabled(_member(account["Id"]))
            for name, account in _accounts().items()
            if name != "brightcart"
        }
        assert {len(enabled) for enabled in regions.values()} == {4, 5, 6}
        assert len({tuple(enabled) for enabled in regions.values()}) > 5
        assert "eu-central-2" in regions["shared-services"]

    def test_repositories(self) -> None:
        counts: Counter[str] = Counter()
        mutable: Counter[str] = Counter()
        largest = 0
        for name, account in _accounts().items():
            if name in ("brightcart", "hackathon-2025"):
                continue
            member = _member(account["Id"])
            for region in _enabled(member):
                found = _repositories(member, region)
                largest = max(largest, len(found))
                counts.update(repository["imageTagMutability"] for repository in found)
                mutable.update(
                    repository["repositoryName"].split("/")[0]
                    for repository in found
                    if repository["imageTagMutability"] == "MUTABLE"
                )
        assert largest == 1234
        assert counts == {
            "IMMUTABLE": 1372,
            "IMMUTABLE_WITH_EXCLUSION": 14,
            "MUTABLE": 73,
            "MUTABLE_WITH_EXCLUSION": 9,
        }
        assert mutable == {
            "docker-hub": 12,
            "notebooks": 12,
            "replica": 3,
            "sandbox": 15,
            "spark": 11,
            "storefront": 14,
            "training": 6,
        }

    def test_the_pull_through_cache_rule(self) -> None:
        member = _member(_accounts()["shared-services"]["Id"])
        client = member("ecr", "eu-central-1")
        (rule,) = client.describe_pull_through_cache_rules()["pullThroughCacheRules"]
        assert rule["ecrRepositoryPrefix"] == "docker-hub"


def test_the_configuration_is_valid(demo: dict[str, Any]) -> None:
    config = load(options=demo).config
    today = datetime.now(UTC).date()
    expired = [
        isinstance(rule.expires, date) and rule.expires < today for rule in config.exemptions
    ]
    assert expired == [False, True]
    assert set(config.report.formats) >= {"json", "csv"}
    assert Config(**demo).organization.role_name == ROLE


def test_built_the_same_every_time(demo: dict[str, Any]) -> None:
    ids = {name: account["Id"] for name, account in _accounts().items()}
    root = boto3.client("organizations").list_roots()["Roots"][0]["Id"]
    assert ids["shared-services"] == "331882531083"
    assert root == "r-pn0n"


def test_credentials_put_the_persons_own_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
        "AWS_PROFILE": "real",
        "AWS_ENDPOINT_URL_STS": "https://real.example.com",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/real/token",
        "MOTO_ACCOUNT_ID": "999999999999",
    }
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with contextlib.suppress(KeyError), organization.credentials():
        inside = dict(os.environ)
        os.environ["AWS_ADDED_INSIDE"] = "gone afterwards"
        raise KeyError
    assert dict(os.environ) == before
    assert inside["AWS_ACCESS_KEY_ID"] != "AKIAREAL"
    assert inside["AWS_EC2_METADATA_DISABLED"] == "true"
    assert inside["AWS_CONFIG_FILE"] == os.devnull
    assert set(own) & set(inside) == {"AWS_ACCESS_KEY_ID"}


def test_without_moto_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moto", None)
    with (
        # No name on a package index: who has it there?
        pytest.raises(ConfigurationError, match=r"run make demo, or pip install '\.\[demo\]'$"),
        demo_organization(),
    ):
        pass
