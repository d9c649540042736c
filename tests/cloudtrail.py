"""Events of EventBridge about calls to ECR, as CloudTrail records them.

What is published: the envelope ("AWS API Call via CloudTrail"), in the EventBridge user guide; the
record of CreateRepository, in "Understanding Amazon ECR log file entries" of the ECR user guide,
whose requestParameters omit a setting that is the default, and whose createdAt is no ISO time; an
identity with `invokedBy` of a service, in "CloudTrail userIdentity element".

What is made here of botocore's service model, as no record of it was found in public: those of
PutImageTagMutability and of the two calls upon creation templates (request and response members),
and of a repository that a push or replication creates (the call is CreateRepository, the caller a
service).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

TERRAFORM = "APN/1.0 HashiCorp/1.0 Terraform/1.9.5 terraform-provider-aws/5.66.0"
NOT_ISO = "Jul 11, 2018 10:17:44 PM"  # as the ECR user guide has it
AN_HOUR = "2026-11-29T13:00:00Z"


def role_session(account: str, role: str = "deploy", session: str = "ci") -> dict[str, Any]:
    """A session of a role, as the CloudTrail user guide shows it; `role` may have a path."""
    return {
        "type": "AssumedRole",
        "principalId": f"AROAEXAMPLE:{session}",
        "arn": f"arn:aws:sts::{account}:assumed-role/{role.rpartition('/')[2]}/{session}",
        "accountId": account,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAEXAMPLE",
                "arn": f"arn:aws:iam::{account}:role/{role}",
                "accountId": account,
                "userName": role.rpartition("/")[2],
            }
        },
    }


def service(name: str) -> dict[str, Any]:
    """A service that calls for itself."""
    return {"type": "AWSService", "invokedBy": name}


def call(
    name: str,
    account: str,
    region: str,
    *,
    request: Mapping[str, Any],
    response: Mapping[str, Any] | None,
    identity: Mapping[str, Any] | None = None,
    agent: str = "aws-cli/2.17.0",
    **more: Any,
) -> dict[str, Any]:
    """The event of a call; `more` are members of its detail."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ecr",
        "account": account,
        "time": AN_HOUR,
        "region": region,
        "resources": [],
        "detail": {
            "eventVersion": "1.11",
            "userIdentity": dict(identity or role_session(account)),
            "eventTime": AN_HOUR,
            "eventSource": "ecr.amazonaws.com",
            "eventName": name,
            "awsRegion": region,
            "sourceIPAddress": "203.0.113.12",
            "userAgent": agent,
            "requestParameters": dict(request),
            "responseElements": response and dict(response),
            "requestID": str(uuid.uuid4()),
            "eventID": str(uuid.uuid4()),
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": account,
            "eventCategory": "Management",
            **more,
        },
    }


def created(account: str, region: str, name: str, **more: Any) -> dict[str, Any]:
    """CreateRepository without a setting: it is MUTABLE by default, and the request omits it."""
    repository = {
        "repositoryArn": f"arn:aws:ecr:{region}:{account}:repository/{name}",
        "registryId": account,
        "repositoryName": name,
        "repositoryUri": f"{account}.dkr.ecr.{region}.amazonaws.com/{name}",
        "createdAt": NOT_ISO,
        "imageTagMutability": "MUTABLE",
    }
    request = {"repositoryName": name}
    return call(
        "CreateRepository",
        account,
        region,
        request=request,
        response={"repository": repository},
        **more,
    )


def changed(
    account: str, region: str, name: str, mutability: str = "MUTABLE", **more: Any
) -> dict[str, Any]:
    """PutImageTagMutability."""
    setting = {"registryId": account, "repositoryName": name, "imageTagMutability": mutability}
    return call("PutImageTagMutability", account, region, request=setting, response=setting, **more)


def template(
    account: str, region: str, prefix: str, name: str = "CreateRepositoryCreationTemplate"
) -> dict[str, Any]:
    """A call upon a creation template."""
    request = {"prefix": prefix, "appliedFor": ["CREATE_ON_PUSH"], "imageTagMutability": "MUTABLE"}
    response = {"registryId": account, "repositoryCreationTemplate": request}
    return call(name, account, region, request=request, response=response)


def pushed(account: str, region: str, name: str) -> dict[str, Any]:
    """A repository that a push creates."""
    return created(account, region, name, identity=service("ecr.amazonaws.com"))


def replicated(account: str, region: str, name: str) -> dict[str, Any]:
    """A repository that replication creates."""
    return created(account, region, name, identity=service("replication.ecr.amazonaws.com"))


def refused(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event of the same call, denied."""
    detail = {**event["detail"], "errorCode": "AccessDenied", "responseElements": None}
    return {**event, "detail": detail}


def batch(events: Iterable[object]) -> dict[str, Any]:
    """A batch of SQS, each message an event; a text is a body as it is."""
    return {
        "Records": [
            {
                "messageId": f"m-{position}",
                "receiptHandle": "r",
                "body": event if isinstance(event, str) else json.dumps(event),
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "awsRegion": "eu-central-1",
            }
            for position, event in enumerate(events)
        ]
    }
