"""The way it is usually written: a session for each account, a client for each region, threads."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

THREADS = 32
ROLE = "ecr-immutability-sweeper"
MUTABLE = ("MUTABLE", "MUTABLE_WITH_EXCLUSION")


def sweep_account(sts: STSClient, account_id: str) -> tuple[int, int, int]:
    """Targets, repositories and tag-mutable repositories of one account."""
    keys = sts.assume_role(
        RoleArn=f"arn:aws:iam::{account_id}:role/{ROLE}", RoleSessionName="usual"
    )["Credentials"]
    session = boto3.Session(
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    targets = repositories = found = 0
    regions = session.client("account", region_name="us-east-1").get_paginator("list_regions")
    enabled = regions.paginate(RegionOptStatusContains=["ENABLED", "ENABLED_BY_DEFAULT"])
    for region in [region["RegionName"] for page in enabled for region in page["Regions"]]:
        targets += 1
        ecr = session.client("ecr", region_name=region)
        for page in ecr.get_paginator("describe_repositories").paginate():
            for repository in page["repositories"]:
                repositories += 1
                found += repository["imageTagMutability"] in MUTABLE
    return targets, repositories, found


def main() -> None:
    """Sweep the organization and print the counts."""
    organizations = boto3.client("organizations")
    accounts = [
        account["Id"]
        for page in organizations.get_paginator("list_accounts").paginate()
        for account in page["Accounts"]
    ]
    sts = boto3.client("sts")
    with ThreadPoolExecutor(THREADS) as pool:
        counts = list(pool.map(lambda account_id: sweep_account(sts, account_id), accounts))
    targets, repositories, found = (sum(column) for column in zip(*counts, strict=True))
    print(json.dumps({"targets": targets, "repositories": repositories, "found": found}))


if __name__ == "__main__":
    main()
