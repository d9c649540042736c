"""Writes that nobody granted: withheld, unless another of the account was made."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from sweeper.checks.tag_immutability import TagImmutability
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import (
    Change,
    ChangeStatus,
    Counts,
    Examined,
    Finding,
    Repository,
    Target,
)
from sweeper.domain.planning import Outcome
from sweeper.domain.reasons import Reason
from sweeper.engine.pool import Pool
from sweeper.engine.remediation import apply_changes
from tests.fakes import (
    TODAY,
    FakeCloud,
    FakeRegistry,
    Key,
    failure,
    make_account,
    make_change,
    make_config,
    make_environment,
    make_finding,
    make_repository,
    make_target,
)

ONE, ELSEWHERE = make_target(1), make_target(1, "us-east-1")
WITHHELD = (ChangeStatus.WITHHELD, Reason.WRITE_NOT_GRANTED)
DENIED = (ChangeStatus.FAILED, Reason.DENIED_BY_IDENTITY_POLICY)
NOT_TRIED = (ChangeStatus.FAILED, Reason.WRITE_NOT_PERMITTED)
APPLIED = (ChangeStatus.APPLIED, None)
NOT_GRANTED = failure(Reason.WRITE_NOT_GRANTED)


def key(target: Target, name: str) -> Key:
    return target.account.id, target.region, name


def finding(name: str, target: Target = ONE, change: Change | None = None) -> Finding:
    return make_finding(name, target, change=change or make_change())


def ended(
    registry: FakeRegistry, *groups: Sequence[Finding], workers: int = 1
) -> list[list[tuple[ChangeStatus, Reason | None]]]:
    targets = [Target(make_account(1), group[0].region) for group in groups]
    outcomes: list[Outcome] = [Examined(Counts(0, len(group), 0), tuple(group)) for group in groups]
    check = TagImmutability(registry, make_config(), TODAY)
    after = apply_changes(
        Pool(workers, make_environment()),
        FakeCloud([make_account(1)]),
        (check,),
        make_config(),
        targets=targets,
        outcomes=outcomes,
    )
    return [
        [(each.change.status, each.change.reason) for each in outcome.findings if each.change]
        for outcome in after
        if isinstance(outcome, Examined)
    ]


def registry_of(**answers: OperationFailed) -> FakeRegistry:
    names = [make_repository(name) for name in ("a", "b", "c")]
    facts = {(target.account.id, target.region): names for target in (ONE, ELSEWHERE)}
    return FakeRegistry(facts, answers={key(ONE, name): error for name, error in answers.items()})


def test_the_first_that_is_not_granted_spares_the_accounts_others() -> None:
    registry = registry_of(a=NOT_GRANTED)
    after = ended(registry, [finding("a"), finding("b")], [finding("c", ELSEWHERE)])
    assert after == [[WITHHELD, WITHHELD], [WITHHELD]]
    assert [name for (_, _, name), _, _ in registry.writes] == ["a"]


def test_a_permission_that_is_lost_in_the_middle_fails() -> None:
    after = ended(registry_of(b=NOT_GRANTED), [finding("a"), finding("b"), finding("c")])
    assert after == [[APPLIED, DENIED, NOT_TRIED]]


def test_a_permission_that_an_earlier_process_of_the_run_had_is_lost() -> None:
    before = finding("c", change=make_change(ChangeStatus.APPLIED))
    after = ended(registry_of(a=NOT_GRANTED), [finding("a"), finding("b"), before])
    assert after == [[DENIED, NOT_TRIED, APPLIED]]


def test_what_is_made_meanwhile_tells_that_it_is_granted_in_part() -> None:
    both = threading.Barrier(2)

    class Meanwhile(FakeRegistry):
        def put_image_tag_mutability(
            self, target: Target, name: str, mutability: str, filters: Sequence[str]
        ) -> Repository:
            both.wait(60)
            if target.region == ONE.region:
                raise NOT_GRANTED
            return super().put_image_tag_mutability(target, name, mutability, filters)

    registry = Meanwhile(registry_of().registries)
    after = ended(registry, [finding("a")], [finding("c", ELSEWHERE)], workers=2)
    assert after == [[DENIED], [APPLIED]]
