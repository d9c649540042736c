"""Policy evaluation: identity policy, session policy and the organization's denies."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tests.fake_aws.wire import ApiError

if TYPE_CHECKING:
    from tests.fake_aws.world import Deny

_KINDS = {
    "scp": "service control policy",
    "rcp": "resource control policy",
    "permissions_boundary": "permissions boundary",
    "identity_policy": "identity-based policy",
    "session_policy": "session policy",
}
_STATEMENT_KEYS = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource"}


@dataclass(slots=True)
class Principal:
    """Whom a set of credentials stands for; `expires` is seconds since the epoch."""

    account: str
    arn: str
    secret: str
    token: str | None
    actions: tuple[str, ...]
    policy: Policy | None = None
    expires: float = float("inf")

    @property
    def is_assumed(self) -> bool:
        """Whether the credentials are a role session's."""
        return ":assumed-role/" in self.arn


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement; `inverted_*` means NotAction, NotResource."""

    allows: bool
    actions: tuple[str, ...]
    inverted_actions: bool
    resources: tuple[str, ...]
    inverted_resources: bool

    def applies(self, action: str, resource: str) -> bool:
        """Whether the statement is about this action on this resource."""
        return (
            any_glob(self.actions, action, ignore_case=True) != self.inverted_actions
            and any_glob(self.resources, resource) != self.inverted_resources
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """A session policy."""

    statements: tuple[Statement, ...]

    @staticmethod
    @lru_cache(maxsize=64)
    def parse(text: str) -> Policy:
        """Read a document; raises `ValueError` for what AWS or this evaluation does not know."""
        document = json.loads(text)
        if not isinstance(document, dict) or document.get("Version") != "2012-10-17":
            raise ValueError("Version must be 2012-10-17")
        statements = _listed(document.get("Statement"))
        if not statements:
            raise ValueError("a policy needs a Statement")
        return Policy(tuple(_statement(each) for each in statements))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _statement(data: Any) -> Statement:
    if (
        not isinstance(data, dict)
        or set(data) - _STATEMENT_KEYS
        or data.get("Effect") not in ("Allow", "Deny")
    ):
        # A Condition that were silently ignored would make a test pass that AWS fails.
        raise ValueError(
            f"a statement has an Effect and of {sorted(_STATEMENT_KEYS)} only; Condition is not "
            "evaluated"
        )
    if ("Action" in data) == ("NotAction" in data) or ("Resource" in data) == (
        "NotResource" in data
    ):
        raise ValueError(
            "a statement needs one of Action, NotAction and one of Resource, NotResource"
        )
    return Statement(
        allows=data["Effect"] == "Allow",
        actions=tuple(_listed(data.get("Action", data.get("NotAction")))),
        inverted_actions="NotAction" in data,
        resources=tuple(_listed(data.get("Resource", data.get("NotResource")))),
        inverted_resources="NotResource" in data,
    )


@lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    escaped = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(escaped, re.DOTALL)


def glob(pattern: str, text: str) -> bool:
    """Match `*` and `?` only, case-sensitively: fnmatch would read brackets too."""
    return pattern in ("*", text) or _glob(pattern).fullmatch(text) is not None


def any_glob(patterns: tuple[str, ...], text: str, *, ignore_case: bool = False) -> bool:
    """Whether any of the patterns matches."""
    if ignore_case:
        text = text.lower()
        return any(glob(pattern.lower(), text) for pattern in patterns)
    return any(glob(pattern, text) for pattern in patterns)


def _denied_by(deny: Deny, account: str, region: str, action: str) -> bool:
    return (
        any_glob(deny.accounts, account)
        and not any_glob(deny.except_accounts, account)
        and any_glob(deny.regions, region)
        and not any_glob(deny.except_regions, region)
        and any_glob(deny.actions, action, ignore_case=True)
        and not any_glob(deny.except_actions, action, ignore_case=True)
    )


@dataclass(frozen=True, slots=True)
class Guard:
    """The denies of a world, and the accounts that organization policies do not bind."""

    denies: tuple[Deny, ...]
    unbound: set[str]

    def refusal(
        self, principal: Principal, action: str, resource: str, region: str, resource_account: str
    ) -> str | None:
        """Give AWS's words for why the call is not allowed; None when it is."""
        reason = self._reason(principal, action, resource, region, resource_account)
        if reason is None:
            return None
        return (
            f"User: {principal.arn} is not authorized to perform: {action} on resource: "
            f"{resource} {reason}"
        )

    def _reason(
        self, principal: Principal, action: str, resource: str, region: str, resource_account: str
    ) -> str | None:
        applied = []
        for deny in self.denies:
            bound = resource_account if deny.kind == "rcp" else principal.account
            exempt = deny.kind in ("scp", "rcp") and bound in self.unbound
            if not exempt and _denied_by(deny, bound, region, action):
                applied.append(deny)
        for deny in applied:
            if not deny.implicit:
                return f"with an explicit deny in {_article(_KINDS[deny.kind])}"
        session = principal.policy.statements if principal.policy else ()
        about = [each for each in session if each.applies(action, resource)]
        if not all(each.allows for each in about):
            return "with an explicit deny in a session policy"
        for deny in applied:
            return f"because no {_KINDS[deny.kind]} allows the {action} action"
        if not any_glob(principal.actions, action, ignore_case=True):
            return f"because no identity-based policy allows the {action} action"
        if principal.policy is not None and not about:
            return f"because no session policy allows the {action} action"
        return None


def _article(words: str) -> str:
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def session_policy(text: str) -> Policy:
    """Read AssumeRole's Policy; raises the error that STS gives."""
    try:
        return Policy.parse(text)
    except ValueError as error:
        raise ApiError("MalformedPolicyDocument", f"The policy is not valid: {error}") from error
