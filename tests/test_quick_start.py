"""The README's quick start leads from a clone to a dry-run report over an organization.

The commands are the README's own. moto's server stands in for AWS, and the checkout for the
repository that is cloned. Slow: the clone gets an environment of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.moto_organization import CALLER, MANAGEMENT, ROLE, moto_organization

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MOST_COMMANDS = 5
SECONDS = 180
Key = tuple[str, str, str]  # account, region, repository


def commands() -> list[str]:
    """The commands of the block that is marked as the quick start."""
    found = re.search(r"<!-- quick start.*? -->\n```console\n(.*?)```", README, re.DOTALL)
    assert found, "README.md has no quick start"
    lines = found.group(1).splitlines()
    assert all(line.startswith("$ ") for line in lines)
    return [line.removeprefix("$ ") for line in lines]


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with moto_organization() as url:
        for name, value in {**CALLER, "AWS_ENDPOINT_URL": url}.items():
            monkeypatch.setenv(name, value)
        yield url


def _repositories(accounts: list[str], regions: list[str]) -> dict[Key, str]:
    """Every repository that the role can read, with its setting."""
    settings: dict[Key, str] = {}
    for account in accounts:
        keys = boto3.client("sts", CALLER["AWS_REGION"]).assume_role(
            RoleArn=f"arn:aws:iam::{account}:role/{ROLE}", RoleSessionName="test"
        )["Credentials"]
        session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        for region in regions:
            pages = session.client("ecr", region).get_paginator("describe_repositories").paginate()
            for each in (item for page in pages for item in page["repositories"]):
                settings[account, region, each["repositoryName"]] = each["imageTagMutability"]
    return settings


def test_from_a_clone_to_a_report_over_an_organization(endpoint: str, tmp_path: Path) -> None:
    given = commands()
    assert len(given) <= MOST_COMMANDS
    assert given[0].startswith("git clone <this repository> ")
    given[0] = given[0].replace("<this repository>", str(ROOT))
    script = "\n".join(f"{command}\necho $? >> {tmp_path}/statuses" for command in given)
    ended = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    statuses = (tmp_path / "statuses").read_text(encoding="utf-8").split()
    # 4: the management account has no such role.
    assert statuses == ["0", "0", "4", "0"], ended.stderr
    (file,) = tmp_path.glob("*/report/report.json")
    report: Any = json.loads(file.read_text(encoding="utf-8"))
    assert report["run"]["dry_run"] is True
    assert [(each["account_id"], each["reason"]) for each in report["failures"]] == [
        (MANAGEMENT, "assume_role_denied")
    ]
    client = boto3.client("organizations", CALLER["AWS_REGION"])
    pages = client.get_paginator("list_accounts").paginate()
    active = {
        each["Id"] for page in pages for each in page["Accounts"] if each["Status"] == "ACTIVE"
    }
    assert report["totals"]["accounts"]["opened"] == len(active - {MANAGEMENT}) >= 10
    regions = sorted({each["region"] for each in report["findings"]})
    settings = _repositories(sorted(active - {MANAGEMENT}), regions)
    mutable = {key for key, setting in settings.items() if setting.startswith("MUTABLE")}
    found = {
        (each["account_id"], each["region"], each["repository"]) for each in report["findings"]
    }
    assert mutable
    # A dry run: what is mutable is found, and is mutable still.
    assert mutable <= found
    assert {settings[key] for key in found - mutable} <= {"IMMUTABLE_WITH_EXCLUSION"}
    assert report["totals"]["changes"]["planned"] > 0
    name, _, _ = min(mutable)
    assert name in ended.stdout
