"""AWS Organizations: accounts, organizational units and tags, read only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fake_aws.services.base import Call, Service
from tests.fake_aws.wire import ApiError, Codes, Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fake_aws.state import State
    from tests.fake_aws.world import Account, Unit

SERVICE = Service(
    "organizations",
    Json(),
    Codes(
        throttle=("TooManyRequestsException", 400),
        server_error=("ServiceException", 500),
        invalid=("InvalidInputException", 400),
    ),
    target="AWSOrganizationsV20161128",
    is_global=True,
)
_LARGEST_PAGE = 20
_JOINED = 1_600_000_000.0
_OLD_STATUS = {
    "SUSPENDED": "SUSPENDED",
    "CLOSED": "SUSPENDED",
    "PENDING_CLOSURE": "PENDING_CLOSURE",
}


def _allow(call: Call, action: str, *, any_member: bool = False) -> None:
    """Pass for management account and delegated administrators; raises AWS's error else."""
    world = call.state.world
    account = call.principal.account
    if world.caller_mode == "not_in_organization" or account not in call.state.members:
        raise ApiError(
            "AWSOrganizationsNotInUseException", "Your account is not a member of an organization."
        )
    administrators = {world.management_account, *world.delegated_administrators}
    allowed = account in administrators and world.caller_mode != "not_allowed"
    if not allowed and not any_member:
        raise ApiError(
            "AccessDeniedException", "You don't have permissions to access this resource."
        )
    call.allow(f"organizations:{action}", "*")


def _arn(state: State, kind: str, rest: str) -> str:
    world = state.world
    return (
        f"arn:{world.partition}:organizations::{world.management_account}:"
        f"{kind}/{world.organization_id}{rest}"
    )


def _path(state: State, parent: str) -> str:
    steps: list[str] = []
    while parent in state.units:
        steps.insert(0, parent)
        parent = state.units[parent].parent
    return "/".join((state.world.organization_id, state.world.root_id, *steps)) + "/"


def _account(state: State, account: Account) -> dict[str, Any]:
    world = state.world
    described: dict[str, Any] = {
        "Id": account.id,
        "Arn": _arn(state, "account", f"/{account.id}"),
        "Email": account.email or f"{account.id}@example.com",
        "Name": account.name or account.id,
        "JoinedMethod": "CREATED",
        "JoinedTimestamp": _JOINED,
    }
    if world.give_state:
        described["State"] = account.state
    else:
        described["Status"] = _OLD_STATUS.get(account.state, "ACTIVE")
    if world.give_paths:
        path = _path(state, account.parent)
        described["Paths"] = [f"{path}{account.id}/" if world.paths_end_in_account else path]
    return described


def _unit(state: State, unit: Unit) -> dict[str, Any]:
    return {
        "Id": unit.id,
        "Arn": _arn(state, "ou", f"/{unit.id}"),
        "Name": unit.name,
        "Path": _path(state, unit.id),
    }


def _listing(
    call: Call, member: str, items: Sequence[dict[str, Any]], about: str = ""
) -> dict[str, Any]:
    world = call.state.world
    asked = call.number("MaxResults", _LARGEST_PAGE, _LARGEST_PAGE)
    found, more = call.page(
        lambda start, stop: list(items[start:stop]),
        len(items),
        min(asked, world.list_accounts_page_size),
        about=about,
        empty_pages=world.empty_pages,
    )
    return {member: found, **more}


def _parent(call: Call) -> str:
    parent = call.text("ParentId")
    if parent != call.state.world.root_id and parent not in call.state.units:
        raise ApiError("ParentNotFoundException", "You specified a parent that doesn't exist.")
    return parent


@SERVICE.operation("DescribeOrganization")
def describe_organization(call: Call) -> dict[str, Any]:
    """Describe the organization; every member may ask."""
    _allow(call, "DescribeOrganization", any_member=True)
    world = call.state.world
    management = call.state.accounts[world.management_account]
    return {
        "Organization": {
            "Id": world.organization_id,
            "Arn": _arn(call.state, "organization", ""),
            "FeatureSet": "ALL",
            "MasterAccountArn": _arn(call.state, "account", f"/{management.id}"),
            "MasterAccountId": management.id,
            "MasterAccountEmail": management.email or f"{management.id}@example.com",
            "AvailablePolicyTypes": [],
        }
    }


@SERVICE.operation("ListAccounts")
def list_accounts(call: Call) -> dict[str, Any]:
    """List every account."""
    _allow(call, "ListAccounts")
    world, state = call.state.world, call.state
    asked = call.number("MaxResults", _LARGEST_PAGE, _LARGEST_PAGE)
    found, more = call.page(
        lambda start, stop: [_account(state, account) for account in state.listed[start:stop]],
        len(state.listed),
        min(asked, world.list_accounts_page_size),
        empty_pages=world.empty_pages,
    )
    return {"Accounts": found, **more}


@SERVICE.operation("ListDelegatedAdministrators")
def list_delegated_administrators(call: Call) -> dict[str, Any]:
    """List the delegated administrators of whatever service."""
    _allow(call, "ListDelegatedAdministrators")
    state = call.state
    found = [
        {**_account(state, state.members[each]), "DelegationEnabledDate": _JOINED}
        for each in state.world.delegated_administrators
    ]
    return _listing(call, "DelegatedAdministrators", found)


@SERVICE.operation("DescribeAccount")
def describe_account(call: Call) -> dict[str, Any]:
    """Describe one account."""
    _allow(call, "DescribeAccount")
    account = call.state.members.get(call.text("AccountId"))
    if account is None:
        raise ApiError("AccountNotFoundException", "You specified an account that doesn't exist.")
    return {"Account": _account(call.state, account)}


@SERVICE.operation("ListRoots")
def list_roots(call: Call) -> dict[str, Any]:
    """List the one root."""
    _allow(call, "ListRoots")
    root = call.state.world.root_id
    return _listing(
        call,
        "Roots",
        [
            {
                "Id": root,
                "Arn": _arn(call.state, "root", f"/{root}"),
                "Name": "Root",
                "PolicyTypes": [],
            }
        ],
    )


@SERVICE.operation("ListChildren")
def list_children(call: Call) -> dict[str, Any]:
    """List the ids of accounts or of units directly below a parent."""
    _allow(call, "ListChildren")
    parent, kind = _parent(call), call.text("ChildType")
    below: dict[str, Sequence[Account | Unit]] = {
        "ACCOUNT": call.state.accounts_below.get(parent, []),
        "ORGANIZATIONAL_UNIT": call.state.units_below.get(parent, []),
    }
    if kind not in below:
        raise call.invalid("You specified an invalid value.", Reason="INVALID_ENUM")
    return _listing(
        call,
        "Children",
        [{"Id": each.id, "Type": kind} for each in below[kind]],
        f"{parent}/{kind}",
    )


@SERVICE.operation("ListOrganizationalUnitsForParent")
def list_organizational_units_for_parent(call: Call) -> dict[str, Any]:
    """List the units directly below a parent."""
    _allow(call, "ListOrganizationalUnitsForParent")
    parent = _parent(call)
    units = [_unit(call.state, unit) for unit in call.state.units_below.get(parent, [])]
    return _listing(call, "OrganizationalUnits", units, parent)


@SERVICE.operation("ListAccountsForParent")
def list_accounts_for_parent(call: Call) -> dict[str, Any]:
    """List the accounts directly below a parent."""
    _allow(call, "ListAccountsForParent")
    parent = _parent(call)
    accounts = [
        _account(call.state, account) for account in call.state.accounts_below.get(parent, [])
    ]
    return _listing(call, "Accounts", accounts, parent)


@SERVICE.operation("ListParents")
def list_parents(call: Call) -> dict[str, Any]:
    """Give the parent of an account or unit."""
    _allow(call, "ListParents")
    child, state = call.text("ChildId"), call.state
    if child in state.members:
        parent = state.members[child].parent or state.world.root_id
    elif child in state.units:
        parent = state.units[child].parent
    else:
        raise ApiError("ChildNotFoundException", "You specified a child that doesn't exist.")
    kind = "ROOT" if parent == state.world.root_id else "ORGANIZATIONAL_UNIT"
    return _listing(call, "Parents", [{"Id": parent, "Type": kind}], child)


@SERVICE.operation("DescribeOrganizationalUnit")
def describe_organizational_unit(call: Call) -> dict[str, Any]:
    """Describe one unit."""
    _allow(call, "DescribeOrganizationalUnit")
    unit = call.state.units.get(call.text("OrganizationalUnitId"))
    if unit is None:
        raise ApiError(
            "OrganizationalUnitNotFoundException",
            "You specified an organizational unit that doesn't exist.",
        )
    return {"OrganizationalUnit": _unit(call.state, unit)}


@SERVICE.operation("ListTagsForResource")
def list_tags_for_resource(call: Call) -> dict[str, Any]:
    """List an account's tags; a unit and the root have none."""
    _allow(call, "ListTagsForResource")
    target = call.text("ResourceId")
    account = call.state.members.get(target)
    if account is None and target != call.state.world.root_id and target not in call.state.units:
        raise ApiError("TargetNotFoundException", "You specified a target that doesn't exist.")
    tags = [{"Key": key, "Value": value} for key, value in account.tags.items()] if account else []
    return _listing(call, "Tags", tags, target)
