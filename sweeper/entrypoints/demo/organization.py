"""The demo's organization, built inside moto; its credentials, and its configuration."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import boto3
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ecr.models import ecr_backends
from moto.iam.models import iam_backends
from moto.moto_api._internal import mock_random
from moto.organizations.models import organizations_backends

from sweeper.entrypoints.demo.inventory import (
    ACCOUNTS,
    ORGANIZATIONAL_UNITS,
    SIGNATURES,
    DemoAccount,
)
from sweeper.entrypoints.demo.moto_additions import Additions

MANAGEMENT_ACCOUNT_ID = DEFAULT_ACCOUNT_ID  # whose moto takes credentials to be that it never gave
MEMBER_ROLE = "ecr-immutability-sweeper"
REGION = "eu-central-1"
_SEED = 2020


def build(additions: Additions) -> dict[str, str]:
    """Build the organization inside `mock_aws`; account ids by name, the same every time."""
    state = mock_random.getstate()
    mock_random.seed(_SEED)
    try:
        ids = _accounts(additions)
    finally:
        mock_random.setstate(state)
    for account in ACCOUNTS:
        _furnish(account, ids[account.name], additions)
    return ids


def options() -> dict[str, Any]:
    """Return the demo's configuration, nested like config.yaml."""
    return {
        "limits": {"http_sender": "botocore"},  # which moto replaces
        "policy": {"allowed_exclusions": [SIGNATURES]},
        "exemptions": [
            {
                "repository": "sandbox/*",
                "reason": "experiments, deleted after two weeks and deployed nowhere",
                "expires": f"{datetime.now(UTC).year + 1}-12-31",
            },
            {
                "region": "eu-west-1",
                "repository": "spark/legacy-*",
                "reason": "until the Spark 2 jobs are migrated (DATA-1432)",
                "expires": "2026-03-31",
            },
        ],
        "report": {"directory": "./sweeper-demo", "formats": ["json", "csv", "text", "html"]},
    }


@contextmanager
def credentials() -> Iterator[None]:
    """Invented credentials in the environment, and nothing of the person's own beside them.

    Every AWS_ variable is put aside (profile, endpoints, token files, …), and every one of moto's,
    and put back at the end.
    """
    own = {name: value for name, value in os.environ.items() if _is_foreign(name)}
    invented = {
        "AWS_ACCESS_KEY_ID": "AKIADEMODEMODEMODEMO",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_SESSION_TOKEN": "demo",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name in own:
        del os.environ[name]
    os.environ.update(invented)
    try:
        yield
    finally:
        for name in [name for name in os.environ if _is_foreign(name)]:
            del os.environ[name]
        os.environ.update(own)


def _is_foreign(name: str) -> bool:
    return name.upper().startswith(("AWS_", "MOTO_")) or name == "BOTO_CONFIG"


def _accounts(additions: Additions) -> dict[str, str]:
    """Create the organization with its tree and its accounts; return account ids by name."""
    client = boto3.client("organizations", region_name=REGION)
    organization_id = client.create_organization(FeatureSet="ALL")["Organization"]["Id"]
    (root,) = client.list_roots()["Roots"]
    units: dict[tuple[str, ...], str] = {(): root["Id"]}
    paths: dict[tuple[str, ...], str] = {(): f"{organization_id}/{root['Id']}/"}
    for path in ORGANIZATIONAL_UNITS:
        unit = client.create_organizational_unit(ParentId=units[path[:-1]], Name=path[-1])
        units[path] = unit["OrganizationalUnit"]["Id"]
        paths[path] = f"{paths[path[:-1]]}{units[path]}/"

    management, *members = ACCOUNTS
    # moto calls it "master", and no API renames an account without its root user.
    backend = organizations_backends[MANAGEMENT_ACCOUNT_ID]["aws"]
    backend.get_account_by_id(MANAGEMENT_ACCOUNT_ID).name = management.name
    ids = {management.name: MANAGEMENT_ACCOUNT_ID}
    for account in members:
        created = client.create_account(
            AccountName=account.name, Email=f"aws+{account.name}@example.com"
        )
        account_id = ids[account.name] = created["CreateAccountStatus"]["AccountId"]
        client.move_account(
            AccountId=account_id,
            SourceParentId=root["Id"],
            DestinationParentId=units[account.ou],
        )
        if account.suspended:
            client.close_account(AccountId=account_id)
    for account in ACCOUNTS:
        account_id = ids[account.name]
        additions.set_path(account_id, f"{paths[account.ou]}{account_id}/")
    return ids


def _furnish(account: DemoAccount, account_id: str, additions: Additions) -> None:
    """Create the account's regions, its member role and its registries.

    Directly in moto's backends: the same through clients would take a session for each account
    and a request for each repository.
    """
    additions.enable_regions(account_id, account.regions)
    for rule in account.pull_through_cache_rules:
        additions.add_pull_through_cache_rule(account_id, rule.region, rule.prefix, rule.upstream)
    if account.has_member_role:
        iam_backends[account_id]["aws"].create_role(
            role_name=MEMBER_ROLE,
            assume_role_policy_document=json.dumps(_TRUST_POLICY),
            path="/",
            permissions_boundary=None,
            description="Assumed by sweeper",
            tags=[],
            max_session_duration="3600",
        )
    for repositories in account.repositories:
        registry = ecr_backends[account_id][repositories.region]
        filters = [{"filterType": "WILDCARD", "filter": text} for text in repositories.filters]
        for name in repositories.names:
            registry.create_repository(
                repository_name=name,
                registry_id=None,
                encryption_config={"encryptionType": "AES256"},
                image_scan_config={"scanOnPush": True},
                image_tag_mutability=repositories.mutability,
                tags=[],
                image_tag_mutability_exclusion_filters=filters or None,  # type: ignore[arg-type]
            )


_TRUST_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{MANAGEMENT_ACCOUNT_ID}:root"},
            "Action": "sts:AssumeRole",
        }
    ],
}
