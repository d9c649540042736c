"""Which partition and which region."""

from __future__ import annotations

from sweeper.aws.client.clients import Session
from sweeper.aws.client.partitions import first_region, known_regions, sts_region
from tests.cases import case

SESSION = Session()


def test_roles_are_assumed_where_every_account_can() -> None:
    cases: list[tuple[str, str | None, str]] = [
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
    ]
    for partition, caller_region, chosen in cases:
        with case(partition, caller_region, chosen):
            assert sts_region(SESSION, partition, caller_region) == chosen


def test_the_first_region_is_one_that_the_sdk_knows() -> None:
    for partition in SESSION.get_available_partitions():
        assert first_region(SESSION, partition)


def test_regions_of_every_partition_are_known() -> None:
    known = known_regions(SESSION)
    assert {"eu-central-1", "af-south-1", "cn-north-1", "us-gov-west-1"} <= known
    assert not {"eu-centrall-1", "aws-global", "fips-us-east-1"} & known
