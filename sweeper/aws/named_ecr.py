"""Amazon ECR, of which only the repositories that are named are listed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sweeper.aws.client.clients import Clients
from sweeper.aws.ecr import EcrRegistry
from sweeper.domain.model import Repository, Target

MOST_NAMES = 100  # ECR: DescribeRepositories, repositoryNames

Place = tuple[str, str]  # account id and region


class NamedRegistry(EcrRegistry):
    """ECR in the account and region of a target; every method raises OperationFailed.

    `names` are the repositories by place. `absent` has each repository, by account id, region and
    name, that is gone.
    """

    def __init__(self, clients: Clients, names: Mapping[Place, Sequence[str]]) -> None:
        super().__init__(clients)
        self._names = names
        self.absent: set[tuple[str, str, str]] = set()  # adding to a set is atomic

    def repositories(self, target: Target) -> Iterator[Repository]:
        """The repositories that are named, without those that are gone."""
        every = self._names.get(target.place, ())
        for start in range(0, len(every), MOST_NAMES):
            names = every[start : start + MOST_NAMES]
            found = self.named_repositories(target, names)
            if found is None:  # one of them is gone, and ECR's answer is only about that
                alone = [self.repository(target, name) for name in names]
                found = [repository for repository in alone if repository]
            yield from found
            left = {repository.name for repository in found}
            self.absent.update((*target.place, name) for name in names if name not in left)
