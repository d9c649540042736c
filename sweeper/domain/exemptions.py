"""Decide which repositories the configuration exempts: pure functions of rules and account."""

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
    """Return the first rule in force for the repository, else the first that expired, else None."""
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
    """Return why it is not known whether a rule is in force for the repository, or None."""
    for rule in rules:
        is_unknown = covers_account(rule, target.account) is None and not has_expired(rule, today)
        if is_unknown and _names(rule, target, name):
            what = "OU" if rule.ous and target.account.ou_path is None else "tags"
            return f"the account's {what} could not be read: rule {_describe_rule(rule)}"
    return None


def has_undecided_exemption(account: Account, rules: Iterable[ExemptionRule], today: date) -> bool:
    """Tell whether it is not known if a rule is in force for repositories of the account."""
    return any(
        covers_account(rule, account) is None and not has_expired(rule, today) for rule in rules
    )


def enters_exemption(
    before: Account, now: Account, rules: Iterable[ExemptionRule], today: date
) -> bool:
    """Tell whether a change of OU or tags may have brought the account below a rule."""
    return any(
        covers_account(rule, now) is not False and covers_account(rule, before) is False
        for rule in rules
        if not has_expired(rule, today)
    )


def covers_account(rule: ExemptionRule, account: Account) -> bool | None:
    """Tell whether the rule covers the account; None if its OU or tags are needed and not known.

    An OU covers everything below it. The account must have one of the values of each of the rule's
    `account_tags`.
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
    """Tell whether the rule's last day is over."""
    return isinstance(rule.expires, date) and rule.expires < today


def _describe_rule(rule: ExemptionRule) -> str:
    """Return the rule on one line: "* eu-* sandbox/* below ou-ab12-11111111 with env: dev"."""
    text = f"{rule.account} {rule.region} {rule.repository}"
    if rule.ous:
        text += f" below {' or '.join(rule.ous)}"
    if rule.account_tags:
        tags = (f"{key}: {' or '.join(values)}" for key, values in rule.account_tags.items())
        text += f" with {', '.join(tags)}"
    return text


def _names(rule: ExemptionRule, target: Target, name: str) -> bool:
    return fnmatchcase(target.region, rule.region) and fnmatchcase(name, rule.repository)
