"""The organizations that are swept, and what a sweep of them must find."""

from __future__ import annotations

from dataclasses import dataclass

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
    """An organization with one tag-mutable repository an account; every other one is immutable.

    So few findings that what is measured is the sweep, and enough to see that it was done. They
    have no `/` in their names, so that an audit need not ask for pull-through cache rules. In
    every tenth account the mutability is MUTABLE_WITH_EXCLUSION.
    """
    closed = tuple(
        Repository(f"closed-{index}", "IMMUTABLE") for index in range(1, REPOSITORIES_PER_TARGET)
    )
    half_open = Repository("half-open", "MUTABLE_WITH_EXCLUSION", ("latest",))
    world = World.generate(
        accounts,
        regions,
        REPOSITORIES_PER_TARGET,
        non_compliant_share=0.0,
        latency=latency,
        registries=(
            Registry("0*", _WITH_A_FINDING, repositories=(half_open, *closed)),
            Registry("*", _WITH_A_FINDING, repositories=(Repository("open"), *closed)),
        ),
    )
    targets = accounts * regions
    return world, Truth(targets, targets * REPOSITORIES_PER_TARGET, accounts)


def throttled_accounts(world: World, count: int) -> tuple[str, ...]:
    """`count` accounts, spread evenly over the organization; the management account is not one."""
    members = world.accounts[1:]
    return tuple(members[index * len(members) // count].id for index in range(count))


def throttling(accounts: tuple[str, ...], service: str) -> tuple[Fault, ...]:
    """Every call to the service (a glob) that acts upon one of the accounts, for ever."""
    return tuple(Fault("throttle", service=service, account=account) for account in accounts)
