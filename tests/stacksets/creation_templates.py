"""ECR's repository creation templates, which moto does not have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from moto.core.responses import ActionResult
from moto.ecr.responses import ECRResponse

Place = tuple[str, str]  # account id, region
# By prefix, as ECR describes them; of one moto at a time.
TEMPLATES: dict[Place, dict[str, dict[str, Any]]] = defaultdict(dict)
FIELDS = (
    *("prefix", "imageTagMutability", "imageTagMutabilityExclusionFilters", "appliedFor"),
    *(
        "description",
        "lifecyclePolicy",
        "repositoryPolicy",
        "encryptionConfiguration",
        "resourceTags",
    ),
)


@contextmanager
def installed() -> Iterator[None]:
    """Install the operations into moto; use it with `mock_aws`."""
    TEMPLATES.clear()
    with (
        mock.patch.object(
            ECRResponse, "describe_repository_creation_templates", _describe, create=True
        ),
        mock.patch.object(ECRResponse, "update_repository_creation_template", _write, create=True),
        mock.patch.object(ECRResponse, "create_repository_creation_template", _write, create=True),
        mock.patch.object(ECRResponse, "delete_repository_creation_template", _delete, create=True),
    ):
        yield


def _describe(self: ECRResponse) -> ActionResult:
    here = TEMPLATES[self.current_account, self.region]
    prefixes = self._get_param("prefixes")
    found = [each for each in here.values() if prefixes is None or each["prefix"] in prefixes]
    return ActionResult({"registryId": self.current_account, "repositoryCreationTemplates": found})


def _write(self: ECRResponse) -> ActionResult:
    given = {name: self._get_param(name) for name in FIELDS}
    template = {name: value for name, value in given.items() if value is not None}
    TEMPLATES[self.current_account, self.region][template["prefix"]] = template
    return ActionResult(
        {"registryId": self.current_account, "repositoryCreationTemplate": template}
    )


def _delete(self: ECRResponse) -> ActionResult:
    template = TEMPLATES[self.current_account, self.region].pop(self._get_param("prefix"))
    return ActionResult(
        {"registryId": self.current_account, "repositoryCreationTemplate": template}
    )
