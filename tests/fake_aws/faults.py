"""Which fault, if any, a call meets."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from tests.fake_aws.iam import glob

if TYPE_CHECKING:
    from tests.fake_aws.world import Fault

_DRAWS = 1 << 64


@dataclass(frozen=True, slots=True)
class Asked:
    """A call as the rules see it; `names` tells apart what is asked in one account and region."""

    service: str
    operation: str
    account: str
    region: str
    page: int = 1
    names: str = ""


@dataclass(frozen=True, slots=True)
class Met:
    """The fault of a call, and a number that is the call's own, for what varies."""

    fault: Fault
    draw: int


@dataclass(slots=True)
class Rule:
    """A fault, its place in the list, and how many calls it has chosen."""

    fault: Fault
    place: int
    chosen: int = 0
    seen: Counter[Asked] = field(default_factory=Counter)

    def meets(self, asked: Asked) -> Met | None:
        """Give the fault if this call is faulty; counts the call if it is chosen."""
        fault = self.fault
        if not (
            glob(fault.service, asked.service)
            and glob(fault.operation, asked.operation)
            and glob(fault.account, asked.account)
            and glob(fault.region, asked.region)
            and fault.only_page in (None, asked.page)
        ):
            return None
        draw = self._draw(asked)
        if draw >= fault.share * _DRAWS:
            return None
        self.chosen += 1
        done = self.chosen - fault.skip
        faulty = done >= 1 and (fault.times is None or done <= fault.times)
        return Met(fault, draw) if faulty else None

    def _draw(self, asked: Asked) -> int:
        """Give a number below `_DRAWS` that follows from the seed, the call and its repetitions."""
        if self.fault.share == 1 and self.fault.action not in {"malformed", "leak"}:
            return 0
        self.seen[asked] += 1
        text = f"{self.fault.seed}/{self.place}/{asked}/{self.seen[asked]}"
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


class Faults:
    """The rules in force; the first that meets a call decides."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.rules = [Rule(fault, place) for place, fault in enumerate(faults)]

    def meet(self, asked: Asked) -> Met | None:
        """Give the fault of a call; every rule up to and including the deciding one counts it."""
        for rule in self.rules:
            met = rule.meets(asked)
            if met is not None:
                return met
        return None
