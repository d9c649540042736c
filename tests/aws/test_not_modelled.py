"""A template with fields that the SDK does not know is left to a person: an update drops them."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from sweeper.aws.ecr import EcrRegistry
from sweeper.checks.creation_template_immutability import CreationTemplateImmutability
from sweeper.domain.model import ChangeStatus
from sweeper.domain.reasons import Reason
from tests.aws.support import REGION, opened, target
from tests.aws.test_bounded_answers import answers_with
from tests.fake_aws.process import FakeAws
from tests.fakes import make_config

LISTING = "DescribeRepositoryCreationTemplates"
KNOWN: dict[str, Any] = {
    "prefix": "apps",
    "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
    "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "v*"}],
    "appliedFor": ["REPLICATION"],
    "encryptionConfiguration": {"encryptionType": "AES256"},
    "resourceTags": [{"Key": "a", "Value": "b"}],
    "createdAt": 1.0,
    "updatedAt": 1.0,
}
FILTERS = "imageTagMutabilityExclusionFilters"


def examined(aws: FakeAws, template: dict[str, Any]) -> Any:
    cloud = opened(aws, check=CreationTemplateImmutability, may_write=True)
    here = target(aws)
    answer = {"registryId": here.account.id, "repositoryCreationTemplates": [template]}
    client = cloud.clients.member("ecr", REGION)
    answers_with(client, LISTING, json.dumps(answer), "application/x-amz-json-1.1")
    registry = EcrRegistry(cloud.clients)
    config = make_config(checks=["ecr-creation-template-immutability"])
    check: Any = CreationTemplateImmutability(registry, config, date(2026, 12, 1))
    (template_read,) = registry.repository_creation_templates(here)
    finding, _ = check.examine(here).findings  # and that there is none for ROOT
    return template_read, finding, check, here


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"scanOnPush": True}, "scanOnPush"),
        ({"encryptionConfiguration": {"encryptionType": "AES256", "rotates": 1}}, "rotates"),
        ({FILTERS: [{"filterType": "WILDCARD", "filter": "v*", "until": 1}]}, "until"),
        ({"resourceTags": [{"Key": "a", "Value": "b", "Propagate": True}]}, "Propagate"),
    ],
)
def test_a_field_that_is_not_modelled_leaves_the_template_to_a_person(
    aws: FakeAws, more: dict[str, Any], named: str
) -> None:
    template, finding, check, here = examined(aws, {**KNOWN, **more})
    assert [path.rpartition(".")[2] for path in template.not_modelled] == [named]
    assert (finding.change.status, finding.change.reason) == (
        ChangeStatus.WITHHELD,
        Reason.MANUAL_REVIEW_REQUIRED,
    )
    assert named in finding.change.error
    # One that came since it was planned is found by the look before the write.
    result = check.apply(here, finding, check.remedy(finding), lambda: pytest.fail("a write"))
    assert result.status is not ChangeStatus.APPLIED
    assert aws.statistics().template_writes == []


def test_what_is_modelled_or_null_is_written(aws: FakeAws) -> None:
    template, finding, _, _ = examined(aws, {**KNOWN, "scanOnPush": None})
    assert template.not_modelled == ()
    assert finding.change is None
