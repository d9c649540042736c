"""Writing a plan: what is called, and what is recorded when something goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sweeper.checks.tag_immutability import TagImmutability
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import (
    Account,
    Change,
    ChangeStatus,
    Counts,
    Examined,
    Failed,
    Finding,
    Organization,
    Repository,
    ResumeState,
    Skipped,
    Stage,
    Target,
)
from sweeper.domain.planning import Outcome
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import NOT_REACHED, Stop
from sweeper.engine.pool import Pool
from sweeper.engine.ports import Check
from sweeper.engine.remediation import apply_changes
from tests.cases import case
from tests.fakes import (
    DEV,
    NOW,
    PROD,
    REGION,
    ROOT,
    TODAY,
    FakeCloud,
    FakeJournal,
    FakeObserver,
    FakeRegistry,
    Key,
    account_id,
    failure,
    make_account,
    make_change,
    make_config,
    make_environment,
    make_finding,
    make_repository,
    make_target,
)

NAMES = ("a", "b", "c")
ONE, TWO, ELSEWHERE = make_target(1), make_target(2), make_target(1, "us-east-1")


def key(target: Target, name: str) -> Key:
    return target.account.id, target.region, name


def apply(
    registry: FakeRegistry,
    *targets: Target,
    stop: Stop | None = None,
    approved: bool = True,
    workers: int = 1,
) -> list[list[tuple[ChangeStatus, Reason | None]]]:
    """What became of the changes to NAMES in each of the targets."""
    outcomes: list[Outcome] = [
        Examined(
            Counts(0, 3, 0),
            tuple(make_finding(name, target, change=make_change()) for name in NAMES),
        )
        for target in targets
    ]
    environment = make_environment(stop=stop, approve=lambda _: approved)
    check = TagImmutability(registry, make_config(), TODAY)
    changed = change(Pool(workers, environment), (check,), targets, outcomes)
    return [
        [(change.status, change.reason) for change in changes_of(outcome)] for outcome in changed
    ]


def change(
    pool: Pool,
    checks: Sequence[Check],
    targets: Sequence[Target],
    outcomes: list[Outcome],
    cloud: FakeCloud | None = None,
    **sections: Any,
) -> list[Outcome]:
    """As the sweep calls it, in an organization that is as it was."""
    there = FakeCloud(tuple({target.account.id: target.account for target in targets}.values()))
    return apply_changes(
        pool, cloud or there, checks, make_config(**sections), targets=targets, outcomes=outcomes
    )


def changes_of(outcome: Outcome) -> list[Change]:
    assert isinstance(outcome, Examined)
    return [finding.change for finding in outcome.findings if finding.change]


def registry_of(
    *targets: Target,
    answers: Mapping[Key, Repository | Exception] | None = None,
    reread: Mapping[Key, Repository | Exception | None] | None = None,
) -> FakeRegistry:
    facts = tuple(make_repository(name) for name in NAMES)
    registries = {(target.account.id, target.region): facts for target in targets}
    return FakeRegistry(registries, answers=answers or {}, reread=reread or {})


def written(registry: FakeRegistry) -> list[Key]:
    return [key for key, _, _ in registry.writes]


APPLIED = (ChangeStatus.APPLIED, None)
NOT_PERMITTED = (ChangeStatus.FAILED, Reason.WRITE_NOT_PERMITTED)


def failed(reason: Reason) -> tuple[ChangeStatus, Reason]:
    return ChangeStatus.FAILED, reason


def test_the_changes_of_a_target_go_one_after_another_each_read_again_before() -> None:
    registry = registry_of(ONE)
    assert apply(registry, ONE, workers=8) == [[APPLIED] * 3]
    assert registry.calls == [
        (call, key(ONE, name)) for name in NAMES for call in ("read", "write")
    ]


def test_what_a_record_says_is_judged_again_once_for_each_target() -> None:
    names = ("cache/a", "cache/b", "own/a", "d")
    examined = Examined(
        Counts(0, 4, 0), tuple(make_finding(name, ONE, change=make_change()) for name in names)
    )
    superseded = (ChangeStatus.SUPERSEDED, Reason.NOW_EXEMPT)
    unread = (ChangeStatus.WITHHELD, Reason.PULL_THROUGH_RULES_UNREADABLE)
    review = (ChangeStatus.WITHHELD, Reason.MANUAL_REVIEW_REQUIRED)
    stopped = failed(Reason.DEADLINE)
    cases: list[tuple[Any, bool, list[tuple[ChangeStatus, Reason | None]], int]] = [
        (("cache",), True, [superseded, superseded, APPLIED, APPLIED], 1),
        (("cache", "ROOT"), True, [superseded, superseded, review, review], 1),
        (failure(Reason.DENIED), True, [unread] * 4, 1),
        (failure(Reason.DEADLINE), True, [stopped] * 4, 1),
        # This process has read the rules itself when it examined the target.
        (("cache",), False, [APPLIED] * 4, 0),
    ]
    for prefixes, recalled, ended, reads in cases:
        with case(prefixes, recalled):
            registry = FakeRegistry(
                {ONE.key: tuple(map(make_repository, names))}, prefixes={ONE.key: prefixes}
            )
            past = ResumeState(examined={ONE.key: examined} if recalled else {})
            environment = make_environment(journal=FakeJournal(past=past))
            check = TagImmutability(registry, make_config(), TODAY)
            (outcome,) = change(Pool(1, environment), (check,), (ONE,), [examined])
            assert [(each.status, each.reason) for each in changes_of(outcome)] == ended
            assert [call for call, _ in registry.calls].count("rules") == reads
            applied = [name for name, end in zip(names, ended, strict=True) if end == APPLIED]
            assert [name for _, _, name in written(registry)] == applied


def test_a_wave_must_have_begun_by_the_clock_of_now_too() -> None:
    applied = [APPLIED] * 3
    moved = [(ChangeStatus.SUPERSEDED, Reason.ACCOUNT_MOVED)] * 3
    findings = tuple(make_finding(name, ONE, change=make_change()) for name in NAMES)
    for days, ended in ((0, applied), (1, applied), (-1, moved)):
        with case(days):
            environment = make_environment(now=NOW + timedelta(days=days))
            registry = registry_of(ONE)
            (outcome,) = change(
                Pool(1, environment),
                (TagImmutability(registry, make_config(), TODAY),),
                (ONE,),
                [Examined(Counts(0, 3, 0), findings)],
                remediation={"rollout": [{"from": TODAY}]},
            )
            assert [(each.status, each.reason) for each in changes_of(outcome)] == ended


def test_outcomes_without_a_planned_change_are_left_as_they_are() -> None:
    withheld = make_change(ChangeStatus.WITHHELD, reason=Reason.TOO_MANY_FILTERS)
    findings = (
        make_finding("a", change=make_change()),
        make_finding("b", change=withheld),
        make_finding("c"),
    )
    outcomes: list[Outcome] = [
        Skipped(Reason.REGION_EXCLUDED),
        Examined(Counts(1, 0, 0)),
        Examined(Counts(0, 3, 0), findings),
        Failed(Stage.EXAMINE, Reason.DENIED, "no"),
    ]
    environment = make_environment()
    check = TagImmutability(registry_of(ONE), make_config(), TODAY)
    changed = change(Pool(1, environment), (check,), [ONE] * 4, list(outcomes))
    assert [changed[index] for index in (0, 1, 3)] == [outcomes[index] for index in (0, 1, 3)]
    assert isinstance(changed[2], Examined)
    assert [finding.change for finding in changed[2].findings] == [
        make_change(ChangeStatus.APPLIED),
        withheld,
        None,
    ]
    assert isinstance(environment.observer, FakeObserver)
    assert environment.observer.stages == [(Stage.CHANGE, 1)]


def test_without_a_planned_change_nobody_is_asked() -> None:
    def approve(_: Sequence[Finding]) -> bool:
        raise AssertionError

    outcomes: list[Outcome] = [Examined(Counts(0, 1, 0), (make_finding(),))]
    pool = Pool(1, make_environment(approve=approve))
    assert change(pool, (), [ONE], outcomes) == outcomes


def test_who_approves_is_asked_once_with_what_is_due() -> None:
    asked: list[Sequence[Finding]] = []

    def approve(findings: Sequence[Finding]) -> bool:
        asked.append(findings)
        return False

    due = make_finding("a", change=make_change())
    outcomes: list[Outcome] = [Examined(Counts(0, 2, 0), (due, make_finding("b")))]
    change(Pool(1, make_environment(approve=approve)), (), [ONE], outcomes)
    assert asked == [[due]]


def test_what_is_not_confirmed_is_withheld_without_a_call() -> None:
    registry = registry_of(ONE, TWO)
    withheld = (ChangeStatus.WITHHELD, Reason.NOT_CONFIRMED)
    assert apply(registry, ONE, TWO, approved=False) == [[withheld] * 3] * 2
    assert registry.calls == []


def test_what_changed_since_is_left_alone() -> None:
    cases: list[tuple[Repository | None, Reason]] = [
        (None, Reason.REPOSITORY_DELETED),
        (make_repository("b", "IMMUTABLE"), Reason.NOW_COMPLIANT),
        (
            make_repository("b", "IMMUTABLE_WITH_EXCLUSION", ("x",)),
            Reason.CHANGED_SINCE_EXAMINED,
        ),
    ]
    for now, reason in cases:
        with case(now, reason):
            registry = registry_of(ONE, reread={key(ONE, "b"): now})
            superseded = (ChangeStatus.SUPERSEDED, reason)
            assert apply(registry, ONE) == [[APPLIED, superseded, APPLIED]]
            assert written(registry) == [key(ONE, "a"), key(ONE, "c")]


def test_one_failed_write_does_not_stop_the_others() -> None:
    for reason in [
        Reason.THROTTLED,
        Reason.TIMED_OUT,
        Reason.SERVICE_ERROR,
        Reason.REQUEST_REFUSED,
        Reason.CREDENTIALS_EXPIRED,
    ]:
        with case(reason):
            registry = registry_of(ONE, answers={key(ONE, "a"): failure(reason)})
            assert apply(registry, ONE) == [[failed(reason), APPLIED, APPLIED]]


def test_a_repository_that_cannot_be_read_again_is_not_written() -> None:
    registry = registry_of(ONE, reread={key(ONE, "b"): failure(Reason.TIMED_OUT)})
    assert apply(registry, ONE) == [[APPLIED, failed(Reason.TIMED_OUT), APPLIED]]
    assert written(registry) == [key(ONE, "a"), key(ONE, "c")]


def test_a_repositorys_own_policy_denies_nothing_for_the_others() -> None:
    denied = Reason.DENIED_BY_RESOURCE_POLICY
    registry = registry_of(ONE, answers={key(ONE, "b"): failure(denied)})
    assert apply(registry, ONE) == [[APPLIED, failed(denied), APPLIED]]


def test_after_a_denied_write_the_rest_of_the_account_is_not_called() -> None:
    for reason in [
        reason
        for reason in Reason
        if reason.is_denial and reason is not Reason.DENIED_BY_RESOURCE_POLICY
    ]:
        with case(reason):
            registry = registry_of(ONE, ELSEWHERE, TWO, answers={key(ONE, "b"): failure(reason)})
            assert apply(registry, ONE, ELSEWHERE, TWO) == [
                [APPLIED, failed(reason), NOT_PERMITTED],
                [NOT_PERMITTED] * 3,
                [APPLIED] * 3,
            ]
            assert written(registry) == [
                key(ONE, "a"),
                key(ONE, "b"),
                *(key(TWO, name) for name in NAMES),
            ]
            assert not any(target == key(ONE, "c") for _, target in registry.calls)


def test_a_defect_in_one_change_keeps_what_was_applied_before_and_after() -> None:
    registry = registry_of(ONE, answers={key(ONE, "b"): ZeroDivisionError("oh")})
    assert apply(registry, ONE) == [[APPLIED, failed(Reason.INTERNAL_ERROR), APPLIED]]


def test_a_failed_change_says_what_was_said() -> None:
    registry = registry_of(ONE, answers={key(ONE, "a"): failure(Reason.DENIED)})
    outcome: Outcome = Examined(Counts(0, 1, 0), (make_finding("a", change=make_change()),))
    check = TagImmutability(registry, make_config(), TODAY)
    (changed,) = change(Pool(1, make_environment()), (check,), [ONE], [outcome])
    assert changes_of(changed) == [
        make_change(ChangeStatus.FAILED, reason=Reason.DENIED, error="SomeCode: it was denied")
    ]


def test_a_failed_change_says_whether_its_write_may_have_taken_effect() -> None:
    lost = OperationFailed(Reason.TIMED_OUT, "no answer", uncertain=True)
    answers: dict[Any, Exception] = {
        key(ONE, "a"): lost,
        key(ONE, "b"): failure(Reason.REQUEST_REFUSED),
        key(ONE, "c"): ZeroDivisionError("oh"),
    }
    registry = registry_of(ONE, answers=answers)
    findings = tuple(make_finding(name, change=make_change()) for name in "abc")
    check = TagImmutability(registry, make_config(), TODAY)
    (ended,) = change(
        Pool(1, make_environment()),
        (check,),
        [ONE],
        [Examined(Counts(0, 3, 0), findings)],
    )
    assert [each.uncertain for each in changes_of(ended)] == [True, False, True]


def test_stopped_in_the_middle_the_rest_is_recorded_as_not_reached() -> None:
    stop = Stop()

    class Interrupting(FakeRegistry):
        def repository(self, target: Target, name: str) -> Repository | None:
            if name == "b":
                stop.request()
            return super().repository(target, name)

    facts = tuple(make_repository(name) for name in NAMES)
    registry = Interrupting({(account_id(number), REGION): facts for number in (1, 2)})
    interrupted = failed(Reason.INTERRUPTED)
    assert apply(registry, ONE, TWO, stop=stop) == [
        [APPLIED, APPLIED, interrupted],
        [interrupted] * 3,
    ]
    assert written(registry) == [key(ONE, "a"), key(ONE, "b")]


def test_stopped_before_the_first_change_nothing_is_called() -> None:
    stop, registry = Stop(), registry_of(ONE)
    stop.request(Reason.DEADLINE)
    assert apply(registry, ONE, stop=stop) == [[failed(Reason.DEADLINE)] * 3]
    assert registry.calls == []


# --- what a write needs beforehand ---------------------------------------------------------------

CHANGE: Outcome = Examined(Counts(0, 1, 0), (make_finding("a", ONE, change=make_change()),))


def changed_in(cloud: FakeCloud, registry: FakeRegistry, **sections: Any) -> Change:
    check = TagImmutability(registry, make_config(), TODAY)
    pool = Pool(1, make_environment())
    (changed,) = change(pool, (check,), [ONE], [CHANGE], cloud, **sections)
    return changes_of(changed)[0]


def test_an_account_that_may_be_exempt_by_now_is_left_alone() -> None:
    rule = {"repository": "*", "reason": "play", "expires": "never", "ous": [DEV]}
    target = replace(ONE, account=make_account(1, ou_path=(ROOT,)))
    for path, reason in (
        ((ROOT,), None),
        ((ROOT, DEV), Reason.ACCOUNT_MOVED),
        (None, Reason.ACCOUNT_MOVED),
    ):
        with case(path):
            check = TagImmutability(registry_of(ONE), make_config(), TODAY)
            cloud = FakeCloud([make_account(1, ou_path=path)])
            (changed,) = change(
                Pool(1, make_environment()), (check,), [target], [CHANGE], cloud, exemptions=[rule]
            )
            assert changes_of(changed)[0].reason is reason


def test_an_account_that_is_not_as_it_was_is_left_alone() -> None:
    cases: list[tuple[list[Account], Reason]] = [
        ([], Reason.ACCOUNT_LEFT),
        ([make_account(1, state="SUSPENDED")], Reason.ACCOUNT_SUSPENDED),
        ([make_account(1, state="PENDING_CLOSURE")], Reason.ACCOUNT_PENDING_CLOSURE),
        ([make_account(1, ou_path=(ROOT, DEV))], Reason.ACCOUNT_MOVED),
        ([make_account(1, ou_path=None)], Reason.ACCOUNT_OU_UNKNOWN),
        ([make_account(1, state="NEW_WORD")], Reason.ACCOUNT_STATE_UNKNOWN),
    ]
    for section in ["organization", "remediation"]:
        for now, reason in cases:
            with case(section, now, reason):
                registry = registry_of(ONE)
                changed = changed_in(FakeCloud(now), registry, **{section: {"include_ous": [PROD]}})
                assert (changed.status, changed.reason) == (ChangeStatus.SUPERSEDED, reason)
                assert registry.calls == []


def test_an_account_that_moved_within_the_scope_is_written() -> None:
    there = FakeCloud([make_account(1, ou_path=(ROOT, PROD, "ou-ab12-33333333"))])
    changed = changed_in(there, registry_of(ONE), remediation={"include_ous": [PROD]})
    assert changed.status is ChangeStatus.APPLIED


def test_where_the_accounts_cannot_be_listed_again_nothing_is_written() -> None:
    registry = registry_of(ONE)
    changed = changed_in(FakeCloud(failure(Reason.THROTTLED)), registry)
    assert (changed.status, changed.reason) == (ChangeStatus.WITHHELD, Reason.THROTTLED)
    assert changed.error == "SomeCode: it was throttled"
    assert registry.calls == []


def test_without_the_lease_nobody_is_asked_and_nothing_is_written() -> None:
    def refuse() -> None:
        raise failure(Reason.LEASE_UNAVAILABLE)

    def approve(_: Sequence[Finding]) -> bool:
        raise AssertionError

    registry = registry_of(ONE)
    environment = make_environment(may_write=refuse, approve=approve)
    check = TagImmutability(registry, make_config(), TODAY)
    (changed,) = change(Pool(1, environment), (check,), [ONE], [CHANGE])
    (after,) = changes_of(changed)
    assert (after.status, after.reason) == (ChangeStatus.WITHHELD, Reason.LEASE_UNAVAILABLE)
    assert registry.calls == []


def test_a_lease_that_is_lost_meanwhile_ends_the_writing() -> None:
    registry = registry_of(ONE)

    def hold() -> None:
        if registry.writes:
            raise failure(Reason.LEASE_LOST)

    check = TagImmutability(registry, make_config(), TODAY)
    findings = tuple(make_finding(name, ONE, change=make_change()) for name in NAMES)
    pool = Pool(1, make_environment(may_write=hold))
    (changed,) = change(pool, (check,), [ONE], [Examined(Counts(0, 3, 0), findings)])
    lost = failed(Reason.LEASE_LOST)
    assert [(each.status, each.reason) for each in changes_of(changed)] == [APPLIED, lost, lost]
    assert written(registry) == [key(ONE, "a")]


def test_a_plan_that_cannot_be_put_on_record_is_not_written() -> None:
    registry = registry_of(ONE)
    journal = FakeJournal(refuses=failure(Reason.JOURNAL_UNAVAILABLE))
    check = TagImmutability(registry, make_config(), TODAY)
    (changed,) = change(Pool(1, make_environment(journal=journal)), (check,), [ONE], [CHANGE])
    (after,) = changes_of(changed)
    assert (after.status, after.reason) == (ChangeStatus.WITHHELD, Reason.JOURNAL_UNAVAILABLE)
    assert registry.calls == []


def test_each_change_is_recorded_before_and_after_its_write() -> None:
    registry = registry_of(ONE, answers={key(ONE, "b"): failure(Reason.DENIED)})
    journal = FakeJournal()
    check = TagImmutability(registry, make_config(), TODAY)
    findings = tuple(make_finding(name, ONE, change=make_change()) for name in NAMES)
    pool = Pool(1, make_environment(journal=journal))
    change(pool, (check,), [ONE], [Examined(Counts(0, 3, 0), findings)])
    told = [
        (kind, each.repository, each.change.status)
        for kind, each in journal.records
        if kind != "plan"
    ]
    assert journal.records[0] == ("plan", 1)
    assert told == [
        ("intend", "a", ChangeStatus.PLANNED),
        ("settle", "a", ChangeStatus.APPLIED),
        ("intend", "b", ChangeStatus.PLANNED),
        ("settle", "b", ChangeStatus.FAILED),
    ]


def begun_before(
    now: Repository | Exception | None,
    held: Callable[[], None] = lambda: None,
    status: ChangeStatus = ChangeStatus.PLANNED,
) -> tuple[Change, FakeRegistry, FakeJournal]:
    """What becomes of a change that was begun when the run last ended."""
    registry = registry_of(ONE, reread={key(ONE, "a"): now})
    reason = Reason.MAX_CHANGES if status is ChangeStatus.WITHHELD else None
    finding = make_finding("a", ONE, change=make_change(status, reason=reason, error=reason))
    journal = FakeJournal(past=ResumeState(in_doubt={finding.key}))
    check = TagImmutability(registry, make_config(), TODAY)
    pool = Pool(1, make_environment(journal=journal, may_write=held))
    (changed,) = change(pool, (check,), [ONE], [Examined(Counts(0, 1, 0), (finding,))])
    return changes_of(changed)[0], registry, journal


def refuse() -> None:
    raise failure(Reason.LEASE_UNAVAILABLE)


def test_a_change_that_was_begun_and_took_effect_is_the_runs_own() -> None:
    """Whether or not anything may be written now."""
    for status in [ChangeStatus.PLANNED, ChangeStatus.WITHHELD]:
        for held in [lambda: None, refuse]:
            with case(status, held):
                after, registry, journal = begun_before(
                    make_repository("a", "IMMUTABLE"), held, status
                )
                assert after == make_change(ChangeStatus.APPLIED)
                assert registry.writes == []
                ((kind, settled),) = [each for each in journal.records if each[0] != "plan"]
                assert (kind, settled.change) == ("settle", after)


def test_one_that_did_not_is_made_if_it_may() -> None:
    cases: list[tuple[Repository | Exception | None, tuple[ChangeStatus, Reason | None], int]] = [
        (make_repository("a"), APPLIED, 1),
        (
            make_repository("a", "MUTABLE_WITH_EXCLUSION", ("v*",)),
            (ChangeStatus.SUPERSEDED, Reason.CHANGED_SINCE_EXAMINED),
            0,
        ),
        (None, (ChangeStatus.SUPERSEDED, Reason.REPOSITORY_DELETED), 0),
        (failure(Reason.DENIED), (ChangeStatus.FAILED, Reason.DENIED), 0),
    ]
    for now, expected, writes in cases:
        with case(now, expected, writes):
            after, registry, _ = begun_before(now)
            assert (after.status, after.reason) == expected
            assert len(registry.writes) == writes
            if after.status is ChangeStatus.FAILED:
                said = "begun when the run last ended, it may have taken effect: it was denied"
                assert after.error == f"SomeCode: {said}"


def test_one_that_did_not_is_withheld_where_nothing_may_be_written() -> None:
    after, registry, _ = begun_before(make_repository("a"), refuse)
    assert (after.status, after.reason) == (ChangeStatus.WITHHELD, Reason.LEASE_UNAVAILABLE)
    assert registry.writes == []


def test_only_what_was_begun_is_the_runs_own() -> None:
    """The other one was closed by somebody else."""
    closed = {key(ONE, name): make_repository(name, "IMMUTABLE") for name in ("a", "b")}
    registry = registry_of(ONE, reread=closed)
    findings = tuple(make_finding(name, ONE, change=make_change()) for name in ("a", "b"))
    journal = FakeJournal(past=ResumeState(in_doubt={findings[0].key}))
    check = TagImmutability(registry, make_config(), TODAY)
    pool = Pool(1, make_environment(journal=journal))
    (changed,) = change(pool, (check,), [ONE], [Examined(Counts(0, 2, 0), findings)])
    assert [(each.status, each.reason) for each in changes_of(changed)] == [
        APPLIED,
        (ChangeStatus.SUPERSEDED, Reason.NOW_COMPLIANT),
    ]


def test_a_sweep_that_was_stopped_lists_no_account_again() -> None:
    class Silent(FakeCloud):
        def list_accounts(self) -> Organization:
            raise AssertionError

    stop = Stop()
    stop.request()
    pool = Pool(1, make_environment(stop=stop))
    (changed,) = change(pool, (), [ONE], [CHANGE], Silent(()))
    assert [each.reason for each in changes_of(changed)] == [Reason.INTERRUPTED]


def test_a_denial_of_one_checks_write_says_nothing_of_anothers() -> None:
    class Other(TagImmutability):
        name = "other"

    denied = registry_of(ONE, answers={key(ONE, "a"): failure(Reason.DENIED)})
    allowed = registry_of(ONE)
    checks = (
        TagImmutability(denied, make_config(), TODAY),
        Other(allowed, make_config(), TODAY),
    )
    findings = tuple(
        make_finding(name, ONE, check=check.name, change=make_change())
        for check in checks
        for name in NAMES
    )
    (changed,) = change(
        Pool(1, make_environment()), checks, [ONE], [Examined(Counts(0, 6, 0), findings)]
    )
    assert [(each.status, each.reason) for each in changes_of(changed)] == [
        failed(Reason.DENIED),
        NOT_PERMITTED,
        NOT_PERMITTED,
        *[APPLIED] * 3,
    ]
    assert [bool(each.error) for each in changes_of(changed)] == [True] * 3 + [False] * 3


def test_what_was_begun_and_cannot_be_reached_any_more_may_have_taken_effect() -> None:
    stop = Stop()
    stop.request()
    registry = registry_of(ONE)
    findings = tuple(make_finding(name, ONE, change=make_change()) for name in ("a", "b"))
    journal = FakeJournal(past=ResumeState(in_doubt={findings[0].key}))
    check = TagImmutability(registry, make_config(), TODAY)
    outcomes: list[Outcome] = [
        Examined(Counts(5, 0, 0)),
        Examined(Counts(0, 2, 0), findings),
    ]
    pool = Pool(1, make_environment(journal=journal, stop=stop))
    before, after = change(pool, (check,), [TWO, ONE], outcomes)
    assert before == outcomes[0]
    assert [(each.status, each.reason, each.error) for each in changes_of(after)] == [
        (
            ChangeStatus.FAILED,
            Reason.INTERRUPTED,
            f"begun when the run last ended, it may have taken effect: {NOT_REACHED}",
        ),
        (ChangeStatus.FAILED, Reason.INTERRUPTED, NOT_REACHED),
    ]
    assert registry.calls == []
