"""A report's findings in the AWS Security Finding Format: pure.

https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_AwsSecurityFinding.html: its limits
hold by construction, so that no finding comes near the 240 KB that one may have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sweeper.domain.escaping import shorten
from sweeper.domain.report_model import Report
from sweeper.reporting.records import Record, State, records

_TYPE = "Software and Configuration Checks/AWS Security Best Practices"
# As Security Hub's own control for this, ECR.2, has it; what passed is informational there, too.
_SEVERITY = {
    State.OPEN: "MEDIUM",
    State.UNDETERMINED: "MEDIUM",
    State.EXEMPT: "INFORMATIONAL",
    State.FIXED: "INFORMATIONAL",
}
_COMPLIANCE = {
    State.OPEN: "FAILED",
    State.UNDETERMINED: "WARNING",
    State.EXEMPT: "NOT_AVAILABLE",
    State.FIXED: "PASSED",
}
_ARCHIVED = (State.EXEMPT, State.FIXED)
_MUTABILITIES = ("IMMUTABLE", "MUTABLE")  # of AwsEcrRepository; it knows no exclusions
_PARTITIONS = ("aws", "aws-cn", "aws-us-gov")  # of Resource; it does not know them all


def findings(report: Report, region: str) -> Iterator[dict[str, Any]]:
    """What BatchImportFindings takes, as the sweep's own account in `region`.

    Of a sweep that did not learn its account there is nothing. Workflow is never set: it belongs
    to whoever works on the finding.
    """
    run = report.run
    if run.account_id is None:
        return
    product = f"arn:{run.partition}:securityhub:{region}:{run.account_id}:product/{run.account_id}"
    for record in records(report):
        yield {
            "SchemaVersion": "2018-10-08",
            "Id": record.id,
            "ProductArn": f"{product}/default",
            "ProductName": "sweeper",
            "GeneratorId": record.check,
            "AwsAccountId": run.account_id,
            "CreatedAt": run.started_at,
            "UpdatedAt": run.finished_at,
            "LastObservedAt": run.finished_at,
            "Title": shorten(record.title, 256),
            "Description": shorten(record.description, 1024),
            "Remediation": {"Recommendation": {"Text": record.advice, "Url": record.guide}},
            "ProductFields": _product_fields(record, run.id),
            "Resources": [_resource(record, run.partition)],
            "Compliance": {"Status": _COMPLIANCE[record.state]},
            "RecordState": "ARCHIVED" if record.state in _ARCHIVED else "ACTIVE",
            "FindingProviderFields": {
                "Severity": {"Label": _severity(record)},
                "Types": [_TYPE],
            },
        }


def _severity(record: Record) -> str:
    is_minor = record.is_minor and record.state is State.OPEN
    return "LOW" if is_minor else _SEVERITY[record.state]


def _resource(record: Record, partition: str | None) -> dict[str, Any]:
    kind, details = "AwsEcrRepository", {"Arn": record.resource_id}
    if record.resource == "repository":
        details["RepositoryName"] = record.repository
        if record.setting in _MUTABILITIES:
            details["ImageTagMutability"] = record.setting
    else:  # for which the format has no type
        kind = "Other"
        details = {"Prefix": record.repository, "ImageTagMutability": record.setting}
    resource: dict[str, Any] = {
        "Type": kind,
        "Id": shorten(record.resource_id, 512),
        "Region": shorten(record.region, 16),
        "Owner": {"Account": {"Id": record.account_id}},
        "Details": {
            kind: {key: shorten(text, 512) for key, text in details.items() if text.strip()}
        },
    }
    if partition in _PARTITIONS:
        resource["Partition"] = partition
    return resource


def _product_fields(record: Record, run_id: str) -> dict[str, str]:
    """What the format has no place for. The tags are the account's, not the repository's."""
    fields = {
        "sweeper/AccountId": record.account_id,
        "sweeper/AccountName": record.account_name,
        "sweeper/ImageTagMutability": record.setting,
        "sweeper/RunId": run_id,
        **({"sweeper/SinceLast": record.since} if record.since else {}),
        **({"sweeper/ChangeDue": str(record.due)} if record.due else {}),
        **{f"sweeper/AccountTag/{key}": value for key, value in record.tags.items()},
    }
    return {
        shorten(key, 128): shorten(value, 1024) for key, value in fields.items() if value.strip()
    }
