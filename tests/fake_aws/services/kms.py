"""AWS KMS: whether a data key could be generated; no key is ever given out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fake_aws.services.base import Call, Service
from tests.fake_aws.wire import ApiError, Codes, Json

if TYPE_CHECKING:
    from tests.fake_aws.world import Key

SERVICE = Service(
    "kms",
    Json(),
    Codes(invalid=("ValidationException", 400), server_error=("KMSInternalException", 500)),
    target="TrentService",
)


def find(call: Call, key_id: str) -> Key | None:
    """Give the key that the world names exactly so: an ARN, or an alias."""
    return next((key for key in call.state.world.keys if key.arn == key_id), None)


@SERVICE.operation("GenerateDataKey")
def generate_data_key(call: Call) -> dict[str, Any]:
    """Answer a dry run as AWS does: with an error, whatever it says."""
    key_id = call.text("KeyId")
    if not call.params.get("DryRun"):
        raise call.invalid("The fake answers dry runs only")
    key = find(call, key_id)
    if key is None:
        raise ApiError("NotFoundException", f"Key '{key_id}' does not exist")
    call.allow("kms:GenerateDataKey", key_id)
    if key.via_service:
        raise call.service.error(
            call.service.codes.denied,
            f"User: {call.principal.arn} is not authorized to perform: kms:GenerateDataKey on "
            "resource: "
            f"{key_id} because no identity-based policy allows the kms:GenerateDataKey action",
        )
    if not key.enabled:
        raise ApiError("DisabledException", f"{key_id} is disabled.")
    raise ApiError(
        "DryRunOperationException",
        "The request would have succeeded, but the DryRun option is set.",
    )
