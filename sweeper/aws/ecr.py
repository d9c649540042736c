"""Amazon ECR as the bound member account sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweeper.aws.answers import items, moment, optional_text, text, texts
from sweeper.aws.clients import Clients
from sweeper.aws.credentials import bound_to
from sweeper.aws.errors import translated
from sweeper.errors import OperationFailed
from sweeper.model import Image, Reason, Repository, Target

FILTERS = "imageTagMutabilityExclusionFilters"
PAGE_SIZE = 1000  # ECR: maxResults, 1 to 1000, default 100


class EcrRegistry:
    """ECR in the account and region of a target; every method raises OperationFailed."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def repositories(self, target: Target) -> Iterator[Repository]:
        """Every repository of the registry, page by page."""
        for page in self._pages(target, "describe_repositories"):
            for item in items(page, "repositories"):
                yield _repository(target, item)

    def repository(self, target: Target, name: str) -> Repository | None:
        """The repository as it is now; None when it is gone."""
        client = self._clients.member("ecr", target.region)
        try:
            with bound_to(target.account.id), translated():
                response = client.describe_repositories(repositoryNames=[name])
        except OperationFailed as error:
            if error.reason is Reason.REPOSITORY_DELETED:
                return None
            raise
        found = [_repository(target, item) for item in items(response, "repositories")]
        if [repository.name for repository in found] != [name]:
            raise OperationFailed(
                Reason.UNEXPECTED_RESPONSE, f"{len(found)} repositories in the answer for one"
            )
        return found[0]

    def pull_through_cache_prefixes(self, target: Target) -> tuple[str, ...]:
        """The repository prefixes of the registry's pull-through cache rules."""
        return tuple(
            text(rule, "ecrRepositoryPrefix")
            for page in self._pages(target, "describe_pull_through_cache_rules")
            for rule in items(page, "pullThroughCacheRules")
        )

    def images(self, target: Target, name: str) -> Iterator[Image]:
        """Every image of the repository that is not archived, page by page."""
        for page in self._pages(target, "describe_images", repositoryName=name):
            for item in items(page, "imageDetails"):
                if (text(item, "registryId"), text(item, "repositoryName")) != (
                    target.account.id,
                    name,
                ):
                    raise OperationFailed(
                        Reason.UNEXPECTED_RESPONSE, "an image of another repository in the answer"
                    )
                pushed_at = moment(item, "imagePushedAt") if "imagePushedAt" in item else None
                yield Image(texts(item, "imageTags") if "imageTags" in item else (), pushed_at)

    def put_image_tag_mutability(
        self, target: Target, name: str, mutability: str, filters: Sequence[str]
    ) -> Repository:
        """Write the setting; the setting that ECR answers with.

        Where it fails without ECR having said no, the message says that it may have taken effect.
        """
        client = self._clients.member("ecr", target.region)
        parameters: dict[str, Any] = {"repositoryName": name, "imageTagMutability": mutability}
        if filters:  # mandatory with …_WITH_EXCLUSION, refused without
            parameters[FILTERS] = [{"filterType": "WILDCARD", "filter": each} for each in filters]
        try:
            with bound_to(target.account.id), translated():
                response = client.put_image_tag_mutability(**parameters)
            return Repository(
                name=name,
                arn="",
                mutability=text(response, "imageTagMutability"),
                exclusion_filters=_filters(response),
                unknown_filter_types=_unknown_filter_types(response),
            )
        except OperationFailed as error:
            if error.uncertain:
                raise OperationFailed(
                    error.reason,
                    f"{error.message}; the write may have taken effect",
                    error.error_code,
                    uncertain=True,
                ) from None
            raise

    def _pages(
        self, target: Target, operation: str, **parameters: str
    ) -> Iterator[Mapping[str, Any]]:
        """The operation's pages, read whole in this thread while the account is bound."""
        # Not the SDK's paginator, which costs a sixteenth of a call.
        call = getattr(self._clients.member("ecr", target.region), operation)
        token: dict[str, str] = {}
        while True:
            # Bound for each page and not around the yield, which hands control to the caller.
            with bound_to(target.account.id), translated():
                page = call(maxResults=PAGE_SIZE, **parameters, **token)
            yield page
            following = optional_text(page, "nextToken")
            if not following:
                return
            if following == token.get("nextToken"):
                raise OperationFailed(
                    Reason.UNEXPECTED_RESPONSE, "the same nextToken came twice: it would never end"
                )
            token = {"nextToken": following}


def _repository(target: Target, item: Mapping[str, Any]) -> Repository:
    registry = text(item, "registryId")
    if registry != target.account.id:
        # Facts of another account would be judged, and changed, as this one's.
        raise OperationFailed(
            Reason.UNEXPECTED_RESPONSE,
            f"a repository of registry {registry} in the answer for {target.account.id}",
        )
    return Repository(
        name=text(item, "repositoryName"),
        arn=text(item, "repositoryArn"),
        mutability=optional_text(item, "imageTagMutability"),
        exclusion_filters=_filters(item),
        unknown_filter_types=_unknown_filter_types(item),
    )


def _filters(item: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(text(entry, "filter") for entry in _exclusions(item))


def _unknown_filter_types(item: Mapping[str, Any]) -> tuple[str, ...]:
    types = {text(entry, "filterType") for entry in _exclusions(item)}
    return tuple(sorted(types - {"WILDCARD"}))


def _exclusions(item: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return items(item, FILTERS) if item.get(FILTERS) else ()
