"""AWS STS: who is calling, and role sessions."""

from __future__ import annotations

import re
import sys
import time
from typing import Any

from tests.fake_aws.iam import Policy, session_policy
from tests.fake_aws.services.base import Call, Service
from tests.fake_aws.wire import QUERY_CODES, ApiError, Query, elements

SERVICE = Service(
    "sts", Query("https://sts.amazonaws.com/doc/2011-06-15/"), QUERY_CODES, target="2011-06-15"
)
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_ROLE_ARN = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):role(/.+)")
_SHORTEST, _LONGEST, _DEFAULT = 900, 43200, 3600
_LONGEST_POLICY = 2048


def target_account(params: dict[str, Any]) -> str | None:
    """Give the account of the role that AssumeRole asks for; None when the ARN is none."""
    match = _ROLE_ARN.fullmatch(str(params.get("RoleArn", "")))
    return match.group(2) if match else None


@SERVICE.operation("GetCallerIdentity")
def get_caller_identity(call: Call) -> str:
    """Say who is calling; no permission is needed."""
    who = call.principal
    user = (
        "AIDAFAKEUSER00000000"
        if not who.is_assumed
        else f"AROAFAKEROLE00000000:{who.arn.rpartition('/')[2]}"
    )
    return elements(Arn=who.arn, UserId=user, Account=who.account)


@SERVICE.operation("AssumeRole")
def assume_role(call: Call) -> str:
    """Hand out a session of a member account's role; every attempt is recorded."""
    params = call.params
    account_id = target_account(params)
    record: dict[str, Any] = {
        "account": account_id or "",
        "region": call.region,
        "role_arn": params.get("RoleArn"),
        "session_name": params.get("RoleSessionName"),
        "external_id_given": "ExternalId" in params,
        "external_id": params.get("ExternalId"),
        # Ten thousand accounts are given one and the same policy: keep it once.
        "policy": sys.intern(params["Policy"]) if "Policy" in params else None,
        "duration_seconds": params.get("DurationSeconds"),
        "accepted": False,
    }
    call.state.counters.assume_role.append(record)
    session_name, duration, policy = _checked(call)
    role_arn = call.text("RoleArn")
    match = _ROLE_ARN.fullmatch(role_arn)
    if match is None:
        raise call.invalid(f"{role_arn} is invalid")
    partition, _, path_and_name = match.groups()
    world, state = call.state.world, call.state
    call.allow("sts:AssumeRole", role_arn, account_id)
    account = state.accounts.get(account_id or "")
    role = state.role(account, path_and_name) if account else None
    trusted = call.principal.account == world.caller.account and partition == world.partition
    if (
        account is None
        or role is None
        or account.state != "ACTIVE"
        or not trusted
        or role.external_id not in (None, params.get("ExternalId"))
    ):
        # AWS does not say which of these it was.
        raise ApiError(
            "AccessDenied",
            f"User: {call.principal.arn} is not authorized to perform: sts:AssumeRole on resource: "
            f"{role_arn}",
            403,
        )
    if world.sts_needs_target_region and not state.is_enabled(account.id, call.region):
        raise ApiError(
            "RegionDisabledException",
            f"STS is not activated in this region for account:{account.id}. Your account "
            "administrator can activate "
            "STS in this region using the IAM Console.",
            403,
        )
    if duration > max(role.session_seconds, _DEFAULT):
        raise call.invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    expires = state.now() + min(duration, role.session_seconds)
    arn = f"arn:{partition}:sts::{account.id}:assumed-role/{role.name}/{session_name}"
    key, session = state.new_session(account.id, arn, role.actions, policy, expires)
    record["accepted"] = True
    credentials = elements(
        AccessKeyId=key,
        SecretAccessKey=session.secret,
        SessionToken=session.token,
        Expiration=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires)),
    )
    user = elements(AssumedRoleId=f"AROAFAKEROLE00000000:{session_name}", Arn=arn)
    return f"<Credentials>{credentials}</Credentials><AssumedRoleUser>{user}</AssumedRoleUser>"


def _checked(call: Call) -> tuple[str, int, Policy | None]:
    """Read session name, seconds and session policy; raises STS's error for a bad one."""
    name = call.text("RoleSessionName")
    if not _SESSION_NAME.fullmatch(name):
        raise call.invalid(
            f"1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy "
            "constraint: "
            r"Member must satisfy regular expression pattern: [\w+=,.@-]{2,64}"
        )
    text = call.params.get("DurationSeconds", str(_DEFAULT))
    if not text.isdecimal() or not _SHORTEST <= int(text) <= _LONGEST:
        raise call.invalid(
            f"1 validation error detected: Value '{text}' at 'durationSeconds' failed to satisfy "
            "constraint: "
            f"Member must have value between {_SHORTEST} and {_LONGEST}"
        )
    if call.principal.is_assumed and int(text) > _DEFAULT:
        raise call.invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
            "role chaining"
        )
    policy = call.params.get("Policy")
    if policy is not None and len(policy) > _LONGEST_POLICY:
        raise call.invalid(
            "1 validation error detected: Value at 'policy' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_LONGEST_POLICY}"
        )
    return name, int(text), None if policy is None else session_policy(policy)
