"""Facts as `look` finds them, in few words."""

from __future__ import annotations

from typing import Any

from sweeper.domain.reasons import Reason
from sweeper.engine.preflight.facts import Caller, Entered, Facts, Region, Standing
from sweeper.engine.probe import WORKS, Answer, Probed
from tests.fakes import account_id, make_account

LIST, RULES, CLOSE = (
    "ecr:DescribeRepositories",
    "ecr:DescribePullThroughCacheRules",
    "ecr:PutImageTagMutability",
)
TEMPLATE = "ecr:UpdateRepositoryCreationTemplate"
NOT_KNOWN = Probed(Answer.NOT_KNOWN, message="it cannot be told")
CALLER = Caller(
    account_id(1),
    "arn:aws:iam::000000000001:role/central",
    Standing.DELEGATED,
    "o-1",
    account_id(2),
)


def denied(reason: Reason = Reason.DENIED_BY_IDENTITY_POLICY, message: str = "no") -> Probed:
    return Probed(Answer.DENIED, reason, message, "AccessDeniedException")


def failed(reason: Reason) -> Probed:
    return Probed(Answer.FAILED, reason, "it failed")


def entered(number: int, role: Probed = WORKS, regions: Probed | None = None) -> Entered:
    known = (("eu-west-1", "ENABLED"), ("us-east-1", "ENABLED"))
    return Entered(make_account(number), role, known if regions is None else regions)


def region(number: int, name: str, **answers: Probed) -> Region:
    """`list`, `rules` and `close` work, but for what is given."""
    return Region(
        make_account(number),
        name,
        {LIST: answers.get("list", WORKS), RULES: answers.get("rules", WORKS)},
        {CLOSE: answers.get("close", WORKS)},
    )


def closed(number: int, name: str, answer: Probed) -> Region:
    return region(number, name, list=answer, rules=answer, close=answer)


def facts(*regions: Region, **more: Any) -> Facts:
    """Three accounts that were entered, but for what is given."""
    values: dict[str, Any] = {
        "accounts": tuple(entered(number) for number in (1, 2, 3)),
        "listed": 3,
        "reads": (RULES, LIST),
        "writes": (CLOSE,),
        **more,
    }
    return Facts(CALLER, None, regions=regions, **values)
