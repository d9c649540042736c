"""Tables of facts -> verdict, exemption, what is left to a person, and what becomes of a write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pytest

from sweeper.checks.creation_template_immutability import (
    CreationTemplateImmutability,
    _covers,
)
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import (
    Change,
    ChangeStatus,
    Compliance,
    Counts,
    Examined,
    Finding,
    Target,
)
from sweeper.domain.mutability import CreationTemplate
from sweeper.domain.reasons import Reason
from tests.cases import case
from tests.fakes import TODAY, failure, make_change, make_config, make_target

BAD, EXEMPT = Compliance.NON_COMPLIANT, Compliance.EXEMPT
CACHE, REPLICATION, PUSH = "PULL_THROUGH_CACHE", "REPLICATION", "CREATE_ON_PUSH"


@dataclass(frozen=True)
class Template(CreationTemplate):
    prefix: str = "apps"
    mutability: str = "MUTABLE"
    exclusion_filters: tuple[str, ...] = ()
    applied_for: tuple[str, ...] = (REPLICATION,)
    custom_role_arn: str = ""
    not_modelled: tuple[str, ...] = ()
    rest: str = "all else"
    filter_types: tuple[str, ...] = ()


@dataclass
class Registry:
    """A registry that keeps what is written; `reread` and `answer` are met instead."""

    facts: Sequence[Template | Exception]
    reread: Any = ()
    answer: Template | Exception | None = None
    took_effect: bool = False
    writes: list[tuple[str, str, tuple[str, ...], str]] = field(default_factory=list)
    written: Template | None = None

    def repository_creation_templates(self, target: Target) -> Iterator[Template]:
        for fact in self.facts:
            if isinstance(fact, Exception):
                raise fact
            yield fact
        if not any(isinstance(fact, Template) and fact.prefix == "ROOT" for fact in self.facts):
            yield Template("ROOT", "IMMUTABLE")  # see test_root_template.py

    def repository_creation_template(self, target: Target, prefix: str) -> Template | None:
        if self.written:
            return self.written
        if isinstance(self.reread, Exception):
            raise self.reread
        if self.reread != ():
            assert self.reread is None or isinstance(self.reread, Template)
            return self.reread
        return next(each for each in self.repository_creation_templates(target))

    def update_repository_creation_template(
        self, target: Target, prefix: str, mutability: str, filters: Sequence[str], rest: str
    ) -> Template:
        self.writes.append((prefix, mutability, tuple(filters), rest))
        before = self.repository_creation_template(target, prefix)
        assert before is not None
        made = replace(before, mutability=mutability, exclusion_filters=tuple(filters), rest=rest)
        if self.answer is None or self.took_effect:
            self.written = made
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or made

    def create_repository_creation_template(self, *_: Any) -> Template:
        raise NotImplementedError

    def delete_repository_creation_template(self, *_: Any) -> None:
        raise NotImplementedError


def examine(*facts: Template | Exception, **sections: Any) -> Examined:
    return CreationTemplateImmutability(Registry(facts), make_config(**sections), TODAY).examine(
        make_target()
    )


def judged(template: Template, **sections: Any) -> Finding:
    (finding,) = examine(template, **sections).findings
    return finding


def test_a_finding_whole() -> None:
    target = make_target()
    assert judged(Template(applied_for=(PUSH, REPLICATION))) == Finding(
        check="ecr-creation-template-immutability",
        account_id=target.account.id,
        account_name=target.account.name,
        region=target.region,
        repository="apps",
        arn="",
        compliance=BAD,
        mutability="MUTABLE",
        exclusion_filters=(),
        reason="the creation template for 'apps', applied for CREATE_ON_PUSH, REPLICATION, makes "
        "repositories in which image tags can be overwritten",
        resource="repository_creation_template",
    )


def test_an_exemption_by_tags_that_were_not_read_withholds_the_change() -> None:
    rule = {"reason": "play", "expires": "never", "account_tags": {"env": ["dev"]}}
    for repository, withheld in (("apps/*", True), ("other/*", False)):
        with case(repository):
            found = judged(Template(), exemptions=[rule | {"repository": repository}])
            assert found.compliance is BAD
            reason = found.change and found.change.reason
            assert (reason is Reason.EXEMPTION_UNDECIDED) is withheld


def test_verdict() -> None:
    cases: list[tuple[Template, Compliance, str]] = [
        (Template("ROOT"), BAD, "for 'ROOT', applied for REPLICATION, makes repositories in"),
        (Template(applied_for=()), BAD, "applied for nothing, makes"),
        (
            Template(mutability="IMMUTABLE_WITH_EXCLUSION", exclusion_filters=("dev", "latest")),
            BAD,
            "in which image tags that match 'dev' can be overwritten",
        ),
        (
            Template(mutability="MUTABLE_WITH_EXCLUSION", exclusion_filters=("latest",)),
            BAD,
            "can be overwritten, but for those that match 'latest'",
        ),
        (
            Template(mutability="SOMEWHAT"),
            Compliance.UNDETERMINED,
            "the creation template for 'apps', applied for REPLICATION: imageTagMutability "
            "'SOMEWHAT' is unknown",
        ),
        (Template(mutability=""), Compliance.UNDETERMINED, "is unknown to this version"),
        (Template(filter_types=("REGEX",)), Compliance.UNDETERMINED, "'REGEX'"),
        # The setting is not known, so nothing about it is exempt.
        (
            Template(mutability="SOMEWHAT", applied_for=(CACHE,)),
            Compliance.UNDETERMINED,
            "SOMEWHAT",
        ),
    ]
    for template, compliance, said in cases:
        with case(template, compliance, said):
            finding = judged(template, policy={"allowed_exclusions": ["latest"]})
            assert finding.compliance is compliance
            assert said in finding.reason
            assert finding.change is None
            assert finding.exemption is None


def test_what_makes_immutable_repositories_is_no_finding() -> None:
    for template in [
        Template(mutability="IMMUTABLE"),
        Template(mutability="IMMUTABLE", applied_for=(CACHE,)),
        Template(mutability="IMMUTABLE_WITH_EXCLUSION", exclusion_filters=("latest",)),
    ]:
        with case(template):
            assert examine(template, remediation={"exclusions": ["latest"]}) == Examined(
                Counts(0, 0, 0)
            )


def test_templates_are_not_counted_as_repositories() -> None:
    examined = examine(Template("a"), Template("b", "IMMUTABLE"), Template("c", "SOMEWHAT"))
    assert examined.counts == (0, 0, 0)
    assert [finding.repository for finding in examined.findings] == ["a", "c"]


def test_a_failure_on_a_later_page_fails_the_target() -> None:
    with pytest.raises(OperationFailed):
        examine(Template(), failure(Reason.DENIED))


def test_what_is_applied_for_pull_through_caches() -> None:
    cases: list[tuple[tuple[str, ...], bool, Compliance, bool]] = [
        ((CACHE,), True, EXEMPT, False),
        ((CACHE, CACHE), True, EXEMPT, False),
        ((CACHE,), False, BAD, False),
        ((CACHE, REPLICATION), True, BAD, True),
        ((CACHE, REPLICATION), False, BAD, False),
        ((REPLICATION, PUSH), True, BAD, False),
    ]
    for applied_for, exempted, compliance, withheld in cases:
        with case(applied_for, exempted, compliance, withheld):
            finding = judged(
                Template(applied_for=applied_for), policy={"exempt_pull_through_cache": exempted}
            )
            assert finding.compliance is compliance
            assert (finding.exemption is not None) is (compliance is EXEMPT)
            if finding.exemption:
                assert (finding.exemption.source, finding.exemption.rule) == (
                    "pull_through_cache",
                    "apps",
                )
            assert (finding.change is not None) is withheld
            if finding.change:
                assert finding.change.reason is Reason.MANUAL_REVIEW_REQUIRED
                assert finding.change.status is ChangeStatus.WITHHELD
                assert "applied for PULL_THROUGH_CACHE too" in (finding.change.error or "")


def test_a_word_that_is_not_known_is_manual_review_required() -> None:
    for applied_for in [
        ("SOMETHING_NEW",),
        (REPLICATION, "SOMETHING_NEW"),
        (CACHE, "SOMETHING_NEW"),
    ]:
        for exempted in [True, False]:
            with case(applied_for, exempted):
                finding = judged(
                    Template(applied_for=applied_for),
                    policy={"exempt_pull_through_cache": exempted},
                )
                assert (finding.compliance, finding.exemption) == (BAD, None)
                assert "SOMETHING_NEW, makes repositories in" in finding.reason
                assert finding.change is not None
                assert finding.change.status is ChangeStatus.WITHHELD
                assert finding.change.reason is Reason.MANUAL_REVIEW_REQUIRED
                assert "'SOMETHING_NEW', which this version does not know" in (
                    finding.change.error or ""
                )


def test_a_role_is_not_passed() -> None:
    finding = judged(
        Template(custom_role_arn="arn:aws:iam::1:role/ecr"),
        remediation={"exclusions": ["latest"]},
    )
    assert finding.compliance is BAD
    assert finding.change is not None
    assert finding.change.reason is Reason.MANUAL_REVIEW_REQUIRED
    assert "iam:PassRole" in (finding.change.error or "")
    # What would be written by hand.
    assert finding.change.to_mutability == "IMMUTABLE_WITH_EXCLUSION"
    assert finding.change.to_exclusion_filters == ("latest",)


def test_a_rule_exempts_where_it_covers_every_name() -> None:
    cases: list[tuple[str, str, bool]] = [
        ("sandbox/*", "sandbox", True),
        ("sandbox/*", "sandbox/", True),
        ("sandbox/*", "sandbox/team", True),
        ("sandbox*", "sandbox", True),
        ("sandbox*", "sandboxes", True),
        ("s?ndbox/*", "sandbox", True),
        ("*/team/*", "sandbox/team", True),
        ("*", "sandbox", True),
        # Some names, not all.
        ("sandbox/team/*", "sandbox", False),
        ("sandbox/?*", "sandbox", False),  # as far as is easily told
        ("sandbox/a*", "sandbox", False),
        ("sandbox/*-dev", "sandbox", False),
        ("sandbox/*/x", "sandbox", False),
        ("sandbox", "sandbox", False),
        ("sandbox/", "sandbox", False),
        ("other/*", "sandbox", False),
        ("*", "ROOT", True),
        ("**", "ROOT", True),
        ("?*", "ROOT", False),
        ("*/*", "ROOT", False),
        ("sandbox/*", "ROOT", False),
    ]
    for pattern, prefix, expected in cases:
        with case(pattern, prefix, expected):
            assert _covers(pattern, prefix) is expected
            rule = {"repository": pattern, "reason": "rebuilt", "expires": "never"}
            finding = judged(Template(prefix), exemptions=[rule])
            assert (finding.compliance is EXEMPT) is expected
            assert (finding.exemption is not None) is expected
            assert finding.change is None


def test_an_expired_rule_is_listed_but_does_not_exempt() -> None:
    cases: list[tuple[tuple[str, ...], Compliance, str, bool]] = [
        ((REPLICATION,), BAD, "config", True),
        ((CACHE,), EXEMPT, "pull_through_cache", False),
    ]
    for applied_for, compliance, source, expired in cases:
        with case(applied_for, compliance, source, expired):
            rule = {"repository": "apps/*", "reason": "rebuilt", "expires": date(2026, 6, 14)}
            finding = judged(Template(applied_for=applied_for), exemptions=[rule])
            assert finding.compliance is compliance
            assert finding.exemption is not None
            assert (finding.exemption.source, finding.exemption.expired) == (source, expired)


def test_a_rule_in_force_is_named_before_the_cache() -> None:
    rule = {"repository": "apps/*", "reason": "rebuilt", "expires": "never"}
    finding = judged(Template(applied_for=(CACHE,)), exemptions=[rule])
    assert finding.exemption is not None
    assert finding.exemption.reason == "rebuilt"


def test_what_is_exempt_is_not_manual_review_required() -> None:
    rule = {"repository": "apps/*", "reason": "rebuilt", "expires": "never"}
    finding = judged(Template(custom_role_arn="role"), exemptions=[rule])
    assert (finding.compliance, finding.change) == (EXEMPT, None)


# --- writing -------------------------------------------------------------------------------------


def apply(
    registry: Registry,
    intend: Callable[[], None] = lambda: None,
    **sections: Any,
) -> Change:
    check = CreationTemplateImmutability(registry, make_config(**sections), TODAY)
    (finding,) = check.examine(make_target()).findings
    return check.apply(make_target(), finding, check.remedy(finding), intend)


def test_the_setting_is_written_and_all_else_as_it_was_read_just_before() -> None:
    registry = Registry([Template()], reread=Template(rest="changed meanwhile"))
    assert apply(registry, remediation={"exclusions": ["dev*"]}) == make_change(
        ChangeStatus.APPLIED,
        to_mutability="IMMUTABLE_WITH_EXCLUSION",
        to_exclusion_filters=("dev*",),
    )
    assert registry.writes == [("apps", "IMMUTABLE_WITH_EXCLUSION", ("dev*",), "changed meanwhile")]


def test_what_is_not_as_it_was_judged_is_left_alone() -> None:
    cases: list[tuple[Template | None, Reason]] = [
        (None, Reason.REPOSITORY_DELETED),
        (Template(mutability="IMMUTABLE"), Reason.NOW_COMPLIANT),
        (
            Template(mutability="MUTABLE_WITH_EXCLUSION", exclusion_filters=("v*",)),
            Reason.CHANGED_SINCE_EXAMINED,
        ),
        (Template(filter_types=("REGEX",)), Reason.CHANGED_SINCE_EXAMINED),
        (Template(applied_for=(CACHE,)), Reason.NOW_EXEMPT),
    ]
    for now, reason in cases:
        with case(now, reason):

            def intend() -> None:
                raise AssertionError

            registry = Registry([Template()], reread=now)
            change = apply(registry, intend)
            assert (change.status, change.reason) == (ChangeStatus.SUPERSEDED, reason)
            assert registry.writes == []


def test_what_must_not_be_written_any_more_is_manual_review_required() -> None:
    cases: list[tuple[Template, str]] = [
        (Template(custom_role_arn="role"), "customRoleArn"),
        (Template(applied_for=(REPLICATION, "NEW")), "which this version does not know"),
        (Template(applied_for=(REPLICATION, CACHE)), "where tags have to move"),
    ]
    for now, why in cases:
        with case(now, why):
            registry = Registry([Template()], reread=now)
            change = apply(registry)
            assert (change.status, change.reason) == (
                ChangeStatus.WITHHELD,
                Reason.MANUAL_REVIEW_REQUIRED,
            )
            assert why in str(change.error)
            assert registry.writes == []


def test_the_verdict_of_a_record_does_not_count() -> None:
    rule = {"reason": "play", "expires": "never", "repository": "apps/*"}
    by_tag = rule | {"account_tags": {"env": ["dev"]}}
    cases: list[tuple[Template, dict[str, Any], ChangeStatus, Reason | None]] = [
        (Template(), {}, ChangeStatus.APPLIED, None),
        (Template(), {"exemptions": [rule]}, ChangeStatus.SUPERSEDED, Reason.NOW_EXEMPT),
        (
            Template(),
            {"exemptions": [by_tag]},
            ChangeStatus.WITHHELD,
            Reason.EXEMPTION_UNDECIDED,
        ),
        (Template(mutability="IMMUTABLE"), {}, ChangeStatus.SUPERSEDED, Reason.NOW_COMPLIANT),
        (
            Template(mutability="NEW_WORD"),
            {},
            ChangeStatus.SUPERSEDED,
            Reason.CHANGED_SINCE_EXAMINED,
        ),
    ]
    for now, sections, status, reason in cases:
        with case(now, sections):
            registry = Registry([now])
            check = CreationTemplateImmutability(registry, make_config(**sections), TODAY)
            forged = replace(judged(Template()), mutability=now.mutability)
            change = check.apply(make_target(), forged, make_change(), lambda: None)
            assert (change.status, change.reason) == (status, reason)
            assert bool(registry.writes) is (status is ChangeStatus.APPLIED)


def test_a_caches_template_may_be_opened_again() -> None:
    """Undoing: what must not be closed may be opened, whatever the policy says by now."""
    closed = Template(mutability="IMMUTABLE", applied_for=(REPLICATION, CACHE))
    finding = replace(judged(Template()), mutability="IMMUTABLE", compliance=Compliance.COMPLIANT)
    back = make_change(to_mutability="MUTABLE_WITH_EXCLUSION", to_exclusion_filters=("v*",))
    registry = Registry([closed])
    check = CreationTemplateImmutability(registry, make_config(), TODAY)
    assert check.apply(make_target(), finding, back, lambda: None).status is ChangeStatus.APPLIED
    assert registry.writes == [("apps", "MUTABLE_WITH_EXCLUSION", ("v*",), "all else")]


def test_one_that_is_deleted_under_the_write_is_superseded() -> None:
    change = apply(Registry([Template()], answer=failure(Reason.REPOSITORY_DELETED)))
    assert (change.status, change.reason) == (
        ChangeStatus.SUPERSEDED,
        Reason.REPOSITORY_DELETED,
    )


def test_what_may_not_be_intended_is_not_written() -> None:
    def intend() -> None:
        raise failure(Reason.LEASE_LOST)

    registry = Registry([Template()])
    with pytest.raises(OperationFailed):
        apply(registry, intend)
    assert registry.writes == []


def test_one_that_cannot_be_read_again_is_not_written() -> None:
    registry = Registry([Template()], reread=failure(Reason.DENIED))
    with pytest.raises(OperationFailed):
        apply(registry)
    assert registry.writes == []


def test_a_write_without_a_good_answer_is_read() -> None:
    cases: list[tuple[Template | Exception, bool, bool]] = [
        (failure(Reason.TIMED_OUT, uncertain=True), True, True),
        (failure(Reason.TIMED_OUT, uncertain=True), False, False),
        (failure(Reason.DENIED), False, False),
        # Whatever it answers: it can be read whether it did.
        (Template(), True, True),
        (Template(), False, False),
        (Template(mutability="IMMUTABLE_WITH_EXCLUSION", exclusion_filters=("v*",)), False, False),
    ]
    for answer, took_effect, made in cases:
        with case(answer, took_effect, made):
            registry = Registry([Template()], answer=answer, took_effect=took_effect)
            if made:
                assert apply(registry).status is ChangeStatus.APPLIED
                return
            with pytest.raises(OperationFailed) as caught:
                apply(registry)
            if isinstance(answer, Template):
                assert caught.value.reason is Reason.UNEXPECTED_RESPONSE
                assert "may have taken effect" in caught.value.message


def test_where_it_cannot_be_read_either_the_write_failed() -> None:
    class Silent(Registry):
        def repository_creation_template(self, target: Target, prefix: str) -> Template | None:
            if self.writes:
                raise failure(Reason.TIMED_OUT)
            return super().repository_creation_template(target, prefix)

        def update_repository_creation_template(self, *_: Any) -> Template:
            self.writes.append(("apps", "", (), ""))
            raise failure(Reason.CONNECTION_FAILED, uncertain=True)

    with pytest.raises(OperationFailed) as caught:
        apply(Silent([Template()]))
    assert caught.value.reason is Reason.CONNECTION_FAILED


def test_a_write_that_changed_more_than_the_setting_is_told_as_a_failure() -> None:
    registry = Registry(
        [Template()], answer=Template(mutability="IMMUTABLE", rest="reset"), took_effect=True
    )
    change = apply(registry)
    assert (change.status, change.reason) == (ChangeStatus.FAILED, Reason.UNEXPECTED_RESPONSE)
    assert change.uncertain
    assert "took effect" in str(change.error)
    assert "more than its tag mutability" in str(change.error)


def test_whether_it_is_made() -> None:
    cases: list[tuple[Template | None, bool | None]] = [
        (Template(mutability="IMMUTABLE"), True),
        (Template(), False),
        (None, None),
    ]
    for now, made in cases:
        with case(now, made):
            check = CreationTemplateImmutability(Registry([], reread=now), make_config(), TODAY)
            assert check.matches_desired(make_target(), judged(Template()), make_change()) is made


def test_closing_makes_it_compliant() -> None:
    registry = Registry([Template(mutability="MUTABLE_WITH_EXCLUSION", exclusion_filters=("v*",))])
    apply(registry)
    assert registry.written is not None
    assert examine(registry.written) == Examined(Counts(0, 0, 0))


def test_filters_by_repository_count_where_they_are_for_all_that_it_makes() -> None:
    cases: list[tuple[str, tuple[str, ...]]] = [
        ("apps/*", ("latest", "pr-*")),
        ("*", ("latest", "pr-*")),
        ("apps/web", ("latest",)),  # the template makes others, too
        ("other/*", ("latest",)),
    ]
    for glob, filters in cases:
        with case(glob, filters):
            remediation = {"exclusions": ["latest"], "exclusions_by_repository": {glob: ["pr-*"]}}
            check = CreationTemplateImmutability(
                Registry([Template()]), make_config(remediation=remediation), TODAY
            )
            (finding,) = check.examine(make_target()).findings
            assert check.remedy(finding).to_exclusion_filters == filters
            closed = Template(mutability="IMMUTABLE_WITH_EXCLUSION", exclusion_filters=filters)
            assert not examine(closed, remediation=remediation).findings
