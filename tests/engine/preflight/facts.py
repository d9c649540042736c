"""Facts as `look` finds them, in few words."""

from __future__ import annotations

from typing import Any

from sweeper.domain.reasons import Reason
from sweeper.engine.preflight.facts import Caller, Facts, OrganizationRole, Region, RoleCheck
from sweeper.engine.probe import WORKS, ProbeResult, ProbeStatus
from tests.fakes import account_id, make_account

LIST, RULES, CLOSE = (
    "ecr:DescribeRepositories",
    "ecr:DescribePullThroughCacheRules",
    "ecr:PutImageTagMutability",
)
TEMPLATE = "ecr:UpdateRepositoryCreationTemplate"
NOT_KNOWN = ProbeResult(ProbeStatus.NOT_KNOWN, message="it cannot be told")
CALLER = Caller(
    account_id(1),
    "arn:aws:iam::000000000001:role/central",
    OrganizationRole.DELEGATED,
    "o-1",
    account_id(2),
)


def denied(reason: Reason = Reason.DENIED_BY_IDENTITY_POLICY, message: str = "no") -> ProbeResult:
    return ProbeResult(ProbeStatus.DENIED, reason, message, "AccessDeniedException")


def failed(reason: Reason) -> ProbeResult:
    return ProbeResult(ProbeStatus.FAILED, reason, "it failed")


def role_checks(
    number: int, role: ProbeResult = WORKS, regions: ProbeResult | None = None
) -> RoleCheck:
    known = (("eu-west-1", "ENABLED"), ("us-east-1", "ENABLED"))
    return RoleCheck(make_account(number), role, known if regions is None else regions)


def region(number: int, name: str, **answers: ProbeResult) -> Region:
    """`list`, `rules` and `close` work, but for what is given."""
    return Region(
        make_account(number),
        name,
        {LIST: answers.get("list", WORKS), RULES: answers.get("rules", WORKS)},
        {CLOSE: answers.get("close", WORKS)},
    )


def unreadable(number: int, name: str, answer: ProbeResult) -> Region:
    return region(number, name, list=answer, rules=answer, close=answer)


def facts(*regions: Region, **more: Any) -> Facts:
    """Three accounts that were entered, but for what is given; by default one region that works."""
    values: dict[str, Any] = {
        "regions": regions or (region(1, "us-east-1"),),
        "accounts": tuple(role_checks(number) for number in (1, 2, 3)),
        "listed": 3,
        "reads": (RULES, LIST),
        "needed_reads": frozenset({LIST}),
        "writes": (CLOSE,),
        **more,
    }
    return Facts(CALLER, None, **values)
