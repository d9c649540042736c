"""Only what is named is listed; what is gone is told apart from what is denied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest import mock

import pytest

from sweeper.aws.ecr import _MAX_NAMES, NamedRegistry
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Account, Target
from sweeper.domain.reasons import Reason

ACCOUNT, REGION = "111122223333", "eu-central-1"
TARGET = Target(Account(ACCOUNT, "", "ACTIVE"), REGION)
ELSEWHERE = Target(TARGET.account, "eu-west-1")


class Registry(NamedRegistry):
    """ECR with the repositories `there`; `asked` has the names of each call."""

    def __init__(self, names: Sequence[str], there: Sequence[str]) -> None:
        super().__init__(mock.Mock(), {TARGET.key: names})
        self._there = set(there)
        self.asked: list[list[str]] = []

    def call(
        self, target: Target, operation: str, *, write: bool = False, **parameters: Any
    ) -> Any:
        names = parameters["repositoryNames"]
        self.asked.append(names)
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
