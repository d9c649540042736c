"""AWS Security Hub: importing findings with the default product ARN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fake_aws import asff
from tests.fake_aws.services.base import Call, Service
from tests.fake_aws.wire import ApiError, Codes, Json

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE = Service(
    "securityhub",
    Json(rest=True),
    Codes(
        unknown_key=("UnrecognizedClientException", 403),
        expired=("ExpiredTokenException", 403),
        bad_signature=("InvalidSignatureException", 403),
        bad_scope=("InvalidSignatureException", 403),
        missing_authentication=("MissingAuthenticationTokenException", 403),
        denied=("AccessDeniedException", 403),
        throttle=("LimitExceededException", 429),
        server_error=("InternalException", 500),
        invalid=("InvalidInputException", 400),
        unknown_operation=("UnknownOperationException", 404),
    ),
)
PATHS = {"/accounts": "DescribeHub", "/findings/import": "BatchImportFindings"}
_LARGEST_BATCH = 100
# Whoever works on a finding owns these: an import does not change them.
_OWNED = ("Note", "UserDefinedFields", "VerificationState", "Workflow")


def _subscribed(call: Call) -> None:
    if call.region not in call.state.world.security_hub_regions:
        raise ApiError(
            "InvalidAccessException",
            f"Account {call.principal.account} is not subscribed to AWS Security Hub",
            401,
        )


@SERVICE.operation("DescribeHub")
def describe_hub(call: Call) -> dict[str, Any]:
    """Describe the hub of the caller's account in the region."""
    arn = f"arn:{call.partition}:securityhub:{call.region}:{call.principal.account}:hub/default"
    call.allow("securityhub:DescribeHub", arn)
    _subscribed(call)
    return {"HubArn": arn, "AutoEnableControls": True}


@SERVICE.operation("BatchImportFindings")
def batch_import_findings(call: Call) -> dict[str, Any]:
    """Keep the findings that are newer than what is kept; those that are not valid are listed."""
    account, region = call.principal.account, call.region
    findings = call.params.get("Findings")
    if not isinstance(findings, list) or not 1 <= len(findings) <= _LARGEST_BATCH:
        raise call.invalid("Invalid parameter: Findings must have 1 to 100 items")
    product = f"arn:{call.partition}:securityhub:{region}:{account}:product/{account}/default"
    for finding in findings:
        call.allow("securityhub:BatchImportFindings", str(finding.get("ProductArn")))
        if finding.get("ProductArn") != product or finding.get("AwsAccountId") != account:
            # AWS words another account's finding as a denial.
            raise call.service.error(
                call.service.codes.denied,
                f"User: {call.principal.arn} is not authorized to perform: "
                f"securityhub:BatchImportFindings on resource: {finding.get('ProductArn')}",
            )
    _subscribed(call)
    failed = []
    for finding in findings:
        if found := asff.problems(finding):
            failed.append(
                {
                    "Id": str(finding.get("Id")),
                    "ErrorCode": "InvalidInput",
                    "ErrorMessage": "; ".join(found),
                }
            )
        else:
            _keep(call.state.findings, (region, finding["Id"]), finding)
    return {
        "FailedCount": len(failed),
        "SuccessCount": len(findings) - len(failed),
        "FailedFindings": failed,
    }


def _keep(
    kept: dict[tuple[str, str], dict[str, Any]], key: tuple[str, str], finding: Mapping[str, Any]
) -> None:
    before = kept.get(key)
    if before is None:
        kept[key] = {"Workflow": {"Status": "NEW"}, **finding}
    elif finding["UpdatedAt"] > before["UpdatedAt"]:
        owned = {name: before[name] for name in _OWNED if name in before}
        kept[key] = {**finding, **owned}
