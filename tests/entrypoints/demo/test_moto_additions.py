"""What is added to moto answers as AWS does, through real clients, and is gone afterwards."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.account import urls as account_urls
from moto.account.responses import AccountResponse
from moto.core.botocore_stubber import BotocoreStubber
from moto.ecr.models import ecr_backends
from moto.ecr.responses import ECRResponse
from moto.iam.models import iam_backends
from moto.organizations.models import FakeAccount
from moto.sts.responses import TokenResponse

from sweeper.aws.client.partitions import ON_BY_DEFAULT
from sweeper.entrypoints.demo.moto_additions import Additions, install
from tests.cases import case

REGION = "eu-central-1"
OWN_ACCOUNT, OTHER_ACCOUNT = "123456789012", "222222222222"
PATCHED = (AccountResponse, BotocoreStubber, ECRResponse, FakeAccount, TokenResponse)


@pytest.fixture
def additions() -> Iterator[Additions]:
    with mock_aws(), install() as additions:
        yield additions


def _add_repositories(first: int, end: int) -> list[str]:
    names = [f"team/service-{number:04}" for number in range(first, end)]
    for name in names:
        ecr_backends[OWN_ACCOUNT][REGION].create_repository(name, None, {}, None, "MUTABLE", [])
    return names


def _pages(**pagination: int) -> list[list[str]]:
    paginator = boto3.client("ecr", region_name=REGION).get_paginator("describe_repositories")
    return [
        [repository["repositoryName"] for repository in page["repositories"]]
        for page in paginator.paginate(PaginationConfig=pagination)  # type: ignore[arg-type]
    ]


def _code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


@pytest.mark.usefixtures("additions")
class TestDescribeRepositories:
    def test_pages(self) -> None:
        """Of a hundred unless asked, of a thousand at most; not where names are given."""
        assert _pages() == [[]]
        _add_repositories(0, 100)
        assert [len(page) for page in _pages()] == [100]
        _add_repositories(100, 101)
        assert [len(page) for page in _pages()] == [100, 1]
        names = _add_repositories(101, 1001)
        pages = _pages(PageSize=1000)
        assert [len(page) for page in pages] == [1000, 1]
        assert [name for page in pages for name in page][101:] == names
        client = boto3.client("ecr", region_name=REGION)
        response = client.describe_repositories(repositoryNames=names[:101])
        assert len(response["repositories"]) == 101
        assert "nextToken" not in response

    def test_what_ecr_refuses(self) -> None:
        client = boto3.client("ecr", region_name=REGION)
        refused: list[tuple[dict[str, Any], str]] = [
            ({"repositoryNames": ["no"]}, "RepositoryNotFoundException"),
            ({"maxResults": 1001}, "InvalidParameterException"),
            ({"nextToken": "not one"}, "InvalidParameterException"),
        ]
        for parameters, code in refused:
            with case(parameters):
                with pytest.raises(ClientError) as error:
                    client.describe_repositories(**parameters)
                assert _code(error) == code


class TestPutImageTagMutability:
    def test_the_answer_names_the_filters(self, additions: Additions) -> None:
        (name,) = _add_repositories(0, 1)
        filters: Any = [{"filterType": "WILDCARD", "filter": "latest"}]
        client = boto3.client("ecr", region_name=REGION)
        response = client.put_image_tag_mutability(
            repositoryName=name,
            imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
            imageTagMutabilityExclusionFilters=filters,
        )
        assert response["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
        assert response["imageTagMutabilityExclusionFilters"] == filters
        response = client.put_image_tag_mutability(
            repositoryName=name, imageTagMutability="IMMUTABLE"
        )
        assert "imageTagMutabilityExclusionFilters" not in response
        (described,) = client.describe_repositories(repositoryNames=[name])["repositories"]
        assert described["imageTagMutability"] == "IMMUTABLE"
        assert not described.get("imageTagMutabilityExclusionFilters")


class TestListRegions:
    def _regions(self, **parameters: Any) -> dict[str, str]:
        paginator = boto3.client("account", region_name=REGION).get_paginator("list_regions")
        return {
            region["RegionName"]: region["RegionOptStatus"]
            for page in paginator.paginate(**parameters)
            for region in page["Regions"]
        }

    def test_what_is_on_by_default(self, additions: Additions) -> None:
        regions = self._regions()
        assert {name for name in regions if regions[name] != "DISABLED"} == ON_BY_DEFAULT
        assert len(regions) > len(ON_BY_DEFAULT)

    def test_differs_by_account(self, additions: Additions) -> None:
        additions.enable_regions(OWN_ACCOUNT, ["eu-west-1", "eu-central-2"])
        regions = self._regions(PaginationConfig={"PageSize": 7})
        assert {name: status for name, status in regions.items() if status != "DISABLED"} == {
            "eu-west-1": "ENABLED_BY_DEFAULT",
            "eu-central-2": "ENABLED",
        }
        assert self._regions(RegionOptStatusContains=["ENABLED"]) == {"eu-central-2": "ENABLED"}
        assert self._regions(AccountId=OTHER_ACCOUNT)["us-east-1"] == "ENABLED_BY_DEFAULT"

    def test_an_unknown_region_is_refused(self, additions: Additions) -> None:
        with pytest.raises(ValueError, match="mars-north-1"):
            additions.enable_regions(OWN_ACCOUNT, ["mars-north-1"])


class TestPullThroughCacheRules:
    def test_of_the_registry_asked(self, additions: Additions) -> None:
        additions.add_pull_through_cache_rule(OWN_ACCOUNT, REGION, "quay", "quay.io")
        client = boto3.client("ecr", region_name=REGION)
        (rule,) = client.describe_pull_through_cache_rules()["pullThroughCacheRules"]
        assert (rule["ecrRepositoryPrefix"], rule["upstreamRegistryUrl"]) == ("quay", "quay.io")
        elsewhere = boto3.client("ecr", region_name="eu-west-1")
        assert elsewhere.describe_pull_through_cache_rules()["pullThroughCacheRules"] == []


@pytest.mark.usefixtures("additions")
class TestAssumeRole:
    def test_a_role_that_does_not_exist_is_refused(self) -> None:
        arn = f"arn:aws:iam::{OTHER_ACCOUNT}:role/absent"
        with pytest.raises(ClientError) as error:
            boto3.client("sts", region_name=REGION).assume_role(RoleArn=arn, RoleSessionName="test")
        assert _code(error) == "AccessDenied"
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert (
            f"is not authorized to perform: sts:AssumeRole on resource: {arn}"
            in error.value.response["Error"]["Message"]
        )

    def test_a_role_that_exists_leads_into_its_account(self) -> None:
        iam_backends[OTHER_ACCOUNT]["aws"].create_role("present", "{}", "/", None, "", [], "3600")
        response = boto3.client("sts", region_name=REGION).assume_role(
            RoleArn=f"arn:aws:iam::{OTHER_ACCOUNT}:role/present", RoleSessionName="test"
        )
        keys = response["Credentials"]
        member = boto3.client(
            "sts",
            region_name=REGION,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )
        assert member.get_caller_identity()["Account"] == OTHER_ACCOUNT


def test_one_request_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = threading.Semaphore(1)
    overlaps = []
    original = BotocoreStubber.process_request

    def observed(self: BotocoreStubber, request: Any) -> Any:
        if not inside.acquire(blocking=False):
            overlaps.append(request.url)
            return original(self, request)
        time.sleep(0.001)
        response = original(self, request)
        inside.release()
        return response

    monkeypatch.setattr(BotocoreStubber, "process_request", observed)
    with mock_aws(), install(), ThreadPoolExecutor(8) as pool:
        client = boto3.client("sts", region_name=REGION)
        list(pool.map(lambda _: client.get_caller_identity(), range(40)))
    assert overlaps == []


def test_an_account_has_the_path_that_was_set(additions: Additions) -> None:
    client = boto3.client("organizations", region_name=REGION)
    client.create_organization(FeatureSet="ALL")
    created = client.create_account(AccountName="a", Email="a@example.com")
    account_id = created["CreateAccountStatus"]["AccountId"]
    additions.set_path(account_id, f"o-1/r-1/{account_id}/")
    paths = {item["Id"]: item.get("Paths") for item in client.list_accounts()["Accounts"]}
    assert paths == {OWN_ACCOUNT: None, account_id: [f"o-1/r-1/{account_id}/"]}


def test_everything_is_put_back_even_after_an_error() -> None:
    def state() -> list[dict[str, Any]]:
        return [dict(vars(owner)) for owner in PATCHED] + [dict(account_urls.url_paths)]

    before = state()
    with contextlib.suppress(KeyError), install():
        inside = state()
        raise KeyError
    assert inside != before
    assert state() == before
