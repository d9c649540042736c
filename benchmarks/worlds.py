"""The organizations that are swept, and what a sweep of them must find."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tests.fake_aws.generate import DEFAULT_REGIONS
from tests.fake_aws.world import Fault, Registry, Repository, World

REGIONS = 17
REPOSITORIES_PER_TARGET = 5
LATENCY_SECONDS = 0.05
# What generated IMMUTABLE_WITH_EXCLUSION repositories exclude: sweeper is told that they are fine,
# the others look at the mutability alone.
FILTERS = ("latest", "sha256-*", "cache", "pr-*", "dev-*-tmp", "nightly")
_WITH_A_FINDING = "us-east-1"


@dataclass(frozen=True, slots=True)
class Truth:
    """What there is: account-regions, repositories, and those whose tags can be overwritten."""

    targets: int
    repositories: int
    found: int


def organization(
    accounts: int, regions: int = REGIONS, *, latency: float = LATENCY_SECONDS
) -> tuple[World, Truth]:
    """Build an organization with one tag-mutable repository an account; all others are immutable.

    So few findings that what is measured is the sweep, and enough to see that it was done.
    """
    return _organization(accounts, regions, {_WITH_A_FINDING: 1}, latency)


def first_sweep(accounts: int) -> tuple[World, Truth]:
    """Build an organization before anyone fixed it: a third of its repositories are mutable.

    In every account 29 of 85 repositories, one or two of the five in each region.
    """
    mutable = {name: 1 + (index < 12) for index, name in enumerate(DEFAULT_REGIONS)}
    return _organization(accounts, REGIONS, mutable, LATENCY_SECONDS)


def _organization(
    accounts: int, regions: int, mutable: Mapping[str, int], latency: float
) -> tuple[World, Truth]:
    """Build an organization with so many tag-mutable repositories in each account's regions.

    They have no `/` in their names, so that an audit need not ask for pull-through cache rules. In
    every tenth account the mutability is MUTABLE_WITH_EXCLUSION.
    """

    def registry(accounts: str, region: str, count: int, repository: Repository) -> Registry:
        found = [replace(repository, name=f"{repository.name}-{index}") for index in range(count)]
        closed = [
            Repository(f"closed-{index}", "IMMUTABLE")
            for index in range(count, REPOSITORIES_PER_TARGET)
        ]
        return Registry(accounts, region, repositories=(*found, *closed))

    kinds = {
        "0*": Repository("half-open", "MUTABLE_WITH_EXCLUSION", ("latest",)),
        "*": Repository("open"),
    }
    world = World.generate(
        accounts,
        regions,
        REPOSITORIES_PER_TARGET,
        non_compliant_share=0.0,
        latency=latency,
        registries=tuple(
            registry(glob, region, count, repository)
            for region, count in mutable.items()
            for glob, repository in kinds.items()
        ),
    )
    targets = accounts * regions
    found = accounts * sum(mutable.get(region, 0) for region in world.regions)
    return world, Truth(targets, targets * REPOSITORIES_PER_TARGET, found)


def throttled_accounts(world: World, count: int) -> tuple[str, ...]:
    """`count` accounts, spread evenly over the organization; the management account is not one."""
    members = world.accounts[1:]
    return tuple(members[index * len(members) // count].id for index in range(count))


def throttling(accounts: tuple[str, ...], service: str) -> tuple[Fault, ...]:
    """Throttle every call to the service (a glob) upon one of the accounts, for ever."""
    return tuple(Fault("throttle", service=service, account=account) for account in accounts)
