"""The fake AWS itself, through real clients: it must refuse what AWS refuses."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from tests.fake_aws.load import WorldError
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import (
    Account,
    Deny,
    Fault,
    Image,
    PullThroughRule,
    Registry,
    Repository,
    Role,
    World,
)
from tests.fake_aws_tests.support import (
    BUCKET,
    MEMBER,
    READ_ONLY,
    ROLE,
    TOPIC,
    WORLD,
    assume,
    client,
    member,
    refusal,
    send,
    signed,
)

# The world


def test_a_world_survives_json() -> None:
    world = World.generate(
        accounts=12, hostile_names=True, denies=[{"actions": ["ecr:*"]}], role=Role(external_id="x")
    )
    assert World.from_json(json.loads(json.dumps(world.to_json()))) == world
    assert any(account.id.startswith("0") for account in world.accounts)
    assert any("<script>" in account.name for account in world.accounts)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": 1}, "world.colour: unknown key; allowed: caller, accounts"),
        (
            {"partition": "azure"},
            "world.partition: 'azure' is not allowed; allowed: aws, aws-cn, aws-us-gov",
        ),
        ({"latency": "slow"}, "world.latency: a value of type float is expected, not 'slow'"),
        ({"accounts": {}}, "world.accounts: a list is expected"),
        ({"regions": []}, "world.regions: an object is expected"),
        ({"role": []}, "world.role: an object is expected"),
        ({"faults": [{"times": 1}]}, "world.faults[0].action: this key is required"),
        ({"accounts": [{"id": "12"}]}, "world.accounts[0].id: 12 digits"),
        ({"accounts": [{"id": "1" * 12, "parent": "ou-none"}]}, "neither the root nor a unit"),
        ({"accounts": [{"id": "1" * 12}] * 2}, "world.accounts: every id may occur only once"),
        (
            {"accounts": [{"id": "1" * 12, "regions": {"mars-1": "ENABLED"}}]},
            "not in world.regions: ['mars-1']",
        ),
        ({"list_accounts_page_size": 21}, "world.list_accounts_page_size: 1 to 20"),
        ({"caller_mode": "delegated"}, "caller_mode delegated needs one of []"),
    ],
)
def test_a_wrong_world_is_refused_by_key(change: dict[str, Any], words: str) -> None:
    with pytest.raises(WorldError) as caught:
        World.from_json({**WORLD.to_json(), **change})
    assert words in str(caught.value)


def test_the_command_refuses_a_wrong_file(tmp_path: Path) -> None:
    file = tmp_path / "world.json"
    file.write_text(json.dumps({**WORLD.to_json(), "colour": 1}))
    command = [sys.executable, "-m", "tests.fake_aws", "--world", str(file)]
    root = Path(__file__).parents[2]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "world.colour: unknown key" in ended.stderr


def test_generated_repositories_have_the_known_share(aws: FakeAws) -> None:
    everything = aws.repositories()
    assert len(everything) == 23 * 4 * 5
    open_ones = [each for each in everything if each.mutability.startswith("MUTABLE")]
    assert len(open_ones) == 23 * 4 * 2
    assert len(Counter(each.mutability for each in everything)) == 4
    assert all(
        bool(each.exclusion_filters) == each.mutability.endswith("EXCLUSION") for each in everything
    )
    names = {(each.account, each.region, each.name) for each in everything}
    assert len(names) == len(everything)
    assert any("/" in each.name for each in everything)


# Organizations


@pytest.mark.parametrize("empty_pages", [False, True])
def test_accounts_come_in_pages_of_twenty(aws: FakeAws, empty_pages: bool) -> None:
    aws.load(World.generate(accounts=23, empty_pages=empty_pages))
    pages = list(client(aws, "organizations").get_paginator("list_accounts").paginate())
    assert [len(page["Accounts"]) for page in pages] == ([0, 20, 0, 3] if empty_pages else [20, 3])
    assert [account["Id"] for page in pages for account in page["Accounts"]] == [
        each.id for each in WORLD.accounts
    ]
    assert aws.statistics().pages == {"organizations:ListAccounts": len(pages)}


def test_state_and_paths_can_be_absent(aws: FakeAws) -> None:
    new = client(aws, "organizations").list_accounts()["Accounts"][5]
    assert new["State"] == "ACTIVE"
    assert "Status" not in new
    assert new["Paths"] == [
        f"o-fakeorg0001/r-fake/ou-fake-00000002/ou-fake-00000003/ou-fake-00000005/{new['Id']}/"
    ]
    aws.load(World.generate(accounts=2, give_state=False, give_paths=False))
    old = client(aws, "organizations").list_accounts()["Accounts"][0]
    assert old["Status"] == "ACTIVE"
    assert not {"State", "Paths"} & set(old)


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("management", None),
        ("delegated", None),
        ("not_allowed", "AccessDeniedException"),
        ("not_in_organization", "AWSOrganizationsNotInUseException"),
    ],
)
def test_who_may_list_accounts(aws: FakeAws, mode: str, code: str | None) -> None:
    aws.load(World.generate(accounts=3, caller_mode=mode))
    organizations = client(aws, "organizations")
    if code is None:
        assert len(organizations.list_accounts()["Accounts"]) == 3
    else:
        assert refusal(organizations.list_accounts)[0] == code


# Who is calling


def test_refused_keys_are_counted(aws: FakeAws) -> None:
    keys = {"aws_access_key_id": WORLD.caller.access_key_id, "aws_secret_access_key": "wrong"}
    regions = client(aws, "ec2", keys=keys).describe_regions
    assert refusal(regions)[0] == "SignatureDoesNotMatch"
    unknown = {"aws_access_key_id": "AKIANOBODY0000000000", "aws_secret_access_key": "x"}
    assert refusal(client(aws, "ec2", keys=unknown).describe_regions)[0] == "AuthFailure"
    statistics = aws.statistics()
    assert (statistics.bad_signatures, statistics.unknown_keys) == (1, 1)


def test_the_session_token_must_be_the_sessions(aws: FakeAws) -> None:
    keys = assume(aws) | {"aws_session_token": "another"}
    assert (
        refusal(client(aws, "ecr", keys=keys).describe_repositories)[0]
        == "UnrecognizedClientException"
    )


@pytest.mark.parametrize(
    ("name", "operation", "code"),
    [
        ("ecr", "describe_repositories", "ExpiredTokenException"),
        ("account", "list_regions", "ExpiredTokenException"),
        ("sts", "get_caller_identity", "ExpiredToken"),
    ],
)
def test_a_session_born_expired_is_refused(
    aws: FakeAws, name: str, operation: str, code: str
) -> None:
    aws.load(World.generate(accounts=4, role=Role(session_seconds=0)))
    assert refusal(getattr(member(aws, name), operation))[0] == code
    assert aws.statistics().expired == 1


def test_sessions_can_be_ended_at_run_time(aws: FakeAws) -> None:
    ecr = member(aws)
    assert ecr.describe_repositories()["repositories"]
    assert aws.expire_sessions() == 1
    assert refusal(ecr.describe_repositories)[0] == "ExpiredTokenException"
    assert member(aws).describe_repositories()["repositories"]


@pytest.mark.parametrize(
    ("name", "operation"), [("organizations", "list_accounts"), ("account", "list_regions")]
)
def test_global_services_are_signed_for_their_region(
    aws: FakeAws, name: str, operation: str
) -> None:
    code, message, _ = refusal(getattr(client(aws, name, "us-east-2"), operation))
    assert (code, "us-east-1" in message) == ("InvalidSignatureException", True)
    assert aws.statistics().bad_scopes == 1
    aws.load(World.generate(accounts=2, strict_global_region=False))
    getattr(client(aws, name, "us-east-2"), operation)()


def test_another_services_scope_is_refused(aws: FakeAws) -> None:
    headers = {
        "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories",
        "Content-Type": "application/x-amz-json-1.1",
    }
    wrong = signed(aws, "organizations", "us-east-1", "/", b"{}", headers)
    status, body = send(aws, "POST", "/", b"{}", wrong)
    assert (status, json.loads(body)["__type"]) == (400, "InvalidSignatureException")
    assert aws.statistics().bad_scopes == 1
    right = signed(aws, "ecr", "us-east-1", "/", b"{}", headers)
    assert send(aws, "POST", "/", b"{}", right)[0] == 200
    tampered = send(aws, "POST", "/", b'{"maxResults": 1}', right)
    assert json.loads(tampered[1])["__type"] == "InvalidSignatureException"
    unsigned = send(aws, "POST", "/", b"{}", headers)
    assert json.loads(unsigned[1])["__type"] == "MissingAuthenticationTokenException"
    old = right | {"X-Amz-Date": "20200101T000000Z"}
    assert (
        json.loads(send(aws, "POST", "/", b"{}", old)[1])["__type"] == "InvalidSignatureException"
    )


def test_an_unknown_operation_is_an_honest_error(aws: FakeAws) -> None:
    assert refusal(client(aws, "ecr").describe_registry)[0] == "UnknownOperationException"
    assert refusal(client(aws, "sts").get_session_token)[0] == "InvalidAction"
    assert refusal(client(aws, "iam").list_roles)[0] == "InvalidAction"
    assert refusal(client(aws, "s3").list_buckets)[0] == "NotImplemented"
    assert aws.statistics().unknown_operations == 4


# Roles


@pytest.mark.parametrize(
    ("role", "state"),
    [
        (Role(exists=False), "ACTIVE"),
        (Role(name="another"), "ACTIVE"),
        (Role(path="/teams/"), "ACTIVE"),
        (Role(), "SUSPENDED"),
        (Role(), "PENDING_CLOSURE"),
    ],
)
def test_a_role_that_cannot_be_assumed(aws: FakeAws, role: Role, state: str) -> None:
    accounts = [*WORLD.accounts[:3], {"id": MEMBER, "state": state}]
    aws.load(World.from_json({**WORLD.to_json(), "accounts": accounts, "role": role}))
    code, message, status = refusal(lambda: assume(aws))
    assert (code, status) == ("AccessDenied", 403)
    assert message == (
        f"User: {WORLD.caller.principal_arn} is not authorized to perform: sts:AssumeRole on "
        "resource: "
        f"arn:aws:iam::{MEMBER}:role/{ROLE}"
    )


def test_path_and_external_id_are_honoured(aws: FakeAws) -> None:
    aws.load(World.generate(accounts=4, role={"path": "/teams/", "external_id": "a-secret"}))
    assert assume(aws, role=f"teams/{ROLE}", ExternalId="a-secret")
    assert (
        refusal(lambda: assume(aws, role=f"teams/{ROLE}", ExternalId="wrong"))[0] == "AccessDenied"
    )
    first, second = aws.statistics().assume_role
    assert (first["account"], first["external_id"], first["accepted"]) == (MEMBER, "a-secret", True)
    assert not second["accepted"]


def test_a_chained_session_lasts_an_hour_at_most(aws: FakeAws) -> None:
    account = WORLD.management_account
    chained = {
        "account": account,
        "principal_arn": f"arn:aws:sts::{account}:assumed-role/central/x",
        "session_token": "t",
    }
    aws.load(World.generate(accounts=4, caller=chained, role=Role(session_seconds=43200)))
    assert assume(aws, DurationSeconds=3600)
    code, message, _ = refusal(lambda: assume(aws, DurationSeconds=3601))
    assert (code, "role chaining" in message) == ("ValidationError", True)


# Regions and policies


def test_regions_and_their_states(aws: FakeAws) -> None:
    changed = Account(id=MEMBER, regions={"us-east-2": "DISABLING", "af-south-1": "ENABLED"})
    aws.load(World.from_json({**WORLD.to_json(), "accounts": [*WORLD.accounts[:3], changed]}))
    account = member(aws, "account")
    states = {
        each["RegionName"]: each["RegionOptStatus"] for each in account.list_regions()["Regions"]
    }
    assert (states["us-east-1"], states["us-east-2"]) == ("ENABLED_BY_DEFAULT", "DISABLING")
    assert (states["af-south-1"], states["ap-east-1"]) == ("ENABLED", "DISABLED")
    pages = account.get_paginator("list_regions").paginate(
        RegionOptStatusContains=["ENABLED", "ENABLED_BY_DEFAULT"], PaginationConfig={"PageSize": 2}
    )
    assert [len(page["Regions"]) for page in pages] == [2, 2]
    assert (
        refusal(member(aws, region="us-east-2").describe_repositories)[0]
        == "UnrecognizedClientException"
    )
    assert member(aws, region="af-south-1").describe_repositories()["repositories"]
    assert refusal(account.list_regions, AccountId=MEMBER)[0] == "AccessDeniedException"
    other = {each["RegionName"] for each in client(aws, "ec2").describe_regions()["Regions"]}
    assert other == {"us-east-1", "us-east-2", "us-west-1", "us-west-2"}


def test_a_session_policy_limits_resources_and_can_deny(aws: FakeAws) -> None:
    statements = [
        {
            "Effect": "Allow",
            "Action": "ecr:*",
            "Resource": f"arn:aws:ecr:us-east-1:{MEMBER}:repository/*",
        },
        {"Effect": "Deny", "Action": "ecr:Put*", "Resource": "*"},
    ]
    keys = assume(aws, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    ecr = client(aws, "ecr", keys=keys)
    assert ecr.describe_repositories()["repositories"]
    elsewhere = client(aws, "ecr", "us-west-1", keys)
    assert "no session policy allows" in refusal(elsewhere.describe_repositories)[1]
    put = {"repositoryName": "x1", "imageTagMutability": "IMMUTABLE"}
    assert (
        "with an explicit deny in a session policy"
        in refusal(ecr.put_image_tag_mutability, **put)[1]
    )


@pytest.mark.parametrize(
    ("deny", "words"),
    [
        (Deny(), "with an explicit deny in a service control policy"),
        (Deny(kind="rcp"), "with an explicit deny in a resource control policy"),
        (Deny(kind="permissions_boundary"), "with an explicit deny in a permissions boundary"),
        (Deny(kind="identity_policy"), "with an explicit deny in an identity-based policy"),
        (
            Deny(implicit=True),
            "because no service control policy allows the ecr:DescribeRepositories action",
        ),
    ],
)
def test_denies_from_above(aws: FakeAws, deny: Deny, words: str) -> None:
    narrow = {
        "actions": ("ecr:*",),
        "except_actions": ("ecr:DescribePull*",),
        "except_regions": ("us-west-1",),
    }
    aws.load(
        World.generate(
            accounts=4, denies=(type(deny)(**narrow, kind=deny.kind, implicit=deny.implicit),)
        )
    )
    keys = assume(aws)
    ecr = client(aws, "ecr", keys=keys)
    assert refusal(ecr.describe_repositories)[1].endswith(words)
    assert ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"] == []
    assert client(aws, "ecr", "us-west-1", keys).describe_repositories()["repositories"]


def test_organization_policies_do_not_bind_the_management_account(aws: FakeAws) -> None:
    aws.load(
        World.generate(
            accounts=4, denies=(Deny(), Deny(kind="rcp", accounts=(WORLD.management_account,)))
        )
    )
    assert member(aws, account=WORLD.management_account).describe_repositories()["repositories"]
    assert "service control policy" in refusal(member(aws).describe_repositories)[1]


# ECR


def test_repositories_come_in_pages(aws: FakeAws) -> None:
    aws.load(World.generate(accounts=4, registries=[Registry(region="us-west-2", count=2500)]))
    ecr = member(aws, region="us-west-2")
    sizes = [
        len(page["repositories"])
        for page in ecr.get_paginator("describe_repositories").paginate(
            PaginationConfig={"PageSize": 1000}
        )
    ]
    assert sizes == [1000, 1000, 500]
    assert len(ecr.describe_repositories()["repositories"]) == 100
    token = ecr.describe_repositories(maxResults=1)["nextToken"]
    another = member(aws, account=WORLD.accounts[2].id, region="us-west-2")
    assert refusal(another.describe_repositories, nextToken=token)[0] == "InvalidParameterException"


def test_explicit_repositories_and_rules(aws: FakeAws) -> None:
    registry = Registry(
        account=MEMBER,
        repositories=(Repository("a/b", "MUTABLE_WITH_EXCLUSION", ("latest",)),),
        pull_through_rules=(PullThroughRule("docker-hub", "registry-1.docker.io"),),
    )
    aws.load(World.generate(accounts=4, registries=[registry]))
    ecr = member(aws)
    (found,) = ecr.describe_repositories(repositoryNames=["a/b"])["repositories"]
    assert found["repositoryArn"] == f"arn:aws:ecr:us-east-1:{MEMBER}:repository/a/b"
    assert found["imageTagMutabilityExclusionFilters"] == [
        {"filterType": "WILDCARD", "filter": "latest"}
    ]
    (rule,) = ecr.describe_pull_through_cache_rules(ecrRepositoryPrefixes=["docker-hub"])[
        "pullThroughCacheRules"
    ]
    assert (rule["ecrRepositoryPrefix"], rule["upstreamRegistryUrl"]) == (
        "docker-hub",
        "registry-1.docker.io",
    )
    absent = refusal(ecr.describe_pull_through_cache_rules, ecrRepositoryPrefixes=["quay"])
    assert absent[0] == "PullThroughCacheRuleNotFoundException"
    aws.put_repository(MEMBER, "us-east-1", Repository("new"))
    assert len(ecr.describe_repositories()["repositories"]) == 2
    assert aws.delete_repository(MEMBER, "us-east-1", "new")
    assert len(aws.repositories(MEMBER, "us-east-1")) == 1


def _with_images(*images: Image, **setting: Any) -> World:
    repository = Repository("app", images=images, **setting)
    registry = Registry(account=WORLD.caller.account, repositories=(repository,))
    return dataclasses.replace(WORLD, registries=(registry,))


def test_images_come_in_pages(aws: FakeAws) -> None:
    images = [Image(f"sha256:{number:064x}", (f"1.{number}",)) for number in range(2500)]
    aws.load(_with_images(*images, Image("sha256:untagged")))
    ecr = client(aws, "ecr")
    pages = ecr.get_paginator("describe_images").paginate(
        repositoryName="app", PaginationConfig={"PageSize": 1000}
    )
    found = [page["imageDetails"] for page in pages]
    assert [len(page) for page in found] == [1000, 1000, 501]
    assert len(ecr.describe_images(repositoryName="app")["imageDetails"]) == 100
    first, last = found[0][0], found[-1][-1]
    assert (first["imageTags"], first["repositoryName"]) == (["1.0"], "app")
    assert first["imagePushedAt"].timestamp() == 1_750_000_000
    assert "imageTags" not in last


@pytest.mark.parametrize(
    ("mutability", "filters", "moves"),
    [
        ("MUTABLE", (), {"latest": True, "pr-1": True, "1.0": True}),
        ("IMMUTABLE", (), {"latest": False, "pr-1": False, "1.0": False}),
        (
            "IMMUTABLE_WITH_EXCLUSION",
            ("latest", "pr-*"),
            {"latest": True, "latest2": False, "pr-1": True, "a-pr-1": False, "1.0": False},
        ),
        ("MUTABLE_WITH_EXCLUSION", ("*.0",), {"latest": True, "1.0": False}),
    ],
)
def test_a_push_moves_a_tag_where_the_setting_lets_it(
    aws: FakeAws, mutability: str, filters: tuple[str, ...], moves: dict[str, bool]
) -> None:
    images = [Image(f"sha256:{tag}", (tag,)) for tag in moves]
    aws.load(_with_images(*images, mutability=mutability, exclusion_filters=filters))
    ecr = client(aws, "ecr")
    for tag, moved in moves.items():
        push = {"repositoryName": "app", "imageManifest": f"new {tag}", "imageTag": tag}
        if moved:
            digest = ecr.put_image(**push)["image"]["imageId"]["imageDigest"]
            found = ecr.describe_images(repositoryName="app")["imageDetails"]
            tags = {each["imageDigest"]: each.get("imageTags") for each in found}
            assert (tags[digest], tags[f"sha256:{tag}"]) == ([tag], None)
            assert refusal(ecr.put_image, **push)[0] == "ImageAlreadyExistsException"
        else:
            assert refusal(ecr.put_image, **push)[0] == "ImageTagAlreadyExistsException"
    # What is new is no overwriting.
    ecr.put_image(repositoryName="app", imageManifest="other", imageTag="other")
    ecr.put_image(repositoryName="app", imageManifest="untagged")


def test_a_setting_that_is_written_leaves_the_images(aws: FakeAws) -> None:
    aws.load(_with_images(Image("sha256:1", ("latest",))))
    ecr = client(aws, "ecr")
    ecr.put_image_tag_mutability(repositoryName="app", imageTagMutability="IMMUTABLE")
    assert len(ecr.describe_images(repositoryName="app")["imageDetails"]) == 1


def test_a_write_changes_exactly_one_repository(aws: FakeAws) -> None:
    before = aws.repositories()
    target = next(
        each for each in before if each.account == MEMBER and each.mutability == "MUTABLE"
    )
    filters = [{"filterType": "WILDCARD", "filter": "sha256-*"}]
    answer = member(aws, region=target.region).put_image_tag_mutability(
        repositoryName=target.name,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters,
    )
    assert answer["imageTagMutabilityExclusionFilters"] == filters
    changed = set(aws.repositories()) - set(before)
    assert [(each.name, each.mutability, each.exclusion_filters) for each in changed] == [
        (target.name, "IMMUTABLE_WITH_EXCLUSION", ("sha256-*",))
    ]
    assert aws.statistics().writes == [
        {
            "account": MEMBER,
            "region": target.region,
            "repository": target.name,
            "mutability": "IMMUTABLE_WITH_EXCLUSION",
            "filters": filters,
            "accepted": True,
            "fault": None,
        }
    ]


# S3 and SNS


def test_without_list_bucket_a_missing_key_is_denied(aws: FakeAws) -> None:
    account = WORLD.management_account
    caller = {
        "account": account,
        "principal_arn": "arn:aws:iam::1:user/x",
        "actions": ["s3:GetObject"],
    }
    aws.load(World.generate(accounts=2, caller=caller))
    assert refusal(client(aws, "s3").get_object, Bucket=BUCKET, Key="none")[::2] == (
        "AccessDenied",
        403,
    )


def test_an_aws_chunked_body_is_decoded(aws: FakeAws) -> None:
    body = b"5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"
    headers = {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "Content-Encoding": "aws-chunked",
        "x-amz-trailer": "x-amz-checksum-crc32",
        "x-amz-decoded-content-length": "11",
    }
    path = f"/{BUCKET}/chunked"
    assert (
        send(
            aws,
            "PUT",
            path,
            body,
            signed(aws, "s3", "us-east-1", path, body, headers, method="PUT"),
        )[0]
        == 200
    )
    (stored,) = aws.objects()
    assert stored.body == b"hello world"
    assert stored.headers["x-amz-checksum-crc32"] == "DUoRhQ=="
    assert "content-encoding" not in stored.headers


def test_a_message_is_kept(aws: FakeAws) -> None:
    attributes = {"severity": {"DataType": "String", "StringValue": "high"}}
    client(aws, "sns").publish(
        TopicArn=TOPIC, Subject="3 open", Message="hé & <b>", MessageAttributes=attributes
    )
    (message,) = aws.messages()
    assert (message["subject"], message["message"], message["attributes"]) == (
        "3 open",
        "hé & <b>",
        attributes,
    )


def test_each_protocol_has_its_message(aws: FakeAws) -> None:
    texts = {"default": "for people", "sqs": "{}"}
    client(aws, "sns").publish(TopicArn=TOPIC, Message=json.dumps(texts), MessageStructure="json")
    (message,) = aws.messages()
    assert (message["message"], message["by_protocol"]) == ("for people", texts)


# Security Hub


HUB_WORLD = dataclasses.replace(WORLD, security_hub_regions=("us-east-1",))
CENTRAL = WORLD.caller.account


def _asff(identifier: str = "one", **changes: Any) -> dict[str, Any]:
    finding = {
        "SchemaVersion": "2018-10-08",
        "Id": identifier,
        "ProductArn": f"arn:aws:securityhub:us-east-1:{CENTRAL}:product/{CENTRAL}/default",
        "GeneratorId": "check",
        "AwsAccountId": CENTRAL,
        "CreatedAt": "2026-11-24T01:00:00Z",
        "UpdatedAt": "2026-11-24T01:00:00Z",
        "Title": "title",
        "Description": "description",
        "Resources": [{"Type": "Other", "Id": "thing"}],
        "FindingProviderFields": {"Severity": {"Label": "LOW"}},
    }
    return {**finding, **changes}


def test_findings_that_are_not_valid_are_listed_and_the_others_kept(aws: FakeAws) -> None:
    aws.load(HUB_WORLD)
    hub = client(aws, "securityhub", parameter_validation=False)
    answer = hub.batch_import_findings(Findings=[_asff(), _asff("two", Title="x" * 257)])
    assert (answer["SuccessCount"], answer["FailedCount"]) == (1, 1)
    [failed] = answer["FailedFindings"]
    assert (failed["Id"], failed["ErrorCode"]) == ("two", "InvalidInput")
    assert "257 characters" in failed["ErrorMessage"]
    assert [each["Id"] for each in aws.findings()] == ["one"]


def test_an_import_changes_what_is_older_and_never_whose_it_is(aws: FakeAws) -> None:
    aws.load(HUB_WORLD)
    hub = client(aws, "securityhub")
    later = "2026-11-25T01:00:00Z"
    hub.batch_import_findings(Findings=[_asff(Workflow={"Status": "NOTIFIED"})])
    hub.batch_import_findings(Findings=[_asff(Title="same age")])
    [kept] = aws.findings()
    assert kept["Title"] == "title"
    hub.batch_import_findings(
        Findings=[_asff(Title="newer", UpdatedAt=later, Workflow={"Status": "RESOLVED"})]
    )
    [kept] = aws.findings()
    assert (kept["Title"], kept["Workflow"]) == ("newer", {"Status": "NOTIFIED"})


# Faults and statistics


@pytest.mark.parametrize(
    ("name", "operation", "parameters", "code", "status"),
    [
        ("ecr", "describe_repositories", {}, "ThrottlingException", 400),
        ("organizations", "list_accounts", {}, "TooManyRequestsException", 400),
        ("account", "list_regions", {}, "TooManyRequestsException", 429),
        ("sts", "get_caller_identity", {}, "Throttling", 400),
        ("sns", "publish", {"TopicArn": TOPIC, "Message": "x"}, "Throttling", 400),
        (
            "securityhub",
            "batch_import_findings",
            {"Findings": [_asff()]},
            "LimitExceededException",
            429,
        ),
        ("s3", "get_object", {"Bucket": BUCKET, "Key": "k"}, "SlowDown", 503),
    ],
)
def test_throttling_is_worded_as_by_each_service(  # noqa: PLR0917
    aws: FakeAws, name: str, operation: str, parameters: dict[str, Any], code: str, status: int
) -> None:
    aws.faults([Fault("throttle")])
    assert refusal(getattr(client(aws, name), operation), **parameters)[::2] == (code, status)


def test_a_throttled_client_recovers(aws: FakeAws) -> None:
    keys = assume(aws)
    aws.faults([{"action": "throttle", "service": "ecr", "account": MEMBER, "times": 1}])
    ecr = client(aws, "ecr", keys=keys, retries={"total_max_attempts": 2, "mode": "standard"})
    assert ecr.describe_repositories()["repositories"]
    statistics = aws.statistics()
    assert statistics.calls["ecr:DescribeRepositories"] == 2
    assert (statistics.faults, statistics.errors) == ({"throttle": 1}, {"ThrottlingException": 1})


def test_faults_can_skip_calls_and_choose_a_page(aws: FakeAws) -> None:
    ecr = member(aws)
    aws.faults(
        [
            Fault(
                "server_error",
                operation="DescribeRepositories",
                region="us-east-*",
                skip=1,
                times=1,
            )
        ]
    )
    ecr.describe_repositories()
    assert refusal(ecr.describe_repositories)[::2] == ("ServerException", 500)
    ecr.describe_repositories()
    aws.faults([Fault("access_denied", only_page=2, message="no more")])
    token = ecr.describe_repositories(maxResults=1)["nextToken"]
    assert refusal(ecr.describe_repositories, nextToken=token)[:2] == (
        "AccessDeniedException",
        "no more",
    )


def test_an_assume_role_fault_is_the_targets(aws: FakeAws) -> None:
    aws.faults(
        [
            Fault(
                "error",
                operation="AssumeRole",
                account=MEMBER,
                code="Strange",
                status=418,
                message="m",
            )
        ]
    )
    assert refusal(lambda: assume(aws)) == ("Strange", "m", 418)
    assert assume(aws, account=WORLD.accounts[2].id)


def test_broken_answers(aws: FakeAws) -> None:
    keys = assume(aws)
    ecr = client(aws, "ecr", keys=keys)
    aws.faults([Fault("reset")])
    with pytest.raises(ConnectionClosedError):
        ecr.describe_repositories()
    aws.faults([Fault("hang", seconds=30)])
    with pytest.raises(ReadTimeoutError):
        client(aws, "ecr", keys=keys, read_timeout=0.2).describe_repositories()
    aws.faults([Fault("garbage")])
    with pytest.raises(ResponseParserError):
        client(aws, "sts").get_caller_identity()
    for action in ("garbage", "empty"):
        # botocore's JSON parser takes both for an answer without members.
        aws.faults([{"action": action}])
        assert "repositories" not in ecr.describe_repositories()
    aws.faults([])
    assert ecr.describe_repositories()["repositories"]


def test_statistics(aws: FakeAws) -> None:
    aws.reset_statistics()
    keys = assume(aws, Policy=READ_ONLY, DurationSeconds=900)
    ecr = client(aws, "ecr", keys=keys, user_agent="a-client/1")
    for _ in range(3):
        ecr.describe_repositories()
    statistics = aws.statistics()
    assert statistics.total_calls == 4
    assert statistics.calls == {"ecr:DescribeRepositories": 3, "sts:AssumeRole": 1}
    assert statistics.calls_by_account == {MEMBER: 4}
    assert set(statistics.spans) == {f"sts:{MEMBER}", f"ecr:{MEMBER}"}
    (begun, opened), (first, last) = (statistics.spans[f"{of}:{MEMBER}"] for of in ("sts", "ecr"))
    assert begun == 0
    assert opened <= first < last
    assert statistics.assume_roles == {MEMBER: 1}
    (assumed,) = statistics.assume_role
    assert (assumed["session_name"], assumed["duration_seconds"]) == ("a-test", "900")
    assert (assumed["policy"], assumed["external_id_given"]) == (READ_ONLY, False)
    assert statistics.connections == 2
    assert (statistics.in_flight, statistics.max_in_flight) == (0, 1)
    assert any(each.startswith("a-client/1") for each in statistics.user_agents)
    assert statistics.refused == []
    refusal(ecr.put_image_tag_mutability, repositoryName="x1", imageTagMutability="IMMUTABLE")
    (refused,) = aws.statistics().refused
    assert (refused["operation"], refused["account"]) == ("ecr:PutImageTagMutability", MEMBER)
    aws.reset_statistics()
    assert aws.statistics().total_calls == 0


def test_latency_is_counted_as_flight(aws: FakeAws) -> None:
    aws.load(World.generate(accounts=2, latency=30.0, service_latency={"sts": 0.0}))
    with pytest.raises(ReadTimeoutError):
        client(aws, "organizations", read_timeout=0.2).list_accounts()
    assert assume(aws, account=aws.world.accounts[1].id)


@pytest.mark.parametrize("partition", ["aws-cn", "aws-us-gov"])
def test_other_partitions(aws: FakeAws, partition: str) -> None:
    aws.load(World.generate(accounts=4, partition=partition))
    region = aws.environment["AWS_REGION"]
    (account, *_) = client(aws, "organizations", region).list_accounts()["Accounts"]
    assert account["Arn"].startswith(f"arn:{partition}:organizations::")
    assert (
        len(
            client(aws, "account", region, assume(aws, sts_region=region)).list_regions()["Regions"]
        )
        == 2
    )


def test_a_wrong_control_request_says_why(aws: FakeAws) -> None:
    with pytest.raises(
        RuntimeError, match=r"faults\[0\].action: 'explode' is not allowed; allowed: throttle"
    ):
        aws.faults([{"action": "explode"}])
