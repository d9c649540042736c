"""Which fault, if any, a call meets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.fake_aws.iam import glob

if TYPE_CHECKING:
    from tests.fake_aws.world import Fault


@dataclass(slots=True)
class Rule:
    """A fault and how many calls have matched it."""

    fault: Fault
    matched: int = 0

    def meets(self, service: str, operation: str, account: str, region: str, page: int) -> bool:
        """Whether this call is faulty; counts it if it matches."""
        fault = self.fault
        if not (
            glob(fault.service, service)
            and glob(fault.operation, operation)
            and glob(fault.account, account)
            and glob(fault.region, region)
            and fault.only_page in (None, page)
        ):
            return False
        self.matched += 1
        done = self.matched - fault.skip
        return done >= 1 and (fault.times is None or done <= fault.times)


class Faults:
    """The rules in force; the first that meets a call decides."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self._rules = [Rule(fault) for fault in faults]

    def meet(
        self, service: str, operation: str, account: str, region: str, page: int
    ) -> Fault | None:
        """Give the fault of a call; every rule up to and including the deciding one counts it."""
        for rule in self._rules:
            if rule.meets(service, operation, account, region, page):
                return rule.fault
        return None
