"""The organization and its accounts, as the sweep asks for them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials

from sweeper.aws.accounts import _CORE_ACTIONS, _MAX_SESSION_POLICY, _session_policy
from sweeper.aws.client.clients import Session
from sweeper.checks.tag_immutability import TagImmutability
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Account, Stage
from sweeper.domain.reasons import ACCEPTABLE_REASONS, Reason
from tests.aws.conftest import Enter
from tests.aws.support import make_cloud, opened
from tests.cases import case
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Deny, Fault, Role, World


def _open(aws: FakeAws, place: int = 1, **sections: Any) -> tuple[tuple[str, str], ...]:
    cloud = make_cloud(**sections)
    accounts = {account.id: account for account in cloud.list_accounts().accounts}
    return cloud.open_account(accounts[aws.world.accounts[place].id]).regions


def _why_not(aws: FakeAws, **sections: Any) -> OperationFailed:
    with pytest.raises(OperationFailed) as caught:
        _open(aws, **sections)
    return caught.value


def test_an_account_is_opened_with_its_regions(enter: Enter) -> None:
    data = World.generate(accounts=2, regions=2).to_json()
    data["accounts"][1]["regions"] = {"af-south-1": "ENABLED", "us-east-2": "DISABLING"}
    aws = enter(World.from_json(data))
    regions = dict(_open(aws))
    assert regions["us-east-1"] == "ENABLED_BY_DEFAULT"
    assert regions["af-south-1"] == "ENABLED"
    assert regions["us-east-2"] == "DISABLING"
    assert regions["me-south-1"] == "DISABLED"
    assert aws.statistics().calls["account:ListRegions"] == 1


def test_regions_that_are_named_are_asked_for_too(aws: FakeAws) -> None:
    """Whether they are enabled, and which others there are, only the account knows."""
    asked = _open(aws)
    assert _open(aws, regions={"include": ["eu-central-1", "ap-south-1"]}) == asked


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("access_denied", operation="ListRegions"), Reason.REGIONS_UNREADABLE),
        (Fault("throttle", operation="ListRegions"), Reason.THROTTLED),
        (Fault("garbage", operation="ListRegions"), Reason.UNEXPECTED_RESPONSE),
    ],
)
def test_where_regions_cannot_be_read_the_named_ones_are_known(
    aws: FakeAws, fault: Fault, reason: Reason
) -> None:
    cloud = make_cloud(regions={"include": ["eu-central-1", "ap-south-1"]})
    account = cloud.list_accounts().accounts[1]
    aws.faults([fault])
    opened = cloud.open_account(account)
    assert opened.regions == (("eu-central-1", "ENABLED"), ("ap-south-1", "ENABLED"))
    assert opened.unread is not None
    assert (opened.unread.stage, opened.unread.reason) == (Stage.OPEN_ACCOUNT, reason)


@pytest.mark.parametrize(
    "role", [Role(exists=False), Role(name="another"), Role(external_id="secret-id")]
)
def test_a_role_that_cannot_be_assumed(enter: Enter, role: Role) -> None:
    aws = enter(World.generate(accounts=2, regions=1, role=role))
    failed = _why_not(aws)
    assert failed.reason is Reason.ASSUME_ROLE_DENIED
    assert failed.error_code == "AccessDenied"
    assert aws.world.accounts[1].id in failed.message


def test_a_policy_above_that_forbids_assuming_says_so(enter: Enter) -> None:
    deny = Deny(actions=("sts:AssumeRole",), kind="rcp")
    failed = _why_not(enter(World.generate(accounts=2, regions=1, denies=(deny,))))
    assert failed.reason is Reason.DENIED_BY_RCP


def test_an_sts_region_that_the_account_has_not(enter: Enter) -> None:
    data = World.generate(accounts=2, regions=1, sts_needs_target_region=True).to_json()
    data["accounts"][0]["regions"] = {"af-south-1": "ENABLED"}
    aws = enter(World.from_json(data))
    failed = _why_not(aws, organization={"sts_region": "af-south-1"})
    assert failed.reason is Reason.STS_REGION_DISABLED


@pytest.mark.parametrize("kind", ["scp", "permissions_boundary", "identity_policy"])
def test_regions_that_may_not_be_read(enter: Enter, kind: Any) -> None:
    deny = Deny(actions=("account:*",), kind=kind)
    failed = _why_not(enter(World.generate(accounts=2, regions=1, denies=(deny,))))
    assert failed.reason is Reason.REGIONS_UNREADABLE
    assert "account:ListRegions" in failed.message


def test_passing_trouble_with_the_regions_is_not_a_denial(aws: FakeAws) -> None:
    aws.faults([Fault("throttle", operation="ListRegions")])
    assert _why_not(aws).reason is Reason.THROTTLED


@pytest.mark.parametrize(
    ("operation", "action"),
    [("AssumeRole", "garbage"), ("ListRegions", "garbage"), ("ListRegions", "empty")],
)
def test_an_answer_that_is_none_fails_the_account(
    aws: FakeAws, operation: str, action: str
) -> None:
    aws.faults([{"action": action, "operation": operation}])
    assert _why_not(aws).reason is Reason.UNEXPECTED_RESPONSE


def test_credentials_without_an_end_that_can_be_read_are_none(aws: FakeAws) -> None:
    session = Session()
    cloud = make_cloud(session=session)
    session.core.get_component("response_parser_factory").set_parser_defaults(
        timestamp_parser=lambda _: "soon"
    )
    account = cloud.list_accounts().accounts[1]
    with pytest.raises(OperationFailed, match="Expiration") as caught:
        cloud.open_account(account)
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE


def test_the_session_is_that_of_the_partitions_role(enter: Enter) -> None:
    aws = enter(World.generate(accounts=2, regions=1, partition="aws-cn"))
    opened(aws, 1)
    (record,) = aws.statistics().assume_role
    account = aws.world.accounts[1].id
    assert record["role_arn"] == f"arn:aws-cn:iam::{account}:role/ecr-immutability-sweeper"
    assert record["region"] == "cn-northwest-1"
    assert record["external_id_given"] is False


@pytest.mark.parametrize(
    ("partition", "region", "chosen"),
    [
        ("aws", "us-east-2", "us-east-2"),
        ("aws", "af-south-1", "us-east-1"),
        ("aws-cn", "cn-north-1", "cn-north-1"),
        ("aws-us-gov", "us-gov-east-1", "us-gov-east-1"),
    ],
)
def test_roles_are_assumed_at_a_regional_endpoint(
    enter: Enter, monkeypatch: pytest.MonkeyPatch, partition: str, region: str, chosen: str
) -> None:
    data = World.generate(accounts=2, regions=2, partition=partition).to_json()
    data["accounts"][0]["regions"] = {"af-south-1": "ENABLED"} if partition == "aws" else {}
    aws = enter(World.from_json(data))
    monkeypatch.setenv("AWS_REGION", region)
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    opened(aws, 1)
    assert {record["region"] for record in aws.statistics().assume_role} == {chosen}


def test_named_accounts_need_no_organization(enter: Enter) -> None:
    aws = enter(World.generate(accounts=3, regions=1, caller_mode="not_allowed"))
    named = [aws.world.accounts[2].id, aws.world.accounts[1].id, aws.world.accounts[2].id]
    organization = make_cloud(
        organization={"enumerate": False, "include_accounts": named}
    ).list_accounts()
    assert organization.accounts == tuple(Account(each, "", "ACTIVE") for each in named[:2])
    assert organization.id is None
    assert aws.statistics().calls == {"sts:GetCallerIdentity": 1}


def test_the_callers_own_account_needs_nothing_but_the_caller(aws: FakeAws) -> None:
    cloud = make_cloud(organization={"role_name": None})
    organization = cloud.list_accounts()
    own = aws.world.caller.account
    assert organization.accounts == (Account(own, "", "ACTIVE"),)
    assert dict(cloud.open_account(organization.accounts[0]).regions)["us-east-1"]
    assert aws.statistics().calls == {"sts:GetCallerIdentity": 1, "account:ListRegions": 1}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AWS_ACCESS_KEY_ID", None),
        ("AWS_ACCESS_KEY_ID", "AKIASTRANGER00000000"),
        ("AWS_SECRET_ACCESS_KEY", None),
        ("AWS_SECRET_ACCESS_KEY", "wrong"),
        ("AWS_SESSION_TOKEN", "of another session"),
    ],
)
def test_credentials_that_are_no_use(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None
) -> None:
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    with pytest.raises(OperationFailed, match="no usable AWS credentials") as caught:
        make_cloud().list_accounts()
    assert caught.value.reason is Reason.NO_CREDENTIALS
    assert "central-secret" not in str(caught.value)


def test_an_unreachable_sts_is_passing_trouble(aws: FakeAws) -> None:
    aws.faults([Fault("reset", operation="GetCallerIdentity")])
    with pytest.raises(OperationFailed) as caught:
        make_cloud().list_accounts()
    assert caught.value.reason is Reason.CONNECTION_FAILED
    assert not caught.value.reason.ends_run


def test_an_endpoint_that_does_not_listen_is_passing_trouble(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(OperationFailed) as caught:
        make_cloud().list_accounts()
    assert caught.value.reason is Reason.CONNECTION_FAILED


def test_credentials_that_vanish_after_the_listing(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = make_cloud(organization={"role_name": None})
    (account,) = cloud.list_accounts().accounts
    monkeypatch.setattr(cloud._session, "get_credentials", lambda: None)
    with pytest.raises(OperationFailed) as caught:
        cloud.open_account(account)
    assert caught.value.reason is Reason.NO_CREDENTIALS


def test_the_callers_own_keys_renew_themselves(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = make_cloud(organization={"role_name": None})
    (account,) = cloud.list_accounts().accounts
    keys = cloud._session.get_credentials()
    assert keys
    asked: list[int] = []

    def frozen() -> ReadOnlyCredentials:
        asked.append(1)
        return ReadOnlyCredentials(keys.access_key, keys.secret_key, keys.token)

    monkeypatch.setattr(keys, "get_frozen_credentials", frozen)
    cloud.open_account(account)
    cloud.open_account(account)
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("operation", "code", "reason"),
    [
        ("AssumeRole", "InvalidClientTokenId", Reason.NO_CREDENTIALS),
        ("ListRegions", "UnrecognizedClientException", Reason.REQUEST_REFUSED),
    ],
)
def test_an_account_is_not_given_up_as_a_region_that_is_not_enabled(
    aws: FakeAws, operation: str, code: str, reason: Reason
) -> None:
    """That reason may be accepted in advance, and these say nothing about the account."""
    aws.faults([Fault("error", operation=operation, code=code)])
    failed = _why_not(aws)
    assert (failed.reason, failed.error_code) == (reason, code)
    assert reason not in ACCEPTABLE_REASONS


def test_no_resource_based_policy_allows_it(aws: FakeAws) -> None:
    message = "User: x is not authorized: because no resource-based policy allows it"
    aws.faults([Fault("error", operation="AssumeRole", code="AccessDenied", message=message)])
    assert _why_not(aws).reason is Reason.ASSUME_ROLE_DENIED


@pytest.mark.parametrize(
    "regions", [[], [{"RegionName": "us-east-1", "RegionOptStatus": "DISABLED"}]]
)
def test_an_account_without_any_region_is_none(aws: FakeAws, regions: list[dict[str, str]]) -> None:
    cloud = make_cloud()
    account = cloud.list_accounts().accounts[1]
    client = cloud.clients.member("account", "us-east-1")
    client.meta.events.register(
        "after-call.account.ListRegions", lambda parsed, **_: parsed.update(Regions=regions)
    )
    with pytest.raises(OperationFailed, match="is enabled") as caught:
        cloud.open_account(account)
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE


def test_a_listing_of_regions_that_contradicts_itself_is_no_answer(aws: FakeAws) -> None:
    cloud = make_cloud()
    account = cloud.list_accounts().accounts[1]
    cloud.enter(account)
    cases: list[tuple[dict[str, Any], str | None]] = [
        ({"Regions": [*ENABLED, *ENABLED]}, None),
        ({"Regions": [*ENABLED, *DISABLED]}, "region 'us-east-1' twice"),
        ({"Regions": [*DISABLED, *ENABLED]}, "region 'us-east-1' twice"),
        ({"Regions": ENABLED, "NextToken": ""}, None),
        ({"Regions": ENABLED, "NextToken": 0}, "NextToken"),
        ({"Regions": ENABLED, "NextToken": False}, "NextToken"),
        ({"Regions": ENABLED, "NextToken": []}, "NextToken"),
    ]
    answer: dict[str, Any] = {}
    cloud.clients.member("account", "us-east-1").meta.events.register(
        "after-call.account.ListRegions", lambda parsed, **_: parsed.update(answer)
    )
    for given, problem in cases:
        with case(given):
            answer.clear()
            answer.update(given)
            if problem is None:
                assert cloud.regions(account) == (("us-east-1", "ENABLED"),)
                continue
            with pytest.raises(OperationFailed, match=problem) as caught:
                cloud.regions(account)
            assert caught.value.reason is Reason.UNEXPECTED_RESPONSE


ENABLED = [{"RegionName": "us-east-1", "RegionOptStatus": "ENABLED"}]
DISABLED = [{"RegionName": "us-east-1", "RegionOptStatus": "DISABLED"}]


def test_an_endpoint_that_is_none_is_the_callers_mistake(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    with pytest.raises(OperationFailed, match="nonsense") as caught:
        make_cloud().list_accounts()
    assert caught.value.reason is Reason.AWS_CONFIGURATION_INVALID


def test_the_session_policy_allows_the_actions_and_no_more() -> None:
    actions = _CORE_ACTIONS | TagImmutability.read_actions | TagImmutability.write_actions
    policy = _session_policy(actions)
    assert len(policy) <= _MAX_SESSION_POLICY
    assert json.loads(policy) == {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": sorted(actions), "Resource": "*"}],
    }


def test_a_session_policy_that_sts_would_refuse_is_a_defect() -> None:
    with pytest.raises(ValueError, match="2048"):
        _session_policy(f"ecr:Action{number:03d}" for number in range(200))


def test_entering_and_reading_the_regions_are_what_opening_is(aws: FakeAws) -> None:
    cloud = make_cloud()
    account = cloud.list_accounts().accounts[1]
    cloud.enter(account)
    regions = cloud.regions(account)
    assert aws.statistics().calls["sts:AssumeRole"] == 1
    assert cloud.open_account(account).regions == regions
    assert cloud.caller() == (aws.world.caller.account, aws.world.caller.principal_arn)


def test_why_the_regions_cannot_be_read_is_told_as_it_is(enter: Enter) -> None:
    denied = [{"actions": ["account:ListRegions"]}]
    enter(World.generate(accounts=2, regions=1, denies=denied))
    cloud = make_cloud()
    account = cloud.list_accounts().accounts[1]
    cloud.enter(account)
    with pytest.raises(OperationFailed) as caught:
        cloud.regions(account)
    assert caught.value.reason is Reason.DENIED_BY_SCP
