"""Which partition and which region."""

from __future__ import annotations

import pytest

from sweeper.aws.clients import Session
from sweeper.aws.partitions import first_region, known_regions, partition_of, sts_region

SESSION = Session()


@pytest.mark.parametrize(
    ("arn", "partition"),
    [
        ("arn:aws:iam::111111111111:user/x", "aws"),
        ("arn:aws-cn:sts::111111111111:assumed-role/x/y", "aws-cn"),
        ("arn:aws-us-gov:iam::111111111111:root", "aws-us-gov"),
    ],
)
def test_the_partition_is_that_of_the_caller(arn: str, partition: str) -> None:
    assert partition_of(arn) == partition


@pytest.mark.parametrize(
    ("partition", "caller_region", "chosen"),
    [
        ("aws", "eu-central-1", "eu-central-1"),
        ("aws", "us-west-2", "us-west-2"),
        ("aws", "af-south-1", "us-east-1"),
        ("aws", "eu-central-2", "us-east-1"),
        ("aws", "mx-central-1", "us-east-1"),
        ("aws", None, "us-east-1"),
        ("aws-cn", "cn-north-1", "cn-north-1"),
        ("aws-cn", None, "cn-northwest-1"),
        ("aws-us-gov", "us-gov-east-1", "us-gov-east-1"),
        ("aws-us-gov", None, "us-gov-west-1"),
        ("aws-iso", None, "us-iso-east-1"),
        ("aws-of-tomorrow", None, "us-east-1"),
    ],
)
def test_roles_are_assumed_where_every_account_can(
    partition: str, caller_region: str | None, chosen: str
) -> None:
    assert sts_region(SESSION, partition, caller_region) == chosen


def test_the_first_region_is_one_that_the_sdk_knows() -> None:
    for partition in SESSION.get_available_partitions():
        assert first_region(SESSION, partition)


def test_regions_of_every_partition_are_known() -> None:
    known = known_regions(SESSION)
    assert {"eu-central-1", "af-south-1", "cn-north-1", "us-gov-west-1"} <= known
    assert not {"eu-centrall-1", "aws-global", "fips-us-east-1"} & known
