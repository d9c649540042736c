"""What goes while the organization is read ends one account, not the sweep."""

from __future__ import annotations

from typing import Any

import pytest

from sweeper.aws.organizations import _ou_path
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Account, Failed, Skipped
from sweeper.domain.reasons import Reason
from sweeper.domain.selection import no_longer_writable, select_accounts
from tests.aws.conftest import Enter
from tests.aws.support import make_cloud
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault, World
from tests.fakes import TODAY, make_config

ROOT = "r-fake"


def gone(operation: str, code: str, **more: Any) -> Fault:
    return Fault("error", operation=operation, code=code, times=1, **more)


@pytest.mark.parametrize("key", ["include_tags", "exclude_tags"])
def test_an_account_that_left_while_tags_were_read_is_one_failure(aws: FakeAws, key: str) -> None:
    config = make_config(organization={key: {"team": ["none"]}, "include_accounts": []})
    aws.faults([gone("ListTagsForResource", "TargetNotFoundException")])
    accounts = make_cloud(config).list_accounts().accounts
    (left,) = (account for account in accounts if account.tags is None)
    others = [account for account in accounts if account is not left]
    # Whether or not the filter leaves the others, this one's tags are not "none at all".
    chosen = Account("999999999999", "", "ACTIVE", tags={"team": "none"})
    kept = Account("888888888888", "", "ACTIVE", tags={})
    _, left_out = select_accounts((*others, left, chosen, kept), config)
    (outcome,) = (outcome for account, outcome in left_out if account is left)
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.ACCOUNT_LEFT
    assert no_longer_writable(left, config, TODAY) is Reason.ACCOUNT_LEFT


def test_an_account_whose_tags_decide_nothing_is_excluded_as_before() -> None:
    config = make_config(
        organization={"include_tags": {"team": ["a"]}, "exclude_accounts": ["111111111111"]}
    )
    excluded = Account("111111111111", "", "ACTIVE")
    chosen = Account("222222222222", "", "ACTIVE", tags={"team": "a"})
    assert select_accounts((excluded, chosen), config) == (
        (chosen,),
        ((excluded, Skipped(Reason.ACCOUNT_EXCLUDED)),),
    )


def test_tags_that_fail_for_another_reason_end_the_sweep(aws: FakeAws) -> None:
    aws.faults([gone("ListTagsForResource", "ServiceFaultException")])
    with pytest.raises(OperationFailed):
        make_cloud(organization={"include_tags": {"team": ["a"]}}).list_accounts()


@pytest.mark.parametrize("operation", ["ListAccountsForParent", "ListChildren"])
@pytest.mark.parametrize("code", ["ParentNotFoundException", "ChildNotFoundException"])
def test_an_ou_that_goes_while_the_tree_is_walked_leaves_its_accounts_without_a_place(
    enter: Enter, operation: str, code: str
) -> None:
    aws = enter(World.generate(accounts=8, regions=1, give_paths=False))
    aws.faults([gone(operation, code, skip=1)])
    config = make_config(organization={"include_ous": [ROOT]})
    accounts = make_cloud(config).list_accounts().accounts
    assert len(accounts) == 8
    lost = {account.id for account in accounts if account.ou_path is None}
    assert len(lost) < 8
    _, left_out = select_accounts(accounts, config)
    assert {account.id for account, _ in left_out} == lost
    assert {type(outcome) for _, outcome in left_out} <= {Failed}


PATH = "o-exampleorgid/r-ab12/ou-ab12-11111111/ou-ab12-22222222"


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        ([f"{PATH}/111122223333/"], ("r-ab12", "ou-ab12-11111111", "ou-ab12-22222222")),
        ([f"{PATH}/"], ("r-ab12", "ou-ab12-11111111", "ou-ab12-22222222")),
        (["o-exampleorgid/r-ab12/111122223333/"], ("r-ab12",)),
        (["arn:aws:organizations::1:ou/o-exampleorgid/ou-ab12-11111111"], None),
        (["o-exampleorgid/root/Workloads/111122223333"], None),
        (["o-exampleorgid/ou-ab12-11111111/111122223333/"], None),
        (["o-exampleorgid/r-ab12/unit-1/ou-ab12-11111111/111122223333/"], None),
        (["o-exampleorgid/111122223333/"], None),
        ([f"{PATH}/\n"], None),
        ([f"{PATH}/", "o-exampleorgid/r-ab12/"], None),  # an account is in one OU
        ([{"Path": PATH}], None),
        ("o-exampleorgid/r-ab12/", None),
        ([], None),
        (None, None),
    ],
)
def test_a_path_in_an_unknown_form_is_unknown(paths: Any, found: tuple[str, ...] | None) -> None:
    assert _ou_path({"Paths": paths}) == found
