"""Which partition, which region: no ARN and no endpoint is spelled out by hand."""

from __future__ import annotations

import re
from typing import Any

from sweeper.aws.client.clients import Session

# The regions that every account of the aws partition has without opting in; later ones are
# opt-in. https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html
ON_BY_DEFAULT = {
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
}
FALLBACK_REGION = "us-east-1"


def partition_of(arn: str) -> str:
    """``aws``, ``aws-cn``, … of an ARN."""
    return arn.split(":")[1]


def first_region(session: Session, partition: str) -> str:
    """Return the region from which the partition's global services are served."""
    for known in _partitions(session):
        if known["id"] == partition:
            return str(known["outputs"]["implicitGlobalRegion"])
    return FALLBACK_REGION


def sts_region(session: Session, partition: str, caller_region: str | None) -> str:
    """Return the region to assume roles in: the caller's if every account has it, else the first.

    The target account must have the region enabled, and an opt-in region may not be.
    """
    if caller_region and (partition != "aws" or caller_region in ON_BY_DEFAULT):
        return caller_region
    return first_region(session, partition)


def known_regions(session: Session) -> frozenset[str]:
    """Return every region of every partition that this version of the SDK lists.

    In partitions.json, which lists regions that the SDK's endpoints do not.
    """
    return frozenset(
        region
        for partition in _partitions(session)
        for region in partition["regions"]
        if not region.endswith("-global")
    )


def regions_of_partition(session: Session) -> frozenset[str]:
    """Return every region of the caller's partition that this version of the SDK lists."""
    own = session.region_name
    regions = next((each["regions"] for each in _partitions(session) if own in each["regions"]), ())
    return frozenset(region for region in regions if not region.endswith("-global"))


def is_region(session: Session, name: str) -> bool:
    """Return whether a partition has, or may soon have, a region of this name."""
    return any(re.match(each["regionRegex"], name) for each in _partitions(session)) or (
        name in known_regions(session)
    )


def _partitions(session: Session) -> list[dict[str, Any]]:
    data = session.core.get_component("data_loader").load_data("partitions")
    return list(data["partitions"])
