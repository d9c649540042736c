"""How a scenario is written: steps, each a real boto3 call, upon one small organization."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fake_aws.world import Registry, Repository

BUCKET, FAR_BUCKET = "contract-reports", "contract-far"
TOPIC = "arn:aws:sns:us-east-1:{management}:contract"
APP = (Repository("app"),)


@dataclass(frozen=True, slots=True)
class Step:
    """One call; `{name}` in a parameter stands for the endpoint's own id of that name.

    Attributes:
        call: The method of boto3's client, which does not validate the parameters.
        who: `central`, the role of which a session is used (`limited` by a session policy),
            an `unknown` key or a `mistaken` secret.
        keep: Members of the answer that later steps use as parameters, by their names there.
    """

    name: str
    service: str
    call: str
    params: Mapping[str, Any] = field(default_factory=dict)
    who: str = "central"
    region: str = "us-east-1"
    keep: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Steps upon a member account that has these repositories and no others.

    A `registry` with what no peer has is for the fake alone.
    """

    name: str
    steps: tuple[Step, ...]
    repositories: tuple[Repository, ...] = ()
    registry: Registry | None = None


def ecr(name: str, call: str, who: str = "auditor", keep: str = "", **params: Any) -> Step:
    return Step(name, "ecr", call, params, who, keep={keep: keep} if keep else {})


def organizations(name: str, call: str, **params: Any) -> Step:
    return Step(name, "organizations", call, params)


def put(name: str, **params: Any) -> Step:
    return Step(name, "s3", "put_object", {"Bucket": BUCKET, "Body": b"one", **params})


def get(name: str, call: str = "get_object", who: str = "central", **params: Any) -> Step:
    return Step(name, "s3", call, {"Bucket": BUCKET, **params}, who)


def wildcards(*patterns: str) -> list[dict[str, str]]:
    return [{"filterType": "WILDCARD", "filter": each} for each in patterns]


def mutability(name: str, setting: str, *patterns: str, on: str = "app") -> Step:
    filters = {"imageTagMutabilityExclusionFilters": wildcards(*patterns)} if patterns else {}
    params = {"repositoryName": on, "imageTagMutability": setting, **filters}
    return Step(name, "ecr", "put_image_tag_mutability", params, "auditor")


def assume(name: str, role: str = "auditor", account: str = "{member}", **params: Any) -> Step:
    arn = f"arn:aws:iam::{account}:role/{role}"
    return Step(
        name, "sts", "assume_role", {"RoleArn": arn, "RoleSessionName": "another", **params}
    )


def push(name: str, tag: str, body: str) -> Step:
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    digest = hashlib.sha256(body.encode()).hexdigest()
    part = {"mediaType": "application/octet-stream", "size": 1, "digest": f"sha256:{digest}"}
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": part, "layers": [part]}
    return ecr(
        *(name, "put_image"),
        repositoryName="app",
        imageManifest=json.dumps(manifest),
        imageTag=tag,
    )
