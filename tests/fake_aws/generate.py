"""Deterministic contents: a whole organization, and the repositories of one registry at a time.

Repositories are computed from (seed, account, region, index) whenever they are asked for, so that
ten thousand accounts times seventeen regions need no memory.
"""

from __future__ import annotations

import dataclasses
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from tests.fake_aws import load
from tests.fake_aws.world import (
    Account,
    Caller,
    Mutability,
    Partition,
    RegionStatus,
    Repository,
    Unit,
    World,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_REGIONS = (
    *(
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
        "eu-west-1",
        "eu-central-1",
        "ap-northeast-1",
    ),
    *(
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "ca-central-1",
    ),
    *("eu-north-1", "eu-west-2", "eu-west-3", "sa-east-1"),
)
OPT_IN_REGIONS = (
    *("af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4"),
    *(
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-west-1",
        "eu-central-2",
        "eu-south-1",
    ),
    *("eu-south-2", "il-central-1", "me-central-1", "me-south-1", "mx-central-1"),
)
GLOBAL_REGION: dict[str, str] = {
    "aws": "us-east-1",
    "aws-cn": "cn-northwest-1",
    "aws-us-gov": "us-gov-west-1",
}
DNS_SUFFIX: dict[str, str] = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-us-gov": "amazonaws.com",
}
_OTHER_PARTITIONS: dict[str, tuple[str, ...]] = {
    "aws-cn": ("cn-northwest-1", "cn-north-1"),
    "aws-us-gov": ("us-gov-west-1", "us-gov-east-1"),
}
HOSTILE_NAMES = (
    "<script>alert(1)</script>",
    '=cmd|" /C calc"!A0',
    "bell\x07 escape\x1b[31mred\x1b[0m",
    "two\nlines\r\nthree",
    "| pipe | `tick` | [link](javascript:alert(1))",
    "right\u202eto left \N{PILE OF POO}",
)
_TEAMS = ("payments", "search", "platform", "ml", "mobile", "data", "edge", "core")
_APPS = ("api", "worker", "web", "batch", "proxy", "cron", "gateway", "sidecar")
_FILTERS = (("latest",), ("sha256-*", "cache"), ("pr-*",), ("dev-*-tmp", "latest", "nightly"))
_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15


def region_states(partition: Partition, count: int) -> dict[str, RegionStatus]:
    """Give the first `count` regions as enabled and the other opt-in ones as disabled."""
    if partition != "aws":
        return dict.fromkeys(_OTHER_PARTITIONS[partition][:count], "ENABLED_BY_DEFAULT")
    states: dict[str, RegionStatus] = dict.fromkeys(DEFAULT_REGIONS[:count], "ENABLED_BY_DEFAULT")
    opted_in = max(0, count - len(DEFAULT_REGIONS))
    for index, region in enumerate(OPT_IN_REGIONS):
        states[region] = "ENABLED" if index < opted_in else "DISABLED"
    return states


def account_id(seed: int, index: int) -> str:
    """Give distinct account ids; every tenth, the first included, starts with 0."""
    return f"{index % 10}{(seed * 1_000_003 + (index + 1) * 104_729_104_729) % 10**11:011d}"


def world(
    accounts: int,
    regions: int,
    repositories_per_target: int,
    seed: int,
    *,
    hostile_names: bool,
    changes: Mapping[str, object],
) -> World:
    """Build `World.generate`'s world; raises `load.WorldError` for a change that does not fit."""
    decoded: dict[str, Any] = {
        name: load.decode_field(World, name, value) for name, value in changes.items()
    }
    partition: Partition = decoded.get("partition", "aws")
    mode = decoded.get("caller_mode", "management")
    units = _units()
    members = tuple(
        _account(seed, index, units, hostile=hostile_names) for index in range(accounts)
    )
    management = members[0].id
    delegated = members[1].id if accounts > 1 else management
    central = {"management": management, "not_in_organization": "987654321098"}.get(mode, delegated)
    region = GLOBAL_REGION[partition]
    made = World(
        seed=seed,
        caller=Caller(
            account=central, principal_arn=f"arn:{partition}:iam::{central}:user/central"
        ),
        accounts=members,
        regions=region_states(partition, regions),
        management_account=management,
        delegated_administrators=(delegated,) if mode == "delegated" else (),
        units=units,
        repositories_per_target=repositories_per_target,
        buckets=load.decode_field(
            World, "buckets", [{"name": "sweeper-reports", "region": region}]
        ),
        topics=(f"arn:{partition}:sns:{region}:{central}:sweeper",),
    )
    made = dataclasses.replace(made, **decoded)
    load.check(made)
    return made


def _units() -> tuple[Unit, ...]:
    def unit(number: int, name: str, parent: str) -> Unit:
        return Unit(id=f"ou-fake-{number:08d}", name=name, parent=parent)

    return (
        unit(1, "Security", "r-fake"),
        unit(2, "Workloads", "r-fake"),
        unit(3, "Production", "ou-fake-00000002"),
        unit(4, "Development", "ou-fake-00000002"),
        unit(5, "Payments", "ou-fake-00000003"),
        unit(6, "Sandbox", "r-fake"),
    )


def _account(seed: int, index: int, units: tuple[Unit, ...], *, hostile: bool) -> Account:
    name = "management" if index == 0 else f"{_TEAMS[index % len(_TEAMS)]}-{index}"
    if hostile and index:
        name = HOSTILE_NAMES[(index - 1) % len(HOSTILE_NAMES)]
    return Account(
        id=account_id(seed, index),
        name=name,
        email=f"aws+{index}@example.com",
        parent="" if index == 0 else units[(index - 1) % len(units)].id,
        tags={"team": _TEAMS[index % len(_TEAMS)]},
    )


def repositories(  # noqa: PLR0917 - all that a registry follows from
    seed: int,
    account: str,
    region: str,
    count: int,
    share: float,
    start: int = 0,
    stop: int | None = None,
) -> list[Repository]:
    """Give repositories `start` to `stop` of `count`; round(count * share) are non-compliant.

    Non-compliant here is MUTABLE or MUTABLE_WITH_EXCLUSION.
    """
    base = int.from_bytes(
        blake2b(f"{seed}/{account}/{region}".encode(), digest_size=8).digest(), "big"
    )
    open_ones = round(count * share)
    made = []
    for index in range(start, count if stop is None else min(stop, count)):
        bits = ((base ^ index) * _STEP & _MASK) >> 32
        app, excluding = _APPS[bits >> 3 & 7], bits >> 7 & 3 == 0
        name = f"{_TEAMS[bits & 7]}/{app}-{index}" if bits >> 6 & 1 else f"{app}-{index}"
        closed = (index + base) % count >= open_ones
        mutability: Mutability
        if closed:
            mutability = "IMMUTABLE_WITH_EXCLUSION" if excluding else "IMMUTABLE"
        else:
            mutability = "MUTABLE_WITH_EXCLUSION" if excluding else "MUTABLE"
        made.append(Repository(name, mutability, _FILTERS[bits >> 9 & 3] if excluding else ()))
    return made
