"""A listing that goes round in a circle, or has no end, is an error: no thread is kept for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from sweeper.aws.client import paging
from sweeper.aws.client.paging import PageTokens
from sweeper.aws.ecr import EcrRegistry
from sweeper.checks.creation_template_immutability import CreationTemplateImmutability
from sweeper.checks.tag_immutability import TagImmutability
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from tests.aws.conftest import Enter
from tests.aws.support import REGION, make_cloud, opened, target
from tests.fake_aws import world
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import CreationTemplate, PullThroughRule, Registry, World

COUNT = 2500  # three pages
REGISTRY = Registry(
    repositories=(
        world.Repository(
            "app", images=tuple(world.Image(f"sha256:{n:064x}", (f"1.{n}",)) for n in range(COUNT))
        ),
        *(world.Repository(f"app-{number}") for number in range(COUNT)),
    ),
    pull_through_rules=tuple(PullThroughRule(f"cache-{number}") for number in range(COUNT)),
    creation_templates=tuple(CreationTemplate(f"team-{number:04}") for number in range(COUNT)),
)
LISTINGS: dict[str, Callable[[EcrRegistry, FakeAws], Iterable[object]]] = {
    "DescribeRepositories": lambda registry, aws: registry.repositories(target(aws)),
    "DescribeImages": lambda registry, aws: registry.images(target(aws), "app"),
    "DescribePullThroughCacheRules": lambda registry, aws: registry.pull_through_cache_prefixes(
        target(aws)
    ),
    "DescribeRepositoryCreationTemplates": lambda registry, aws: (
        registry.repository_creation_templates(target(aws))
    ),
}


class Everything(TagImmutability):
    """What all listings need."""

    read_actions = TagImmutability.read_actions | CreationTemplateImmutability.read_actions


class Circle:
    """Leads from the last page to the second again: the tokens are A, B, A, B, and so on."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._first: str | None = None

    def __call__(self, parsed: dict[str, Any], **_: object) -> None:
        self._first = self._first or parsed[self._name]
        parsed.setdefault(self._name, self._first)


def _registry(aws: FakeAws, operation: str, *handlers: Circle) -> EcrRegistry:
    cloud = opened(aws, check=Everything, assesses=True)
    for handler in handlers:
        cloud.clients.member("ecr", REGION).meta.events.register(
            f"after-call.ecr.{operation}", handler
        )
    aws.reset_statistics()
    return EcrRegistry(cloud.clients)


@pytest.mark.parametrize("operation", LISTINGS)
def test_a_circle_is_noticed(enter: Enter, operation: str) -> None:
    aws = enter(World.generate(accounts=2, regions=2, registries=(REGISTRY,)))
    registry = _registry(aws, operation, Circle("nextToken"))
    with pytest.raises(OperationFailed, match="twice: the listing would never end") as caught:
        for _ in LISTINGS[operation](registry, aws):
            pass
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE
    assert aws.statistics().calls == {f"ecr:{operation}": 3}


@pytest.mark.parametrize("operation", LISTINGS)
def test_no_listing_has_more_pages_than_the_limit(
    enter: Enter, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = enter(World.generate(accounts=2, regions=2, registries=(REGISTRY,)))
    monkeypatch.setattr(paging, "MAX_PAGES", 3)
    assert len(list(LISTINGS[operation](_registry(aws, operation), aws))) >= COUNT
    monkeypatch.setattr(paging, "MAX_PAGES", 2)
    with pytest.raises(OperationFailed, match="another page after 2: ") as caught:
        for _ in LISTINGS[operation](_registry(aws, operation), aws):
            pass
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE
    assert aws.statistics().calls == {f"ecr:{operation}": 2}


def test_a_circle_of_accounts_is_noticed(enter: Enter) -> None:
    enter(World.generate(accounts=45, regions=1))
    cloud = make_cloud()
    cloud.clients.central("organizations", REGION).meta.events.register(
        "after-call.organizations.ListAccounts", Circle("NextToken")
    )
    with pytest.raises(OperationFailed, match="twice: the listing would never end") as caught:
        cloud.list_accounts()
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE


def test_a_circle_of_regions_is_noticed(enter: Enter) -> None:
    aws = enter(World.generate(accounts=2, regions=2))
    cloud = make_cloud()
    accounts = {account.id: account for account in cloud.list_accounts().accounts}
    client = cloud.clients.member("account", REGION)
    tokens = iter("ABABABAB")
    client.meta.events.register(
        "after-call.account.ListRegions", lambda parsed, **_: parsed.update(NextToken=next(tokens))
    )
    # The fake knows no such token.
    client.meta.events.register(
        "provide-client-params.account.ListRegions",
        lambda params, **_: {name: params[name] for name in params if name != "NextToken"},
    )
    with pytest.raises(OperationFailed, match="twice: the listing would never end") as caught:
        cloud.open_account(accounts[aws.world.accounts[0].id])
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE


def test_the_limit_holds_where_each_token_is_new() -> None:
    tokens = PageTokens()
    for number in range(paging.MAX_PAGES - 1):
        tokens.follow({"NextToken": str(number)})
    with pytest.raises(OperationFailed, match="another page after 10,000"):
        tokens.follow({"NextToken": "new"})
