"""Whom the member role trusts, and to do what, as moto made it of the template."""

from __future__ import annotations

import pytest

from tests.stacksets.deployment import EXTERNAL_ID, MANAGEMENT, Deployment
from tests.stacksets.iam import Request, trusts

TAGGING = ("sts:TagSession", "sts:SetSourceIdentity")
ANOTHER = f"arn:aws:iam::{MANAGEMENT}:role/another"


def _trusted(deployment: Deployment, action: str, principal: str, **context: str) -> bool:
    """Whether the principal may; sts:ExternalId is a key of sts:AssumeRole alone."""
    role = deployment.role(MANAGEMENT)
    keys = {
        "aws:principalarn": principal,
        "aws:principalorgid": deployment.member_parameters["OrganizationId"],
        **({"sts:externalid": EXTERNAL_ID} if action == "sts:AssumeRole" else {}),
        **context,
    }
    request = Request(action, role.arn, keys)
    return trusts(role.assume_role_policy_document, principal, request)


@pytest.mark.parametrize("action", TAGGING)
def test_session_tags_are_refused_by_default(deployment: Deployment, action: str) -> None:
    central = deployment.central_role_arn
    assert _trusted(deployment, "sts:AssumeRole", central)
    assert not _trusted(deployment, action, central)


def test_session_tags_of_the_central_role_are_allowed_where_the_stack_says_so(
    deployment: Deployment,
) -> None:
    with deployment.management_stack(AllowSessionTags="true"):
        central = deployment.central_role_arn
        for action in TAGGING:
            assert _trusted(deployment, action, central), action
            assert not _trusted(deployment, action, ANOTHER), action
            foreign = {"aws:principalorgid": "o-anotherorg1"}
            assert not _trusted(deployment, action, central, **foreign), action
        # What else is asked of who assumes the role stays.
        assert _trusted(deployment, "sts:AssumeRole", central)
        wrong = {"sts:externalid": "another"}
        assert not _trusted(deployment, "sts:AssumeRole", central, **wrong)
