"""Whether the checks' IAM actions would work in an account and region, each tried by a call.

A read is made. A write is asked for something that cannot be there, under a random name: "not
found" is taken for allowed. That supposes that IAM decides before ECR looks for it, which AWS does
as a rule and documents nowhere (docs/preflight.md). It changes nothing, and is a failed write in
the account's CloudTrail.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sweeper.aws.client.clients import Clients
from sweeper.aws.client.credentials import bound_to
from sweeper.aws.client.errors import translate_errors
from sweeper.aws.ecr import EcrRegistry
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Target
from sweeper.engine.probe import ProbeResult, ProbeStatus, run_probe

PREFIX = "sweeper-preflight"


def nonexistent_name() -> str:
    """The name of a repository, template or object that nobody has: it has 128 random bits."""
    return f"{PREFIX}/{secrets.token_hex(16)}"


@dataclass(frozen=True, slots=True)
class Probe:
    """How an action is tried. `absent` is the error code that says: permitted, but not there."""

    call: Callable[[MemberProbes, Target], object]
    absent: str | None = None


class MemberProbes:
    """Tries actions as the member accounts that were entered; raises nothing."""

    def __init__(self, clients: Clients, probes: Mapping[str, Probe] | None = None) -> None:
        """Calls nothing."""
        self.registry = EcrRegistry(clients)
        self._clients = clients
        self._probes = PROBES if probes is None else probes

    def ask(self, target: Target, action: str) -> ProbeResult:
        """Whether the action would work there; not known where nothing here can try it."""
        probe = self._probes.get(action)
        if probe is None:
            return ProbeResult(ProbeStatus.NOT_KNOWN, message="this version cannot try the action")
        return run_probe(lambda: self._try(probe, target))

    def call(
        self, target: Target, operation: str, *, write: bool = False, **parameters: Any
    ) -> Any:
        """ECR's answer to an operation."""
        client = self._clients.member("ecr", target.region)
        with bound_to(target.account.id), translate_errors(write=write):
            return getattr(client, operation)(**parameters)

    def _try(self, probe: Probe, target: Target) -> None:
        try:
            probe.call(self, target)
        except OperationFailed as error:
            if probe.absent is None or error.error_code != probe.absent:
                raise


# One entry for each action that a check declares.
PROBES: Mapping[str, Probe] = {
    # The first page: what is denied, or cannot be reached, is so from the first on.
    "ecr:DescribeRepositories": Probe(
        lambda probes, target: next(iter(probes.registry.repositories(target)), None)
    ),
    "ecr:DescribePullThroughCacheRules": Probe(
        lambda probes, target: probes.registry.pull_through_cache_prefixes(target)
    ),
    "ecr:DescribeRepositoryCreationTemplates": Probe(
        lambda probes, target: probes.call(target, "describe_repository_creation_templates")
    ),
    "ecr:DescribeImages": Probe(
        lambda probes, target: probes.call(
            target, "describe_images", repositoryName=nonexistent_name()
        ),
        absent="RepositoryNotFoundException",
    ),
    "ecr:PutImageTagMutability": Probe(
        lambda probes, target: probes.registry.put_image_tag_mutability(
            target, nonexistent_name(), "IMMUTABLE", ()
        ),
        absent="RepositoryNotFoundException",
    ),
    "ecr:UpdateRepositoryCreationTemplate": Probe(
        lambda probes, target: probes.call(
            target,
            "update_repository_creation_template",
            write=True,
            prefix=nonexistent_name(),
            imageTagMutability="IMMUTABLE",
        ),
        absent="TemplateNotFoundException",
    ),
}
