"""A process that slept past its lease writes nothing more, wherever in a change it was stopped."""

from __future__ import annotations

import pytest

from sweeper.aws.accounts import AwsCloud
from sweeper.aws.ecr import EcrRegistry
from sweeper.checks.tag_immutability import TagImmutability
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Change, ChangeStatus, Counts, Examined, Finding
from sweeper.domain.planning import Outcome
from sweeper.domain.reasons import Reason
from sweeper.engine.pool import Pool
from sweeper.engine.remediation import apply_changes
from tests.aws.support import opened, target
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault
from tests.fakes import (
    TODAY,
    FakeCloud,
    FakeJournal,
    FakeRegistry,
    make_change,
    make_config,
    make_environment,
    make_finding,
    make_repository,
    make_target,
)

LOST = OperationFailed(Reason.LEASE_LOST, "it ended while the process slept")


def write(aws: FakeAws, cloud: AwsCloud) -> OperationFailed:
    found = target(aws)
    name = aws.repositories(found.account.id, found.region)[0].name
    aws.reset_statistics()
    with pytest.raises(OperationFailed) as caught:
        EcrRegistry(cloud.clients).put_image_tag_mutability(found, name, "IMMUTABLE", ())
    return caught.value


def lost_after(cloud: AwsCloud, attempts: int) -> None:
    """Let so many attempts of writes through, and none after them."""
    asked = iter([None] * attempts)

    def guard() -> None:
        if next(asked, LOST):
            raise OperationFailed(LOST.reason, LOST.message)

    cloud.clients.guard = guard


def test_no_attempt_is_sent_without_the_lease(aws: FakeAws) -> None:
    cloud = opened(aws, may_write=True)
    lost_after(cloud, 0)
    error = write(aws, cloud)
    assert (error.reason, error.uncertain) == (Reason.LEASE_LOST, False)
    assert aws.statistics().writes == []


@pytest.mark.parametrize(("action", "uncertain"), [("throttle", False), ("server_error", True)])
def test_no_second_attempt_is_sent_without_the_lease(
    aws: FakeAws, action: str, uncertain: bool
) -> None:
    """What the first attempt came to is told all the same."""
    cloud = opened(aws, may_write=True)
    lost_after(cloud, 1)
    aws.faults([{"action": action, "operation": "PutImageTagMutability"}])
    error = write(aws, cloud)
    assert (error.reason, error.uncertain) == (Reason.LEASE_LOST, uncertain)
    assert aws.statistics().calls["ecr:PutImageTagMutability"] == 1


def test_reads_need_no_lease(aws: FakeAws) -> None:
    cloud = opened(aws)
    lost_after(cloud, 0)
    assert list(EcrRegistry(cloud.clients).repositories(target(aws)))


def test_an_answer_for_another_repository_is_not_taken_for_ours(aws: FakeAws) -> None:
    cloud = opened(aws, may_write=True)
    client = cloud.clients.member("ecr", "us-east-1")
    for key, value in (("repositoryName", "another"), ("registryId", "999999999999")):

        def edit(parsed: dict[str, str], key: str = key, value: str = value, **_: object) -> None:
            parsed[key] = value

        event = "after-call.ecr.PutImageTagMutability"
        client.meta.events.register(event, edit, unique_id="edit")
        error = write(aws, cloud)
        client.meta.events.unregister(event, edit, unique_id="edit")
        assert (error.reason, error.uncertain) == (Reason.UNEXPECTED_RESPONSE, True)
        assert value in error.message


class SlowJournal(FakeJournal):
    """The process sleeps while the intent is put on the disk, and has lost its lease then."""

    slept = False

    def intend(self, finding: Finding) -> None:
        super().intend(finding)
        self.slept = True


def test_a_lease_that_ended_during_the_fsync_stops_the_write() -> None:
    found = make_target(1)
    registry = FakeRegistry({found.key: [make_repository("a")]})
    journal = SlowJournal()

    def may_write() -> None:
        if journal.slept:
            raise OperationFailed(LOST.reason, LOST.message)

    pool = Pool(1, make_environment(journal=journal, may_write=may_write))
    check = TagImmutability(registry, make_config(), TODAY)
    outcomes: list[Outcome] = [
        Examined(Counts(0, 1, 0), (make_finding("a", found, change=make_change()),))
    ]
    cloud = FakeCloud((found.account,))
    (after,) = apply_changes(
        pool, cloud, (check,), make_config(), targets=[found], outcomes=outcomes
    )
    assert isinstance(after, Examined)
    change = after.findings[0].change
    assert isinstance(change, Change)
    assert (change.status, change.reason) == (ChangeStatus.FAILED, Reason.LEASE_LOST)
    assert registry.writes == []


def test_a_fault_that_asks_again_asks_the_guard_again(aws: FakeAws) -> None:
    cloud = opened(aws, may_write=True)
    asked: list[None] = []
    cloud.clients.guard = lambda: asked.append(None)
    aws.faults([Fault("throttle", operation="PutImageTagMutability", times=2)])
    found = target(aws)
    name = aws.repositories(found.account.id, found.region)[0].name
    EcrRegistry(cloud.clients).put_image_tag_mutability(found, name, "IMMUTABLE", ())
    assert len(asked) == 3
