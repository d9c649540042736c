"""Findings in AWS Security Hub, imported as the sweep's own account in one region.

The AWS Security Finding Format is described at
https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_AwsSecurityFinding.html. Its limits
hold by construction, so that no finding comes near the 240 KB that one may have.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Self

from sweeper.aws.client.errors import MAX_CODE, reason_for, shortened_message, translate_errors
from sweeper.domain.errors import OperationFailed
from sweeper.domain.escaping import shorten
from sweeper.domain.masking import mask
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Delivery, Report
from sweeper.engine.probe import DestinationProbe, Hints, run_probe
from sweeper.reporting.records import Record, State, records
from sweeper.reporting.sinks.base import Sink, SinkContext

_TYPE = "Software and Configuration Checks/AWS Security Best Practices"
# As in Security Hub's own control, ECR.2, in which passed findings are informational, too.
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
_MUTABILITIES = ("IMMUTABLE", "MUTABLE")  # of AwsEcrRepository, which has no exclusions
_PARTITIONS = ("aws", "aws-cn", "aws-us-gov")  # of Resource, which lacks some
_MAX_BATCH = 100  # BatchImportFindings: Findings
_HINTS = Hints(
    missing="enable Security Hub in this account and region, or correct report.security_hub.region",
    unknown="nothing to do: the first import shows it. To check the hub, allow the "
    "caller securityhub:DescribeHub",
)


class SecurityHubSink(Sink):
    """A sink that imports every finding; those that are fixed or exempt become archived."""

    name = "security_hub"
    content = "findings"
    actions = frozenset({"securityhub:BatchImportFindings"})

    def __init__(self, region: str, central: Callable[[str, str | None], Any]) -> None:
        self.location = f"Security Hub in {region}"
        self._region = region
        self._central = central

    @classmethod
    def make(cls, context: SinkContext) -> Self | None:
        """Return the sink, where report.security_hub is set."""
        config = context.config.report.security_hub
        return cls(config.region, context.central) if config else None

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """Import in batches; findings that are refused do not stop the others.

        Raises OperationFailed if a call fails, or its answer leaves out findings, which stops the
        import, or if a finding was refused.
        The next sweep imports all again, under the same ids.
        """
        imported = 0
        refused: list[Mapping[str, Any]] = []
        for batch in _batches(_findings(report, self._region), _MAX_BATCH):
            try:
                answer = self._import(batch)
            except OperationFailed as error:
                raise self._explain(error, imported) from None
            count, failed = answer.get("SuccessCount", 0), answer.get("FailedFindings", ())
            if count + len(failed) != len(batch):
                raise self._explain(_of_other_count(count + len(failed), len(batch)), imported)
            imported += count
            refused += failed
        if refused:
            raise self._explain(_of_refused(refused), imported)
        return Delivery(self.name, self.location, "delivered" if imported else "not_needed")

    def probe(self) -> list[DestinationProbe]:
        """Probe whether Security Hub is enabled in the region."""

        @translate_errors()
        def describe() -> None:
            self._central("securityhub", self._region).describe_hub()

        answer = run_probe(
            describe, if_denied="the caller may not describe the hub; a delivery does not need it"
        )
        key = "report.security_hub.region"
        return [DestinationProbe(key, self._region, "enabled", answer, _HINTS)]

    def _import(self, batch: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        text = json.dumps(batch)
        if (masked := mask(text)) != text:
            batch = json.loads(masked)
        with translate_errors():
            answer: Mapping[str, Any] = self._central(
                "securityhub", self._region
            ).batch_import_findings(Findings=batch)
        return answer

    def _explain(self, error: OperationFailed, imported: int) -> OperationFailed:
        """Return the error with its meaning and how many findings were imported."""
        reason, message = error.reason, error.message
        if reason in (Reason.DESTINATION_MISSING, Reason.REGION_NOT_ENABLED):
            reason = Reason.DESTINATION_MISSING
            message = f"Security Hub is not enabled in {self._region} for this account ({message})"
        elif reason.is_denial:
            message = f"securityhub:BatchImportFindings in {self._region}: {message}"
        return OperationFailed(
            reason, f"{message}; {imported:,} findings were imported", error.error_code
        )


def _findings(report: Report, region: str) -> Iterator[dict[str, Any]]:
    """Yield the findings for BatchImportFindings, as the sweep's own account in `region`.

    There are none if the account of the sweep is not known. Workflow is never set: it belongs to
    the person who works on the finding.
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
    else:  # the format has no type for it
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
    """Return fields that the format does not have. The tags are those of the account."""
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


def _of_other_count(answered: int, sent: int) -> OperationFailed:
    message = f"the answer is about {answered:,} of {sent:,} findings: it is not what AWS sends"
    return OperationFailed(Reason.UNEXPECTED_RESPONSE, message)


def _of_refused(refused: Sequence[Mapping[str, Any]]) -> OperationFailed:
    codes = Counter(map(_code, refused))
    [(most, _), *_] = codes.most_common()
    example = next(item for item in refused if _code(item) == most)
    counts = ", ".join(f"{code} {count:,}" for code, count in sorted(codes.items()))
    message = (
        f"{len(refused):,} findings were refused: {counts}; such as {example.get('Id')}: "
        f"{example.get('ErrorMessage')}"
    )
    return OperationFailed(reason_for(most), shortened_message(message), most)


def _code(refused: Mapping[str, Any]) -> str:
    return str(refused.get("ErrorCode", "Unknown"))[:MAX_CODE]


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
