"""Creation templates of one account and region, through the real SDK."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from sweeper.aws.ecr import EcrRegistry
from sweeper.checks.creation_template_immutability import CreationTemplateImmutability
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from tests.aws.conftest import Enter
from tests.aws.support import REGION, opened, target
from tests.cases import case
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import CreationTemplate, Fault, Registry, Role, World

FULL = CreationTemplate(
    "apps",
    "MUTABLE_WITH_EXCLUSION",
    ("v*",),
    ("REPLICATION", "CREATE_ON_PUSH"),
    "of the apps team",
    '{"rules": []}',
    '{"Statement": []}',
    resource_tags={"owner": "apps", "cost": "12"},
    kms_key="arn:aws:kms:us-east-1:111122223333:key/1",
)
LISTING, WRITE = "DescribeRepositoryCreationTemplates", "UpdateRepositoryCreationTemplate"


def _entered(enter: Enter, *templates: CreationTemplate, **changes: Any) -> FakeAws:
    registry = Registry(creation_templates=templates)
    return enter(World.generate(accounts=2, regions=2, registries=(registry,), **changes))


def _registry(aws: FakeAws, **arguments: Any) -> EcrRegistry:
    cloud = opened(aws, check=CreationTemplateImmutability, may_write=True, **arguments)
    aws.reset_statistics()
    return EcrRegistry(cloud.clients)


def _state(aws: FakeAws) -> dict[str, CreationTemplate]:
    return aws.templates(aws.world.accounts[0].id, REGION)


def test_all_pages_are_read(enter: Enter) -> None:
    given = [CreationTemplate(f"team-{number:04}") for number in range(2500)]
    aws = _entered(enter, *given)
    found = list(_registry(aws).repository_creation_templates(target(aws)))
    assert [each.prefix for each in found] == [each.prefix for each in given]
    assert aws.statistics().calls == {f"ecr:{LISTING}": 3}


def test_a_registry_without_templates(enter: Enter) -> None:
    aws = _entered(enter)
    assert list(_registry(aws).repository_creation_templates(target(aws))) == []


def test_the_facts_are_those_of_ecr(enter: Enter) -> None:
    role = "arn:aws:iam::111122223333:role/ecr"
    root = CreationTemplate("ROOT", applied_for=("PULL_THROUGH_CACHE",), custom_role_arn=role)
    aws = _entered(enter, FULL, root)
    full, other = _registry(aws).repository_creation_templates(target(aws))
    assert (full.prefix, full.mutability, full.exclusion_filters) == (
        "apps",
        "MUTABLE_WITH_EXCLUSION",
        ("v*",),
    )
    assert full.applied_for == ("CREATE_ON_PUSH", "REPLICATION")
    assert (full.custom_role_arn, other.custom_role_arn) == ("", role)
    assert other.applied_for == ("PULL_THROUGH_CACHE",)


def test_a_page_that_fails_fails_the_whole(enter: Enter) -> None:
    aws = _entered(enter, *(CreationTemplate(f"team-{number}") for number in range(1500)))
    registry = _registry(aws)
    cases = (
        (Fault("access_denied"), Reason.DENIED),
        (Fault("garbage"), Reason.UNEXPECTED_RESPONSE),
        (Fault("empty"), Reason.UNEXPECTED_RESPONSE),
        (Fault("throttle"), Reason.THROTTLED),
    )
    for page in (1, 2):
        for fault, reason in cases:
            with case(fault.action, page):
                aws.faults([dataclasses.replace(fault, service="ecr", only_page=page)])
                with pytest.raises(OperationFailed) as caught:
                    list(registry.repository_creation_templates(target(aws)))
                assert caught.value.reason is reason


def test_one_template_as_it_is_now(enter: Enter) -> None:
    aws = _entered(enter, CreationTemplate("apps"), CreationTemplate("ROOT"))
    registry, place = _registry(aws), target(aws)
    before = registry.repository_creation_template(place, "ROOT")
    assert before is not None
    assert (before.prefix, before.mutability) == ("ROOT", "MUTABLE")
    aws.put_template(place.account.id, place.region, CreationTemplate("ROOT", "IMMUTABLE"))
    after = registry.repository_creation_template(place, "ROOT")
    assert after is not None
    assert after.mutability == "IMMUTABLE"
    assert after.rest == before.rest
    aws.delete_template(place.account.id, place.region, "ROOT")
    assert registry.repository_creation_template(place, "ROOT") is None


def test_a_template_that_cannot_be_read_is_not_gone(enter: Enter) -> None:
    aws = _entered(enter, FULL)
    registry = _registry(aws)
    aws.faults([Fault("access_denied", operation=LISTING)])
    with pytest.raises(OperationFailed) as caught:
        registry.repository_creation_template(target(aws), "apps")
    assert caught.value.reason is Reason.DENIED


class Edited:
    """What ECR answers to the listing, after `edit` of its first template or of the whole."""

    def __init__(self, aws: FakeAws) -> None:
        self.edit: Callable[[Any, Any], object] = lambda _whole, _template: None
        cloud = opened(aws, check=CreationTemplateImmutability)
        cloud.clients.member("ecr", REGION).meta.events.register(
            f"after-call.ecr.{LISTING}", self._after
        )
        self.registry = EcrRegistry(cloud.clients)

    def _after(self, parsed: Any, **_: object) -> None:
        self.edit(parsed, parsed["repositoryCreationTemplates"][0])


def test_an_answer_about_something_else_is_refused(enter: Enter) -> None:
    aws = _entered(enter, FULL)
    edited = Edited(aws)
    cases: list[tuple[Callable[[Any, Any], object], str]] = [
        (lambda whole, _: whole.update(registryId="999999999999"), "of registry 999999999999"),
        (lambda whole, _: whole.pop("registryId"), "registryId"),
        (lambda _, template: template.update(prefix="other"), "another one"),
        (
            lambda whole, template: whole["repositoryCreationTemplates"].append(dict(template)),
            "2 creation templates",
        ),
        (lambda _, template: template.update(appliedFor=[1]), "appliedFor"),
    ]
    for edited.edit, said in cases:
        with case(said):
            with pytest.raises(OperationFailed, match=said) as caught:
                edited.registry.repository_creation_template(target(aws), "apps")
            assert caught.value.reason is Reason.UNEXPECTED_RESPONSE


def test_a_template_that_is_not_what_ecr_sends(enter: Enter) -> None:
    aws = _entered(enter, FULL)
    edited = Edited(aws)
    cases: list[dict[str, Any]] = [
        {"prefix": "Apps"},
        {"prefix": ""},
        {"prefix": "a b"},
        {"prefix": "x" * 257},
        {"appliedFor": "REPLICATION"},
        {"appliedFor": {"REPLICATION": 1}},
        {"appliedFor": [["REPLICATION"]]},
        {"appliedFor": ""},
        {"customRoleArn": ["role"]},
        {"description": 7},
        {"lifecyclePolicy": {"rules": []}},
        {"repositoryPolicy": ["{}"]},
        {"encryptionConfiguration": "KMS"},
        {"encryptionConfiguration": ["KMS"]},
        {"encryptionConfiguration": {}},
        {"encryptionConfiguration": {"encryptionType": ["KMS"]}},
        {"encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": {"arn": "key"}}},
        {"encryptionConfiguration": {"encryptionType": "KMS", "more": "key"}},
        {"resourceTags": "owner"},
        {"resourceTags": {"owner": "apps"}},
        {"resourceTags": ["owner"]},
        {"resourceTags": [{"Value": "apps"}]},
        {"resourceTags": [{"Key": "owner", "Value": 7}]},
    ]
    for change in cases:
        with case(change):
            edited.edit = partial(_update, change)
            with pytest.raises(OperationFailed) as caught:
                list(edited.registry.repository_creation_templates(target(aws)))
            assert caught.value.reason is Reason.UNEXPECTED_RESPONSE


def _update(change: dict[str, Any], _: object, template: dict[str, Any]) -> None:
    template.update(change)


def test_a_template_that_is_listed_twice_counts_once_or_is_no_answer(enter: Enter) -> None:
    aws = _entered(enter, FULL)
    edited = Edited(aws)
    for change in ({}, {"description": "other"}, {"imageTagMutability": "IMMUTABLE"}):
        with case(change):
            edited.edit = partial(_repeat, change)
            if not change:
                (found,) = edited.registry.repository_creation_templates(target(aws))
                assert found.prefix == "apps"
                continue
            with pytest.raises(OperationFailed, match="template 'apps' twice") as caught:
                list(edited.registry.repository_creation_templates(target(aws)))
            assert caught.value.reason is Reason.UNEXPECTED_RESPONSE


def _repeat(change: dict[str, Any], whole: Any, template: dict[str, Any]) -> None:
    whole["repositoryCreationTemplates"].append(template | change)


def test_no_template_in_the_answer_is_one_that_is_gone(enter: Enter) -> None:
    aws = _entered(enter, FULL)
    edited = Edited(aws)
    edited.edit = lambda whole, _: whole["repositoryCreationTemplates"].clear()
    assert edited.registry.repository_creation_template(target(aws), "apps") is None


@pytest.mark.parametrize(
    ("mutability", "filters"),
    [("IMMUTABLE", ()), ("IMMUTABLE_WITH_EXCLUSION", ("latest", "pr-*"))],
)
@pytest.mark.parametrize("before", [FULL, CreationTemplate("apps"), CreationTemplate("ROOT")])
def test_only_the_setting_is_written(
    enter: Enter, before: CreationTemplate, mutability: Any, filters: tuple[str, ...]
) -> None:
    """The fake resets what an update is not given."""
    aws = _entered(enter, before)
    registry, place = _registry(aws), target(aws)
    now = registry.repository_creation_template(place, before.prefix)
    assert now is not None
    written = registry.update_repository_creation_template(
        place, before.prefix, mutability, filters, now.rest
    )
    assert (written.mutability, written.exclusion_filters) == (mutability, filters)
    assert written.rest == now.rest
    after = _state(aws)[before.prefix]
    assert set(after.applied_for) == set(before.applied_for)
    assert after == dataclasses.replace(
        before,
        mutability=mutability,
        exclusion_filters=filters,
        applied_for=after.applied_for,
    )


@pytest.mark.parametrize(
    ("template", "needed"),
    [
        (
            CreationTemplate("apps"),
            {"ecr:UpdateRepositoryCreationTemplate", "ecr:CreateRepository"},
        ),
        (FULL, set(CreationTemplateImmutability.write_actions)),
    ],
)
def test_what_a_write_needs(enter: Enter, template: CreationTemplate, needed: set[str]) -> None:
    """And without any of it: that it is denied."""
    every = {*needed, "account:ListRegions", f"ecr:{LISTING}"}
    for missing in (None, *sorted(needed)):
        role = Role(actions=tuple(sorted(every - {missing})))
        aws = _entered(enter, template, role=role)
        registry, place = _registry(aws), target(aws)
        now = registry.repository_creation_template(place, "apps")
        assert now is not None
        if missing is None:
            registry.update_repository_creation_template(place, "apps", "IMMUTABLE", (), now.rest)
            continue
        with pytest.raises(OperationFailed, match=missing) as caught:
            registry.update_repository_creation_template(place, "apps", "IMMUTABLE", (), now.rest)
        assert caught.value.reason is Reason.WRITE_NOT_GRANTED
        assert _state(aws)["apps"] == template


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("garbage", operation=WRITE), Reason.UNEXPECTED_RESPONSE),
        (Fault("server_error", operation=WRITE), Reason.SERVICE_ERROR),
        (Fault("truncate", operation=WRITE), Reason.CONNECTION_FAILED),
    ],
)
def test_a_write_without_a_good_answer_may_have_taken_effect(
    enter: Enter, fault: Fault, reason: Reason
) -> None:
    aws = _entered(enter, FULL)
    registry = _registry(aws)
    aws.faults([fault])
    with pytest.raises(OperationFailed, match="may have taken effect") as caught:
        registry.update_repository_creation_template(target(aws), "apps", "IMMUTABLE", (), "{}")
    assert caught.value.reason is reason
    assert caught.value.uncertain


def test_an_answer_with_another_template_may_have_taken_effect(enter: Enter) -> None:
    aws = _entered(enter, FULL)
    cloud = opened(aws, check=CreationTemplateImmutability, may_write=True)
    cloud.clients.member("ecr", REGION).meta.events.register(
        f"after-call.ecr.{WRITE}",
        lambda parsed, **_: parsed["repositoryCreationTemplate"].update(prefix="other"),
    )
    with pytest.raises(OperationFailed, match="'other'; the write may have taken") as caught:
        EcrRegistry(cloud.clients).update_repository_creation_template(
            target(aws), "apps", "IMMUTABLE", (), "{}"
        )
    assert caught.value.uncertain


def test_one_that_is_deleted_meanwhile_says_so(enter: Enter) -> None:
    aws = _entered(enter)
    with pytest.raises(OperationFailed) as caught:
        _registry(aws).update_repository_creation_template(
            target(aws), "apps", "IMMUTABLE", (), "{}"
        )
    assert caught.value.reason is Reason.REPOSITORY_DELETED
    assert not caught.value.uncertain
