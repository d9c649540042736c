"""The undo whole, in memory: over random organizations, and where something goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import ChangeStatus, Finding, Repository, ResumeState, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.recorded_changes import invert
from sweeper.domain.report_model import Report
from tests.cases import case
from tests.fakes import (
    FakeCloud,
    FakeJournal,
    FakeRegistry,
    Key,
    account_id,
    failure,
    make_account,
    make_change,
    make_environment,
    make_repository,
    make_target,
)
from tests.recorded_support import applied_finding, source_run, undo_here

ONE, TWO = make_target(1), make_target(2)
HERE = FakeCloud((make_account(1), make_account(2)))


def registry_of(facts: Mapping[Key, Repository], **more: Any) -> FakeRegistry:
    registries: dict[tuple[str, str], list[Repository]] = {}
    for (account, region, _), repository in facts.items():
        registries.setdefault((account, region), []).append(repository)
    return FakeRegistry(registries, **more)


def key_of(finding: Finding) -> Key:
    return finding.account_id, finding.region, finding.repository


def setting(repository: Repository) -> tuple[str, frozenset[str]]:
    return repository.mutability, frozenset(repository.exclusion_filters)


def left(finding: Finding) -> Repository:
    """The repository as the run left it."""
    assert finding.change
    return make_repository(
        finding.repository, finding.change.to_mutability, finding.change.to_exclusion_filters
    )


def found(finding: Finding) -> Repository:
    """The repository as the run found it."""
    return make_repository(finding.repository, finding.mutability, finding.exclusion_filters)


def outcomes(report: Report) -> list[tuple[ChangeStatus, Reason | None]]:
    return [(each.change.status, each.change.reason) for each in report.findings if each.change]


filters = st.lists(st.sampled_from(["latest", "v*", "*", "dev"]), unique=True, max_size=3)


@st.composite
def settings_of(draw: st.DrawFn, words: list[str]) -> tuple[str, tuple[str, ...]]:
    word = draw(st.sampled_from(words))
    chosen = tuple(draw(filters)) or ("latest",)
    return word, chosen if word.endswith("_WITH_EXCLUSION") else ()


@st.composite
def applied_findings(draw: st.DrawFn) -> list[Finding]:
    """Changes that runs make, in a few places."""
    keys = draw(
        st.lists(
            st.tuples(st.integers(1, 3), st.sampled_from(["eu-west-1", "us-east-1"]), st.just("")),
            min_size=1,
            max_size=8,
        )
    )
    made = []
    for number, (account, region, _) in enumerate(keys):
        after = draw(settings_of(["IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION"]))
        before = draw(
            settings_of(["MUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"])
        )
        if (before[0], set(before[1])) != (after[0], set(after[1])):
            place = make_target(account, region)
            made.append(applied_finding(f"r{number}", place, before=before, after=after))
    return made


@given(applied_findings(), st.data())
def test_each_change_has_one_outcome_and_only_what_the_run_wrote_is_written(
    given_findings: list[Finding], data: st.DataObject
) -> None:
    facts: dict[Key, Repository] = {}
    for each in given_findings:
        other = data.draw(
            settings_of(["MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "NEW_WORD"])
        )
        theirs = make_repository(each.repository, *other)
        now = data.draw(st.sampled_from([left(each), left(each), found(each), theirs, None]))
        if now:
            facts[key_of(each)] = now
    accounts = [
        make_account(number, state=data.draw(st.sampled_from(["ACTIVE", "ACTIVE", "CLOSED"])))
        for number in data.draw(st.sampled_from([(1, 2, 3), (1, 3), (1,)]))
    ]
    registry = registry_of(facts)
    report = undo_here(registry, FakeCloud(accounts), given_findings)

    told = [each.key for each in report.findings]
    assert sorted(told) == sorted(each.key for each in given_findings)
    by_key = {key_of(each): each for each in given_findings}
    for key, mutability, written in registry.writes:
        assert setting(facts[key]) == setting(left(by_key[key]))
        assert (mutability, frozenset(written)) == setting(found(by_key[key]))
    active = {account.id for account in accounts if account.state == "ACTIVE"}
    due = {
        key
        for key in facts
        if key[0] in active and setting(facts[key]) == setting(left(by_key[key]))
    }
    assert {key for key, _, _ in registry.writes} == due
    assert len(registry.writes) == report.totals.changes.applied
    assert report.totals.changes.planned == len(given_findings)
    # Once more: nothing is left to write.
    made = len(registry.writes)
    again = undo_here(registry, FakeCloud(accounts), given_findings)
    assert len(registry.writes) == made
    assert again.totals.changes.applied == 0


def test_a_dry_run_is_the_plan_and_no_write() -> None:
    one = applied_finding("a", ONE)
    registry = registry_of({key_of(one): left(one)})
    report = undo_here(registry, HERE, [one], environment=make_environment(dry_run=True))
    assert outcomes(report) == [(ChangeStatus.PLANNED, None)]
    assert registry.writes == []


def test_who_declines_has_nothing_written() -> None:
    one = applied_finding("a", ONE)
    registry = registry_of({key_of(one): left(one)})
    report = undo_here(registry, HERE, [one], approve=lambda _: False)
    assert outcomes(report) == [(ChangeStatus.WITHHELD, Reason.NOT_CONFIRMED)]
    assert registry.writes == []


def test_who_is_asked_is_asked_for_what_is_due_alone() -> None:
    one, two = applied_finding("a", ONE), applied_finding("b", ONE)
    registry = registry_of({key_of(one): left(one), key_of(two): found(two)})
    asked: list[list[str]] = []

    def approve(findings: Any) -> bool:
        asked.append([each.repository for each in findings])
        return True

    undo_here(registry, HERE, [one, two], approve=approve)
    assert asked == [["a"]]


def test_a_change_of_others_between_the_look_and_the_write_is_left_alone() -> None:
    one = applied_finding("a", ONE)

    class Meanwhile(FakeRegistry):
        def repository(self, target: Any, name: str) -> Repository | None:
            seen = super().repository(target, name)
            self.written[key_of(one)] = make_repository("a", "IMMUTABLE_WITH_EXCLUSION", ("x",))
            return seen

    registry = Meanwhile({ONE.key: [left(one)]})
    report = undo_here(registry, HERE, [one])
    assert outcomes(report) == [(ChangeStatus.SUPERSEDED, Reason.CHANGED_SINCE_EXAMINED)]
    assert registry.writes == []


def test_a_report_of_another_organization_is_not_acted_on() -> None:
    one = applied_finding("a", ONE)
    registry = registry_of({key_of(one): left(one)})
    report = undo_here(registry, HERE, [one], run=source_run(organization_id="o-2"))
    assert outcomes(report) == [(ChangeStatus.FAILED, Reason.OTHER_ORGANIZATION)]
    assert registry.calls == []


def test_where_the_accounts_cannot_be_listed_nothing_is_looked_at() -> None:
    one = applied_finding("a", ONE)
    registry = registry_of({key_of(one): left(one)})
    report = undo_here(registry, FakeCloud(failure(Reason.THROTTLED)), [one])
    assert outcomes(report) == [(ChangeStatus.FAILED, Reason.THROTTLED)]
    assert [(item.stage, item.account_id) for item in report.failures] == [(Stage.ENUMERATE, None)]
    assert registry.calls == []


def test_a_repository_that_cannot_be_read() -> None:
    cases: list[tuple[Reason, list[ChangeStatus]]] = [
        # A repository's own policy says nothing about the others of its target.
        (Reason.DENIED_BY_RESOURCE_POLICY, [ChangeStatus.FAILED, ChangeStatus.APPLIED]),
        (Reason.THROTTLED, [ChangeStatus.FAILED, ChangeStatus.FAILED]),
    ]
    for reason, expected in cases:
        with case(reason, expected):
            one, two, other = (
                applied_finding("a", ONE),
                applied_finding("b", ONE),
                applied_finding("c", TWO),
            )
            facts = {key_of(each): left(each) for each in (one, two, other)}
            registry = registry_of(facts, reread={key_of(one): failure(reason)})
            report = undo_here(registry, HERE, [one, two, other])
            assert [status for status, _ in outcomes(report)] == [*expected, ChangeStatus.APPLIED]
            assert outcomes(report)[0][1] is reason
            assert bool(report.failures) is (expected[1] is ChangeStatus.FAILED)


def test_an_undo_that_is_resumed_reads_only_what_is_not_known() -> None:
    done, begun, due = (applied_finding(name, ONE) for name in "abc")
    facts = {key_of(each): found(each) for each in (done, begun)} | {key_of(due): left(due)}
    registry = registry_of(facts)
    restored = make_change(ChangeStatus.APPLIED, to_mutability="MUTABLE")
    past = ResumeState(completed={done.key: restored}, in_doubt={begun.key})
    journal = FakeJournal(past=past)
    report = undo_here(
        registry, HERE, [done, begun, due], environment=make_environment(journal=journal)
    )
    # What was begun took effect: it is the undo's own, not somebody else's.
    assert outcomes(report) == [(ChangeStatus.APPLIED, None)] * 3
    assert [key for key, _, _ in registry.writes] == [key_of(due)]


def test_every_write_is_on_record_before_it_is_made() -> None:
    one = applied_finding("a", ONE)
    registry = registry_of({key_of(one): left(one)})
    journal = FakeJournal()
    undo_here(registry, HERE, [one], environment=make_environment(journal=journal))
    turned = invert(one)
    (plan, (intended, finding), (settled, _)) = journal.records
    assert (plan[0], intended, settled) == ("plan", "intend", "settle")
    assert (finding.mutability, finding.change) == (turned.mutability, turned.change)
    refusing = FakeJournal(refuses=OperationFailed(Reason.JOURNAL_UNAVAILABLE, "no place"))
    untouched = registry_of({key_of(one): left(one)})
    report = undo_here(untouched, HERE, [one], environment=make_environment(journal=refusing))
    assert outcomes(report) == [(ChangeStatus.WITHHELD, Reason.JOURNAL_UNAVAILABLE)]
    assert untouched.writes == []


def test_the_name_of_an_account_is_the_organizations() -> None:
    one = replace(applied_finding("a", ONE), account_name="forged")
    registry = registry_of({key_of(one): left(one)})
    report = undo_here(registry, FakeCloud((make_account(1, name="own"),)), [one])
    assert [each.account_name for each in report.findings] == ["own"]
    assert report.run.organization_id == "o-1"
    assert report.run.account_id == account_id(1)


def test_no_limit_of_a_sweep_holds_back_an_undo() -> None:
    made = [
        applied_finding(
            f"r{number}", make_target(), before=("MUTABLE", ()), after=("IMMUTABLE", ())
        )
        for number in range(3)
    ]
    registry = registry_of({key_of(each): left(each) for each in made})
    limits = {"max_changes": 1, "min_coverage": 1.0}
    report = undo_here(registry, FakeCloud([make_account(1)]), made, remediation=limits)
    assert outcomes(report) == [(ChangeStatus.APPLIED, None)] * 3
