"""What AWS and its SDK raise -> OperationFailed with a reason of the closed list.

The only place that reads error codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from sweeper.domain.errors import OperationFailed
from sweeper.domain.masking import mask_message
from sweeper.domain.reasons import Reason

UNCERTAIN = "SweeperUncertain"  # in ResponseMetadata: an earlier attempt was left without an answer
MAX_CODE = 100  # characters of an error code that are kept
MAX_MESSAGE = 500  # characters of a service's message that are kept
# Of which these are its last: there stand the ids, and encoded messages, of a refused
# authorization.
MAX_TAIL = 200
_CUT = " … "
_TOKEN = re.compile(r"(x-amz-security-token\W{1,3})\S+", re.IGNORECASE)

# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html: the message
# of a denial names the type of policy, where the service says it at all.
_POLICY_TYPES = {
    "service control policy": Reason.DENIED_BY_SCP,
    "resource control policy": Reason.DENIED_BY_RCP,
    "permissions boundary": Reason.DENIED_BY_PERMISSIONS_BOUNDARY,
    "session policy": Reason.DENIED_BY_SESSION_POLICY,
    "identity-based policy": Reason.DENIED_BY_IDENTITY_POLICY,
    "resource-based policy": Reason.DENIED_BY_RESOURCE_POLICY,
    "VPC endpoint policy": Reason.DENIED_BY_VPC_ENDPOINT_POLICY,
}
# What no policy denies, and none grants: nobody meant to deny it.
_NOT_GRANTED = "no identity-based policy allows"
_DENIALS = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "UnauthorizedOperation",
    "KMSAccessDenied",
    "KMSAccessDeniedException",
}
# The connection was too slow: what was asked may have been done, and is asked again.
WITHOUT_AN_ANSWER = {"RequestTimeout", "RequestTimeoutException"}
_CODES = {
    **dict.fromkeys(_DENIALS, Reason.DENIED),
    **dict.fromkeys(
        (
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "Throttled",
            "RequestThrottled",
            "RequestThrottledException",
            "RequestLimitExceeded",
            "KMSThrottling",
            "KMSThrottlingException",
            "LimitExceededException",
            "TooManyRequestsException",
            "BandwidthLimitExceeded",
            "PriorRequestNotComplete",
            "SlowDown",
        ),
        Reason.THROTTLED,
    ),
    **dict.fromkeys(WITHOUT_AN_ANSWER, Reason.TIMED_OUT),
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"),
        Reason.CREDENTIALS_EXPIRED,
    ),
    **dict.fromkeys(("RequestTimeTooSkewed", "RequestExpired"), Reason.CLOCK_SKEW),
    # What a region that the account has not enabled answers to valid credentials.
    **dict.fromkeys(
        ("UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure", "OptInRequired"),
        Reason.REGION_NOT_ENABLED,
    ),
    # A wrong secret key; or a wrong clock, which only the message tells.
    **dict.fromkeys(
        ("SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"),
        Reason.SIGNATURE_REFUSED,
    ),
    "RegionDisabledException": Reason.STS_REGION_DISABLED,
    "PackedPolicyTooLarge": Reason.PACKED_POLICY_TOO_LARGE,
    "PackedPolicyTooLargeException": Reason.PACKED_POLICY_TOO_LARGE,
    "AWSOrganizationsNotInUseException": Reason.NOT_IN_ORGANIZATION,
    "OrganizationalUnitNotFoundException": Reason.UNKNOWN_OU,
    "RepositoryNotFoundException": Reason.REPOSITORY_DELETED,
    "TemplateNotFoundException": Reason.REPOSITORY_DELETED,  # ECR: a creation template
    "TemplateAlreadyExistsException": Reason.CHANGED_SINCE_EXAMINED,  # there was none before
    "NoSuchBucket": Reason.DESTINATION_MISSING,
    "NoSuchKey": Reason.DESTINATION_MISSING,
    "ParameterNotFound": Reason.DESTINATION_MISSING,
    "ParameterVersionNotFound": Reason.DESTINATION_MISSING,
    "NotFound": Reason.DESTINATION_MISSING,
    "NotFoundException": Reason.DESTINATION_MISSING,
    "ResourceNotFoundException": Reason.DESTINATION_MISSING,
    # EventBridge, for one event of many.
    "InternalFailure": Reason.SERVICE_ERROR,
    "NoSuchConfigurationAggregatorException": Reason.AGGREGATOR_MISSING,
    # Security Hub that is not enabled, for a call and for one finding of many.
    "InvalidAccessException": Reason.DESTINATION_MISSING,
    "InvalidAccess": Reason.DESTINATION_MISSING,
    # A conditional write to S3 whose condition does not hold, or that another came before.
    "PreconditionFailed": Reason.CONCURRENT_MODIFICATION,
    "ConditionalRequestConflict": Reason.CONCURRENT_MODIFICATION,
}
# Where the body has no code, the SDK takes the status for it. The answer to a HEAD has no body. Of
# any other call, such an answer is not from AWS: a proxy, for example, refused it.
_CODES_OF_HEAD = {"403": Reason.DENIED, "404": Reason.DESTINATION_MISSING}
# In order: the first class that fits names the reason.
_EXCEPTIONS: tuple[tuple[type[Exception], Reason], ...] = (
    (sdk.NoCredentialsError, Reason.NO_CREDENTIALS),
    (sdk.PartialCredentialsError, Reason.NO_CREDENTIALS),
    (sdk.CredentialRetrievalError, Reason.NO_CREDENTIALS),
    (sdk.ProfileNotFound, Reason.AWS_CONFIGURATION_INVALID),
    (sdk.ConfigParseError, Reason.AWS_CONFIGURATION_INVALID),
    (sdk.SSOError, Reason.NO_CREDENTIALS),
    (sdk.TokenRetrievalError, Reason.NO_CREDENTIALS),
    (sdk.InvalidConfigError, Reason.AWS_CONFIGURATION_INVALID),
    (sdk.InvalidRegionError, Reason.AWS_CONFIGURATION_INVALID),
    (sdk.ConnectTimeoutError, Reason.TIMED_OUT),
    (sdk.ReadTimeoutError, Reason.TIMED_OUT),
    (sdk.HTTPClientError, Reason.CONNECTION_FAILED),
    (sdk.ConnectionError, Reason.CONNECTION_FAILED),
    # A body that broke off, or came with another content than S3 sent.
    (sdk.IncompleteReadError, Reason.CONNECTION_FAILED),
    (sdk.ChecksumError, Reason.CONNECTION_FAILED),
    (sdk.FlexibleChecksumError, Reason.CONNECTION_FAILED),
    (ResponseParserError, Reason.UNEXPECTED_RESPONSE),
    (sdk.PaginationError, Reason.UNEXPECTED_RESPONSE),
    (sdk.BotoCoreError, Reason.REQUEST_REFUSED),
)


# The wording of SignatureDoesNotMatch and InvalidSignatureException where the time is wrong.
_SKEWED = ("Signature expired", "Signature not yet current")


@contextmanager
def translate_errors(*, write: bool = False) -> Iterator[None]:
    """Raise OperationFailed in the place of what the SDK raises inside.

    A `write` that nobody granted has a reason of its own: it tells what is meant.
    """
    try:
        yield
    except sdk.ClientError as error:
        raise _from_response(error, write=write) from None
    except (sdk.BotoCoreError, ResponseParserError) as error:
        reason = next(reason for kind, reason in _EXCEPTIONS if isinstance(error, kind))
        message = str(error)
        if isinstance(error, ResponseParserError):
            # After its first line it quotes the answer, credentials included.
            message = message.partition("\n")[0]
        message = _without_token(message)
        raise OperationFailed(
            reason, shortened_message(mask_message(message)), type(error).__name__, uncertain=True
        ) from None


def refused_keys(code: str | None) -> Reason | None:
    """Return what an error code says of the call's keys: expired, or not known; else None."""
    reason = _CODES.get(code or "")
    return reason if reason in (Reason.CREDENTIALS_EXPIRED, Reason.REGION_NOT_ENABLED) else None


def reason_for(code: str) -> Reason:
    """Return the reason for a code in an answer, for one item of many."""
    return _CODES.get(code, Reason.REQUEST_REFUSED)


def shortened_message(message: str) -> str:
    """Return the message, of a long one its beginning and its end."""
    if len(message) <= MAX_MESSAGE:
        return message
    return message[: MAX_MESSAGE - MAX_TAIL - len(_CUT)] + _CUT + message[-MAX_TAIL:]


def _without_token(message: str) -> str:
    return _TOKEN.sub(r"\1 (left out)", message)


def _from_response(error: sdk.ClientError, *, write: bool) -> OperationFailed:
    details = error.response.get("Error", {})
    code = str(details.get("Code", "Unknown"))
    # A refused signature's message goes on with the whole request, the session's token in it.
    message = _without_token(str(details.get("Message", "")).partition("\n")[0])
    metadata: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode", 0)
    reason = _CODES.get(code)
    uncertain = status >= HTTPStatus.INTERNAL_SERVER_ERROR or UNCERTAIN in metadata
    if error.operation_name.startswith("Head"):
        reason = _CODES_OF_HEAD.get(code, reason)
    elif code.isdecimal() and status < HTTPStatus.INTERNAL_SERVER_ERROR:
        reason, uncertain = Reason.UNEXPECTED_RESPONSE, True
    if reason is Reason.DENIED:
        reason = next(
            (found for text, found in _POLICY_TYPES.items() if text in message), Reason.DENIED
        )
    if write and reason is Reason.DENIED_BY_IDENTITY_POLICY and _NOT_GRANTED in message:
        reason = Reason.WRITE_NOT_GRANTED
    if reason is Reason.SIGNATURE_REFUSED and any(text in message for text in _SKEWED):
        reason = Reason.CLOCK_SKEW
    if reason is None:
        reason = (
            Reason.SERVICE_ERROR
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR
            else Reason.REQUEST_REFUSED
        )
    return OperationFailed(
        reason, shortened_message(mask_message(message)), code[:MAX_CODE], uncertain=uncertain
    )
