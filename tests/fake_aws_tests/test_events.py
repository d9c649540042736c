"""What happens behind the clients' backs, and how AWS answers from then on."""

from __future__ import annotations

import email.utils
import http.client
import re
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Deny, Event, Role, World
from tests.fake_aws_tests.support import (
    BUCKET,
    MEMBER,
    TOPIC,
    WORLD,
    assume,
    client,
    member,
    refusal,
)

UNKNOWN = "UnrecognizedClientException"
SANDBOX = "ou-fake-00000006"


def listed(aws: FakeAws) -> dict[str, Any]:
    pages = client(aws, "organizations").get_paginator("list_accounts").paginate()
    return {account["Id"]: account for page in pages for account in page["Accounts"]}


def test_sessions_of_a_deleted_role_are_unknown(aws: FakeAws) -> None:
    keys, other = assume(aws), assume(aws, account=WORLD.accounts[2].id)
    aws.events([Event("delete_role", account=MEMBER)])
    assert refusal(client(aws, "ecr", keys=keys).describe_repositories)[0] == UNKNOWN
    assert refusal(client(aws, "sts", keys=keys).get_caller_identity)[0] == "InvalidClientTokenId"
    assert refusal(lambda: assume(aws))[0] == "AccessDenied"
    assert client(aws, "ecr", keys=other).describe_repositories()["repositories"]
    assert aws.expire_sessions() == 1


def test_another_role_survives(aws: FakeAws) -> None:
    aws.load(World.generate(accounts=4, extra_roles=[Role(name="auditor")]))
    keys = assume(aws, role="auditor")
    aws.events([Event("delete_role", account=MEMBER)])
    assert client(aws, "ecr", keys=keys).describe_repositories()["repositories"]


def test_a_closed_account_is_listed_and_refuses(aws: FakeAws) -> None:
    keys = assume(aws)
    aws.events([Event("close_account", account=MEMBER)])
    assert listed(aws)[MEMBER]["State"] == "CLOSED"
    assert refusal(client(aws, "ecr", keys=keys).describe_repositories)[0] == UNKNOWN
    assert refusal(lambda: assume(aws))[0] == "AccessDenied"


def test_the_callers_own_keys_survive_what_happens_to_its_account(aws: FakeAws) -> None:
    aws.events([Event("close_account", account=WORLD.management_account)])
    assert len(listed(aws)) == 23


def test_a_moved_account_is_elsewhere(aws: FakeAws) -> None:
    aws.events([Event("move_account", account=MEMBER, parent=SANDBOX)])
    assert listed(aws)[MEMBER]["Paths"] == [f"o-fakeorg0001/r-fake/{SANDBOX}/{MEMBER}/"]
    organizations = client(aws, "organizations")
    assert organizations.list_parents(ChildId=MEMBER)["Parents"][0]["Id"] == SANDBOX
    for parent, there in ((SANDBOX, True), (WORLD.accounts[3].parent, False)):
        accounts = organizations.list_accounts_for_parent(ParentId=parent)["Accounts"]
        assert (MEMBER in {account["Id"] for account in accounts}) is there
    assert member(aws).describe_repositories()["repositories"]


def test_an_account_that_left_lives_on_outside(aws: FakeAws) -> None:
    aws.load(World.generate(accounts=23, denies=[Deny(actions=("ecr:*",))]))
    keys = assume(aws)
    assert "service control" in refusal(client(aws, "ecr", keys=keys).describe_repositories)[1]
    aws.events([Event("remove_account", account=MEMBER)])
    assert MEMBER not in listed(aws)
    assert len(listed(aws)) == 22
    organizations = client(aws, "organizations")
    assert refusal(organizations.describe_account, AccountId=MEMBER)[0].startswith("AccountNotF")
    assert refusal(organizations.list_parents, ChildId=MEMBER)[0] == "ChildNotFoundException"
    # Its role still trusts the caller, and the organization's policies no longer bind it.
    assert client(aws, "ecr", keys=keys).describe_repositories()["repositories"]
    assert assume(aws)
    mine = client(aws, "organizations", keys=keys)
    assert refusal(mine.describe_organization)[0] == "AWSOrganizationsNotInUseException"


def test_a_region_is_disabled_in_one_account(aws: FakeAws) -> None:
    keys = assume(aws)
    aws.events([Event("disable_region", account=MEMBER, region="us-east-2")])
    assert refusal(client(aws, "ecr", "us-east-2", keys).describe_repositories)[0] == UNKNOWN
    assert client(aws, "ecr", keys=keys).describe_repositories()["repositories"]
    other = assume(aws, account=WORLD.accounts[2].id)
    assert client(aws, "ecr", "us-east-2", other).describe_repositories()["repositories"]


def test_a_repository_is_deleted(aws: FakeAws) -> None:
    name = aws.repositories(MEMBER, "us-east-1")[0].name
    aws.events([Event("delete_repository", account=MEMBER, region="us-east-1", repository=name)])
    assert name not in {each.name for each in aws.repositories(MEMBER, "us-east-1")}


def test_an_event_waits_for_the_calls_of_its_operation(aws: FakeAws) -> None:
    ecr, other = member(aws), member(aws, account=WORLD.accounts[2].id)
    event = Event("expire_sessions", after=2, operation="DescribeRepositories", caller=MEMBER)
    aws.events([event])
    for _ in range(3):
        other.describe_repositories()
        ecr.describe_pull_through_cache_rules()
    ecr.describe_repositories()
    ecr.describe_repositories()
    assert refusal(ecr.describe_repositories)[0] == "ExpiredTokenException"
    assert refusal(other.describe_repositories)[0] == "ExpiredTokenException"
    again = member(aws)  # once: new sessions are left alone
    for _ in range(4):
        again.describe_repositories()


def test_the_sessions_of_one_account_end(aws: FakeAws) -> None:
    ecr, other = member(aws), member(aws, account=WORLD.accounts[2].id)
    aws.events([Event("expire_sessions", account=MEMBER)])
    assert refusal(ecr.describe_repositories)[0] == "ExpiredTokenException"
    assert other.describe_repositories()["repositories"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1200, r"Signature expired: \w+Z is now earlier than \w+Z \(\w+Z - 15 min\.\)"),
        (-1200, r"Signature not yet current: \w+Z is still later than \w+Z \(\w+Z \+ 15 min\.\)"),
    ],
)
def test_a_wrong_clock_is_worded_as_by_each_service(
    aws: FakeAws, seconds: float, words: str
) -> None:
    keys = assume(aws)
    aws.events([Event("shift_clock", seconds=seconds)])
    for call, code in (
        (client(aws, "ecr", keys=keys).describe_repositories, "InvalidSignatureException"),
        (client(aws, "sts").get_caller_identity, "SignatureDoesNotMatch"),
        (client(aws, "organizations").list_accounts, "InvalidSignatureException"),
    ):
        found, message, _ = refusal(call)
        assert found == code
        assert re.fullmatch(words, message)
    s3 = refusal(client(aws, "s3").get_object, Bucket=BUCKET, Key="k")
    assert (s3[0], s3[2]) == ("RequestTimeTooSkewed", 403)
    assert refusal(client(aws, "sns").publish, TopicArn=TOPIC, Message="m")[0] == (
        "SignatureDoesNotMatch"
    )


@pytest.mark.parametrize("path", ["/", "/_fake/statistics"])
def test_answers_are_dated_by_the_fakes_clock(aws: FakeAws, path: str) -> None:
    aws.events([Event("shift_clock", seconds=-86_400)])
    connection = http.client.HTTPConnection(urlsplit(aws.endpoint).netloc, timeout=10)
    asked = int(time.time())
    connection.request("GET", path)
    date = connection.getresponse().getheader("Date")
    connection.close()
    assert date
    then = email.utils.parsedate_to_datetime(date).timestamp()
    assert asked - 86_400 <= then <= time.time() - 86_400
    aws.load(WORLD)  # a new world has the right time
    assert client(aws, "sts").get_caller_identity()


def test_every_secret_is_known(aws: FakeAws) -> None:
    keys = assume(aws)
    aws.events([Event("delete_role", account=MEMBER)])
    assert set(aws.secrets()) == {
        WORLD.caller.secret_access_key,
        keys["aws_secret_access_key"],
        keys["aws_session_token"],
    }


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"action": "explode"}, r"events\[0\].action: 'explode' is not allowed; allowed: delete_r"),
        ({"action": "delete_role"}, r"events\[0\].account: delete_role needs it"),
        (
            {"action": "delete_role", "account": "1" * 12},
            r"events\[0\].account: '1{12}' is not in this world",
        ),
        (
            {"action": "delete_role", "account": MEMBER, "region": "us-east-1"},
            r"events\[0\].region: delete_role needs none",
        ),
        (
            {"action": "move_account", "account": MEMBER, "parent": "ou-none"},
            r"events\[0\].parent: 'ou-none' is not in this world",
        ),
        (
            {"action": "disable_region", "account": MEMBER, "region": "mars-1"},
            r"events\[0\].region: 'mars-1' is not in this world",
        ),
        ({"action": "shift_clock"}, r"events\[0\].seconds: shift_clock needs it"),
        ({"action": "expire_sessions", "after": -1}, r"events\[0\].after: 0 or more"),
    ],
)
def test_an_event_that_cannot_happen_is_refused(
    aws: FakeAws, event: dict[str, Any], words: str
) -> None:
    with pytest.raises(RuntimeError, match=words):
        aws.events([event])
