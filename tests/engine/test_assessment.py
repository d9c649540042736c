"""What changes may break is read before them, and whatever fails there keeps nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sweeper.checks.tag_immutability import TagImmutability
from sweeper.domain.model import (
    Change,
    ChangeStatus,
    Counts,
    Examined,
    Failed,
    Finding,
    Image,
    Impact,
    Resource,
    Skipped,
    Stage,
    Target,
)
from sweeper.domain.planning import Outcome
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report
from sweeper.engine.assessment import assess_impact
from sweeper.engine.attempts import Stop
from sweeper.engine.pool import Pool
from sweeper.engine.ports import Check, Record
from tests.cases import case
from tests.fakes import (
    DENIALS,
    PASSING,
    REGION,
    TODAY,
    FakeCloud,
    FakeJournal,
    FakeObserver,
    FakeRegistry,
    Key,
    World,
    account_id,
    errors,
    failure,
    make_account,
    make_change,
    make_config,
    make_environment,
    make_finding,
    make_repository,
    make_target,
    run_sweep,
    worlds,
)

ON = {"remediation": {"assess_impact": True}}
PLACE = account_id(1), REGION


def swept(registry: FakeRegistry, **values: object) -> Report:
    environment = make_environment(**{"dry_run": True, **values})  # type: ignore[arg-type]
    return run_sweep(FakeCloud([make_account(1)]), registry, make_config(**ON), environment)


def registry_of(*names: str, **pushed: Image | Exception) -> FakeRegistry:
    return FakeRegistry(
        {PLACE: [make_repository(name) for name in names]},
        pushed={(*PLACE, name): [what] for name, what in pushed.items()},
    )


def impacts(report: Report) -> dict[str, Impact | None]:
    return {finding.repository: finding.impact for finding in report.findings}


def test_what_is_about_to_be_closed_is_assessed_before_it_is() -> None:
    registry = registry_of("a", "b", a=Image(("latest",), None))
    report = swept(registry, dry_run=False)
    found = impacts(report)
    assert found["a"] is not None
    assert found["b"] is not None
    assert (found["a"].exclusions, found["b"].images) == (("latest",), 0)
    assert [what for what, _ in registry.calls] == [
        "rules",
        *["images", "images"],
        *["read", "write", "read", "write"],
    ]
    assert report.totals.changes.applied == 2


def test_nothing_is_read_unless_it_is_asked_for() -> None:
    registry = registry_of("a", a=Image(("latest",), None))
    report = run_sweep(
        FakeCloud([make_account(1)]), registry, make_config(), make_environment(dry_run=True)
    )
    assert impacts(report) == {"a": None}
    assert {what for what, _ in registry.calls} == {"rules"}


def test_what_is_not_to_be_closed_is_not_assessed() -> None:
    rules = [{"repository": "b", "reason": "because", "expires": "never"}]
    registry = FakeRegistry(
        {PLACE: [make_repository("a", "NEW"), make_repository("b"), make_repository("c")]}
    )
    for remediation in ({"auto_remediate": "DISABLED"}, {"exclude_accounts": [account_id(1)]}):
        config = make_config(remediation={"assess_impact": True, **remediation}, exemptions=rules)
        report = run_sweep(FakeCloud([make_account(1)]), registry, config)
        assert set(impacts(report).values()) == {None}
    assert registry.calls == []


def test_a_plan_that_is_held_back_is_assessed() -> None:
    config = make_config(remediation={"assess_impact": True, "max_changes": 0})
    registry = registry_of("a", a=Image(("main",), None))
    (finding,) = run_sweep(FakeCloud([make_account(1)]), registry, config).findings
    assert finding.change is not None
    assert finding.change.reason is Reason.MAX_CHANGES
    assert finding.impact is not None
    assert finding.impact.exclusions == ("main",)


def test_what_could_not_be_read_is_said_and_the_sweep_goes_on() -> None:
    registry = registry_of("a", "b", "c", a=failure(Reason.THROTTLED), b=ZeroDivisionError("oh"))
    report = swept(registry, dry_run=False)
    found = impacts(report)
    assert found["a"] == Impact(unavailable=Reason.THROTTLED, error="SomeCode: it was throttled")
    assert found["b"] is not None
    assert found["b"].unavailable is Reason.INTERNAL_ERROR
    assert found["c"] == Impact()
    assert report.coverage.complete
    assert report.totals.changes.applied == 3


def test_after_a_denial_the_region_is_not_asked_again() -> None:
    cases: list[tuple[Reason, int]] = [(Reason.DENIED, 1), (Reason.DENIED_BY_RESOURCE_POLICY, 2)]
    for reason, asked in cases:
        with case(reason, asked):
            registry = registry_of("a", "b", a=failure(reason), b=failure(reason))
            found = impacts(swept(registry))
            assert {each.unavailable for each in found.values() if each} == {reason}
            assert [what for what, _ in registry.calls].count("images") == asked


def test_when_told_to_stop_that_is_said() -> None:
    stop = Stop()

    class Stopping(FakeRegistry):
        def images(self, target: Target, name: str) -> Iterator[Image]:
            stop.request()
            stop.check()
            yield from ()

    report = swept(Stopping({PLACE: [make_repository("a"), make_repository("b")]}), stop=stop)
    found = impacts(report)
    assert {each.unavailable for each in found.values() if each} == {Reason.INTERRUPTED}
    assert len(found) == 2
    assert report.coverage.complete


def test_a_target_that_is_not_reached_has_the_reason() -> None:
    stop = Stop()
    stop.request()
    registry = registry_of("a")
    check = TagImmutability(registry, make_config(**ON), TODAY)
    pool = Pool(2, make_environment(stop=stop))
    planned = make_finding("a", change=make_change())
    exempt = make_finding("b")
    (outcome,) = assess_impact(
        pool, (check,), (make_target(),), [Examined(Counts(0, 1, 1), (planned, exempt))]
    )
    assert isinstance(outcome, Examined)
    first, second = outcome.findings
    assert first.impact is not None
    assert first.impact.unavailable is Reason.INTERRUPTED
    assert (second, registry.calls) == (exempt, [])


def test_a_check_without_the_capability_has_no_impact() -> None:
    class Plain(Check):
        name = make_finding().check
        resource: Resource = "repository"
        read_actions = write_actions = frozenset[str]()

        def examine(self, target: Target, record: Record | None = None) -> Examined:
            raise NotImplementedError

        def remedy(self, finding: Finding) -> Change:
            raise NotImplementedError

        def apply(self, *_: object) -> Change:
            raise NotImplementedError

        def matches_desired(self, target: Target, finding: Finding, change: Change) -> bool:
            raise NotImplementedError

    environment = make_environment()
    before = [Examined(Counts(0, 1, 0), (make_finding(change=make_change()),))]
    assert (
        assess_impact(
            Pool(2, environment),
            (Plain(None, make_config(), TODAY),),
            (make_target(),),
            list(before),
        )
        == before
    )
    assert isinstance(environment.observer, FakeObserver)
    assert environment.observer.stages == []


def test_outcomes_without_a_change_are_left_as_they_are() -> None:
    check = TagImmutability(FakeRegistry({}), make_config(**ON), TODAY)
    skipped = Skipped(Reason.REGION_EXCLUDED)
    failed = Failed(Stage.EXAMINE, Reason.DENIED, "no")
    applied = make_finding(change=make_change(ChangeStatus.APPLIED))
    outcomes: list[Outcome] = [
        skipped,
        failed,
        Examined(Counts(1, 0, 0)),
        Examined(Counts(0, 1, 0), (applied,)),
    ]
    targets = [make_target(number) for number in range(4)]
    assert assess_impact(Pool(2, make_environment()), (check,), targets, list(outcomes)) == outcomes


def test_whoever_is_asked_knows_the_impact() -> None:
    asked: list[Finding] = []

    def approve(findings: Sequence[Finding]) -> bool:
        asked.extend(findings)
        return False

    registry = registry_of("a", a=Image(("latest",), None))
    report = swept(registry, dry_run=False, approve=approve)
    assert [each.impact and each.impact.moved_count for each in asked] == [1]
    assert impacts(report)["a"] is not None
    assert registry.writes == []


def test_who_watches_sees_a_stage_and_the_journal_no_impact() -> None:
    journal = FakeJournal()
    registry = registry_of("a", a=Image(("latest",), None))
    swept(registry, dry_run=False, journal=journal)
    assert (Stage.ASSESS, 1) in journal.stages


images = st.builds(
    Image,
    st.lists(st.sampled_from(["latest", "main", "pr-1", "pr-1.0.0", "1.0", ""]), max_size=3).map(
        tuple
    ),
    st.none(),
)


@given(worlds(denials=()), st.data())
def test_impact_changes_nothing_but_itself(world: World, data: st.DataObject) -> None:
    keys = [
        (*place, fact.name)
        for place, facts in world.registries.items()
        for fact in facts
        if not isinstance(fact, Exception)
    ]
    pushed: dict[Key, list[Image | Exception]] = {
        key: data.draw(st.lists(images | errors((*PASSING, *DENIALS)), max_size=3)) for key in keys
    }
    without, made = world.sweep()
    report, registry = world.sweep(pushed=pushed)
    assert sorted(registry.writes) == sorted(made.writes)
    stripped = [replace(finding, impact=None) for finding in report.findings]
    assert replace(report, findings=stripped) == replace(without, findings=list(without.findings))
    for finding in report.findings:
        if finding.change and finding.change.status is ChangeStatus.APPLIED:
            assert finding.impact is not None
        assert finding.change or finding.impact is None
