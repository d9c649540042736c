"""What the fake answers to questions that change nothing, as AWS does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Deny, Key, World
from tests.fake_aws_tests.support import BUCKET, WORLD, client, refusal

CENTRAL = WORLD.caller.account
KEY = f"arn:aws:kms:us-east-1:{CENTRAL}:key/one"
ETAG = '"00000000000000000000000000000000"'


def _world(**changes: Any) -> World:
    return World.generate(accounts=3, regions=1, **changes)


def _denied(*actions: str) -> Deny:
    return Deny(accounts=(CENTRAL,), actions=actions, kind="identity_policy", implicit=True)


@pytest.mark.parametrize("mode", ["management", "delegated"])
def test_administrators_are_listed_for_administrators(aws: FakeAws, mode: str) -> None:
    world = _world(caller_mode=mode)
    aws.load(world)
    answer = client(aws, "organizations").list_delegated_administrators()
    listed = tuple(each["Id"] for each in answer["DelegatedAdministrators"])
    assert listed == world.delegated_administrators


def test_administrators_are_not_listed_for_others(aws: FakeAws) -> None:
    aws.load(_world(caller_mode="not_allowed"))
    operation = client(aws, "organizations").list_delegated_administrators
    assert refusal(operation)[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("key", "denied", "code"),
    [
        (Key(KEY, enabled=False), (), "DisabledException"),
        (Key(KEY, via_service=True), (), "AccessDeniedException"),
        (Key(KEY), ("kms:*",), "AccessDeniedException"),
    ],
)
def test_a_dry_run_of_a_key_is_always_an_error(
    aws: FakeAws, key: Key, denied: tuple[str, ...], code: str
) -> None:
    aws.load(_world(keys=(key,), denies=(_denied(*denied),) if denied else ()))
    generate = client(aws, "kms").generate_data_key
    assert refusal(generate, KeyId=KEY, KeySpec="AES_256", DryRun=True)[0] == code


def test_no_key_is_given_out(aws: FakeAws) -> None:
    aws.load(_world(keys=(Key(KEY),)))
    generate = client(aws, "kms").generate_data_key
    assert refusal(generate, KeyId=KEY, KeySpec="AES_256")[0] == "ValidationException"


@pytest.mark.parametrize(
    ("key", "denied", "code"),
    [
        (Key(KEY), (), "NoSuchKey"),
        (Key(KEY, via_service=True), (), "NoSuchKey"),
        (Key(KEY, enabled=False), (), "KMS.DisabledException"),
        (Key(f"{KEY}-and-a-half"), (), "KMS.NotFoundException"),
        (Key(KEY), ("kms:*",), "AccessDenied"),
        (Key(KEY), ("s3:PutObject",), "AccessDenied"),
        (Key(KEY), ("s3:GetObject",), "AccessDenied"),
    ],
)
def test_a_write_on_a_condition_that_cannot_hold_stores_nothing(
    aws: FakeAws, key: Key, denied: tuple[str, ...], code: str
) -> None:
    aws.load(_world(keys=(key,), denies=(_denied(*denied),) if denied else ()))
    put = client(aws, "s3").put_object
    encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY}
    assert refusal(put, Bucket=BUCKET, Key="k", Body=b"", IfMatch=ETAG, **encrypted)[0] == code
    assert aws.objects() == []
