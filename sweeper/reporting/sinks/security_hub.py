"""Findings in AWS Security Hub, imported as the sweep's own account in one region."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Self

from sweeper.aws.client.errors import MAX_CODE, reason_for, shortened_message, translate_errors
from sweeper.domain.errors import OperationFailed
from sweeper.domain.masking import mask
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Delivery, Report
from sweeper.engine.probe import DestinationProbe, Hints, run_probe
from sweeper.reporting.asff import findings
from sweeper.reporting.sinks.base import Sink, SinkContext

MAX_BATCH = 100  # BatchImportFindings: Findings
HINTS = Hints(
    missing="enable Security Hub in this account and region, or correct report.security_hub.region",
    unknown="nothing need be done: the first import tells. To have the hub looked for, allow the "
    "caller securityhub:DescribeHub",
)


class SecurityHubSink(Sink):
    """Imports every finding; those that are gone or exempt become archived ones."""

    name = "security_hub"
    content = "findings"
    actions = frozenset({"securityhub:BatchImportFindings"})

    def __init__(self, region: str, central: Callable[[str, str | None], Any]) -> None:
        """Calls nothing."""
        self.location = f"Security Hub in {region}"
        self._region = region
        self._central = central

    @classmethod
    def make(cls, context: SinkContext) -> Self | None:
        """Return the sink, where report.security_hub is set."""
        config = context.config.report.security_hub
        return cls(config.region, context.central) if config else None

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """Import in batches, all of them where only some findings are refused.

        Raises OperationFailed where a call fails, which ends it, or a finding was refused. The
        next sweep imports all again, under the same ids.
        """
        imported = 0
        refused: list[Mapping[str, Any]] = []
        for batch in _batches(findings(report, self._region), MAX_BATCH):
            try:
                answer = self._import(batch)
            except OperationFailed as error:
                raise self._explained(error, imported) from None
            imported += int(answer.get("SuccessCount", 0))
            refused += answer.get("FailedFindings", ())
        if refused:
            raise self._explained(_of_refused(refused), imported)
        return Delivery(self.name, self.location, "delivered" if imported else "not_needed")

    def probe(self) -> list[DestinationProbe]:
        """Ask whether Security Hub is enabled there."""

        @translate_errors()
        def describe() -> None:
            self._central("securityhub", self._region).describe_hub()

        answer = run_probe(
            describe, if_denied="the hub may not be looked at, which importing does not need"
        )
        key = "report.security_hub.region"
        return [DestinationProbe(key, self._region, "enabled", answer, HINTS)]

    def _import(self, batch: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        text = json.dumps(batch)
        if (masked := mask(text)) != text:
            batch = json.loads(masked)
        with translate_errors():
            answer: Mapping[str, Any] = self._central(
                "securityhub", self._region
            ).batch_import_findings(Findings=batch)
        return answer

    def _explained(self, error: OperationFailed, imported: int) -> OperationFailed:
        """Say what it means, and what was imported all the same."""
        reason, message = error.reason, error.message
        if reason in (Reason.DESTINATION_MISSING, Reason.REGION_NOT_ENABLED):
            reason = Reason.DESTINATION_MISSING
            message = f"Security Hub is not enabled in {self._region} for this account ({message})"
        elif reason.is_denial:
            message = f"securityhub:BatchImportFindings in {self._region}: {message}"
        return OperationFailed(
            reason, f"{message}; {imported:,} findings were imported", error.error_code
        )


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
