"""IAM's evaluation of policies, as far as the templates use it; anything else is an error.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

_KEYS = {
    "Sid",
    "Effect",
    "Principal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}
_VARIABLE = re.compile(r"\$\{([^}]+)\}")


@dataclass(frozen=True, slots=True)
class Request:
    """One action on one resource; `context` has the condition keys in small letters."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def parse(document: Any) -> tuple[Mapping[str, Any], ...]:
    """The statements of a policy, given as text or as a mapping."""
    policy = json.loads(document) if isinstance(document, str) else document
    if policy["Version"] != "2012-10-17":
        raise ValueError(f"Version {policy['Version']}: variables would be taken literally")
    # moto leaves AWS::NoValue in a list as null.
    statements = tuple(each for each in listed(policy["Statement"]) if each is not None)
    for statement in statements:
        if unknown := set(statement) - _KEYS:
            raise ValueError(f"{sorted(unknown)} in a statement: not evaluated here")
    return statements


def allows(statements: Iterable[Mapping[str, Any]], request: Request) -> bool:
    """Whether a statement allows the request."""
    return any(
        statement["Effect"] == "Allow" and applies(statement, request) for statement in statements
    )


def denies(statements: Iterable[Mapping[str, Any]], request: Request) -> bool:
    """Whether a statement denies the request, whatever another allows."""
    return any(
        statement["Effect"] == "Deny" and applies(statement, request) for statement in statements
    )


def applies(statement: Mapping[str, Any], request: Request) -> bool:
    """Whether the statement is about the request; principals aside."""
    return (
        _named(statement, "Action", request.action, request.context, ignore_case=True)
        and _named(statement, "Resource", request.resource, request.context)
        and _holds(statement.get("Condition", {}), request.context)
    )


def trusts(trust_policy: Any, principal_arn: str, request: Request) -> bool:
    """Whether a role's trust policy admits the principal, a role of any account."""
    account_root = re.sub(r":role/.*", ":root", principal_arn)
    verdicts = [
        statement["Effect"]
        for statement in parse(trust_policy)
        if set(listed(statement["Principal"].get("AWS", []))) & {principal_arn, account_root}
        and request.action in listed(statement["Action"])
        and _holds(statement.get("Condition", {}), request.context)
    ]
    return "Allow" in verdicts and "Deny" not in verdicts


def actions(statements: Iterable[Mapping[str, Any]]) -> list[str]:
    """The actions of the statements."""
    return [action for statement in statements for action in listed(statement["Action"])]


def listed(value: Any) -> Sequence[Any]:
    """A value that may stand alone where a list is meant."""
    return value if isinstance(value, list) else [value]


def glob(pattern: str, text: str) -> bool:
    """Match ``*`` and ``?`` only."""
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _named(
    statement: Mapping[str, Any],
    key: str,
    text: str,
    context: Mapping[str, str],
    *,
    ignore_case: bool = False,
) -> bool:
    """Whether Action or Resource (or their Not…) covers the text."""
    negated = f"Not{key}" in statement
    patterns = listed(statement[f"Not{key}"] if negated else statement.get(key, "*"))
    if ignore_case:
        text, patterns = text.lower(), [pattern.lower() for pattern in patterns]
    return negated != any(glob(_filled(pattern, context) or "", text) for pattern in patterns)


def _filled(value: str, context: Mapping[str, str]) -> str | None:
    """The value with its variables; None, which matches nothing, where the request has no such."""
    names = _VARIABLE.findall(value)
    if any(name.lower() not in context for name in names):
        return None
    return _VARIABLE.sub(lambda found: context[found[1].lower()], value)


def _holds(conditions: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    return all(
        _compares(operator, context.get(key.lower()), listed(values), context)
        for operator, tests in conditions.items()
        for key, values in tests.items()
    )


def _compares(
    operator: str, actual: str | None, values: Sequence[str], context: Mapping[str, str]
) -> bool:
    expected = [value for each in values if (value := _filled(each, context)) is not None]
    if "Not" in operator:  # a negated operator holds where the key is absent
        return not _compares(operator.replace("Not", "", 1), actual, values, context)
    if actual is None:
        return False
    if operator in ("StringEquals", "Bool"):
        return actual in expected
    if operator == "StringLike":
        return any(glob(value, actual) for value in expected)
    if operator in ("ArnEquals", "ArnLike"):  # wildcards do not reach over a colon
        return any(_arn_like(value, actual) for value in expected)
    raise NotImplementedError(f"the condition operator {operator}")


def _arn_like(pattern: str, arn: str) -> bool:
    ours, theirs = pattern.split(":", 5), arn.split(":", 5)
    return len(ours) == len(theirs) and all(map(glob, ours, theirs))
