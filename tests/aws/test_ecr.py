"""ECR of one account and region: every page of it, or an error."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sweeper.aws.client.clients import ActionRefused
from sweeper.aws.ecr import EcrRegistry
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Image, Repository
from sweeper.domain.reasons import Reason
from tests.aws.conftest import Enter
from tests.aws.support import opened, target
from tests.cases import case
from tests.fake_aws import world
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault, PullThroughRule, Registry, World


def _entered(enter: Enter, *registries: Registry) -> FakeAws:
    return enter(World.generate(accounts=2, regions=2, registries=registries))


def _registry(aws: FakeAws, **arguments: bool) -> EcrRegistry:
    registry = EcrRegistry(opened(aws, **arguments).clients)
    aws.reset_statistics()
    return registry


def test_all_pages_are_read(enter: Enter) -> None:
    aws = _entered(enter, Registry(count=2500))
    found = list(_registry(aws).repositories(target(aws)))
    assert len({repository.name for repository in found}) == len(found) == 2500
    assert aws.statistics().calls == {"ecr:DescribeRepositories": 3}


def test_an_empty_registry_has_no_repository(enter: Enter) -> None:
    aws = _entered(enter, Registry(repositories=()))
    assert list(_registry(aws).repositories(target(aws))) == []


def test_the_facts_are_those_of_ecr(enter: Enter) -> None:
    given = world.Repository("a/b", "IMMUTABLE_WITH_EXCLUSION", ("latest", "pr-*"))
    aws = _entered(enter, Registry(repositories=(given,)))
    (found,) = _registry(aws).repositories(target(aws))
    arn = f"arn:aws:ecr:us-east-1:{aws.world.accounts[0].id}:repository/a/b"
    types = ("WILDCARD", "WILDCARD")
    assert found == Repository("a/b", arn, "IMMUTABLE_WITH_EXCLUSION", ("latest", "pr-*"), types)


@pytest.mark.parametrize("count", [0, 2])
def test_one_repository_is_asked_for(aws: FakeAws, count: int) -> None:
    cloud = opened(aws)
    registry = EcrRegistry(cloud.clients)
    name = next(repository.name for repository in registry.repositories(target(aws)))
    cloud.clients.member("ecr", "us-east-1").meta.events.register(
        "after-call.ecr.DescribeRepositories",
        lambda parsed, **_: parsed.update(repositories=parsed["repositories"][:1] * count),
    )
    with pytest.raises(OperationFailed, match=f"^{count} repositories") as caught:
        registry.repository(target(aws), name)
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE


def test_a_filter_type_that_is_not_known_is_kept(aws: FakeAws) -> None:
    cloud = opened(aws)
    client = cloud.clients.member("ecr", "us-east-1")
    filters = [
        {"filterType": "REGEX", "filter": "a"},
        {"filterType": "WILDCARD", "filter": "b"},
    ]

    def edit(parsed: dict[str, Any], **_: object) -> None:
        for item in parsed["repositories"]:
            item["imageTagMutabilityExclusionFilters"] = filters

    client.meta.events.register("after-call.ecr.DescribeRepositories", edit)
    for repository in EcrRegistry(cloud.clients).repositories(target(aws)):
        assert repository.exclusion_filters == ("a", "b")
        assert repository.filter_types == ("REGEX", "WILDCARD")


FAULTS = (
    (Fault("access_denied"), Reason.DENIED),
    (Fault("garbage"), Reason.UNEXPECTED_RESPONSE),
    (Fault("empty"), Reason.UNEXPECTED_RESPONSE),
    (Fault("throttle"), Reason.THROTTLED),
)


def test_a_page_that_fails_fails_the_whole(enter: Enter) -> None:
    aws = _entered(enter, Registry(count=1500))
    registry = _registry(aws)
    for page in (1, 2):
        for fault, reason in FAULTS:
            with case(fault.action, page):
                aws.faults([dataclasses.replace(fault, service="ecr", only_page=page)])
                with pytest.raises(OperationFailed) as caught:
                    list(registry.repositories(target(aws)))
                assert caught.value.reason is reason


def test_the_registry_of_another_account_is_refused(aws: FakeAws) -> None:
    cloud = opened(aws)
    registry = EcrRegistry(cloud.clients)
    mine = target(aws)
    stranger = dataclasses.replace(mine.account, id="999999999999")
    # As if the credentials of one account were used for another.
    cloud._sessions._sessions[stranger.id] = cloud._sessions._sessions[mine.account.id]
    with pytest.raises(OperationFailed, match=mine.account.id) as caught:
        list(registry.repositories(dataclasses.replace(mine, account=stranger)))
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE


def _edited(aws: FakeAws, edit: Callable[[list[dict[str, Any]]], object]) -> EcrRegistry:
    """ECR, whose repositories of each page `edit` changes."""
    cloud = opened(aws)
    cloud.clients.member("ecr", "us-east-1").meta.events.register(
        "after-call.ecr.DescribeRepositories", lambda parsed, **_: edit(parsed["repositories"])
    )
    return EcrRegistry(cloud.clients)


def _refusal(aws: FakeAws, edit: Callable[[list[dict[str, Any]]], object]) -> str:
    with pytest.raises(OperationFailed) as caught:
        list(_edited(aws, edit).repositories(target(aws)))
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE
    return caught.value.message


def test_a_name_or_an_arn_that_an_undo_would_refuse_is_no_answer(enter: Enter) -> None:
    aws = _entered(enter, Registry(repositories=(world.Repository("app"),)))
    arn = f"arn:aws:ecr:us-east-1:{aws.world.accounts[0].id}:repository/app"
    cases = (
        ("repositoryName", "App"),
        ("repositoryName", "ROOT"),
        ("repositoryName", "a"),
        ("repositoryName", "app\n"),
        ("repositoryName", "x" * 257),
        ("repositoryArn", "arn:aws:ecr:app"),
        ("repositoryArn", arn + "s"),
        ("repositoryArn", arn.replace("us-east-1", "eu-west-1")),
        ("repositoryArn", arn.replace("arn:aws:", "arn:other:")),
        ("repositoryArn", "\x1b" + arn),
    )
    for key, value in cases:
        with case(key, value):
            change = {key: value}
            told = _refusal(aws, lambda items, change=change: items[0].update(change))  # type: ignore[misc]
            assert key in told
            assert len(told) < 300


def test_a_repository_that_is_listed_twice_counts_once_or_is_no_answer(enter: Enter) -> None:
    aws = _entered(enter, Registry(repositories=(world.Repository("app"), world.Repository("b/c"))))
    registry = _edited(aws, lambda items: items.extend([dict(item) for item in items]))
    assert [each.name for each in registry.repositories(target(aws))] == ["app", "b/c"]
    filters = [{"filterType": "WILDCARD", "filter": "latest"}]
    for change in (
        {"imageTagMutability": "IMMUTABLE"},
        {"imageTagMutabilityExclusionFilters": filters},
    ):
        for at in (0, 2):  # whichever reading is first
            with case(change, at):
                told = _refusal(
                    aws,
                    lambda items, at=at, change=change: items.insert(at, items[0] | change),  # type: ignore[misc]
                )
                assert "the listing has the repository 'app' twice" in told


def test_one_repository_as_it_is_now(enter: Enter) -> None:
    aws = _entered(enter, Registry(repositories=(world.Repository("app"),)))
    registry, place = _registry(aws), target(aws)
    before = registry.repository(place, "app")
    assert before is not None
    assert before.mutability == "MUTABLE"
    aws.put_repository(place.account.id, place.region, world.Repository("app", "IMMUTABLE"))
    after = registry.repository(place, "app")
    assert after is not None
    assert after.mutability == "IMMUTABLE"


def test_a_repository_that_is_gone_is_none(aws: FakeAws) -> None:
    assert _registry(aws).repository(target(aws), "gone") is None


def test_a_repository_that_cannot_be_read_is_not_gone(aws: FakeAws) -> None:
    registry = _registry(aws)
    aws.faults([Fault("access_denied", operation="DescribeRepositories")])
    with pytest.raises(OperationFailed) as caught:
        registry.repository(target(aws), "app")
    assert caught.value.reason is Reason.DENIED


def test_the_prefixes_of_the_pull_through_cache(enter: Enter) -> None:
    rules = tuple(PullThroughRule(f"cache-{number}") for number in range(3))
    aws = _entered(enter, Registry(pull_through_rules=rules))
    prefixes = _registry(aws).pull_through_cache_prefixes(target(aws))
    assert prefixes == ("cache-0", "cache-1", "cache-2")


def test_a_setting_is_written_with_its_filters(enter: Enter) -> None:
    aws = _entered(enter, Registry(repositories=(world.Repository("app"),)))
    registry, place = _registry(aws, may_write=True), target(aws)
    written = registry.put_image_tag_mutability(
        place, "app", "IMMUTABLE_WITH_EXCLUSION", ("latest", "pr-*")
    )
    assert (written.mutability, written.exclusion_filters) == (
        "IMMUTABLE_WITH_EXCLUSION",
        ("latest", "pr-*"),
    )
    (state,) = aws.repositories(place.account.id, place.region)
    assert (state.mutability, state.exclusion_filters) == (
        written.mutability,
        written.exclusion_filters,
    )
    written = registry.put_image_tag_mutability(place, "app", "IMMUTABLE", ())
    assert (written.mutability, written.exclusion_filters) == ("IMMUTABLE", ())
    assert aws.statistics().writes[-1]["filters"] is None


def test_a_write_answered_with_nothing_is_not_taken_for_done(enter: Enter) -> None:
    aws = _entered(enter, Registry(repositories=(world.Repository("app"),)))
    registry = _registry(aws, may_write=True)
    aws.faults([Fault("garbage", operation="PutImageTagMutability")])
    with pytest.raises(OperationFailed) as caught:
        registry.put_image_tag_mutability(target(aws), "app", "IMMUTABLE", ())
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE


# --- images ---------------------------------------------------------------------------------------


def _with_images(enter: Enter, count: int) -> FakeAws:
    images = tuple(
        world.Image(f"sha256:{number:064x}", (f"1.0.{number}",)) for number in range(count)
    )
    return _entered(enter, Registry(repositories=(world.Repository("app", images=images),)))


def test_images_are_facts_with_their_times(enter: Enter) -> None:
    given = (
        world.Image("sha256:1", ("latest", "1.4.2"), 1_750_000_000.25),
        world.Image("sha256:2", (), 1_750_000_001.0),
    )
    aws = _entered(enter, Registry(repositories=(world.Repository("app", images=given),)))
    first, second = _registry(aws, assesses=True).images(target(aws), "app")
    at = datetime(2025, 6, 15, 15, 6, 40, 250_000, UTC)
    assert first == Image(("latest", "1.4.2"), at)
    assert second == Image((), datetime(2025, 6, 15, 15, 6, 41, tzinfo=UTC))


def test_all_pages_of_images_are_read(enter: Enter) -> None:
    aws = _with_images(enter, 2001)
    found = list(_registry(aws, assesses=True).images(target(aws), "app"))
    assert len({image.tags for image in found}) == len(found) == 2001
    assert aws.statistics().calls == {"ecr:DescribeImages": 3}


def test_no_page_is_read_that_is_not_asked_for(enter: Enter) -> None:
    aws = _with_images(enter, 2001)
    images = iter(_registry(aws, assesses=True).images(target(aws), "app"))
    for _ in range(1000):
        next(images)
    assert aws.statistics().calls == {"ecr:DescribeImages": 1}


def test_a_page_of_images_that_fails_fails_the_whole(enter: Enter) -> None:
    aws = _with_images(enter, 1500)
    registry = _registry(aws, assesses=True)
    for page in (1, 2):
        for fault, reason in FAULTS:
            with case(fault.action, page):
                aws.faults([dataclasses.replace(fault, service="ecr", only_page=page)])
                with pytest.raises(OperationFailed) as caught:
                    list(registry.images(target(aws), "app"))
                assert caught.value.reason is reason


def test_images_with_more_tags_than_are_read_at_once_are_not_read(enter: Enter) -> None:
    """Whoever may push can make it so: it costs one call, and says so."""
    images = tuple(
        world.Image(
            f"sha256:{number:064x}", tuple(f"{number}-{each}-{'x' * 280}" for each in range(1000))
        )
        for number in range(15)
    )
    aws = _entered(enter, Registry(repositories=(world.Repository("app", images=images),)))
    registry = _registry(aws, assesses=True)
    with pytest.raises(OperationFailed, match="more than 2,000,000 bytes") as caught:
        list(registry.images(target(aws), "app"))
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE
    assert aws.statistics().calls == {"ecr:DescribeImages": 1}


def test_the_images_of_a_repository_that_is_gone(aws: FakeAws) -> None:
    with pytest.raises(OperationFailed) as caught:
        list(_registry(aws, assesses=True).images(target(aws), "gone"))
    assert caught.value.reason is Reason.REPOSITORY_DELETED


def test_an_image_that_is_not_what_ecr_sends(enter: Enter) -> None:
    aws = _with_images(enter, 1)
    cloud = opened(aws, assesses=True)
    change: dict[str, Any] = {}
    cloud.clients.member("ecr", "us-east-1").meta.events.register(
        "after-call.ecr.DescribeImages",
        lambda parsed, **_: parsed["imageDetails"][0].update(change),
    )
    cases: list[dict[str, Any]] = [
        {"registryId": "999999999999"},
        {"repositoryName": "other"},
        {"imagePushedAt": "yesterday"},
        {"imagePushedAt": True},
        {"imagePushedAt": 1e300},
        {"imagePushedAt": "2026-01-01T00:00:00"},
        {"imageTags": "latest"},
        {"imageTags": [1]},
    ]
    for change in cases:
        with case(change):
            with pytest.raises(OperationFailed) as caught:
                list(EcrRegistry(cloud.clients).images(target(aws), "app"))
            assert caught.value.reason is Reason.UNEXPECTED_RESPONSE


def test_a_time_in_text_is_one_too(enter: Enter) -> None:
    aws = _with_images(enter, 1)
    cloud = opened(aws, assesses=True)
    pushed = {"imagePushedAt": "2026-01-01T02:00:00+02:00"}
    cloud.clients.member("ecr", "us-east-1").meta.events.register(
        "after-call.ecr.DescribeImages",
        lambda parsed, **_: parsed["imageDetails"][0].update(pushed),
    )
    (image,) = EcrRegistry(cloud.clients).images(target(aws), "app")
    assert image.pushed_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_without_being_allowed_to_no_image_is_asked_for(enter: Enter) -> None:
    aws = _with_images(enter, 1)
    registry = _registry(aws)
    with pytest.raises(ActionRefused, match="ecr:DescribeImages"):
        list(registry.images(target(aws), "app"))
    assert aws.statistics().total_calls == 0
