"""Which partition, which region: no ARN and no endpoint is spelled out by hand."""

from __future__ import annotations

from sweeper.aws.clients import Session

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
    """The region from which the partition's global services are served."""
    for known in session.core.get_component("data_loader").load_data("partitions")["partitions"]:
        if known["id"] == partition:
            return str(known["outputs"]["implicitGlobalRegion"])
    return FALLBACK_REGION


def sts_region(session: Session, partition: str, caller_region: str | None) -> str:
    """Where roles are assumed: the caller's region where every account has it, else the first.

    The target account must have the region enabled, and an opt-in region may not be.
    """
    if caller_region and (partition != "aws" or caller_region in ON_BY_DEFAULT):
        return caller_region
    return first_region(session, partition)


def known_regions(session: Session) -> frozenset[str]:
    """Every region of every partition that this version of the SDK knows."""
    return frozenset(
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions(
            "ecr", partition_name=partition, allow_non_regional=False
        )
    )
