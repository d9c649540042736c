"""Amazon EventBridge: putting events onto a bus, one by one refused where they are not right."""

from __future__ import annotations

import json
import uuid
from typing import Any

from tests.fake_aws.services.base import Call, Service
from tests.fake_aws.wire import ApiError, Codes, Json

SERVICE = Service(
    "events",
    Json(),
    Codes(invalid=("ValidationException", 400), server_error=("InternalException", 500)),
    target="AWSEvents",
)
_MOST = 10
_LARGEST = 256 * 1024
_TIME = 14  # what a time counts for


def _size(entry: dict[str, Any]) -> int:
    texts = [entry.get(key, "") for key in ("Source", "DetailType", "Detail")]
    texts += entry.get("Resources", [])
    return sum(len(text.encode()) for text in texts) + (_TIME if "Time" in entry else 0)


def _refusal(call: Call, entry: dict[str, Any]) -> tuple[str, str] | None:
    if call.state.throttled_entries > 0:
        call.state.throttled_entries -= 1
        return "ThrottlingException", "Rate exceeded"
    if not all(entry.get(key) for key in ("Source", "DetailType", "Detail")):
        return "InvalidArgument", "Parameter is not valid. Reason: required"
    if len(entry["DetailType"]) > 128:
        return "InvalidArgument", "Parameter DetailType is not valid. Reason: too long"
    try:
        valid = isinstance(json.loads(entry["Detail"]), dict)
    except ValueError:
        valid = False
    return None if valid else ("MalformedDetail", "Detail is malformed.")


@SERVICE.operation("PutEvents")
def put_events(call: Call) -> dict[str, Any]:
    """Keep the events; the bus must exist, and be of the signed region where it is an ARN."""
    entries = call.params.get("Entries")
    if not isinstance(entries, list) or not 1 <= len(entries) <= _MOST:
        raise call.invalid("1 validation error detected: Member must have length 1 to 10")
    if sum(map(_size, entries)) >= _LARGEST:
        raise call.invalid("Total size of the entries in the request is over the limit.")
    results = []
    for entry in entries:
        bus = entry.get("EventBusName", "default")
        call.allow("events:PutEvents", bus)
        if bus not in call.state.world.event_buses or f":{call.region}:" not in bus:
            raise ApiError("ResourceNotFoundException", f"Event bus {bus} does not exist.")
        if refused := _refusal(call, entry):
            results.append({"ErrorCode": refused[0], "ErrorMessage": refused[1]})
        else:
            call.state.put_events.append({**entry, "Detail": json.loads(entry["Detail"])})
            results.append({"EventId": str(uuid.uuid4())})
    failed = sum("ErrorCode" in result for result in results)
    return {"FailedEntryCount": failed, "Entries": results}


@SERVICE.operation("DescribeEventBus")
def describe_event_bus(call: Call) -> dict[str, Any]:
    """Describe a bus."""
    bus = call.params.get("Name", "default")
    call.allow("events:DescribeEventBus", bus)
    if bus not in call.state.world.event_buses or f":{call.region}:" not in bus:
        raise ApiError("ResourceNotFoundException", f"Event bus {bus} does not exist.")
    return {"Name": bus.rpartition("/")[2], "Arn": bus}
