"""From an HTTP request to an answer: find the operation, verify, inject faults, run, count."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.fake_aws import paging, sigv4
from tests.fake_aws.damage import damaged
from tests.fake_aws.faults import Asked, Met
from tests.fake_aws.leaks import error_with, leaked
from tests.fake_aws.services import (
    account,
    config,
    ec2,
    ecr,
    events,
    kms,
    organizations,
    s3,
    securityhub,
    sns,
    sts,
)
from tests.fake_aws.services.base import Call, Service
from tests.fake_aws.wire import ApiError, Reply, Request

if TYPE_CHECKING:
    from tests.fake_aws.iam import Principal
    from tests.fake_aws.state import State
    from tests.fake_aws.world import Fault

SERVICES = {
    each.name: each
    for each in (
        *(config.SERVICE, events.SERVICE),
        *(account.SERVICE, ec2.SERVICE, ecr.SERVICE, kms.SERVICE, organizations.SERVICE),
        *(s3.SERVICE, securityhub.SERVICE, sns.SERVICE, sts.SERVICE),
    )
}
_BY_TARGET = {each.target: each for each in SERVICES.values() if each.target}
_TOKENS = ("NextToken", "nextToken", "continuation-token")
_NAMES = ("repositoryName", "repositoryNames", "ParentId", "ChildType", "ResourceId")
_LATE_FAULTS = (
    "hang",
    "hold",
    "truncate",
    "malformed",
    "leak",
    "trickle",
)  # it is done all the same


@dataclass(slots=True)
class Answer:
    """What to send and after how many seconds; no reply means: close the connection.

    One that `breaks_off` is the last on its connection; one that is `held` waits for a release;
    one with a `trickle` is sent as it says.
    """

    reply: Reply | None
    delay: float
    breaks_off: bool = False
    held: bool = False
    trickle: Fault | None = None


class _Reset(Exception):
    pass


@dataclass(slots=True)
class _Located:
    service: Service
    operation: str


def _locate(request: Request, claim: sigv4.Authorization | None) -> _Located:
    """Find service and operation from the request; the credential scope only helps with S3."""
    target = request.headers.get("x-amz-target")
    if target is not None:
        prefix, _, operation = target.rpartition(".")
        return _Located(
            _BY_TARGET.get(prefix, ecr.SERVICE), operation if prefix in _BY_TARGET else target
        )
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        params = sts.SERVICE.wire.params(request)
        version, action = params.get("Version", ""), params.get("Action", "")
        service = _BY_TARGET.get(version)
        return (
            _Located(service, action) if service else _Located(sts.SERVICE, f"{version}:{action}")
        )
    if request.path in securityhub.PATHS:
        return _Located(securityhub.SERVICE, securityhub.PATHS[request.path])
    if request.method == "POST" and (claim is None or claim.service != "s3"):
        return _Located(account.SERVICE, account.PATHS.get(request.path, unquote(request.path)))
    return _Located(s3.SERVICE, s3.operation_of(request))


def handle(state: State, request: Request) -> Answer:
    """Answer one AWS request; never raises for what a client can send."""
    counters = state.counters
    claim = sigv4.parse(request.headers.get("authorization"))
    located = _locate(request, claim)
    service, operation = located.service, located.operation
    known = operation in service.operations
    counters.calls[f"{service.name}:{operation}"] += 1
    counters.saw(request.headers.get("user-agent", ""))
    subject, region, delay = "", claim.region if claim else "", state.latency(service.name)
    try:
        if not known:
            counters.unknown_operations += 1
            raise service.error(
                service.codes.unknown_operation,
                f"The fake does not offer {service.name}:{operation}",
            )
        principal = _authenticate(state, service, request, claim)
        call = _call(state, located, request, principal, region)
        subject = _subject(call)
        counters.called(service.name, subject, delay)
        page = next(
            (paging.page_number(call.params[name]) for name in _TOKENS if name in call.params), 1
        )
        met = None
        if state.faults.rules:
            names = _names(call.params)
            met = state.faults.meet(Asked(service.name, operation, subject, region, page, names))
        if met is None:
            return Answer(service.wire.render(operation, _run(call)), delay)
        counters.faults[met.fault.action] += 1
        if met.fault.action == "hang":
            delay = met.fault.seconds
        if met.fault.action in _LATE_FAULTS:
            return _spoilt(met, call, delay)
        return Answer(_faulty(met.fault, call), delay)
    except _Reset:
        return Answer(None, delay)
    except ApiError as error:
        counters.errors[error.code] += 1
        counters.refuse(f"{service.name}:{operation}", subject, region, str(error))
        reply = service.wire.error(error)
        if request.method == "HEAD":
            reply.body = b""
        return Answer(reply, delay)
    finally:
        state.events.called(operation, subject)


def _names(params: dict[str, Any]) -> str:
    """What tells the calls of an operation apart, and is the same in every run."""
    return " ".join(str(params[name]) for name in _NAMES if name in params)


def _leaked(met: Met, call: Call, reply: Reply) -> Reply:
    """Put the secrets of the world into the reply; raises ApiError with one in its message."""
    state = call.state
    secrets = [*state.secrets, *state.principals, *(met.fault.message or "").split()]
    given = call.operation == "AssumeRole"  # a session that the client never learns of
    if not given and (error := error_with(secrets, met.draw)):
        raise error
    return leaked(reply, secrets, met.draw)


def _spoilt(met: Met, call: Call, delay: float) -> Answer:
    """Do what was asked, and answer late or wrong; a write's record says so."""
    writes = call.state.counters.writes
    before = len(writes)
    reply = call.service.wire.render(call.operation, _run(call))
    for record in writes[before:]:
        record["fault"] = met.fault.action
    match met.fault.action:
        case "hang" | "hold":
            return Answer(reply, delay, held=met.fault.action == "hold")
        case "leak":
            return Answer(_leaked(met, call, reply), delay)
        case "malformed":
            return Answer(damaged(reply, met.draw), delay)
        case "trickle":
            return Answer(reply, delay, trickle=met.fault)
        case _ if not reply.body:
            return Answer(None, delay)
        case _:
            half, whole = reply.body[: len(reply.body) // 2], len(reply.body)
            return Answer(
                dataclasses.replace(reply, body=half, length=whole), delay, breaks_off=True
            )


def _run(call: Call) -> object:
    try:
        return call.service.operations[call.operation](call)
    except paging.BadTokenError as error:
        # Only AWS Organizations has a member for the reason.
        of_organizations = call.service.name == "organizations"
        reason = {"Reason": "INVALID_NEXT_TOKEN"} if of_organizations else {}
        raise call.invalid("You provided an invalid pagination token", **reason) from error


def _call(
    state: State, located: _Located, request: Request, principal: Principal, region: str
) -> Call:
    service = located.service
    try:
        params = service.wire.params(request)
    except ValueError as error:
        raise ApiError("SerializationException", f"The body cannot be read: {error}") from error
    return Call(state, service, located.operation, principal, region, params, request)


def _subject(call: Call) -> str:
    """Give the account acted upon: for AssumeRole the role's, else the caller's."""
    target = sts.target_account(call.params) if call.operation == "AssumeRole" else None
    return target or call.principal.account


def _authenticate(
    state: State, service: Service, request: Request, claim: sigv4.Authorization | None
) -> Principal:
    """Give the principal of a rightly signed request; raises the service's error otherwise."""
    counters, codes = state.counters, service.codes
    if claim is None:
        counters.unsigned += 1
        raise service.error(codes.missing_authentication, "Missing Authentication Token")
    principal = state.principals.get(claim.access_key)
    unknown = service.error(
        codes.unknown_key, "The security token included in the request is invalid."
    )
    if principal is None:
        counters.unknown_keys += 1
        raise unknown
    if claim.service != service.name:
        counters.bad_scopes += 1
        raise service.error(
            codes.bad_scope, f"Credential should be scoped to correct service: '{service.name}'."
        )
    if (
        service.is_global
        and state.world.strict_global_region
        and claim.region != state.global_region
    ):
        counters.bad_scopes += 1
        raise service.error(
            codes.bad_scope,
            f"Credential should be scoped to a valid Region, not '{claim.region}'; {service.name} "
            "is signed for "
            f"{state.global_region}.",
        )
    skew = sigv4.skew(request, state.now())
    problem = skew or sigv4.problem(request, claim, principal.secret)
    if problem is not None:
        counters.bad_signatures += 1
        code = codes.skewed if skew else None
        raise service.error(code or codes.bad_signature, problem)
    if request.headers.get("x-amz-security-token") != principal.token:
        counters.unknown_keys += 1
        raise unknown
    if principal.expires <= state.now():
        counters.expired += 1
        raise service.error(codes.expired, "The security token included in the request is expired")
    if not service.is_global and not state.is_enabled(principal.account, claim.region):
        counters.unknown_keys += 1
        raise unknown
    return principal


def _faulty(fault: Fault, call: Call) -> Reply:
    """Give the answer of a fault that answers at all; raises for errors and resets."""
    service, codes = call.service, call.service.codes
    match fault.action:
        case "throttle":
            slow = "Please reduce your request rate." if service.name == "s3" else "Rate exceeded"
            raise service.error(codes.throttle, fault.message or slow)
        case "server_error":
            raise service.error(
                codes.server_error, fault.message or "We encountered an internal error. Try again."
            )
        case "access_denied":
            who, what = call.principal.arn, f"{service.name}:{call.operation}"
            raise service.error(
                codes.denied,
                fault.message or f"User: {who} is not authorized to perform: {what} on resource: *",
            )
        case "error":
            raise ApiError(fault.code, fault.message or "An injected error", fault.status)
        case "empty":
            return Reply(200, "application/x-amz-json-1.1")
        case "garbage":
            return Reply(200, "text/html", b"<html><body>502 Bad <Gateway></html")
        case _:
            raise _Reset
