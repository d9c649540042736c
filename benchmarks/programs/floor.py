"""The floor: the same calls by hand, without an SDK: urllib3, Signature Version 4, json.

No retries, no pages but the organization's, no error that says more than a status: what is left
is what any Python program must spend on these calls.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urlencode

import urllib3

THREADS = 64
ROLE = "ecr-immutability-sweeper"
GLOBAL_REGION = "us-east-1"
MUTABLE = ("MUTABLE", "MUTABLE_WITH_EXCLUSION")
_JSON = "application/x-amz-json-1.1"
_FORM = "application/x-www-form-urlencoded; charset=utf-8"
_CREDENTIALS = re.compile(
    "<AccessKeyId>(.+)</AccessKeyId><SecretAccessKey>(.+)</SecretAccessKey>"
    "<SessionToken>(.+)</SessionToken>"
)


class Keys(NamedTuple):
    """Credentials; the token of a user's own key is empty."""

    access: str
    secret: str
    token: str


class Endpoints:
    """Kept-alive connections: to one endpoint for all, or, without its URL, to AWS's own hosts."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._manager = urllib3.PoolManager(
            num_pools=1000, maxsize=THREADS, block=True, ca_certs=os.environ.get("AWS_CA_BUNDLE")
        )
        self._pools: dict[tuple[str, str], urllib3.HTTPConnectionPool] = {}

    def _pool(self, service: str, region: str) -> urllib3.HTTPConnectionPool:
        pool = self._pools.get((service, region))
        if pool is None:
            name = "api.ecr" if service == "ecr" else service
            url = self._url or f"https://{name}.{region}.amazonaws.com"
            pool = self._pools[service, region] = self._manager.connection_from_url(url)
        return pool

    def call(
        self,
        keys: Keys,
        service: str,
        region: str,
        body: bytes,
        *,
        target: str = "",
        path: str = "/",
        content_type: str = _JSON,
    ) -> bytes:
        """Sign, send, and give the answer's body; RuntimeError for any status but 200."""
        pool = self._pool(service, region)
        host = pool.host if self._url is None else f"{pool.host}:{pool.port}"
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        date = stamp[:8]
        headers = {"host": host, "x-amz-date": stamp}
        if keys.token:
            headers["x-amz-security-token"] = keys.token
        if target:
            headers["x-amz-target"] = target
        signed = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        canonical = f"POST\n{path}\n\n{lines}\n{signed}\n{sha256(body).hexdigest()}"
        scope = f"{date}/{region}/{service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{keys.secret}".encode()
        for part in (date, region, service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        headers["content-type"] = content_type
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature}"
        )
        response = pool.urlopen("POST", path, body=body, headers=headers, retries=False)
        if response.status != 200:
            raise RuntimeError(f"{service} in {region}: status {response.status}")
        return response.data


def accounts_of(endpoints: Endpoints, keys: Keys) -> list[str]:
    """Return every account's id."""
    ids: list[str] = []
    request: dict[str, str] = {}
    while True:
        page = json.loads(
            endpoints.call(
                keys,
                "organizations",
                GLOBAL_REGION,
                json.dumps(request).encode(),
                target="AWSOrganizationsV20161128.ListAccounts",
            )
        )
        ids += [account["Id"] for account in page["Accounts"]]
        if "NextToken" not in page:
            return ids
        request = {"NextToken": page["NextToken"]}


def open_account(endpoints: Endpoints, central: Keys, account_id: str) -> list[tuple[Keys, str]]:
    """Return the credentials in an account, with each of its enabled regions."""
    form = {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": f"arn:aws:iam::{account_id}:role/{ROLE}",
        "RoleSessionName": "floor",
    }
    body = urlencode(form).encode()
    answer = endpoints.call(central, "sts", GLOBAL_REGION, body, content_type=_FORM).decode()
    match = _CREDENTIALS.search(answer)
    if match is None:
        raise RuntimeError("sts: no credentials in the answer")
    keys = Keys(*match.groups())
    body = b'{"MaxResults":50,"RegionOptStatusContains":["ENABLED","ENABLED_BY_DEFAULT"]}'
    listed = json.loads(
        endpoints.call(
            keys,
            "account",
            GLOBAL_REGION,
            body,
            path="/listRegions",
            content_type="application/json",
        )
    )
    return [(keys, region["RegionName"]) for region in listed["Regions"]]


def examine(endpoints: Endpoints, target: tuple[Keys, str]) -> tuple[int, int]:
    """Repositories and tag-mutable repositories of one account and region."""
    keys, region = target
    answer: dict[str, Any] = json.loads(
        endpoints.call(
            keys,
            "ecr",
            region,
            b'{"maxResults":1000}',
            target="AmazonEC2ContainerRegistry_V20150921.DescribeRepositories",
        )
    )
    repositories = answer["repositories"]
    return len(repositories), sum(each["imageTagMutability"] in MUTABLE for each in repositories)


def main() -> None:
    """Sweep the organization that the environment names and print the counts."""
    endpoints = Endpoints(os.environ.get("AWS_ENDPOINT_URL"))
    central = Keys(
        os.environ["AWS_ACCESS_KEY_ID"],
        os.environ["AWS_SECRET_ACCESS_KEY"],
        os.environ.get("AWS_SESSION_TOKEN", ""),
    )
    accounts = accounts_of(endpoints, central)
    with ThreadPoolExecutor(THREADS) as pool:
        opened = list(pool.map(lambda each: open_account(endpoints, central, each), accounts))
        targets = [target for account in opened for target in account]
        counts = list(pool.map(lambda target: examine(endpoints, target), targets))
    repositories, found = (sum(column) for column in zip(*counts, strict=True))
    print(json.dumps({"targets": len(targets), "repositories": repositories, "found": found}))


if __name__ == "__main__":
    main()
