"""The organization, role sessions, and what policies deny."""

from __future__ import annotations

import json

from tests.contract.calls import APP, TOPIC, Scenario, Step, assume, ecr, get, organizations

NO_UNIT = "ou-zzzz-99999999"
ALLOW_ECR = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}],
    }
)
IMMUTABLE = {"repositoryName": "app", "imageTagMutability": "IMMUTABLE"}

ORGANIZATION = (
    Scenario(
        "the organization is read",
        (
            organizations("organization", "describe_organization"),
            organizations("accounts", "list_accounts"),
            organizations("account", "describe_account", AccountId="{member}"),
            organizations("roots", "list_roots"),
            organizations("units", "list_organizational_units_for_parent", ParentId="{root}"),
            organizations("unit", "describe_organizational_unit", OrganizationalUnitId="{unit}"),
            organizations("accounts of a unit", "list_accounts_for_parent", ParentId="{unit}"),
            organizations(
                "children that are units",
                "list_children",
                ParentId="{root}",
                ChildType="ORGANIZATIONAL_UNIT",
            ),
            organizations(
                "children that are accounts",
                "list_children",
                ParentId="{unit}",
                ChildType="ACCOUNT",
            ),
            organizations("parent of an account", "list_parents", ChildId="{member}"),
            organizations("parent of a unit", "list_parents", ChildId="{unit}"),
            organizations("tags of an account", "list_tags_for_resource", ResourceId="{member}"),
            organizations("administrators", "list_delegated_administrators"),
        ),
    ),
    Scenario(
        "accounts come in pages",
        (
            Step(
                *("a first page", "organizations", "list_accounts", {"MaxResults": 1}),
                keep={"NextToken": "NextToken"},
            ),
            organizations("a second page", "list_accounts", MaxResults=1, NextToken="{NextToken}"),
            organizations("a page too large", "list_accounts", MaxResults=21),
            organizations("an invented token of accounts", "list_accounts", NextToken="invented"),
        ),
    ),
    Scenario(
        "what is not in the organization",
        (
            organizations("no account", "describe_account", AccountId="999999999999"),
            organizations("no unit", "describe_organizational_unit", OrganizationalUnitId=NO_UNIT),
            organizations("no parent", "list_accounts_for_parent", ParentId=NO_UNIT),
            organizations(
                "no parent of units", "list_organizational_units_for_parent", ParentId=NO_UNIT
            ),
            organizations("no child", "list_parents", ChildId="999999999999"),
            organizations("no target", "list_tags_for_resource", ResourceId="999999999999"),
            organizations(
                "no kind of child", "list_children", ParentId="{root}", ChildType="POLICY"
            ),
        ),
    ),
)

SESSIONS = (
    Scenario(
        "who calls",
        (
            Step("a user", "sts", "get_caller_identity"),
            Step("a session", "sts", "get_caller_identity", who="auditor"),
            Step("an unknown key, sts", "sts", "get_caller_identity", who="unknown"),
            Step("an unknown key, ecr", "ecr", "describe_repositories", who="unknown"),
            Step("an unknown key, organizations", "organizations", "list_accounts", who="unknown"),
            Step("an unknown key, account", "account", "list_regions", who="unknown"),
            get("an unknown key, s3", who="unknown", Key="none"),
            Step(
                "an unknown key, sns", "sns", "get_topic_attributes", {"TopicArn": TOPIC}, "unknown"
            ),
            Step("a wrong secret, sts", "sts", "get_caller_identity", who="mistaken"),
            Step("a wrong secret, ecr", "ecr", "describe_repositories", who="mistaken"),
            Step("a wrong secret, organizations", "organizations", "list_accounts", who="mistaken"),
            Step("a wrong secret, account", "account", "list_regions", who="mistaken"),
            get("a wrong secret, s3", who="mistaken", Key="none"),
            Step(
                "a wrong secret, sns",
                "sns",
                "get_topic_attributes",
                {"TopicArn": TOPIC},
                "mistaken",
            ),
        ),
    ),
    Scenario(
        "roles are assumed",
        (
            assume("a role"),
            assume("a role for 15 minutes", DurationSeconds=900, Policy=ALLOW_ECR),
            assume("no role", "nobody"),
            assume("a role of no account", account="999999999999"),
            assume("with the external id", "guarded", ExternalId="a-secret"),
            assume("without the external id", "guarded"),
            assume("with a wrong external id", "guarded", ExternalId="wrong"),
            assume("a session name with a space", RoleSessionName="a b"),
            assume("a session name too long", RoleSessionName="x" * 65),
            assume("too short a session", DurationSeconds=899),
            assume("too long a session", DurationSeconds=43_201),
            assume("longer than the role allows", DurationSeconds=7_200),
            assume("too long a policy", Policy=" " * 2_049),
            assume("a policy that is no JSON", Policy="{"),
            assume(
                "a policy without statements", Policy='{"Version": "2012-10-17", "Statement": []}'
            ),
            Step(
                *("no ARN of a role", "sts", "assume_role"),
                {"RoleArn": "arn:aws:iam::1:role/a-role-and-more", "RoleSessionName": "another"},
            ),
        ),
    ),
)

POLICIES = (
    Scenario(
        "policies deny",
        (
            ecr("the role allows", "describe_repositories", "reader"),
            ecr("the role does not allow", "describe_images", "reader", repositoryName="app"),
            ecr("the role allows no write", "put_image_tag_mutability", "reader", **IMMUTABLE),
            Step("the role allows no regions", "account", "list_regions", who="reader"),
            get("the role allows no S3", who="reader", Key="none"),
            Step(
                "the role allows no SNS",
                "sns",
                "publish",
                {"TopicArn": TOPIC, "Message": "m"},
                "reader",
            ),
            ecr("the session policy allows", "describe_repositories", "auditor limited"),
            ecr(
                *("the session policy does not allow", "put_image_tag_mutability"),
                "auditor limited",
                **IMMUTABLE,
            ),
            ecr(
                *("the session policy denies", "describe_images"),
                "auditor limited",
                repositoryName="app",
            ),
            Step("a member lists accounts", "organizations", "list_accounts", who="owner"),
        ),
        APP,
    ),
)
