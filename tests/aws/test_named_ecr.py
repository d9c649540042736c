"""Only what is named is listed; what is gone is told apart from what is denied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from unittest import mock

import pytest

from sweeper.aws.ecr import _MAX_NAMES, NamedRegistry
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Account, Target
from sweeper.domain.reasons import Reason
from tests.cases import case

ACCOUNT, REGION = "111122223333", "eu-central-1"
TARGET = Target(Account(ACCOUNT, "", "ACTIVE"), REGION)
ELSEWHERE = Target(TARGET.account, "eu-west-1")


class Registry(NamedRegistry):
    """ECR with the repositories `there`; `asked` has the names of each call."""

    def __init__(
        self,
        names: Sequence[str],
        there: Sequence[str],
        failing: Mapping[str, Reason] = MappingProxyType({}),
    ) -> None:
        super().__init__(mock.Mock(), {TARGET.key: names})
        self._there = set(there)
        self._failing = failing
        self.asked: list[list[str]] = []

    def call(
        self, target: Target, operation: str, *, write: bool = False, **parameters: Any
    ) -> Any:
        names = parameters["repositoryNames"]
        self.asked.append(names)
        for name in names:
            if name in self._failing:
                raise OperationFailed(self._failing[name], f"no {name}")
        if not set(names) <= self._there:
            raise OperationFailed(Reason.REPOSITORY_DELETED, "one is gone")
        return {"repositories": [{**_described(name)} for name in reversed(names)]}

    def listed(self, target: Target = TARGET) -> set[str]:
        return {each.name for each in self.repositories(target)}


def _described(name: str) -> dict[str, str]:
    return {
        "registryId": ACCOUNT,
        "repositoryName": name,
        "repositoryArn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}",
        "imageTagMutability": "MUTABLE",
    }


def test_one_call_lists_what_is_named() -> None:
    registry = Registry(["app-a", "app-b"], ["app-a", "app-b", "app-c"])
    assert registry.listed() == {"app-a", "app-b"}
    assert registry.asked == [["app-a", "app-b"]]
    assert registry.absent == set()
    assert registry.listed(ELSEWHERE) == set()
    assert len(registry.asked) == 1


def test_what_is_gone_keeps_no_other_from_being_listed() -> None:
    registry = Registry(["app-a", "gone", "app-b"], ["app-a", "app-b"])
    assert registry.listed() == {"app-a", "app-b"}
    assert registry.absent == {(ACCOUNT, REGION, "gone")}
    assert registry.asked == [["app-a", "gone", "app-b"], ["app-a"], ["gone"], ["app-b"]]


def test_what_is_denied_keeps_no_other_from_being_listed() -> None:
    by_policy = Reason.DENIED_BY_RESOURCE_POLICY
    registry = Registry(["app", "locked", "gone", "base"], ["app", "base"], {"locked": by_policy})
    assert registry.listed() == {"app", "base"}
    assert registry.absent == {(ACCOUNT, REGION, "gone")}
    (found,) = registry.denied[TARGET.key].items()
    assert (found[0], found[1].reason, found[1].message) == ("locked", by_policy, "no locked")


def test_where_nothing_can_be_read_the_target_fails() -> None:
    denied, throttled = Reason.DENIED_BY_SCP, Reason.THROTTLED
    cases: list[tuple[dict[str, Reason], Reason, int]] = [
        ({"app": denied, "base": denied}, denied, 3),
        ({"base": throttled}, throttled, 1),
        ({"app": denied, "base": throttled}, throttled, 3),  # it comes again, and so does the other
    ]
    for failing, reason, calls in cases:
        with case(failing):
            registry = Registry(["app", "base"], ["app", "base"], failing)
            with pytest.raises(OperationFailed) as raised:
                registry.listed()
            assert raised.value.reason is reason
            assert len(registry.asked) == calls
            assert registry.denied == {}
    alone = Registry(["app"], [], {"app": denied})
    with pytest.raises(OperationFailed):
        alone.listed()
    assert alone.asked == [["app"]]


def test_more_than_ecr_takes_are_several_calls() -> None:
    names = [f"n{number}" for number in range(_MAX_NAMES + 1)]
    registry = Registry(names, names)
    assert registry.listed() == set(names)
    assert [len(asked) for asked in registry.asked] == [_MAX_NAMES, 1]


def test_an_answer_about_others_is_none() -> None:
    registry = Registry(["app-a"], ["app-a"])
    answer = {"repositories": [_described("app-b")]}
    with (
        mock.patch.object(registry, "call", return_value=answer),
        pytest.raises(OperationFailed) as raised,
    ):
        registry.listed()
    assert raised.value.reason is Reason.UNEXPECTED_RESPONSE
