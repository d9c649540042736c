"""Tables of facts -> verdict, exemption, remedy, and what becomes of a write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from sweeper.checks.tag_immutability import TagImmutability, _pull_through_exemption
from sweeper.config.schema import ExemptionRule
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import (
    Change,
    ChangeStatus,
    Compliance,
    Counts,
    Examined,
    Finding,
    Image,
    Repository,
    Target,
)
from sweeper.domain.reasons import Reason
from tests.cases import case
from tests.fakes import (
    REGION,
    TODAY,
    FakeRegistry,
    Key,
    account_id,
    failure,
    make_change,
    make_config,
    make_finding,
    make_repository,
    make_target,
)

PLACE = (account_id(1), REGION)
KEY: Key = (*PLACE, "app")
OK, BAD = Compliance.COMPLIANT, Compliance.NON_COMPLIANT
EXEMPT, UNKNOWN = Compliance.EXEMPT, Compliance.UNDETERMINED


def test_a_repository_whose_filters_became_of_an_unknown_type_is_left_alone() -> None:
    before = make_repository("app", "MUTABLE_WITH_EXCLUSION", ("latest",))
    registry = FakeRegistry(
        {PLACE: (before,)}, reread={KEY: replace(before, filter_types=("REGEX",))}
    )
    check = TagImmutability(registry, make_config(), TODAY)
    (finding,) = check.examine(make_target()).findings
    change = apply(check, finding, check.remedy(finding))
    assert (change.status, change.reason) == (
        ChangeStatus.SUPERSEDED,
        Reason.CHANGED_SINCE_EXAMINED,
    )
    assert registry.writes == []


def rule(**values: Any) -> ExemptionRule:
    return ExemptionRule.model_validate(
        {"repository": "*", "reason": "because", "expires": "never", **values}
    )


def test_pull_through_cache_rules() -> None:
    cases: list[tuple[str, Sequence[str], str | None]] = [
        ("foo/x", ("foo",), "foo"),
        ("foo/x", ("foo/",), "foo/"),
        ("foobar/x", ("foo",), None),
        ("foo", ("foo",), None),
        ("foo/bar/x", ("foo", "foo/bar"), "foo/bar"),
        ("foo/barn/x", ("foo", "foo/bar"), "foo"),
        ("a/z/b/app", ("a", "a/z/b", "a/z"), "a/z/b"),
        ("a/foo/x", ("foo",), None),
        ("app/x", ("ROOT",), None),
        ("ROOT/x", ("ROOT",), None),
        ("foo/x", ("ROOT", "foo"), "foo"),
        ("app/x", (), None),
    ]
    for name, prefixes, expected in cases:
        with case(name, prefixes, expected):
            exemption = _pull_through_exemption(name, prefixes)
            assert (exemption and exemption.rule) == expected
            if exemption:
                assert exemption.source == "pull_through_cache"
                assert repr(expected) in exemption.reason


def examine(registry: FakeRegistry, **sections: Any) -> Examined:
    return TagImmutability(registry, make_config(**sections), TODAY).examine(make_target())


def registry_of(*facts: Repository | Exception, **rest: Any) -> FakeRegistry:
    return FakeRegistry({PLACE: facts}, **rest)


def test_a_registry_is_judged_whole() -> None:
    examined = examine(
        registry_of(
            make_repository("a", "IMMUTABLE"),
            make_repository("b", "MUTABLE"),
            make_repository("cache/c", "MUTABLE"),
            make_repository("d", "NEW_WORD"),
            make_repository("sandbox/e", "MUTABLE"),
            prefixes={PLACE: ("cache",)},
        ),
        exemptions=[{"repository": "sandbox/*", "reason": "play", "expires": "never"}],
    )
    assert examined.counts == (1, 1, 2)
    assert [(found.repository, found.compliance) for found in examined.findings] == [
        ("b", BAD),
        ("cache/c", EXEMPT),
        ("d", UNKNOWN),
        ("sandbox/e", EXEMPT),
    ]
    assert [finding.change for finding in examined.findings] == [None] * 4


def test_a_healthy_registry_has_no_findings() -> None:
    for facts in [(), (make_repository("a", "IMMUTABLE"),)]:
        with case(facts):
            assert examine(registry_of(*facts)) == Examined(Counts(len(facts), 0, 0))


def test_the_filters_of_either_list_are_allowed() -> None:
    for section in ["policy.allowed_exclusions", "remediation.exclusions"]:
        with case(section):
            outer, inner = section.split(".")
            registry = registry_of(make_repository("app", "IMMUTABLE_WITH_EXCLUSION", ("latest",)))
            assert examine(registry, **{outer: {inner: ["latest"]}}).counts == (1, 0, 0)
            assert examine(registry, **{outer: {inner: ["other"]}}).counts == (0, 1, 0)


def test_filters_by_repository_are_written_and_allowed_there_and_nowhere_else() -> None:
    facts = [
        make_repository("team-a/api"),
        make_repository("team-a/web", "IMMUTABLE_WITH_EXCLUSION", ("pr-*",)),
        make_repository("team-b/web", "IMMUTABLE_WITH_EXCLUSION", ("pr-*",)),
    ]
    config = {"remediation": {"exclusions_by_repository": {"team-a/*": ["pr-*"]}}}
    registry = registry_of(*facts)
    check = TagImmutability(registry, make_config(**config), TODAY)
    result = check.examine(make_target())
    assert result.counts == (1, 2, 0)
    wanted = {each.repository: check.remedy(each).to_exclusion_filters for each in result.findings}
    assert wanted == {"team-a/api": ("pr-*",), "team-b/web": ()}


def test_more_than_five_together_are_not_written() -> None:
    remediation = {"exclusions": list("abcd"), "exclusions_by_repository": {"*": ["e", "f"]}}
    check = TagImmutability(
        registry_of(make_repository()), make_config(remediation=remediation), TODAY
    )
    change = check.remedy(check.examine(make_target()).findings[0])
    assert (change.status, change.reason) == (ChangeStatus.WITHHELD, Reason.TOO_MANY_FILTERS)
    assert change.to_mutability == "IMMUTABLE_WITH_EXCLUSION"


def test_what_a_change_may_break_is_read_of_its_repository() -> None:
    pushed = {KEY: [Image(("latest", "pr-1", "1.0"), None)]}
    registry = FakeRegistry({PLACE: (make_repository(),)}, pushed=pushed)
    config = make_config(remediation={"exclusions": ["latest"]})
    check = TagImmutability(registry, config, TODAY)
    (finding,) = check.examine(make_target()).findings
    impact = check.assess(make_target(), finding, check.remedy(finding))
    assert {each.tag: each.kept_by for each in impact.moved} == {"latest": "latest", "pr-1": "pr-*"}
    assert impact.exclusions == ("pr-*",)
    assert ("images", KEY) in registry.calls


def test_a_failure_on_a_later_page_fails_the_target() -> None:
    with pytest.raises(OperationFailed):
        examine(registry_of(make_repository("a", "IMMUTABLE"), failure(Reason.DENIED)))


def test_an_expired_exemption_is_listed_but_does_not_exempt() -> None:
    rules = [{"repository": "app", "reason": "soon", "expires": "2026-06-14"}]
    (finding,) = examine(registry_of(make_repository()), exemptions=rules).findings
    assert finding.compliance is BAD
    assert finding.exemption is not None
    assert finding.exemption.expired


def test_an_unknown_setting_is_never_exempt() -> None:
    rules = [{"repository": "*", "reason": "all", "expires": "never"}]
    facts = registry_of(make_repository("cache/x", "NEW_WORD"), prefixes={PLACE: ("cache",)})
    assert examine(facts, exemptions=rules).findings[0].compliance is UNKNOWN


def test_a_configured_exemption_is_named_before_a_pull_through_cache_rule() -> None:
    rules = [{"repository": "cache/*", "reason": "ours", "expires": "never"}]
    registry = registry_of(make_repository("cache/x"), prefixes={PLACE: ("cache",)})
    (finding,) = examine(registry, exemptions=rules).findings
    assert finding.exemption is not None
    assert finding.exemption.source == "config"
    assert registry.calls == []


def test_a_pull_through_cache_rule_exempts_where_the_configured_one_expired() -> None:
    rules = [{"repository": "cache/*", "reason": "ours", "expires": "2020-01-01"}]
    registry = registry_of(make_repository("cache/x"), prefixes={PLACE: ("cache",)})
    (finding,) = examine(registry, exemptions=rules).findings
    assert finding.exemption is not None
    assert (finding.compliance, finding.exemption.source) == (EXEMPT, "pull_through_cache")


def test_the_rules_are_read_only_where_they_could_matter() -> None:
    cases: list[tuple[str, str, dict[str, Any], bool]] = [
        ("a/b", "MUTABLE", {}, True),
        ("a/b", "MUTABLE", {"policy": {"exempt_pull_through_cache": False}}, False),
        ("a/b", "MUTABLE", {"remediation": {"auto_remediate": "DISABLED"}}, True),
        # Only a rule for ROOT fills it, which matters only where something may be written.
        ("ab", "MUTABLE", {}, True),
        ("ab", "MUTABLE", {"policy": {"exempt_pull_through_cache": False}}, False),
        ("ab", "MUTABLE", {"remediation": {"auto_remediate": "DISABLED"}}, False),
        ("ab", "MUTABLE", {"remediation": {"exclude_accounts": [account_id(1)]}}, False),
        ("ab", "MUTABLE", {"remediation": {"checks": []}}, False),
        ("ab", "MUTABLE", {"remediation": {"ignore_root_cache_rule": True}}, False),
        ("a/b", "IMMUTABLE", {}, False),
        ("a/b", "NEW_WORD", {}, False),
    ]
    for name, mutability, sections, asked in cases:
        with case(name, mutability, sections, asked):
            registry = registry_of(make_repository(name, mutability), prefixes={PLACE: ("a",)})
            examine(registry, **sections)
            assert bool(registry.calls) is asked


def test_an_exemption_by_what_was_not_read_of_the_account_withholds_the_change() -> None:
    rule = {"repository": "*/app", "reason": "play", "expires": "never"}
    cases: list[dict[str, Any]] = [
        {"ous": ["ou-ab12-11111111"]},
        {"account_tags": {"env": ["dev"]}},
    ]
    for depends in cases:
        with case(depends):
            examined = examine(
                registry_of(
                    make_repository("a/app"),
                    make_repository("other"),
                    make_repository("cache/app"),
                    make_repository("b/app", "IMMUTABLE"),
                    prefixes={PLACE: ("cache",)},
                ),
                exemptions=[rule | depends],
            )
            assert examined.counts == Counts(1, 2, 1)
            undecided, other, cached = examined.findings
            assert undecided.compliance is BAD
            assert undecided.change is not None
            assert (undecided.change.status, undecided.change.reason) == (
                ChangeStatus.WITHHELD,
                Reason.EXEMPTION_UNDECIDED,
            )
            assert (other.compliance, other.change) == (BAD, None)
            # It is exempt, whatever the account's tags are.
            assert (cached.compliance, cached.change) == (EXEMPT, None)


def test_where_the_rules_cannot_be_read_the_finding_stands_and_its_change_is_withheld() -> None:
    examined = examine(
        registry_of(
            make_repository("a/b"), make_repository("c"), prefixes={PLACE: failure(Reason.DENIED)}
        )
    )
    for (
        finding
    ) in examined.findings:  # the second only by a rule for ROOT, which nobody can rule out
        assert finding.compliance is BAD
        assert "could not be read (denied)" in finding.reason
        assert finding.change is not None
        assert finding.change.status is ChangeStatus.WITHHELD
        assert finding.change.reason is Reason.PULL_THROUGH_RULES_UNREADABLE
        assert finding.change.error == "SomeCode: it was denied"


def check_on(registry: FakeRegistry) -> TagImmutability:
    config = make_config(policy={"allowed_exclusions": ["latest"]})
    return TagImmutability(registry, config, TODAY)


def apply(
    check: TagImmutability,
    finding: Finding,
    change: Change,
    intend: Callable[[], None] = lambda: None,
) -> Change:
    return check.apply(make_target(), finding, change, intend)


def test_only_what_still_is_as_it_was_judged_is_written() -> None:
    cases: list[tuple[Repository | None, ChangeStatus, Reason | None]] = [
        (make_repository("app", "MUTABLE"), ChangeStatus.APPLIED, None),
        (None, ChangeStatus.SUPERSEDED, Reason.REPOSITORY_DELETED),
        (make_repository("app", "IMMUTABLE"), ChangeStatus.SUPERSEDED, Reason.NOW_COMPLIANT),
        (
            make_repository("app", "IMMUTABLE_WITH_EXCLUSION", ("latest",)),
            ChangeStatus.SUPERSEDED,
            Reason.NOW_COMPLIANT,
        ),
        (
            make_repository("app", "MUTABLE_WITH_EXCLUSION", ("v*",)),
            ChangeStatus.SUPERSEDED,
            Reason.CHANGED_SINCE_EXAMINED,
        ),
        (
            make_repository("app", "NEW_WORD"),
            ChangeStatus.SUPERSEDED,
            Reason.CHANGED_SINCE_EXAMINED,
        ),
    ]
    for now, status, reason in cases:
        with case(now, status, reason):
            registry = registry_of(reread={KEY: now})
            change = apply(check_on(registry), make_finding(), make_change())
            assert (change.status, change.reason) == (status, reason)
            expected = [(KEY, "IMMUTABLE", ())] if status is ChangeStatus.APPLIED else []
            assert registry.writes == expected


def test_the_verdict_of_a_record_does_not_count() -> None:
    rule = {"reason": "play", "expires": "never", "repository": "app"}
    by_ou = rule | {"ous": ["ou-ab12-11111111"]}
    withheld, superseded = ChangeStatus.WITHHELD, ChangeStatus.SUPERSEDED
    cases: list[tuple[str, dict[str, Any], ChangeStatus, Reason | None]] = [
        ("MUTABLE", {}, ChangeStatus.APPLIED, None),
        ("MUTABLE", {"exemptions": [rule | {"repository": "other"}]}, ChangeStatus.APPLIED, None),
        ("MUTABLE", {"exemptions": [rule]}, superseded, Reason.NOW_EXEMPT),
        ("MUTABLE", {"exemptions": [by_ou]}, withheld, Reason.EXEMPTION_UNDECIDED),
        ("IMMUTABLE", {}, superseded, Reason.NOW_COMPLIANT),
        ("NEW_WORD", {}, superseded, Reason.CHANGED_SINCE_EXAMINED),
    ]
    for mutability, sections, status, reason in cases:
        with case(mutability, sections):
            registry = registry_of(make_repository("app", mutability))
            check = TagImmutability(registry, make_config(**sections), TODAY)
            change = apply(check, make_finding(mutability=mutability), make_change())
            assert (change.status, change.reason) == (status, reason)
            assert bool(registry.writes) is (status is ChangeStatus.APPLIED)


def test_an_undo_opens_what_is_exempt() -> None:
    rule = {"reason": "play", "expires": "never", "repository": "app"}
    registry = registry_of(make_repository("app", "IMMUTABLE"))
    check = TagImmutability(registry, make_config(exemptions=[rule]), TODAY)
    finding = make_finding(mutability="IMMUTABLE", compliance=Compliance.COMPLIANT)
    back = make_change(to_mutability="MUTABLE")
    assert apply(check, finding, back).status is ChangeStatus.APPLIED


def test_the_order_of_filters_is_not_a_difference() -> None:
    facts = make_repository("app", "IMMUTABLE_WITH_EXCLUSION", ("b", "a"))
    finding = make_finding(mutability="IMMUTABLE_WITH_EXCLUSION", exclusion_filters=("a", "b"))
    registry = registry_of(reread={KEY: facts})
    change = apply(check_on(registry), finding, make_change())
    assert change.status is ChangeStatus.APPLIED


def test_a_repository_that_cannot_be_read_again_is_not_written() -> None:
    registry = registry_of(reread={KEY: failure(Reason.DENIED)})
    with pytest.raises(OperationFailed):
        apply(check_on(registry), make_finding(), make_change())
    assert registry.writes == []


def test_an_answer_other_than_what_was_written_is_a_failure() -> None:
    registry = registry_of(make_repository(), answers={KEY: make_repository("app", "MUTABLE")})
    with pytest.raises(OperationFailed, match="ECR answered the write with MUTABLE") as caught:
        apply(check_on(registry), make_finding(), make_change())
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE


def test_the_intent_is_told_after_the_read_and_before_the_write() -> None:
    registry = registry_of(make_repository())
    apply(
        check_on(registry),
        make_finding(),
        make_change(),
        lambda: registry.calls.append(("intent", KEY)),
    )
    assert [call for call, _ in registry.calls] == ["read", "intent", "write"]


def test_what_may_not_be_intended_is_not_written() -> None:
    def refuse() -> None:
        raise failure(Reason.JOURNAL_UNAVAILABLE)

    registry = registry_of(make_repository())
    with pytest.raises(OperationFailed) as caught:
        apply(check_on(registry), make_finding(), make_change(), refuse)
    assert caught.value.reason is Reason.JOURNAL_UNAVAILABLE
    assert registry.writes == []


def test_nothing_is_intended_where_nothing_is_to_be_written() -> None:
    def refuse() -> None:
        raise AssertionError

    registry = registry_of(make_repository("app", "IMMUTABLE"))
    change = apply(check_on(registry), make_finding(), make_change(), refuse)
    assert change.status is ChangeStatus.SUPERSEDED


def test_whether_a_change_is_made_is_read() -> None:
    cases: list[tuple[Repository | None, bool | None]] = [
        (make_repository("app", "IMMUTABLE"), True),
        (make_repository("app", "MUTABLE"), False),
        (make_repository("app", "IMMUTABLE_WITH_EXCLUSION", ("latest",)), False),
        (None, None),
    ]
    for now, made in cases:
        with case(now, made):
            registry = registry_of(reread={KEY: now})
            assert (
                check_on(registry).matches_desired(make_target(), make_finding(), make_change())
                is made
            )
            assert registry.writes == []


def test_a_write_without_an_answer_that_took_effect_is_applied() -> None:
    for reason in [Reason.TIMED_OUT, Reason.THROTTLED]:
        with case(reason):
            registry = registry_of(
                make_repository(), answers={KEY: failure(reason, uncertain=True)}
            )
            registry.took_effect = {KEY}
            assert (
                apply(check_on(registry), make_finding(), make_change()).status
                is ChangeStatus.APPLIED
            )
            assert [call for call, _ in registry.calls] == ["read", "write", "read"]


def test_a_write_without_an_answer_that_did_not_take_effect_has_failed() -> None:
    registry = registry_of(
        make_repository(), answers={KEY: failure(Reason.TIMED_OUT, uncertain=True)}
    )
    with pytest.raises(OperationFailed) as caught:
        apply(check_on(registry), make_finding(), make_change())
    assert caught.value.reason is Reason.TIMED_OUT
    assert len(registry.writes) == 1


def test_a_write_without_an_answer_whose_effect_cannot_be_read_has_failed() -> None:
    class Silent(FakeRegistry):
        def repository(self, target: Target, name: str) -> Repository | None:
            if self.writes:
                raise failure(Reason.DENIED)
            return super().repository(target, name)

    silence = failure(Reason.TIMED_OUT, uncertain=True)
    registry = Silent({PLACE: (make_repository(),)}, answers={KEY: silence})
    with pytest.raises(OperationFailed) as caught:
        apply(check_on(registry), make_finding(), make_change())
    assert caught.value.reason is Reason.TIMED_OUT


def test_a_denied_write_is_not_read_again() -> None:
    registry = registry_of(make_repository(), answers={KEY: failure(Reason.DENIED)})
    with pytest.raises(OperationFailed):
        apply(check_on(registry), make_finding(), make_change())
    assert [call for call, _ in registry.calls] == ["read", "write"]


def test_a_repository_that_is_deleted_under_the_write_is_superseded() -> None:
    registry = registry_of(make_repository(), answers={KEY: failure(Reason.REPOSITORY_DELETED)})
    change = apply(check_on(registry), make_finding(), make_change())
    assert (change.status, change.reason) == (ChangeStatus.SUPERSEDED, Reason.REPOSITORY_DELETED)


def test_a_target_whose_rules_were_not_reached_was_not_examined() -> None:
    for reason in [Reason.DEADLINE, Reason.INTERRUPTED]:
        with case(reason):
            registry = FakeRegistry(
                {PLACE: (make_repository("cache/app"),)}, prefixes={PLACE: failure(reason)}
            )
            with pytest.raises(OperationFailed) as caught:
                check_on(registry).examine(make_target())
            assert caught.value.reason is reason


def test_a_write_that_was_answered_otherwise_and_took_effect_is_applied() -> None:
    registry = registry_of(make_repository(), answers={KEY: make_repository("app", "MUTABLE")})
    registry.took_effect = {KEY}
    assert apply(check_on(registry), make_finding(), make_change()).status is ChangeStatus.APPLIED


def test_the_remedy_keeps_what_is_allowed() -> None:
    check = TagImmutability(
        registry_of(), make_config(policy={"allowed_exclusions": ["v*"]}), TODAY
    )
    change = check.remedy(
        make_finding(mutability="IMMUTABLE_WITH_EXCLUSION", exclusion_filters=("latest", "v*"))
    )
    assert (change.to_mutability, change.to_exclusion_filters) == (
        "IMMUTABLE_WITH_EXCLUSION",
        ("v*",),
    )


def test_a_pull_through_cache_rule_does_not_expire() -> None:
    exemption = _pull_through_exemption("cache/app", ("cache",))
    assert exemption
    assert (exemption.expired, exemption.expires) == (False, None)


def test_a_finding_names_its_repository_and_account() -> None:
    (finding,) = examine(registry_of(make_repository("open"))).findings
    assert finding == make_finding("open")
