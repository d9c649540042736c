"""Each action that a check declares is tried, and what is answered is what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from sweeper.aws.ecr import EcrRegistry
from sweeper.checks import checks
from sweeper.domain.model import Target
from sweeper.domain.reasons import Reason
from sweeper.engine.probe import PREFIX, WORKS, ProbeResult, ProbeStatus, probe_action
from tests.aws.support import opened, target
from tests.cases import case
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault
from tests.fakes import make_target

WRITES = {
    "ecr:PutImageTagMutability",
    "ecr:UpdateRepositoryCreationTemplate",
    "ecr:DeleteRepositoryCreationTemplate",
}
# What ECR demands beyond an action that is tried; no sweep calls them (docs/preflight.md).
NEEDED_BY_ECR = {
    "ecr:CreateRepository",
    "ecr:PutLifecyclePolicy",
    "ecr:SetRepositoryPolicy",
    "iam:CreateServiceLinkedRole",
}
# What cannot be tried without doing it.
UNTRIED = {"ecr:CreateRepositoryCreationTemplate"}
PLACE = make_target()
PROBES = {action: probe for kind in checks().values() for action, probe in kind.probes.items()}


def ask(clients: Any, target: Target, action: str) -> ProbeResult:
    return probe_action(PROBES, EcrRegistry(clients), target, action)


def test_every_action_of_every_check_can_be_tried() -> None:
    declared = {
        action
        for kind in checks().values()
        for action in (
            kind.read_actions | kind.write_actions | kind.create_actions | kind.assess_actions
        )
    }
    assert declared - PROBES.keys() == NEEDED_BY_ECR | UNTRIED


def test_what_is_answered(aws: FakeAws) -> None:
    clients = opened(aws, 1, may_write=True).clients
    before = aws.repositories()
    cases: list[tuple[Fault | None, ProbeStatus, Reason | None]] = [
        (None, ProbeStatus.WORKS, None),
        (Fault("access_denied"), ProbeStatus.DENIED, Reason.DENIED),
        (
            Fault("access_denied", message="… in a service control policy"),
            ProbeStatus.DENIED,
            Reason.DENIED_BY_SCP,
        ),
        (Fault("throttle"), ProbeStatus.FAILED, Reason.THROTTLED),
        (Fault("reset"), ProbeStatus.FAILED, Reason.CONNECTION_FAILED),
        (Fault("garbage"), ProbeStatus.FAILED, Reason.UNEXPECTED_RESPONSE),
    ]
    for fault, answer, reason in cases:
        aws.faults([replace(fault, service="ecr")] if fault else [])
        for action in (
            "ecr:DescribeRepositories",
            "ecr:DescribePullThroughCacheRules",
            "ecr:PutImageTagMutability",
        ):
            with case(fault, action):
                found = ask(clients, target(aws, 1), action)
                assert (found.answer, found.reason) == (answer, reason)
    assert aws.repositories() == before


def test_an_action_that_nothing_can_try_is_not_known(aws: FakeAws) -> None:
    found = ask(opened(aws, 1).clients, target(aws, 1), "ecr:StartImageScan")
    assert found.answer is ProbeStatus.NOT_KNOWN
    assert found.message


class Recorder:
    """A client whose every operation is answered with one error."""

    def __init__(self, code: str) -> None:
        self._code = code
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def member(self, service: str, region: str) -> Recorder:
        assert (service, region) == ("ecr", PLACE.region)
        return self

    def __getattr__(self, operation: str) -> Any:
        def answer(**parameters: Any) -> None:
            self.calls.append((operation, parameters))
            raise ClientError({"Error": {"Code": self._code, "Message": "said"}}, operation)

        return answer


def test_only_its_own_not_found_says_permitted() -> None:
    for action, probe in PROBES.items():
        with case(action):
            absent = probe.absent
            clients: Any = Recorder("AccessDeniedException")
            assert ask(clients, PLACE, action).answer is ProbeStatus.DENIED
            clients = Recorder("SomethingElseNotFoundException")
            assert ask(clients, PLACE, action).answer is ProbeStatus.FAILED
            if absent is not None:
                clients = Recorder(absent)
                assert ask(clients, PLACE, action) == WORKS


def test_a_write_names_what_nobody_has_and_never_twice() -> None:
    for action in sorted(WRITES):
        with case(action):
            clients: Any = Recorder(PROBES[action].absent or "")
            for _ in range(3):
                ask(clients, PLACE, action)
            named = [
                value
                for _, parameters in clients.calls
                for key, value in parameters.items()
                if key in ("repositoryName", "prefix")
            ]
            assert len(named) == len(set(named)) == 3
            assert all(
                name.startswith(f"{PREFIX}/") and len(name) == len(PREFIX) + 33 for name in named
            )


def test_every_write_has_an_answer_that_says_permitted() -> None:
    written = {
        action for kind in checks().values() for action in kind.write_actions | kind.create_actions
    }
    assert written - NEEDED_BY_ECR - UNTRIED == WRITES
    assert all(PROBES[action].absent for action in WRITES)
