"""The fake's repository creation templates, through real clients."""

from __future__ import annotations

import pytest

from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import CreationTemplate, Registry, Role, World
from tests.fake_aws_tests.support import MEMBER, assume, client, member, refusal

ROLE_ARN = f"arn:aws:iam::{MEMBER}:role/ecr"
APPS = CreationTemplate(
    "apps",
    "IMMUTABLE_WITH_EXCLUSION",
    ("latest",),
    ("REPLICATION",),
    "of the apps team",
    '{"rules": []}',
    '{"Statement": []}',
    ROLE_ARN,
    {"owner": "apps"},
)


def load(aws: FakeAws, *templates: CreationTemplate, role: Role | None = None) -> None:
    registry = Registry(account=MEMBER, region="us-east-1", creation_templates=templates)
    aws.load(World.generate(accounts=4, registries=(registry,), role=role or Role()))


def test_a_template_is_described_as_aws_does(aws: FakeAws) -> None:
    load(aws, APPS, CreationTemplate("ROOT", kms_key="arn:aws:kms:us-east-1:1:key/1"))
    ecr = member(aws)
    answer = ecr.describe_repository_creation_templates()
    assert answer["registryId"] == MEMBER
    apps, root = answer["repositoryCreationTemplates"]
    assert {key: value for key, value in apps.items() if not key.endswith("At")} == {
        "prefix": "apps",
        "description": "of the apps team",
        "encryptionConfiguration": {"encryptionType": "AES256"},
        "resourceTags": [{"Key": "owner", "Value": "apps"}],
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "latest"}],
        "repositoryPolicy": '{"Statement": []}',
        "lifecyclePolicy": '{"rules": []}',
        "appliedFor": ["REPLICATION"],
        "customRoleArn": ROLE_ARN,
    }
    assert root["encryptionConfiguration"]["kmsKey"] == "arn:aws:kms:us-east-1:1:key/1"
    assert "description" not in root
    (named,) = ecr.describe_repository_creation_templates(prefixes=["ROOT"])[
        "repositoryCreationTemplates"
    ]
    assert named == root
    absent = refusal(ecr.describe_repository_creation_templates, prefixes=["ROOT", "none"])
    assert absent[0] == "TemplateNotFoundException"
    elsewhere = client(aws, "ecr", "us-east-2", assume(aws))
    assert elsewhere.describe_repository_creation_templates()["repositoryCreationTemplates"] == []


def test_pages(aws: FakeAws) -> None:
    load(aws, *(CreationTemplate(f"team-{number}") for number in range(250)))
    pages = member(aws).get_paginator("describe_repository_creation_templates").paginate()
    assert [len(page["repositoryCreationTemplates"]) for page in pages] == [100, 100, 50]


def test_an_update_resets_what_it_is_not_given(aws: FakeAws) -> None:
    load(aws, APPS)
    written = member(aws).update_repository_creation_template(
        prefix="apps", appliedFor=["CREATE_ON_PUSH"]
    )["repositoryCreationTemplate"]
    assert (written["imageTagMutability"], written["appliedFor"]) == ("MUTABLE", ["CREATE_ON_PUSH"])
    assert aws.templates(MEMBER, "us-east-1") == {
        "apps": CreationTemplate("apps", applied_for=("CREATE_ON_PUSH",))
    }
    (record,) = aws.statistics().template_writes
    assert (record["account"], record["prefix"], record["accepted"]) == (MEMBER, "apps", True)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"prefix": "none"}, "TemplateNotFoundException"),
        ({"prefix": "apps", "imageTagMutability": "SOMEWHAT"}, "InvalidParameterException"),
        ({"prefix": "apps", "appliedFor": ["NOTHING"]}, "InvalidParameterException"),
        (
            {"prefix": "apps", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"},
            "InvalidParameterException",
        ),
        ({"prefix": "apps", "customRoleArn": ROLE_ARN}, "AccessDeniedException"),
    ],
)
def test_a_refused_update_changes_nothing(
    aws: FakeAws, parameters: dict[str, object], code: str
) -> None:
    load(aws, APPS)
    refused = refusal(member(aws).update_repository_creation_template, **parameters)
    assert refused[0] == code
    assert aws.templates(MEMBER, "us-east-1") == {"apps": APPS}
    (record,) = aws.statistics().template_writes
    assert not record["accepted"]


@pytest.mark.parametrize(
    ("missing", "parameters"),
    [
        ("ecr:UpdateRepositoryCreationTemplate", {}),
        ("ecr:CreateRepository", {}),
        ("ecr:PutLifecyclePolicy", {"lifecyclePolicy": "{}"}),
        ("ecr:SetRepositoryPolicy", {"repositoryPolicy": "{}"}),
    ],
)
def test_an_update_needs_what_the_template_does(
    aws: FakeAws, missing: str, parameters: dict[str, str]
) -> None:
    load(aws, APPS, role=Role(actions=tuple(each for each in Role().actions if each != missing)))
    update = member(aws).update_repository_creation_template
    code, message = refusal(update, prefix="apps", **parameters)[:2]
    assert code == "AccessDeniedException"
    assert missing in message


def test_behind_the_clients_backs(aws: FakeAws) -> None:
    load(aws)
    aws.put_template(MEMBER, "us-east-1", APPS)
    assert aws.templates(MEMBER, "us-east-1") == {"apps": APPS}
    aws.delete_template(MEMBER, "us-east-1", "apps")
    assert aws.templates(MEMBER, "us-east-1") == {}
