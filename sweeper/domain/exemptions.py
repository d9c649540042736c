"""Which repositories the configuration exempts: pure functions of its rules and the account."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sweeper.domain.model import Account, Exemption, Target

if TYPE_CHECKING:
    from sweeper.config.schema import ExemptionRule


def configured_exemption(
    target: Target, name: str, rules: Iterable[ExemptionRule], today: date
) -> Exemption | None:
    """The first rule in force for the repository, else the first that expired, else None."""
    expired = None
    for rule in rules:
        if _names(rule, target, name) and covers_account(rule, target.account):
            exemption = Exemption(
                source="config",
                rule=_describe_rule(rule),
                reason=rule.reason,
                expires=rule.expires if isinstance(rule.expires, date) else None,
                expired=has_expired(rule, today),
            )
            if not exemption.expired:
                return exemption
            expired = expired or exemption
    return expired


def undecided_exemption(
    target: Target, name: str, rules: Iterable[ExemptionRule], today: date
) -> str | None:
    """A sentence about the first rule that may be in force for the repository: nobody knows.

    None where there is none.
    """
    for rule in rules:
        is_unknown = covers_account(rule, target.account) is None and not has_expired(rule, today)
        if is_unknown and _names(rule, target, name):
            what = "OU" if rule.ous and target.account.ou_path is None else "tags"
            return f"the account's {what} could not be read: rule {_describe_rule(rule)}"
    return None


def enters_exemption(
    before: Account, now: Account, rules: Iterable[ExemptionRule], today: date
) -> bool:
    """Whether the account may have come below a rule since: its OU or its tags were changed."""
    return any(
        covers_account(rule, now) is not False and covers_account(rule, before) is False
        for rule in rules
        if not has_expired(rule, today)
    )


def covers_account(rule: ExemptionRule, account: Account) -> bool | None:
    """Whether the rule is about the account; None where that depends on what was not read.

    An OU covers everything below it. Of `account_tags`, the account has one of the values of each.
    """
    if not fnmatchcase(account.id, rule.account):
        return False
    facts = []
    if rule.ous:
        path = account.ou_path
        facts.append(None if path is None else not set(rule.ous).isdisjoint(path))
    if rule.account_tags:
        tags = account.tags
        facts.append(
            None
            if tags is None
            else all(tags.get(key) in values for key, values in rule.account_tags.items())
        )
    if False in facts:
        return False
    return None if None in facts else True


def has_expired(rule: ExemptionRule, today: date) -> bool:
    """Whether its last day is over."""
    return isinstance(rule.expires, date) and rule.expires < today


def _describe_rule(rule: ExemptionRule) -> str:
    """The rule on one line: "* eu-* sandbox/* below ou-ab12-11111111 with env: dev"."""
    text = f"{rule.account} {rule.region} {rule.repository}"
    if rule.ous:
        text += f" below {' or '.join(rule.ous)}"
    if rule.account_tags:
        tags = (f"{key}: {' or '.join(values)}" for key, values in rule.account_tags.items())
        text += f" with {', '.join(tags)}"
    return text


def _names(rule: ExemptionRule, target: Target, name: str) -> bool:
    return fnmatchcase(target.region, rule.region) and fnmatchcase(name, rule.repository)
