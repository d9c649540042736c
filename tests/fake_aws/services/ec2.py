"""Amazon EC2: only DescribeRegions, which other tools ask in place of account:ListRegions."""

from __future__ import annotations

from tests.fake_aws.generate import DNS_SUFFIX
from tests.fake_aws.services.base import Call, Service
from tests.fake_aws.wire import Codes, Query, elements

SERVICE = Service(
    "ec2",
    Query("http://ec2.amazonaws.com/doc/2016-11-15/", ec2=True),
    Codes(
        unknown_key=("AuthFailure", 401),
        expired=("RequestExpired", 400),
        bad_signature=("SignatureDoesNotMatch", 403),
        bad_scope=("SignatureDoesNotMatch", 403),
        missing_authentication=("MissingAuthenticationToken", 403),
        denied=("UnauthorizedOperation", 403),
        throttle=("RequestLimitExceeded", 503),
        server_error=("InternalError", 500),
        invalid=("InvalidParameterValue", 400),
        unknown_operation=("InvalidAction", 400),
    ),
    target="2016-11-15",
)
_OPT_IN = {"ENABLED_BY_DEFAULT": "opt-in-not-required", "ENABLED": "opted-in"}


@SERVICE.operation("DescribeRegions")
def describe_regions(call: Call) -> str:
    """List regions; those not enabled only with AllRegions; opt-in-status is the only filter."""
    params = call.params
    call.allow("ec2:DescribeRegions", "*")
    states = call.state.region_states(call.principal.account)
    names = [value for key, value in params.items() if key.startswith("RegionName.")]
    unknown = [name for name in names if name not in states]
    if unknown:
        raise call.invalid(f"Invalid region names: [{', '.join(unknown)}]")
    wanted: set[str] | None = None
    index = 1
    while f"Filter.{index}.Name" in params:
        if params[f"Filter.{index}.Name"] != "opt-in-status":
            raise call.invalid(f"The filter '{params[f'Filter.{index}.Name']}' is invalid")
        values = {
            value for key, value in params.items() if key.startswith(f"Filter.{index}.Value.")
        }
        wanted = values if wanted is None else wanted & values
        index += 1
    everywhere = params.get("AllRegions") == "true"
    items = []
    for name, state in states.items():
        opt_in = _OPT_IN.get(state, "not-opted-in")
        chosen = (everywhere or opt_in != "not-opted-in") and (wanted is None or opt_in in wanted)
        if chosen and (not names or name in names):
            endpoint = f"ec2.{name}.{DNS_SUFFIX[call.partition]}"
            item = elements(regionName=name, regionEndpoint=endpoint, optInStatus=opt_in)
            items.append(f"<item>{item}</item>")
    return f"<regionInfo>{''.join(items)}</regionInfo>"
