"""The template for ROOT: what is created, what is taken for it, what becomes of a write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from sweeper.checks.creation_template_immutability import CreationTemplateImmutability
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import REGISTRY, Change, ChangeStatus, Compliance, Finding, Target
from sweeper.domain.mutability import CreationTemplate
from sweeper.domain.reasons import Reason
from sweeper.domain.recorded_changes import invert, revert_if_unchanged
from sweeper.engine.root_template import ROOT_PREFIX, _is_as_created, _root_template
from tests.cases import case
from tests.fakes import TODAY, failure, make_config, make_target

CREATED = _root_template(("REPLICATION",))
CONFIG = make_config(remediation={"root_template_applied_for": ["REPLICATION"]})


@dataclass(frozen=True)
class Template(CreationTemplate):
    prefix: str = ROOT_PREFIX
    mutability: str = "IMMUTABLE"
    exclusion_filters: tuple[str, ...] = ()
    applied_for: tuple[str, ...] = ("REPLICATION",)
    custom_role_arn: str = ""
    not_modelled: tuple[str, ...] = ()
    rest: str = CREATED
    filter_types: tuple[str, ...] = ()


@dataclass
class Registry:
    """A registry that keeps what is written; `answer` is met instead, where it is given."""

    root: Template | None = None
    others: Sequence[Template] = ()
    answer: Exception | Template | None = None
    took_effect: bool = False
    writes: list[str] = field(default_factory=list)

    def repository_creation_templates(self, target: Target) -> Iterator[Template]:
        yield from self.others
        if self.root:
            yield self.root

    def repository_creation_template(self, target: Target, prefix: str) -> Template | None:
        assert prefix == ROOT_PREFIX
        return self.root

    def create_repository_creation_template(
        self, target: Target, prefix: str, mutability: str, filters: Sequence[str], rest: str
    ) -> Template:
        self.writes.append("create")
        made = Template(prefix, mutability, tuple(filters), rest=rest)
        if self.answer is None or self.took_effect:
            self.root = made
        return self._answered(made)

    def delete_repository_creation_template(self, target: Target, prefix: str) -> None:
        self.writes.append("delete")
        if self.answer is None or self.took_effect:
            self.root = None
        self._answered(Template())

    def update_repository_creation_template(self, *_: Any) -> Template:
        raise NotImplementedError

    def _answered(self, made: Template) -> Template:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or made


def check_of(registry: Registry, **sections: Any) -> CreationTemplateImmutability:
    config = make_config(**sections) if sections else CONFIG
    return CreationTemplateImmutability(registry, config, TODAY)


def default_of(registry: Registry, **sections: Any) -> Finding | None:
    found = check_of(registry, **sections).examine(make_target()).findings
    return next((each for each in found if each.resource == REGISTRY), None)


def test_the_verdict_of_a_record_does_not_count() -> None:
    rule = {"reason": "play", "expires": "never", "repository": "*"}
    root = {"remediation": {"root_template_applied_for": ["REPLICATION"]}}
    for exemptions, ended in (([], ChangeStatus.APPLIED), ([rule], ChangeStatus.SUPERSEDED)):
        with case(exemptions):
            registry = Registry()
            forged = default_of(registry)
            assert forged is not None
            check = check_of(registry, exemptions=exemptions, **root)
            change = check.apply(make_target(), forged, check.remedy(forged), lambda: None)
            assert change.status is ended
            assert change.reason is (Reason.NOW_EXEMPT if exemptions else None)
            assert bool(registry.writes) is not bool(exemptions)


def test_what_is_taken_for_the_template_that_sweeper_creates() -> None:
    rest = json.loads(CREATED)
    aes, kms = {"encryptionType": "AES256"}, {"encryptionType": "KMS", "kmsKey": "k"}
    both = json.loads(_root_template(("REPLICATION", "CREATE_ON_PUSH")))
    for changed, expected in (
        ({}, True),
        ({"encryptionConfiguration": aes, "resourceTags": [], "repositoryPolicy": ""}, True),
        (both, True),
        ({"appliedFor": both["appliedFor"]}, False),
        ({"description": "another"}, False),
        ({"encryptionConfiguration": kms}, False),
        ({"lifecyclePolicy": "{}"}, False),
        ({"resourceTags": [{"Key": "a", "Value": "b"}]}, False),
        ({"customRoleArn": "arn:aws:iam::1:role/r"}, False),
    ):
        with case(changed):
            assert _is_as_created(json.dumps({**rest, **changed})) is expected


def test_a_registry_has_a_finding_where_it_has_no_template_for_root() -> None:
    assert default_of(Registry(Template())) is None
    assert default_of(Registry(Template(mutability="MUTABLE"))) is None  # a finding of its own
    found = default_of(Registry(others=[Template("apps")]))
    assert found is not None
    assert (found.repository, found.mutability) == (ROOT_PREFIX, "MUTABLE")
    assert found.compliance is Compliance.NON_COMPLIANT


def test_an_exemption_for_every_repository_covers_it() -> None:
    rule = {"repository": "*", "reason": "play", "expires": "never"}
    for changes, compliance, reason in (
        ({}, Compliance.EXEMPT, None),
        ({"repository": "a*"}, Compliance.NON_COMPLIANT, None),
        ({"expires": "2020-01-01"}, Compliance.NON_COMPLIANT, None),
        (
            {"account_tags": {"env": ["dev"]}},
            Compliance.NON_COMPLIANT,
            Reason.EXEMPTION_UNDECIDED,
        ),
    ):
        with case(changes):
            found = default_of(Registry(), exemptions=[{**rule, **changes}])
            assert found is not None
            assert found.compliance is compliance
            assert (found.change and found.change.reason) is reason


def test_what_becomes_of_a_creation() -> None:
    applied = ChangeStatus.APPLIED
    lost = failure(Reason.TIMED_OUT, uncertain=True)
    exists = failure(Reason.CHANGED_SINCE_EXAMINED)
    changed = ChangeStatus.SUPERSEDED, Reason.CHANGED_SINCE_EXAMINED
    compliant = ChangeStatus.SUPERSEDED, Reason.NOW_COMPLIANT
    for registry, writes, expected in (
        (Registry(), ["create"], (applied, None)),
        (Registry(answer=lost, took_effect=True), ["create"], (applied, None)),
        (Registry(answer=lost), ["create"], Reason.TIMED_OUT),
        (Registry(answer=exists), ["create"], changed),
        (Registry(answer=Template(rest="{}")), ["create"], Reason.UNEXPECTED_RESPONSE),
        (Registry(Template(rest="{}")), [], compliant),
        (Registry(Template(mutability="MUTABLE")), [], changed),
        (Registry(Template(mutability="MUTABLE", rest="{}")), [], changed),
    ):
        with case(registry, expected):
            assert ended(registry, *planned()) == expected
            assert registry.writes == writes


def test_one_that_may_be_sweepers_own_is_not_taken_for_one_of_others() -> None:
    """An attempt had no answer, the next one finds a template, and that cannot be read."""

    class Silent(Registry):
        def repository_creation_template(self, target: Target, prefix: str) -> Template | None:
            if self.writes:
                raise failure(Reason.THROTTLED)
            return super().repository_creation_template(target, prefix)

    exists = failure(Reason.CHANGED_SINCE_EXAMINED, uncertain=True)
    with pytest.raises(OperationFailed) as caught:
        check_of(Silent(answer=exists, took_effect=True)).apply(
            make_target(), *planned(), lambda: None
        )
    assert caught.value.uncertain
    assert ended(Registry(answer=exists), *planned()) == (
        ChangeStatus.SUPERSEDED,
        Reason.CHANGED_SINCE_EXAMINED,
    )


def test_what_becomes_of_a_deletion() -> None:
    lost = failure(Reason.TIMED_OUT, uncertain=True)
    changed = ChangeStatus.SUPERSEDED, Reason.CHANGED_SINCE_EXAMINED
    for registry, writes, expected in (
        (Registry(Template()), ["delete"], (ChangeStatus.APPLIED, None)),
        (Registry(Template(), answer=lost), ["delete"], Reason.TIMED_OUT),
        (Registry(Template(rest="{}")), [], (ChangeStatus.SUPERSEDED, Reason.NOW_COMPLIANT)),
        (Registry(Template(mutability="MUTABLE")), [], changed),
    ):
        with case(registry, expected):
            finding, change = planned()
            reverted = invert(replace(finding, change=change))
            assert reverted.change is not None
            assert ended(registry, reverted, reverted.change) == expected
            assert registry.writes == writes


def test_what_an_undo_finds() -> None:
    finding, change = planned()
    reverted = invert(replace(finding, change=change))
    for root, reason in (
        (Template(), None),
        (None, Reason.ALREADY_RESTORED),
        (Template(rest="{}"), Reason.CHANGED_SINCE_APPLIED),
        (Template(mutability="MUTABLE"), Reason.CHANGED_SINCE_APPLIED),
        (Template(not_modelled=("new",)), Reason.CHANGED_SINCE_APPLIED),
    ):
        with case(root):
            check = check_of(Registry(root))

            def matches(
                finding: Finding, change: Change, check: CreationTemplateImmutability = check
            ) -> bool | None:
                return check.matches_desired(make_target(), finding, change)

            after = revert_if_unchanged(reverted, matches).change
            assert after is not None
            assert after.reason is reason


def test_what_may_not_be_intended_is_not_written() -> None:
    def forbid() -> None:
        raise OperationFailed(Reason.LEASE_LOST, "no")

    registry = Registry()
    with pytest.raises(OperationFailed, match="no"):
        check_of(registry).apply(make_target(), *planned(), forbid)
    assert registry.writes == []


def planned() -> tuple[Finding, Change]:
    finding = default_of(Registry())
    assert finding is not None
    return finding, check_of(Registry()).remedy(finding)


def ended(registry: Registry, finding: Finding, change: Change) -> object:
    """The status and the reason of the change; the reason alone of a write that failed."""
    try:
        after = check_of(registry).apply(make_target(), finding, change, lambda: None)
    except OperationFailed as error:
        return error.reason
    return after.status, after.reason
