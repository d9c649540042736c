"""AWS Account Management: which regions an account has enabled."""

from __future__ import annotations

from typing import Any, get_args

from tests.fake_aws.services.base import Call, Service
from tests.fake_aws.wire import Codes, Json
from tests.fake_aws.world import RegionStatus

SERVICE = Service(
    "account",
    Json(rest=True),
    Codes(
        unknown_key=("UnrecognizedClientException", 403),
        expired=("ExpiredTokenException", 403),
        bad_signature=("InvalidSignatureException", 403),
        bad_scope=("InvalidSignatureException", 403),
        missing_authentication=("MissingAuthenticationTokenException", 403),
        denied=("AccessDeniedException", 403),
        throttle=("TooManyRequestsException", 429),
        server_error=("InternalServerException", 500),
        invalid=("ValidationException", 400),
        unknown_operation=("UnknownOperationException", 404),
    ),
    is_global=True,
)
PATHS = {"/listRegions": "ListRegions"}


@SERVICE.operation("ListRegions")
def list_regions(call: Call) -> dict[str, Any]:
    """List the regions of the caller's own account; AccountId is refused, trusted access is off."""
    own = call.principal.account
    if "AccountId" in call.params:
        # Only the management account may name another account, with trusted access, and never its
        # own.
        raise call.service.error(
            call.service.codes.denied,
            f"User: {call.principal.arn} is not authorized to perform: account:ListRegions "
            f"for account {call.params['AccountId']}",
        )
    call.allow("account:ListRegions", f"arn:{call.partition}:account::{own}:account")
    wanted_states = call.params.get("RegionOptStatusContains") or get_args(RegionStatus)
    strange = [each for each in wanted_states if each not in get_args(RegionStatus)]
    if strange:
        raise call.invalid(
            f"RegionOptStatusContains: {strange[0]!r} is not one of {get_args(RegionStatus)}"
        )
    regions = [
        {"RegionName": name, "RegionOptStatus": state}
        for name, state in call.state.region_states(own).items()
        if state in wanted_states
    ]
    found, more = call.page(
        lambda start, stop: regions[start:stop],
        len(regions),
        call.number("MaxResults", 50, 50),
        about=",".join(wanted_states),
    )
    return {"Regions": found, **more}
