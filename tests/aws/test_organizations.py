"""AWS Organizations: accounts, their place in the tree, their tags, and why not."""

from __future__ import annotations

from typing import Any

import pytest

from sweeper.aws.organizations import Organizations
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Account, Failed
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import Stop
from tests.aws.conftest import Enter
from tests.aws.support import make_cloud, quick_stop
from tests.cases import case
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import AccountState, Fault, World

WORKLOADS, PAYMENTS, SANDBOX = "ou-fake-00000002", "ou-fake-00000005", "ou-fake-00000006"
UNKNOWN = "ou-fake-99999999"
PATHS = pytest.mark.parametrize("give_paths", [True, False], ids=["with paths", "without"])


def _listed(aws: FakeAws, **organization: Any) -> dict[str, Account]:
    """The accounts by id, as a run with this configuration lists them."""
    listed = make_cloud(organization=organization).list_accounts().accounts
    return {account.id: account for account in listed}


def _organization_calls(aws: FakeAws) -> dict[str, int]:
    return {
        name.partition(":")[2]: count
        for name, count in aws.statistics().calls.items()
        if name.startswith("organizations:")
    }


def _expected_paths(world: World) -> dict[str, tuple[str, ...]]:
    parents = {unit.id: unit.parent for unit in world.units}

    def path(parent: str) -> tuple[str, ...]:
        return (*path(parents[parent]), parent) if parent in parents else (world.root_id,)

    return {account.id: path(account.parent) for account in world.accounts}


def test_all_pages_are_read_and_empty_ones_passed_over(enter: Enter) -> None:
    aws = enter(World.generate(accounts=45, regions=1, empty_pages=True))
    organization = make_cloud().list_accounts()
    assert [account.id for account in organization.accounts] == [
        account.id for account in aws.world.accounts
    ]
    assert [account.name for account in organization.accounts] == [
        account.name for account in aws.world.accounts
    ]
    assert organization.id == "o-fakeorg0001"
    assert organization.partition == "aws"
    assert organization.account_id == aws.world.caller.account


def test_the_tree_and_the_tags_are_not_asked_for_without_need(enter: Enter) -> None:
    aws = enter(World.generate(accounts=20, regions=1))
    listed = _listed(aws, exclude_accounts=["111111111111"])
    assert _organization_calls(aws) == {"ListAccounts": 1}
    assert {account.tags for account in listed.values()} == {None}


def test_an_accounts_state_is_read_where_it_is(enter: Enter) -> None:
    states: tuple[AccountState, ...] = (
        *("ACTIVE", "SUSPENDED", "PENDING_ACTIVATION"),
        *("PENDING_CLOSURE", "CLOSED"),
    )
    # Before there was State, Status had no word for a closed account.
    for give_state, closed in ((True, "CLOSED"), (False, "SUSPENDED")):
        data = World.generate(accounts=6, regions=1, give_state=give_state).to_json()
        for account, state in zip(data["accounts"][1:], states, strict=True):
            account["state"] = state
        aws = enter(World.from_json(data))
        listed = _listed(aws)
        found = {
            state: listed[account.id].state
            for account, state in zip(aws.world.accounts[1:], states, strict=True)
            if give_state or state != "PENDING_ACTIVATION"
        }
        assert found == {state: closed if state == "CLOSED" else state for state in found}


@PATHS
def test_every_account_has_its_place_in_the_tree(enter: Enter, give_paths: bool) -> None:
    world = World.generate(accounts=30, regions=1, give_paths=give_paths, empty_pages=True)
    aws = enter(world)
    listed = _listed(aws, include_ous=[WORKLOADS])
    assert {account.id: account.ou_path for account in listed.values()} == _expected_paths(world)
    walked = {"ListRoots", "ListAccountsForParent", "ListChildren"}
    assert walked.isdisjoint(_organization_calls(aws)) is give_paths


def test_the_account_at_the_end_of_a_path_is_no_ou(enter: Enter) -> None:
    world = World.generate(accounts=8, regions=1, paths_end_in_account=False)
    aws = enter(world)
    listed = _listed(aws, include_ous=[WORKLOADS])
    assert {account.id: account.ou_path for account in listed.values()} == _expected_paths(world)


@PATHS
def test_an_ou_that_is_not_there_is_named(enter: Enter, give_paths: bool) -> None:
    aws = enter(World.generate(accounts=8, regions=1, give_paths=give_paths))
    for key, ou in (("include_ous", UNKNOWN), ("exclude_ous", "r-another")):
        with case(key, ou):
            with pytest.raises(OperationFailed, match=ou) as caught:
                _listed(aws, **{key: [WORKLOADS, ou]})
            assert caught.value.reason is Reason.UNKNOWN_OU


def test_an_ou_of_the_write_scope_must_be_there_too(aws: FakeAws) -> None:
    unknown = {"include_ous": [UNKNOWN]}
    for remediation in (unknown, {"rollout": [{**unknown, "from": "2027-01-15"}]}):
        with case(remediation), pytest.raises(OperationFailed, match=UNKNOWN) as caught:
            make_cloud(remediation=remediation).list_accounts()
        assert caught.value.reason is Reason.UNKNOWN_OU


@PATHS
def test_the_root_and_an_ou_without_accounts_are_there(enter: Enter, give_paths: bool) -> None:
    aws = enter(World.generate(accounts=3, regions=1, give_paths=give_paths))
    assert SANDBOX not in {account.parent for account in aws.world.accounts}
    for ou in (SANDBOX, "r-fake"):
        assert len(_listed(aws, include_ous=[ou])) == 3


def test_tags_are_read_of_the_accounts_that_they_decide_about(enter: Enter) -> None:
    data = World.generate(accounts=6, regions=1).to_json()
    data["accounts"][4]["state"] = "SUSPENDED"
    aws = enter(World.from_json(data))
    excluded = aws.world.accounts[0].id
    listed = _listed(aws, include_tags={"team": ["search"]}, exclude_accounts=[excluded])
    asked = {account.id for account in listed.values() if account.tags is not None}
    assert asked == {aws.world.accounts[place].id for place in (1, 2, 3, 5)}
    assert listed[aws.world.accounts[1].id].tags == aws.world.accounts[1].tags
    assert _organization_calls(aws)["ListTagsForResource"] == 4


def test_tags_of_named_accounts_only(enter: Enter) -> None:
    aws = enter(World.generate(accounts=6, regions=1))
    named = aws.world.accounts[2].id
    _listed(aws, exclude_tags={"team": ["search"]}, include_accounts=[named])
    assert _organization_calls(aws)["ListTagsForResource"] == 1


def test_tags_that_cannot_be_read_are_not_absent(enter: Enter) -> None:
    aws = enter(World.generate(accounts=6, regions=1))
    aws.faults([Fault("access_denied", operation="ListTagsForResource", skip=2)])
    with pytest.raises(OperationFailed, match="organizations:ListTagsForResource") as caught:
        _listed(aws, include_tags={"team": ["search"]})
    assert caught.value.reason is Reason.NOT_ALLOWED_TO_LIST


def rule(**values: Any) -> dict[str, Any]:
    return {"repository": "*", "reason": "because", "expires": "never", **values}


def test_tags_are_read_of_the_accounts_that_an_exemption_depends_on(enter: Enter) -> None:
    aws = enter(World.generate(accounts=6, regions=1))
    first, second, excluded, *_ = (account.id for account in aws.world.accounts)
    below = {
        each.id for each in aws.world.accounts if PAYMENTS in _expected_paths(aws.world)[each.id]
    }
    tags: dict[str, Any] = {"account_tags": {"team": ["search"]}}
    cases: list[tuple[list[dict[str, Any]], dict[str, Any], set[str]]] = [
        ([], {}, set()),
        ([rule(), rule(ous=[PAYMENTS])], {}, set()),
        ([rule(account=first, **tags), rule(account=second, **tags)], {}, {first, second}),
        ([rule(**tags, ous=[PAYMENTS])], {}, below),
        (
            [rule(**tags)],
            {"exclude_accounts": [excluded]},
            {each.id for each in aws.world.accounts} - {excluded},
        ),
    ]
    assert 0 < len(below) < 6
    for rules, organization, asked in cases:
        with case(rules, organization):
            before = _organization_calls(aws).get("ListTagsForResource", 0)
            cloud = make_cloud(exemptions=rules, organization=organization)
            listed = cloud.list_accounts().accounts
            assert {account.id for account in listed if account.tags is not None} == asked
            assert _organization_calls(aws).get("ListTagsForResource", 0) - before == len(asked)


def test_tags_for_exemptions_that_cannot_be_read_end_nothing(enter: Enter) -> None:
    aws = enter(World.generate(accounts=6, regions=1))
    aws.faults([Fault("access_denied", operation="ListTagsForResource", skip=2)])
    cloud = make_cloud(exemptions=[rule(account_tags={"team": ["search"]})])
    listed = cloud.list_accounts().accounts
    assert sum(account.tags is None for account in listed) == 4


def test_ous_of_exemptions(enter: Enter) -> None:
    for give_paths in (True, False):
        with case(give_paths):
            world = World.generate(accounts=8, regions=1, give_paths=give_paths)
            aws = enter(world)
            listed = make_cloud(exemptions=[rule(ous=[PAYMENTS])]).list_accounts().accounts
            assert {account.id: account.ou_path for account in listed} == _expected_paths(world)
            with pytest.raises(OperationFailed, match=UNKNOWN) as caught:
                make_cloud(exemptions=[rule(ous=[UNKNOWN])]).list_accounts()
            assert caught.value.reason is Reason.UNKNOWN_OU
            aws.faults([Fault("access_denied", operation="ListChildren")])
            listed = make_cloud(exemptions=[rule(ous=[PAYMENTS])]).list_accounts().accounts
            assert all((account.ou_path is not None) is give_paths for account in listed)


def test_the_tags_of_some_accounts_for_the_report(enter: Enter) -> None:
    aws = enter(World.generate(accounts=6, regions=1))
    cloud = make_cloud()
    cloud.list_accounts()
    some = aws.world.accounts[1:3]
    assert cloud.account_tags([account.id for account in some]) == {
        account.id: account.tags for account in some
    }
    assert _organization_calls(aws)["ListTagsForResource"] == 2


def test_tags_that_were_read_for_a_filter_are_not_read_again(enter: Enter) -> None:
    aws = enter(World.generate(accounts=6, regions=1))
    excluded, *others = (account.id for account in aws.world.accounts)
    cloud = make_cloud(
        organization={"include_tags": {"team": ["search"]}, "exclude_accounts": [excluded]}
    )
    cloud.list_accounts()
    tags = cloud.account_tags([excluded, *others])
    assert tags == {account.id: account.tags for account in aws.world.accounts}
    assert _organization_calls(aws)["ListTagsForResource"] == 6


def test_tags_for_the_report_that_cannot_be_read_are_failures_of_theirs(enter: Enter) -> None:
    aws = enter(World.generate(accounts=6, regions=1))
    aws.faults([Fault("access_denied", operation="ListTagsForResource", skip=1, times=1)])
    cloud = make_cloud()
    cloud.list_accounts()
    read = list(cloud.account_tags([account.id for account in aws.world.accounts]).values())
    [failed] = [result for result in read if isinstance(result, Failed)]
    assert (len(read), failed.reason, failed.error_code) == (
        6,
        Reason.DENIED,
        "AccessDeniedException",
    )
    assert "organization.enumerate" not in failed.message


def test_tags_are_not_read_once_the_sweep_is_told_to_stop(enter: Enter) -> None:
    aws = enter(World.generate(accounts=2, regions=1))
    stop = quick_stop()
    cloud = make_cloud(stop=stop)
    cloud.list_accounts()
    stop.request()
    read = cloud.account_tags([account.id for account in aws.world.accounts])
    assert {isinstance(each, Failed) and each.reason for each in read.values()} == {
        Reason.INTERRUPTED
    }
    assert "ListTagsForResource" not in _organization_calls(aws)


def test_without_organizations_there_are_no_tags(aws: FakeAws) -> None:
    cloud = make_cloud(organization={"role_name": None})
    cloud.list_accounts()
    assert cloud.account_tags([aws.world.caller.account]) == {}


def test_not_in_an_organization(enter: Enter) -> None:
    aws = enter(World.generate(accounts=3, regions=1, caller_mode="not_in_organization"))
    with pytest.raises(OperationFailed, match=aws.world.caller.principal_arn) as caught:
        _listed(aws)
    assert caught.value.reason is Reason.NOT_IN_ORGANIZATION
    assert caught.value.error_code == "AWSOrganizationsNotInUseException"


def test_not_allowed_to_list(enter: Enter) -> None:
    aws = enter(World.generate(accounts=3, regions=1, caller_mode="not_allowed"))
    with pytest.raises(OperationFailed, match="organizations:ListAccounts") as caught:
        _listed(aws)
    assert caught.value.reason is Reason.NOT_ALLOWED_TO_LIST
    assert aws.world.caller.principal_arn in caught.value.message


@pytest.mark.parametrize(
    ("action", "give_paths"),
    [
        ("DescribeOrganizationalUnit", True),
        ("ListRoots", False),
        ("ListAccountsForParent", False),
        ("ListChildren", False),
    ],
)
def test_what_the_caller_may_not_do_is_named(enter: Enter, action: str, give_paths: bool) -> None:
    aws = enter(World.generate(accounts=3, regions=1, give_paths=give_paths))
    aws.faults([Fault("access_denied", operation=action)])
    with pytest.raises(OperationFailed, match=f"organizations:{action}") as caught:
        _listed(aws, include_ous=[SANDBOX])
    assert caught.value.reason is Reason.NOT_ALLOWED_TO_LIST


def test_a_delegated_administrator_may_list(enter: Enter) -> None:
    aws = enter(World.generate(accounts=3, regions=1, caller_mode="delegated"))
    assert len(_listed(aws)) == 3


@pytest.mark.parametrize("action", ["garbage", "empty", "throttle", "server_error"])
def test_passing_trouble_is_not_an_empty_organization(aws: FakeAws, action: str) -> None:
    aws.faults([{"action": action, "operation": "ListAccounts"}])
    with pytest.raises(OperationFailed) as caught:
        _listed(aws)
    assert not caught.value.reason.ends_run


def test_a_second_page_that_fails_fails_the_listing(enter: Enter) -> None:
    aws = enter(World.generate(accounts=45, regions=1))
    aws.faults([Fault("garbage", operation="ListAccounts", only_page=2)])
    with pytest.raises(OperationFailed) as caught:
        _listed(aws)
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE


def test_a_stop_ends_the_listing_between_pages(enter: Enter) -> None:
    aws = enter(World.generate(accounts=45, regions=1))
    stop = quick_stop()
    stop.request()
    with pytest.raises(OperationFailed) as caught:
        make_cloud(stop=stop).list_accounts()
    assert caught.value.reason is Reason.INTERRUPTED
    assert _organization_calls(aws) == {}


class Pages:
    """A client whose listings have these pages."""

    def __init__(self, *pages: dict[str, Any]) -> None:
        self._pages = pages

    def get_paginator(self, operation: str) -> Any:
        return self

    def paginate(self, **parameters: str) -> Any:
        return self._pages


def test_an_account_without_an_id_is_no_account() -> None:
    nameless = Pages({"Accounts": [{"Name": "nameless", "State": "ACTIVE"}]})
    with pytest.raises(OperationFailed, match="no Id"):
        Organizations(nameless, "arn", Stop()).accounts()


def test_an_account_that_is_listed_twice_counts_once_or_is_no_answer() -> None:
    active = {"Id": "111122223333", "Name": "app", "State": "ACTIVE"}
    twice = Pages({"Accounts": [active], "NextToken": "2"}, {"Accounts": [active]})
    _, accounts = Organizations(twice, "arn", Stop()).accounts()
    assert [account.id for account in accounts] == ["111122223333"]
    for change in ({"State": "SUSPENDED"}, {"Name": "other"}, {"Paths": ["o-example0001/r-ab12/"]}):
        for pages in ((active, active | change), (active | change, active)):
            with case(change, pages):
                client = Pages(*({"Accounts": [item]} for item in pages))
                with pytest.raises(OperationFailed, match="account '111122223333' twice") as caught:
                    Organizations(client, "arn", Stop()).accounts()
                assert caught.value.reason is Reason.UNEXPECTED_RESPONSE


def test_a_tag_with_two_values_is_no_answer() -> None:
    tags = [{"Key": "team", "Value": "a"}, {"Key": "team", "Value": "a"}]
    once = Organizations(Pages({"Tags": tags}), "arn", Stop()).tags(["111122223333"])
    assert once == {"111122223333": {"team": "a"}}
    both = Pages({"Tags": [*tags, {"Key": "team", "Value": "b"}]})
    (found,) = Organizations(both, "arn", Stop()).tags(["111122223333"]).values()
    assert isinstance(found, Failed)
    assert found.reason is Reason.UNEXPECTED_RESPONSE


@pytest.mark.parametrize("mode", ["management", "delegated", "not_allowed"])
def test_any_member_may_learn_which_account_manages_it(enter: Enter, mode: str) -> None:
    aws = enter(World.generate(accounts=3, regions=1, caller_mode=mode))
    cloud = make_cloud()
    if mode == "not_allowed":
        with pytest.raises(OperationFailed) as caught:
            cloud.list_accounts()
        assert caught.value.reason.ends_run
    else:
        cloud.list_accounts()
    organizations = cloud.organizations
    assert organizations is not None
    assert organizations.describe() == aws.world.management_account
    # The ARNs of the accounts tell it as well, without one more permission.
    known = None if mode == "not_allowed" else aws.world.management_account
    assert organizations.management_account == known


def test_who_administers(enter: Enter) -> None:
    aws = enter(World.generate(accounts=3, regions=1, caller_mode="delegated"))
    cloud = make_cloud()
    cloud.list_accounts()
    assert cloud.organizations is not None
    assert cloud.organizations.delegated_administrators() == {aws.world.caller.account}


@pytest.mark.parametrize("arn", ["", "nonsense", "arn:aws:organizations:::account/o-1/2"])
def test_an_arn_that_names_nobody_manages_nothing(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch, arn: str
) -> None:
    cloud = make_cloud()
    monkeypatch.setattr(
        Organizations, "_items", lambda *_, **__: iter([{"Id": "1" * 12, "Arn": arn}])
    )
    cloud.list_accounts()
    assert cloud.organizations is not None
    assert cloud.organizations.management_account is None
