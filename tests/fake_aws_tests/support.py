"""Real clients of the fake AWS, and how they are refused."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import World

ROLE = "ecr-immutability-sweeper"
READ_ONLY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["ecr:Describe*", "account:ListRegions"], "Resource": "*"}
        ],
    }
)
WORLD = World.generate(accounts=23, regions=4, repositories_per_target=5)
MEMBER = WORLD.accounts[3].id
TOPIC = WORLD.topics[0]
BUCKET = WORLD.buckets[0].name
SESSION: Any = boto3.Session()  # one loader for all clients: the models are read once


def client(
    aws: FakeAws,
    name: str,
    region: str = "us-east-1",
    keys: Mapping[str, str] | None = None,
    **config: Any,
) -> Any:
    """Give a real client that does not retry unless `config` says so."""
    caller = aws.world.caller
    central = {
        "aws_access_key_id": caller.access_key_id,
        "aws_secret_access_key": caller.secret_access_key,
        "aws_session_token": caller.session_token,
    }
    settings = {"retries": {"total_max_attempts": 1}, **config}
    return SESSION.client(
        name,
        region_name=region,
        endpoint_url=aws.endpoint,
        config=Config(**settings),
        **(keys or central),
    )


def assume(
    aws: FakeAws,
    account: str = MEMBER,
    role: str = ROLE,
    *,
    sts_region: str = "us-east-1",
    **parameters: Any,
) -> dict[str, str]:
    arn = f"arn:{aws.world.partition}:iam::{account}:role/{role}"
    given = client(aws, "sts", sts_region).assume_role(
        RoleArn=arn, RoleSessionName="a-test", **parameters
    )["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def member(aws: FakeAws, name: str = "ecr", region: str = "us-east-1", **parameters: Any) -> Any:
    return client(aws, name, region, assume(aws, **parameters))


def refusal(call: Any, **parameters: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response = caught.value.response
    return (
        response["Error"]["Code"],
        response["Error"].get("Message", ""),
        response["ResponseMetadata"]["HTTPStatusCode"],
    )


def send(
    aws: FakeAws, method: str, path: str, body: bytes, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(aws.endpoint).netloc, timeout=10)
    connection.request(method, path, body, dict(headers))
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


def signed(  # noqa: PLR0917
    aws: FakeAws,
    service: str,
    region: str,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
    method: str = "POST",
) -> dict[str, str]:
    caller = aws.world.caller
    request = AWSRequest(method, aws.endpoint + path, data=body, headers=dict(headers))
    SigV4Auth(
        Credentials(caller.access_key_id, caller.secret_access_key), service, region
    ).add_auth(request)
    return dict(request.headers.items())
