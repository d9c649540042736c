"""Read AWS Organizations: its accounts, their OUs and their tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from sweeper.aws.client.answers import (
    account_id,
    add_once,
    optional_str,
    require,
    require_list,
    require_str,
)
from sweeper.aws.client.errors import translate_errors
from sweeper.aws.client.paging import PageTokens
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Account, Failed, Stage
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import Stop
from sweeper.engine.pool import concurrently, with_log_context

# The answers for an item that was added or removed while the organization is read.
_NO_ACCOUNT = "TargetNotFoundException"
_NO_PARENT = {"ParentNotFoundException", "ChildNotFoundException"}
_WORKERS = 4  # Organizations' rates are for the whole organization: more would be throttled
_T = TypeVar("_T")
# Translates the errors of a call, given its action.
_Guard = Callable[[str], AbstractContextManager[None]]


class Organizations:
    """Organizations with the caller's credentials; every method raises OperationFailed."""

    def __init__(self, client: Any, caller_arn: str, stop: Stop) -> None:
        self._client = client
        self._caller = caller_arn
        self._stop = stop
        # From the ARNs of the accounts; None until they are listed.
        self.management_account: str | None = None

    def accounts(self) -> tuple[str | None, tuple[Account, ...]]:
        """List the organization's id and all of its accounts, in whatever state."""
        organization_id = None
        accounts: dict[str, Account] = {}
        for item in self._items("list_accounts", "Accounts"):
            arn = optional_str(item, "Arn")
            organization_id = organization_id or _organization_of(arn)
            self.management_account = self.management_account or _owner_of(arn)
            account = Account(
                id=account_id(item, "Id"),
                name=optional_str(item, "Name"),
                # Status was retired on 2026-09-09, but some endpoints return nothing else.
                state=optional_str(item, "State") or optional_str(item, "Status"),
                ou_path=_ou_path(item),
            )
            add_once(accounts, account.id, account, "account")
        return organization_id, tuple(accounts.values())

    def describe(self) -> str:
        """Read the management account's id, which every account of the organization may do."""
        with translate_errors():
            answer = self._client.describe_organization()
        return account_id(require(answer, "Organization"), "MasterAccountId")

    def delegated_administrators(self) -> frozenset[str]:
        """Read the ids of the delegated administrators, of any service."""
        found = self._items(
            "list_delegated_administrators",
            "DelegatedAdministrators",
            guard=lambda _: translate_errors(),
        )
        return frozenset(account_id(item, "Id") for item in found)

    def with_ou_paths(
        self, accounts: Sequence[Account], named: Iterable[str]
    ) -> tuple[Account, ...]:
        """Return the accounts with their OUs; raise OperationFailed where a `named` OU is missing.

        `Account.Paths` has them without another call. Where an account lacks it, the tree is read;
        an account that is added or moved meanwhile gets no path.
        """
        if all(account.ou_path is not None for account in accounts):
            with_accounts = {ou for account in accounts for ou in account.ou_path or ()}
            for ou in sorted(set(named) - with_accounts):
                self._require_ou(ou)
            return tuple(accounts)
        paths, known = self._walk()
        if missing := sorted(set(named) - known):
            raise _unknown_ou(missing[0])
        return tuple(replace(account, ou_path=paths.get(account.id)) for account in accounts)

    def with_tags(self, accounts: Sequence[Account], wanted: set[str]) -> tuple[Account, ...]:
        """Return the accounts, with tags where the id is in `wanted`.

        The tags of an account that has left the organization are None.
        """
        asked = [account.id for account in accounts if account.id in wanted]
        tags: dict[str, dict[str, str]] = {}
        for account, result in self._tags(asked, self._explain_errors).items():
            if not isinstance(result, Failed):
                tags[account] = result
            elif result.error_code != _NO_ACCOUNT:
                raise OperationFailed(result.reason, result.message, result.error_code)
        return tuple(replace(account, tags=tags.get(account.id)) for account in accounts)

    def tags(self, account_ids: Sequence[str]) -> dict[str, dict[str, str] | Failed]:
        """Return the tags of each account, or why they could not be read; raise nothing."""
        return self._tags(account_ids, lambda _: translate_errors())

    def ou_names(self, ou_ids: Sequence[str]) -> dict[str, str | Failed]:
        """Return the name of each OU, or why it could not be read; raise nothing."""

        def read(ou_id: str) -> str:
            with translate_errors():
                answer = self._client.describe_organizational_unit(OrganizationalUnitId=ou_id)
            return require_str(require(answer, "OrganizationalUnit"), "Name")

        return self._each(read, ou_ids)

    def _each(self, read: Callable[[str], _T], ids: Sequence[str]) -> dict[str, _T | Failed]:
        results = concurrently(
            Stage.ENUMERATE,
            read,
            ids,
            workers=_WORKERS,
            stop=self._stop,
            observe=lambda _: None,
        )
        return dict(zip(ids, results, strict=True))

    def _tags(
        self, account_ids: Sequence[str], guard: _Guard
    ) -> dict[str, dict[str, str] | Failed]:
        def read(account_id: str) -> dict[str, str]:
            tags: dict[str, str] = {}
            for tag in self._items(
                "list_tags_for_resource", "Tags", guard=guard, ResourceId=account_id
            ):
                add_once(tags, require_str(tag, "Key"), optional_str(tag, "Value"), "tag")
            return tags

        return self._each(with_log_context(read), account_ids)

    def _walk(self) -> tuple[dict[str, tuple[str, ...]], set[str]]:
        """Read the path of each account, from its root down, and the ids of all roots and OUs."""
        paths: dict[str, tuple[str, ...]] = {}
        known: set[str] = set()
        pending: list[tuple[str, ...]] = [
            (require_str(root, "Id"),) for root in self._items("list_roots", "Roots")
        ]
        while pending:
            path = pending.pop()
            if path[-1] in known:  # a cycle in the tree would never end
                continue
            known.add(path[-1])
            try:
                accounts, children = self._below(path[-1])
            except OperationFailed as error:
                if error.error_code not in _NO_PARENT:
                    raise
                continue  # removed meanwhile: its accounts have moved
            paths.update(dict.fromkeys(accounts, path))
            pending += [(*path, child) for child in children]
        return paths, known

    def _below(self, parent: str) -> tuple[list[str], list[str]]:
        """Read the ids of the accounts and OUs directly below a root or an OU."""
        accounts = self._items("list_accounts_for_parent", "Accounts", ParentId=parent)
        children = self._items(
            "list_children", "Children", ParentId=parent, ChildType="ORGANIZATIONAL_UNIT"
        )
        return [require_str(item, "Id") for item in accounts], [
            require_str(item, "Id") for item in children
        ]

    def _require_ou(self, ou: str) -> None:
        """Raise OperationFailed unless the OU exists; no path has an OU without accounts."""
        if ou.startswith("r-"):
            raise _unknown_ou(ou)
        try:
            with self._explain_errors("DescribeOrganizationalUnit"):
                self._client.describe_organizational_unit(OrganizationalUnitId=ou)
        except OperationFailed as error:
            if error.reason is Reason.UNKNOWN_OU:
                raise _unknown_ou(ou) from None
            raise

    def _items(
        self, operation: str, key: str, *, guard: _Guard | None = None, **parameters: str
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the items of all pages."""
        pages = iter(self._client.get_paginator(operation).paginate(**parameters))
        tokens = PageTokens()
        action = "".join(word.capitalize() for word in operation.split("_"))
        while True:
            self._stop.check()
            with (guard or self._explain_errors)(action):
                page = next(pages, None)
            if page is None:
                return
            # The SDK takes a token of another type for the end, and does not notice a cycle.
            tokens.follow(page)
            yield from require_list(page, key)

    @contextmanager
    def _explain_errors(self, action: str) -> Iterator[None]:
        """Raise errors that name the caller, the action, and what to do."""
        try:
            with translate_errors():
                yield
        except OperationFailed as error:
            if error.reason is Reason.NOT_IN_ORGANIZATION:
                raise OperationFailed(
                    error.reason,
                    f"{self._caller} is in an account that belongs to no organization; run it in "
                    "the management account or a delegated administrator, or set "
                    "organization.role_name: null for this account alone",
                    error.error_code,
                ) from None
            if error.reason.is_denial:
                raise OperationFailed(
                    Reason.NOT_ALLOWED_TO_LIST,
                    f"{self._caller} may not call organizations:{action}: allow it, and run it in "
                    "the management account or a delegated administrator, or set "
                    "organization.enumerate: false and name the accounts "
                    f"({error.message})",
                    error.error_code,
                ) from None
            raise


def _organization_of(arn: str) -> str | None:
    """``arn:…::111111111111:account/o-exampleorgid/222222222222`` -> ``o-exampleorgid``."""
    return next((part for part in arn.split("/") if part.startswith("o-")), None)


def _owner_of(arn: str) -> str | None:
    """``arn:…::111111111111:account/…`` -> the management account, which owns them all."""
    return arn.split(":")[4] or None if arn.count(":") > 4 else None  # noqa: PLR2004 (an ARN's)


_PATH = re.compile(r"o-[a-z0-9]+/(r-[a-z0-9]+(?:/ou-[a-z0-9]+-[a-z0-9]+)*)(?:/[0-9]{12})?/?")


def _ou_path(account: Mapping[str, Any]) -> tuple[str, ...] | None:
    """``o-…/r-…/ou-…/ou-…/<account>/`` -> the ids from the root down; None for anything else."""
    match account.get("Paths"):
        case [str() as path] if found := _PATH.fullmatch(path):
            return tuple(found[1].split("/"))
    return None


def _unknown_ou(ou: str) -> OperationFailed:
    return OperationFailed(Reason.UNKNOWN_OU, f"{ou} is not in the organization")
