"""What AWS and its SDK raise, and the reason it becomes."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError, create_parser
from botocore.session import Session

from sweeper.aws.client.errors import MAX_MESSAGE, reason_for, refused_keys, translate_errors
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from tests.cases import case

USER = "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: ecr:X on resource: *"
URL = "https://api.ecr.eu-central-1.amazonaws.com/"
_ASSUME_ROLE: Any = Session().get_service_model("sts").operation_model("AssumeRole")


def _client_error(code: str, message: str = "", status: int = 400) -> sdk.ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return sdk.ClientError(response, "AnOperation")


def _failed(error: Exception) -> OperationFailed:
    with pytest.raises(OperationFailed) as caught, translate_errors():
        raise error
    return caught.value


def test_a_code_in_an_answer() -> None:
    cases: list[tuple[str, Reason]] = [
        ("InvalidAccess", Reason.DESTINATION_MISSING),
        ("InvalidInput", Reason.REQUEST_REFUSED),
        ("Throttling", Reason.THROTTLED),
    ]
    for code, reason in cases:
        with case(code, reason):
            assert reason_for(code) is reason


def test_every_code_has_its_reason() -> None:
    cases: list[tuple[str, Reason]] = [
        ("AccessDenied", Reason.DENIED),
        ("AccessDeniedException", Reason.DENIED),
        ("AuthorizationError", Reason.DENIED),
        ("UnauthorizedOperation", Reason.DENIED),
        ("KMSAccessDenied", Reason.DENIED),
        ("KMSAccessDeniedException", Reason.DENIED),
        ("Throttling", Reason.THROTTLED),
        ("ThrottlingException", Reason.THROTTLED),
        ("ThrottledException", Reason.THROTTLED),
        ("Throttled", Reason.THROTTLED),
        ("RequestThrottled", Reason.THROTTLED),
        ("RequestThrottledException", Reason.THROTTLED),
        ("RequestLimitExceeded", Reason.THROTTLED),
        ("TooManyRequestsException", Reason.THROTTLED),
        ("LimitExceededException", Reason.THROTTLED),
        ("BandwidthLimitExceeded", Reason.THROTTLED),
        ("InvalidAccessException", Reason.DESTINATION_MISSING),
        ("PriorRequestNotComplete", Reason.THROTTLED),
        ("SlowDown", Reason.THROTTLED),
        ("ExpiredToken", Reason.CREDENTIALS_EXPIRED),
        ("ExpiredTokenException", Reason.CREDENTIALS_EXPIRED),
        ("TokenRefreshRequired", Reason.CREDENTIALS_EXPIRED),
        ("RequestExpired", Reason.CLOCK_SKEW),
        ("RequestTimeTooSkewed", Reason.CLOCK_SKEW),
        ("UnrecognizedClientException", Reason.REGION_NOT_ENABLED),
        ("InvalidClientTokenId", Reason.REGION_NOT_ENABLED),
        ("AuthFailure", Reason.REGION_NOT_ENABLED),
        ("OptInRequired", Reason.REGION_NOT_ENABLED),
        ("SignatureDoesNotMatch", Reason.SIGNATURE_REFUSED),
        ("InvalidSignatureException", Reason.SIGNATURE_REFUSED),
        ("IncompleteSignature", Reason.SIGNATURE_REFUSED),
        ("RegionDisabledException", Reason.STS_REGION_DISABLED),
        ("PackedPolicyTooLarge", Reason.PACKED_POLICY_TOO_LARGE),
        ("PackedPolicyTooLargeException", Reason.PACKED_POLICY_TOO_LARGE),
        ("AWSOrganizationsNotInUseException", Reason.NOT_IN_ORGANIZATION),
        ("OrganizationalUnitNotFoundException", Reason.UNKNOWN_OU),
        ("RepositoryNotFoundException", Reason.REPOSITORY_DELETED),
        ("NoSuchBucket", Reason.DESTINATION_MISSING),
        ("NotFound", Reason.DESTINATION_MISSING),
        ("NotFoundException", Reason.DESTINATION_MISSING),
        ("InvalidParameterException", Reason.REQUEST_REFUSED),
        ("InventedTomorrowException", Reason.REQUEST_REFUSED),
    ]
    for code, reason in cases:
        with case(code, reason):
            failed = _failed(_client_error(code, "a message"))
            assert (failed.reason, failed.error_code, failed.message) == (reason, code, "a message")


def test_a_status_without_a_code_is_an_answer_of_aws_to_a_head_alone() -> None:
    cases: list[tuple[str, str, int, Reason, bool]] = [
        ("s3", "HeadObject", 403, Reason.DENIED, False),
        ("s3", "HeadObject", 404, Reason.DESTINATION_MISSING, False),
        ("s3", "HeadBucket", 400, Reason.REQUEST_REFUSED, False),
        ("ecr", "DescribeRepositories", 403, Reason.UNEXPECTED_RESPONSE, True),
        ("ecr", "PutImageTagMutability", 404, Reason.UNEXPECTED_RESPONSE, True),
        ("account", "ListRegions", 302, Reason.UNEXPECTED_RESPONSE, True),
        ("organizations", "ListAccounts", 403, Reason.UNEXPECTED_RESPONSE, True),
        ("ecr", "DescribeRepositories", 503, Reason.SERVICE_ERROR, True),
    ]
    for service, operation, status, reason, uncertain in cases:
        with case(operation, status):
            model = Session().get_service_model(service)
            page = b"" if operation.startswith("Head") else b"<html>Blocked by the proxy</html>"
            answer: Any = {"status_code": status, "headers": {}, "body": page}
            output: Any = model.operation_model(operation).output_shape
            parsed = create_parser(model.resolved_protocol).parse(answer, output)
            failed = _failed(sdk.ClientError(parsed, operation))
            assert (failed.reason, failed.uncertain) == (reason, uncertain)


def test_a_denial_says_by_what() -> None:
    cases: list[tuple[str, Reason]] = [
        ("with an explicit deny in a service control policy", Reason.DENIED_BY_SCP),
        ("because no service control policy allows the ecr:X action", Reason.DENIED_BY_SCP),
        ("with an explicit deny in a resource control policy", Reason.DENIED_BY_RCP),
        ("because no resource control policy allows the ecr:X action", Reason.DENIED_BY_RCP),
        ("with an explicit deny in a permissions boundary", Reason.DENIED_BY_PERMISSIONS_BOUNDARY),
        ("because no permissions boundary allows it", Reason.DENIED_BY_PERMISSIONS_BOUNDARY),
        ("with an explicit deny in a session policy", Reason.DENIED_BY_SESSION_POLICY),
        ("because no session policy allows the ecr:X action", Reason.DENIED_BY_SESSION_POLICY),
        ("with an explicit deny in an identity-based policy", Reason.DENIED_BY_IDENTITY_POLICY),
        ("because no identity-based policy allows it", Reason.DENIED_BY_IDENTITY_POLICY),
        ("with an explicit deny in a resource-based policy", Reason.DENIED_BY_RESOURCE_POLICY),
        ("because no resource-based policy allows it", Reason.DENIED_BY_RESOURCE_POLICY),
        ("with an explicit deny in a VPC endpoint policy", Reason.DENIED_BY_VPC_ENDPOINT_POLICY),
        ("because no VPC endpoint policy allows it", Reason.DENIED_BY_VPC_ENDPOINT_POLICY),
        ("", Reason.DENIED),
    ]
    for words, reason in cases:
        with case(words, reason):
            failed = _failed(_client_error("AccessDeniedException", f"{USER} {words}"))
            assert failed.reason is reason
            assert failed.reason.is_denial


def test_no_message_holds_a_sessions_token() -> None:
    for message in [
        "It does not match.\n\nThe Canonical String should have been\n'POST\n/\n"
        "x-amz-security-token:THE-TOKEN'",
        "It does not match: x-amz-security-token:THE-TOKEN",
        "It does not match. X-Amz-Security-Token=THE-TOKEN",
        '"X-Amz-Security-Token": "THE-TOKEN"',
    ]:
        with case(message):
            assert (
                "THE-TOKEN" not in _failed(_client_error("SignatureDoesNotMatch", message)).message
            )


def test_only_a_denial_is_read_for_the_kind_of_policy() -> None:
    failed = _failed(_client_error("ValidationException", "the session policy is not valid"))
    assert failed.reason is Reason.REQUEST_REFUSED


def test_an_unknown_code_of_a_broken_service() -> None:
    for status in [500, 502, 503, 504]:
        with case(status):
            failed = _failed(_client_error("InternalFailure", status=status))
            assert failed.reason is Reason.SERVICE_ERROR


def test_a_known_code_counts_more_than_the_status() -> None:
    assert _failed(_client_error("SlowDown", status=503)).reason is Reason.THROTTLED


def test_an_error_without_anything_in_it() -> None:
    failed = _failed(sdk.ClientError({}, "AnOperation"))
    assert (failed.reason, failed.error_code) == (Reason.REQUEST_REFUSED, "Unknown")


def test_what_the_sdk_raises_has_its_reason() -> None:
    cases: list[tuple[Exception, Reason]] = [
        (sdk.NoCredentialsError(), Reason.NO_CREDENTIALS),
        (sdk.PartialCredentialsError(provider="env", cred_var="k"), Reason.NO_CREDENTIALS),
        (sdk.CredentialRetrievalError(provider="sso", error_msg="x"), Reason.NO_CREDENTIALS),
        (sdk.ProfileNotFound(profile="p"), Reason.AWS_CONFIGURATION_INVALID),
        (sdk.SSOTokenLoadError(error_msg="x"), Reason.NO_CREDENTIALS),
        (sdk.UnauthorizedSSOTokenError(), Reason.NO_CREDENTIALS),
        (sdk.TokenRetrievalError(provider="sso", error_msg="x"), Reason.NO_CREDENTIALS),
        (sdk.InvalidConfigError(error_msg="x"), Reason.AWS_CONFIGURATION_INVALID),
        (sdk.ConfigParseError(path="x"), Reason.AWS_CONFIGURATION_INVALID),
        (sdk.InvalidRegionError(region_name="x y"), Reason.AWS_CONFIGURATION_INVALID),
        (sdk.ConnectTimeoutError(endpoint_url=URL), Reason.TIMED_OUT),
        (sdk.ReadTimeoutError(endpoint_url=URL), Reason.TIMED_OUT),
        (sdk.EndpointConnectionError(endpoint_url=URL), Reason.CONNECTION_FAILED),
        (sdk.ConnectionClosedError(endpoint_url=URL), Reason.CONNECTION_FAILED),
        (sdk.SSLError(endpoint_url=URL, error=OSError()), Reason.CONNECTION_FAILED),
        (sdk.ProxyConnectionError(proxy_url=URL, error="x"), Reason.CONNECTION_FAILED),
        (ResponseParserError("no XML"), Reason.UNEXPECTED_RESPONSE),
        (sdk.PaginationError(message="same token twice"), Reason.UNEXPECTED_RESPONSE),
        (sdk.ParamValidationError(report="x"), Reason.REQUEST_REFUSED),
        (sdk.NoRegionError(), Reason.REQUEST_REFUSED),
    ]
    for error, reason in cases:
        with case(error, reason):
            failed = _failed(error)
            assert (failed.reason, failed.error_code) == (reason, type(error).__name__)
            assert failed.message == str(error)


def test_messages_are_cut() -> None:
    long = "x" * (MAX_MESSAGE + 1)
    assert len(_failed(_client_error("AccessDenied", long)).message) == MAX_MESSAGE
    assert len(_failed(ResponseParserError(long)).message) == MAX_MESSAGE


def test_a_defect_is_not_taken_for_an_error_of_aws() -> None:
    with pytest.raises(ZeroDivisionError), translate_errors():
        raise ZeroDivisionError("a defect")


def test_a_wrong_clock_is_no_wrong_key() -> None:
    for code in ["SignatureDoesNotMatch", "InvalidSignatureException"]:
        for message in [
            "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z",
            "Signature not yet current: 20260101T001000Z is still later than 20260101T000500Z",
        ]:
            with case(code, message):
                assert _failed(_client_error(code, message)).reason is Reason.CLOCK_SKEW
                assert (
                    _failed(_client_error("ValidationError", message)).reason
                    is Reason.REQUEST_REFUSED
                )


def test_an_answer_that_cannot_be_parsed_is_not_quoted() -> None:
    body = b"<Credentials>\n<SecretAccessKey>THE-SECRET</SecretAccessKey></Broken>"
    response: Any = {"body": body, "headers": {}, "status_code": 200}
    with pytest.raises(OperationFailed) as caught, translate_errors():
        create_parser("query").parse(response, _ASSUME_ROLE.output_shape)
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE
    assert "THE-SECRET" not in f"{caught.value.message} {caught.value!r} {caught.value}"
    assert caught.value.__suppress_context__  # nor does a stack trace show it


def test_what_a_code_says_of_the_keys() -> None:
    cases: list[tuple[str | None, Reason | None]] = [
        ("ExpiredToken", Reason.CREDENTIALS_EXPIRED),
        ("ExpiredTokenException", Reason.CREDENTIALS_EXPIRED),
        ("UnrecognizedClientException", Reason.REGION_NOT_ENABLED),
        ("InvalidClientTokenId", Reason.REGION_NOT_ENABLED),
        ("AccessDenied", None),
        ("RequestTimeTooSkewed", None),
        ("InventedTomorrow", None),
        (None, None),
    ]
    for code, said in cases:
        with case(code, said):
            assert refused_keys(code) is said
