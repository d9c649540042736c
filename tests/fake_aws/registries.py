"""The ECR registries: computed until someone writes to one, then kept."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tests.fake_aws import generate
from tests.fake_aws.iam import glob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fake_aws.world import (
        CreationTemplate,
        PullThroughRule,
        Registry,
        Repository,
        World,
    )


class Registries:
    """Every account's and region's repositories, pull-through cache rules, creation templates."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kept: dict[tuple[str, str], dict[str, Repository]] = {}
        self._templates: dict[tuple[str, str], dict[str, CreationTemplate]] = {}

    def _described(self, account: str, region: str) -> Registry | None:
        for each in self._world.registries:
            if glob(each.account, account) and glob(each.region, region):
                return each
        return None

    def count(self, account: str, region: str) -> int:
        """Give the number of repositories."""
        kept = self._kept.get((account, region))
        if kept is not None:
            return len(kept)
        described = self._described(account, region)
        if described and described.repositories is not None:
            return len(described.repositories)
        if described and described.count is not None:
            return described.count
        return self._world.repositories_per_target

    def part(self, account: str, region: str, start: int, stop: int) -> list[Repository]:
        """Give repositories `start` to `stop`, in the order of the listing."""
        kept = self._kept.get((account, region))
        if kept is not None:
            return list(kept.values())[start:stop]
        described = self._described(account, region)
        if described and described.repositories is not None:
            return list(described.repositories[start:stop])
        world, count = self._world, self.count(account, region)
        return generate.repositories(
            world.seed, account, region, count, world.non_compliant_share, start, stop
        )

    def find(self, account: str, region: str, name: str) -> Repository | None:
        """Give the repository of that name."""
        kept = self._kept.get((account, region))
        if kept is not None:
            return kept.get(name)
        everything = self.part(account, region, 0, self.count(account, region))
        return next((each for each in everything if each.name == name), None)

    def put(self, account: str, region: str, repository: Repository) -> None:
        """Create or change a repository; from now on this registry is kept in memory."""
        self._keep(account, region)[repository.name] = dataclasses.replace(repository)

    def remove(self, account: str, region: str, name: str) -> bool:
        """Delete a repository; whether there was one."""
        return self._keep(account, region).pop(name, None) is not None

    def _keep(self, account: str, region: str) -> dict[str, Repository]:
        kept = self._kept.get((account, region))
        if kept is None:
            everything = self.part(account, region, 0, self.count(account, region))
            kept = self._kept[account, region] = {each.name: each for each in everything}
        return kept

    def rules(self, account: str, region: str) -> tuple[PullThroughRule, ...]:
        """Give the pull-through cache rules."""
        described = self._described(account, region)
        if described and described.pull_through_rules is not None:
            return described.pull_through_rules
        return self._world.pull_through_rules

    def templates(self, account: str, region: str) -> dict[str, CreationTemplate]:
        """Give the creation templates by their prefixes: the registry's own dict."""
        place = account, region
        if place not in self._templates:
            described = self._described(account, region)
            given = described.creation_templates if described else ()
            self._templates[place] = {each.prefix: each for each in given}
        return self._templates[place]

    def everything(self, account: str, region: str) -> Iterator[Repository]:
        """Give every repository of one registry."""
        yield from self.part(account, region, 0, self.count(account, region))
